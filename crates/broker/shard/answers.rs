//! What a core does with what homes send it.

use fanwire_wire::command::CommandId;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicNumber, TopicOrPattern};

use super::snapshots::is_live_for;
use super::{Event, Shard};
use crate::batches::Refused;
use crate::connections::{Behind, State};
use crate::encoder::{Interface, Naming};
use crate::lanes::{ConnectionId, Delivery, Ticket};
use crate::message::Origin;
use crate::overflow::{Payment, slow_consumer_reason};
use crate::subscriptions::{Subscription, SubscriptionId};
use crate::topic_table::{Chunk, Placement};

impl Shard {
    /// Something came through the delivery lane from core `from`. Nothing is put into an outbox for it: what follows
    /// from it, follows in [`Self::poll_flush`].
    pub fn handle_delivery(&mut self, from: usize, delivery: Delivery) {
        match delivery {
            Delivery::Message(message) => self.deliver(from, &message),
            Delivery::Tick(messages) => self.deliver_tick(from, &messages),
            Delivery::Lost { topic, number, offsets } => self.lost(from, (&topic, number), offsets),
            Delivery::Subscribed { ticket, placement } => self.subscribed(from, ticket, placement),
            Delivery::PatternSubscribed { ticket } => self.pattern_subscribed(from, ticket),
            Delivery::Chunk { topic, connection, serial, chunk } => {
                self.chunk(&topic, connection, serial, chunk);
            }
            Delivery::Published { topic, connection, receipt, outcome } => {
                self.published(&topic, connection, &receipt, outcome.map_err(Refused::from));
            }
            Delivery::Snapshot { connection, ticket, outcome } => {
                self.snapshot(from, connection, ticket, outcome);
            }
            Delivery::PublishedTogether { connection, batch, outcomes } => {
                self.published_together(connection, batch, outcomes);
            }
            Delivery::Latest { connection, latest } => self.events.push_back(match latest {
                Ok(latest) => Event::Latest { connection, latest },
                Err(code) => Event::Refused { connection, refused: code.into() },
            }),
            Delivery::Polled { ticket, outcome } => self.polled(ticket, outcome),
            Delivery::Awaited { message, waiters } => self.awaited(&message, waiters),
            Delivery::Stop => self.deliveries_ended(from),
        }
    }

    /// The home has answered a request to subscribe to a topic, or to rewind a subscription that is live.
    fn subscribed(&mut self, home: usize, ticket: Ticket, placement: Result<Placement, ErrorCode>) {
        let Some((subscription, connection)) = self.redeem(ticket) else { return };
        let TopicOrPattern::Topic(topic) = self.name_of(subscription) else { return };
        self.fan_out();
        let rewinds = self.subscriptions.subscription(subscription).live != 0;
        let id = self.subscriptions.take_receipt(subscription);
        match placement {
            Err(code) if rewinds => self.refuse(connection, id.as_ref(), "recover", Some(&topic), code),
            Err(code) => {
                self.forget_subscription(subscription);
                self.refuse(connection, id.as_ref(), "subscribe", Some(&topic), code);
            }
            Ok(placement) => match self.connections.interface(connection.slot) {
                Some(Interface::Raw | Interface::EventStream) => {
                    self.answer_by_head(home, &topic, subscription, placement);
                }
                Some(Interface::Json | Interface::Binary) | None => {
                    if rewinds {
                        self.forget_what_is_queued(connection.slot, &topic);
                    }
                    self.tell_placement(connection.slot, id.as_ref(), &topic, placement);
                    self.go_live(home, &topic, subscription, placement);
                }
            },
        }
    }

    /// The subscription that asked with the ticket, and its connection.
    fn redeem(&self, ticket: Ticket) -> Option<(SubscriptionId, ConnectionId)> {
        let subscription = self.subscriptions.redeem(ticket)?;
        Some((subscription, self.connections.id(self.subscriptions.subscription(subscription).slot)))
    }

    pub(super) fn name_of(&self, subscription: SubscriptionId) -> TopicOrPattern {
        self.subscriptions.audience(self.subscriptions.subscription(subscription).audience).name.clone()
    }

    /// What is queued of the topic comes again, or was not asked for.
    fn forget_what_is_queued(&mut self, slot: u32, topic: &Topic) {
        let _comes_again = self.stop_catching_up(slot, topic);
        self.connections.with_queue(slot, |queue| queue.forget_topic(topic));
    }

    pub(super) fn tell_placement(
        &mut self,
        slot: u32,
        id: Option<&CommandId>,
        topic: &Topic,
        placement: Placement,
    ) {
        let Placement { number, offset, recovered, gap, .. } = placement;
        let (epoch, offset, number) = (&*self.epoch.clone(), Some(offset), Some(number));
        let subscribed = Notification::Subscribed { id, topic, epoch, offset, number, recovered };
        self.connections.notify(slot, &subscribed);
        if let Some((from, to)) = gap {
            let gap = Notification::Gap { topic, from, to, count: to - from + 1 };
            self.connections.notify(slot, &gap);
        }
    }

