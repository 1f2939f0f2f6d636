//! What a run shows of itself while it runs.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that the threads of a run write now and then, and whoever watches reads.
#[derive(Debug, Default)]
pub struct Live {
    sent: AtomicU64,
    delivered: AtomicU64,
    p99_ns: AtomicU64,
}

impl Live {
    /// Messages that were sent since the start.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Deliveries since the start.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// The newest end-to-end p99, in nanoseconds; 0 before there is one.
    pub fn p99_ns(&self) -> u64 {
        self.p99_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn add_sent(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }

    pub(crate) fn add_delivered(&self, deliveries: u64, p99_ns: u64) {
        self.delivered.fetch_add(deliveries, Ordering::Relaxed);
        self.p99_ns.store(p99_ns, Ordering::Relaxed);
    }
}
