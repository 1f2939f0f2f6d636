//! What the broker says to a client, and how it says it in JSON. In octets: [`binary`](crate::binary).
//!
//! A [`Notification`] borrows everything and writes itself behind what the buffer already holds. The order of fields
//! is part of the protocol: `type` first, then what the client needs to find the right handler, the payload last.

mod batch;
mod json;

pub use self::batch::{BatchResult, BatchResults, Refusal};
pub use self::json::write_json_string;
use self::json::{ObjectWriter, write_base64_string, write_number};
use crate::command::{CommandId, PayloadKind};
use crate::error::ErrorCode;
use crate::topic::TopicNumber;

/// One notification, ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification<'a> {
    /// The first thing that a connection hears.
    Welcome {
        /// The identity of the broker's run.
        epoch: &'a str,
        /// The most octets of one message.
        max_message: usize,
        /// The most subscriptions of one connection.
        max_subscriptions: usize,
    },
    /// Receipt of a `subscribe` or `recover`: messages after `offset` follow.
    Subscribed {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic or pattern.
        topic: &'a str,
        /// The epoch that `offset` belongs to.
        epoch: &'a str,
        /// The offset that the subscription follows; none for a pattern.
        offset: Option<u64>,
        /// What the binary interface calls the topic in deliveries; none for a pattern, and where nobody needs it.
        number: Option<TopicNumber>,
        /// Whether everything since the asked position follows; none when no position was asked for.
        recovered: Option<bool>,
    },
    /// Receipt of an `unsubscribe`: nothing more comes for it.
    Unsubscribed {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic or pattern.
        topic: &'a str,
    },
    /// Receipt of a `publish`.
    Published {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic.
        topic: &'a str,
        /// The epoch that `offset` belongs to.
        epoch: &'a str,
        /// The offset that the message got.
        offset: u64,
    },
    /// Receipt of a `publish_batch`.
    PublishedBatch {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The epoch that the offsets belong to.
        epoch: &'a str,
        /// What became of each message, in their order.
        results: BatchResults<'a>,
    },
    /// A delivery.
    Message(MessageFields<'a>),
    /// Messages that this subscriber will not get.
    Gap {
        /// The topic.
        topic: &'a str,
        /// The offset of the first message that is missing.
        from: u64,
        /// The offset of the last message that is missing.
        to: u64,
        /// How many are missing.
        count: u64,
    },
    /// Messages that this subscriber was not sent because newer ones took their place, where no delivery follows that
    /// could say so.
    Skipped {
        /// The topic.
        topic: &'a str,
        /// The offset of the last of them.
        offset: u64,
        /// How many there are, since the last delivery of the topic.
        count: u64,
    },
    /// The messages in front of it were published together.
    Tick {
        /// How many they are.
        count: u32,
    },
    /// What a subscription began with has been sent: what follows is live.
    SnapshotEnd {
        /// The `id` of the command that asked for the snapshot.
        id: Option<&'a CommandId>,
        /// The topic or pattern.
        topic: &'a str,
        /// How many messages the snapshot had.
        count: u64,
    },
    /// Receipt of an `auth`: this is who the client is from here on.
    Authenticated {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// Who it is.
        identity: &'a str,
        /// Until when, in seconds since 1970 (UTC).
        expires: u64,
    },
    /// What the client said of itself holds no longer: it may say it anew, or is closed.
    Expired {
        /// How long it may take, in milliseconds.
        grace_ms: u64,
    },
    /// Receipt of a `ping`.
    Pong {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
    },
    /// Receipt of a `hello`.
    Hello {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The greeting.
        message: &'a str,
    },
    /// A command that was not carried out, or something that ended by itself.
    Error {
        /// The `id` of the command, when it could be read.
        id: Option<&'a CommandId>,
        /// The `type` of the command, when it is a known one.
        command: Option<&'a str>,
        /// The topic or pattern, when it could be read.
        topic: Option<&'a str>,
        /// What is wrong, for programs.
        code: ErrorCode,
        /// What is wrong, for people.
        message: &'a str,
    },
}

