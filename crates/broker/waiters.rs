//! The polls that wait for a topic's next message.

use std::collections::BTreeMap;

use crate::lanes::{PollTicket, Waiter};

/// The polls that wait at one topic, by their core and slot: a connection has one at most. The order makes one delivery
/// for each core of what all of them are answered.
#[derive(Debug, Default)]
pub(crate) struct Waiters(BTreeMap<(usize, u32), Waiter>);

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn insert(&mut self, core: usize, waiter: Waiter) {
        self.0.insert((core, waiter.ticket.connection.slot), waiter);
    }

    /// Takes out the poll with this ticket, if it still waits.
    pub(crate) fn remove(&mut self, core: usize, ticket: PollTicket) -> Option<Waiter> {
        let place = (core, ticket.connection.slot);
        self.0.get(&place).filter(|waiter| waiter.ticket == ticket)?;
        self.0.remove(&place)
    }

    /// Everyone, core by core.
    pub(crate) fn by_core(self) -> Vec<(usize, Vec<Waiter>)> {
        let mut cores: Vec<(usize, Vec<Waiter>)> = Vec::new();
        for ((core, _), waiter) in self.0 {
            match cores.last_mut() {
                Some((last, waiters)) if *last == core => waiters.push(waiter),
                _ => cores.push((core, vec![waiter])),
            }
        }
        cores
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::ConnectionId;

    fn waiter(slot: u32, serial: u32) -> Waiter {
        let connection = ConnectionId { slot, generation: 0 };
        Waiter { ticket: PollTicket { connection, serial }, recovered: None }
    }

    #[test]
    fn each_core_has_its_waiters_once() {
        let mut waiters = Waiters::default();
        for (core, slot) in [(2, 1), (0, 7), (2, 0), (0, 1)] {
            waiters.insert(core, waiter(slot, slot));
        }
        let expected = [(0, vec![waiter(1, 1), waiter(7, 7)]), (2, vec![waiter(0, 0), waiter(1, 1)])];
        assert_eq!(waiters.by_core(), expected);
    }

    #[test]
    fn the_end_of_an_earlier_poll_leaves_the_next_one_of_the_connection_waiting() {
        let mut waiters = Waiters::default();
        waiters.insert(0, waiter(7, 2));
        assert_eq!(waiters.remove(0, waiter(7, 1).ticket), None);
        assert_eq!(waiters.remove(1, waiter(7, 2).ticket), None);
        assert_eq!(waiters.remove(0, waiter(7, 2).ticket), Some(waiter(7, 2)));
        assert!(waiters.is_empty());
    }
}
