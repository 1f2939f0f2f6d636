//! What the broker counts, and how it is told to Prometheus.
//!
//! Each core counts for itself: one thread writes a [`CoreMetrics`], so that counting is a plain addition, and any
//! thread may read it. [`Metrics`] adds nothing up: every figure carries its core as a label, because an uneven
//! load is the first thing to look for. What they are bounded by together stands beside them.

mod disconnect_reason;
mod page;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanwire_broker::shard::Counters;
use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

pub use self::disconnect_reason::DisconnectReason;
use self::page::{PRESSURES, Page};
use crate::guard::{Budget, Refusal, Shortage};

/// The content type of what [`Metrics::render`] returns (`OpenMetrics` 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of all cores.
#[derive(Debug)]
pub struct Metrics {
    cores: Arc<[Arc<CoreMetrics>]>,
    registry: Registry,
}

impl Metrics {
    /// Figures for so many cores, all zero, and what all clients may have together.
    pub(crate) fn new(cores: usize, budget: Budget) -> Self {
        let cores: Arc<[_]> = (0..cores).map(|_| Arc::default()).collect();
        let mut registry = Registry::with_prefix("fanwire");
        registry.register_collector(Box::new(Page { cores: Arc::clone(&cores), budget }));
        Self { cores, registry }
    }

    /// The figures of one core, for its event loop to write.
    pub fn core(&self, core: usize) -> Arc<CoreMetrics> {
        Arc::clone(&self.cores[core])
    }

    /// All figures as text, in the format of [`CONTENT_TYPE`].
    pub fn render(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a string takes what is written to it");
        page
    }
}

/// The figures of one core. Only the core's own thread may write them.
#[derive(Debug, Default)]
pub struct CoreMetrics {
    turns: Figure,
    handshakes: Figure,
    messages_in: Figure,
    bytes_in: Figure,
    bytes_out: Figure,
    accept_errors: Figure,
    throttled_reads: Figure,
    context_refusals: Figure,
    contexts: Figure,
    context_bytes: Figure,
    disconnects: [Figure; DisconnectReason::ALL.len()],
    refusals: [Figure; Refusal::ALL.len()],
    /// By version, 1.2 and 1.3, and by whether they went on from an earlier one.
    tls_handshakes: [[Figure; 2]; 2],
    connections: Figure,
    requests_depth: Figure,
    deliveries_depth: Figure,
    messages_published: Figure,
    deliveries: Figure,
    messages_skipped: Figure,
    backlog_bytes: Figure,
    kept_bytes: Figure,
    memory_bytes: Figure,
    compressions: Figure,
    /// By what memory is short for.
    pressures: [Figure; PRESSURES.len()],
    topics: Figure,
    subscriptions: Figure,
    event_streams: Figure,
    polls: Figure,
}

impl CoreMetrics {
    /// The core has gone round once.
    pub fn add_turn(&self) {
        self.turns.add(1);
    }

    /// A connection became a WebSocket.
    pub fn add_handshake(&self) {
        self.handshakes.add(1);
    }

    /// A TLS handshake is done.
    pub fn add_tls_handshake(&self, is_1_3: bool, is_resumed: bool) {
        self.tls_handshakes[usize::from(is_1_3)][usize::from(is_resumed)].add(1);
    }

    /// A client sent a WebSocket message, or a message to publish over HTTP.
    pub fn add_message_in(&self) {
        self.messages_in.add(1);
    }

    /// So many bytes were read from sockets, before decryption and decompression.
    pub fn add_bytes_in(&self, bytes: u64) {
        self.bytes_in.add(bytes);
    }

    /// So many bytes were written to sockets, after compression and encryption.
    pub fn add_bytes_out(&self, bytes: u64) {
        self.bytes_out.add(bytes);
    }

    /// A connection could not be taken in.
    pub fn add_accept_error(&self) {
        self.accept_errors.add(1);
    }

    /// A read brought more than the connection may send, which is not read for a while.
    pub fn add_throttled_read(&self) {
        self.throttled_reads.add(1);
    }

    /// There was no memory for the contexts of compression that a connection could have had for itself.
    pub fn add_context_refusal(&self) {
        self.context_refusals.add(1);
    }

    /// The connections with contexts of compression for themselves, and what these take, in bytes.
    pub fn set_contexts(&self, connections: u64, bytes: u64) {
        self.contexts.set(connections);
        self.context_bytes.set(bytes);
    }

    /// A connection has ended.
    pub fn add_disconnect(&self, reason: DisconnectReason) {
        self.disconnects[reason as usize].add(1);
    }

    /// A connection was not let in.
    pub(crate) fn add_refusal(&self, refusal: Refusal) {
        self.refusals[refusal as usize].add(1);
    }

    /// The connections that are open now.
    pub fn set_connections(&self, connections: u64) {
        self.connections.set(connections);
    }

    /// The batches that wait in the core's mailbox now: requests, deliveries.
    pub fn set_mailbox_depth(&self, (requests, deliveries): (usize, usize)) {
        self.requests_depth.set(requests as u64);
        self.deliveries_depth.set(deliveries as u64);
    }

    /// What the core holds, in bytes.
    pub fn set_memory(&self, bytes: u64) {
        self.memory_bytes.set(bytes);
    }

    /// How short memory is, as the core sees it.
    pub(crate) fn set_shortage(&self, shortage: Shortage) {
        let Shortage { own, kernel, histories, backlogs } = shortage;
        for (figure, level) in self.pressures.iter().zip([own, kernel, histories, backlogs]) {
            figure.set(level as u64);
        }
    }

    /// What the core's shard has counted since it started, and what it holds now.
    pub fn set_shard(&self, counters: &Counters) {
        self.messages_published.set(counters.messages_published);
        self.deliveries.set(counters.deliveries);
        self.messages_skipped.set(counters.messages_skipped);
        self.backlog_bytes.set(counters.backlog_bytes);
        self.kept_bytes.set(counters.kept_bytes);
        self.compressions.set(counters.compressions);
        self.topics.set(counters.topics);
        self.subscriptions.set(counters.subscriptions);
        self.event_streams.set(counters.event_streams);
        self.polls.set(counters.polls);
    }
}

/// A number that one thread writes and others read. Figures are independent of each other, so nothing needs to
/// be ordered; and with one writer, adding is a load and a store, without the bus lock of an atomic addition.
#[derive(Debug, Default)]
struct Figure(AtomicU64);

impl Figure {
    fn add(&self, amount: u64) {
        self.set(self.value().wrapping_add(amount));
    }

    fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
