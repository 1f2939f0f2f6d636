//! What a run leaves behind: everything that a report is made of, and nothing that it is not.
//!
//! ```text
//!   Record ─┬─ environment, configuration     what was run, and where
//!           ├─ verdict                        whether it can be trusted, and why not
//!           └─ series ──── Series             one for each transport (and step of a sweep)
//!                            ├─ repeats       each with its own medians, for the paired ratios
//!                            └─ merged        the histograms of all repeats, added up
//! ```
//! A [`Latency`] in JSON is a number of nanoseconds, the text `"Infinity"` for what was lost, or `null` for none at all: no
//! number stands for anything but itself.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::latencies::{histogram, serialized};
use crate::percentile::Latency;
use crate::workload::Slow;

/// The version of the schema that this program writes. One that changes what a field means counts up.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Which subcommand: `compare`, `pubsub`, `conn`, `sweep`.
    pub command: String,
    /// When the run began, in milliseconds since 1970-01-01 UTC.
    pub started_unix_ms: u64,
    /// The machine.
    pub environment: Environment,
    /// What was asked for.
    pub configuration: Configuration,
    /// Whether it can be trusted.
    pub verdict: Verdict,
    /// What was measured.
    pub series: Vec<Series>,
    /// Ratios of each series to the first one.
    pub ratios: Vec<Ratio>,
    /// Where latency begins to climb, for `sweep`: one for each transport.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub knees: Vec<Knee>,
    /// What was measured of connecting, for `conn`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connecting: Option<Connecting>,
}

/// The machine that a record was made on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Environment {
    /// As `/proc/cpuinfo` has it.
    pub cpu: String,
    /// Processors that the kernel shows.
    pub cores: usize,
    /// The generator's cores.
    pub generator_cores: Vec<usize>,
    /// The broker's cores, if this program has started it.
    pub broker_cores: Vec<usize>,
    /// `uname -r`.
    pub kernel: String,
    /// In bytes.
    pub memory: u64,
    /// The version of this program.
    pub version: String,
    /// Kernel settings that matter, by name.
    pub sysctls: BTreeMap<String, String>,
    /// The limit of open files.
    pub max_files: u64,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The command line that gives the same run, without the program's name.
    pub arguments: Vec<String>,
    /// `--url`, or none when this program has started the broker itself.
    pub url: Option<String>,
    /// `--protocol`.
    pub protocol: String,
    /// Subscribers.
    pub connections: usize,
    /// Messages a second, of all publishers together.
    pub rate: f64,
    /// The measured window, in nanoseconds.
    pub duration_ns: u64,
    /// What is sent before it and not measured, in nanoseconds.
    pub warmup_ns: u64,
    /// Payload octets of a message.
    pub size: usize,
    /// Topics.
    pub topics: usize,
    /// Publishers.
    pub publishers: usize,
    /// `constant` or `poisson`.
    pub arrival: String,
    /// Messages that are due at the same moment.
    pub burst: usize,
    /// `minimal`, `browser` or `kaazing`.
    pub headers: String,
    /// The largest TCP segment, if it was set.
    pub mss: Option<u32>,
    /// How often each series was run.
    pub repeats: usize,
    /// What the order of the runs, the phases and the arrivals are drawn from.
    pub seed: u64,
    /// Those of the subscribers that were to read slowly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<Slow>,
}

/// Whether a record can be trusted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Why not. None: it can.
    pub reasons: Vec<Reason>,
}

impl Verdict {
    /// Whether it can be trusted.
    pub fn is_valid(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// One reason not to trust a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// What is wrong.
    pub kind: ReasonKind,
    /// The series that it is wrong in; none: all.
    pub series: Option<String>,
    /// What was seen, what is allowed, and what to do, in a sentence or two.
    pub explanation: String,
}

/// What can make a record untrustworthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReasonKind {
    /// The generator used more than 80 % of its cores: it may have measured itself.
    GeneratorBusy,
    /// Less than 99 % of the messages that were due were sent.
    RateMissed,
    /// The generator was late with what it sent.
    ScheduleLag,
    /// The medians of the first and the last third differ.
    Unsteady,
    /// File descriptors ran out.
    FilesExhausted,
    /// Local ports ran out.
    PortsExhausted,
    /// Connections failed or broke.
    ConnectionsLost,
    /// Nothing was delivered, so that there is nothing to say.
    NothingDelivered,
}

/// One transport (or step of a sweep), all its repeats.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What people call it: `ws`, `poll:100ms`; unique in a record.
    pub name: String,
    /// `ws`, `ws-deflate`, `sse`, `longpoll`, `poll:100ms`.
    pub transport: String,
    /// Messages a second of this series, which differ in a sweep.
    pub rate: f64,
    /// Subscribers.
    pub connections: usize,
    /// Payload octets of a message.
    pub size: usize,
    /// All repeats together.
    pub merged: Measured,
    /// Each repeat, in the order in which they were run.
    pub repeats: Vec<Repeat>,
}

