//! What comes over a connection that speaks WebSocket.

use std::mem;

use bytes::Bytes;
use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::message::Draft;
use fanwire_broker::shard::Backlog;
use fanwire_wire::binary::parse_command;
use fanwire_wire::close::{CloseCode, CloseReason};
use fanwire_wire::command::{self, Command, Envelope, PayloadKind, Rejection};
use fanwire_wire::deflate::Inflater;
use fanwire_wire::error::{CommandError, ErrorCode, ProtocolError};
use fanwire_wire::frame::{OpCode, Role, write_frame};
use fanwire_wire::limits::MAX_CONTROL_PAYLOAD_BYTES;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicOrPattern;

use super::EventLoop;
use crate::connection::Endpoint;
use crate::demo;
use crate::metrics::DisconnectReason;

impl EventLoop {
    /// Reads the messages in `input`, and carries out each before the next is looked at. Where that is much, the rest of them
    /// has to wait for the next turn.
    pub(super) fn read_messages(&mut self, id: ConnectionId, mut input: &mut [u8], inflater: &mut Inflater) {
        let Some(mut reader) = self.take_reader(id) else { return };
        let mut own_inflater = self.contexts.take_inflater(id.slot);
        let inflater = own_inflater.as_mut().unwrap_or(inflater);
        while !input.is_empty() && self.is_web_socket(id) {
            match reader.read(input, self.site.max_message_bytes, inflater) {
                Ok((consumed, incoming)) => {
                    if let Some(incoming) = incoming {
                        self.handle_incoming(id, incoming, consumed);
                        self.handle_shard_events();
                    }
                    input = &mut mem::take(&mut input)[consumed..];
                    if self.effort.is_enough() {
                        self.keep_early_frames(id, mem::take(&mut input).to_vec());
                    }
                }
                Err(error) => return self.fail_connection(id, error),
            }
        }
        self.give_reader_back(id, reader);
        if let Some(own) = own_inflater {
            self.contexts.give_back(id.slot, own);
        }
    }

    /// The connection's reader, so that what is borrowed through it does not borrow the loop.
    fn take_reader(&mut self, id: ConnectionId) -> Option<MessageReader> {
        let web_socket = self.connections.get_mut(id)?.web_socket()?;
        Some(mem::replace(&mut web_socket.reader, MessageReader::new(Role::Server, false)))
    }

    fn give_reader_back(&mut self, id: ConnectionId, reader: MessageReader) {
        if let Some(web_socket) = self.connections.get_mut(id).and_then(|connection| connection.web_socket())
        {
            web_socket.reader = reader;
        }
    }

    pub(super) fn is_web_socket(&mut self, id: ConnectionId) -> bool {
        self.connections.get_mut(id).is_some_and(|connection| connection.web_socket().is_some())
    }

    /// What the last so many octets completed.
    fn handle_incoming(&mut self, id: ConnectionId, incoming: Incoming<'_>, octets: usize) {
        self.effort.commands += 1;
        match incoming {
            Incoming::Message { kind, payload } => {
                self.effort.inflated_bytes += payload.len().saturating_sub(octets);
                self.metrics.add_message_in();
                self.handle_message(id, kind, &payload);
            }
            Incoming::Ping(payload) => {
                let mut pong = Vec::with_capacity(2 + MAX_CONTROL_PAYLOAD_BYTES);
                write_frame(&mut pong, OpCode::Pong, false, &payload);
                self.shard.reply(id, &pong);
            }
            Incoming::Pong(_) => {}
            Incoming::Close(reason) => self.answer_close(id, reason),
        }
    }

    fn handle_message(&mut self, id: ConnectionId, kind: MessageKind, payload: &[u8]) {
        let Some(web_socket) = self.connections.get_mut(id).and_then(|connection| connection.web_socket())
        else {
            return;
        };
        match &web_socket.endpoint {
            Endpoint::Raw { topic, echo } => {
                let draft = Draft {
                    topic: topic.clone(),
                    key: None,
                    content_type: None,
                    kind: kind_of_message(kind),
                    payload: Bytes::copy_from_slice(payload),
                    echo: *echo,
                    conditions: None,
                };
                self.shard.publish(id, draft, false);
                self.note_publisher(id);
            }
            Endpoint::Json => match str::from_utf8(payload) {
                Ok(text) if kind == MessageKind::Text => self.handle_command(id, command::parse(text)),
                _ => self.refuse_kind(id, MessageKind::Binary),
            },
            Endpoint::Binary => match kind {
                MessageKind::Binary => self.handle_command(id, parse_command(payload)),
                MessageKind::Text => self.refuse_kind(id, kind),
            },
            Endpoint::Echo { deflate_window_bits } => {
                let frame = self.echo_compressor.echo(kind, payload, *deflate_window_bits);
                self.shard.reply(id, frame);
            }
            Endpoint::Hello { .. } => self.greet(id, payload),
        }
    }

