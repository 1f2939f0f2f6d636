//! What the shard answers to raw and HTTP connections and event streams, by its events.

use fanwire_broker::batches::{Outcome, Refused};
use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::{Backlog, Event};
use fanwire_broker::topic_table::{Latest, Placement, Polled};
use fanwire_wire::close::CloseCode;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::Topic;

use super::EventLoop;
use crate::connection::{Awaited, Connection, Liveness, Phase};
use crate::http_api::{self, PendingUpgrade, Reply};
use crate::metrics::DisconnectReason;

impl EventLoop {
    /// Sees to everything that the shard has to say. Comes after every call of the shard that may have an effect on
    /// connections, before the next one: a connection's 101 must be in front of its first message. A flush counts as one
    /// call.
    pub(super) fn handle_shard_events(&mut self) {
        while let Some(event) = self.shard.poll_event() {
            self.handle_shard_event(event);
        }
    }

    /// Answers polls that a message has come for, as far as there is room.
    pub(super) fn answer_polls(&mut self) {
        while let Some(answer) = self.shard.poll_answer() {
            self.handle_shard_event(answer);
        }
    }

    fn handle_shard_event(&mut self, event: Event) {
        match event {
            Event::Subscribed { connection, placement } => self.answer_subscribed(connection, placement),
            Event::Published { connection, offset } => self.answer_published(connection, offset),
            Event::PublishedBatch { connection, outcomes } => {
                self.answer_published_batch(connection, &outcomes);
            }
            Event::Latest { connection, latest } => self.answer_latest(connection, &latest),
            Event::Polled { connection, polled } => self.answer_polled(connection, &polled),
            Event::Refused { connection, refused } => self.refuse(connection, &refused),
            Event::Authenticate { connection, command_id, token } => {
                self.authenticate(connection, command_id.as_ref(), &token);
            }
            Event::SlowConsumer { connection, reason } => {
                let code = CloseCode::TRY_AGAIN_LATER;
                self.close(connection, code, &reason, Backlog::Drop, DisconnectReason::SlowConsumer);
            }
        }
    }

    fn answer_published(&mut self, id: ConnectionId, offset: u64) {
        let Some((Awaited::Published, reply)) = self.take_awaited(id) else { return };
        self.respond(id, &http_api::published(&self.site.epoch, offset), &reply);
    }

    fn answer_published_batch(&mut self, id: ConnectionId, outcomes: &[Outcome]) {
        let Some((Awaited::PublishedBatch, reply)) = self.take_awaited(id) else { return };
        self.respond(id, &http_api::published_batch(&self.site.epoch, outcomes), &reply);
    }

    fn answer_latest(&mut self, id: ConnectionId, latest: &Latest) {
        let Some((Awaited::Latest(known), reply)) = self.take_awaited(id) else { return };
        self.respond(id, &http_api::latest(&self.site.epoch, latest, &known), &reply);
    }

    fn answer_polled(&mut self, id: ConnectionId, polled: &Polled) {
        let Some((Awaited::Polled { topic, known, .. }, reply)) = self.take_awaited(id) else { return };
        self.respond(id, &http_api::polled(&self.site.epoch, &topic, polled, &known), &reply);
    }

    /// What the current request of a connection waits for, which it does no longer.
    pub(super) fn take_awaited(&mut self, id: ConnectionId) -> Option<(Awaited, Reply)> {
        self.connections.get_mut(id).and_then(Connection::conversation)?.take_awaited()
    }

    fn answer_subscribed(&mut self, id: ConnectionId, placement: Placement) {
        let Placement { offset, recovered, gap, .. } = placement;
        match self.take_awaited(id) {
            Some((Awaited::Subscribed(_), reply)) if recovered == Some(false) => {
                let held_after = gap.map_or(offset, |(_, to)| to);
                self.respond(id, &http_api::no_longer_held(&self.site.epoch, held_after), &reply);
            }
            Some((Awaited::Subscribed(upgrade), _)) => self.begin_raw(id, *upgrade, offset),
            Some((Awaited::Streamed(stream), reply)) => {
                self.begin_stream(id, &stream.topic, &reply, placement);
            }
            _ => {}
        }
    }

    fn begin_raw(&mut self, id: ConnectionId, upgrade: PendingUpgrade, offset: u64) {
        let epoch = self.site.epoch.clone();
        self.switch_protocols(
            id,
            upgrade,
            &[("Fanwire-Epoch", &epoch), ("Fanwire-Offset", &offset.to_string())],
        );
    }

    /// Sends what an event stream begins with. Its first event is the receipt.
    fn begin_stream(&mut self, id: ConnectionId, topic: &Topic, reply: &Reply, placement: Placement) {
        let head = http_api::stream_head(&self.site.epoch, placement.offset);
        self.shard.reply(id, &head.to_octets(reply));
        self.shard.begin_stream(id, topic, placement);
        let now_ms = self.now.monotonic_ms;
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.phase = Phase::EventStream(Liveness::default());
        connection.since_ms = now_ms;
        tracing::debug!(peer = self.peer(id), identity = self.known_as(id), "streaming");
        self.arm_deadline(id);
    }

    /// Tells a connection that what it asked for was not done: by a status, or by closing, since a raw publisher can be told
    /// in no other way.
    fn refuse(&mut self, id: ConnectionId, refused: &Refused) {
        if let Some((_, reply)) = self.take_awaited(id) {
            return self.respond(id, &http_api::refused(refused), &reply);
        }
        let (code, reason) = (close_code_of(refused.code), refused.code.as_str());
        self.close(id, code, reason, Backlog::Keep, DisconnectReason::Refused);
    }
}

/// What a raw connection is told when its publish was refused.
fn close_code_of(code: ErrorCode) -> CloseCode {
    match code {
        ErrorCode::MessageTooBig => CloseCode::TOO_BIG,
        ErrorCode::BinaryUnsupported | ErrorCode::TextUnsupported => CloseCode::UNSUPPORTED,
        ErrorCode::BadPayload => CloseCode::INVALID_PAYLOAD,
        ErrorCode::Unavailable | ErrorCode::TooManyTopics => CloseCode::TRY_AGAIN_LATER,
        ErrorCode::BadJson
        | ErrorCode::BadCommand
        | ErrorCode::UnknownCommand
        | ErrorCode::BadTopic
        | ErrorCode::BadSince
        | ErrorCode::BadToken
        | ErrorCode::Forbidden
        | ErrorCode::Overlap
        | ErrorCode::AlreadySubscribed
        | ErrorCode::NotSubscribed
        | ErrorCode::TooManySubscriptions
        | ErrorCode::TooManyPatterns
        | ErrorCode::PolicyNotAllowed
        | ErrorCode::NotKept
        | ErrorCode::MovedOn
        | ErrorCode::BatchTooLarge
        | ErrorCode::NotTogether
        | ErrorCode::Aborted
        | ErrorCode::Superseded => CloseCode::POLICY,
    }
}