/// What one or more repeats have measured. Only messages that were due within the measured window count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// The four latencies.
    pub latencies: Latencies,
    /// What became of the messages.
    pub counts: Counts,
    /// What they took on the wire.
    pub bytes: Layers,
    /// What became of those to subscribers that were to read slowly. They are in no other figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowSubscribers>,
    /// Latency over time.
    pub slices: Vec<Slice>,
    /// The end-to-end median of the first third of the window, in nanoseconds; none when nothing was due in it. Of polls, that of as
    /// many whole periods as fit into a third; none when not even one does.
    pub first_third_p50_ns: Option<Latency>,
    /// That of its last third.
    pub last_third_p50_ns: Option<Latency>,
    /// How the subscribers fared, one beside the other.
    pub subscribers: Spread,
    /// What the broker used, if its process is known.
    pub broker: Option<Usage>,
    /// What the generator used.
    pub generator: Usage,
    /// Processors that the generator had.
    pub generator_cores: usize,
}

/// The four latencies, in nanoseconds; 1 µs to 600 s, 3 digits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Latencies {
    /// From when a message was due to when it was read.
    #[serde(with = "serialized")]
    pub end_to_end: Histogram<u64>,
    /// From when it was sent to when it was read.
    #[serde(with = "serialized")]
    pub service: Histogram<u64>,
    /// From when something was due to when the generator did it.
    #[serde(with = "serialized")]
    pub schedule_lag: Histogram<u64>,
    /// From when the kernel had it to when it was read, where the kernel says.
    #[serde(with = "serialized")]
    pub receive_lag: Histogram<u64>,
    /// Values over 600 s, of all four. They are in none of them.
    pub overflowed: u64,
}

/// What became of the messages that were due within the measured window. Some counts have those that warm up in them too, and say
/// so: an account keeps how many they were, and not which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Messages that were due.
    pub due: u64,
    /// Those that were sent.
    pub sent: u64,
    /// Deliveries that they should have brought: for each that was due, one for each subscriber of its topic.
    pub expected: u64,
    /// Those that came, each once.
    pub delivered: u64,
    /// Those that did not.
    pub lost: u64,
    /// Messages that the broker has told subscribers it left out, those that warm up too.
    pub told: u64,
    /// Deliveries that came again, of messages that warm up too.
    pub doubled: u64,
    /// Deliveries that came after a later one of the same publisher and topic, of messages that warm up too.
    pub disordered: u64,
    /// Polls that were due and not sent: the one before was not answered, or the generator itself was late by a period.
    pub polls_skipped: u64,
    /// Deliveries of messages that nobody in this run has sent.
    #[serde(default)]
    pub foreign: u64,
    /// Connections that were opened and broke.
    pub broken: u64,
}

impl Counts {
    /// Adds those of another thread or repeat.
    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.lost += other.lost;
        // The server says how many, and may say anything.
        self.told = self.told.saturating_add(other.told);
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.polls_skipped += other.polls_skipped;
        self.foreign += other.foreign;
        self.broken += other.broken;
    }
}

/// What became of what slow subscribers were to get, from the first message on: those that warm up too, since a broker that tells
/// of gaps does not say when what is missing was due.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SlowSubscribers {
    /// How many they are, in all repeats together. Those that were cut off are counted as broken.
    pub subscribers: u64,
    /// What became of their messages.
    pub counts: Counts,
    /// How old messages were when they read them: from when each was due, in nanoseconds.
    #[serde(with = "serialized")]
    pub ages: Histogram<u64>,
}

impl Default for SlowSubscribers {
    fn default() -> Self {
        Self { subscribers: 0, counts: Counts::default(), ages: histogram() }
    }
}

impl SlowSubscribers {
    /// Adds those of another thread or repeat.
    pub fn add(&mut self, other: &Self) {
        self.subscribers += other.subscribers;
        self.counts.add(&other.counts);
        self.ages.add(&other.ages).expect("all have the same bounds");
    }
}

/// Octets of all subscribers' connections, both ways, each from a moment at which nothing was half read to another. So each layer
/// contains the one before it, but for a payload that was compressed: then the application's octets are fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// The deliveries that the octets are of: those of the window in which they were counted.
    pub deliveries: u64,
    /// Payloads of the deliveries.
    pub payload: u64,
    /// With frames, HTTP headers, requests and events around them: what the application reads and writes.
    pub application: u64,
    /// What TCP carried: with retransmissions (and TLS, where there is).
    pub tcp: u64,
    /// With the IP and TCP headers of all segments, acknowledgements too.
    pub ip: u64,
    /// Segments, both ways.
    pub segments: u64,
}

