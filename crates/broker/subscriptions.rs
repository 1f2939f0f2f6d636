//! Who on this core listens to what.
//!
//! An *audience* is what one topic or pattern has of subscribers on this core: seats, grouped by encoding, so that
//! a message is fanned out without a look at anything but its range and the seats.

use ahash::HashMap;
use fanwire_wire::command::{CommandId, OverflowPolicy};
use fanwire_wire::topic::{Pattern, Topic, TopicOrPattern};
use slab::Slab;

use crate::lanes::Ticket;
use crate::palette::EncodingId;
use crate::patterns::PatternIndex;
use crate::snapshots::Coverage;

/// Names an audience within one core.
pub(crate) type AudienceId = u32;

/// Names a subscription within one core.
pub(crate) type SubscriptionId = u32;

/// Every subscription of the core's connections.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    audiences: Slab<Audience>,
    topics: HashMap<Topic, AudienceId>,
    patterns: PatternIndex<AudienceId>,
    entries: Slab<Subscription>,
    by_slot: HashMap<(u32, AudienceId), SubscriptionId>,
    next_serial: u32,
}

/// The subscribers of one topic or pattern.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) name: TopicOrPattern,
    /// Subscriptions, seated or not: while there is one, the homes route to this core.
    members: u32,
    groups: Vec<Group>,
}

/// The seats with one encoding.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) encoding: EncodingId,
    pub(crate) seats: Vec<Seat>,
}

/// A live subscription in its audience.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) slot: u32,
    pub(crate) subscription: SubscriptionId,
}

