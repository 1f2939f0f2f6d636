//! What a connection has heard of a topic.

use std::ops::Range;

#[derive(Default)]
pub struct Heard {
    /// The least offset that may come next.
    pub next: u64,
    /// It has a subscription to exactly this topic.
    pub subscribed: bool,
    pub going: Going,
    /// It has asked for what was published before, which comes message by message.
    pub replays: bool,
    pub gaps: Vec<Range<u64>>,
}

/// How it goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Going {
    /// With `next` or anything behind it.
    #[default]
    Loose,
    /// With exactly `next`, or that is told missing: a subscription to the topic began there.
    ByTopic,
    /// The same: a pattern brings it, and has brought what is in front of it.
    ByPattern,
    /// The same, but that what it has brought is a snapshot's values: what others have taken the place of is not among them.
    BySnapshot,
}

impl Heard {
    pub fn end(&mut self) {
        self.subscribed = false;
        self.going = Going::Loose;
    }

    /// So many were skipped, and then `told` came, or were told missing.
    pub fn account(
        &mut self,
        topic: &str,
        skipped: u64,
        told: Range<u64>,
        is_unwanted: impl Fn(u64) -> bool,
    ) {
        let (next, start) = (self.next, told.start);
        assert!(next + skipped <= start, "{topic} goes back from {next} to {start}, {skipped} skipped");
        if self.going != Going::Loose {
            let passed = (next..start).filter(|offset| !is_unwanted(*offset)).count() as u64;
            assert_eq!(passed, skipped, "{topic} goes on from {next} with {told:?}");
        }
        self.next = told.end;
    }

    /// Everything in front of `end` came, or was told.
    pub fn assert_complete(&mut self, topic: &str, end: u64, is_unwanted: impl Fn(u64) -> bool) {
        while self.next < end && is_unwanted(self.next) {
            self.next += 1;
        }
        assert!(self.next >= end, "{topic} stops at {}, but {end} is next", self.next);
    }
}