    /// A raw connection or event stream is told by the server, in front of everything else: by its head. A raw subscriber
    /// cannot be told of a gap, so with one it is not subscribed.
    fn answer_by_head(
        &mut self,
        home: usize,
        topic: &Topic,
        subscription: SubscriptionId,
        placement: Placement,
    ) {
        let connection = self.connections.id(self.subscriptions.subscription(subscription).slot);
        let is_raw = self.connections.interface(connection.slot) == Some(Interface::Raw);
        self.events.push_back(Event::Subscribed { connection, placement });
        if is_raw && placement.recovered == Some(false) {
            self.forget_subscription(subscription);
        } else {
            self.go_live(home, topic, subscription, placement);
        }
    }

    /// The first events of a stream: where it begins, and what is no longer held. They follow the head that the server has
    /// answered [`Event::Subscribed`] with.
    pub fn begin_stream(&mut self, id: ConnectionId, topic: &Topic, placement: Placement) {
        if self.connections.is_open(id) {
            self.tell_placement(id.slot, None, topic, placement);
        }
    }

    pub(super) fn go_live(
        &mut self,
        home: usize,
        topic: &Topic,
        subscription: SubscriptionId,
        placement: Placement,
    ) {
        let slot = self.subscriptions.subscription(subscription).slot;
        let Some(encoding) = self.connections.encoding_id(slot) else { return };
        self.subscriptions.make_live(subscription, home, encoding);
        if let Some(offsets) = placement.catch_up {
            self.catch_up(slot, topic, offsets);
        }
    }

    /// Ends a subscription from this side. That may put an `Unsubscribe` into an outbox, which is bounded by what
    /// the core itself has subscribed to: no room is ever waited for.
    pub(super) fn forget_subscription(&mut self, subscription: SubscriptionId) {
        let Subscription { slot, place, .. } = *self.subscriptions.subscription(subscription);
        let connection = self.connections.at(slot);
        connection.subscriptions.swap_remove(place as usize);
        if let Some(&moved) = connection.subscriptions.get(place as usize) {
            self.subscriptions.set_place(moved, place);
        }
        if let Some(behind) = &mut connection.behind {
            behind.snapshots.forget(subscription);
        }
        self.remove_subscription(subscription);
    }

    /// A home has answered a request to subscribe to a pattern: what it routes is live from here on. The receipt
    /// follows the last home's answer.
    fn pattern_subscribed(&mut self, home: usize, ticket: Ticket) {
        let Some((subscription, ConnectionId { slot, .. })) = self.redeem(ticket) else { return };
        self.fan_out();
        let Some(encoding) = self.connections.encoding_id(slot) else { return };
        self.subscriptions.make_live(subscription, home, encoding);
        if self.subscriptions.subscription(subscription).live == self.every_core() {
            let (name, epoch) = (self.name_of(subscription), &*self.epoch.clone());
            let (topic, id) = (name.as_str(), self.subscriptions.take_receipt(subscription));
            let id = id.as_ref();
            let subscribed =
                Notification::Subscribed { id, topic, epoch, offset: None, number: None, recovered: None };
            self.connections.notify(slot, &subscribed);
            if self.subscriptions.coverage(subscription).is_some() {
                self.ask_for_snapshot(slot, ticket);
            }
        }
    }

    /// Tells a connection that what it asked for was not done.
    pub(super) fn refuse(
        &mut self,
        connection: ConnectionId,
        id: Option<&CommandId>,
        command: &str,
        topic: Option<&str>,
        refused: impl Into<Refused>,
    ) {
        if !self.connections.is_open(connection) {
            return;
        }
        let refused = refused.into();
        if self.connections.has_commands(connection.slot) {
            let (command, code, message) = (Some(command), refused.code, &*refused.message);
            self.notify(connection, &Notification::Error { id, command, topic, code, message });
        } else {
            self.events.push_back(Event::Refused { connection, refused });
        }
    }

    /// History has answered a connection that catches up.
    fn chunk(&mut self, topic: &Topic, connection: ConnectionId, serial: u32, chunk: Chunk) {
        self.fan_out();
        // That may have doomed it: then it gets nothing from behind the hole.
        if !self.connections.is_open(connection) {
            return;
        }
        let slot = connection.slot;
        let conflates = self.terms(slot, topic).is_some_and(|terms| terms.conflates());
        let Some(Behind { catching_up, .. }) = self.connections.at(slot).behind.as_deref_mut() else {
            return;
        };
        let missed = catching_up.missed(topic).unwrap_or(0);
        if catching_up.answered(topic, serial) {
            if chunk.caught_up {
                catching_up.end(topic);
            } else {
                catching_up.advance(topic, chunk.next, conflates);
            }
            self.queue_chunk(connection, topic, chunk, missed);
        }
        self.connections.schedule(slot);
    }

