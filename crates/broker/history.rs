//! The messages of one topic that are kept for subscribers that come back or fall behind.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::message::Message;

/// The bounds of one topic's history. All three hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    /// Messages kept.
    pub messages: usize,
    /// Bytes kept, as [`Message::bytes`] counts them.
    pub bytes: usize,
    /// The age, in milliseconds, above which a message is no longer kept.
    pub max_age_ms: Option<u64>,
}

/// The newest messages of one topic, without a hole between them.
///
/// ```text
///   let go │ oldest … newest │ not published yet
///          └─ kept: offsets increase by one ─┘
/// ```
#[derive(Debug)]
pub struct History {
    limits: HistoryLimits,
    kept: VecDeque<Kept>,
    bytes: usize,
}

/// A message and when it came, on the monotonic clock: wall time jumps.
#[derive(Debug)]
struct Kept {
    message: Arc<Message>,
    since_ms: u64,
}

impl History {
    /// An empty history.
    pub fn new(limits: HistoryLimits) -> Self {
        Self { limits, kept: VecDeque::new(), bytes: 0 }
    }

    /// Keeps `message`, the next of its topic, and lets go what the bounds no longer allow.
    pub fn push(&mut self, message: Arc<Message>, now_ms: u64) {
        debug_assert!(self.kept.back().is_none_or(|last| last.message.offset + 1 == message.offset));
        self.bytes += message.bytes();
        self.kept.push_back(Kept { message, since_ms: now_ms });
        self.let_go(now_ms);
    }

    /// Lets go what is over the bounds at `now_ms`.
    pub fn let_go(&mut self, now_ms: u64) {
        while self.kept.front().is_some_and(|oldest| self.is_over(oldest, now_ms)) {
            if let Some(oldest) = self.kept.pop_front() {
                self.bytes -= oldest.message.bytes();
            }
        }
    }

    fn is_over(&self, oldest: &Kept, now_ms: u64) -> bool {
        self.kept.len() > self.limits.messages
            || self.bytes > self.limits.bytes
            || self.limits.max_age_ms.is_some_and(|age| now_ms.saturating_sub(oldest.since_ms) > age)
    }

    /// Lets go of the older half, in bytes.
    pub fn halve(&mut self) {
        let half = self.bytes / 2;
        while self.bytes > half
            && let Some(oldest) = self.kept.pop_front()
        {
            self.bytes -= oldest.message.bytes();
        }
        self.kept.shrink_to(2 * self.kept.len());
    }

    /// What is kept, in bytes, as [`Message::bytes`] counts them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether messages are let go by age alone, so that somebody has to look at it when nothing is published.
    pub fn ages(&self) -> bool {
        self.limits.max_age_ms.is_some() && !self.kept.is_empty()
    }

    /// The offset of the oldest message kept.
    pub fn oldest(&self) -> Option<u64> {
        self.kept.front().map(|kept| kept.message.offset)
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The messages from offset `from` on, as many as `max_bytes` allow and at least one if there is one.
    pub fn read(&self, from: u64, max_bytes: usize) -> Vec<Arc<Message>> {
        let Some(oldest) = self.oldest() else { return Vec::new() };
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        self.kept
            .iter()
            .skip(skip)
            .map(|kept| &kept.message)
            .take_while(|message| {
                let takes = bytes == 0 || bytes + message.bytes() <= max_bytes;
                bytes += message.bytes();
                takes
            })
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::message;
    use proptest::prelude::*;

    const UNBOUNDED: HistoryLimits =
        HistoryLimits { messages: usize::MAX, bytes: usize::MAX, max_age_ms: None };

    fn offsets(messages: &[Arc<Message>]) -> Vec<u64> {
        messages.iter().map(|message| message.offset).collect()
    }

    proptest! {
        /// The naive twin keeps everything and filters when asked.
        #[test]
        fn history_holds_what_all_three_bounds_allow(
            messages in 1usize..6, kilobytes in 1usize..6, max_age_ms in proptest::option::of(1u64..50),
            pushes in proptest::collection::vec((0u64..20, 0usize..1500), 1..40),
        ) {
            let limits = HistoryLimits { messages, bytes: kilobytes * 1024, max_age_ms };
            let mut history = History::new(limits);
            let mut naive: Vec<(u64, Arc<Message>)> = Vec::new();
            let mut now = 0;
            for (index, (pause, size)) in pushes.into_iter().enumerate() {
                now += pause;
                let message = message("t", index as u64 + 1, size);
                history.push(message.clone(), now);
                naive.push((now, message));
                let expected: Vec<u64> = (0..naive.len())
                    .filter(|&start| {
                        let rest = &naive[start..];
                        rest.len() <= messages
                            && rest.iter().map(|(_, m)| m.bytes()).sum::<usize>() <= limits.bytes
                            && max_age_ms.is_none_or(|age| now - rest[0].0 <= age)
                    })
                    .map(|start| naive[start].1.offset)
                    .collect();
                prop_assert_eq!(offsets(&history.read(0, usize::MAX)), expected);
            }
        }
    }

    #[test]
    fn a_read_starts_at_the_offset_and_stops_at_the_bytes() {
        let mut history = History::new(UNBOUNDED);
        for offset in 5..15 {
            history.push(message("t", offset, 100), 0);
        }
        let each = 100 + Message::OVERHEAD_BYTES;
        assert_eq!(offsets(&history.read(7, 2 * each)), [7, 8]);
        assert_eq!(offsets(&history.read(1, 2 * each)), [5, 6]);
        assert_eq!(offsets(&history.read(14, 0)), [14], "one message comes, however large");
        assert!(history.read(15, usize::MAX).is_empty());
    }

    #[test]
    fn age_lets_go_without_a_publish() {
        let mut history = History::new(HistoryLimits { max_age_ms: Some(10), ..UNBOUNDED });
        history.push(message("t", 1, 1), 100);
        history.let_go(110);
        assert_eq!(history.oldest(), Some(1));
        history.let_go(111);
        assert!(history.is_empty());
    }
}
