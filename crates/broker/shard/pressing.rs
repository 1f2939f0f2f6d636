//! What a shard does while memory is short.

use std::cmp::Reverse;

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

    /// The connections that hold the most in their write queues and `besides`, where they have so many bytes of which the
    /// shard does not know; the most first, at most `count` of them. Who holds nothing is none of them.
    pub fn largest_holders(
        &self,
        count: usize,
        besides: impl Fn(ConnectionId) -> usize,
    ) -> Vec<ConnectionId> {
        let mut holders: Vec<_> = self
            .connections
            .backlogs()
            .map(|(id, backlog_bytes)| (backlog_bytes + besides(id), id))
            .filter(|(bytes, _)| *bytes > 0)
            .collect();
        holders.sort_unstable_by_key(|(bytes, id)| (Reverse(*bytes), id.slot));
        holders.into_iter().take(count).map(|(_, id)| id).collect()
    }

    /// What the connection's write queue holds, in bytes: of one that is closed, what was begun, and its close frame.
    pub fn held_bytes(&self, id: ConnectionId) -> usize {
        self.connections.held_bytes(id)
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
