//! The last value of each key of one topic.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ahash::HashSet;

use crate::message::Message;

/// The bounds of one topic's last values. Both hold at once, but the newest value is kept whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// Keys that have a value.
    pub max: usize,
    /// Bytes kept, as [`Message::bytes`] counts them.
    pub bytes: usize,
}

/// The newest message of each key of one topic. When there are too many, the one goes that was updated longest ago.
///
/// ```text
///   by key:     "EURUSD" ──┐   none ──┐   "GBPUSD" ──┐
///   by offset:            41         57             58       offsets only grow, so the first
///               └ updated longest ago                        is what was updated longest ago
/// ```
#[derive(Debug)]
pub struct LastValues {
    limits: KeyLimits,
    by_key: HashSet<OfKey>,
    by_offset: BTreeMap<u64, Arc<Message>>,
    bytes: usize,
}

/// A message, as what its key is looked up by.
#[derive(Debug)]
struct OfKey(Arc<Message>);

impl LastValues {
    /// No values yet.
    pub fn new(limits: KeyLimits) -> Self {
        Self { limits, by_key: HashSet::default(), by_offset: BTreeMap::new(), bytes: 0 }
    }

    /// Keeps `message`, the newest of its topic, as the value of its key, and lets go what the bounds no longer allow.
    pub fn update(&mut self, message: Arc<Message>) {
        debug_assert!(self.by_offset.keys().next_back().is_none_or(|newest| *newest < message.offset));
        self.bytes += message.bytes();
        if let Some(OfKey(last)) = self.by_key.replace(OfKey(message.clone())) {
            self.by_offset.remove(&last.offset);
            self.bytes -= last.bytes();
        }
        self.by_offset.insert(message.offset, message);
        while self.is_over() {
            let Some((_, oldest)) = self.by_offset.pop_first() else { break };
            self.by_key.remove(key_of(&oldest));
            self.bytes -= oldest.bytes();
        }
    }

    fn is_over(&self) -> bool {
        let len = self.by_offset.len();
        len > 1 && (len > self.limits.max || self.bytes > self.limits.bytes)
    }

    /// The values, in the order of their offsets.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Message>> {
        self.by_offset.values()
    }

    /// What is kept, in bytes, as [`Message::bytes`] counts them.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many keys have a value.
    pub fn len(&self) -> usize {
        self.by_offset.len()
    }

    /// Whether none has.
    pub fn is_empty(&self) -> bool {
        self.by_offset.is_empty()
    }
}

/// A key has at least one byte, so the empty one is free to stand for messages without.
fn key_of(message: &Message) -> &str {
    message.key.as_deref().unwrap_or_default()
}

impl Borrow<str> for OfKey {
    fn borrow(&self) -> &str {
        key_of(&self.0)
    }
}

impl Hash for OfKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        key_of(&self.0).hash(state);
    }
}

impl PartialEq for OfKey {
    fn eq(&self, other: &Self) -> bool {
        key_of(&self.0) == key_of(&other.0)
    }
}

impl Eq for OfKey {}

#[cfg(test)]
mod tests {
    use fanwire_wire::topic::Topic;
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::keyed;

    fn keyed_message(key: Option<&str>, offset: u64, size: usize) -> Arc<Message> {
        keyed(&Topic::parse("t").expect("a topic"), key, offset, size)
    }

    const UNBOUNDED: KeyLimits = KeyLimits { max: usize::MAX, bytes: usize::MAX };

    fn offsets(values: &LastValues) -> Vec<u64> {
        values.iter().map(|value| value.offset).collect()
    }

    /// Of each key the last that was published, and of these as many of the newest as the bounds allow.
    fn naive(published: &[Arc<Message>], limits: KeyLimits) -> Vec<u64> {
        let is_last = |(at, message): &(usize, &Arc<Message>)| {
            published[at + 1..].iter().all(|later| later.key != message.key)
        };
        let mut bytes = 0;
        let last = published.iter().enumerate().filter(is_last).map(|(_, message)| message);
        let last: Vec<_> = last.collect();
        let newest_first = last.iter().rev().enumerate().take_while(|(newer, message)| {
            bytes += message.bytes();
            *newer == 0 || (*newer < limits.max && bytes <= limits.bytes)
        });
        let mut kept: Vec<u64> = newest_first.map(|(_, message)| message.offset).collect();
        kept.reverse();
        kept
    }

    proptest! {
        #[test]
        fn the_newest_of_each_key_is_kept_as_far_as_both_bounds_allow(
            max in 1usize..6, kilobytes in 1usize..6,
            updates in proptest::collection::vec((0u8..8, 0usize..1500), 1..60),
        ) {
            let limits = KeyLimits { max, bytes: kilobytes * 1024 };
            let mut values = LastValues::new(limits);
            let mut published = Vec::new();
            for (index, (key, size)) in updates.into_iter().enumerate() {
                let key = (key > 0).then(|| format!("key{key}"));
                let message = keyed_message(key.as_deref(), index as u64 + 1, size);
                values.update(message.clone());
                published.push(message);
                let kept = naive(&published, limits);
                prop_assert_eq!(&offsets(&values), &kept);
                // What was let go stays gone: nothing comes back when the bounds would allow it again.
                published.retain(|message| kept.contains(&message.offset));
                prop_assert_eq!(values.bytes, values.iter().map(|value| value.bytes()).sum::<usize>());
                prop_assert_eq!(values.by_key.len(), values.len());
            }
        }
    }

    #[test]
    fn what_was_updated_longest_ago_goes_first() {
        let mut values = LastValues::new(KeyLimits { max: 2, ..UNBOUNDED });
        for (offset, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
            values.update(keyed_message(Some(key), offset, 1));
        }
        assert_eq!(offsets(&values), [3, 4], "a was updated after b");
    }

    #[test]
    fn messages_without_a_key_are_the_value_of_one_of_their_own() {
        let mut values = LastValues::new(UNBOUNDED);
        for (offset, key) in [(1, None), (2, Some("a")), (3, None)] {
            values.update(keyed_message(key, offset, 1));
        }
        assert_eq!(offsets(&values), [2, 3]);
    }

    #[test]
    fn the_newest_is_kept_however_large() {
        let mut values = LastValues::new(KeyLimits { bytes: 1_000, ..UNBOUNDED });
        values.update(keyed_message(Some("a"), 1, 100));
        values.update(keyed_message(Some("b"), 2, 5_000));
        assert_eq!(offsets(&values), [2]);
        values.update(keyed_message(Some("a"), 3, 100));
        assert_eq!(offsets(&values), [3]);
    }
}
