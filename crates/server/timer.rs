//! When connections are to be looked at again.
//!
//! A hashed timer wheel: time is cut into ticks, and a deadline stands in the bucket of its tick, modulo the
//! wheel's size, in a list that is linked through the slots. Arming, moving and expiring a deadline touch a
//! few words each, and nothing is allocated but one entry for each slot that was ever armed.
//!
//! ```text
//!   tick       … 41   42   43   44   45 …           bucket = tick mod 512
//!                     now  │         │
//!                          ▼         ▼
//!                   slot 7 ⇄ slot 3  slot 9 ⇄ slot 1 (a lap, 51 s, later)
//! ```
//!
//! A connection's deadline moves with nearly every byte that it sends. Who keeps the last such time in the
//! connection, and works the deadline out again when the wheel hands the slot back, pays nothing for that.

/// The length of a tick, in milliseconds. The shortest timeout that an operator may set is one of these, so
/// being late by up to one is in proportion.
pub const RESOLUTION_MS: u64 = 100;

/// Ticks in a lap, 51 seconds: most timeouts are shorter, so that a bucket seldom holds entries of another lap.
const BUCKETS: usize = 512;

/// No slot: the end of a list.
const NONE: u32 = u32::MAX;

/// The deadlines of one event loop's connections: at most one for each slot.
///
/// A deadline expires no earlier than its time and no later than two ticks after it, given that
/// [`expire`](Self::expire) is called then. Time that goes backwards expires nothing.
#[derive(Debug)]
pub struct TimerWheel {
    /// The last tick whose deadlines have been handed out.
    tick: u64,
    /// The first entry of each bucket's list.
    heads: [u32; BUCKETS],
    /// A bit for each bucket, set while its list has an entry.
    occupied: [u64; BUCKETS / WORD],
    /// By slot.
    entries: Vec<Entry>,
}

/// Bits in a word of [`TimerWheel::occupied`].
const WORD: usize = u64::BITS as usize;

/// The deadline of one slot, and its neighbours in the bucket's list.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tick: u64,
    generation: u32,
    previous: u32,
    next: u32,
    is_armed: bool,
}

impl Entry {
    const UNARMED: Self = Self { tick: 0, generation: 0, previous: NONE, next: NONE, is_armed: false };
}

impl TimerWheel {
    /// A wheel without deadlines, at `now_ms` on the event loop's monotonic clock.
    pub fn new(now_ms: u64) -> Self {
        Self {
            tick: now_ms / RESOLUTION_MS,
            heads: [NONE; BUCKETS],
            occupied: [0; BUCKETS / WORD],
            entries: Vec::new(),
        }
    }

    /// Sets the deadline of `slot`, in place of the one it had; one that has passed expires with the next tick.
    /// The `generation` comes back with the slot, so that its next tenant is not taken for this one.
    pub fn arm(&mut self, slot: u32, generation: u32, at_ms: u64) {
        let index = slot as usize;
        if index >= self.entries.len() {
            self.entries.resize(index + 1, Entry::UNARMED);
        }
        if self.entries[index].is_armed {
            self.unlink(slot);
        }
        let tick = at_ms.div_ceil(RESOLUTION_MS).max(self.tick + 1);
        self.entries[index] = Entry { tick, generation, is_armed: true, ..Entry::UNARMED };
        self.link(slot);
    }

    /// Appends the slot and generation of every deadline that has passed by `now_ms` to `expired`, each once.
    /// However far the clock has jumped, each bucket is looked at no more than once.
    pub fn expire(&mut self, now_ms: u64, expired: &mut Vec<(u32, u32)>) {
        let now = now_ms / RESOLUTION_MS;
        let passed = now.saturating_sub(self.tick).min(BUCKETS as u64);
        let first = self.tick + 1;
        self.tick = self.tick.max(now);
        for tick in first..first + passed {
            self.expire_bucket(bucket_of(tick), expired);
        }
    }

