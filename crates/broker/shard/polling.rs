//! Polls of HTTP connections: what a core asks, what a home answers, and the waiting in between.
//!
//! ```text
//!   core                        home
//!    │── Poll{ticket} ──────────►│  there is news, or it does not wait: Polled at once
//!    │                           │  there is none, and it waits: it stands in the topic's row
//!    │◄── Awaited{message} ──────│  the next message answers all who wait, with one delivery for each core
//!    │── EndPoll{ticket} ───────►│  time is up, or the client has left: Polled with nothing, if it still waits
//! ```
//!
//! So each poll is answered once, by whichever of these comes first at the home.

use std::collections::VecDeque;
use std::sync::Arc;

use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::Topic;

use super::{Event, Shard};
use crate::lanes::{ConnectionId, Delivery, PollTicket, Request, Start, Waiter};
use crate::message::Message;
use crate::palette::FULL_BYTES;
use crate::topic_table::Polled;
use crate::waiters::Waiters;

/// What answers take of one palette, in bytes of messages, whatever else is in it. They have a share of their own: if
/// they took what room there is, ten thousand of them would keep sockets and mail waiting until the last is out, and a
/// core that is given a palette of messages in every turn would never come to them.
const ANSWER_BYTES: usize = FULL_BYTES / 2;

/// A poll that was not answered yet.
#[derive(Debug)]
pub(super) struct Poll {
    ticket: PollTicket,
    topic: Topic,
}

/// Messages that have come for polls, each still to be told to one.
#[derive(Debug, Default)]
pub(super) struct Answers {
    waiting: VecDeque<(Waiter, Arc<Message>)>,
    /// How much of the share of the palette with this stamp is used up, in bytes.
    used: usize,
    stamp: u32,
}

impl Answers {
    /// The next one, if the palette with this stamp has room for it.
    fn next(&mut self, stamp: u32) -> Option<(Waiter, Arc<Message>)> {
        if self.stamp != stamp {
            (self.stamp, self.used) = (stamp, 0);
        }
        self.waiting.pop_front_if(|_| self.used < ANSWER_BYTES)
    }
}

/// What connections ask for.
impl Shard {
    /// An HTTP connection wants what a topic has from a start on, as much as a chunk takes. If that is nothing and it
    /// `waits`, it wants the next message, or to be told when [the time is up](Self::end_poll). An event answers.
    ///
    /// A connection has one poll at a time.
    pub fn poll(&mut self, id: ConnectionId, topic: Topic, start: Start, waits: bool) {
        if !self.connections.is_open(id) || !self.may_read_topic(id, &topic) {
            return;
        }
        let ticket = PollTicket { connection: id, serial: self.subscriptions.next_serial() };
        self.polls.insert(id.slot, Poll { ticket, topic: topic.clone() });
        self.request(self.home_of(&topic), Request::Poll { topic, ticket, start, waits });
    }

    /// The connection's poll has waited long enough: unless a message has come for it, an event answers it with the position
    /// that it waited at.
    pub fn end_poll(&mut self, id: ConnectionId) {
        if self.connections.is_connected(id)
            && let Some(Poll { ticket, topic }) = self.polls.get(&id.slot)
        {
            let (ticket, topic) = (*ticket, topic.clone());
            self.request(self.home_of(&topic), Request::EndPoll { topic, ticket });
        }
    }

    /// The connection is gone, and what it asked for is not for the next one.
    pub(super) fn forget_poll(&mut self, slot: u32) {
        if let Some(Poll { ticket, topic }) = self.polls.remove(&slot) {
            self.request(self.home_of(&topic), Request::EndPoll { topic, ticket });
        }
    }
}

/// What a home does.
impl Shard {
    pub(super) fn home_poll(
        &mut self,
        from: usize,
        topic: &Topic,
        ticket: PollTicket,
        start: &Start,
        waits: bool,
    ) {
        let mut outcome = self.table.poll(topic, start, self.settings.chunk_bytes, self.now);
        if let Ok(polled) = &outcome
            && waits
            && !polled.is_news()
        {
            match self.table.wait(topic, from, Waiter { ticket, recovered: polled.recovered }) {
                Ok(()) => return,
                Err(code) => outcome = Err(code),
            }
        }
        self.deliver_to(from, Delivery::Polled { ticket, outcome });
    }

    pub(super) fn home_end_poll(&mut self, from: usize, topic: &Topic, ticket: PollTicket) {
        if let Some(polled) = self.table.end_wait(topic, from, ticket) {
            self.deliver_to(from, Delivery::Polled { ticket, outcome: Ok(polled) });
        }
    }

    /// Answers everyone who waits for the message.
    pub(super) fn answer_waiters(&mut self, message: &Arc<Message>, waiters: Waiters) {
        for (core, waiters) in waiters.by_core() {
            self.deliver_to(core, Delivery::Awaited { message: message.clone(), waiters });
        }
    }
}

/// What a core does with the answers.
impl Shard {
    pub(super) fn polled(&mut self, ticket: PollTicket, outcome: Result<Polled, ErrorCode>) {
        if self.redeem_poll(ticket) {
            let connection = ticket.connection;
            self.events.push_back(match outcome {
                Ok(polled) => Event::Polled { connection, polled },
                Err(code) => Event::Refused { connection, refused: code.into() },
            });
        }
    }

    /// A message has come for polls here. They are answered as the palette has room for what they are told.
    pub(super) fn awaited(&mut self, message: &Arc<Message>, waiters: Vec<Waiter>) {
        self.answers.waiting.extend(waiters.into_iter().map(|waiter| (waiter, message.clone())));
    }

    /// The next answer to a poll that a message has come for, if there is room for it before the next flush.
    pub fn poll_answer(&mut self) -> Option<Event> {
        loop {
            let (waiter, message) = self.answers.next(self.connections.spans.palette_stamp())?;
            if self.redeem_poll(waiter.ticket) {
                self.answers.used += message.bytes();
                let Waiter { ticket: PollTicket { connection, .. }, recovered } = waiter;
                let offset = message.offset;
                let polled = Polled { recovered, gap: None, messages: vec![message], offset };
                return Some(Event::Polled { connection, polled });
            }
        }
    }

    /// Whether [`Self::poll_answer`] has more, now or after a flush.
    pub fn has_answers(&self) -> bool {
        !self.answers.waiting.is_empty()
    }

    /// Whether the poll with this ticket was still to be answered. It has its answer now.
    fn redeem_poll(&mut self, ticket: PollTicket) -> bool {
        let slot = ticket.connection.slot;
        let is_due = self.polls.get(&slot).is_some_and(|poll| poll.ticket == ticket);
        is_due && self.polls.remove(&slot).is_some()
    }
}
