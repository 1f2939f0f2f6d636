//! A peer, which checks everything that it is told.

use std::collections::BTreeMap;

use fanwire_broker::ConnectionId;
use fanwire_wire::topic::Pattern;
use serde_json::Value;

use crate::binary::Numbers;
use crate::settings::EPOCH;
use crate::socket::{Line, Socket};
use crate::truth::{Payload, Truth};

pub struct Peer {
    pub number: usize,
    pub core: usize,
    pub connection: ConnectionId,
    pub speaks: Speaks,
    pub socket: Socket,
    /// The server has closed it, or it is gone: nothing that it says may count.
    pub is_over: bool,
    pub is_gone: bool,
}

pub enum Speaks {
    /// One request at a time: what a publish under way said, or that another is.
    Http(Option<Request>),
    Json(Json),
    Raw {
        topic: String,
        subscribed: bool,
        next: Option<u64>,
    },
    /// An event stream of the topic; the offset that comes next, once it has begun.
    Stream {
        topic: String,
        next: Option<u64>,
    },
}

pub enum Request {
    Publish(String, Payload),
    Latest(String),
    Poll(String),
}

/// What a JSON connection, or a binary one, has asked and heard.
#[derive(Default)]
pub struct Json {
    pub asked: BTreeMap<u64, Command>,
    /// What it was told of numbers, if it speaks in octets.
    numbers: Option<Numbers>,
    topics: BTreeMap<String, Heard>,
    /// For each pattern, the times it has asked for it and not heard that it ended: it may have asked again meanwhile.
    patterns: BTreeMap<String, usize>,
}

pub enum Command {
    Publish(String, Payload),
    /// A `subscribe` or `recover`.
    Subscribe(String),
    Unsubscribe(String),
    Ping,
}

/// What a JSON connection has heard of a topic.
#[derive(Default)]
struct Heard {
    /// The least offset that may come next.
    next: u64,
    /// It has a subscription to exactly this topic.
    subscribed: bool,
    /// That begins before `next`, and no pattern has a part in it: exactly that has to come next, or be told missing.
    exact: bool,
}

impl Json {
    pub fn in_octets() -> Self {
        Self { numbers: Some(Numbers::default()), ..Self::default() }
    }

    /// The command is on its way.
    pub fn ask(&mut self, id: u64, command: Command) {
        if let Command::Subscribe(name) = &command
            && Pattern::parse(name).is_ok()
        {
            *self.patterns.entry(name.clone()).or_default() += 1;
        }
        self.asked.insert(id, command);
    }

