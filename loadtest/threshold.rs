//! What a run must keep, for continuous integration: `ws.p99<5ms`.
//!
//! ```text
//!   poll:100ms . p99 <= 150ms
//!   series       metric │ value, with the metric's unit
//!                       < <= > >=
//! ```

#![expect(clippy::cast_precision_loss, reason = "limits have a few digits, and an f64 has fifteen")]

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use crate::percentile::{Distribution, Latency, Percentile};
use crate::record::{Record, Series};
use crate::report::figures;
use crate::report::quantities::{PerDelivery, achieved_rate, broker_cpu};
use crate::units::{BadValue, Count, Period, Rate, Size};

/// A series, a metric, and what it must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    series: String,
    metric: Metric,
    relation: Relation,
    /// In the metric's own unit: nanoseconds, octets, or a number.
    limit: f64,
    /// As it was written.
    text: String,
}

/// What of a series is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Percentile(Percentile),
    Mean,
    Lost,
    Doubled,
    Disordered,
    Bytes,
    Cpu,
    Resident,
    Rate,
}

/// What a metric is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Time,
    Size,
    Count,
    Rate,
}

/// How it must stand to the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// All metrics, by name.
const METRICS: [(&str, Metric); 13] = [
    ("p50", Metric::Percentile(Percentile::P50)),
    ("p90", Metric::Percentile(Percentile::P90)),
    ("p99", Metric::Percentile(Percentile::P99)),
    ("p99.9", Metric::Percentile(Percentile::P99_9)),
    ("max", Metric::Percentile(Percentile::MAX)),
    ("mean", Metric::Mean),
    ("lost", Metric::Lost),
    ("doubled", Metric::Doubled),
    ("disordered", Metric::Disordered),
    ("bytes", Metric::Bytes),
    ("cpu", Metric::Cpu),
    ("rss", Metric::Resident),
    ("rate", Metric::Rate),
];

/// The names of all metrics.
pub fn metrics() -> impl Iterator<Item = &'static str> {
    METRICS.into_iter().map(|(name, _)| name)
}

/// All relations, the longer of two with the same beginning first.
const RELATIONS: [(&str, Relation); 4] = [
    ("<=", Relation::LessOrEqual),
    (">=", Relation::GreaterOrEqual),
    ("<", Relation::Less),
    (">", Relation::Greater),
];

/// Why a text is no threshold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThresholdError {
    /// There is no `<`, `<=`, `>` or `>=` in it.
    NoRelation(String),
    /// What is before the relation is not a series, a dot and a metric.
    NoMetric(String),
    /// What is behind it is no value of the metric.
    NoValue(BadValue),
}

/// A threshold that a record does not keep.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The value is beyond the limit.
    Missed {
        /// Which threshold, as it was written.
        threshold: String,
        /// The value, for people.
        found: String,
    },
    /// The record has no such series.
    UnknownSeries {
        /// Which threshold, as it was written.
        threshold: String,
        /// The series that it has.
        there: Vec<String>,
    },
    /// The record does not say.
    NotMeasured {
        /// Which threshold, as it was written.
        threshold: String,
    },
}

impl Threshold {
    /// The name of the series that it is about.
    pub fn series(&self) -> &str {
        &self.series
    }

    /// What a record does not keep of this; empty when it keeps it.
    pub fn check(&self, record: &Record) -> Vec<Failure> {
        self.failure(record).into_iter().collect()
    }

    /// The one thing that can be wrong.
    fn failure(&self, record: &Record) -> Option<Failure> {
        let threshold = self.text.clone();
        let Some(series) = record.series.iter().find(|series| series.name == self.series) else {
            let there = record.series.iter().map(|series| series.name.clone()).collect();
            return Some(Failure::UnknownSeries { threshold, there });
        };
        let Some(value) = self.metric.of(series) else { return Some(Failure::NotMeasured { threshold }) };
        let found = self.metric.unit().print(value);
        (!self.relation.holds(value, self.limit)).then_some(Failure::Missed { threshold, found })
    }
}

impl Metric {
    /// Its value; none when it was not measured.
    fn of(self, series: &Series) -> Option<f64> {
        let measured = &series.merged;
        let counts = &measured.counts;
        let latency = |percentile| Distribution::of(measured).percentile(percentile);
        let counted = |count: u64| (counts.expected > 0).then_some(count as f64);
        match self {
            Self::Percentile(percentile) => latency(percentile).map(Latency::nanoseconds),
            Self::Mean => latency(Percentile::MAX).map(|slowest| match slowest {
                Latency::Finite(_) => measured.latencies.end_to_end.mean(),
                Latency::Infinite => f64::INFINITY,
            }),
            Self::Lost => counted(counts.lost),
            Self::Doubled => counted(counts.doubled),
            Self::Disordered => counted(counts.disordered),
            Self::Bytes => PerDelivery::of(&measured.bytes).map(|each| each.ip),
            Self::Cpu => broker_cpu(measured),
            Self::Resident => measured.broker.map(|broker| broker.resident as f64),
            Self::Rate => achieved_rate(series),
        }
    }

    /// What it is counted in.
    fn unit(self) -> Unit {
        match self {
            Self::Percentile(_) | Self::Mean | Self::Cpu => Unit::Time,
            Self::Bytes | Self::Resident => Unit::Size,
            Self::Lost | Self::Doubled | Self::Disordered => Unit::Count,
            Self::Rate => Unit::Rate,
        }
    }
}

