//! The ordered shutdown: no request is left behind, and no delivery.

use super::Shard;
use crate::lanes::{Delivery, Request};

/// How far the ordered shutdown has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stopping {
    begun: bool,
    /// The cores that have sent their last request, as bits.
    requests_ended: u64,
    /// The cores that have sent their last delivery, as bits.
    deliveries_ended: u64,
}

impl Shard {
    /// Begins it. From here on the server reads no socket. When every core has sent its last request, this one sends
    /// its last delivery; when every core has sent that, [`Self::is_stopped`].
    pub fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping.begun, true) {
            (0..self.cores()).for_each(|core| self.request(core, Request::Stop));
        }
    }

    /// Whether everything that was published has come to this core's write queues, and to the polls that waited for it:
    /// the connections can be closed.
    pub fn is_stopped(&self) -> bool {
        self.stopping.deliveries_ended == self.every_core() && !self.has_answers()
    }

    /// Whether it has begun.
    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.begun
    }

    /// No request follows from this core.
    pub(super) fn requests_ended(&mut self, from: usize) {
        self.stopping.requests_ended |= 1 << from;
        if self.stopping.requests_ended == self.every_core() {
            (0..self.cores()).for_each(|core| self.deliver_to(core, Delivery::Stop));
        }
    }

    /// No delivery follows from this core.
    pub(super) fn deliveries_ended(&mut self, from: usize) {
        self.stopping.deliveries_ended |= 1 << from;
    }
}
