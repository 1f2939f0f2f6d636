//! What every renderer computes of a record, computed once.

use hdrhistogram::Histogram;

use super::figures;
use crate::record::{Layers, Measured, Series};

/// A percentile, exactly: in thousandths of a percent, so that no rank suffers from `0.07 * 100.0 > 7.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percentile(u64);

impl Percentile {
    /// The median.
    pub const P50: Self = Self(50_000);
    /// Nine of ten are not slower.
    pub const P90: Self = Self(90_000);
    /// All but one in a hundred.
    pub const P99: Self = Self(99_000);
    /// All but one in a thousand.
    pub const P99_9: Self = Self(99_900);
    /// The slowest.
    pub const MAX: Self = Self(100_000);

    /// Those that a table has, with their names.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("p50", Self::P50),
        ("p90", Self::P90),
        ("p99", Self::P99),
        ("p99.9", Self::P99_9),
        ("max", Self::MAX),
    ];

    /// One by its number of thousandths of a percent, up to 100,000.
    pub fn from_thousandths(thousandths: u64) -> Option<Self> {
        (thousandths <= Self::MAX.0).then_some(Self(thousandths))
    }

    /// As a share of 1.
    pub fn share(self) -> f64 {
        self.0 as f64 / Self::MAX.0 as f64
    }

    /// Which of `total` sorted values it is, counted from 1: the smallest that at least this share does not
    /// exceed.
    fn rank(self, total: u64) -> u64 {
        let rank = (u128::from(total) * u128::from(self.0)).div_ceil(100_000);
        u64::try_from(rank).expect("at most the total").max(1)
    }
}

/// How long a message took. What was lost has taken for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Latency {
    /// It came, after so many nanoseconds.
    Finite(u64),
    /// It did not come, or after more than a histogram holds.
    Infinite,
}

impl Latency {
    /// In nanoseconds; [`Infinite`](Self::Infinite) is infinity.
    pub fn nanoseconds(self) -> f64 {
        match self {
            Self::Finite(nanoseconds) => nanoseconds as f64,
            Self::Infinite => f64::INFINITY,
        }
    }
}

/// Latencies in order, with those that are infinite behind the others.
///
/// ```text
///   rank 1 ────── recorded in the histogram ──────┊── over 600 s, and lost ── total
///                 Finite, of its bucket's upper end ┊  Infinite
/// ```
#[derive(Clone, Debug)]
pub struct Distribution {
    /// For each bucket in use: how many latencies are not above its upper end, and that end in nanoseconds.
    steps: Vec<(u64, u64)>,
    /// How many latencies are infinite.
    infinite: u64,
}

impl Distribution {
    /// End to end, of all that were expected: what was lost, and what took longer than a histogram holds, is
    /// infinite.
    pub fn of(measured: &Measured) -> Self {
        let recorded = &measured.latencies.end_to_end;
        let too_slow = measured.counts.delivered.saturating_sub(recorded.len());
        Self { infinite: measured.counts.lost + too_slow, ..Self::recorded(recorded) }
    }

    /// Only what is in a histogram.
    pub fn recorded(histogram: &Histogram<u64>) -> Self {
        let mut below = 0;
        let buckets = histogram.iter_recorded().map(|bucket| {
            below += bucket.count_at_value();
            (below, bucket.value_iterated_to())
        });
        Self { steps: buckets.collect(), infinite: 0 }
    }

    /// How many latencies there are.
    pub fn total(&self) -> u64 {
        self.finite() + self.infinite
    }

    /// The latency at a percentile; none when there are no latencies at all.
    pub fn percentile(&self, percentile: Percentile) -> Option<Latency> {
        self.at_rank(percentile.rank(self.total()))
    }

    /// The latency of the `rank`th fastest, counted from 1; none outside of `1..=total`.
    pub fn at_rank(&self, rank: u64) -> Option<Latency> {
        if rank == 0 || rank > self.total() {
            return None;
        }
        let step = self.steps.partition_point(|&(below, _)| below < rank);
        Some(self.steps.get(step).map_or(Latency::Infinite, |&(_, value)| Latency::Finite(value)))
    }

    /// How many are finite.
    fn finite(&self) -> u64 {
        self.steps.last().map_or(0, |&(below, _)| below)
    }
}

/// End to end latency at a percentile, with losses as infinite; none when nothing was expected.
pub fn latency(measured: &Measured, percentile: Percentile) -> Option<Latency> {
    Distribution::of(measured).percentile(percentile)
}

/// Octets for each delivered message, in the four layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerDelivery {
    /// The payload.
    pub payload: f64,
    /// With frames, headers, requests and events.
    pub application: f64,
    /// With retransmissions.
    pub tcp: f64,
    /// With the headers of all segments.
    pub ip: f64,
}

impl PerDelivery {
    /// Of what was counted; none when nothing was delivered meanwhile.
    pub fn of(layers: &Layers) -> Option<Self> {
        let each = |octets: u64| octets as f64 / layers.deliveries as f64;
        (layers.deliveries > 0).then(|| Self {
            payload: each(layers.payload),
            application: each(layers.application),
            tcp: each(layers.tcp),
            ip: each(layers.ip),
        })
    }

