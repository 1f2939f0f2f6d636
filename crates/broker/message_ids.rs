//! The messages of one topic that are known by their publisher's name for them, so that a repeat is not published again.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::HashMap;

/// The bounds of one topic's window of message ids. Both hold at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageIdLimits {
    /// Ids known.
    pub max: usize,
    /// The age, in milliseconds, above which an id is no longer known.
    pub max_age_ms: u64,
}

/// What an id takes besides its characters, in bytes: its places among the offsets and in the order, and its reference count.
const ID_BYTES: usize = 96;

/// The ids of the newest messages of one topic that have one, and where these are.
///
/// ```text
///   forgotten │ oldest … newest │
///             └─ known, each with its offset, for max_age after it came ─┘
/// ```
#[derive(Debug)]
pub struct MessageIds {
    limits: MessageIdLimits,
    offsets: HashMap<Arc<str>, u64>,
    /// In the order in which they came, with when that was on the monotonic clock: wall time jumps.
    came: VecDeque<(Arc<str>, u64)>,
    bytes: usize,
}

impl MessageIds {
    /// None known.
    pub fn new(limits: MessageIdLimits) -> Self {
        Self { limits, offsets: HashMap::default(), came: VecDeque::new(), bytes: 0 }
    }

    /// The offset of the message with this id, if it is known. What is too old by now is not: [`Self::let_go`] comes first.
    pub fn offset_of(&self, id: &str) -> Option<u64> {
        self.offsets.get(id).copied()
    }

    /// Notes that the message with this offset has this id, which is not known yet, and forgets what is over the bounds.
    pub fn insert(&mut self, id: Arc<str>, offset: u64, now_ms: u64) {
        let known = self.offsets.insert(id.clone(), offset);
        debug_assert!(known.is_none(), "a repeat is not published");
        self.bytes += bytes_of(&id);
        self.came.push_back((id, now_ms));
        self.let_go(now_ms);
    }

    /// Forgets what is over the bounds at `now_ms`.
    pub fn let_go(&mut self, now_ms: u64) {
        let MessageIdLimits { max, max_age_ms } = self.limits;
        let is_over = |len: usize, since_ms: u64| len > max || now_ms.saturating_sub(since_ms) > max_age_ms;
        while let Some((id, since_ms)) = self.came.front()
            && is_over(self.offsets.len(), *since_ms)
        {
            self.offsets.remove(id);
            self.bytes -= bytes_of(id);
            self.came.pop_front();
        }
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.came.is_empty()
    }

    /// What those that are known take, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn bytes_of(id: &str) -> usize {
    id.len() + ID_BYTES
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The naive twin keeps every id that came with its time, and searches backwards among so many.
        #[test]
        fn an_id_is_known_while_it_is_among_the_newest_and_young_enough(
            max in 1usize..6, max_age_ms in 1u64..30,
            publishes in proptest::collection::vec((0u64..12, 0u8..8), 1..80),
        ) {
            let mut ids = MessageIds::new(MessageIdLimits { max, max_age_ms });
            let mut naive: Vec<(u64, String)> = Vec::new();
            let mut now = 0;
            for (pause, id) in publishes {
                now += pause;
                let id = format!("id{id}");
                ids.let_go(now);
                let window = naive.len().saturating_sub(max);
                let known = naive[window..].iter().position(|(came, known)| {
                    *known == id && now - came <= max_age_ms
                });
                let expected = known.map(|at| (window + at) as u64 + 1);
                prop_assert_eq!(ids.offset_of(&id), expected);
                if expected.is_none() {
                    naive.push((now, id.clone()));
                    ids.insert(id.into(), naive.len() as u64, now);
                }
                prop_assert_eq!(ids.offsets.len(), ids.came.len());
                prop_assert_eq!(ids.bytes(), ids.offsets.keys().map(|id| bytes_of(id)).sum::<usize>());
            }
        }
    }

    #[test]
    fn a_window_ends_by_age_alone() {
        let mut ids = MessageIds::new(MessageIdLimits { max: 10, max_age_ms: 100 });
        ids.insert("a".into(), 1, 0);
        ids.let_go(100);
        assert_eq!(ids.offset_of("a"), Some(1));
        ids.let_go(101);
        assert!(ids.is_empty() && ids.offset_of("a").is_none());
    }
}
