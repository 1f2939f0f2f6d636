//! When which message is due. Nothing that happens during a run changes it: an open loop.

use fastrand::Rng;

use crate::workload::{Arrival, Workload};

/// A message that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// When, in nanoseconds from the start.
    pub at_ns: u64,
    /// Which stream it is of.
    pub stream: usize,
    /// Which message of that stream, from 0.
    pub sequence: u32,
}

/// All messages of a run, in order of time: those that warm up, then those that are measured. The same workload and seed give
/// the same schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    arrival: Arrival,
    /// The mean distance of two bursts, in nanoseconds.
    distance_ns: f64,
    burst: usize,
    end_ns: f64,
    rng: Rng,
    /// When the current burst is due.
    at_ns: f64,
    bursts: u64,
    /// Messages of the current burst that are still to come.
    left: usize,
    /// The next sequence number of each stream.
    sequences: Vec<u32>,
}

impl Schedule {
    /// The schedule of a workload with that many streams.
    pub fn new(workload: &Workload, streams: usize, seed: u64) -> Self {
        let mut this = Self {
            arrival: workload.arrival,
            distance_ns: workload.distance_ns(),
            burst: workload.burst,
            end_ns: workload.end_ns() as f64,
            rng: Rng::with_seed(seed),
            at_ns: 0.0,
            bursts: 0,
            left: workload.burst,
            sequences: vec![0; streams],
        };
        if this.arrival == Arrival::Poisson {
            this.at_ns = this.exponential_ns();
        }
        this
    }

    /// Inverts the distribution function. `f64` draws from [0, 1), so that the logarithm is finite.
    fn exponential_ns(&mut self) -> f64 {
        -(1.0 - self.rng.f64()).ln() * self.distance_ns
    }

    fn begin_burst(&mut self) {
        self.bursts += 1;
        self.left = self.burst;
        self.at_ns = match self.arrival {
            // Multiplied and not added up, so that no error adds up either.
            Arrival::Constant => self.bursts as f64 * self.distance_ns,
            Arrival::Poisson => self.at_ns + self.exponential_ns(),
        };
    }

    /// What the schedule holds for each stream, found by running through it.
    pub fn windows(self, warmup_ns: u64) -> Vec<Window> {
        let mut windows = vec![Window::default(); self.sequences.len()];
        for due in self {
            let window = &mut windows[due.stream];
            window.end = due.sequence + 1;
            if due.at_ns < warmup_ns {
                window.begin = window.end;
            }
        }
        windows
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        if self.left == 0 {
            self.begin_burst();
        }
        if self.at_ns >= self.end_ns {
            return None;
        }
        self.left -= 1;
        let stream = (self.bursts % self.sequences.len() as u64) as usize;
        let sequence = self.sequences[stream];
        self.sequences[stream] += 1;
        Some(Due { at_ns: self.at_ns as u64, stream, sequence })
    }
}

/// The messages of one stream: those up to `begin` warm up, those from there to `end` are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// The first that is measured.
    pub begin: u32,
    /// One past the last.
    pub end: u32,
}

impl Window {
    /// How many messages are measured.
    pub fn measured(self) -> u32 {
        self.end - self.begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Shape;
    use crate::workload::tests::workload;

    fn schedule(workload: &Workload, seed: u64) -> Vec<Due> {
        Schedule::new(workload, workload.streams().len(), seed).collect()
    }

    #[test]
    fn constant_arrivals_do_not_drift() {
        let mut workload = workload(1, Shape::Feeds { topics: 1, publishers: 1 });
        workload.rate = 7_001.0;
        workload.duration_ns = 600_000_000_000;
        let last = schedule(&workload, 1).last().copied().unwrap();
        assert_eq!(u64::from(last.sequence), (7_001.0 * 601.0) as u64 - 1);
        let exact = f64::from(last.sequence) * 1e9 / 7_001.0;
        assert!((last.at_ns as f64 - exact).abs() <= 1.0);
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_distribution() {
        let mut workload = workload(1, Shape::Feeds { topics: 1, publishers: 1 });
        workload.arrival = Arrival::Poisson;
        workload.duration_ns = 100_000_000_000;
        let due = schedule(&workload, 5);
        let distances: Vec<f64> = due.windows(2).map(|pair| (pair[1].at_ns - pair[0].at_ns) as f64).collect();
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        let variance = distances.iter().map(|ns| (ns - mean).powi(2)).sum::<f64>() / distances.len() as f64;
        assert!((mean / 1e6 - 1.0).abs() < 0.02, "a mean of {mean} ns");
        assert!(
            (variance.sqrt() / mean - 1.0).abs() < 0.02,
            "the deviation of an exponential distribution is its mean"
        );
        assert_ne!(schedule(&workload, 6), due);
        assert_eq!(schedule(&workload, 5), due);
    }

    #[test]
    fn streams_take_turns_and_count_from_zero() {
        let mut workload = workload(4, Shape::Feeds { topics: 2, publishers: 2 });
        workload.burst = 3;
        let due = schedule(&workload, 1);
        for (number, due) in due.iter().enumerate() {
            let burst = number / 3;
            assert_eq!(due.stream, burst % 4);
            assert_eq!(due.sequence as usize, burst / 4 * 3 + number % 3);
            assert_eq!(due.at_ns, burst as u64 * 3_000_000);
        }
        assert_eq!(due.len(), 3_000);
    }

    #[test]
    fn what_is_due_within_a_time_is_known_before() {
        for (rate, burst) in [(1.0, 1), (3.0, 1), (0.7, 1), (10.0, 25), (1_000.0, 1)] {
            let mut workload = workload(1, Shape::Feeds { topics: 1, publishers: 1 });
            (workload.rate, workload.burst, workload.duration_ns) = (rate, burst, 9_000_000_000);
            let due = schedule(&workload, 1);
            for time in (0..8_000).step_by(100).map(|ms| ms * 1_000_000..(ms + 350) * 1_000_000) {
                let is_due = due.iter().any(|due| time.contains(&due.at_ns));
                assert_eq!(workload.is_due_within(&time), is_due, "{rate}/s, {burst} at a time, in {time:?}");
            }
        }
    }

    #[test]
    fn windows_part_what_warms_up_from_what_is_measured() {
        let workload = workload(4, Shape::Feeds { topics: 4, publishers: 1 });
        let windows = Schedule::new(&workload, 4, 1).windows(workload.warmup_ns);
        assert_eq!(windows, [Window { begin: 250, end: 750 }; 4]);
        assert_eq!(windows.iter().map(|window| window.measured()).sum::<u32>(), 2_000);
    }
}
