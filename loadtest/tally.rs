//! What a run has counted, before it is put into figures.

use hdrhistogram::Histogram;

use crate::latencies::small_histogram;
use crate::link::Broken;
use crate::percentile::{Distribution, Latency, Percentile};
use crate::record::{Counts, Latencies, Layers, Measured, Slice, SlowSubscribers, Spread, Usage};

/// Parts of the measured window that latency is shown for.
pub const SLICES: usize = 60;

/// What was counted, by one thread or by all, of one repeat or of all.
#[derive(Clone, Debug)]
pub struct Tally {
    /// The four latencies.
    pub latencies: Latencies,
    /// What became of the messages.
    pub counts: Counts,
    /// What became of those to slow subscribers, if there are any.
    pub slow: Option<SlowSubscribers>,
    /// What they took on the wire.
    pub bytes: Layers,
    /// By when the message was due.
    slices: Vec<OverTime>,
    /// The length of a slice, in nanoseconds.
    slice_ns: u64,
    /// How often messages are asked for, in nanoseconds, if they are.
    period_ns: Option<u64>,
    /// The p99 of each subscriber that was to get anything.
    p99s: Vec<Latency>,
    /// The most that one subscriber has lost.
    max_lost: u64,
}

/// What was counted of the messages that were due in one part of the window.
#[derive(Clone, Debug)]
struct OverTime {
    /// Deliveries that they should bring.
    expected: u64,
    /// End to end, of those that came.
    latencies: Histogram<u64>,
}

/// What one thread of a run leaves.
pub struct Part {
    /// What it has counted.
    pub tally: Tally,
    /// Why the first of its connections that broke did so.
    pub first_broken: Option<Broken>,
}

impl Tally {
    /// Nothing yet, of a window of that many nanoseconds.
    pub fn new(duration_ns: u64) -> Self {
        Self {
            latencies: Latencies::default(),
            counts: Counts::default(),
            slow: None,
            bytes: Layers::default(),
            slices: vec![OverTime::new(); SLICES],
            slice_ns: duration_ns.div_ceil(SLICES as u64).max(1),
            period_ns: None,
            p99s: Vec::new(),
            max_lost: 0,
        }
    }

    /// Of polls with this period, in nanoseconds.
    #[must_use]
    pub fn of_polls(mut self, period_ns: u64) -> Self {
        self.period_ns = Some(period_ns);
        self
    }

    /// Counts what a message should bring by when it was due, in nanoseconds from the start of the window.
    pub fn expect_over_time(&mut self, since_window_ns: u64, deliveries: u64) {
        if let Some(slice) = self.slice_at(since_window_ns) {
            slice.expected += deliveries;
        }
    }

    /// Records the end-to-end latency of a message by when it was due, in nanoseconds from the start of the window.
    pub fn record_over_time(&mut self, since_window_ns: u64, latency_ns: u64) {
        if let Some(slice) = self.slice_at(since_window_ns) {
            // What overflows is expected and not there, and so infinite.
            let _ = slice.latencies.record(latency_ns);
        }
    }

    fn slice_at(&mut self, since_window_ns: u64) -> Option<&mut OverTime> {
        self.slices.get_mut((since_window_ns / self.slice_ns) as usize)
    }

    /// The p99 of the newest slice that has one, in nanoseconds.
    pub fn recent_p99_ns(&self) -> u64 {
        let newest =
            self.slices.iter().map(|slice| &slice.latencies).rfind(|latencies| !latencies.is_empty());
        newest.map_or(0, |latencies| latencies.value_at_quantile(0.99))
    }

    /// Records how one subscriber fared: what it got, and how many it did not get.
    pub fn record_subscriber(&mut self, latencies: &Histogram<u32>, lost: u64) {
        let all = Distribution::of_expected(latencies, latencies.len() + lost);
        self.p99s.extend(all.percentile(Percentile::P99));
        self.max_lost = self.max_lost.max(lost);
    }

