//! Records as a run could have left them, made from a seed.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "samples need only be plausible")]

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use loadtest::latencies::histogram;
use loadtest::percentile::{Latency, Percentile};
use loadtest::record::{
    Configuration, Counts, Environment, Latencies, Layers, Measured, Ratio, Reason, ReasonKind, Record,
    Repeat, SCHEMA_VERSION, Series, Slice, Spread, Usage, Verdict,
};

/// How a transport behaves, in figures.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) transport: &'static str,
    /// What it takes at least, in microseconds.
    pub(crate) base_us: f64,
    /// The spread of the logarithm of what comes on top.
    pub(crate) sigma: f64,
    /// Up to how much a message waits for a poll, in milliseconds.
    pub(crate) poll_ms: f64,
    /// Octets around a payload.
    pub(crate) framing: u64,
    /// Octets of TCP and IP headers for each delivery.
    pub(crate) headers: u64,
    /// The broker's, in nanoseconds for each delivery.
    pub(crate) cpu_ns: u64,
}

/// What a comparison runs.
pub(crate) const MANNERS: [Manner; 6] = [
    Manner {
        transport: "ws",
        base_us: 90.0,
        sigma: 0.5,
        poll_ms: 0.0,
        framing: 2,
        headers: 108,
        cpu_ns: 3_100,
    },
    Manner {
        transport: "ws-deflate",
        base_us: 110.0,
        sigma: 0.55,
        poll_ms: 0.0,
        framing: 2,
        headers: 108,
        cpu_ns: 4_800,
    },
    Manner {
        transport: "sse",
        base_us: 130.0,
        sigma: 0.6,
        poll_ms: 0.0,
        framing: 121,
        headers: 108,
        cpu_ns: 3_900,
    },
    Manner {
        transport: "longpoll",
        base_us: 260.0,
        sigma: 0.7,
        poll_ms: 0.0,
        framing: 486,
        headers: 212,
        cpu_ns: 14_200,
    },
    Manner {
        transport: "poll:100ms",
        base_us: 200.0,
        sigma: 0.6,
        poll_ms: 100.0,
        framing: 2_310,
        headers: 1_040,
        cpu_ns: 41_000,
    },
    Manner {
        transport: "poll:1s",
        base_us: 220.0,
        sigma: 0.6,
        poll_ms: 1_000.0,
        framing: 402,
        headers: 168,
        cpu_ns: 9_300,
    },
];

/// Repeats of every sample.
const REPEATS: usize = 6;

/// Subscribers of every sample.
const CONNECTIONS: usize = 1_000;

/// The measured window.
const WINDOW_NS: u64 = 10_000_000_000;

/// One comparison of all transports, valid.
pub(crate) fn comparison() -> Record {
    let series: Vec<Series> =
        MANNERS.iter().map(|manner| series(manner.transport, *manner, 10.0, 0)).collect();
    record("compare", series)
}

/// A comparison with one transport that loses one message in 500, and one that was not steady.
pub(crate) fn lossy() -> Record {
    let mut record = comparison();
    record.series[4] = series("poll:100ms", MANNERS[4], 10.0, 2_000);
    record.verdict.reasons = vec![
        Reason {
            kind: ReasonKind::Unsteady,
            series: Some("poll:100ms".into()),
            explanation:
                "The median of the last third is 31 % above that of the first; at most 10 % is allowed. \
                          Warm up for longer (--warmup), or lower the rate."
                    .into(),
        },
        Reason {
            kind: ReasonKind::GeneratorBusy,
            series: None,
            explanation: "The generator used 92 % of its core; at most 80 % is allowed.".into(),
        },
    ];
    record
}

/// A sweep over rates with WebSocket, and over poll intervals too.
pub(crate) fn sweep() -> Record {
    let mut all = Vec::new();
    for rate in [1.0, 10.0, 100.0, 1_000.0] {
        let load = 1.0 + rate / 400.0;
        for (name, poll_ms) in
            [("ws", 0.0), ("poll:100ms", 100.0), ("poll:300ms", 300.0), ("poll:1s", 1_000.0)]
        {
            let mut manner = MANNERS[if name == "ws" { 0 } else { 4 }];
            manner.transport = name;
            (manner.poll_ms, manner.base_us) = (poll_ms, manner.base_us * load * load);
            manner.framing =
                if name == "ws" { 2 } else { (2_310.0 / (rate * poll_ms / 1_000.0).max(0.2)) as u64 + 90 };
            all.push(series(
                &format!("{name}@{rate}"),
                manner,
                rate,
                u64::from(rate > 999.0 && name == "ws") * 9_000,
            ));
        }
    }
    record("sweep", all)
}