/// One connection's subscription to one topic or pattern.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) slot: u32,
    /// Where its connection lists it: one of thousands is found without a look at the others.
    pub(crate) place: u32,
    pub(crate) audience: AudienceId,
    /// The policy that it asked for.
    pub(crate) overflow: Option<OverflowPolicy>,
    /// Its encoding and its place among the seats of that; none before the home has answered.
    seat: Option<(EncodingId, u32)>,
    /// The request to subscribe that is the latest: answers to others are not for it.
    serial: u32,
    /// The homes that have answered, as bits: what another one routes is not yet for this subscription.
    pub(crate) live: u64,
    /// The id of the command that has no receipt yet.
    receipt: Option<CommandId>,
    /// How far it has come with the snapshot of its pattern, until that is whole.
    pub(crate) coverage: Option<Box<Coverage>>,
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn audience(&self, id: AudienceId) -> &Audience {
        &self.audiences[id as usize]
    }

    pub(crate) fn subscription(&self, id: SubscriptionId) -> &Subscription {
        &self.entries[id as usize]
    }

    /// The audience of a topic or pattern.
    pub(crate) fn audience_of(&self, name: &TopicOrPattern) -> Option<AudienceId> {
        match name {
            TopicOrPattern::Topic(topic) => self.topics.get(topic).copied(),
            TopicOrPattern::Pattern(pattern) => self.patterns.value(pattern).copied(),
        }
    }

    /// The audiences that a message of `topic` has: its own first, then those of patterns.
    pub(crate) fn audiences_for(&self, topic: &Topic, mut found: impl FnMut(AudienceId)) {
        if let Some(&id) = self.topics.get(topic) {
            found(id);
        }
        self.patterns.for_each_match(topic, |&id| found(id));
    }

    /// The connection's subscription to exactly this topic or pattern.
    pub(crate) fn find(&self, slot: u32, name: &TopicOrPattern) -> Option<SubscriptionId> {
        self.by_slot.get(&(slot, self.audience_of(name)?)).copied()
    }

    /// Whether so many patterns are not subscribed to yet, or this is one of them or none.
    pub(crate) fn have_room_for(&self, name: &TopicOrPattern, max_patterns: usize) -> bool {
        matches!(name, TopicOrPattern::Topic(_))
            || self.patterns.len() < max_patterns
            || self.audience_of(name).is_some()
    }

    /// Whether a pattern that the connection subscribes to, live or not, matches the topic. That is asked for each topic of a
    /// list: it does not grow with the connection's subscriptions.
    pub(crate) fn have_pattern_for(&self, slot: u32, topic: &Topic) -> bool {
        let mut has_one = false;
        self.patterns.for_each_match(topic, |&audience| {
            has_one |= self.by_slot.contains_key(&(slot, audience));
        });
        has_one
    }

    /// The connection's subscription that is live for what `home` routes of the topic. Of several it is the one to the topic
    /// itself, or else the first to a pattern, in the order in which messages are fanned out.
    pub(crate) fn live_for(&self, slot: u32, topic: &Topic, home: usize) -> Option<&Subscription> {
        let mut first = None;
        self.audiences_for(topic, |audience| {
            let id = self.by_slot.get(&(slot, audience)).filter(|_| first.is_none());
            let subscription = id.map(|&id| self.subscription(id));
            first = first.or(subscription.filter(|subscription| subscription.live & (1 << home) != 0));
        });
        first
    }

    /// Whether a subscription of the connection takes whatever `home` routes of the topic: it is live, and has no snapshot to
    /// come.
    pub(crate) fn takes_all(&self, slot: u32, topic: &Topic, home: usize) -> bool {
        let mut takes_all = false;
        self.audiences_for(topic, |audience| {
            let subscription = self.by_slot.get(&(slot, audience)).map(|&id| self.subscription(id));
            takes_all |=
                subscription.is_some_and(|its| its.live & (1 << home) != 0 && its.coverage.is_none());
        });
        takes_all
    }

    /// A new subscription, not yet live, and the ticket to ask with. The connection must not have it yet, and lists it at
    /// `place` from here on.
    pub(crate) fn insert(
        &mut self,
        (slot, place): (u32, u32),
        name: &TopicOrPattern,
        overflow: Option<OverflowPolicy>,
        receipt: Option<CommandId>,
    ) -> (SubscriptionId, Ticket) {
        let audience = self.audience_or_insert(name);
        self.audiences[audience as usize].members += 1;
        let serial = self.next_serial();
        let subscription = Subscription {
            slot,
            place,
            audience,
            overflow,
            seat: None,
            serial,
            live: 0,
            receipt,
            coverage: None,
        };
        let id = self.entries.insert(subscription) as u32;
        self.by_slot.insert((slot, audience), id);
        (id, Ticket { subscription: id, serial })
    }

    /// A number for one request, not used before (but for four billion ago, of which nothing is in flight).
    pub(crate) fn next_serial(&mut self) -> u32 {
        self.next_serial = self.next_serial.wrapping_add(1);
        self.next_serial
    }

    /// A new ticket to ask with: the answer to an earlier one is no longer for the subscription, which goes on as it is
    /// until the answer to this one.
    pub(crate) fn renew(&mut self, id: SubscriptionId, receipt: Option<CommandId>) -> Ticket {
        let serial = self.next_serial();
        let subscription = &mut self.entries[id as usize];
        subscription.serial = serial;
        subscription.receipt = receipt;
        Ticket { subscription: id, serial }
    }

    /// Its connection lists the subscription elsewhere.
    pub(crate) fn set_place(&mut self, id: SubscriptionId, place: u32) {
        self.entries[id as usize].place = place;
    }

    /// How far the subscription has come with its snapshot.
    pub(crate) fn coverage(&mut self, id: SubscriptionId) -> &mut Option<Box<Coverage>> {
        &mut self.entries[id as usize].coverage
    }

    /// The command that waits for its receipt.
    pub(crate) fn take_receipt(&mut self, id: SubscriptionId) -> Option<CommandId> {
        self.entries[id as usize].receipt.take()
    }

    /// The subscription that asked with the ticket, unless it has ended or asked again since.
    pub(crate) fn redeem(&self, ticket: Ticket) -> Option<SubscriptionId> {
        let subscription = self.entries.get(ticket.subscription as usize)?;
        (subscription.serial == ticket.serial).then_some(ticket.subscription)
    }

    /// The subscription is live for what `home` routes from now on.
    pub(crate) fn make_live(&mut self, id: SubscriptionId, home: usize, encoding: EncodingId) {
        let subscription = &mut self.entries[id as usize];
        subscription.live |= 1 << home;
        if subscription.seat.is_none() {
            let group = self.audiences[subscription.audience as usize].group_or_insert(encoding);
            subscription.seat = Some((encoding, group.seats.len() as u32));
            group.seats.push(Seat { slot: subscription.slot, subscription: id });
        }
    }

    /// Ends a subscription. Returns the name of its audience when that has no member left: nothing need be routed
    /// here for it any more.
    pub(crate) fn remove(&mut self, id: SubscriptionId) -> Option<TopicOrPattern> {
        self.unseat(id);
        let subscription = self.entries.remove(id as usize);
        self.by_slot.remove(&(subscription.slot, subscription.audience));
        let audience = &mut self.audiences[subscription.audience as usize];
        audience.members -= 1;
        if audience.members > 0 {
            return None;
        }
        let audience = self.audiences.remove(subscription.audience as usize);
        match &audience.name {
            TopicOrPattern::Topic(topic) => drop(self.topics.remove(topic)),
            TopicOrPattern::Pattern(pattern) => drop(self.patterns.remove(pattern)),
        }
        Some(audience.name)
    }

    fn unseat(&mut self, id: SubscriptionId) {
        let subscription = &mut self.entries[id as usize];
        let Some((encoding, place)) = subscription.seat.take() else { return };
        let audience = &mut self.audiences[subscription.audience as usize];
        let group = audience.group_or_insert(encoding);
        group.seats.swap_remove(place as usize);
        if let Some(moved) = group.seats.get(place as usize) {
            self.entries[moved.subscription as usize].seat = Some((encoding, place));
        }
    }

    fn audience_or_insert(&mut self, name: &TopicOrPattern) -> AudienceId {
        if let Some(id) = self.audience_of(name) {
            return id;
        }
        let id = self.audiences.insert(Audience { name: name.clone(), members: 0, groups: Vec::new() })
            as AudienceId;
        match name {
            TopicOrPattern::Topic(topic) => drop(self.topics.insert(topic.clone(), id)),
            TopicOrPattern::Pattern(pattern) => *self.patterns.value_or_insert(pattern, || id) = id,
        }
        id
    }
}

