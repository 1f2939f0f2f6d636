//! Percentiles in which a message that did not come counts: it has taken for ever.

use hdrhistogram::{Counter, Histogram};
use serde::{Deserialize, Serialize};

use crate::record::{Counts, Latencies, Measured};

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

    /// The one of these latencies, which must be in order, that it is; none of none.
    pub fn of_sorted(self, sorted: &[Latency]) -> Option<Latency> {
        sorted.get(self.rank(sorted.len() as u64) as usize - 1).copied()
    }

    /// Which of `total` sorted values it is, counted from 1: the smallest that at least this share does not exceed.
    fn rank(self, total: u64) -> u64 {
        let rank = (u128::from(total) * u128::from(self.0)).div_ceil(100_000);
        u64::try_from(rank).expect("at most the total").max(1)
    }
}

/// How long a message took. What was lost has taken for ever.
///
/// In JSON it is a whole number of nanoseconds, or the text `"Infinity"`, which JavaScript's `Number()` and Python's
/// `float()` take for what it means. Where there was no message at all, there is no latency, and JSON has `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Latency {
    /// It came, after so many nanoseconds.
    Finite(u64),
    /// It did not come, or after more than a histogram holds.
    Infinite,
}

/// A latency in JSON.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Nanoseconds(u64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
enum Word {
    Infinity,
}

impl From<Written> for Latency {
    fn from(written: Written) -> Self {
        match written {
            Written::Nanoseconds(nanoseconds) => Self::Finite(nanoseconds),
            Written::Word(Word::Infinity) => Self::Infinite,
        }
    }
}

impl From<Latency> for Written {
    fn from(latency: Latency) -> Self {
        match latency {
            Latency::Finite(nanoseconds) => Self::Nanoseconds(nanoseconds),
            Latency::Infinite => Self::Word(Word::Infinity),
        }
    }
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
    /// End to end, of all that were expected: what was lost, and what took longer than a histogram holds, is infinite.
    pub fn of(measured: &Measured) -> Self {
        Self::end_to_end(&measured.latencies, &measured.counts)
    }

    /// The same, before there are figures of it.
    pub fn end_to_end(latencies: &Latencies, counts: &Counts) -> Self {
        Self::of_expected(&latencies.end_to_end, counts.delivered + counts.lost)
    }

    /// What is in a histogram, and for ever what of the `expected` is not.
    pub fn of_expected<T: Counter>(histogram: &Histogram<T>, expected: u64) -> Self {
        Self { infinite: expected.saturating_sub(histogram.len()), ..Self::recorded(histogram) }
    }

    /// Only what is in a histogram.
    pub fn recorded<T: Counter>(histogram: &Histogram<T>) -> Self {
        let mut below = 0;
        let buckets = histogram.iter_recorded().map(|bucket| {
            below += bucket.count_since_last_iteration();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::latencies::{histogram, tiny_histogram};

    fn distribution(values: &[u64], infinite: u64) -> Distribution {
        let mut recorded = histogram();
        for &value in values {
            recorded.record(value).expect("within the bounds");
        }
        Distribution::of_expected(&recorded, values.len() as u64 + infinite)
    }

    /// All latencies in one sorted list, infinity as itself, each as its histogram would give it.
    fn sorted(values: &[u64], infinite: u64) -> Vec<Latency> {
        let bounds = histogram();
        let mut sorted: Vec<Latency> =
            values.iter().map(|&value| Latency::Finite(bounds.highest_equivalent(value))).collect();
        sorted.extend((0..infinite).map(|_| Latency::Infinite));
        sorted.sort();
        sorted
    }

    /// The twin: the first that enough are not above.
    fn naive(sorted: &[Latency], percentile: Percentile) -> Option<Latency> {
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
            let sorted = sorted(&values, infinite);
            let expected = naive(&sorted, percentile);
            prop_assert_eq!(distribution(&values, infinite).percentile(percentile), expected);
            prop_assert_eq!(percentile.of_sorted(&sorted), expected);
        }

        #[test]
        fn a_latency_is_read_as_it_is_written(nanoseconds: u64, is_infinite: bool) {
            let latency = if is_infinite { Latency::Infinite } else { Latency::Finite(nanoseconds) };
            let text = serde_json::to_string(&latency).expect("a number or a text");
            prop_assert_eq!(serde_json::from_str::<Latency>(&text).expect("it was written here"), latency);
        }
    }

    #[test]
    fn an_infinite_latency_is_a_text_that_other_languages_take_for_it() {
        let written = |latency: Option<Latency>| serde_json::to_string(&latency).expect("it can be written");
        assert_eq!(written(Some(Latency::Infinite)), "\"Infinity\"");
        assert_eq!(written(Some(Latency::Finite(7))), "7");
        assert_eq!(written(None), "null");
        assert!(serde_json::from_str::<Latency>("\"infinite\"").is_err());
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
    fn a_histogram_of_one_digit_counts_as_any_other() {
        let mut tiny = tiny_histogram();
        tiny.record_n(1_000_000, 98).expect("within the bounds");
        let at = |expected| Distribution::of_expected(&tiny, expected).percentile(Percentile::P99);
        assert!(matches!(at(98), Some(Latency::Finite(1_000_000..1_200_000))));
        assert_eq!(at(100), Some(Latency::Infinite));
    }
}