/// Two series with so few values that all that is said of them can be counted by hand: 100 messages after
/// exactly 100 µs, and 99 after 500 ms of which one more was lost.
pub(crate) fn countable() -> Record {
    let mut both = ["ws", "poll:1s"].map(|name| {
        let manner = MANNERS.into_iter().find(|manner| manner.transport == name).expect("it is one of them");
        series(name, manner, 1.0, 0)
    });
    for (series, (value, lost)) in both.iter_mut().zip([(100_000, 0), (500_000_000, 1)]) {
        let exact = |count| {
            let mut values = histogram();
            values.record_n(value, count).expect("within the bounds");
            values
        };
        let end_to_end = exact(100 - lost);
        series.merged.latencies = Latencies {
            service: end_to_end.clone(),
            end_to_end,
            schedule_lag: exact(100),
            receive_lag: histogram(),
            overflowed: 0,
        };
        series.merged.counts = Counts {
            due: 100,
            sent: 100,
            expected: 100,
            delivered: 100 - lost,
            lost,
            told: lost,
            ..Counts::default()
        };
        series.merged.broker = Some(Usage { cpu_ns: 990_000, wall_ns: WINDOW_NS, resident: 2_097_152 });
        series.merged.subscribers = Spread::default();
    }
    record("compare", both.into())
}

/// A record of these series.
pub(crate) fn record(command: &str, series: Vec<Series>) -> Record {
    Record {
        schema_version: SCHEMA_VERSION,
        command: command.into(),
        started_unix_ms: 1_795_291_200_123,
        environment: environment(),
        configuration: configuration(),
        verdict: Verdict::default(),
        ratios: ratios(&series),
        series,
        knees: Vec::new(),
        connecting: None,
    }
}

fn environment() -> Environment {
    Environment {
        cpu: "AMD EPYC 7B13".into(),
        cores: 2,
        generator_cores: vec![1],
        broker_cores: vec![0],
        kernel: "6.12.8".into(),
        memory: 8 << 30,
        version: "0.1.0".into(),
        sysctls: BTreeMap::from([
            ("net.core.somaxconn".into(), "4096".into()),
            ("net.ipv4.ip_local_port_range".into(), "32768 60999".into()),
        ]),
        max_files: 20_000,
    }
}

fn configuration() -> Configuration {
    Configuration {
        arguments: ["compare", "-c", "1000", "-r", "10", "-s", "128", "-d", "10s"].map(Into::into).into(),
        url: None,
        protocol: "raw".into(),
        connections: CONNECTIONS,
        rate: 10.0,
        duration_ns: WINDOW_NS,
        warmup_ns: 2_000_000_000,
        size: 128,
        topics: 1,
        publishers: 1,
        arrival: "constant".into(),
        burst: 1,
        headers: "minimal".into(),
        mss: None,
        repeats: REPEATS,
        seed: 1,
        slow: None,
    }
}

/// One series, of which `lost` of a million deliveries did not come.
pub(crate) fn series(name: &str, manner: Manner, rate: f64, lost: u64) -> Series {
    let mut random = fastrand::Rng::with_seed(
        name.bytes().fold(7, |hash: u64, byte| hash.rotate_left(5) ^ u64::from(byte)),
    );
    let slices = (0..60).map(|slice| self::slice(manner, slice, lost > 0, &mut random)).collect();
    let delivered = 100_000 - lost / 10;
    let latencies = latencies(manner, delivered, &mut random);
    let [p50, p99] = [0.5, 0.99].map(|quantile| latencies.end_to_end.value_at_quantile(quantile));
    let application = if manner.transport == "ws-deflate" { 61 } else { 128 + manner.framing };
    let merged = Measured {
        latencies,
        counts: Counts {
            due: 100,
            sent: 100,
            expected: 100_000,
            delivered,
            lost: lost / 10,
            told: lost / 20,
            ..Counts::default()
        },
        bytes: Layers {
            deliveries: delivered,
            payload: delivered * 128,
            application: delivered * application,
            tcp: delivered * application + 9_000,
            ip: delivered * (application + manner.headers),
            segments: delivered * 2,
        },
        slow: None,
        slices,
        first_third_p50_ns: Some(Latency::Finite(p50)),
        last_third_p50_ns: Some(Latency::Finite(p50)),
        subscribers: Spread {
            subscribers: CONNECTIONS as u64,
            p50_of_p99_ns: Some(Latency::Finite(p99)),
            p99_of_p99_ns: Some(Latency::Finite(p99 / 10 * 12)),
            max_of_p99_ns: Some(if lost > 0 { Latency::Infinite } else { Latency::Finite(p99 / 10 * 15) }),
            max_lost: lost / 100,
        },
        broker: Some(Usage {
            cpu_ns: manner.cpu_ns * delivered,
            wall_ns: WINDOW_NS * 5,
            resident: 23_400_000,
        }),
        generator: Usage { cpu_ns: WINDOW_NS, wall_ns: WINDOW_NS * 5, resident: 31_000_000 },
        generator_cores: 1,
    };
    let ip = (application + manner.headers) as f64;
    let repeats =
        (0..REPEATS).map(|repeat| self::repeat(repeat, [p50, p99], ip, manner, &mut random)).collect();
    let (transport, size) = (manner.transport.into(), 128);
    Series { name: name.into(), transport, rate, connections: CONNECTIONS, size, merged, repeats }
}

