//! A snapshot as it comes: the values, and whether what is live begins exactly behind them.

use std::collections::{BTreeMap, BTreeSet};

use fanwire_wire::topic::TopicOrPattern;

use crate::settings::{keeps_keys, keeps_values};
use crate::truth::Truth;
use crate::values::Values;

/// What came between `subscribed` and `snapshot_end`.
pub struct Snapshot {
    id: u64,
    target: TopicOrPattern,
    /// The offset that a topic's values are as of.
    at: Option<u64>,
    topics: BTreeMap<String, Values>,
    count: u64,
    /// Of which something live came, and nothing but this brings it.
    live: BTreeSet<String>,
    /// Another that has not ended either may have brought some of its values.
    pub is_shared: bool,
}

impl Snapshot {
    pub fn new(id: u64, target: &str, at: Option<u64>) -> Self {
        let target = TopicOrPattern::parse(target).expect("a topic or pattern");
        let (topics, live) = (BTreeMap::new(), BTreeSet::new());
        Self { id, target, at, topics, count: 0, live, is_shared: false }
    }

    pub fn matches(&self, topic: &str) -> bool {
        self.target.matches(topic)
    }

    /// Whether it is of a pattern, whose topics are live before its end.
    pub fn is_of_pattern(&self) -> bool {
        matches!(self.target, TopicOrPattern::Pattern(_))
    }

    pub fn hear(&mut self, topic: &str, key: &str, offset: u64) {
        assert!(self.at.is_none_or(|at| offset <= at), "{topic} {offset} is no value as of {:?}", self.at);
        assert!(keeps_values(topic), "a value of {topic}, which keeps none");
        if self.is_shared {
            return;
        }
        assert!(!self.live.contains(topic), "a value of {topic}, which is live already");
        let key = if keeps_keys(topic) { key } else { "" };
        self.topics.entry(topic.to_owned()).or_default().hear(topic, key, offset);
        self.count += 1;
    }

    /// Something of the topic came that only this brings.
    pub fn hear_live(&mut self, topic: &str) {
        assert!(self.is_of_pattern(), "{topic} in front of the end of its snapshot");
        if keeps_values(topic) {
            self.live.insert(topic.to_owned());
        }
    }

    pub fn end(self, id: u64, count: u64) -> BTreeMap<String, Values> {
        assert_eq!((id, self.is_shared || count == self.count), (self.id, true), "{} values", self.count);
        if self.is_shared { BTreeMap::new() } else { self.topics }
    }
}

/// No value that anybody knows of is newer, but for what `peer` published and did not want back.
pub fn assert_newest(topic: &str, values: &Values, peer: usize, truth: &Truth) {
    let Some(last) = values.last() else { return };
    let theirs = truth.messages_up_to(topic, last).filter(|(offset, asked)| {
        // What took the place of an own one is not known to have been there in time.
        !asked.is_unwanted(peer) && !truth.is_hidden(peer, topic, *offset, u64::MAX)
    });
    values.assert_newest(topic, theirs.map(|(offset, asked)| (offset, asked.value_key().to_owned())));
}
