//! What waits in front of a lane to another core. It is handed over once a turn, as one batch.
//!
//! A core that takes nothing for too long is *given up*: what waits for it is replaced by what is left to say of it, and nobody
//! waits for it any more, until it takes something again.

/// What something in an outbox counts for, in bytes.
pub(crate) trait Bytes {
    fn bytes(&self) -> usize;
}

/// The outbox of one lane to one core.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    items: Vec<T>,
    bytes: usize,
    wait: Wait,
    /// The bytes and the wait of what [`Self::take`] took, should it come back.
    taken: (usize, Wait),
}

/// How long the core behind an outbox has been waited for.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// Since when the mailbox has had no room, on the monotonic clock.
    since_ms: Option<u64>,
    /// How many of the items have been [given up](Outbox::give_up); `None` while the core is not taken for stalled.
    given_up: Option<usize>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, wait: Wait::default(), taken: (0, Wait::default()) }
    }
}

impl<T: Bytes> Outbox<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    /// Whether as much waits as may, so that what feeds it has to stop. Nobody stops for a core that is stalled.
    pub(crate) fn is_full(&self, bound: usize) -> bool {
        self.bytes >= bound && !self.is_given_up()
    }

    /// Whether the core behind it is stalled, so that nothing should be asked of it.
    pub(crate) fn is_given_up(&self) -> bool {
        self.wait.given_up.is_some()
    }

    /// Everything that waits, to be handed over or [restored](Self::restore). When nothing does, a core that was given up
    /// is tried again with whatever comes next.
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        if self.items.is_empty() {
            self.wait = Wait::default();
            return None;
        }
        self.taken = (self.bytes, std::mem::take(&mut self.wait));
        self.bytes = 0;
        Some(std::mem::take(&mut self.items))
    }

    /// Puts back what could not be handed over, in front of what came since.
    pub(crate) fn restore(&mut self, mut batch: Vec<T>, now_ms: u64) {
        batch.append(&mut self.items);
        self.items = batch;
        let (bytes, wait) = self.taken;
        self.bytes += bytes;
        self.wait = Wait { since_ms: wait.since_ms.or(Some(now_ms)), ..wait };
    }

    /// When what waits is to be given up, should the core behind it drain nothing until then; `None` when nothing waits
    /// that was not.
    pub(crate) fn gives_up_at_ms(&self, after_ms: u64) -> Option<u64> {
        let since_ms = self.wait.since_ms.filter(|_| self.wait.given_up != Some(self.items.len()))?;
        Some(since_ms + after_ms)
    }

    /// Replaces what waits for a stalled core by what `replace` makes of it.
    pub(crate) fn give_up(&mut self, replace: impl FnOnce(Vec<T>) -> Vec<T>) {
        self.items = replace(std::mem::take(&mut self.items));
        self.bytes = self.items.iter().map(Bytes::bytes).sum();
        self.wait.given_up = Some(self.items.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Bytes for u8 {
        fn bytes(&self) -> usize {
            100
        }
    }

    const AFTER_MS: u64 = 1_000;

    /// An outbox of a core that has had no room since 5 ms, and was given up.
    fn given_up(items: &[u8], kept: &[u8]) -> Outbox<u8> {
        let mut outbox = Outbox::default();
        for item in items {
            outbox.push(*item);
        }
        let batch = outbox.take().unwrap();
        outbox.restore(batch, 5);
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), Some(1_005));
        outbox.give_up(|_| kept.to_vec());
        outbox
    }

    #[test]
    fn what_cannot_be_handed_over_keeps_its_place() {
        let mut outbox = Outbox::default();
        outbox.push(1);
        let batch = outbox.take().unwrap();
        outbox.push(2);
        outbox.restore(batch, 0);
        assert!(outbox.is_full(200) && !outbox.is_full(201));
        assert_eq!(outbox.take(), Some(vec![1, 2]));
        assert!(!outbox.is_full(1));
    }

    #[test]
    fn nobody_stops_for_a_core_that_was_given_up_and_nothing_is_due_until_more_waits() {
        let mut outbox = given_up(&[1, 2, 3], &[9]);
        assert!(outbox.is_given_up() && !outbox.is_full(1));
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), None);
        outbox.push(4);
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), Some(1_005));
        let batch = outbox.take().unwrap();
        outbox.restore(batch, 3_000);
        assert!(outbox.is_given_up(), "it still has no room");
    }

    #[test]
    fn a_core_that_takes_something_or_has_nothing_waiting_is_asked_again() {
        let mut outbox = given_up(&[1], &[9]);
        assert_eq!(outbox.take(), Some(vec![9]));
        assert!(!outbox.is_given_up());

        let mut outbox = given_up(&[1], &[]);
        assert!(outbox.is_given_up());
        assert_eq!(outbox.take(), None);
        assert!(!outbox.is_given_up());
    }
}
