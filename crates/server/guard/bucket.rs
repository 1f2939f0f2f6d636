//! Token buckets, in whole numbers on the turn's time.

/// So many in a second, and as many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    per_second: i64,
}

impl Rate {
    /// A rate of at least one in a second.
    pub(crate) fn per_second(count: u64) -> Self {
        Self { per_second: i64::try_from(count.clamp(1, MAX_PER_SECOND)).expect("it was clamped") }
    }
}

/// More than this is no limit: a thousand times as much for each millisecond of a century still fits.
const MAX_PER_SECOND: u64 = 1 << 40;

/// A bucket that fills at a [`Rate`], up to a second's worth.
///
/// A rate of one in a second is one thousandth in a millisecond: counted in these, nothing is ever rounded. What is
/// spent beyond the level is owed, and paid back at the same rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    thousandths: i64,
    at_ms: u64,
}

impl Bucket {
    /// A full one.
    pub(crate) fn full(rate: Rate, now_ms: u64) -> Self {
        Self { thousandths: rate.per_second * 1_000, at_ms: now_ms }
    }

    /// Takes one out if there is one.
    pub(crate) fn take(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        let has_one = self.thousandths >= 1_000;
        self.thousandths -= if has_one { 1_000 } else { 0 };
        has_one
    }

    /// Spends `amount`, whether it is there or not. Returns whether that leaves a debt.
    pub(crate) fn spend(&mut self, rate: Rate, amount: u64, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        let thousandths = i64::try_from(amount).unwrap_or(i64::MAX).saturating_mul(1_000);
        self.thousandths = self.thousandths.saturating_sub(thousandths);
        self.thousandths < 0
    }

    /// When what it owes will be paid back, on the same clock; in the past if it owes nothing.
    pub(crate) fn solvent_at_ms(&self, rate: Rate) -> u64 {
        let owed = u64::try_from(self.thousandths.saturating_neg()).unwrap_or(0);
        self.at_ms + owed.div_ceil(rate.per_second.unsigned_abs())
    }

    /// Whether it would be full by now, as a new one is.
    pub(crate) fn is_full(&mut self, rate: Rate, now_ms: u64) -> bool {
        self.refill(rate, now_ms);
        self.thousandths == rate.per_second * 1_000
    }

    fn refill(&mut self, rate: Rate, now_ms: u64) {
        let elapsed_ms = i64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        let level = self.thousandths.saturating_add(elapsed_ms.saturating_mul(rate.per_second));
        *self = Self { thousandths: level.min(rate.per_second * 1_000), at_ms: now_ms.max(self.at_ms) };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_s_worth_is_there_at_once_and_not_one_more() {
        let rate = Rate::per_second(3);
        let mut bucket = Bucket::full(rate, 50);
        assert_eq!([50; 4].map(|now| bucket.take(rate, now)), [true, true, true, false]);
        assert!(!bucket.take(rate, 383) && bucket.take(rate, 384), "a third of a second later, rounded up");
        assert!(!bucket.is_full(rate, 1_383) && bucket.is_full(rate, 1_384 + 1_000));
    }

    #[test]
    fn a_debt_is_paid_back_at_the_rate() {
        let rate = Rate::per_second(1_000);
        let mut bucket = Bucket::full(rate, 0);
        assert!(!bucket.spend(rate, 1_000, 0), "nothing is left, and nothing owed");
        assert_eq!(bucket.solvent_at_ms(rate), 0);
        assert!(bucket.spend(rate, 500, 0));
        assert_eq!(bucket.solvent_at_ms(rate), 500);
        assert!(bucket.spend(rate, u64::MAX, 400), "nothing overflows");
        assert!(bucket.solvent_at_ms(rate) > 400);
    }

    #[test]
    fn time_that_goes_backwards_gives_nothing() {
        let rate = Rate::per_second(1);
        let mut bucket = Bucket::full(rate, 5_000);
        assert!(bucket.take(rate, 5_000));
        assert!(!bucket.take(rate, 1_000) && !bucket.take(rate, 5_999) && bucket.take(rate, 6_000));
    }

    proptest! {
        /// In any stretch of time, no more is taken than a second's worth and what the rate gives meanwhile.
        #[test]
        fn no_stretch_of_time_has_more_than_its_share(
            per_second in 1u64..50, pauses in proptest::collection::vec(0u64..400, 1..60),
        ) {
            let rate = Rate::per_second(per_second);
            let mut bucket = Bucket::full(rate, 0);
            let mut now = 0;
            let mut taken: Vec<u64> = Vec::new();
            for pause in pauses {
                now += pause;
                if bucket.take(rate, now) {
                    taken.push(now);
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (count, to) in (1..).zip(&taken[first..]) {
                    prop_assert!(count * 1_000 <= per_second * (1_000 + (to - from)), "{count} in {}", to - from);
                }
            }
        }
    }
}
