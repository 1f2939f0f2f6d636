//! Moving batches between this core's shard and the others', through the mailboxes.

use std::vec;

use fanwire_broker::lanes::{Delivery, Request};

use super::EventLoop;

/// Batches taken from one lane in a turn at most, so that cores that send without pause do not keep this one
/// from its sockets.
const BATCHES_PER_TURN: usize = 64;

/// The rest of a batch that was taken from a lane, when the shard had no room for all of it.
pub(super) struct Inbox<T> {
    from: usize,
    items: vec::IntoIter<T>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { from: 0, items: Vec::new().into_iter() }
    }
}

impl<T> Inbox<T> {
    fn is_empty(&self) -> bool {
        self.items.as_slice().is_empty()
    }

    /// Takes a batch in place of the last one, which is used up.
    fn refill(&mut self, batch: Option<(usize, Vec<T>)>) -> bool {
        let Some((from, items)) = batch else { return false };
        *self = Self { from, items: items.into_iter() };
        true
    }
}

impl EventLoop {
    /// Hands each core what waits for it. What does not fit stays in front, and this core is woken when it does.
    pub(super) fn hand_over(&mut self) {
        for to in 0..self.site.cores {
            if let Some(batch) = self.shard.poll_requests(to)
                && let Err(batch) = self.mailbox.send_requests(to, batch)
            {
                self.shard.restore_requests(to, batch);
            }
            if let Some(batch) = self.shard.poll_deliveries(to)
                && let Err(batch) = self.mailbox.send_deliveries(to, batch)
            {
                self.shard.restore_deliveries(to, batch);
            }
        }
    }

    /// Takes in what other cores have sent, deliveries first: handling one never sends to a mailbox, so they always
    /// drain, and what waits for them goes on.
    pub(super) fn drain_mailbox(&mut self) {
        self.drain_deliveries();
        self.drain_requests();
    }

    /// Whether the rest of a batch can be gone on with.
    pub(super) fn has_mail(&self) -> bool {
        (!self.deliveries.is_empty() && self.shard.may_take_deliveries())
            || (!self.requests.is_empty() && self.shard.may_take_requests())
    }

    fn drain_deliveries(&mut self) {
        for _ in 0..BATCHES_PER_TURN {
            while self.shard.may_take_deliveries()
                && let Some(delivery) = self.deliveries.items.next()
            {
                self.take_delivery(delivery);
            }
            if !self.deliveries.is_empty() || !self.deliveries.refill(self.mailbox.receive_deliveries()) {
                return;
            }
        }
    }

    fn drain_requests(&mut self) {
        for _ in 0..BATCHES_PER_TURN {
            while self.shard.may_take_requests()
                && let Some(request) = self.requests.items.next()
            {
                self.take_request(request);
            }
            if !self.requests.is_empty() || !self.requests.refill(self.mailbox.receive_requests()) {
                return;
            }
        }
    }

    fn take_delivery(&mut self, delivery: Delivery) {
        self.shard.handle_delivery(self.deliveries.from, delivery);
        self.handle_shard_events();
    }

    fn take_request(&mut self, request: Request) {
        self.shard.handle_request(self.requests.from, request);
        self.handle_shard_events();
    }
}
