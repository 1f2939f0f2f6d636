//! What a run has counted, before it is put into figures.

use hdrhistogram::{Counter, Histogram};

use crate::latencies::small_histogram;
use crate::link::Broken;
use crate::record::{Counts, Latencies, Layers, Measured, Slice, Spread, Usage};

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
    pub slow: Option<Counts>,
    /// What they took on the wire.
    pub bytes: Layers,
    /// End to end, by when the message was due.
    slices: Vec<Histogram<u64>>,
    /// The length of a slice, in nanoseconds.
    slice_ns: u64,
    /// The p99 of each subscriber, in nanoseconds; what was lost is infinite.
    p99s: Vec<u64>,
    /// The most that one subscriber has lost.
    max_lost: u64,
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
            slices: vec![small_histogram(); SLICES],
            slice_ns: duration_ns.div_ceil(SLICES as u64).max(1),
            p99s: Vec::new(),
            max_lost: 0,
        }
    }

    /// Records the end-to-end latency of a message by when it was due, in nanoseconds from the start of the window.
    pub fn record_over_time(&mut self, since_window_ns: u64, latency_ns: u64) {
        let slice = (since_window_ns / self.slice_ns) as usize;
        if let Some(histogram) = self.slices.get_mut(slice) {
            // What overflows is counted where the latencies are.
            let _ = histogram.record(latency_ns);
        }
    }

    /// The p99 of the newest slice that has one, in nanoseconds.
    pub fn recent_p99_ns(&self) -> u64 {
        let newest = self.slices.iter().rev().find(|slice| !slice.is_empty());
        newest.map_or(0, |slice| slice.value_at_quantile(0.99))
    }

    /// Records how one subscriber fared: what it got, and how many it did not get.
    pub fn record_subscriber(&mut self, latencies: &Histogram<u32>, lost: u64) {
        self.p99s.push(quantile_with_lost(latencies, lost, 0.99));
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
            mine.add(theirs).expect("all have the same bounds");
        }
        self.p99s.extend_from_slice(&other.p99s);
        self.max_lost = self.max_lost.max(other.max_lost);
    }

    /// The figures of it.
    pub fn measured(&self, broker: Option<Usage>, generator: Usage, generator_cores: usize) -> Measured {
        let thirds =
            [0..SLICES / 3, SLICES - SLICES / 3..SLICES].map(|third| Self::median_of(&self.slices[third]));
        Measured {
            latencies: self.latencies.clone(),
            counts: self.counts,
            slow: self.slow,
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

    fn median_of(slices: &[Histogram<u64>]) -> u64 {
        let mut merged = small_histogram();
        for slice in slices {
            merged.add(slice).expect("all have the same bounds");
        }
        merged.value_at_quantile(0.5)
    }

    fn slice(&self, number: usize, histogram: &Histogram<u64>) -> Slice {
        Slice {
            at_ns: number as u64 * self.slice_ns,
            delivered: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p99_ns: histogram.value_at_quantile(0.99),
            max_ns: histogram.max(),
        }
    }

    fn spread(&self) -> Spread {
        let mut p99s = self.p99s.clone();
        p99s.sort_unstable();
        Spread {
            subscribers: p99s.len() as u64,
            p50_of_p99_ns: at_quantile(&p99s, 0.5),
            p99_of_p99_ns: at_quantile(&p99s, 0.99),
            max_of_p99_ns: p99s.last().copied().unwrap_or(0),
            max_lost: self.max_lost,
        }
    }
}

/// The smallest of the sorted values that at least that part of them does not exceed.
fn at_quantile(sorted: &[u64], quantile: f64) -> u64 {
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

/// The value that this part of all does not exceed, where what was lost is infinite (`u64::MAX`).
pub fn quantile_with_lost<T: Counter>(latencies: &Histogram<T>, lost: u64, quantile: f64) -> u64 {
    let rank = ((latencies.len() + lost) as f64 * quantile).ceil() as u64;
    if rank > latencies.len() {
        return u64::MAX;
    }
    latencies.value_at_quantile(rank as f64 / latencies.len().max(1) as f64)
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.lost += other.lost;
        self.told += other.told;
        self.doubled += other.doubled;
        self.disordered += other.disordered;
        self.polls_skipped += other.polls_skipped;
        self.foreign += other.foreign;
        self.broken += other.broken;
    }
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

impl Usage {
    /// Adds what was used in another repeat; of memory, the larger.
    pub fn add(&mut self, other: &Self) {
        self.cpu_ns += other.cpu_ns;
        self.wall_ns += other.wall_ns;
        self.resident = self.resident.max(other.resident);
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
        assert!(spread.p50_of_p99_ns < 1_200_000 && spread.p99_of_p99_ns < 1_200_000);
        assert_eq!((spread.subscribers, spread.max_of_p99_ns, spread.max_lost), (10_000, u64::MAX, 2));
    }

    #[test]
    fn a_lost_message_is_infinitely_late() {
        let latencies = histogram_of(&[1_000_000; 99]);
        assert!(quantile_with_lost(&latencies, 0, 0.99) < 1_200_000);
        assert!(quantile_with_lost(&latencies, 1, 0.99) < 1_200_000);
        assert_eq!(quantile_with_lost(&latencies, 2, 0.99), u64::MAX);
        assert_eq!(quantile_with_lost(&histogram_of(&[]), 1, 0.99), u64::MAX);
        assert_eq!(quantile_with_lost(&histogram_of(&[]), 0, 0.99), 0);
    }

    #[test]
    fn thirds_and_slices_go_by_when_a_message_was_due() {
        let mut tally = Tally::new(6_000_000_000);
        for due_ms in 0..6_000 {
            tally.record_over_time(due_ms * 1_000_000, if due_ms < 3_000 { 1_000_000 } else { 2_000_000 });
        }
        let measured = tally.measured(None, Usage::default(), 1);
        assert!(measured.first_third_p50_ns.abs_diff(1_000_000) < 20_000);
        assert!(measured.last_third_p50_ns.abs_diff(2_000_000) < 40_000);
        assert_eq!(measured.slices.len(), SLICES);
        assert!(measured.slices.iter().all(|slice| slice.delivered == 100));
    }
}
