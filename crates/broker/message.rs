//! One published message, as it is kept and shared.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_wire::binary::Delivery;
use fanwire_wire::command::{PayloadKind, Position, Publication};
use fanwire_wire::notification::MessageFields;
use fanwire_wire::topic::{Topic, TopicNumber};

use crate::encoder::Naming;
use crate::lanes::ConnectionId;

/// What a publisher hands in. Its kind is already checked.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it is published.
    pub topic: Topic,
    /// The entity within the topic that it is about.
    pub key: Option<Box<str>>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// What the publisher called it over HTTP, where that says more than the kind does.
    pub content_type: Option<Box<str>>,
    /// The payload, copied once out of the socket's buffer.
    pub payload: Bytes,
    /// Whether the publishing connection gets it too, where it subscribes.
    pub echo: bool,
    /// What its publication depends on; nothing, as a rule.
    pub conditions: Option<Box<Conditions>>,
}

/// What the publication of a message depends on.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// What its publisher calls it. If the topic knows a message of this name, it is that one, and not published again.
    pub message_id: Option<Arc<str>>,
    /// What must be the topic's latest position, exactly.
    pub expect: Option<Position>,
}

impl Conditions {
    /// The conditions, if there are any.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self.message_id.is_some() || self.expect.is_some()).then(|| Box::new(self))
    }

    fn bytes(&self) -> usize {
        let epoch = self.expect.as_ref().map_or(0, |position| position.epoch.len());
        size_of::<Self>() + self.message_id.as_ref().map_or(0, |id| id.len()) + epoch
    }
}

impl Draft {
    /// What a command says of a message.
    pub fn of(publication: Publication<'_>, echo: bool) -> Self {
        let Publication { topic, key, message_id, expect, kind, payload } = publication;
        Self {
            topic: topic.to_topic(),
            key: key.map(|key| key.into_owned().into_boxed_str()),
            kind,
            content_type: None,
            payload: Bytes::from(payload.into_owned()),
            echo,
            conditions: Conditions { message_id: message_id.map(Arc::from), expect }.boxed(),
        }
    }

    /// What the message counts for in every bound, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let conditions = self.conditions.as_ref().map_or(0, |conditions| conditions.bytes());
        bytes(&self.payload, [self.key.as_deref(), self.content_type.as_deref()]) + conditions
    }
}

/// A connection anywhere in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The core that the connection lives on.
    pub core: usize,
    /// The connection there.
    pub connection: ConnectionId,
}

/// A message with its place in its topic. It is made once, by the topic's home, and shared by reference
/// count from there on: history, palettes and write queues all point to the same one.
#[derive(Debug)]
pub struct Message {
    /// The topic it belongs to.
    pub topic: Topic,
    /// What stands for the topic on the binary interface.
    pub number: TopicNumber,
    /// Its position there; the first message of a topic has offset 1 or higher.
    pub offset: u64,
    /// When its home took it, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The same on the broker's own clock, which only goes forward: what its age is told by.
    pub taken_ms: u64,
    /// The entity within the topic that it is about.
    pub key: Option<Box<str>>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// What the publisher called it over HTTP, where that says more than the kind does.
    pub content_type: Option<Box<str>>,
    /// The payload.
    pub payload: Bytes,
    /// The connection that is not to get it: its publisher, when that asked for no echo.
    pub except: Option<Origin>,
}

/// As what a subscriber gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveredAs {
    /// It is what comes next.
    News {
        /// How many of its topic were let go in front of it, since the last that something told of.
        skipped: u64,
    },
    /// It is the last value of its key, in a snapshot.
    LastValue,
}

impl DeliveredAs {
    /// What comes next, with nothing left out in front of it.
    pub const NEXT: Self = Self::News { skipped: 0 };

    const fn skipped(self) -> u64 {
        match self {
            Self::News { skipped } => skipped,
            Self::LastValue => 0,
        }
    }
}

impl Message {
    /// What a message costs beside its payload and names, in bytes: this struct, its reference counts, and its
    /// place in a queue that is full.
    pub const OVERHEAD_BYTES: usize = 192;

    /// What the message counts for in every bound, in bytes.
    pub fn bytes(&self) -> usize {
        bytes(&self.payload, [self.key.as_deref(), self.content_type.as_deref()])
    }

    /// What the payload is called over HTTP.
    pub fn content_type(&self) -> &str {
        self.content_type.as_deref().unwrap_or(self.kind.content_type())
    }

    /// The message as the wire crate writes it in JSON.
    pub fn fields(&self, delivered: DeliveredAs) -> MessageFields<'_> {
        MessageFields {
            topic: &self.topic,
            offset: self.offset,
            skipped: delivered.skipped(),
            is_snapshot: delivered == DeliveredAs::LastValue,
            time_ms: self.time_ms,
            key: self.key.as_deref(),
            kind: self.kind,
            payload: &self.payload,
        }
    }

    /// The message as the wire crate writes it in octets.
    pub(crate) fn delivery(&self, naming: Naming, delivered: DeliveredAs) -> Delivery<'_> {
        Delivery {
            number: Some(self.number),
            name: (naming == Naming::ByName).then_some(&self.topic),
            offset: self.offset,
            skipped: delivered.skipped(),
            is_snapshot: delivered == DeliveredAs::LastValue,
            key: self.key.as_deref(),
            kind: self.kind,
            payload: &self.payload,
        }
    }
}

fn bytes(payload: &Bytes, names: [Option<&str>; 2]) -> usize {
    payload.len() + names.into_iter().flatten().map(str::len).sum::<usize>() + Message::OVERHEAD_BYTES
}
