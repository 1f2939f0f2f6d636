//! What a subscriber has of a topic: each offset once, delivered or told.

use std::ops::AddAssign;

/// What became of messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    pub(crate) delivered: u64,
    pub(crate) skipped: u64,
    pub(crate) gapped: u64,
    /// Subscribers that were disconnected for being slow.
    pub(crate) disconnected: u64,
}

impl Sum {
    /// Whether every way of being told was gone.
    pub(crate) fn is_worth_it(&self) -> bool {
        self.delivered > 0 && self.skipped > 0 && self.gapped > 0 && self.disconnected > 0
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.skipped += other.skipped;
        self.gapped += other.gapped;
        self.disconnected += other.disconnected;
    }
}

/// The account of one topic.
#[derive(Debug)]
pub(crate) struct Account {
    began_after: u64,
    /// The last offset that is accounted for.
    pub(crate) last: u64,
    pub(crate) sum: Sum,
}

impl Account {
    pub(crate) fn begin(offset: u64) -> Self {
        Self { began_after: offset, last: offset, sum: Sum::default() }
    }

    /// A message came, in front of which `skipped` were left out.
    pub(crate) fn message(&mut self, offset: u64, skipped: u64) {
        assert_eq!(offset, self.last + skipped + 1, "{skipped} skipped: {self:?}");
        self.sum.delivered += 1;
        self.sum.skipped += skipped;
        self.last = offset;
    }

    /// The messages from one offset to another are not coming.
    pub(crate) fn gap(&mut self, (from, to): (u64, u64), count: u64) {
        assert_eq!((from, count), (self.last + 1, to + 1 - from), "a gap up to {to}: {self:?}");
        self.sum.gapped += count;
        self.last = to;
    }

    /// So many messages up to an offset were skipped.
    pub(crate) fn skip(&mut self, offset: u64, count: u64) {
        assert_eq!(offset, self.last + count, "{count} skipped up to {offset}: {self:?}");
        self.sum.skipped += count;
        self.last = offset;
    }

    pub(crate) fn assert_whole(&self) {
        let Sum { delivered, skipped, gapped, .. } = self.sum;
        assert_eq!(delivered + skipped + gapped, self.last - self.began_after, "{self:?}");
    }
}
