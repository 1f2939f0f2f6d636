//! What time ends: requests that do not become whole, polls that wait, tokens, silent peers, closes without an answer.

use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::Backlog;
use fanwire_wire::close::CloseCode;
use fanwire_wire::event_stream::HEARTBEAT;

use super::EventLoop;
use crate::config::Timeouts;
use crate::connection::{Connection, Phase, Place};
use crate::demo;
use crate::guard::Standing;
use crate::http_api;
use crate::listener;
use crate::metrics::DisconnectReason;

/// How long somebody who is not let in has for its request, in milliseconds: who looks after the broker has it ready, and few
/// have a place.
const REFUSED_PATIENCE_MS: u64 = 1_000;

/// An unmasked ping without payload (RFC 6455 §5.5.2).
const PING: [u8; 2] = [0x89, 0x00];

impl EventLoop {
    /// Has a connection looked at when its patience ends, which may now be sooner than it was. Later needs no call:
    /// the deadline is worked out again when the timer goes off.
    pub(super) fn arm_deadline(&mut self, id: ConnectionId) {
        if let Some(deadline_ms) = self.deadline_ms(id) {
            self.timers.arm(id.slot, id.generation, deadline_ms);
        }
    }

    /// When a connection is to be looked at: when its patience ends, or its token, or ours with one that sends too fast.
    fn deadline_ms(&mut self, id: ConnectionId) -> Option<u64> {
        let token_deadline_ms = self.token_deadline_ms(id).unwrap_or(u64::MAX);
        let timeouts = self.timeouts_of(id);
        let connection = self.connections.get_mut(id)?;
        let deadline_ms = connection.deadline_ms(&timeouts).min(token_deadline_ms);
        let now_ms = self.now.monotonic_ms;
        Some(match self.rates.standing(id.slot, now_ms) {
            Standing::Over { look_again_ms } if connection.place == Place::Paused => {
                deadline_ms.min(look_again_ms)
            }
            Standing::Within | Standing::Over { .. } | Standing::Hopeless(_) => deadline_ms,
        })
    }

    fn timeouts_of(&self, id: ConnectionId) -> Timeouts {
        let timeouts = self.site.timeouts;
        match self.connections.admission(id).refusal() {
            Some(_) => Timeouts { handshake_ms: timeouts.handshake_ms.min(REFUSED_PATIENCE_MS), ..timeouts },
            None => timeouts,
        }
    }

    /// Looks at every connection whose timer has gone off.
    pub(super) fn expire_deadlines(&mut self) {
        let mut due = Vec::new();
        self.timers.expire(self.now.monotonic_ms, &mut due);
        for (slot, generation) in due {
            self.expire(ConnectionId { slot, generation });
            self.handle_shard_events();
        }
    }

