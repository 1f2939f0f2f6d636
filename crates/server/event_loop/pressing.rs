//! What a core does while memory is short: see `docs/LIMITS.md` for the order.

use std::mem;

use fanwire_broker::shard::{Backlog, Counters};
use fanwire_broker::{ConnectionId, Pressure};
use fanwire_wire::close::CloseCode;

use super::EventLoop;
use super::reading::SCRATCH_BYTES;
use crate::connection::{Phase, Place};
use crate::guard::{Holdings, LOOK_EVERY_MS, Shortage};
use crate::metrics::DisconnectReason;

/// How often connections are closed while memory is exhausted, in milliseconds: what the last ones held has to show first.
const CLOSE_EVERY_MS: u64 = 100;

/// Connections that a core closes at once at most. At 256 KiB each this is more than a publisher fills in that time.
const CLOSED_AT_ONCE: usize = 128;

/// Of messages that have not come whole or wait for their turn, less than this is no reason to close their connection: every
/// publisher that is in a hurry has its messages cut by reads, and holds no more of them.
const CUT_BYTES: usize = SCRATCH_BYTES;

/// Who was closed, and still holds more than this when connections are closed again, is let go of: the rest of a long frame that
/// was begun, or of TLS records, which only a client that reads would take. A close frame is less, and may wait to be read.
const TOLD_BYTES: usize = 4 * 1024;

/// How a core sees the shortage of memory.
#[derive(Debug, Default)]
pub(super) struct Pinch {
    shortage: Shortage,
    /// When publishers are read again, once each.
    relent_at_ms: u64,
    /// When connections are closed again.
    close_at_ms: u64,
    /// Those who were closed the last time.
    told: Vec<ConnectionId>,
}

impl Pinch {
    /// When to look again, if memory is short.
    pub(super) fn next_ms(&self) -> Option<u64> {
        let relents = (self.shortage.general() > Pressure::None).then_some(self.relent_at_ms);
        let closes = (self.shortage.of_slow_readers() == Pressure::Exhausted).then_some(self.close_at_ms);
        relents.into_iter().chain(closes).min()
    }
}

impl EventLoop {
    /// Says what this core holds, and does what the shortage of memory asks for.
    pub(super) fn look_at_memory(&mut self, counters: &Counters) {
        let holdings = Holdings {
            history_bytes: counters.kept_bytes,
            backlog_bytes: counters.backlog_bytes + counters.reply_bytes,
            context_bytes: self.contexts.bytes(),
            incoming_bytes: (self.connections.kept().incoming + self.early_frames.bytes()) as u64,
            connections: self.connections.len() as u64,
            topics: counters.topics,
            subscriptions: counters.subscriptions,
        };
        self.metrics.set_memory(holdings.total_bytes());
        let before = self.pinch.shortage;
        let (core, now_ms) = (self.shard.core(), self.now.monotonic_ms);
        let shortage = self.site.guard.memory().report(core, holdings, before, now_ms);
        if shortage != before {
            self.note_shortage(shortage);
        }
        self.press();
    }

    /// Whether publishers are to wait.
    pub(super) fn is_scarce(&self) -> bool {
        self.pinch.shortage.general() >= Pressure::Scarce
    }

    fn note_shortage(&mut self, shortage: Shortage) {
        let was_scarce = self.is_scarce();
        self.pinch.shortage = shortage;
        self.shard.set_pressures(shortage.of_shard());
        self.metrics.set_shortage(shortage);
        if was_scarce && !self.is_scarce() {
            self.read_publishers();
        }
        if self.site.guard.memory().announce(shortage) {
            log(shortage);
            self.site.control.wake_all();
        }
    }

    fn press(&mut self) {
        let (shortage, now_ms) = (self.pinch.shortage, self.now.monotonic_ms);
        if shortage.general() > Pressure::None && self.pinch.relent_at_ms <= now_ms {
            self.pinch.relent_at_ms = now_ms + LOOK_EVERY_MS;
            self.read_publishers();
        }
        if shortage.of_slow_readers() == Pressure::Exhausted && self.pinch.close_at_ms <= now_ms {
            self.pinch.close_at_ms = now_ms + CLOSE_EVERY_MS;
            // What was let go of has to show before anybody else pays.
            if !self.drop_who_was_told() {
                self.close_largest_holders();
            }
        }
    }

    /// Has every publisher that waits read once more: what it sends may free memory, and it is never stuck for good.
    fn read_publishers(&mut self) {
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            connection.publishes = false;
            let is_paused = connection.place == Place::Paused;
            if is_paused && !self.is_blocked(id) {
                self.resume(id);
            }
        }
    }

    /// Closes those who hold the most: in their write queues, and behind these of TLS records; and where everybody pays, of
    /// messages that do not become whole or wait for their turn.
    fn close_largest_holders(&mut self) {
        let everybody_pays = self.pinch.shortage.general() == Pressure::Exhausted;
        let early_frames = self.early_frames.bytes_by_connection();
        let connections = &self.connections;
        let incoming = |id| {
            let bytes = connections.incoming_bytes(id) + early_frames.get(&id).copied().unwrap_or(0);
            if everybody_pays && bytes >= CUT_BYTES { bytes } else { 0 }
        };
        let besides = |id| connections.unsent_bytes(id) + incoming(id);
        let largest = self.shard.largest_holders(CLOSED_AT_ONCE, besides);
        for id in &largest {
            self.give_up(*id);
            self.handle_shard_events();
        }
        self.pinch.told = largest;
    }

    /// Lets go of those who were closed the last time, and hold much all the same. Returns whether there were any.
    fn drop_who_was_told(&mut self) -> bool {
        let mut told = mem::take(&mut self.pinch.told);
        told.retain(|id| self.shard.held_bytes(*id) + self.connections.unsent_bytes(*id) > TOLD_BYTES);
        for id in &told {
            self.drop_connection(*id, DisconnectReason::ShortOfMemory);
            self.handle_shard_events();
        }
        !told.is_empty()
    }

    /// Closes a connection without what is queued for it. One that is closing already has been told all that there is to say.
    fn give_up(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let reason = DisconnectReason::ShortOfMemory;
        if matches!(connection.phase, Phase::Closing(_)) {
            return self.drop_connection(id, reason);
        }
        let text = "the broker is short of memory, and this connection holds much of it";
        self.close(id, CloseCode::TRY_AGAIN_LATER, text, Backlog::Drop, reason);
    }

    /// Notes that the connection publishes.
    pub(super) fn note_publisher(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.publishes = true;
        }
    }
}

/// Says how short memory is, by the names and numbers of the figure `fanwire_memory_pressure`.
fn log(shortage: Shortage) {
    let Shortage { own, kernel, histories, backlogs } = shortage;
    let [everything, sockets, histories, backlogs] =
        [own, kernel, histories, backlogs].map(|level| level as u8);
    if shortage == Shortage::default() {
        tracing::info!("memory is not short any more");
    } else {
        tracing::warn!(
            everything,
            sockets,
            histories,
            backlogs,
            "memory is short: 1 is from 80 % of the limit on, 2 from 90 %, 3 from 100 %; docs/LIMITS.md has what is given up at each"
        );
    }
}