/// A value of the standard normal distribution, nearly: the sum of twelve uniform ones.
fn normal(random: &mut fastrand::Rng) -> f64 {
    (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
}

fn latency_ns(manner: Manner, random: &mut fastrand::Rng) -> u64 {
    let tail = if random.u32(..400) == 0 { 8.0 + 14.0 * random.f64() } else { 1.0 };
    let us = manner.base_us * (manner.sigma * normal(random)).exp() * tail
        + manner.poll_ms * 1_000.0 * random.f64();
    (us * 1_000.0) as u64
}

fn latencies(manner: Manner, delivered: u64, random: &mut fastrand::Rng) -> Latencies {
    let mut end_to_end = histogram();
    for _ in 0..delivered.min(20_000) {
        end_to_end.record_n(latency_ns(manner, random), 5).expect("within the bounds");
    }
    let missing = delivered - end_to_end.len().min(delivered);
    end_to_end.record_n(latency_ns(manner, random), missing).expect("within the bounds");
    let lag = |base: f64, random: &mut fastrand::Rng| {
        let mut lags = histogram();
        for _ in 0..2_000 {
            lags.record((base * (0.6 * normal(random)).exp()) as u64).expect("within the bounds");
        }
        lags
    };
    let (schedule_lag, receive_lag): (Histogram<u64>, Histogram<u64>) =
        (lag(9_000.0, random), lag(31_000.0, random));
    Latencies { service: end_to_end.clone(), end_to_end, schedule_lag, receive_lag, overflowed: 0 }
}

/// One of 60. Nothing is due in three of SSE's; what is lost is so in one after a half, and most of what is due in three later.
fn slice(manner: Manner, slice: u64, is_lossy: bool, random: &mut fastrand::Rng) -> Slice {
    let mut values: Vec<Latency> = (0..200).map(|_| Latency::Finite(latency_ns(manner, random))).collect();
    let (expected, lost) = match slice {
        30..33 if manner.transport == "sse" => (0, 0),
        30 if is_lossy => (1_666, 40),
        45..48 if is_lossy => (1_666, 1_200),
        _ => (1_666, 0),
    };
    values.sort_unstable();
    values.iter_mut().rev().take(200 * lost / 1_666).for_each(|value| *value = Latency::Infinite);
    let [p50_ns, p99_ns, max_ns] = [Percentile::P50, Percentile::P99, Percentile::MAX]
        .map(|percentile| percentile.of_sorted(&values).filter(|_| expected > 0));
    let (at_ns, delivered) = (slice * WINDOW_NS / 60, expected - lost as u64);
    Slice { at_ns, expected, delivered, p50_ns, p99_ns, max_ns }
}

fn repeat(
    repeat: usize,
    [p50, p99]: [u64; 2],
    ip: f64,
    manner: Manner,
    random: &mut fastrand::Rng,
) -> Repeat {
    let mut about = |value: f64| value * (1.0 + 0.04 * normal(random));
    Repeat {
        repeat,
        order: repeat * 6,
        p50_ns: Some(Latency::Finite(about(p50 as f64) as u64)),
        p99_ns: Some(Latency::Finite(about(p99 as f64) as u64)),
        ip_bytes_per_delivery: Some(ip),
        cpu_ns_per_delivery: Some(about(manner.cpu_ns as f64)),
    }
}

/// The ratios to the first series, with intervals of ± 12 % around them.
fn ratios(series: &[Series]) -> Vec<Ratio> {
    let mut ratios = loadtest::ratios::to_the_first(series, 1);
    for ratio in &mut ratios {
        ratio.interval = Some((ratio.median * 0.88, ratio.median * 1.12));
    }
    ratios
}
