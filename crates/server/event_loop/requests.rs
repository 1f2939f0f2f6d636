//! Carrying out HTTP requests.

use std::net::IpAddr;
use std::{fmt, mem};

use bytes::Bytes;
use fanwire_broker::encoder::{Encoding, Interface};
use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::message::Draft;
use fanwire_wire::command::check_payload;
use fanwire_wire::error::{HandshakeError, RequestError};
use fanwire_wire::frame::Role;
use fanwire_wire::handshake::write_rejection;
use fanwire_wire::http::Request;
use fanwire_wire::message::MessageReader;
use fanwire_wire::notification::Notification;

use super::EventLoop;
use crate::auth::Client;
use crate::connection::{
    Awaited, Bounds, Connection, Conversation, Endpoint, Exchange, Liveness, Peer, Phase, Step, WebSocket,
};
use crate::guard::Admission;
use crate::http_api::{self, Call, Channel, PendingStream, PendingUpgrade, Poll, Reply, Response};
use crate::metrics::DisconnectReason;
use crate::transport::Transport;

impl EventLoop {
    /// Answers the requests that have come whole, one after the other, as long as the client reads the answers. Where that is
    /// much, the rest of them has to wait for the next turn.
    pub(super) fn answer_requests(&mut self, id: ConnectionId) {
        while !self.is_blocked(id) {
            if self.effort.is_enough() {
                return self.list_unless_paused(id);
            }
            let Some(step) = self.next_step(id) else { return };
            match step {
                Ok(Step::Wait) => return,
                Ok(Step::Continue) => self.shard.reply(id, http_api::CONTINUE),
                Ok(Step::Answer(exchange)) => self.carry_out(id, exchange),
                Err(error) => self.refuse_nonsense(id, &error),
            }
            self.handle_shard_events();
        }
    }

