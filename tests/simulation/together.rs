//! Messages that were to be published together, and how they came.

use std::collections::BTreeSet;

/// What was published, by the numbers of its messages.
#[derive(Default)]
pub(crate) struct Together {
    /// Each batch that was to be whole.
    batches: Vec<BTreeSet<u64>>,
    /// The messages that somebody published by themselves, too.
    alone: BTreeSet<u64>,
}

impl Together {
    pub(crate) fn publish(&mut self, messages: impl Iterator<Item = u64>, atomic: bool) {
        if atomic {
            self.batches.push(messages.collect());
        } else {
            self.alone.extend(messages);
        }
    }

    /// Whether they are of one batch.
    fn has(&self, tick: &BTreeSet<u64>) -> bool {
        self.batches.iter().any(|batch| batch.is_superset(tick))
    }

    /// Whether the message was published in no other way.
    fn is_never_alone(&self, message: u64) -> bool {
        !self.alone.contains(&message) && self.batches.iter().any(|batch| batch.contains(&message))
    }
}

/// How it came to one subscriber.
#[derive(Default)]
pub(crate) struct Ticks {
    /// What came since the last tick, with nothing but messages between.
    open: Vec<u64>,
    ticked: BTreeSet<u64>,
    alone: BTreeSet<u64>,
}

impl Ticks {
    pub(crate) fn hear_message(&mut self, message: u64) {
        self.open.push(message);
    }

    /// The last so many messages are one. Returns them.
    pub(crate) fn hear_tick(&mut self, count: usize, together: &Together) -> BTreeSet<u64> {
        assert!(count <= self.open.len(), "a tick of {count} behind {:?}", self.open);
        let tick: BTreeSet<u64> = self.open.split_off(self.open.len() - count).into_iter().collect();
        assert!(together.has(&tick), "{tick:?} were not published together");
        self.ticked.extend(&tick);
        self.hear_other();
        tick
    }

    /// What is no message stands between those of no tick.
    pub(crate) fn hear_other(&mut self) {
        self.alone.extend(self.open.drain(..));
    }

    /// Nothing of a batch that was to be whole has come by itself, but what `may`.
    pub(crate) fn assert_whole(&mut self, together: &Together, may: impl Fn(u64) -> bool) {
        self.hear_other();
        let alone = self.alone.difference(&self.ticked);
        let torn: Vec<_> =
            alone.filter(|message| together.is_never_alone(**message) && !may(**message)).collect();
        assert!(torn.is_empty(), "{torn:?} came without a tick");
    }
}