impl Audience {
    /// The groups that have a seat taken.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| !group.seats.is_empty())
    }

    /// All seats, group by group, beginning with the seat that it is the turn of in the `run`th run, so that nobody is
    /// always served first. The first group may come again at the end, with the seats in front of that one.
    pub(crate) fn seats_from(&self, run: u64) -> impl Iterator<Item = (&Group, &[Seat])> {
        let seats: usize = self.groups.iter().map(|group| group.seats.len()).sum();
        let mut turn = (run % seats.max(1) as u64) as usize;
        let mut first = 0;
        while self.groups.get(first).is_some_and(|group| group.seats.len() <= turn) {
            turn -= self.groups[first].seats.len();
            first += 1;
        }
        let (before, from) = self.groups.split_at(first);
        let begins = from.first().map(|group| (group, &group.seats[turn..]));
        let ends = from.first().map(|group| (group, &group.seats[..turn]));
        let others = from.iter().skip(1).chain(before).map(|group| (group, group.seats.as_slice()));
        begins.into_iter().chain(others).chain(ends)
    }

    /// The pattern, if it is one's: its members become live home by home.
    pub(crate) fn pattern(&self) -> Option<&Pattern> {
        match &self.name {
            TopicOrPattern::Pattern(pattern) => Some(pattern),
            TopicOrPattern::Topic(_) => None,
        }
    }

    fn group_or_insert(&mut self, encoding: EncodingId) -> &mut Group {
        let at = self.groups.iter().position(|group| group.encoding == encoding).unwrap_or_else(|| {
            self.groups.push(Group { encoding, seats: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }
}
