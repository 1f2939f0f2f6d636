//! What a shard does while memory is short.

use super::Shard;
use crate::lanes::ConnectionId;
use crate::pressure::{Pressure, Pressures};
use crate::topic_table::SWEEP_EVERY_MS;

impl Shard {
    /// Tells how short memory is, from here on.
    pub fn set_pressures(&mut self, pressures: Pressures) {
        self.pressures = pressures;
        self.table.set_may_grow(pressures.histories < Pressure::Scarce);
    }

    /// The connections that hold the most in their write queues, the most first, at most `count` of them.
    pub fn largest_backlogs(&self, count: usize) -> Vec<ConnectionId> {
        let slots = self.connections.largest_backlogs(count);
        slots.into_iter().map(|slot| self.connections.id(slot)).collect()
    }

    /// Halves histories once a second, some of them each turn.
    pub(super) fn ease(&mut self) {
        if self.pressures.histories == Pressure::None || self.now.monotonic_ms < self.halve_at_ms {
            return;
        }
        if self.table.halve_histories() {
            self.halve_at_ms = self.now.monotonic_ms + SWEEP_EVERY_MS;
        }
    }

    /// The bound on one connection's write queue, in bytes.
    pub(super) fn backlog_bound(&self) -> usize {
        match self.pressures.backlogs {
            Pressure::None | Pressure::Tight => self.settings.backlog_bytes,
            Pressure::Scarce | Pressure::Exhausted => self.settings.backlog_bytes / 2,
        }
    }
}
