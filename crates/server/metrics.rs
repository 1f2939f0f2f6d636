//! What the broker counts, and how it is told to Prometheus.
//!
//! Each core counts for itself: one thread writes a [`CoreMetrics`], so that counting is a plain addition, and any
//! thread may read it. [`Metrics`] adds nothing up: every figure carries its core as a label, because an uneven
//! load is the first thing to look for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fanwire_broker::shard::Counters;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::guard::{Refusal, Shortage};

/// The content type of what [`Metrics::render`] returns (`OpenMetrics` 1.0).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of all cores.
#[derive(Debug)]
pub struct Metrics {
    cores: Arc<[Arc<CoreMetrics>]>,
    registry: Registry,
}

impl Metrics {
    /// Figures for so many cores, all zero.
    pub fn new(cores: usize) -> Self {
        let cores: Arc<[_]> = (0..cores).map(|_| Arc::default()).collect();
        let mut registry = Registry::with_prefix("fanwire");
        registry.register_collector(Box::new(Figures { cores: Arc::clone(&cores) }));
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

/// What memory can be short for, in the order of the fields of [`Shortage`].
const PRESSURES: [&str; 4] = ["everything", "sockets", "histories", "backlogs"];

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client said goodbye, or its HTTP connection had served its purpose.
    ClientClosed,
    /// The broker had nothing more to say: it said goodbye.
    ServerClosed,
    /// The client has gone without a goodbye.
    Reset,
    /// The client broke RFC 6455, or sent what no broker of this protocol takes.
    ProtocolError,
    /// What it asked for was refused, and there is nothing else that it is for.
    Refused,
    /// Its backlog was full, and its overflow policy says to disconnect.
    SlowConsumer,
    /// What it sent is no TLS that is spoken here, or its certificate was refused.
    TlsFailed,
    /// No whole request came in time.
    HandshakeTimeout,
    /// Pings stayed without an answer.
    PingTimeout,
    /// Its token expired, and it had no other in time.
    TokenExpired,
    /// It sent faster than it may for too long.
    OverRate,
    /// Memory was exhausted, and its write queue held much of it.
    ShortOfMemory,
    /// The broker stops.
    Shutdown,
}

impl DisconnectReason {
    /// Every reason, in the order of the variants.
    pub const ALL: [Self; 13] = [
        Self::ClientClosed,
        Self::ServerClosed,
        Self::Reset,
        Self::ProtocolError,
        Self::Refused,
        Self::SlowConsumer,
        Self::TlsFailed,
        Self::HandshakeTimeout,
        Self::PingTimeout,
        Self::TokenExpired,
        Self::OverRate,
        Self::ShortOfMemory,
        Self::Shutdown,
    ];

