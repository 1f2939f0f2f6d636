//! A subscriber to server-sent events.

use std::mem;

use super::events::{EventReader, Told};
use super::notification::Notification;
use super::refusal::Refusal;
use super::request::{Purpose, Request};
use super::response::{Part, ResponseHead, ResponseReader};
use super::{ConversationError, Heard, Peer};

/// One connection.
#[derive(Debug)]
pub(super) struct EventStream {
    request: Request,
    phase: Phase,
    is_ready: bool,
    /// The latest comment: the broker's last says why it ends the stream.
    comment: Vec<u8>,
}

#[derive(Debug)]
enum Phase {
    Streaming { response: ResponseReader, events: EventReader },
    Refused(Refusal),
}

impl EventStream {
    pub(super) fn new(peer: &Peer, topic: &str) -> Self {
        Self {
            request: Request::new(peer, topic, Purpose::EventStream),
            phase: Phase::Streaming { response: ResponseReader::default(), events: EventReader::default() },
            is_ready: false,
            comment: Vec::new(),
        }
    }

    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        self.request.write("", 0, out);
    }

    /// Whether the stream has begun: its first event is the receipt of the subscription.
    pub(super) fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Whether all events that were begun have come.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.phase, Phase::Streaming { events, .. } if events.is_idle())
    }

    pub(super) fn read(
        &mut self,
        input: &[u8],
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let mut rest = input;
        let Phase::Streaming { response, events } = &mut self.phase else { return self.read_refusal(rest) };
        while let Some(part) = response.read(&mut rest)? {
            match part {
                Part::Head(head) if head.status != 200 => {
                    self.phase = Phase::Refused(Refusal::after(&head, mem::take(response)));
                    return self.read_refusal(rest);
                }
                Part::Head(head) => check_content_type(&head)?,
                Part::Body(piece) => events.read(piece, |told| match told {
                    Told::Data(data) => {
                        let notification = Notification::parse(data)?;
                        self.is_ready |= notification.kind == "subscribed";
                        notification.hear(on_heard)
                    }
                    Told::Comment(comment) => {
                        comment.clone_into(&mut self.comment);
                        Ok(())
                    }
                })?,
                Part::End => return Err(self.end()),
            }
        }
        Ok(())
    }

    fn read_refusal(&mut self, input: &[u8]) -> Result<(), ConversationError> {
        match &mut self.phase {
            Phase::Streaming { .. } => Ok(()),
            Phase::Refused(refusal) => refusal.read(input),
        }
    }

    pub(super) fn end(&self) -> ConversationError {
        match &self.phase {
            Phase::Streaming { .. } if !self.comment.is_empty() => {
                ConversationError::closed(None, &self.comment)
            }
            Phase::Streaming { .. } => ConversationError::Ended { ready: self.is_ready },
            Phase::Refused(refusal) => refusal.error(),
        }
    }
}

fn check_content_type(head: &ResponseHead) -> Result<(), ConversationError> {
    let essence = head.content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("text/event-stream") {
        return Ok(());
    }
    Err(ConversationError::NoEventStream { content_type: head.content_type.clone() })
}
