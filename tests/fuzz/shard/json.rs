//! What a JSON connection, or a binary one, has asked and heard, and whether it adds up: of each topic what is delivered,
//! skipped and in gaps is what was published, each once and in order; a snapshot goes on from exactly where it is; a tick
//! comes whole or not at all.

use std::collections::BTreeMap;
use std::ops::Range;

use fanwire_wire::topic::Pattern;
use serde_json::Value;

use crate::binary::Numbers;
use crate::heard::{Going, Heard};
use crate::peer::payload_of;
use crate::publishing::{Batch, assert_refusal};
use crate::settings::keeps_values;
use crate::snapshot::{Snapshot, assert_newest};
use crate::together::Ticks;
use crate::truth::{Payload, Truth};
use crate::values::Values;

/// What it has asked and heard.
#[derive(Default)]
pub struct Json {
    asked: BTreeMap<u64, Command>,
    /// What it was told of numbers, if it speaks in octets.
    numbers: Option<Numbers>,
    topics: BTreeMap<String, Heard>,
    /// For each pattern, the times it has asked for it and not heard that it ended: it may have asked again meanwhile.
    patterns: BTreeMap<String, usize>,
    /// Those that have begun and not ended, by what they are of.
    snapshots: BTreeMap<String, Snapshot>,
    /// Those that have ended.
    values: Vec<(String, Values)>,
    ticks: Ticks,
    /// Messages that were to come in a tick that came without them, and the offset of their topic that was to come next.
    missed: Vec<(Payload, u64)>,
}

pub enum Command {
    Publish(Payload),
    PublishBatch(Batch),
    Subscribe(Subscribe),
    Recover(String),
    Unsubscribe(String),
    Ping,
}

/// A `subscribe`, and those of its topics and patterns that have no answer yet.
pub struct Subscribe {
    pub names: Vec<String>,
    /// Those for which the policy that it asks for is not allowed.
    pub forbidden: Vec<String>,
    pub snapshot: bool,
    /// It asks for what was published before.
    pub replays: bool,
}

fn is_pattern(name: &str) -> bool {
    Pattern::parse(name).is_ok()
}

/// What connections ask for.
impl Json {
    pub fn in_octets() -> Self {
        Self { numbers: Some(Numbers::default()), ..Self::default() }
    }

    /// The command is on its way.
    pub fn ask(&mut self, id: u64, command: Command) {
        match &command {
            Command::Subscribe(subscribe) => {
                for name in &subscribe.names {
                    if is_pattern(name) {
                        *self.patterns.entry(name.clone()).or_default() += 1;
                        self.loosen(name);
                    } else if subscribe.replays {
                        self.heard(name).replays = true;
                    }
                }
            }
            Command::Recover(name) => self.heard(name).replays = true,
            Command::Publish(_) | Command::PublishBatch(_) | Command::Unsubscribe(_) | Command::Ping => {}
        }
        self.asked.insert(id, command);
    }

    fn heard(&mut self, topic: &str) -> &mut Heard {
        self.topics.entry(topic.to_owned()).or_default()
    }

    /// How many times it has asked for a pattern that matches.
    fn patterns_for(&self, topic: &str) -> usize {
        let matches = |name: &String| Pattern::parse(name).is_ok_and(|pattern| pattern.matches(topic));
        self.patterns.iter().filter(|(name, _)| matches(name)).map(|(_, asked)| asked).sum()
    }

    /// A pattern begins or ends: what it matches may go on from elsewhere.
    fn loosen(&mut self, name: &str) {
        let Ok(pattern) = Pattern::parse(name) else { return };
        for (topic, heard) in &mut self.topics {
            if pattern.matches(topic) && [Going::ByPattern, Going::BySnapshot].contains(&heard.going) {
                heard.going = Going::Loose;
            }
        }
    }

    fn end_pattern(&mut self, name: &str) {
        if let Some(asked) = self.patterns.get_mut(name) {
            *asked = asked.checked_sub(1).expect("an end of what it asked for");
            self.loosen(name);
        }
    }
}

/// What they hear.
impl Json {
    pub fn hear(&mut self, peer: usize, message: &[u8], truth: &mut Truth) {
        let said = match &mut self.numbers {
            Some(numbers) => numbers.understood(message),
            None => serde_json::from_slice(message).expect("JSON"),
        };
        let topic = said["topic"].as_str().unwrap_or_default();
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
        let kind = said["type"].as_str().expect("a type");
        if !["message", "tick"].contains(&kind) || said["snapshot"] == true {
            self.ticks.hear_other();
        }
        match kind {
            "message" => self.hear_message(peer, &said, truth),
            "tick" => self.hear_tick(number("count") as usize, truth),
            "skipped" => {
                assert!(number("count") > 0, "{said}");
                let next = number("offset") + 1;
                self.account(peer, topic, number("count"), next..next, truth);
            }
            "gap" => {
                let (from, to) = (number("from"), number("to"));
                assert!(from <= to && number("count") == to + 1 - from, "{said}");
                self.account(peer, topic, 0, from..to + 1, truth);
                self.heard(topic).gaps.push(from..to + 1);
            }
            "snapshot_end" => {
                let snapshot = self.snapshots.remove(topic).unwrap_or_else(|| panic!("no snapshot: {said}"));
                self.values.extend(snapshot.end(number("id"), number("count")));
            }
            kind => self.answered(kind, number("id"), &said, truth),
        }
    }