    /// The reason as the label of a figure.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::Reset => "reset",
            Self::ProtocolError => "protocol_error",
            Self::Refused => "refused",
            Self::SlowConsumer => "slow_consumer",
            Self::TlsFailed => "tls_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::PingTimeout => "ping_timeout",
            Self::TokenExpired => "token_expired",
            Self::OverRate => "over_rate",
            Self::ShortOfMemory => "short_of_memory",
            Self::Shutdown => "shutdown",
        }
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

/// A family of figures without labels but the core.
struct Family {
    /// Without the prefix, the unit and the `_total` of a counter, which the encoder adds.
    name: &'static str,
    unit: Option<Unit>,
    help: &'static str,
    figure: fn(&CoreMetrics) -> &Figure,
}

static COUNTERS: [Family; 12] = [
    Family {
        name: "turns",
        unit: None,
        help: "How often the core has gone round: what it does between two of these is bounded",
        figure: |core| &core.turns,
    },
    Family {
        name: "handshakes",
        unit: None,
        help: "Connections that became WebSockets",
        figure: |core| &core.handshakes,
    },
    Family {
        name: "received_messages",
        unit: None,
        help: "Messages that clients sent",
        figure: |core| &core.messages_in,
    },
    Family {
        name: "published_messages",
        unit: None,
        help: "Messages that topics took",
        figure: |core| &core.messages_published,
    },
    Family {
        name: "deliveries",
        unit: None,
        help: "Messages given to subscribers, one for each message and subscriber",
        figure: |core| &core.deliveries,
    },
    Family {
        name: "skipped_messages",
        unit: None,
        help: "Messages that subscribers were not given, and told of by count: newer ones took their place, or they were too old",
        figure: |core| &core.messages_skipped,
    },
    Family {
        name: "received",
        unit: Some(Unit::Bytes),
        help: "Bytes read from sockets",
        figure: |core| &core.bytes_in,
    },
    Family {
        name: "sent",
        unit: Some(Unit::Bytes),
        help: "Bytes written to sockets",
        figure: |core| &core.bytes_out,
    },
    Family {
        name: "accept_errors",
        unit: None,
        help: "Connections that could not be taken in",
        figure: |core| &core.accept_errors,
    },
    Family {
        name: "throttled_reads",
        unit: None,
        help: "Reads after which a connection was over its rate, and not read for a while",
        figure: |core| &core.throttled_reads,
    },
    Family {
        name: "compressions",
        unit: None,
        help: "Frames that were compressed, each for as many subscribers as could share it",
        figure: |core| &core.compressions,
    },
    Family {
        name: "context_refusals",
        unit: None,
        help: "Connections for whose own contexts of compression there was no memory, and which share",
        figure: |core| &core.context_refusals,
    },
];

static GAUGES: [Family; 9] = [
    Family { name: "connections", unit: None, help: "Open connections", figure: |core| &core.connections },
    Family {
        name: "event_streams",
        unit: None,
        help: "Open connections that are event streams",
        figure: |core| &core.event_streams,
    },
    Family {
        name: "polls",
        unit: None,
        help: "Polls that wait for their answer",
        figure: |core| &core.polls,
    },
    Family {
        name: "backlog",
        unit: Some(Unit::Bytes),
        help: "What write queues hold",
        figure: |core| &core.backlog_bytes,
    },
    Family {
        name: "kept",
        unit: Some(Unit::Bytes),
        help: "What histories, last values and message ids hold",
        figure: |core| &core.kept_bytes,
    },
    Family {
        name: "contexts",
        unit: None,
        help: "Connections with contexts of compression for themselves",
        figure: |core| &core.contexts,
    },
    Family {
        name: "contexts",
        unit: Some(Unit::Bytes),
        help: "What the contexts of compression take that connections have for themselves",
        figure: |core| &core.context_bytes,
    },
    Family { name: "topics", unit: None, help: "Topics at home on the core", figure: |core| &core.topics },
    Family {
        name: "subscriptions",
        unit: None,
        help: "Subscriptions of the core's connections",
        figure: |core| &core.subscriptions,
    },
];

/// Reads the figures whenever they are asked for.
struct Figures {
    cores: Arc<[Arc<CoreMetrics>]>,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Figures of {} cores", self.cores.len())
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &COUNTERS {
            self.encode_family(&mut encoder, family, MetricType::Counter)?;
        }
        for family in &GAUGES {
            self.encode_family(&mut encoder, family, MetricType::Gauge)?;
        }
        self.encode_disconnects(&mut encoder)?;
        self.encode_tls_handshakes(&mut encoder)?;
        self.encode_refusals(&mut encoder)?;
        self.encode_pressures(&mut encoder)?;
        self.encode_mailbox_depths(&mut encoder)
    }
}

impl Figures {
    fn cores(&self) -> impl Iterator<Item = (usize, &CoreMetrics)> {
        self.cores.iter().map(AsRef::as_ref).enumerate()
    }

    fn encode_family(
        &self,
        encoder: &mut DescriptorEncoder,
        family: &Family,
        kind: MetricType,
    ) -> fmt::Result {
        let mut samples = encoder.encode_descriptor(family.name, family.help, family.unit.as_ref(), kind)?;
        for (core, metrics) in self.cores() {
            encode_sample(&mut samples, &[("core", core)], kind, (family.figure)(metrics))?;
        }
        Ok(())
    }

    fn encode_disconnects(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let reasons = DisconnectReason::ALL.map(DisconnectReason::as_str);
        let names = ("disconnects", "Connections that have ended");
        self.encode_by_reason(encoder, names, &reasons, |core| &core.disconnects)
    }

    fn encode_refusals(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let reasons = Refusal::ALL.map(Refusal::as_str);
        let names = ("refusals", "Connections that were not let in");
        self.encode_by_reason(encoder, names, &reasons, |core| &core.refusals)
    }