    /// When to call [`expire`](Self::expire) next, in milliseconds on the same clock; `None` without deadlines.
    /// This is never later than the first deadline's tick. It is earlier only on account of deadlines that are more
    /// than a lap away: each of those costs a look at its bucket once per lap.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let start = bucket_of(self.tick + 1);
        // From the start's word around to it again: its low bits are a lap away, and come last.
        let mut mask = !0 << (start % WORD);
        for step in 0..=self.occupied.len() {
            let word = (start / WORD + step) % self.occupied.len();
            let bits = self.occupied[word] & mask;
            if bits != 0 {
                let bucket = word * WORD + bits.trailing_zeros() as usize;
                let ticks_ahead = (bucket + BUCKETS - start) % BUCKETS;
                return Some((self.tick + 1 + ticks_ahead as u64) * RESOLUTION_MS);
            }
            mask = !0;
        }
        None
    }

    fn expire_bucket(&mut self, bucket: usize, expired: &mut Vec<(u32, u32)>) {
        let mut slot = self.heads[bucket];
        while slot != NONE {
            let entry = self.entries[slot as usize];
            if entry.tick <= self.tick {
                self.unlink(slot);
                self.entries[slot as usize].is_armed = false;
                expired.push((slot, entry.generation));
            }
            slot = entry.next;
        }
    }

    fn link(&mut self, slot: u32) {
        let bucket = bucket_of(self.entries[slot as usize].tick);
        let next = self.heads[bucket];
        self.entries[slot as usize].next = next;
        if next != NONE {
            self.entries[next as usize].previous = slot;
        }
        self.heads[bucket] = slot;
        self.occupied[bucket / WORD] |= 1 << (bucket % WORD);
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { tick, previous, next, .. } = self.entries[slot as usize];
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        if previous != NONE {
            self.entries[previous as usize].next = next;
            return;
        }
        let bucket = bucket_of(tick);
        self.heads[bucket] = next;
        if next == NONE {
            self.occupied[bucket / WORD] &= !(1 << (bucket % WORD));
        }
    }
}

fn bucket_of(tick: u64) -> usize {
    (tick % BUCKETS as u64) as usize
}