    fn handle_command(&mut self, id: ConnectionId, parsed: Result<Envelope<'_>, Box<Rejection>>) {
        match parsed.and_then(|envelope| within_batch(envelope, self.site.limits.batch)) {
            Ok(envelope) => {
                self.effort.commands += further(&envelope.command);
                if matches!(envelope.command, Command::Publish { .. } | Command::PublishBatch { .. }) {
                    self.note_publisher(id);
                }
                self.shard.handle_command(id, envelope);
            }
            Err(rejection) => self.reject_command(id, &rejection),
        }
    }

    /// Tells a client that its interface has no messages of this kind.
    fn refuse_kind(&mut self, id: ConnectionId, kind: MessageKind) {
        let code = match kind {
            MessageKind::Text => ErrorCode::TextUnsupported,
            MessageKind::Binary => ErrorCode::BinaryUnsupported,
        };
        let message = code.explanation().unwrap_or_default();
        self.shard.notify(id, &Notification::Error { id: None, command: None, topic: None, code, message });
    }

    fn reject_command(&mut self, id: ConnectionId, rejection: &Rejection) {
        let notification = Notification::Error {
            id: rejection.id.as_ref(),
            command: rejection.command,
            topic: rejection.topic.as_ref().map(TopicOrPattern::as_str),
            code: rejection.error.code(),
            message: &rejection.error.to_string(),
        };
        self.shard.notify(id, &notification);
    }

    /// Greets, and sets the time of the farewell with the first greeting.
    fn greet(&mut self, id: ConnectionId, payload: &[u8]) {
        let mut frame = Vec::new();
        write_frame(&mut frame, OpCode::Text, false, demo::greeting(payload).as_bytes());
        self.shard.reply(id, &frame);
        let leaves_at = self.now.monotonic_ms + demo::HELLO_STAYS_MS;
        let web_socket = self.connections.get_mut(id).and_then(|connection| connection.web_socket());
        if let Some(web_socket) = web_socket
            && let Endpoint::Hello { leaves_at_ms } = &mut web_socket.endpoint
            && leaves_at_ms.is_none()
        {
            *leaves_at_ms = Some(leaves_at);
            self.arm_deadline(id);
        }
    }

    /// Closes from our side too, with the peer's code (RFC 6455 §5.5.1), after what is queued.
    fn answer_close(&mut self, id: ConnectionId, reason: Option<CloseReason<'_>>) {
        let code = reason.map_or(CloseCode::NORMAL, |reason| reason.code);
        self.close(id, code, "", Backlog::Keep, DisconnectReason::ClientClosed);
    }

    /// Fails a connection whose peer broke the protocol (RFC 6455 §7.1.7), after the answers to what came before that.
    fn fail_connection(&mut self, id: ConnectionId, error: ProtocolError) {
        self.close(
            id,
            error.close_code(),
            &error.to_string(),
            Backlog::Keep,
            DisconnectReason::ProtocolError,
        );
        self.handle_shard_events();
    }
}

/// The command, unless it is a batch of more messages than the operator takes.
fn within_batch(envelope: Envelope<'_>, limit: usize) -> Result<Envelope<'_>, Box<Rejection>> {
    match &envelope.command {
        Command::PublishBatch { messages, .. } if messages.len() > limit => Err(Box::new(Rejection {
            command: Some(envelope.command.name()),
            id: envelope.id,
            topic: None,
            error: CommandError::BatchTooLarge { limit },
        })),
        _ => Ok(envelope),
    }
}

/// What a command asks for besides the one thing that each does: it may be about thousands of topics.
fn further(command: &Command<'_>) -> u64 {
    let count = match command {
        Command::Subscribe { wanted, .. } => wanted.len(),
        Command::PublishBatch { messages, .. } => messages.len(),
        _ => 1,
    };
    count.saturating_sub(1) as u64
}

fn kind_of_message(kind: MessageKind) -> PayloadKind {
    match kind {
        MessageKind::Text => PayloadKind::Text,
        MessageKind::Binary => PayloadKind::Binary,
    }
}