    /// A family of counters with one for each of the `reasons`.
    fn encode_by_reason(
        &self,
        encoder: &mut DescriptorEncoder,
        (name, help): (&str, &str),
        reasons: &[&str],
        figures: fn(&CoreMetrics) -> &[Figure],
    ) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut samples = encoder.encode_descriptor(name, help, None, kind)?;
        for (core, metrics) in self.cores() {
            for (reason, figure) in reasons.iter().zip(figures(metrics)) {
                let labels = [("core", core.to_string()), ("reason", (*reason).to_owned())];
                encode_sample(&mut samples, &labels, kind, figure)?;
            }
        }
        Ok(())
    }

    fn encode_pressures(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let kind = MetricType::Gauge;
        let help =
            "How short memory is: 0 not at all, 1 from 80 %, 2 from 90 %, 3 from 100 % of what it is for";
        let mut samples = encoder.encode_descriptor("memory_pressure", help, None, kind)?;
        for (core, metrics) in self.cores() {
            for (of, figure) in PRESSURES.iter().zip(&metrics.pressures) {
                let labels = [("core", core.to_string()), ("of", (*of).to_owned())];
                encode_sample(&mut samples, &labels, kind, figure)?;
            }
        }
        Ok(())
    }

    fn encode_tls_handshakes(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let kind = MetricType::Counter;
        let mut samples =
            encoder.encode_descriptor("tls_handshakes", "TLS handshakes that were done", None, kind)?;
        for (core, metrics) in self.cores() {
            for (version, handshakes) in ["1.2", "1.3"].into_iter().zip(&metrics.tls_handshakes) {
                for (resumed, figure) in ["false", "true"].into_iter().zip(handshakes) {
                    let labels = [
                        ("core", core.to_string()),
                        ("version", version.to_owned()),
                        ("resumed", resumed.to_owned()),
                    ];
                    encode_sample(&mut samples, &labels, kind, figure)?;
                }
            }
        }
        Ok(())
    }

    fn encode_mailbox_depths(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let kind = MetricType::Gauge;
        let unit = Unit::Other("batches".to_owned());
        let mut samples =
            encoder.encode_descriptor("mailbox", "What waits for the core", Some(&unit), kind)?;
        for (core, metrics) in self.cores() {
            let lanes = [("requests", &metrics.requests_depth), ("deliveries", &metrics.deliveries_depth)];
            for (lane, depth) in lanes {
                let labels = [("core", core.to_string()), ("lane", lane.to_owned())];
                encode_sample(&mut samples, &labels, kind, depth)?;
            }
        }
        Ok(())
    }
}

