//! What crosses from one core to another, and what waits to cross.
//!
//! *Requests* go from any core to a topic's home, *deliveries* from the home to any core. Each lane between two
//! cores is first-in-first-out, which is what makes "deliveries before the answer are not yours, those after it
//! are" exact.

use std::sync::Arc;

use fanwire_wire::command::{CommandId, Position};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Pattern, Topic, TopicNumber};

use crate::message::{Draft, Message};
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

/// What something in an outbox counts for, in bytes.
pub(crate) trait Bytes {
    fn bytes(&self) -> usize;
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

/// What waits in front of one lane to one core. It is handed over once a turn, as one batch.
#[derive(Debug)]
pub(crate) struct Outbox<T> {
    items: Vec<T>,
    bytes: usize,
    wait: Wait,
    /// The bytes and the wait of what [`Self::take`] took, should it come back.
    taken: (usize, Wait),
}

/// How long the core behind an outbox has been waited for.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// Since when the mailbox has had no room, on the monotonic clock.
    since_ms: Option<u64>,
    /// How many of the items have been [given up](Outbox::give_up); `None` while the core is not taken for stalled.
    given_up: Option<usize>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { items: Vec::new(), bytes: 0, wait: Wait::default(), taken: (0, Wait::default()) }
    }
}

impl<T: Bytes> Outbox<T> {
    pub(crate) fn push(&mut self, item: T) {
        self.bytes += item.bytes();
        self.items.push(item);
    }

    /// Whether as much waits as may, so that what feeds it has to stop. Nobody stops for a core that is stalled.
    pub(crate) fn is_full(&self, bound: usize) -> bool {
        self.bytes >= bound && !self.is_given_up()
    }

    /// Whether the core behind it is stalled, so that nothing should be asked of it.
    pub(crate) fn is_given_up(&self) -> bool {
        self.wait.given_up.is_some()
    }

    /// Everything that waits, to be handed over or [restored](Self::restore). When nothing does, a core that was given up
    /// is tried again with whatever comes next.
    pub(crate) fn take(&mut self) -> Option<Vec<T>> {
        if self.items.is_empty() {
            self.wait = Wait::default();
            return None;
        }
        self.taken = (self.bytes, std::mem::take(&mut self.wait));
        self.bytes = 0;
        Some(std::mem::take(&mut self.items))
    }

    /// Puts back what could not be handed over, in front of what came since.
    pub(crate) fn restore(&mut self, mut batch: Vec<T>, now_ms: u64) {
        batch.append(&mut self.items);
        self.items = batch;
        let (bytes, wait) = self.taken;
        self.bytes += bytes;
        self.wait = Wait { since_ms: wait.since_ms.or(Some(now_ms)), ..wait };
    }

    /// When what waits is to be given up, should the core behind it drain nothing until then; `None` when nothing waits
    /// that was not.
    pub(crate) fn gives_up_at_ms(&self, after_ms: u64) -> Option<u64> {
        let since_ms = self.wait.since_ms.filter(|_| self.wait.given_up != Some(self.items.len()))?;
        Some(since_ms + after_ms)
    }

    /// Replaces what waits for a stalled core by what `replace` makes of it.
    pub(crate) fn give_up(&mut self, replace: impl FnOnce(Vec<T>) -> Vec<T>) {
        self.items = replace(std::mem::take(&mut self.items));
        self.bytes = self.items.iter().map(Bytes::bytes).sum();
        self.wait.given_up = Some(self.items.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Bytes for u8 {
        fn bytes(&self) -> usize {
            100
        }
    }

    const AFTER_MS: u64 = 1_000;

    /// An outbox of a core that has had no room since 5 ms, and was given up.
    fn given_up(items: &[u8], kept: &[u8]) -> Outbox<u8> {
        let mut outbox = Outbox::default();
        for item in items {
            outbox.push(*item);
        }
        let batch = outbox.take().unwrap();
        outbox.restore(batch, 5);
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), Some(1_005));
        outbox.give_up(|_| kept.to_vec());
        outbox
    }

    #[test]
    fn what_cannot_be_handed_over_keeps_its_place() {
        let mut outbox = Outbox::default();
        outbox.push(1);
        let batch = outbox.take().unwrap();
        outbox.push(2);
        outbox.restore(batch, 0);
        assert!(outbox.is_full(200) && !outbox.is_full(201));
        assert_eq!(outbox.take(), Some(vec![1, 2]));
        assert!(!outbox.is_full(1));
    }

    #[test]
    fn nobody_stops_for_a_core_that_was_given_up_and_nothing_is_due_until_more_waits() {
        let mut outbox = given_up(&[1, 2, 3], &[9]);
        assert!(outbox.is_given_up() && !outbox.is_full(1));
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), None);
        outbox.push(4);
        assert_eq!(outbox.gives_up_at_ms(AFTER_MS), Some(1_005));
        let batch = outbox.take().unwrap();
        outbox.restore(batch, 3_000);
        assert!(outbox.is_given_up(), "it still has no room");
    }

    #[test]
    fn a_core_that_takes_something_or_has_nothing_waiting_is_asked_again() {
        let mut outbox = given_up(&[1], &[9]);
        assert_eq!(outbox.take(), Some(vec![9]));
        assert!(!outbox.is_given_up());

        let mut outbox = given_up(&[1], &[]);
        assert!(outbox.is_given_up());
        assert_eq!(outbox.take(), None);
        assert!(!outbox.is_given_up());
    }
}