    /// What is no longer held is told first. Who cannot be told is let go, and gets nothing from behind the hole. What was
    /// published after the offset `missed` is conflated as if it came live.
    fn queue_chunk(&mut self, connection: ConnectionId, topic: &Topic, chunk: Chunk, missed: u64) {
        if let Some(gap) = chunk.gap {
            self.tell_gap(connection.slot, topic, gap);
        }
        if !self.connections.is_open(connection) {
            return;
        }
        let origin = Some(Origin { core: self.core, connection });
        let naming = self.naming(connection.slot, topic);
        let Some(terms) = self.terms(connection.slot, topic) else { return };
        let bound = self.backlog_bound();
        for message in chunk.messages.into_iter().filter(|message| message.except != origin) {
            self.deliveries_made += 1;
            let is_news = message.offset > missed && terms.conflates();
            let queued = terms.queued((message, naming));
            let payment = self.connections.with_queue(connection.slot, |queue| {
                if is_news {
                    return terms.queue(queue, queued, bound);
                }
                queue.push_message(queued);
                Payment::Settled
            });
            if payment == Some(Payment::Disconnect) {
                return self.too_slow(connection.slot, topic);
            }
        }
    }

    /// How the connection knows the topic: who was told its number needs no name.
    pub(super) fn naming(&self, slot: u32, topic: &Topic) -> Naming {
        let exact = self.subscriptions.find(slot, &TopicOrPattern::Topic(topic.clone()));
        let is_live = exact.is_some_and(|id| self.subscriptions.subscription(id).live != 0);
        if is_live { Naming::ByNumber } else { Naming::ByName }
    }

    /// Messages that the home could not hand over in time. Who catches up reads them from history; the others are told.
    fn lost(&mut self, home: usize, (topic, number): (&Topic, TopicNumber), (from, to): (u64, u64)) {
        self.fan_out();
        let mut slots = Vec::new();
        self.subscriptions.audiences_for(topic, |audience| {
            let seats = self.subscriptions.audience(audience).groups().flat_map(|group| &group.seats);
            let live = seats.filter(|seat| {
                let subscription = self.subscriptions.subscription(seat.subscription);
                is_live_for(subscription, home, (topic, number), &self.settings, self.cores())
            });
            slots.extend(live.map(|seat| seat.slot));
        });
        slots.sort_unstable();
        slots.dedup();
        for slot in slots {
            let catches_up = self.terms(slot, topic).is_some_and(|terms| terms.catches_up());
            let behind = self.connections.at(slot).behind.as_mut();
            let is_left = behind.is_some_and(|behind| behind.catching_up.leave(topic, to));
            match (is_left, catches_up) {
                (true, _) => {}
                (false, true) => self.catch_up(slot, topic, (from, to)),
                (false, false) => self.tell_gap(slot, topic, (from, to)),
            }
        }
    }

    /// Tells a connection of messages that it will not get, or lets it go where it cannot be told. It is told in its write
    /// queue, where a rewind finds the gap with the messages in front of it.
    fn tell_gap(&mut self, slot: u32, topic: &Topic, (from, to): (u64, u64)) {
        match self.connections.interface(slot) {
            Some(Interface::Json | Interface::Binary | Interface::EventStream) => {
                self.queue_gap(slot, topic, (from, to));
            }
            Some(Interface::Raw) => self.too_slow(slot, topic),
            None => {}
        }
    }

    pub(super) fn queue_gap(&mut self, slot: u32, topic: &Topic, (from, to): (u64, u64)) {
        self.fall_behind(slot);
        if self.connections.state(slot) != State::Open {
            return;
        }
        let bound = self.backlog_bound();
        let is_over = self.connections.with_queue(slot, |queue| {
            queue.push_gap(topic, from, to);
            queue.notice_bytes() > bound
        });
        if is_over == Some(true) {
            self.too_slow(slot, topic);
        } else {
            self.connections.schedule(slot);
        }
    }

    /// The connection has to go.
    pub(super) fn too_slow(&mut self, slot: u32, topic: &Topic) {
        let connection = self.connections.id(slot);
        if self.connections.is_open(connection) {
            let backlog_bytes = self.connections.with_queue(slot, |queue| queue.bytes()).unwrap_or(0);
            let reason = slow_consumer_reason(topic, backlog_bytes);
            self.connections.doom(slot);
            self.events.push_back(Event::SlowConsumer { connection, reason });
        }
    }
}
