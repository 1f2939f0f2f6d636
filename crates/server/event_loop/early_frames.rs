//! Frames that were read before their turn.

use std::collections::{HashMap, VecDeque};

use fanwire_broker::lanes::ConnectionId;

/// Frames that came together with the handshake in front of them, or that a turn had no time for: first in, first out.
#[derive(Debug, Default)]
pub(super) struct EarlyFrames {
    waiting: VecDeque<(ConnectionId, Vec<u8>)>,
    bytes: usize,
}

impl EarlyFrames {
    pub(super) fn push(&mut self, id: ConnectionId, frames: Vec<u8>) {
        self.bytes += frames.capacity();
        self.waiting.push_back((id, frames));
    }

    pub(super) fn pop(&mut self) -> Option<(ConnectionId, Vec<u8>)> {
        let (id, frames) = self.waiting.pop_front()?;
        self.bytes -= frames.capacity();
        Some((id, frames))
    }

    /// Of how many connections there are some.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What those of each connection take, in bytes. A connection has some once at most.
    pub(super) fn bytes_by_connection(&self) -> HashMap<ConnectionId, usize> {
        self.waiting.iter().map(|(id, frames)| (*id, frames.capacity())).collect()
    }

    /// What they take, in bytes: as much as one read of each connection.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_its_turn_counts_until_it_has_it() {
        let mut early = EarlyFrames::default();
        let ids = [0, 1].map(|slot| ConnectionId { slot, generation: 0 });
        for id in ids {
            early.push(id, Vec::with_capacity(1_000));
        }
        assert_eq!((early.len(), early.bytes()), (2, 2_000));
        assert_eq!(early.bytes_by_connection(), HashMap::from(ids.map(|id| (id, 1_000))));
        assert_eq!(early.pop().map(|(id, _)| id), Some(ids[0]));
        assert_eq!((early.len(), early.bytes()), (1, 1_000));
        assert_eq!(early.pop().map(|(id, _)| id), Some(ids[1]));
        assert_eq!((early.pop(), early.is_empty(), early.bytes()), (None, true, 0));
    }
}