    /// What each layer adds, from the payload outwards. They add up to [`ip`](Self::ip).
    ///
    /// A compressed payload is smaller on the wire than it is: then the first part is all that the
    /// application wrote.
    pub fn parts(&self) -> [f64; 4] {
        let payload = self.payload.min(self.application);
        [
            payload,
            self.application - payload,
            (self.tcp - self.application).max(0.0),
            (self.ip - self.tcp.max(self.application)).max(0.0),
        ]
    }

    /// Whether the payload was compressed to less than it is.
    pub fn is_compressed(&self) -> bool {
        self.application < self.payload
    }
}

/// The broker's CPU time for each delivered message, in nanoseconds; none when its process or a delivery is
/// missing.
pub fn broker_cpu(measured: &Measured) -> Option<f64> {
    let broker = measured.broker.filter(|_| measured.counts.delivered > 0)?;
    Some(broker.cpu_ns as f64 / measured.counts.delivered as f64)
}

/// The share of its processors that the generator used; none when that was not measured.
pub fn generator_load(measured: &Measured) -> Option<f64> {
    let available = measured.generator.wall_ns as f64 * measured.generator_cores as f64;
    (available > 0.0).then(|| measured.generator.cpu_ns as f64 / available)
}

/// Messages that were sent in a second, of those that were due; none when none was due.
pub fn achieved_rate(series: &Series) -> Option<f64> {
    let counts = series.merged.counts;
    (counts.due > 0).then(|| series.rate * counts.sent as f64 / counts.due as f64)
}

/// How often a transport polls, in nanoseconds: of `poll:100ms` 100 million; none for one that does not.
pub fn poll_period(transport: &str) -> Option<u64> {
    figures::parse_duration(transport.strip_prefix("poll:")?).map(|nanoseconds| nanoseconds as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latencies::histogram;

    fn distribution(values: &[u64], infinite: u64) -> Distribution {
        let mut recorded = histogram();
        for &value in values {
            recorded.record(value).expect("within the bounds");
        }
        Distribution { infinite, ..Distribution::recorded(&recorded) }
    }

    /// The twin: all latencies in one sorted list, infinity as itself, each as its histogram would give it.
    fn naive(values: &[u64], infinite: u64, percentile: Percentile) -> Option<Latency> {
        let bounds = histogram();
        let mut sorted: Vec<Latency> =
            values.iter().map(|&value| Latency::Finite(bounds.highest_equivalent(value))).collect();
        sorted.extend((0..infinite).map(|_| Latency::Infinite));
        sorted.sort();
        let enough =
            |&index: &usize| (index as u128 + 1) * 100_000 >= sorted.len() as u128 * u128::from(percentile.0);
        (0..sorted.len()).find(enough).map(|index| sorted[index])
    }

    proptest! {
        #[test]
        fn percentiles_are_those_of_a_sorted_list_that_ends_in_infinities(
            values in prop::collection::vec(1_000_u64..600_000_000_000, 0..200),
            infinite in 0_u64..50,
            thousandths in 0_u64..=100_000,
        ) {
            let percentile = Percentile::from_thousandths(thousandths).expect("at most 100 %");
            prop_assert_eq!(
                distribution(&values, infinite).percentile(percentile),
                naive(&values, infinite, percentile)
            );
        }

        #[test]
        fn the_parts_of_the_octets_add_up(payload in 0_u64..9_999, sizes in prop::array::uniform3(0_u64..9_999)) {
            let [application, retransmitted, headers] = sizes;
            let tcp = application + retransmitted;
            let layers = Layers { deliveries: 7, payload, application, tcp, ip: tcp + headers, segments: 0 };
            let each = PerDelivery::of(&layers).expect("seven deliveries");
            let parts = each.parts();
            prop_assert!(parts.iter().all(|&part| part >= 0.0));
            prop_assert!((parts.iter().sum::<f64>() - each.ip).abs() < 1e-6);
        }
    }

    #[test]
    fn a_percentile_is_infinite_exactly_where_it_falls_into_the_losses() {
        let hundred = distribution(&[2_000; 99], 1);
        assert!(matches!(hundred.percentile(Percentile::P99), Some(Latency::Finite(_))));
        assert_eq!(hundred.percentile(Percentile::P99_9), Some(Latency::Infinite));
        let two_lost = distribution(&[2_000; 98], 2);
        assert_eq!(two_lost.percentile(Percentile::P99), Some(Latency::Infinite));
    }

    #[test]
    fn of_nothing_there_is_no_percentile_and_of_losses_alone_all_are_infinite() {
        assert_eq!(distribution(&[], 0).percentile(Percentile::P50), None);
        assert_eq!(
            distribution(&[], 3).percentile(Percentile::from_thousandths(0).unwrap()),
            Some(Latency::Infinite)
        );
    }

    #[test]
    fn only_polls_have_a_period() {
        let cases = [
            ("poll:100ms", Some(100_000_000)),
            ("poll:1s", Some(1_000_000_000)),
            ("poll:1.5s", Some(1_500_000_000)),
            ("poll:1", None),
            ("poll:x", None),
            ("longpoll", None),
        ];
        for (transport, period) in cases {
            assert_eq!(poll_period(transport), period, "{transport}");
        }
    }

    #[test]
    fn a_compressed_payload_is_no_negative_frame() {
        let layers =
            Layers { deliveries: 1, payload: 1_000, application: 300, tcp: 300, ip: 340, segments: 1 };
        let each = PerDelivery::of(&layers).expect("one delivery");
        assert!(each.is_compressed());
        assert_eq!(each.parts().map(|part| part as u64), [300, 0, 0, 40]);
    }
}
