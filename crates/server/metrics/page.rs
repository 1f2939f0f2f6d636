//! The figures as a page of Prometheus': their names, their units and what they are.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::{CoreMetrics, DisconnectReason, Figure};
use crate::guard::{Budget, Refusal};

/// What memory can be short for, in the order of the fields of [`Shortage`](crate::guard::Shortage).
pub(super) const PRESSURES: [&str; 4] = ["everything", "sockets", "histories", "backlogs"];

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

static GAUGES: [Family; 10] = [
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
        name: "memory",
        unit: Some(Unit::Bytes),
        help: "Everything that the core holds, as limits.memory counts it",
        figure: |core| &core.memory_bytes,
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
pub(super) struct Page {
    pub(super) cores: Arc<[Arc<CoreMetrics>]>,
    pub(super) budget: Budget,
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Page of {} cores", self.cores.len())
    }
}

impl Collector for Page {
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
        self.encode_mailbox_depths(&mut encoder)?;
        self.encode_limits(&mut encoder)
    }
}

impl Page {
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

    /// What all cores have together, so that no core stands there.
    fn encode_limits(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let Budget { connections, memory, history_memory, backlog_memory, context_memory } = self.budget;
        let kind = MetricType::Gauge;
        let help = "As many connections as there may be";
        let most = encoder.encode_descriptor("connections_limit", help, None, kind)?;
        ConstGauge::new(connections as u64).encode(most)?;
        let help = "What may be held of each kind";
        let mut samples = encoder.encode_descriptor("memory_limit", help, Some(&Unit::Bytes), kind)?;
        let [everything, _, histories, backlogs] = PRESSURES;
        for (of, bytes) in [
            (everything, memory),
            (histories, history_memory),
            (backlogs, backlog_memory),
            ("contexts", context_memory),
        ] {
            ConstGauge::new(bytes).encode(samples.encode_family(&[("of", of)])?)?;
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