    fn matches_pattern(&self, topic: &str) -> bool {
        let matches = |pattern: &String| Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(topic));
        self.patterns.iter().any(|(pattern, asked)| *asked > 0 && matches(pattern))
    }

    fn end_pattern(&mut self, name: &str) {
        if let Some(asked) = self.patterns.get_mut(name) {
            *asked = asked.checked_sub(1).expect("an end of what it asked for");
        }
    }

    fn hear(&mut self, peer: usize, message: &[u8], truth: &mut Truth) {
        let said = match &mut self.numbers {
            Some(numbers) => numbers.understood(message),
            None => serde_json::from_slice(message).expect("JSON"),
        };
        let topic = said["topic"].as_str().unwrap_or_default();
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
        match said["type"].as_str().expect("a type") {
            "message" => {
                let payload = payload_of(said["data"].as_str().expect("a text"));
                truth.learn(topic, number("offset"), payload);
                assert!(
                    !truth.is_unwanted(peer, topic, number("offset")),
                    "its own message came back: {said}"
                );
                self.account(peer, topic, number("offset"), number("offset"), truth);
            }
            "gap" => {
                assert_eq!(number("count"), number("to") + 1 - number("from"), "{said}");
                self.account(peer, topic, number("from"), number("to"), truth);
            }
            kind => {
                let answered = self.asked.remove(&number("id")).expect("an answer to a question of its own");
                self.answered(kind, &answered, &said, truth);
            }
        }
    }

    fn answered(&mut self, kind: &str, asked: &Command, said: &Value, truth: &mut Truth) {
        let topic = said["topic"].as_str().unwrap_or_default();
        match (kind, asked) {
            ("published", Command::Publish(to, payload)) => {
                assert_eq!(to, topic, "{said}");
                truth.learn(topic, said["offset"].as_u64().expect("an offset"), *payload);
            }
            ("subscribed", Command::Subscribe(name)) => {
                assert_eq!(name, topic, "{said}");
                if let Some(offset) = said["offset"].as_u64() {
                    self.begin(topic, offset);
                }
            }
            ("unsubscribed", Command::Unsubscribe(name)) => {
                assert_eq!(name, topic, "{said}");
                self.end_pattern(topic);
                self.topics.entry(topic.to_owned()).or_default().end();
            }
            ("pong", Command::Ping) => {}
            ("error", Command::Publish(..)) => assert_code(said, &["unavailable", "too_many_topics"]),
            ("error", Command::Unsubscribe(_)) => assert_code(said, &["not_subscribed"]),
            ("error", Command::Subscribe(_)) => self.refused(topic, said),
            _ => panic!("an answer to another question: {said}"),
        }
    }

    /// A `recover` that is refused leaves the subscription as it was, and so do some refusals of a `subscribe`.
    fn refused(&mut self, topic: &str, said: &Value) {
        let harmless =
            ["overlap", "already_subscribed", "not_subscribed", "too_many_subscriptions", "superseded"];
        let fatal = ["bad_since", "unavailable", "too_many_topics"];
        assert_code(said, &[&harmless[..], &fatal].concat());
        // What takes the place of a `subscribe` is an `unsubscribe`, which has an answer of its own.
        if said["command"] == "subscribe" && said["code"] != "superseded" {
            self.end_pattern(topic);
        }
        if said["command"] == "subscribe" && said["code"].as_str().is_some_and(|code| fatal.contains(&code)) {
            self.topics.entry(topic.to_owned()).or_default().end();
        }
    }

    /// A subscription begins after `offset`. Where a pattern brings the topic too, it goes on as that does.
    fn begin(&mut self, topic: &str, offset: u64) {
        let matched = self.matches_pattern(topic);
        let heard = self.topics.entry(topic.to_owned()).or_default();
        heard.next = if matched { heard.next.min(offset + 1) } else { offset + 1 };
        heard.subscribed = true;
        heard.exact = !matched;
    }

    /// The messages `from..=to` came, or were told missing.
    fn account(&mut self, peer: usize, topic: &str, from: u64, to: u64, truth: &Truth) {
        assert!(from <= to, "a gap of nothing in {topic}");
        let matched = self.matches_pattern(topic);
        let Some(heard) = self.topics.get_mut(topic) else {
            assert!(matched, "{topic} to somebody who did not subscribe to it");
            self.topics.insert(topic.to_owned(), Heard { next: to + 1, ..Heard::default() });
            return;
        };
        assert!(matched || heard.subscribed, "{topic} to somebody who does not subscribe to it");
        assert!(heard.next <= from, "{topic} goes back from {} to {from}", heard.next);
        if heard.exact {
            heard.skip_unwanted(peer, topic, from, truth);
            assert_eq!(heard.next, from, "{topic} goes on with a hole");
        }
        heard.next = to + 1;
    }

    fn assert_complete(&mut self, peer: usize, truth: &Truth) {
        assert!(self.asked.is_empty(), "an answer that never came");
        for (topic, heard) in self.topics.iter_mut().filter(|(_, heard)| heard.exact) {
            let end = truth.last_offset(topic) + 1;
            heard.skip_unwanted(peer, topic, end, truth);
            assert!(heard.next >= end, "{topic} stops at {}, but {end} is next", heard.next);
        }
    }
}

