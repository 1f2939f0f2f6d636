//! The ordered shutdown.
//!
//! ```text
//!   Running ──► Stopping ────────────────► Closing ────────────► Stopped
//!            nothing is accepted or    everyone is told 1001   nobody is left
//!            read; what was accepted   and flushed
//!            is routed to its end
//! ```
//!
//! So nothing that a publisher got a receipt for is lost on the way to a subscriber that keeps up. One that is catching
//! up is told goodbye where it is: it has its position.

use fanwire_broker::lanes::ConnectionId;
use fanwire_broker::shard::Backlog;
use fanwire_wire::close::CloseCode;

use super::EventLoop;
use crate::connection::Phase;
use crate::http_api;
use crate::metrics::DisconnectReason;

/// How far a core has come with stopping. Deadlines are on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It serves.
    Running,
    /// Cores tell one another that no more comes, lane by lane.
    Stopping { deadline_ms: u64 },
    /// The connections are told, and flushed.
    Closing { deadline_ms: u64 },
    /// The thread ends.
    Stopped,
}

impl Stage {
    /// When what is left is cut off.
    pub(super) fn deadline_ms(self) -> Option<u64> {
        match self {
            Self::Stopping { deadline_ms } | Self::Closing { deadline_ms } => Some(deadline_ms),
            Self::Running | Self::Stopped => None,
        }
    }
}

impl EventLoop {
    /// Whether the broker was told to stop, and this core has not begun to.
    pub(super) fn is_due_to_stop(&self) -> bool {
        self.stage == Stage::Running && self.site.control.is_stopping()
    }

    /// Goes on to the next stage when this one is done, or out of time.
    pub(super) fn advance_shutdown(&mut self) {
        if self.is_due_to_stop() {
            self.begin_stopping();
        }
        if let Stage::Stopping { deadline_ms } = self.stage
            && self.shard.is_stopped()
        {
            self.stage = Stage::Closing { deadline_ms };
            self.close_everyone();
        }
        let is_done = matches!(self.stage, Stage::Closing { .. }) && self.connections.len() == 0;
        let is_late =
            self.stage.deadline_ms().is_some_and(|deadline_ms| deadline_ms <= self.now.monotonic_ms);
        if is_late && !is_done {
            tracing::warn!(
                connections = self.connections.len(),
                "the time to drain is over: these are cut off"
            );
        }
        if is_done || is_late {
            self.stage = Stage::Stopped;
        }
    }

    fn begin_stopping(&mut self) {
        self.stage = Stage::Stopping {
            deadline_ms: self.now.monotonic_ms.saturating_add(self.site.timeouts.drain_ms),
        };
        self.entrance.shut();
        self.shard.stop();
        self.handle_shard_events();
        self.hand_over();
    }

    fn close_everyone(&mut self) {
        for id in self.connections.ids() {
            self.say_goodbye(id);
            self.handle_shard_events();
        }
    }

    /// Tells a client that waits for an answer that none will come, and closes.
    fn turn_away(&mut self, id: ConnectionId) {
        if let Some((_, reply)) = self.take_awaited(id) {
            self.shard.reply(id, &http_api::stopping().to_octets(&reply.last()));
        }
        self.begin_closing(id, DisconnectReason::Shutdown);
    }

    fn say_goodbye(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.phase {
            Phase::Http(_) => self.turn_away(id),
            Phase::WebSocket(_) | Phase::EventStream(_) => {
                self.close(
                    id,
                    CloseCode::GOING_AWAY,
                    "the broker is stopping",
                    Backlog::Keep,
                    DisconnectReason::Shutdown,
                );
            }
            Phase::Closing(_) | Phase::Gone => {}
        }
    }
}
