//! Writing to sockets what the shard has for them.

use fanwire_broker::Flushed;
use fanwire_broker::lanes::ConnectionId;

use super::EventLoop;
use crate::connection::{Phase, Place};
use crate::metrics::DisconnectReason;
use crate::transport::Written;

/// What one turn writes at most, in bytes, before it looks at what has come in. The rest is flushed in the next
/// turn, ahead of any sleep.
const FLUSH_BYTES_PER_TURN: usize = 4 * 1024 * 1024;

/// What a write counts for besides its bytes, so that many small ones end a turn too: about what the kernel
/// copies in the time of a `send`.
const WRITE_COST_BYTES: usize = 1024;

impl EventLoop {
    /// Writes what waits to be written, as far as the turn's budget goes.
    pub(super) fn flush(&mut self) {
        let mut budget = FLUSH_BYTES_PER_TURN;
        while budget > 0 {
            let Some(id) = self.shard.poll_flush() else { break };
            let written = self.write_once(id);
            budget = budget.saturating_sub(written + WRITE_COST_BYTES);
        }
        self.handle_shard_events();
    }

    /// Writes once to a connection. Returns the bytes that its socket took.
    fn write_once(&mut self, id: ConnectionId) -> usize {
        let Some(mut connection) = self.connections.get_mut(id) else { return 0 };
        let Ok(Written { accepted, sent }) =
            connection.transport.write(self.shard.output(id), &mut self.sealed)
        else {
            self.drop_connection(id, DisconnectReason::Reset);
            return 0;
        };
        // Asked here, where it is known how it was written, it costs a plain write next to nothing.
        if !connection.transport.is_flushed() {
            self.connections.count_kept(id);
            let Some(same) = self.connections.get_mut(id) else { return 0 };
            connection = same;
        }
        self.metrics.add_bytes_out(sent as u64);
        let flushed = self.shard.wrote(id, accepted);
        if connection.place == Place::Paused && self.shard.may_read_from(id) {
            // What it was paused for was this: an answer, or room for more of them.
            self.resume(id);
        } else if flushed == Flushed::Empty && matches!(connection.phase, Phase::Closing(_)) {
            self.end_if_closing(id);
        }
        accepted
    }

    /// A socket can take more: first what is left of earlier records, and only then what the shard has.
    pub(super) fn handle_writable(&mut self, id: ConnectionId) {
        if !self.flush_records(id) {
            return;
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        let waits_to_end = matches!(&connection.phase, Phase::Closing(closing) if !closing.flushed);
        self.shard.handle_writable(id);
        self.handle_shard_events();
        if waits_to_end && self.shard.is_flushed(id) {
            self.end_if_closing(id);
        }
    }

    /// Writes what is left of earlier records. Returns whether nothing of them is left.
    fn flush_records(&mut self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if connection.transport.is_flushed() {
            return true;
        }
        let Ok(sent) = connection.transport.flush() else {
            self.drop_connection(id, DisconnectReason::Reset);
            return false;
        };
        let is_flushed = connection.transport.is_flushed();
        self.metrics.add_bytes_out(sent as u64);
        self.connections.count_kept(id);
        is_flushed
    }
}