    fn hear_message(&mut self, peer: usize, said: &Value, truth: &mut Truth) {
        let topic = said["topic"].as_str().expect("a topic");
        let offset = said["offset"].as_u64().expect("an offset");
        let payload = payload_of(said["data"].as_str().expect("a text"));
        truth.learn(topic, offset, payload);
        let asked = truth.asked(payload);
        assert!(!asked.is_unwanted(peer), "its own message came back: {said}");
        assert_eq!(said["key"].as_str(), asked.key.as_deref(), "{said}");
        if said["snapshot"] == true {
            return self.hear_value(topic, said["key"].as_str().unwrap_or_default(), offset);
        }
        self.ticks.hear_message(payload);
        self.account(peer, topic, said["skipped"].as_u64().unwrap_or(0), offset..offset + 1, truth);
    }

    /// The last value of a key. What is live follows it, where nothing else brings that.
    fn hear_value(&mut self, topic: &str, key: &str, offset: u64) {
        let is_only = self.patterns_for(topic) == 1 && !self.heard(topic).subscribed;
        let mut of_topic: Vec<&mut Snapshot> =
            self.snapshots.values_mut().filter(|snapshot| snapshot.matches(topic)).collect();
        let [one] = of_topic.as_mut_slice() else {
            assert!(!of_topic.is_empty(), "a value of {topic}, of no snapshot");
            return of_topic.into_iter().for_each(|snapshot| snapshot.is_shared = true);
        };
        one.hear(topic, key, offset);
        if is_only && one.is_of_pattern() {
            let heard = self.heard(topic);
            (heard.next, heard.going) = (offset + 1, Going::BySnapshot);
        }
    }

    /// Nothing that is to come of the topics of a tick was published together with it.
    fn hear_tick(&mut self, count: usize, truth: &Truth) {
        let tick = self.ticks.hear_tick(count, &truth.together);
        for other in truth.others(&tick) {
            if let Some(heard) = self.topics.get(&truth.asked(other).topic)
                && heard.going != Going::Loose
            {
                self.missed.push((other, heard.next));
            }
        }
    }

    /// So many were skipped, and then `told` came, or were told missing.
    fn account(&mut self, peer: usize, topic: &str, skipped: u64, told: Range<u64>, truth: &Truth) {
        let patterns = self.patterns_for(topic);
        let heard = self.topics.entry(topic.to_owned()).or_default();
        assert!(patterns > 0 || heard.subscribed, "{topic} to somebody who does not subscribe to it");
        // The values that the last of a snapshot is behind end with those that the peer has published itself.
        let end = (heard.going == Going::BySnapshot).then_some(told.start);
        heard.account(topic, skipped, told, |offset| {
            truth.is_unwanted(peer, topic, offset)
                || end.is_some_and(|end| truth.is_hidden(peer, topic, offset, end))
        });
        if heard.going == Going::BySnapshot {
            heard.going = Going::ByPattern;
        }
        if heard.subscribed {
            for (_, snapshot) in self.snapshots.iter().filter(|(name, _)| *name == topic) {
                assert!(snapshot.is_of_pattern(), "{topic} in front of the end of its snapshot");
            }
        } else if patterns == 1 {
            // A topic that keeps nothing may be forgotten, and come back with a higher offset.
            if keeps_values(topic) {
                heard.going = Going::ByPattern;
            }
            let alone = self.snapshots.values_mut().filter(|snapshot| snapshot.matches(topic));
            alone.for_each(|snapshot| snapshot.hear_live(topic));
        }
    }

