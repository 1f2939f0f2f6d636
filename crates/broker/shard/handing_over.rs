//! From core to core: what waits for the lanes, and whether there is room for more.

use super::Shard;
use crate::lanes::{Delivery, Request};

impl Shard {
    /// Whether sockets may be read: what they bring has somewhere to go.
    pub fn may_read(&self) -> bool {
        let bound = self.settings.outbox_bytes;
        !self.is_stopping()
            && self.may_take_requests()
            && !self.requests.iter().any(|outbox| outbox.is_full(bound))
    }

    /// Whether requests may be taken from the mailbox: what they bring has somewhere to go.
    pub fn may_take_requests(&self) -> bool {
        let bound = self.settings.outbox_bytes;
        self.may_take_deliveries() && !self.deliveries.iter().any(|outbox| outbox.is_full(bound))
    }

    /// Whether deliveries may be taken from the mailbox. A flush makes it so.
    pub fn may_take_deliveries(&self) -> bool {
        !self.connections.palette.is_full()
    }

    /// What waits for the request lane to core `to`.
    pub fn poll_requests(&mut self, to: usize) -> Option<Vec<Request>> {
        self.requests[to].take()
    }

    /// The request lane had no room for what was polled last.
    pub fn restore_requests(&mut self, to: usize, batch: Vec<Request>) {
        self.requests[to].restore(batch, self.now.monotonic_ms);
    }

    /// What waits for the delivery lane to core `to`.
    pub fn poll_deliveries(&mut self, to: usize) -> Option<Vec<Delivery>> {
        self.deliveries[to].take()
    }

    /// The delivery lane had no room for what was polled last.
    pub fn restore_deliveries(&mut self, to: usize, batch: Vec<Delivery>) {
        self.deliveries[to].restore(batch, self.now.monotonic_ms);
    }

    /// Asks a home; this core itself at once.
    pub(super) fn request(&mut self, home: usize, request: Request) {
        if home == self.core {
            self.handle_request(home, request);
        } else {
            self.requests[home].push(request);
        }
    }

    /// Sends to a core; this core itself at once.
    pub(super) fn deliver_to(&mut self, core: usize, delivery: Delivery) {
        if core == self.core {
            self.handle_delivery(core, delivery);
        } else {
            self.deliveries[core].push(delivery);
        }
    }
}