fn encode_sample(
    samples: &mut MetricEncoder,
    labels: &impl EncodeLabelSet,
    kind: MetricType,
    figure: &Figure,
) -> fmt::Result {
    let sample = samples.encode_family(labels)?;
    match kind {
        MetricType::Counter => ConstCounter::new(figure.value()).encode(sample),
        _ => ConstGauge::new(figure.value()).encode(sample),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fanwire_broker::Pressure;

    use super::*;

    /// The samples of a page, by name with labels. Panics where the page is not `OpenMetrics` text: every family
    /// described before its samples, none twice, counters ending in `_total`, an end mark.
    fn samples(page: &str) -> BTreeMap<String, u64> {
        let body = page.strip_suffix("# EOF\n").expect("an end mark");
        let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
        let mut described = "";
        for line in body.lines() {
            if let Some(description) = line.strip_prefix("# ") {
                let (kind, rest) = description.split_once(' ').unwrap();
                let (name, text) = rest.split_once(' ').unwrap();
                assert!(!text.is_empty(), "{line}");
                match kind {
                    "HELP" => described = name,
                    "TYPE" => assert_eq!(families.insert(name, text), None, "{name} is described twice"),
                    "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{line}"),
                    _ => panic!("{line}"),
                }
                assert_eq!(name, described, "{line}");
                continue;
            }
            let (sample, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = sample.split_once('{').unwrap();
            assert!(labels.starts_with("core=\"") && labels.ends_with("\"}"), "{line}");
            let suffix = name.strip_prefix(described).expect("a sample of the family that was described");
            assert_eq!(suffix, if families[described] == "counter" { "_total" } else { "" }, "{line}");
            assert!(name.starts_with("fanwire_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            assert_eq!(
                samples.insert(sample.to_owned(), value.parse().unwrap()),
                None,
                "{sample} is there twice"
            );
        }
        samples
    }

    #[test]
    fn every_figure_is_rendered_under_its_own_name_and_core() {
        let metrics = Metrics::new(2);
        let core = metrics.core(1);
        (0..19).for_each(|_| core.add_turn());
        core.add_handshake();
        (0..2).for_each(|_| core.add_message_in());
        core.add_bytes_in(3);
        core.add_bytes_out(4);
        (0..5).for_each(|_| core.add_accept_error());
        core.add_throttled_read();
        (0..19).for_each(|_| core.add_context_refusal());
        core.set_contexts(20, 21);
        core.set_connections(6);
        (0..17).for_each(|_| core.add_tls_handshake(true, false));
        (0..18).for_each(|_| core.add_tls_handshake(false, true));
        core.set_mailbox_depth((7, 8));
        let [_, own, kernel, histories] = Pressure::ALL;
        core.set_shortage(Shortage { own, kernel, histories, backlogs: own });
        core.set_shard(&Counters {
            deliveries: 9,
            messages_published: 10,
            backlog_bytes: 11,
            topics: 12,
            subscriptions: 13,
            event_streams: 14,
            polls: 15,
            messages_skipped: 16,
            kept_bytes: 17,
            compressions: 22,
            reply_bytes: 0,
        });
        let expected = [
            ("fanwire_turns_total{core=\"1\"}", 19),
            ("fanwire_handshakes_total{core=\"1\"}", 1),
            ("fanwire_received_messages_total{core=\"1\"}", 2),
            ("fanwire_received_bytes_total{core=\"1\"}", 3),
            ("fanwire_sent_bytes_total{core=\"1\"}", 4),
            ("fanwire_accept_errors_total{core=\"1\"}", 5),
            ("fanwire_throttled_reads_total{core=\"1\"}", 1),
            ("fanwire_connections{core=\"1\"}", 6),
            ("fanwire_mailbox_batches{core=\"1\",lane=\"requests\"}", 7),
            ("fanwire_mailbox_batches{core=\"1\",lane=\"deliveries\"}", 8),
            ("fanwire_deliveries_total{core=\"1\"}", 9),
            ("fanwire_published_messages_total{core=\"1\"}", 10),
            ("fanwire_backlog_bytes{core=\"1\"}", 11),
            ("fanwire_kept_bytes{core=\"1\"}", 17),
            ("fanwire_memory_pressure{core=\"1\",of=\"everything\"}", 1),
            ("fanwire_memory_pressure{core=\"1\",of=\"sockets\"}", 2),
            ("fanwire_memory_pressure{core=\"1\",of=\"histories\"}", 3),
            ("fanwire_memory_pressure{core=\"1\",of=\"backlogs\"}", 1),
            ("fanwire_context_refusals_total{core=\"1\"}", 19),
            ("fanwire_compressions_total{core=\"1\"}", 22),
            ("fanwire_contexts{core=\"1\"}", 20),
            ("fanwire_contexts_bytes{core=\"1\"}", 21),
            ("fanwire_topics{core=\"1\"}", 12),
            ("fanwire_subscriptions{core=\"1\"}", 13),
            ("fanwire_event_streams{core=\"1\"}", 14),
            ("fanwire_polls{core=\"1\"}", 15),
            ("fanwire_skipped_messages_total{core=\"1\"}", 16),
            ("fanwire_tls_handshakes_total{core=\"1\",version=\"1.3\",resumed=\"false\"}", 17),
            ("fanwire_tls_handshakes_total{core=\"1\",version=\"1.2\",resumed=\"true\"}", 18),
        ];
        let samples = samples(&metrics.render());
        for (sample, value) in expected {
            assert_eq!(samples.get(sample), Some(&value), "{sample}");
        }
        assert_eq!(
            samples.values().filter(|value| **value != 0).count(),
            expected.len(),
            "core 0 did nothing"
        );
    }

    #[test]
    fn disconnects_are_counted_by_reason() {
        let metrics = Metrics::new(1);
        for (index, reason) in DisconnectReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index, "it has a place of its own");
            (0..=index).for_each(|_| metrics.core(0).add_disconnect(reason));
        }
        let samples = samples(&metrics.render());
        for (index, reason) in DisconnectReason::ALL.into_iter().enumerate() {
            let sample = format!("fanwire_disconnects_total{{core=\"0\",reason=\"{}\"}}", reason.as_str());
            assert_eq!(samples[&sample], index as u64 + 1, "{reason:?}");
        }
    }

    #[test]
    fn refusals_are_counted_by_reason() {
        let metrics = Metrics::new(1);
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "it has a place of its own");
            (0..=index).for_each(|_| metrics.core(0).add_refusal(refusal));
        }
        let samples = samples(&metrics.render());
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            let sample = format!("fanwire_refusals_total{{core=\"0\",reason=\"{}\"}}", refusal.as_str());
            assert_eq!(samples[&sample], index as u64 + 1, "{refusal:?}");
        }
    }

    #[test]
    fn counting_goes_on_from_what_was_counted() {
        let metrics = Metrics::new(1);
        metrics.core(0).add_bytes_in(40);
        metrics.core(0).add_bytes_in(2);
        assert_eq!(samples(&metrics.render())["fanwire_received_bytes_total{core=\"0\"}"], 42);
    }
}
