//! What subscribers do by the clock: short polls, and shares of those that read slowly.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Who is due, and when.
///
/// The next time is counted from when the last one was due, and not from when it was done; and it is in the future. So
/// nothing drifts, and a generator that was held up does not do everything that it has missed before it hears anything.
#[derive(Debug, Default)]
pub(super) struct Ticks(BinaryHeap<Reverse<Tick>>);

/// One time of one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick {
    /// When it is due.
    pub(super) due_ns: u64,
    /// Whose it is.
    pub(super) place: usize,
    /// From this time to the next.
    pub(super) period_ns: u64,
}

impl Ticks {
    /// Enters a time.
    pub(super) fn add(&mut self, tick: Tick) {
        self.0.push(Reverse(tick));
    }

    /// When the first one is due.
    pub(super) fn next_ns(&self) -> Option<u64> {
        self.0.peek().map(|Reverse(tick)| tick.due_ns)
    }

    /// Takes out the first one, if it is due.
    pub(super) fn take(&mut self, now_ns: u64) -> Option<Tick> {
        self.next_ns().filter(|due_ns| *due_ns <= now_ns)?;
        self.0.pop().map(|Reverse(tick)| tick)
    }

    /// Enters the next time of a subscriber that was due.
    pub(super) fn renew(&mut self, tick: Tick, now_ns: u64) {
        self.add(Tick { due_ns: tick.after(tick.missed(now_ns) + 1), ..tick });
    }
}

impl Tick {
    /// When the one is due that comes that many periods later.
    fn after(&self, periods: u64) -> u64 {
        self.due_ns + periods * self.period_ns
    }

    /// How many of those that follow it have passed too.
    fn missed(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.due_ns) / self.period_ns
    }

    /// When those that follow it, and have passed too, were due.
    pub(super) fn missed_ns(self, now_ns: u64) -> impl Iterator<Item = u64> {
        (1..=self.missed(now_ns)).map(move |periods| self.after(periods))
    }
}

/// What a subscriber that reads slowly may read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    octets_per_second: u64,
    /// What is left of an octet, in parts of 10⁹.
    rest: u64,
}

impl Allowance {
    pub(super) fn new(octets_per_second: u64) -> Self {
        Self { octets_per_second, rest: 0 }
    }

    /// The share of a period, in octets. What is less than an octet is added to the next one's.
    pub(super) fn share(&mut self, period_ns: u64) -> usize {
        let parts = self.octets_per_second * period_ns + self.rest;
        self.rest = parts % 1_000_000_000;
        (parts / 1_000_000_000) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks() -> Ticks {
        let mut ticks = Ticks::default();
        ticks.add(Tick { due_ns: 1_000, place: 0, period_ns: 100 });
        ticks.add(Tick { due_ns: 1_030, place: 1, period_ns: 70 });
        ticks
    }

    /// Everybody that is due, each renewed, and what each has missed.
    fn pass(ticks: &mut Ticks, now_ns: u64) -> Vec<(u64, usize, usize)> {
        let mut seen = Vec::new();
        while let Some(tick) = ticks.take(now_ns) {
            seen.push((tick.due_ns, tick.place, tick.missed_ns(now_ns).count()));
            ticks.renew(tick, now_ns);
        }
        seen
    }

    #[test]
    fn what_is_not_due_is_not_taken() {
        let mut ticks = ticks();
        assert_eq!(ticks.take(999), None);
        assert_eq!(ticks.next_ns(), Some(1_000));
    }

    #[test]
    fn a_pass_ends_however_late_it_is_and_tells_what_was_missed() {
        let mut ticks = ticks();
        assert_eq!(pass(&mut ticks, 1_000), [(1_000, 0, 0)]);
        // 1,200 to 2,000 of the first; 1,100 to 2,010 of the second.
        assert_eq!(pass(&mut ticks, 2_050), [(1_030, 1, 14), (1_100, 0, 9)]);
        assert_eq!(pass(&mut ticks, 2_050), []);
        assert_eq!(pass(&mut ticks, 2_100), [(2_080, 1, 0), (2_100, 0, 0)]);
    }

    #[test]
    fn times_stay_at_their_phase() {
        let mut ticks = Ticks::default();
        let tick = Tick { due_ns: 7, place: 0, period_ns: 10 };
        ticks.renew(tick, 44);
        assert_eq!(tick.missed_ns(44).collect::<Vec<_>>(), [17, 27, 37]);
        assert_eq!(ticks.next_ns(), Some(47));
    }

    #[test]
    fn shares_add_up_to_the_rate_also_where_each_is_less_than_an_octet() {
        for octets_per_second in [1, 7, 10, 1_024, 1 << 30] {
            let mut allowance = Allowance::new(octets_per_second);
            let in_a_minute: usize = (0..600).map(|_| allowance.share(100_000_000)).sum();
            assert_eq!(in_a_minute as u64, 60 * octets_per_second);
        }
    }
}