impl Heard {
    fn end(&mut self) {
        self.subscribed = false;
        self.exact = false;
    }

    fn skip_unwanted(&mut self, peer: usize, topic: &str, end: u64, truth: &Truth) {
        while self.next < end && truth.is_unwanted(peer, topic, self.next) {
            self.next += 1;
        }
    }
}

impl Peer {
    /// Reads and checks; returns whether there was anything.
    pub fn read(&mut self, bytes: usize, truth: &mut Truth) -> bool {
        if self.socket.is_drained() {
            return false;
        }
        if let Speaks::Raw { next: next @ None, .. } = &mut self.speaks {
            match self.socket.read_line() {
                Line::Whole(offset) => *next = Some(offset + 1),
                Line::Begun => return true,
                Line::None => assert!(self.is_over, "frames before the handshake ends"),
            }
        }
        if let Speaks::Stream { topic, next } = &mut self.speaks {
            for event in self.socket.read_events(bytes) {
                hear_event(topic, next, &event, truth);
            }
            return true;
        }
        for message in self.socket.read(bytes) {
            match &mut self.speaks {
                Speaks::Json(json) => json.hear(self.number, &message, truth),
                Speaks::Raw { topic, next: Some(next), .. } => {
                    truth.learn(topic, *next, payload_of(str::from_utf8(&message).expect("text")));
                    *next += 1;
                }
                Speaks::Raw { next: None, .. } | Speaks::Http(_) | Speaks::Stream { .. } => {
                    panic!("nobody asked for {message:02x?}")
                }
            }
        }
        true
    }

    /// Everything has come to rest: nothing is missing.
    pub fn assert_complete(&mut self, truth: &Truth) {
        if self.is_gone {
            return;
        }
        self.socket.assert_whole();
        assert_eq!(self.socket.closed, self.is_over, "a close frame that never came");
        if self.is_over {
            return;
        }
        match &mut self.speaks {
            Speaks::Http(request) => assert!(request.is_none(), "an answer that never came"),
            Speaks::Json(json) => json.assert_complete(self.number, truth),
            Speaks::Raw { topic, next, .. } => {
                let (next, end) = (next.expect("an answer to the handshake"), truth.last_offset(topic) + 1);
                assert!(next >= end, "raw {topic} stops at {next}, but {end} is next");
            }
            Speaks::Stream { topic, next } => {
                let (next, end) = (next.expect("a receipt"), truth.last_offset(topic) + 1);
                assert!(next >= end, "the stream of {topic} stops at {next}, but {end} is next");
            }
        }
    }
}

/// An event of a stream, whose publishers are all others: nothing is left out without a gap.
fn hear_event(topic: &str, next: &mut Option<u64>, event: &str, truth: &mut Truth) {
    let (id, data) = event.split_once("\ndata: ").expect("an id and data");
    let said: Value = serde_json::from_str(data).expect("JSON");
    let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {event}"));
    assert_eq!(said["topic"], topic, "{event}");
    let (from, to) = match said["type"].as_str().expect("a type") {
        "subscribed" if next.is_none() => (number("offset"), number("offset")),
        "message" => {
            truth.learn(topic, number("offset"), payload_of(said["data"].as_str().expect("a text")));
            (number("offset"), number("offset"))
        }
        "gap" => (number("from"), number("to")),
        _ => panic!("nobody asked for {event}"),
    };
    assert!(from <= to && next.is_none_or(|next| next == from), "{next:?} is next: {event}");
    assert_eq!(id, format!("id: {EPOCH}:{to}"), "{event}");
    *next = Some(to + 1);
}

fn assert_code(said: &Value, codes: &[&str]) {
    assert!(said["code"].as_str().is_some_and(|code| codes.contains(&code)), "{said}");
}

/// A payload is its number and padding.
pub fn payload_of(text: &str) -> Payload {
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no payload: {text}"))
}
