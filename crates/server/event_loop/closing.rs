//! The end of a connection.
//!
//! ```text
//!   close ──► our last bytes are flushed ──► our side ends ──► the peer's side ends ──► gone
//!     └──────────── within `timeouts.close`; what the peer still sends is read and thrown away ─┘
//! ```
//!
//! An answer over HTTP may be long, and its client slow: that one has as much time again whenever it has read some of it.
//!
//! A socket that is closed with unread input resets the connection, and a reset takes our last bytes with it
//! (RFC 9112 §9.6): so the peer's end is waited for.

use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::Backlog;
use fanwire_wire::close::CloseCode;

use super::EventLoop;
use crate::config::Period;
use crate::connection::{Closing, Liveness, Phase};
use crate::http_api::{self, Reply};
use crate::metrics::DisconnectReason;

impl EventLoop {
    /// Closes a WebSocket connection with a close frame, or ends an event stream. One that closes already does so on the
    /// terms that it was told; one that speaks HTTP, and is owed no answer that could say why, is let go: it would take a
    /// close frame for the rest of its last one.
    pub(super) fn close(
        &mut self,
        id: ConnectionId,
        code: CloseCode,
        text: &str,
        backlog: Backlog,
        reason: DisconnectReason,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.phase {
            Phase::WebSocket(_) | Phase::EventStream(_) => {
                self.shard.close(id, code, text, backlog);
                self.begin_closing(id, reason);
            }
            Phase::Proxied | Phase::Http(_) => self.drop_connection(id, reason),
            Phase::Closing(_) | Phase::Gone => {}
        }
    }

    /// Ends a connection that has sent too fast for too long, and tells it which limit that was: behind its receipt, if one
    /// is on the way. Until then it is not read, and after that it comes here again.
    pub(super) fn end_for_rate(&mut self, id: ConnectionId, key: &str) {
        if self.awaits_receipt(id) {
            return;
        }
        let patience = Period(self.site.limits.patience_ms);
        let text = format!("over {key} for {patience}");
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.phase {
            Phase::Http(_) => {
                self.shard.reply(id, &http_api::over_rate(&text).to_octets(&Reply::to_nonsense()));
                self.begin_closing(id, DisconnectReason::OverRate);
            }
            Phase::WebSocket(_) | Phase::EventStream(_) => {
                self.close(id, CloseCode::POLICY, &text, Backlog::Keep, DisconnectReason::OverRate);
            }
            Phase::Proxied | Phase::Closing(_) | Phase::Gone => {}
        }
    }

    /// Ends a connection after the bytes that are queued for it.
    pub(super) fn begin_closing(&mut self, id: ConnectionId, reason: DisconnectReason) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let liveness = matches!(connection.phase, Phase::Http(_)).then(Liveness::default);
        connection.phase = Phase::Closing(Closing { flushed: false, peer_ended: false, reason, liveness });
        connection.since_ms = self.now.monotonic_ms;
        // What had not come whole has gone.
        self.connections.count_kept(id);
        self.arm_deadline(id);
        self.resume(id);
        if self.shard.is_flushed(id) {
            self.end_if_closing(id);
        }
    }

    /// Everything queued was handed to the kernel: a connection that closes ends its side.
    pub(super) fn end_if_closing(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Phase::Closing(closing) = &mut connection.phase else { return };
        let has_broken = match connection.transport.end() {
            // The rest goes out with the next edge.
            Ok(false) => return self.connections.count_kept(id),
            Ok(true) => false,
            Err(_) => true,
        };
        closing.flushed = true;
        let is_over = closing.peer_ended || has_broken;
        let reason = closing.reason;
        self.connections.count_kept(id);
        if is_over {
            self.drop_connection(id, reason);
        }
    }

    /// The peer's side has ended: what it asked for is still answered, and nothing more is read.
    pub(super) fn handle_end(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.readable = false;
        match &connection.phase {
            Phase::Http(_) => self.begin_closing(id, DisconnectReason::ClientClosed),
            Phase::Proxied | Phase::WebSocket(_) => {
                return self.drop_connection(id, DisconnectReason::Reset);
            }
            // It has no other way to say goodbye.
            Phase::EventStream(_) => return self.drop_connection(id, DisconnectReason::ClientClosed),
            Phase::Closing(_) | Phase::Gone => {}
        }
        self.note_peer_end(id);
    }

    fn note_peer_end(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Phase::Closing(closing) = &mut connection.phase else { return };
        closing.peer_ended = true;
        if closing.flushed {
            let reason = closing.reason;
            self.drop_connection(id, reason);
        }
    }

    /// Lets go of a connection now, whatever is queued for it.
    pub(super) fn drop_connection(&mut self, id: ConnectionId, reason: DisconnectReason) {
        let Some((last_phase, admission)) = self.connections.remove(id) else { return };
        self.forget_admission(admission);
        let reason = match last_phase {
            Phase::Closing(closing) => closing.reason,
            _ => reason,
        };
        self.metrics.add_disconnect(reason);
        let (peer, identity) = (self.peer(id), self.known_as(id));
        tracing::debug!(peer, identity, reason = reason.as_str(), "disconnected");
        self.sessions.end(id.slot);
        self.site.guard.memory().release_contexts(self.contexts.end(id.slot));
        self.shard.disconnect(id);
        self.entrance.expect_room();
    }
}
