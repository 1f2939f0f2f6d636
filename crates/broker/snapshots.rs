//! The snapshots that one connection has asked for: the last value of each key of a topic, or of all topics that a pattern
//! matches, and then what is live.
//!
//! They are read as what is caught up on is: one request outstanding, when the connection was sent everything else. So
//! however many it asks for, it holds one topic's values at a time, or a chunk of a pattern's.
//!
//! A pattern is live at a home at once. Its topics are *covered* in the order of their rows; what is routed of a topic
//! that is not, and that keeps values, is not for the subscription: it will be brought that value, or a newer one.

use std::collections::VecDeque;

use fanwire_wire::command::CommandId;

use crate::lanes::Ticket;
use crate::subscriptions::SubscriptionId;

/// What one connection waits for.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    waiting: VecDeque<Ticket>,
    outstanding: bool,
}

impl Snapshots {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.outstanding
    }

    /// Has the subscription wait for its snapshot, or for the next chunk of it.
    pub(crate) fn ask(&mut self, ticket: Ticket) {
        self.waiting.push_back(ticket);
    }

    /// Whose turn it is, if nothing is outstanding. It is then, unless [`Self::answered`].
    pub(crate) fn next(&mut self) -> Option<Ticket> {
        if self.outstanding {
            return None;
        }
        let ticket = self.waiting.pop_front()?;
        self.outstanding = true;
        Some(ticket)
    }

    /// The subscription has ended: what it waits for is not asked for.
    pub(crate) fn forget(&mut self, subscription: SubscriptionId) {
        self.waiting.retain(|ticket| ticket.subscription != subscription);
    }

    /// Nothing is outstanding any more.
    pub(crate) fn answered(&mut self) {
        self.outstanding = false;
    }
}

/// How far a snapshot of a pattern's topics has come.
#[derive(Debug)]
pub(crate) struct Coverage {
    /// Of the command that asked for it.
    pub(crate) id: Option<CommandId>,
    /// By home, the first row that is not covered.
    rows: Box<[u32]>,
    /// The home that is asked next.
    home: usize,
    /// The values that were given.
    pub(crate) count: u64,
}

/// Where the next chunk of a snapshot begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextChunk {
    pub(crate) home: usize,
    pub(crate) row: u32,
}

impl Coverage {
    /// Nothing, of so many homes.
    pub(crate) fn new(cores: usize, id: Option<CommandId>) -> Self {
        Self { id, rows: vec![0; cores].into(), home: 0, count: 0 }
    }

    pub(crate) fn covers(&self, home: usize, row: u32) -> bool {
        row < self.rows[home]
    }

    /// What to ask for next; nothing when all is covered.
    pub(crate) fn next(&self) -> Option<NextChunk> {
        let row = *self.rows.get(self.home)?;
        Some(NextChunk { home: self.home, row })
    }

    /// A chunk with `count` values has come, of the home that was asked. It goes on there with `next`, if at all.
    pub(crate) fn advance(&mut self, next: Option<u32>, count: u64) {
        self.count += count;
        self.rows[self.home] = next.unwrap_or(u32::MAX);
        self.home += usize::from(next.is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_homes_are_covered_one_after_the_other_row_by_row() {
        let mut coverage = Coverage::new(2, None);
        assert_eq!(coverage.next(), Some(NextChunk { home: 0, row: 0 }));
        coverage.advance(Some(10), 3);
        assert_eq!(coverage.next(), Some(NextChunk { home: 0, row: 10 }));
        assert_eq!([9, 10].map(|row| coverage.covers(0, row)), [true, false]);
        coverage.advance(None, 0);
        assert!(coverage.covers(0, 1_000_000) && !coverage.covers(1, 0));
        assert_eq!(coverage.next(), Some(NextChunk { home: 1, row: 0 }));
        coverage.advance(None, 2);
        assert_eq!((coverage.next(), coverage.count), (None, 5));
    }

    #[test]
    fn one_request_is_outstanding_at_a_time_in_the_order_in_which_they_were_asked_for() {
        let ticket = |serial| Ticket { subscription: 7, serial };
        let mut snapshots = Snapshots::default();
        snapshots.ask(ticket(1));
        snapshots.ask(ticket(2));
        assert_eq!((snapshots.next(), snapshots.next()), (Some(ticket(1)), None));
        snapshots.answered();
        assert_eq!((snapshots.next(), snapshots.is_empty()), (Some(ticket(2)), false));
        snapshots.answered();
        assert!(snapshots.is_empty());
    }
}
