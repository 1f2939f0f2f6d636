//! Clients that subscribe with a snapshot and publish nothing, so that every offset is theirs: the last value of each key,
//! and then each message once and in order, or told.

use std::collections::BTreeMap;

use fanwire_wire::topic::TopicOrPattern;
use serde_json::Value;

use crate::truth::Truth;
use crate::values::Values;
use crate::world::{KEEPS_VALUES, TOPICS};

pub(crate) struct Watcher {
    target: TopicOrPattern,
    topics: BTreeMap<String, Watched>,
    /// The values that came.
    count: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asked,
    /// It is told values, of a topic as of this offset.
    Begun {
        at: Option<u64>,
    },
    Whole,
    /// A core that had stalled does not answer.
    Refused,
}

/// What it has of one topic.
#[derive(Default)]
struct Watched {
    values: Values,
    /// The offset that has to come next, once it is known.
    next: Option<u64>,
}

impl Watcher {
    pub(crate) fn new(target: &str) -> Self {
        let target = TopicOrPattern::parse(target).expect("a topic or pattern");
        Self { target, topics: BTreeMap::new(), count: 0, state: State::Asked }
    }

    pub(crate) fn command(&self) -> String {
        format!(r#"{{"type":"subscribe","id":1,"topic":"{}","snapshot":true}}"#, self.target.as_str())
    }

    pub(crate) fn hear(&mut self, said: &Value, truth: &mut Truth) {
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
        match said["type"].as_str().expect("a type") {
            "subscribed" => {
                assert_eq!(self.state, State::Asked, "{said}");
                self.state = State::Begun { at: said["offset"].as_u64() };
            }
            "snapshot_end" => self.end(number("count"), said),
            "error" => {
                assert_eq!((self.state, &said["code"]), (State::Asked, &"unavailable".into()), "{said}");
                self.state = State::Refused;
            }
            "message" => {
                let (topic, offset) = (said["topic"].as_str().expect("a topic"), number("offset"));
                let payload = said["data"].as_u64().or_else(|| said["data"].as_str()?.parse().ok());
                let payload = payload.expect("a payload");
                truth.learn(topic, offset, payload);
                assert_eq!(said["key"].as_str(), truth.key_of(payload).as_deref(), "{said}");
                if said["snapshot"] == true {
                    self.value(topic, said["key"].as_str().unwrap_or_default(), offset);
                } else {
                    self.account(topic, said["skipped"].as_u64().unwrap_or(0), (offset, offset + 1));
                }
            }
            "skipped" => {
                let (topic, next) = (said["topic"].as_str().expect("a topic"), number("offset") + 1);
                self.account(topic, number("count"), (next, next));
            }
            "gap" => {
                let topic = said["topic"].as_str().expect("a topic");
                self.account(topic, 0, (number("from"), number("to") + 1));
            }
            _ => panic!("{said} to somebody who did not ask"),
        }
    }

    fn value(&mut self, topic: &str, key: &str, offset: u64) {
        let State::Begun { at } = self.state else { panic!("a value of {topic} when {:?}", self.state) };
        assert!(at.is_none_or(|at| offset <= at), "{topic} {offset} is no value as of {at:?}");
        assert!(self.target.matches(topic), "{topic} was not asked for");
        let watched = self.topics.entry(topic.to_owned()).or_default();
        assert!(watched.next.is_none(), "a value of {topic}, which is live already");
        watched.values.hear(topic, if keeps_keys(topic) { key } else { "" }, offset);
        self.count += 1;
    }

    fn end(&mut self, count: u64, said: &Value) {
        let State::Begun { at } = self.state else { panic!("{said} when {:?}", self.state) };
        assert_eq!(count, self.count, "{said}");
        self.state = State::Whole;
        if let Some(at) = at {
            let watched = self.topics.entry(self.target.as_str().to_owned()).or_default();
            watched.next = Some(at + 1);
        }
    }

    fn account(&mut self, topic: &str, skipped: u64, (from, next): (u64, u64)) {
        let is_pattern = matches!(self.target, TopicOrPattern::Pattern(_));
        assert!(
            is_pattern || self.state == State::Whole,
            "{topic} {from} in front of the end of the snapshot"
        );
        let watched = self.topics.entry(topic.to_owned()).or_default();
        let expected = watched.next.or(watched.values.last().map(|last| last + 1));
        if let Some(expected) = expected {
            // A topic that keeps nothing may be forgotten, and come back with a higher offset.
            let may_jump = !KEEPS_VALUES.contains(&topic) && from > expected + skipped;
            assert!(
                may_jump || from == expected + skipped,
                "{topic} goes on from {expected} with {from}, {skipped} skipped"
            );
        }
        watched.next = Some(next);
    }

    pub(crate) fn assert_complete(&self, truth: &Truth) {
        if self.state == State::Refused {
            return;
        }
        assert_eq!(self.state, State::Whole, "a snapshot of {} that never ended", self.target.as_str());
        for topic in TOPICS.iter().filter(|topic| self.target.matches(topic)) {
            let watched = self.topics.get(*topic);
            // Who asked for one topic is told where that is; a pattern's that keeps nothing may have been before its time.
            let is_owed = KEEPS_VALUES.contains(topic);
            let end = truth.last_offset(topic) + 1;
            let next =
                watched.and_then(|watched| watched.next.or(watched.values.last().map(|last| last + 1)));
            assert!(
                !is_owed || end == 1 || next >= Some(end),
                "{topic} stops at {next:?}, but {end} is next"
            );
            if let Some(watched) = watched.filter(|_| is_owed) {
                watched.assert_newest(topic, truth);
            }
        }
    }
}

impl Watched {
    /// No value that anybody knows of is newer, of those that were there.
    fn assert_newest(&self, topic: &str, truth: &Truth) {
        let Some(last) = self.values.last() else { return };
        let key_of = |payload| truth.key_of(payload).filter(|_| keeps_keys(topic)).unwrap_or_default();
        let messages = truth.messages_up_to(topic, last);
        self.values.assert_newest(topic, messages.map(|(offset, payload)| (offset, key_of(payload))));
    }
}

/// Whether the topic has a value for each key. The others have one, whatever its key.
fn keeps_keys(topic: &str) -> bool {
    topic.starts_with("keyed.")
}