/// A message as its subscribers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFields<'a> {
    /// The topic that it was published on.
    pub topic: &'a str,
    /// Its position in the topic.
    pub offset: u64,
    /// How many messages of the topic in front of this one were not sent, since the last that was: their place was
    /// taken by newer ones.
    pub skipped: u64,
    /// Whether it is part of a snapshot: a last value, and not news.
    pub is_snapshot: bool,
    /// When it was published, in milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// The entity within the topic that it is about.
    pub key: Option<&'a str>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// The payload, which is of that kind: see [`check_payload`](crate::command::check_payload).
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    /// The same with another `id`. What answers no command has none, and stays without.
    #[must_use]
    pub const fn with_id(mut self, new: Option<&'a CommandId>) -> Self {
        match &mut self {
            Self::Subscribed { id, .. }
            | Self::Unsubscribed { id, .. }
            | Self::Published { id, .. }
            | Self::PublishedBatch { id, .. }
            | Self::SnapshotEnd { id, .. }
            | Self::Authenticated { id, .. }
            | Self::Pong { id }
            | Self::Hello { id, .. }
            | Self::Error { id, .. } => *id = new,
            Self::Welcome { .. }
            | Self::Message(_)
            | Self::Gap { .. }
            | Self::Skipped { .. }
            | Self::Tick { .. }
            | Self::Expired { .. } => {}
        }
        self
    }

    /// The `type` of the notification.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome { .. } => "welcome",
            Self::Subscribed { .. } => "subscribed",
            Self::Unsubscribed { .. } => "unsubscribed",
            Self::Published { .. } => "published",
            Self::PublishedBatch { .. } => "published_batch",
            Self::Message(_) => "message",
            Self::Gap { .. } => "gap",
            Self::Skipped { .. } => "skipped",
            Self::Tick { .. } => "tick",
            Self::SnapshotEnd { .. } => "snapshot_end",
            Self::Authenticated { .. } => "authenticated",
            Self::Expired { .. } => "expired",
            Self::Pong { .. } => "pong",
            Self::Hello { .. } => "hello",
            Self::Error { .. } => "error",
        }
    }

    /// The offset that a subscriber has come to with it, in the topic that it is about.
    pub const fn reaches(&self) -> Option<u64> {
        match self {
            Self::Subscribed { offset, .. } => *offset,
            Self::Message(message) => Some(message.offset),
            Self::Gap { to, .. } => Some(*to),
            Self::Skipped { offset, .. } => Some(*offset),
            Self::Welcome { .. }
            | Self::Unsubscribed { .. }
            | Self::Published { .. }
            | Self::PublishedBatch { .. }
            | Self::Tick { .. }
            | Self::SnapshotEnd { .. }
            | Self::Authenticated { .. }
            | Self::Expired { .. }
            | Self::Pong { .. }
            | Self::Hello { .. }
            | Self::Error { .. } => None,
        }
    }

    /// Appends the notification to `out`, as one JSON object without a line break of its own.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::begin(out, self.name());
        match *self {
            Self::Welcome { epoch, max_message, max_subscriptions } => {
                object.string("epoch", epoch);
                object.name("limits");
                object.out.extend_from_slice(br#"{"max_message":"#);
                write_number(object.out, max_message as u64);
                object.number("max_subscriptions", max_subscriptions as u64);
                object.out.push(b'}');
            }
            Self::Subscribed { id, topic, epoch, offset, recovered, number: _ } => {
                object.id(id);
                object.string("topic", topic);
                object.string("epoch", epoch);
                object.optional_number("offset", offset);
                object.optional_boolean("recovered", recovered);
            }
            Self::Unsubscribed { id, topic } => {
                object.id(id);
                object.string("topic", topic);
            }
            Self::Published { id, topic, epoch, offset } => {
                object.id(id);
                object.string("topic", topic);
                object.string("epoch", epoch);
                object.number("offset", offset);
            }
            Self::PublishedBatch { id, epoch, results } => {
                object.id(id);
                object.string("epoch", epoch);
                object.name("results");
                results.write_json(object.out);
            }
            Self::Message(message) => message.write_fields(&mut object),
            Self::Gap { topic, from, to, count } => {
                object.string("topic", topic);
                object.number("from", from);
                object.number("to", to);
                object.number("count", count);
            }
            Self::Skipped { topic, offset, count } => {
                object.string("topic", topic);
                object.number("offset", offset);
                object.number("count", count);
            }
            Self::Tick { count } => object.number("count", count.into()),
            Self::SnapshotEnd { id, topic, count } => {
                object.id(id);
                object.string("topic", topic);
                object.number("count", count);
            }
            Self::Authenticated { id, identity, expires } => {
                object.id(id);
                object.string("identity", identity);
                object.number("expires", expires);
            }
            Self::Expired { grace_ms } => object.number("grace_ms", grace_ms),
            Self::Pong { id } => object.id(id),
            Self::Hello { id, message } => {
                object.id(id);
                object.string("message", message);
            }
            Self::Error { id, command, topic, code, message } => {
                object.id(id);
                object.optional_string("command", command);
                object.optional_string("topic", topic);
                object.string("code", code.as_str());
                object.string("message", message);
            }
        }
        object.end();
    }
}

impl MessageFields<'_> {
    fn write_fields(&self, object: &mut ObjectWriter<'_>) {
        object.string("topic", self.topic);
        object.number("offset", self.offset);
        object.optional_number("skipped", (self.skipped != 0).then_some(self.skipped));
        object.optional_boolean("snapshot", self.is_snapshot.then_some(true));
        object.number("time", self.time_ms);
        object.optional_string("key", self.key);
        object.optional_string("encoding", self.encoding());
        object.name("data");
        match self.kind {
            PayloadKind::Text => write_json_string(object.out, self.payload),
            PayloadKind::Json => object.out.extend_from_slice(self.payload),
            PayloadKind::Binary => write_base64_string(object.out, self.payload),
        }
    }

    /// What `data` does not say by itself: a string is text unless `encoding` says otherwise.
    fn encoding(&self) -> Option<&'static str> {
        match self.kind {
            PayloadKind::Text => None,
            PayloadKind::Json => self.payload.trim_ascii_start().starts_with(b"\"").then_some("json"),
            PayloadKind::Binary => Some("base64"),
        }
    }
}

#[cfg(test)]
mod tests;