const _: () = assert!(BUCKETS.is_multiple_of(WORD));
const _: () = assert!(size_of::<Entry>() == 24, "idle connections pay for it");

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const LAP_MS: u64 = RESOLUTION_MS * BUCKETS as u64;

    fn expired(wheel: &mut TimerWheel, now_ms: u64) -> Vec<(u32, u32)> {
        let mut expired = Vec::new();
        wheel.expire(now_ms, &mut expired);
        expired.sort_unstable();
        expired
    }

    #[test]
    fn a_deadline_expires_once_and_not_before_its_time() {
        let mut wheel = TimerWheel::new(0);
        wheel.arm(3, 7, 1_000);
        assert_eq!(wheel.next_deadline_ms(), Some(1_000));
        assert!(expired(&mut wheel, 999).is_empty());
        assert_eq!(expired(&mut wheel, 1_000), [(3, 7)]);
        assert_eq!(wheel.next_deadline_ms(), None);
        assert!(expired(&mut wheel, 2_000).is_empty());
    }

    #[test]
    fn a_slot_has_one_deadline_the_last_that_was_set() {
        let mut wheel = TimerWheel::new(0);
        wheel.arm(0, 1, 5_000);
        wheel.arm(0, 1, 9_000);
        assert!(expired(&mut wheel, 8_900).is_empty(), "it was moved later");
        wheel.arm(0, 2, 8_950);
        assert_eq!(expired(&mut wheel, 9_000), [(0, 2)], "it was moved to the next tenant");
    }

    #[test]
    fn a_deadline_laps_away_survives_the_laps() {
        let mut wheel = TimerWheel::new(0);
        wheel.arm(0, 0, 3 * LAP_MS + 500);
        for lap in 0..3 {
            assert!(expired(&mut wheel, lap * LAP_MS + 500).is_empty());
        }
        assert_eq!(expired(&mut wheel, 3 * LAP_MS + 500), [(0, 0)]);
    }

    #[test]
    fn a_sleep_to_the_next_deadline_wakes_at_most_once_per_lap() {
        let (mut wheel, mut wakes) = (TimerWheel::new(0), 0);
        wheel.arm(0, 0, 10 * LAP_MS);
        while let Some(next_ms) = wheel.next_deadline_ms() {
            expired(&mut wheel, next_ms);
            wakes += 1;
        }
        assert_eq!(wakes, 10);
    }

    #[test]
    fn a_clock_that_jumps_by_centuries_costs_one_lap() {
        let mut wheel = TimerWheel::new(0);
        wheel.arm(0, 0, LAP_MS * 1_000);
        wheel.arm(1, 0, u64::MAX / 2);
        assert_eq!(expired(&mut wheel, u64::MAX / 4), [(0, 0)]);
        assert_eq!(expired(&mut wheel, u64::MAX), [(1, 0)]);
    }

    /// What the wheel does, in the fewest words.
    struct Naive {
        tick: u64,
        deadlines: BTreeMap<u32, (u32, u64)>,
    }

    impl Naive {
        fn arm(&mut self, slot: u32, generation: u32, at_ms: u64) {
            let tick = at_ms.div_ceil(RESOLUTION_MS).max(self.tick + 1);
            self.deadlines.insert(slot, (generation, tick));
        }

        fn expire(&mut self, now_ms: u64) -> Vec<(u32, u32)> {
            self.tick = self.tick.max(now_ms / RESOLUTION_MS);
            let due = self.deadlines.extract_if(.., |_, (_, tick)| *tick <= self.tick);
            due.map(|(slot, (generation, _))| (slot, generation)).collect()
        }

        /// The earliest and latest deadline, in milliseconds.
        fn span_ms(&self) -> Option<(u64, u64)> {
            let ticks = self.deadlines.values().map(|(_, tick)| tick * RESOLUTION_MS);
            Some((ticks.clone().min()?, ticks.max()?))
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Arm { slot: u32, generation: u32, in_ms: u64 },
        Pass { ms: u64 },
        GoBack { ms: u64 },
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let span = || prop_oneof![0..300_u64, 0..LAP_MS, 0..4 * LAP_MS];
        let arm = (0..12_u32, 0..3_u32, span());
        let step = prop_oneof![
            4 => arm.prop_map(|(slot, generation, in_ms)| Step::Arm { slot, generation, in_ms }),
            3 => span().prop_map(|ms| Step::Pass { ms }),
            1 => (0..300_u64).prop_map(|ms| Step::GoBack { ms }),
        ];
        prop::collection::vec(step, 0..120)
    }

    proptest! {
        #[test]
        fn the_wheel_agrees_with_its_naive_twin(start_ms in 0..10 * LAP_MS, steps in steps()) {
            let mut wheel = TimerWheel::new(start_ms);
            let mut naive = Naive { tick: start_ms / RESOLUTION_MS, deadlines: BTreeMap::new() };
            let mut now_ms = start_ms;
            for step in steps {
                match step {
                    Step::Arm { slot, generation, in_ms } => {
                        wheel.arm(slot, generation, now_ms + in_ms);
                        naive.arm(slot, generation, now_ms + in_ms);
                    }
                    Step::Pass { ms } => now_ms += ms,
                    Step::GoBack { ms } => now_ms = now_ms.saturating_sub(ms),
                }
                prop_assert_eq!(expired(&mut wheel, now_ms), naive.expire(now_ms));
                let lap_end_ms = (naive.tick + BUCKETS as u64) * RESOLUTION_MS;
                let next_ms = wheel.next_deadline_ms();
                match naive.span_ms() {
                    None => prop_assert_eq!(next_ms, None),
                    Some((first_ms, last_ms)) if last_ms <= lap_end_ms => prop_assert_eq!(next_ms, Some(first_ms)),
                    Some((first_ms, _)) => {
                        prop_assert!(next_ms.unwrap() > naive.tick * RESOLUTION_MS);
                        prop_assert!(next_ms.unwrap() <= first_ms.min(lap_end_ms));
                    }
                }
            }
        }
    }
}