    /// Adds what another thread or repeat has counted.
    pub fn add(&mut self, other: &Self) {
        self.latencies.add(&other.latencies);
        self.counts.add(&other.counts);
        if let Some(slow) = &other.slow {
            self.slow.get_or_insert_default().add(slow);
        }
        self.bytes.add(&other.bytes);
        for (mine, theirs) in self.slices.iter_mut().zip(&other.slices) {
            mine.add(theirs);
        }
        self.p99s.extend_from_slice(&other.p99s);
        self.max_lost = self.max_lost.max(other.max_lost);
    }

    /// End to end, with what was lost.
    pub fn end_to_end(&self) -> Distribution {
        Distribution::end_to_end(&self.latencies, &self.counts)
    }

    /// The figures of it.
    pub fn measured(&self, broker: Option<Usage>, generator: Usage, generator_cores: usize) -> Measured {
        let third = self.slices_of_a_third();
        let thirds = [0..third, SLICES - third..SLICES].map(|third| Self::median_of(&self.slices[third]));
        Measured {
            latencies: self.latencies.clone(),
            counts: self.counts,
            slow: self.slow.clone(),
            bytes: self.bytes,
            slices: self.slices.iter().enumerate().map(|(number, slice)| self.slice(number, slice)).collect(),
            first_third_p50_ns: thirds[0],
            last_third_p50_ns: thirds[1],
            subscribers: self.spread(),
            broker,
            generator,
            generator_cores,
        }
    }

    /// How many slices of the first and of the last third tell whether latency drifts. How long a message waits for a poll depends
    /// on when in a period it is due: only over whole periods is that the same for all phases that chance gives.
    fn slices_of_a_third(&self) -> usize {
        let third_ns = (SLICES / 3) as u64 * self.slice_ns;
        let whole_ns = self.period_ns.map_or(third_ns, |period_ns| third_ns / period_ns * period_ns);
        ((whole_ns + self.slice_ns / 2) / self.slice_ns) as usize
    }

    fn median_of(slices: &[OverTime]) -> Option<Latency> {
        let mut merged = OverTime::new();
        for slice in slices {
            merged.add(slice);
        }
        merged.distribution().percentile(Percentile::P50)
    }

    fn slice(&self, number: usize, slice: &OverTime) -> Slice {
        let all = slice.distribution();
        Slice {
            at_ns: number as u64 * self.slice_ns,
            expected: slice.expected,
            delivered: slice.latencies.len(),
            p50_ns: all.percentile(Percentile::P50),
            p99_ns: all.percentile(Percentile::P99),
            max_ns: all.percentile(Percentile::MAX),
        }
    }

    fn spread(&self) -> Spread {
        let mut p99s = self.p99s.clone();
        p99s.sort_unstable();
        Spread {
            subscribers: p99s.len() as u64,
            p50_of_p99_ns: Percentile::P50.of_sorted(&p99s),
            p99_of_p99_ns: Percentile::P99.of_sorted(&p99s),
            max_of_p99_ns: Percentile::MAX.of_sorted(&p99s),
            max_lost: self.max_lost,
        }
    }
}

impl OverTime {
    fn new() -> Self {
        Self { expected: 0, latencies: small_histogram() }
    }

    fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.latencies.add(&other.latencies).expect("all have the same bounds");
    }

    fn distribution(&self) -> Distribution {
        Distribution::of_expected(&self.latencies, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latencies::tiny_histogram;

    fn histogram_of(values_ns: &[u64]) -> Histogram<u32> {
        let mut histogram = tiny_histogram();
        for &value in values_ns {
            histogram.record(value).unwrap();
        }
        histogram
    }

    #[test]
    fn one_starved_subscriber_of_many_shows() {
        let mut tally = Tally::new(1_000_000_000);
        for _ in 0..9_999 {
            tally.record_subscriber(&histogram_of(&[1_000_000; 100]), 0);
        }
        tally.record_subscriber(&histogram_of(&[1_000_000; 98]), 2);
        let spread = tally.spread();
        let few = Some(Latency::Finite(1_200_000));
        assert!(spread.p50_of_p99_ns < few && spread.p99_of_p99_ns < few);
        assert_eq!((spread.subscribers, spread.max_lost), (10_000, 2));
        assert_eq!(spread.max_of_p99_ns, Some(Latency::Infinite));
    }

    /// Six seconds of a message each millisecond, which takes one or two.
    fn six_seconds(came: impl Fn(u64) -> bool) -> Measured {
        let mut tally = Tally::new(6_000_000_000);
        for due_ms in 0..6_000 {
            tally.expect_over_time(due_ms * 1_000_000, 1);
            if came(due_ms) {
                let latency_ns = if due_ms < 3_000 { 1_000_000 } else { 2_000_000 };
                tally.record_over_time(due_ms * 1_000_000, latency_ns);
            }
        }
        tally.measured(None, Usage::default(), 1)
    }

    fn is_about(latency: Option<Latency>, ns: u64) -> bool {
        matches!(latency, Some(Latency::Finite(found)) if found.abs_diff(ns) <= ns / 50)
    }

    #[test]
    fn thirds_and_slices_go_by_when_a_message_was_due() {
        let measured = six_seconds(|_| true);
        assert!(is_about(measured.first_third_p50_ns, 1_000_000));
        assert!(is_about(measured.last_third_p50_ns, 2_000_000));
        assert_eq!(measured.slices.len(), SLICES);
        assert!(measured.slices.iter().all(|slice| (slice.expected, slice.delivered) == (100, 100)));
    }

    /// Seven seconds of polls each second, by one client: a message waits for the end of its second. Of each third of 2.33 s, two
    /// whole seconds are looked at.
    #[test]
    fn thirds_of_polls_have_whole_periods_and_none_where_none_fits() {
        let thirds_of = |period_ms: u64| {
            let mut tally = Tally::new(7_000_000_000).of_polls(period_ms * 1_000_000);
            for due_ms in (0..7_000).step_by(5) {
                tally.expect_over_time(due_ms * 1_000_000, 1);
                tally.record_over_time(due_ms * 1_000_000, (period_ms - due_ms % period_ms) * 1_000_000);
            }
            let measured = tally.measured(None, Usage::default(), 1);
            (measured.first_third_p50_ns, measured.last_third_p50_ns)
        };
        let is_near = |latency, ns: u64| matches!(latency, Some(Latency::Finite(found)) if found.abs_diff(ns) <= ns / 20);
        let (first, last) = thirds_of(1_000);
        assert!(is_near(first, 500_000_000) && is_near(last, 500_000_000), "{first:?}, {last:?}");
        assert_eq!(thirds_of(2_400), (None, None));
    }

    #[test]
    fn what_was_lost_is_infinite_in_its_slice_and_in_its_third() {
        let measured = six_seconds(|due_ms| due_ms < 4_900 && due_ms != 50);
        let [first, second] = [measured.slices[0], measured.slices[1]];
        assert_eq!((first.expected, first.delivered, first.max_ns), (100, 99, Some(Latency::Infinite)));
        assert!(is_about(first.p99_ns, 1_000_000) && is_about(second.max_ns, 1_000_000));
        assert_eq!((measured.slices[59].delivered, measured.slices[59].p50_ns), (0, Some(Latency::Infinite)));
        assert!(is_about(measured.first_third_p50_ns, 1_000_000));
        assert_eq!(measured.last_third_p50_ns, Some(Latency::Infinite));
    }

    #[test]
    fn where_nothing_was_due_there_is_no_latency() {
        let measured = Tally::new(1_000_000_000).measured(None, Usage::default(), 1);
        assert_eq!((measured.first_third_p50_ns, measured.slices[0].p99_ns), (None, None));
        assert_eq!(measured.subscribers, Spread::default());
    }
}
