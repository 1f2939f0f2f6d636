//! The account of one stream at one subscriber: what came, what did not, what came twice, what came late.

use std::ops::Range;

/// Which messages of a stream have come.
///
/// What came is everything below `next` but `missing`; memory grows with the number of holes, and not with the number of messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    next: u32,
    /// Holes below `next`, in order, none of them empty, no two of them adjacent.
    missing: Vec<Range<u32>>,
    /// Messages that came again.
    pub doubled: u64,
    /// Messages that came after a later one.
    pub disordered: u64,
}

/// What a message was to its ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It came for the first time.
    New,
    /// It had come before.
    Doubled,
}

impl Ledger {
    /// Enters the message with this sequence number.
    pub fn enter(&mut self, sequence: u32) -> Entry {
        if sequence >= self.next {
            if sequence > self.next {
                self.missing.push(self.next..sequence);
            }
            self.next = sequence + 1;
            return Entry::New;
        }
        let at = self.missing.partition_point(|hole| hole.end <= sequence);
        if self.missing.get(at).is_none_or(|hole| !hole.contains(&sequence)) {
            self.doubled += 1;
            return Entry::Doubled;
        }
        self.disordered += 1;
        self.fill(at, sequence);
        Entry::New
    }

    /// Takes one message out of a hole, which leaves none, one or two.
    fn fill(&mut self, at: usize, sequence: u32) {
        let hole = self.missing[at].clone();
        let parts = [hole.start..sequence, sequence + 1..hole.end];
        self.missing.splice(at..=at, parts.into_iter().filter(|part| !part.is_empty()));
    }

    /// How many of the messages in `window` have not come.
    pub fn lost_of(&self, window: Range<u32>) -> u64 {
        let holes = self.missing.iter().map(|hole| overlap(hole, &window)).sum::<u64>();
        holes + overlap(&(self.next..u32::MAX), &window)
    }
}

fn overlap(one: &Range<u32>, other: &Range<u32>) -> u64 {
    u64::from(one.end.min(other.end).saturating_sub(one.start.max(other.start)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a twin that remembers everything.
        #[test]
        fn a_ledger_agrees_with_one_that_remembers_every_message(
            sequences in vec(0_u32..40, 0..80), begin in 0_u32..40, len in 0_u32..40,
        ) {
            let (mut ledger, mut came, mut doubled, mut disordered) = (Ledger::default(), HashMap::new(), 0, 0);
            for &sequence in &sequences {
                let is_late = came.keys().any(|&other| other > sequence);
                let times: &mut u64 = came.entry(sequence).or_default();
                *times += 1;
                let expected = if *times == 1 { Entry::New } else { Entry::Doubled };
                doubled += u64::from(*times > 1);
                disordered += u64::from(*times == 1 && is_late);
                prop_assert_eq!(ledger.enter(sequence), expected);
            }
            let lost = (begin..begin + len).filter(|sequence| !came.contains_key(sequence)).count();
            prop_assert_eq!(ledger.lost_of(begin..begin + len), lost as u64);
            prop_assert_eq!((ledger.doubled, ledger.disordered), (doubled, disordered));
            let holes_are_in_order = ledger.missing.windows(2).all(|pair| pair[0].end < pair[1].start);
            prop_assert!(holes_are_in_order && ledger.missing.iter().all(|hole| !hole.is_empty()));
        }
    }
}
