//! The values that a snapshot brought of one topic.

use std::collections::BTreeMap;

/// The offset of each key's value; of messages without a key as of one with an empty one.
#[derive(Default)]
pub(crate) struct Values {
    by_key: BTreeMap<String, u64>,
    last: Option<u64>,
}

impl Values {
    /// The offset of the newest.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    /// They come in the order of their offsets, and one of each key.
    pub(crate) fn hear(&mut self, topic: &str, key: &str, offset: u64) {
        assert!(self.last.is_none_or(|last| last < offset), "values of {topic} go back to {offset}");
        self.last = Some(offset);
        assert_eq!(self.by_key.insert(key.to_owned(), offset), None, "two values of a key of {topic}");
    }

    /// No value is older than any of `messages`, which are those with their keys that were published up to the last value,
    /// as far as anybody knows.
    pub(crate) fn assert_newest(&self, topic: &str, messages: impl Iterator<Item = (u64, String)>) {
        for (offset, key) in messages {
            let value = self.by_key.get(&key);
            assert!(
                value.is_some_and(|value| *value >= offset),
                "{topic}: {value:?} is not newer than {offset}"
            );
        }
    }
}