    fn answered(&mut self, kind: &str, id: u64, said: &Value, truth: &mut Truth) {
        let topic = said["topic"].as_str().unwrap_or_default();
        if let Some(Command::Subscribe(subscribe)) = self.asked.get_mut(&id) {
            let at =
                subscribe.names.iter().position(|name| name == topic).unwrap_or_else(|| panic!("{said}"));
            subscribe.names.swap_remove(at);
            let (is_forbidden, snapshot) =
                (subscribe.forbidden.iter().any(|name| name == topic), subscribe.snapshot);
            if subscribe.names.is_empty() {
                self.asked.remove(&id);
            }
            return self.subscribed(kind, id, (is_forbidden, snapshot), said);
        }
        let asked = self.asked.remove(&id).expect("an answer to a question of its own");
        match (kind, asked) {
            ("published", Command::Publish(payload)) => {
                truth.learn_receipt(topic, said["offset"].as_u64().expect("an offset"), payload);
            }
            ("published_batch", Command::PublishBatch(batch)) => {
                let result = |result: &Value| match result["offset"].as_u64() {
                    Some(offset) => Ok(offset),
                    None => Err(result["code"].as_str().expect("a code").to_owned()),
                };
                let is_whole = !batch.atomic || batch.is_together(truth);
                assert!(is_whole, "they do not share a home: {said}");
                batch.learn(said["results"].as_array().expect("results").iter().map(result), truth);
            }
            ("subscribed", Command::Recover(name)) => {
                assert_eq!(name, topic, "{said}");
                self.begin(topic, said["offset"].as_u64().expect("an offset"));
            }
            ("unsubscribed", Command::Unsubscribe(name)) => {
                assert_eq!(name, topic, "{said}");
                self.end(topic);
            }
            ("pong", Command::Ping) => {}
            ("error", Command::Publish(payload)) => {
                assert_refusal(said["code"].as_str().expect("a code"), truth.asked(payload), false);
            }
            ("error", Command::PublishBatch(batch)) => {
                assert!(
                    said["code"] == "not_together" && batch.atomic && !batch.is_together(truth),
                    "{said}"
                );
            }
            ("error", Command::Recover(_)) => {
                // That leaves the subscription as it was.
                assert_code(
                    said,
                    &[
                        "overlap",
                        "not_subscribed",
                        "superseded",
                        "bad_since",
                        "unavailable",
                        "too_many_topics",
                    ],
                );
            }
            ("error", Command::Unsubscribe(_)) => assert_code(said, &["not_subscribed"]),
            _ => panic!("an answer to another question: {said}"),
        }
    }

    /// One of what a `subscribe` named has its answer.
    fn subscribed(&mut self, kind: &str, id: u64, (is_forbidden, snapshot): (bool, bool), said: &Value) {
        let topic = said["topic"].as_str().expect("a topic or pattern");
        match kind {
            "subscribed" => {
                assert!(!is_forbidden, "a policy that is not allowed: {said}");
                let at = said["offset"].as_u64();
                assert_eq!(at.is_none(), is_pattern(topic), "{said}");
                if let Some(at) = at {
                    self.begin(topic, at);
                }
                if snapshot {
                    let before = self.snapshots.insert(topic.to_owned(), Snapshot::new(id, topic, at));
                    assert!(before.is_none(), "two snapshots at once: {said}");
                }
            }
            "error" => self.refused(topic, is_forbidden, said),
            _ => panic!("an answer to another question: {said}"),
        }
    }

    fn refused(&mut self, topic: &str, is_forbidden: bool, said: &Value) {
        let before = ["overlap", "already_subscribed", "too_many_subscriptions", "superseded"];
        let after = ["bad_since", "unavailable", "too_many_topics"];
        let code = said["code"].as_str().expect("a code");
        match code {
            "not_kept" => assert!(!is_pattern(topic) && !keeps_values(topic), "{said}"),
            "policy_not_allowed" => assert!(is_forbidden, "{said}"),
            _ => assert!(!is_forbidden && [&before[..], &after].concat().contains(&code), "{said}"),
        }
        // What takes the place of a `subscribe` is an `unsubscribe`, which has an answer of its own.
        if code != "superseded" {
            self.end_pattern(topic);
        }
        if after.contains(&code) {
            self.heard(topic).end();
        }
    }

    /// A subscription begins after `offset`. Where a pattern brings the topic too, it goes on as that does.
    fn begin(&mut self, topic: &str, offset: u64) {
        let matched = self.patterns_for(topic) > 0;
        let heard = self.heard(topic);
        heard.next = if matched { heard.next.min(offset + 1) } else { offset + 1 };
        heard.going = if matched { Going::Loose } else { Going::ByTopic };
        heard.subscribed = true;
    }

    fn end(&mut self, name: &str) {
        self.snapshots.remove(name);
        if is_pattern(name) {
            self.end_pattern(name);
        } else {
            self.heard(name).end();
        }
    }

    pub fn assert_complete(&mut self, peer: usize, truth: &Truth) {
        assert!(self.asked.is_empty(), "an answer that never came");
        assert!(self.snapshots.is_empty(), "a snapshot that never ended");
        for (topic, heard) in self.topics.iter_mut().filter(|(_, heard)| heard.going != Going::Loose) {
            heard.assert_complete(topic, truth.last_offset(topic) + 1, |offset| {
                truth.is_unwanted(peer, topic, offset)
            });
        }
        for (topic, values) in &self.values {
            assert_newest(topic, values, peer, truth);
        }
        let topics = &self.topics;
        let may_be_alone =
            |payload| topics.get(&truth.asked(payload).topic).is_none_or(|heard| heard.replays);
        self.ticks.assert_whole(&truth.together, may_be_alone);
        for &(payload, next) in &self.missed {
            let heard = &topics[&truth.asked(payload).topic];
            let is_torn = |offset: u64| offset >= next || heard.gaps.iter().any(|gap| gap.contains(&offset));
            assert!(
                heard.replays || !truth.place(payload).is_some_and(is_torn),
                "{payload} was published together with what came without it"
            );
        }
    }
}

fn assert_code(said: &Value, codes: &[&str]) {
    assert!(said["code"].as_str().is_some_and(|code| codes.contains(&code)), "{said}");
}
