//! What was measured, one value each.

use std::collections::BTreeMap;

/// A kind of figure, and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    DeliveriesPerSecond,
    /// The CPU time of all of the target's threads, in nanoseconds.
    CpuNsPerDelivery,
    LatencyP50Us,
    LatencyP99Us,
    LatencyP999Us,
    /// What a subscriber that is sent nothing adds to the target's resident memory.
    BytesPerConnection,
    CpuUsPerHandshake,
    /// What a subscriber adds to it that is sent something.
    BytesPerSubscriber,
    /// What its socket brings, with the headers of frames.
    WireBytesPerDelivery,
    /// How much of its core the client used: above 95 % it is the client that is measured.
    ClientBusyPercent,
}

impl Metric {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::DeliveriesPerSecond => "deliveries/s",
            Self::CpuNsPerDelivery => "CPU ns per delivery",
            Self::LatencyP50Us => "p50 µs",
            Self::LatencyP99Us => "p99 µs",
            Self::LatencyP999Us => "p99.9 µs",
            Self::BytesPerConnection => "resident bytes per connection",
            Self::BytesPerSubscriber => "resident bytes per subscriber",
            Self::WireBytesPerDelivery => "bytes on the wire per delivery",
            Self::CpuUsPerHandshake => "CPU µs per handshake",
            Self::ClientBusyPercent => "client busy %",
        }
    }
}

/// A round, and a slice of it: what has the same one was measured side by side.
pub(crate) type Moment = (usize, usize);

/// The values of one figure.
pub(crate) type Series = BTreeMap<Moment, f64>;

/// One figure of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) moment: Moment,
    pub(crate) workload: &'static str,
    pub(crate) target: &'static str,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

/// What a series is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Of {
    pub(crate) workload: &'static str,
    pub(crate) target: &'static str,
    pub(crate) metric: Metric,
}

/// Everything that a run has measured.
#[derive(Debug, Default)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

impl Samples {
    /// The values of one figure.
    pub(crate) fn series(&self, of: Of) -> Series {
        let is_of = |sample: &&Sample| {
            (sample.workload, sample.target, sample.metric) == (of.workload, of.target, of.metric)
        };
        self.0.iter().filter(is_of).map(|sample| (sample.moment, sample.value)).collect()
    }

    /// The series of a figure, in the order of `names`; those without a place there come last.
    pub(crate) fn targets(&self, workload: &str, metric: Metric, names: &[&str]) -> Vec<&'static str> {
        let is_of = |sample: &&Sample| sample.workload == workload && sample.metric == metric;
        let mut found = distinct(self.0.iter().filter(is_of).map(|sample| sample.target));
        found.sort_by_key(|target| names.iter().position(|name| name == target).unwrap_or(names.len()));
        found
    }

    /// The metrics of a workload.
    pub(crate) fn metrics(&self, workload: &str) -> Vec<Metric> {
        distinct(self.0.iter().filter(|sample| sample.workload == workload).map(|sample| sample.metric))
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
