//! Latencies: the histograms that they are recorded in.

use hdrhistogram::Histogram;

use crate::record::Latencies;

/// The smallest value that is told from 0: 1 µs.
pub const LOWEST_NS: u64 = 1_000;

/// The largest value: 600 s.
pub const HIGHEST_NS: u64 = 600_000_000_000;

/// A histogram for latencies: 1 µs to 600 s in nanoseconds, 3 digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 3).expect("these bounds are in order")
}

/// A histogram for a part of the deliveries, one of many: two digits.
pub fn small_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 2).expect("these bounds are in order")
}

/// A histogram for one subscriber of tens of thousands: one digit, in less than 2 KiB.
pub fn tiny_histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, 1).expect("these bounds are in order")
}

/// The moments of one delivery, in nanoseconds of the one clock.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// When it should have been sent.
    pub due_ns: u64,
    /// When it was.
    pub sent_ns: u64,
    /// When the kernel had it, if it says.
    pub arrived_ns: Option<u64>,
    /// When it was read.
    pub read_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            end_to_end: histogram(),
            service: histogram(),
            schedule_lag: histogram(),
            receive_lag: histogram(),
            overflowed: 0,
        }
    }
}

impl Latencies {
    /// Records a delivery: how late it was in all, what of that the broker and the network took, and how long it waited to
    /// be read.
    pub fn record_delivery(&mut self, moments: Moments) {
        let Moments { due_ns, sent_ns, arrived_ns, read_ns } = moments;
        record(&mut self.end_to_end, read_ns.saturating_sub(due_ns), &mut self.overflowed);
        record(&mut self.service, read_ns.saturating_sub(sent_ns), &mut self.overflowed);
        if let Some(arrived_ns) = arrived_ns {
            record(&mut self.receive_lag, read_ns.saturating_sub(arrived_ns), &mut self.overflowed);
        }
    }

    /// Records how late the generator itself did something.
    pub fn record_lag(&mut self, lag_ns: u64) {
        record(&mut self.schedule_lag, lag_ns, &mut self.overflowed);
    }

    /// Adds those of another thread or repeat.
    pub fn add(&mut self, other: &Self) {
        const SAME: &str = "all have the same bounds";
        self.end_to_end.add(&other.end_to_end).expect(SAME);
        self.service.add(&other.service).expect(SAME);
        self.schedule_lag.add(&other.schedule_lag).expect(SAME);
        self.receive_lag.add(&other.receive_lag).expect(SAME);
        self.overflowed += other.overflowed;
    }
}

/// What is too large is counted, and not made smaller.
fn record(histogram: &mut Histogram<u64>, value_ns: u64, overflowed: &mut u64) {
    if value_ns > HIGHEST_NS || histogram.record(value_ns).is_err() {
        *overflowed += 1;
    }
}

/// Histograms in a record: the V2 format, deflated, in base64.
pub mod serialized {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::Histogram;
    use hdrhistogram::serialization::{
        Deserializer as HistogramReader, Serializer as _, V2DeflateSerializer,
    };
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes it.
    pub fn serialize<S: Serializer>(histogram: &Histogram<u64>, serializer: S) -> Result<S::Ok, S::Error> {
        let mut octets = Vec::new();
        V2DeflateSerializer::new().serialize(histogram, &mut octets).map_err(S::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(octets))
    }

    /// Reads it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Histogram<u64>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let octets = STANDARD.decode(text).map_err(D::Error::custom)?;
        HistogramReader::new().deserialize(&mut octets.as_slice()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_beyond_the_range_is_counted_and_not_clamped() {
        let mut latencies = Latencies::default();
        latencies.record_lag(HIGHEST_NS);
        latencies.record_lag(HIGHEST_NS + 1);
        latencies.record_lag(u64::MAX);
        assert_eq!((latencies.schedule_lag.len(), latencies.overflowed), (1, 2));
    }

    #[test]
    fn a_delivery_is_late_by_what_the_generator_was_and_what_the_broker_took() {
        let mut latencies = Latencies::default();
        let moments =
            Moments { due_ns: 1_000, sent_ns: 201_000, arrived_ns: Some(401_000), read_ns: 501_000 };
        latencies.record_delivery(moments);
        let is_near = |histogram: &Histogram<u64>, ns: u64| histogram.max().abs_diff(ns) <= ns / 100;
        assert!(is_near(&latencies.end_to_end, 500_000));
        assert!(is_near(&latencies.service, 300_000));
        assert!(is_near(&latencies.receive_lag, 100_000));
        assert!(latencies.schedule_lag.is_empty());
    }

    #[test]
    fn a_subscribers_histogram_is_small() {
        assert!(tiny_histogram().distinct_values() * size_of::<u32>() < 2_048);
    }
}