impl Layers {
    /// Adds those of another connection.
    pub fn add(&mut self, other: &Self) {
        self.deliveries += other.deliveries;
        self.payload += other.payload;
        self.application += other.application;
        self.tcp += other.tcp;
        self.ip += other.ip;
        self.segments += other.segments;
    }
}

/// A part of the measured window. What was lost of it counts as infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Where it begins, in nanoseconds from the start of the window.
    pub at_ns: u64,
    /// Deliveries that the messages that were due in it should have brought.
    pub expected: u64,
    /// Those that came, but for the ones that took longer than a histogram holds.
    pub delivered: u64,
    /// End to end, in nanoseconds; none when nothing was expected.
    pub p50_ns: Option<Latency>,
    /// Likewise.
    pub p99_ns: Option<Latency>,
    /// Likewise.
    pub max_ns: Option<Latency>,
}

/// How the subscribers fared: each has a p99 of its own, and a starved one shows in the tail of these.
/// What was lost counts as infinite. Kept to one digit; none without subscribers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Subscribers that were to get anything.
    pub subscribers: u64,
    /// The median subscriber's p99, in nanoseconds.
    pub p50_of_p99_ns: Option<Latency>,
    /// The 99th percentile of the subscribers' p99.
    pub p99_of_p99_ns: Option<Latency>,
    /// The worst subscriber's p99.
    pub max_of_p99_ns: Option<Latency>,
    /// The most that one subscriber has lost.
    pub max_lost: u64,
}

/// What a process used during the measured windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// CPU time of all its threads, in nanoseconds.
    pub cpu_ns: u64,
    /// Wall-clock time, in nanoseconds.
    pub wall_ns: u64,
    /// Its resident memory at the end, in bytes.
    pub resident: u64,
}

impl Usage {
    /// Adds what was used in another repeat; of memory, the larger.
    pub fn add(&mut self, other: &Self) {
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.resident = self.resident.max(other.resident);
    }
}

/// One repeat: what the intervals are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Repeat {
    /// Which of the repeats.
    pub repeat: usize,
    /// Which of all runs of the record it was, in time.
    pub order: usize,
    /// End to end, in nanoseconds; what was lost counts as infinite. None when nothing was expected.
    pub p50_ns: Option<Latency>,
    /// Likewise.
    pub p99_ns: Option<Latency>,
    /// Octets at the IP layer for each delivery; none without a delivery.
    pub ip_bytes_per_delivery: Option<f64>,
    /// The broker's CPU time for each delivery, in nanoseconds, if its process is known and there is a delivery.
    pub cpu_ns_per_delivery: Option<f64>,
}

/// How one series compares with the first one of the record: the median of the paired ratios of the repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    /// The series.
    pub series: String,
    /// What is compared: `p50`, `p99`, `bytes`, `cpu`.
    pub metric: String,
    /// The median.
    pub median: f64,
    /// The 95 % interval of a bootstrap; none for fewer than [`FEWEST`](crate::bootstrap::FEWEST) repeats.
    pub interval: Option<(f64, f64)>,
}

impl Ratio {
    /// Whether it says nothing: the interval spans 1, or there is none.
    pub fn is_inconclusive(&self) -> bool {
        self.interval.is_none_or(|(low, high)| low <= 1.0 && 1.0 <= high)
    }
}

/// Where latency begins to climb, as far as the rates of a sweep tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// Of which transport.
    pub transport: String,
    /// The highest rate that was carried well, in messages a second; none: not even the lowest was.
    pub carried: Option<f64>,
    /// The lowest rate that was not; none: all were.
    pub not_carried: Option<f64>,
    /// How that showed.
    pub explanation: String,
}

/// What was measured of connecting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connecting {
    /// Connections that were to be opened.
    pub wanted: u64,
    /// Those that were.
    pub opened: u64,
    /// Those that the other side or the kernel refused.
    pub failed: u64,
    /// Those that were opened and broke, although nothing was asked of them.
    #[serde(default)]
    pub lost: u64,
    /// Connections a second, from the first to the last.
    pub per_second: f64,
    /// From when one was due to when its subscription stood, in nanoseconds.
    pub p50_ns: u64,
    /// Likewise.
    pub p99_ns: u64,
    /// Likewise.
    pub max_ns: u64,
    /// From when one was due to when the generator began it, in nanoseconds: its own lateness, at the p99.
    #[serde(default)]
    pub lag_p99_ns: u64,
    /// What one idle connection adds to the broker's resident memory, in bytes, if its process is known.
    pub idle_bytes_each: Option<f64>,
    /// The broker's CPU time for each, in nanoseconds, if its process is known.
    pub cpu_ns_each: Option<f64>,
    /// All cut at once and opened again: until the last subscription stood, in nanoseconds.
    pub storm_ns: Option<u64>,
}
