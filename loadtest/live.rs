//! What a run shows of itself while it runs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Figures that the threads of a run write now and then, and whoever watches reads.
#[derive(Debug, Default)]
pub struct Live {
    has_begun: AtomicBool,
    delivered: AtomicU64,
    p99_ns: AtomicU64,
}

impl Live {
    /// Whether all connections stand, so that messages are sent.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Relaxed)
    }

    /// Deliveries since the start.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// The newest end-to-end p99 in nanoseconds, of the thread whose is the worst of those that have said one since this was
    /// asked the last time; 0 if none has.
    pub fn take_p99_ns(&self) -> u64 {
        self.p99_ns.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn begin(&self) {
        self.has_begun.store(true, Ordering::Relaxed);
    }

    pub(crate) fn add_delivered(&self, deliveries: u64, p99_ns: u64) {
        self.delivered.fetch_add(deliveries, Ordering::Relaxed);
        self.p99_ns.fetch_max(p99_ns, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_thread_since_the_last_look_is_seen() {
        let live = Live::default();
        live.add_delivered(10, 5_000);
        live.add_delivered(20, 3_000);
        assert_eq!((live.delivered(), live.take_p99_ns()), (30, 5_000));
        live.add_delivered(1, 2_000);
        assert_eq!((live.delivered(), live.take_p99_ns(), live.take_p99_ns()), (31, 2_000, 0));
    }
}