    /// The next step of a connection that speaks HTTP.
    fn next_step(&mut self, id: ConnectionId) -> Option<Result<Step, RequestError>> {
        // It has no client of its own: each request may be another one's.
        let admission = self.connections.admission(id);
        let is_shared = admission == Admission::OF_ALL;
        let peer = self.connections.peer(id);
        let Connection { transport, phase: Phase::Http(conversation), .. } = self.connections.get_mut(id)?
        else {
            return None;
        };
        let speaks_tls = matches!(transport, Transport::Tls(_));
        let (site, now_ms) = (&self.site, self.now.wall_ms);
        let bounds = Bounds { head: site.limits.header_bytes, body: site.max_message_bytes };
        let mut forwarded_for = None;
        let asked = |request: &Request<'_>| {
            let headers = request.headers();
            forwarded_for = is_shared.then(|| site.guard.forwarded_for(headers)).flatten();
            let forwarded_over_tls = is_shared.then(|| site.guard.forwarded_over_tls(headers)).flatten();
            let channel = Channel {
                peer: forwarded_for.map(Peer::Behind).or(peer),
                is_secure: forwarded_over_tls.unwrap_or(speaks_tls),
                certificate: transport.client_identity(),
                refusal: admission.refusal(),
            };
            http_api::asked(request, &channel, site, now_ms)
        };
        let step = conversation.next_step(asked, bounds);
        Some(step.map(|step| self.count_forwarded(id, step, forwarded_for)))
    }

    /// A request that a proxy forwards for `client`, and after which the connection is that client's alone, counts for it:
    /// or is answered that it has too many.
    fn count_forwarded(&mut self, id: ConnectionId, step: Step, client: Option<IpAddr>) -> Step {
        let (Step::Answer(exchange), Some(client)) = (&step, client) else { return step };
        if !exchange.call.keeps_connection() {
            return step;
        }
        let Err(refusal) = self.count_for(id, client) else {
            self.connections.set_client(id, client);
            return step;
        };
        let (call, reply) = (http_api::turned_down(refusal).into(), exchange.reply.clone());
        Step::Answer(Exchange { call, client: Client::nobody(), body: Vec::new(), reply })
    }

    fn carry_out(&mut self, id: ConnectionId, exchange: Exchange) {
        let Exchange { call, client, body, reply } = exchange;
        self.effort.commands += 1;
        self.effort.tokens += usize::from(client.expiry.is_some());
        self.admit(id, client);
        match call {
            Call::Answer(response) | Call::Post(Err(response)) | Call::PostBatch(Err(response)) => {
                self.respond(id, &response, &reply);
            }
            Call::Latest(topic, known) => {
                self.await_answer(id, Awaited::Latest(known), reply);
                self.shard.latest(id, topic);
            }
            Call::Poll(poll) => self.poll(id, *poll, reply),
            Call::Stream(stream) => self.stream(id, stream, reply),
            Call::Post(Ok(draft)) => self.publish(id, Draft { payload: Bytes::from(body), ..*draft }, reply),
            Call::PostBatch(Ok(())) => self.publish_batch(id, &body, reply),
            Call::Upgrade(upgrade) => self.upgrade(id, upgrade, reply),
            Call::Reject(error) => self.reject(id, error),
        }
    }

    /// Answers what could not be read as a request.
    fn refuse_nonsense(&mut self, id: ConnectionId, error: &RequestError) {
        self.log_refusal(id, error);
        self.respond(id, &http_api::bad_request(error), &Reply::to_nonsense());
    }

    /// Answers a handshake that is none.
    fn reject(&mut self, id: ConnectionId, error: HandshakeError) {
        self.log_refusal(id, &error);
        let mut octets = Vec::new();
        write_rejection(error, &mut octets);
        self.shard.reply(id, &octets);
        self.begin_closing(id, DisconnectReason::Refused);
    }

    fn log_refusal(&self, id: ConnectionId, why: &dyn fmt::Display) {
        tracing::debug!(peer = self.peer(id), identity = self.known_as(id), "refused: {why}");
    }

    /// Answers the current request, and goes on to the next or closes.
    pub(super) fn respond(&mut self, id: ConnectionId, response: &Response, reply: &Reply) {
        let (peer, identity) = (self.peer(id), self.known_as(id));
        tracing::debug!(
            peer,
            identity,
            status = response.status().code(),
            code = response.code(),
            "answered"
        );
        self.effort.answered_bytes += response.body_bytes();
        self.shard.reply(id, &response.to_octets(reply));
        if response.ends_connection(reply) {
            let reason =
                if response.is_error() { DisconnectReason::Refused } else { DisconnectReason::ClientClosed };
            return self.begin_closing(id, reason);
        }
        let now_ms = self.now.monotonic_ms;
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.since_ms = now_ms;
        if let Some(conversation) = connection.conversation() {
            conversation.finish();
        }
        self.arm_deadline(id);
    }

    fn await_answer(&mut self, id: ConnectionId, awaited: Awaited, reply: Reply) {
        if let Some(conversation) = self.connections.get_mut(id).and_then(Connection::conversation) {
            conversation.await_answer(awaited, reply);
        }
    }

    fn poll(&mut self, id: ConnectionId, poll: Poll, reply: Reply) {
        let Poll { topic, start, wait_ms, known } = poll;
        let ends_at_ms = self.end_of_wait_ms(id, wait_ms);
        self.await_answer(id, Awaited::Polled { topic: topic.clone(), known, ends_at_ms }, reply);
        self.shard.poll(id, topic, start, ends_at_ms.is_some());
        self.arm_deadline(id);
    }

    /// When a poll will have waited long enough, or its client's token ends. Who has ended its side is not waited with: it
    /// may have left.
    fn end_of_wait_ms(&mut self, id: ConnectionId, wait_ms: Option<u64>) -> Option<u64> {
        let has_left = self.connections.get_mut(id)?.ending;
        let wait_ms = wait_ms.filter(|wait_ms| *wait_ms > 0 && !has_left)?;
        let token_ends_at_ms = self.sessions.deadline_ms(id.slot).unwrap_or(u64::MAX);
        Some((self.now.monotonic_ms + wait_ms).min(token_ends_at_ms))
    }

    /// Has a poll that waits answered now.
    pub(super) fn end_poll(&mut self, id: ConnectionId) {
        let conversation = self.connections.get_mut(id).and_then(Connection::conversation);
        if conversation.is_some_and(Conversation::end_poll) {
            self.shard.end_poll(id);
        }
    }

    fn publish(&mut self, id: ConnectionId, draft: Draft, reply: Reply) {
        if let Err(error) = check_payload(draft.kind, &draft.payload) {
            return self.respond(id, &http_api::bad_payload(&error), &reply);
        }
        self.metrics.add_message_in();
        self.await_answer(id, Awaited::Published, reply);
        self.shard.publish(id, draft, true);
    }

    fn publish_batch(&mut self, id: ConnectionId, body: &[u8], reply: Reply) {
        match http_api::batch_in(body, self.site.limits.batch) {
            Err(response) => self.respond(id, &response, &reply),
            Ok((drafts, atomic)) => {
                self.metrics.add_message_in();
                // The request is one command already.
                self.effort.commands += drafts.len().saturating_sub(1) as u64;
                self.await_answer(id, Awaited::PublishedBatch, reply);
                self.shard.publish_batch(id, drafts, atomic);
            }
        }
    }

    /// Begins to speak WebSocket; a raw connection when its subscription has begun.
    fn upgrade(&mut self, id: ConnectionId, mut upgrade: Box<PendingUpgrade>, reply: Reply) {
        let interface = match &upgrade.endpoint {
            Endpoint::Json => Interface::Json,
            Endpoint::Binary => Interface::Binary,
            Endpoint::Raw { .. } | Endpoint::Echo { .. } | Endpoint::Hello { .. } => Interface::Raw,
        };
        self.begin_contexts(id, &mut upgrade);
        self.shard.upgrade(id, Encoding { interface, deflate_window_bits: upgrade.shared_window_bits() });
        if let Some(bits) = upgrade.own_window_bits() {
            self.shard.keep_context(id, bits);
        }
        if let Endpoint::Raw { topic, .. } = &upgrade.endpoint {
            let (topic, start) = (topic.clone(), upgrade.start.clone());
            self.await_answer(id, Awaited::Subscribed(upgrade), reply.last());
            return self.shard.subscribe(id, topic, start);
        }
        let has_commands = matches!(upgrade.endpoint, Endpoint::Json | Endpoint::Binary);
        self.switch_protocols(id, *upgrade, &[]);
        if has_commands {
            self.welcome(id);
        }
    }

    /// Gives the connection contexts of compression of its own where that was agreed on; or agrees on none, where memory has
    /// no room for them.
    fn begin_contexts(&mut self, id: ConnectionId, upgrade: &mut PendingUpgrade) {
        let Some(agreed) = &mut upgrade.deflate else { return };
        let bytes = agreed.context_bytes() as u64;
        if bytes == 0 {
            return;
        }
        if self.site.guard.memory().admit_contexts(bytes) {
            self.contexts.begin(id.slot, *agreed, self.site.limits.inflated_ratio);
        } else {
            *agreed = agreed.without_contexts();
            self.metrics.add_context_refusal();
        }
    }

    /// Begins an event stream when its subscription has begun.
    fn stream(&mut self, id: ConnectionId, stream: Box<PendingStream>, reply: Reply) {
        self.shard.upgrade(id, Encoding { interface: Interface::EventStream, deflate_window_bits: None });
        let (topic, start) = (stream.topic.clone(), stream.start.clone());
        self.await_answer(id, Awaited::Streamed(stream), reply.last());
        self.shard.subscribe(id, topic, start);
    }

    fn welcome(&mut self, id: ConnectionId) {
        let notification = Notification::Welcome {
            epoch: &self.site.epoch,
            max_message: self.site.max_message_bytes,
            max_subscriptions: self.site.max_subscriptions,
        };
        self.shard.notify(id, &notification);
    }

    /// Sends the 101. What came behind the request is frames.
    pub(super) fn switch_protocols(
        &mut self,
        id: ConnectionId,
        upgrade: PendingUpgrade,
        headers: &[(&str, &str)],
    ) {
        self.shard.reply(id, &upgrade.response(headers));
        let now_ms = self.now.monotonic_ms;
        let Some(connection) = self.connections.get_mut(id) else { return };
        let web_socket = WebSocket {
            reader: MessageReader::new(Role::Server, upgrade.is_compressed()),
            endpoint: upgrade.endpoint,
            liveness: Liveness::default(),
        };
        let last_phase = mem::replace(&mut connection.phase, Phase::WebSocket(web_socket));
        connection.since_ms = now_ms;
        if let Phase::Http(mut conversation) = last_phase {
            self.keep_early_frames(id, conversation.take_input());
        }
        self.metrics.add_handshake();
        tracing::debug!(peer = self.peer(id), identity = self.known_as(id), "connected");
        self.arm_deadline(id);
    }
}
