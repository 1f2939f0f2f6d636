//! A peer, which checks everything that it is told.

use fanwire_broker::ConnectionId;
use serde_json::Value;

use crate::json::Json;
use crate::publishing::Batch;
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
    Json(Box<Json>),
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
    PublishBatch(Batch),
    Latest(String),
    Poll(String),
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
    let Some((id, data)) = event.split_once("\ndata: ") else {
        return assert!(event.starts_with(r#"data: {"type":"tick""#), "an id and data: {event}");
    };
    let said: Value = serde_json::from_str(data).expect("JSON");
    let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {event}"));
    assert_eq!(said["topic"], topic, "{event}");
    let (from, to) = match said["type"].as_str().expect("a type") {
        "subscribed" if next.is_none() => (number("offset"), number("offset")),
        "message" => {
            truth.learn(topic, number("offset"), payload_of(said["data"].as_str().expect("a text")));
            (number("offset") - said["skipped"].as_u64().unwrap_or(0), number("offset"))
        }
        "skipped" => (number("offset") + 1 - number("count"), number("offset")),
        "gap" => (number("from"), number("to")),
        _ => panic!("nobody asked for {event}"),
    };
    assert!(from <= to && next.is_none_or(|next| next == from), "{next:?} is next: {event}");
    assert_eq!(id, format!("id: {EPOCH}:{to}"), "{event}");
    *next = Some(to + 1);
}

/// A payload is its number and padding.
pub fn payload_of(text: &str) -> Payload {
    let number = text.split(' ').next().and_then(|number| number.parse().ok());
    number.unwrap_or_else(|| panic!("no payload: {text}"))
}
