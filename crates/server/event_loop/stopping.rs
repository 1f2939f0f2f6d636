//! The ordered shutdown.
//!
//! ```text
//!   Running ──► Draining ────────► Stopping ─────────────► Closing ────────────► Stopped
//!            nobody new comes;  no core reads any more;  who is left is told   nobody is left
//!            connections are    what was accepted is     1012 and flushed
//!            sent away in turn  routed to its end
//! ```
//!
//! So nothing that a publisher got a receipt for is lost on the way to a subscriber that keeps up and is still there. One
//! that is catching up is told goodbye where it is: it has its position.

use super::EventLoop;
use super::draining::Drain;

/// How far a core has come with stopping. Deadlines are on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It serves.
    Running,
    /// It serves those that it has not sent away yet.
    Draining { deadline_ms: u64 },
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
            Self::Draining { deadline_ms }
            | Self::Stopping { deadline_ms }
            | Self::Closing { deadline_ms } => Some(deadline_ms),
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
            self.begin_draining();
        }
        if let Stage::Draining { deadline_ms } = self.stage
            && self.is_drained()
        {
            self.begin_stopping(deadline_ms);
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
        if is_done || is_late {
            self.stage = Stage::Stopped;
            self.say_who_was_cut_off();
        }
    }

    fn say_who_was_cut_off(&self) {
        let before = self.drain.as_ref().map_or(0, |drain| drain.cut_off);
        let connections = before + self.connections.len();
        if connections > 0 {
            tracing::warn!(core = self.shard.core(), connections, "did not close in time, and were cut off");
        }
    }

    fn begin_draining(&mut self) {
        let timeouts = self.site.timeouts;
        let now_ms = self.now.monotonic_ms;
        let patience_ms = timeouts.drain_ms.saturating_add(timeouts.close_ms.min(timeouts.drain_ms));
        self.stage = Stage::Draining { deadline_ms: now_ms.saturating_add(patience_ms) };
        self.entrance.shut();
        self.drain = Some(Drain::begin(self.connections.ids(), timeouts.drain_ms, now_ms));
    }

    /// Whether every core has sent its connections away. The last to have done so wakes the others.
    fn is_drained(&mut self) -> bool {
        if !self.has_drained && self.send_away_who_is_due() {
            self.has_drained = true;
            self.site.control.note_drained();
        }
        self.has_drained && self.site.control.are_all_drained()
    }

    fn begin_stopping(&mut self, deadline_ms: u64) {
        self.stage = Stage::Stopping { deadline_ms };
        self.shard.stop();
        self.handle_shard_events();
        self.hand_over();
    }

    fn close_everyone(&mut self) {
        let now_ms = self.now.monotonic_ms;
        let retry_after_ms = self.drain.as_ref().map_or(0, |drain| drain.retry_after_ms(now_ms));
        for id in self.connections.ids() {
            self.send_away(id, retry_after_ms);
            self.handle_shard_events();
        }
    }
}
