//! What crosses from one core to another.
//!
//! *Requests* go from any core to a topic's home, *deliveries* from the home to any core. Each lane between two
//! cores is first-in-first-out, which is what makes "deliveries before the answer are not yours, those after it
//! are" exact.

use std::sync::Arc;

use fanwire_wire::command::{CommandId, Position};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Pattern, Topic, TopicNumber};

use crate::message::{Draft, Message};
use crate::outbox::Bytes;
use crate::topic_table::{Chunk, Latest, Part, Placement, Polled};

/// A connection of one core. A slot is used again, with another generation, so that what was meant for the
/// connection before never reaches the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// Its place in the core's tables.
    pub slot: u32,
    /// Which of the connections that had the slot it is.
    pub generation: u32,
}

/// Names one request to subscribe, so that the answer to an earlier one is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) subscription: u32,
    pub(crate) serial: u32,
}

/// Names one poll, so that the answer to an earlier one of its connection is not taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollTicket {
    pub(crate) connection: ConnectionId,
    pub(crate) serial: u32,
}

/// A poll that waits for the next message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiter {
    pub(crate) ticket: PollTicket,
    /// What its answer says of the position that it asked for.
    pub(crate) recovered: Option<bool>,
}

/// Where a subscription or poll starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next message.
    Now,
    /// With the oldest message held.
    Earliest,
    /// With the message after this position.
    After(Position),
    /// With the last so many messages held.
    Last(u64),
}

/// From any core to a topic's home.
#[derive(Debug)]
pub enum Request {
    /// Give the message its offset and route it.
    Publish {
        /// The message.
        draft: Draft,
        /// Who published it, and is answered.
        connection: ConnectionId,
        /// What the answer is about.
        receipt: Receipt,
    },
    /// The same for several messages, of topics that this home has by one atomic rule: all of them, or none.
    PublishTogether {
        /// The messages.
        drafts: Vec<Draft>,
        /// Who published them.
        connection: ConnectionId,
        /// Names their batch in the answer.
        batch: u32,
    },
    /// Route the topic to the asking core, and answer with where that begins.
    Subscribe {
        /// The topic.
        topic: Topic,
        /// Names the request in its answer.
        ticket: Ticket,
        /// Where it is to begin.
        start: Start,
    },
    /// The asking core has no subscription to the topic any more.
    Unsubscribe(Topic),
    /// Route what the pattern matches to the asking core.
    SubscribePattern {
        /// The pattern.
        pattern: Pattern,
        /// Names the request in its answer.
        ticket: Ticket,
    },
    /// The asking core has no subscription to the pattern any more.
    UnsubscribePattern(Pattern),
    /// The next chunk of history for a subscription that catches up.
    Read {
        /// The topic.
        topic: Topic,
        /// Who catches up.
        connection: ConnectionId,
        /// Names the catching up in the answer.
        serial: u32,
        /// The first offset wanted.
        from: u64,
    },
    /// The last values of a topic, which is then routed to the asking core, or those of a pattern's topics.
    Snapshot {
        /// What of.
        of: SnapshotOf,
        /// Who asks.
        connection: ConnectionId,
        /// Names the subscription in the answer.
        ticket: Ticket,
    },
    /// The topic's latest message.
    Latest {
        /// The topic.
        topic: Topic,
        /// Who asks.
        connection: ConnectionId,
    },
    /// What the topic has from a start on, once.
    Poll {
        /// The topic.
        topic: Topic,
        /// Names the poll in its answer.
        ticket: PollTicket,
        /// Where it is to begin.
        start: Start,
        /// Whether it waits for the next message where there is nothing.
        waits: bool,
    },
    /// The poll is to be answered now, if it still waits.
    EndPoll {
        /// The topic.
        topic: Topic,
        /// The poll.
        ticket: PollTicket,
    },
    /// The asking core will send no more requests.
    Stop,
}

/// What a request for last values is for.
#[derive(Debug)]
pub enum SnapshotOf {
    /// The values of one topic.
    Topic(Topic),
    /// Those of the home's topics that match, a chunk of them.
    Rows {
        /// What they match.
        pattern: Pattern,
        /// The first row to look at.
        from: u32,
    },
}