impl Unit {
    /// Reads a value, as the same value is read everywhere else.
    fn parse(self, text: &str) -> Result<f64, BadValue> {
        match self {
            Self::Time => text.parse().map(|time: Period| time.ns() as f64),
            Self::Size => text.parse().map(|Size(octets)| octets as f64),
            Self::Count => text.parse().map(|Count(count)| count as f64),
            Self::Rate => text.parse().map(Rate::per_second),
        }
    }

    /// Writes a value.
    fn print(self, value: f64) -> String {
        match self {
            Self::Time => figures::duration(value),
            Self::Size => figures::octets(value),
            Self::Count | Self::Rate => figures::significant(value),
        }
    }
}

impl Relation {
    /// Whether a value keeps it.
    fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::LessOrEqual => value <= limit,
            Self::Greater => value > limit,
            Self::GreaterOrEqual => value >= limit,
        }
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let at = text.find(['<', '>']).ok_or_else(|| ThresholdError::NoRelation(text.to_owned()))?;
        let (subject, rest) = (text[..at].trim(), &text[at..]);
        let (sign, relation) = RELATIONS
            .into_iter()
            .find(|(sign, _)| rest.starts_with(sign))
            .expect("`<` and `>` are relations");
        let named = METRICS.into_iter().find_map(|(name, metric)| {
            let series = subject.strip_suffix(name)?.strip_suffix('.')?;
            (!series.is_empty()).then_some((series, metric))
        });
        let (series, metric) = named.ok_or_else(|| ThresholdError::NoMetric(subject.to_owned()))?;
        let value = rest[sign.len()..].trim();
        let limit = metric.unit().parse(value).map_err(ThresholdError::NoValue)?;
        Ok(Self { series: series.to_owned(), metric, relation, limit, text: text.to_owned() })
    }
}

impl Display for Threshold {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Display for ThresholdError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRelation(text) => {
                write!(f, "`{text}` has no <, <=, > or >=: write SERIES.METRIC<VALUE, such as ws.p99<5ms")
            }
            Self::NoMetric(subject) => {
                let metrics = metrics().collect::<Vec<_>>().join(", ");
                write!(
                    f,
                    "`{subject}` is not SERIES.METRIC, such as poll:100ms.p99; the metrics are {metrics}"
                )
            }
            Self::NoValue(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for ThresholdError {}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missed { threshold, found } => write!(f, "{threshold} failed: it was {found}"),
            Self::UnknownSeries { threshold, there } => {
                write!(f, "{threshold} failed: there is no such series, only {}", there.join(", "))
            }
            Self::NotMeasured { threshold } => write!(f, "{threshold} failed: it was not measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Metric, Relation, f64) {
        let Threshold { series, metric, relation, limit, .. } = text.parse().expect("a threshold");
        (series, metric, relation, limit)
    }

    #[test]
    fn a_series_may_have_colons_digits_and_dots_in_its_name() {
        let cases = [
            ("ws.p99<5ms", ("ws", Metric::Percentile(Percentile::P99), Relation::Less, 5e6)),
            (
                "poll:100ms.p99<=150ms",
                ("poll:100ms", Metric::Percentile(Percentile::P99), Relation::LessOrEqual, 150e6),
            ),
            ("ws.p99.9 < 1.5s", ("ws", Metric::Percentile(Percentile::P99_9), Relation::Less, 1.5e9)),
            ("ws@1.5k.rate>=990", ("ws@1.5k", Metric::Rate, Relation::GreaterOrEqual, 990.0)),
            ("ws.rss<64MiB", ("ws", Metric::Resident, Relation::Less, 67_108_864.0)),
            ("ws.lost<=0", ("ws", Metric::Lost, Relation::LessOrEqual, 0.0)),
            ("sse.bytes>1B", ("sse", Metric::Bytes, Relation::Greater, 1.0)),
            ("ws.max<2m", ("ws", Metric::Percentile(Percentile::MAX), Relation::Less, 120e9)),
            ("ws.bytes<1kB", ("ws", Metric::Bytes, Relation::Less, 1_000.0)),
            ("ws.bytes<300", ("ws", Metric::Bytes, Relation::Less, 300.0)),
            ("ws at 1k/s.lost<1k", ("ws at 1k/s", Metric::Lost, Relation::Less, 1_000.0)),
            ("ws.rate>=990.5", ("ws", Metric::Rate, Relation::GreaterOrEqual, 990.5)),
        ];
        for (text, (series, metric, relation, limit)) in cases {
            assert_eq!(parsed(text), (series.to_owned(), metric, relation, limit), "{text}");
        }
    }

    #[test]
    fn what_is_no_threshold_is_told_what_is() {
        let cases = [
            (
                "ws.p99=5ms",
                "`ws.p99=5ms` has no <, <=, > or >=: write SERIES.METRIC<VALUE, such as ws.p99<5ms",
            ),
            (
                ".p99<5ms",
                "`.p99` is not SERIES.METRIC, such as poll:100ms.p99; the metrics are p50, p90, p99, p99.9, max, mean, \
                 lost, doubled, disordered, bytes, cpu, rss, rate",
            ),
            ("ws.p99<5", "\"5\" is not a length of time with its unit, such as 500us, 100ms, 1.5s, 2m or 1h"),
            ("ws.lost<1ms", "\"1ms\" is not a whole number such as 20, 1k or 2.5k"),
            ("ws.rate>x", "\"x\" is not a rate in messages a second such as 0.5, 100, 1k or 2.5k"),
            ("ws.rss<5ms", "\"5ms\" is not a size in octets such as 20, 128B, 1kB (1000) or 1KiB (1024)"),
        ];
        for (text, message) in cases {
            assert_eq!(text.parse::<Threshold>().expect_err(text).to_string(), message);
        }
        assert!("ws.p95<5ms".parse::<Threshold>().is_err());
    }
}