    fn expire(&mut self, id: ConnectionId) {
        if let Some(due) = self.token_due(id) {
            return self.expire_token(id, due);
        }
        let now_ms = self.now.monotonic_ms;
        if let Standing::Hopeless(kind) = self.rates.standing(id.slot, now_ms) {
            self.end_for_rate(id, kind.key());
        }
        let is_blocked = self.is_blocked(id);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.place == Place::Paused {
            // We do not read from it, so its silence says nothing.
            connection.since_ms = now_ms;
            if !is_blocked {
                self.resume(id);
            }
        }
        if self.deadline_ms(id).is_some_and(|deadline_ms| deadline_ms > now_ms) {
            return self.arm_deadline(id);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        match &connection.phase {
            Phase::Http(conversation) if conversation.is_awaiting() => {
                self.end_poll(id);
                self.arm_deadline(id);
            }
            Phase::Proxied => self.drop_connection(id, DisconnectReason::HandshakeTimeout),
            Phase::Http(_) => self.expire_http(id),
            Phase::WebSocket(_) => self.expire_web_socket(id),
            Phase::EventStream(_) => self.look_for_life(id),
            Phase::Closing(closing) => {
                let (is_flushed, reason) = (closing.flushed, closing.reason);
                self.expire_closing(id, is_flushed, reason);
            }
            Phase::Gone => {}
        }
    }

    /// Lets go of a connection that does not close, unless its client still takes what is left of its answer.
    fn expire_closing(&mut self, id: ConnectionId, is_flushed: bool, reason: DisconnectReason) {
        let has_read = !is_flushed && self.has_acknowledged(id);
        if has_read && self.deadline_ms(id).is_some_and(|deadline_ms| deadline_ms > self.now.monotonic_ms) {
            return self.arm_deadline(id);
        }
        if let Some(drain) = &mut self.drain {
            drain.cut_off += 1;
        }
        self.drop_connection(id, reason);
    }

    /// Tells a client whose request is not whole that it is late; one that is idle sees the end.
    fn expire_http(&mut self, id: ConnectionId) {
        if let Some(refusal) = self.connections.admission(id).refusal() {
            return self.tell_refused(id, refusal);
        }
        let Some(conversation) = self.connections.get_mut(id).and_then(Connection::conversation) else {
            return;
        };
        let owes_request = conversation.is_in_request();
        if conversation.has_begun() {
            self.shard.reply(id, &http_api::request_timeout());
        }
        let reason =
            if owes_request { DisconnectReason::HandshakeTimeout } else { DisconnectReason::ServerClosed };
        self.begin_closing(id, reason);
    }

    fn expire_web_socket(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.leaves_at_ms().is_some_and(|leaves_at_ms| leaves_at_ms <= self.now.monotonic_ms) {
            return self.close(
                id,
                CloseCode::NORMAL,
                demo::FAREWELL,
                Backlog::Keep,
                DisconnectReason::ServerClosed,
            );
        }
        self.look_for_life(id);
    }

    /// Asks a subscriber that seems silent whether it lives.
    fn look_for_life(&mut self, id: ConnectionId) {
        if !self.has_acknowledged(id) {
            self.ping_or_give_up(id);
        }
        self.arm_deadline(id);
    }

    /// Whether the peer has acknowledged bytes other than pings since it was last looked at: a subscriber that
    /// only receives is alive. Notes when the last acknowledgement came.
    fn has_acknowledged(&mut self, id: ConnectionId) -> bool {
        let now_ms = self.now.monotonic_ms;
        let Some(connection) = self.connections.get_mut(id) else { return false };
        let Ok(progress) = listener::acknowledged(connection.transport.socket()) else { return false };
        let Some(liveness) = connection.liveness() else { return false };
        if progress.bytes <= liveness.acknowledged_bytes {
            return false;
        }
        liveness.acknowledged_bytes = progress.bytes;
        liveness.unanswered_pings = 0;
        connection.since_ms = now_ms.saturating_sub(progress.ms_ago).max(connection.since_ms);
        true
    }

    fn ping_or_give_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.since_ms = self.now.monotonic_ms;
        // A WebSocket peer answers for itself: that its kernel acknowledges the ping says nothing. An event stream's has
        // no answer but that.
        let ping_bytes = PING.len() as u64 + connection.transport.overhead_bytes();
        let (liveness, ping, acknowledged_anyway) = match &mut connection.phase {
            Phase::WebSocket(web_socket) => (&mut web_socket.liveness, &PING[..], ping_bytes),
            Phase::EventStream(liveness) => (liveness, HEARTBEAT, 0),
            Phase::Proxied | Phase::Http(_) | Phase::Closing(_) | Phase::Gone => return,
        };
        if liveness.unanswered_pings >= self.site.timeouts.unanswered_pings {
            return self.drop_connection(id, DisconnectReason::PingTimeout);
        }
        liveness.unanswered_pings += 1;
        liveness.acknowledged_bytes += acknowledged_anyway;
        self.shard.reply(id, ping);
    }
}