/// Whether a publish is answered when it succeeds. Failure is always told.
#[derive(Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It is not.
    Unwanted,
    /// It is, without an id: the publisher has one request in flight.
    Wanted,
    /// It is, with the command's id.
    WithId(CommandId),
    /// It is, as part of the answer to a batch.
    OfBatch {
        /// Names the batch.
        batch: u32,
        /// The message's place in it.
        index: u32,
    },
}

/// From a topic's home to any core.
#[derive(Debug)]
pub enum Delivery {
    /// A message for the core's subscribers.
    Message(Arc<Message>),
    /// Messages for the core's subscribers that were published together.
    Tick(Arc<[Arc<Message>]>),
    /// Messages that the core's subscribers will not get from here: it was stalled when they were due.
    Lost {
        /// The topic.
        topic: Topic,
        /// What stands for it.
        number: TopicNumber,
        /// The first and the last offset.
        offsets: (u64, u64),
    },
    /// Answers [`Request::Subscribe`]; the topic is live for that ticket from here on.
    Subscribed {
        /// The ticket.
        ticket: Ticket,
        /// Where it begins, or why it does not.
        placement: Result<Placement, ErrorCode>,
    },
    /// Answers [`Request::SubscribePattern`]; this home's topics are live for that ticket from here on.
    PatternSubscribed {
        /// The ticket.
        ticket: Ticket,
    },
    /// Answers [`Request::Read`].
    Chunk {
        /// The topic.
        topic: Topic,
        /// Who catches up.
        connection: ConnectionId,
        /// Names the catching up.
        serial: u32,
        /// What history had.
        chunk: Chunk,
    },
    /// Answers [`Request::Snapshot`]; what it has values of is live for that ticket from here on.
    Snapshot {
        /// Who asked.
        connection: ConnectionId,
        /// The subscription.
        ticket: Ticket,
        /// The values, or why there are none.
        outcome: Result<Part, ErrorCode>,
    },
    /// Answers [`Request::Publish`].
    Published {
        /// The topic.
        topic: Topic,
        /// Who published.
        connection: ConnectionId,
        /// What the answer is about.
        receipt: Receipt,
        /// The message's offset, or why it has none.
        outcome: Result<u64, ErrorCode>,
    },
    /// Answers [`Request::PublishTogether`].
    PublishedTogether {
        /// Who published.
        connection: ConnectionId,
        /// Names the batch.
        batch: u32,
        /// The offset of each message, or why it has none.
        outcomes: Vec<Result<u64, ErrorCode>>,
    },
    /// Answers [`Request::Latest`].
    Latest {
        /// Who asked.
        connection: ConnectionId,
        /// What is the latest, or why that is not told.
        latest: Result<Latest, ErrorCode>,
    },
    /// Answers [`Request::Poll`], at once or for [`Request::EndPoll`].
    Polled {
        /// The poll.
        ticket: PollTicket,
        /// What the topic had, or why that is not told.
        outcome: Result<Polled, ErrorCode>,
    },
    /// Answers polls of the core that waited for this message.
    Awaited {
        /// The message.
        message: Arc<Message>,
        /// The polls.
        waiters: Vec<Waiter>,
    },
    /// The home will send no more deliveries.
    Stop,
}

impl Bytes for Request {
    fn bytes(&self) -> usize {
        let drafts = match self {
            Self::Publish { draft, .. } => draft.bytes(),
            Self::PublishTogether { drafts, .. } => drafts.iter().map(Draft::bytes).sum(),
            _ => 0,
        };
        drafts + size_of::<Self>()
    }
}

impl Bytes for Delivery {
    fn bytes(&self) -> usize {
        let messages = match self {
            Self::Message(message) => message.bytes(),
            Self::Tick(messages) => messages.iter().map(|message| message.bytes()).sum(),
            Self::Chunk { chunk: Chunk { messages, .. }, .. }
            | Self::Polled { outcome: Ok(Polled { messages, .. }), .. }
            | Self::Snapshot { outcome: Ok(Part { values: messages, .. }), .. } => {
                messages.iter().map(|message| message.bytes()).sum()
            }
            Self::Awaited { message, waiters } => message.bytes() + size_of_val(waiters.as_slice()),
            Self::PublishedTogether { outcomes, .. } => size_of_val(outcomes.as_slice()),
            _ => 0,
        };
        messages + size_of::<Self>()
    }
}
