//! What connections ask for.

use fanwire_wire::command::{Command, CommandId, Envelope, OverflowPolicy, Since, Wanted};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicOrPattern};

use super::publishing::drafts_of;
use super::{Event, Shard};
use crate::batches::Refused;
use crate::lanes::{ConnectionId, Receipt, Request, Start};
use crate::message::Draft;
use crate::outbox::Outbox;
use crate::overflow::Terms;
use crate::snapshots::Coverage;
use crate::subscriptions::SubscriptionId;

/// How a subscription begins.
#[derive(Debug, PartialEq, Eq)]
enum Begin {
    At(Start),
    /// With the last values.
    Snapshot,
}

impl Begin {
    /// Whether messages come that were published before.
    fn is_earlier(&self) -> bool {
        !matches!(self, Self::At(Start::Now) | Self::Snapshot)
    }
}

impl Shard {
    /// A command of the JSON or the binary interface. The shard itself answers it.
    pub fn handle_command(&mut self, id: ConnectionId, envelope: Envelope<'_>) {
        if !self.connections.is_open(id) {
            return;
        }
        let Envelope { id: command_id, command } = envelope;
        match command {
            Command::Subscribe { wanted, overflow, snapshot } => {
                for Wanted { target, since } in wanted {
                    self.subscribe_to(id, target, since, (overflow, snapshot), command_id.clone());
                }
            }
            Command::Recover { topic, since } => self.recover(id, topic, since, command_id),
            Command::Unsubscribe { target } => self.unsubscribe(id, &target, command_id.as_ref()),
            Command::Publish { publication, echo } => {
                let draft = Draft::of(publication, echo);
                self.publish_draft(id, draft, command_id.map_or(Receipt::Unwanted, Receipt::WithId));
            }
            Command::PublishBatch { messages, atomic, echo } => {
                self.begin_batch(id, command_id, drafts_of(messages, echo), atomic);
            }
            Command::Auth { token } => {
                let token = token.into_owned();
                self.events.push_back(Event::Authenticate { connection: id, command_id, token });
            }
            Command::Ping => self.notify(id, &Notification::Pong { id: command_id.as_ref() }),
            Command::Hello { name } => {
                let message = format!("hello {name}");
                self.notify(id, &Notification::Hello { id: command_id.as_ref(), message: &message });
            }
        }
    }

    /// One of the topics of a `subscribe`, which is answered by itself.
    fn subscribe_to(
        &mut self,
        id: ConnectionId,
        target: TopicOrPattern,
        since: Option<Since>,
        (overflow, snapshot): (Option<OverflowPolicy>, bool),
        command_id: Option<CommandId>,
    ) {
        let subject = target.as_str().to_owned();
        let begin = if snapshot { Begin::Snapshot } else { Begin::At(since.map_or(Start::Now, Start::from)) };
        if let Err((refused, command_id)) = self.begin_subscription(id, target, (begin, overflow), command_id)
        {
            self.refuse(id, command_id.as_ref(), "subscribe", Some(&subject), refused);
        }
    }

    /// A raw connection or event stream subscribes; an event answers.
    pub fn subscribe(&mut self, id: ConnectionId, topic: Topic, start: Start) {
        if !self.connections.is_open(id) {
            return;
        }
        let subject = topic.clone();
        if let Err((refused, _)) =
            self.begin_subscription(id, TopicOrPattern::Topic(topic), (Begin::At(start), None), None)
        {
            self.refuse(id, None, "subscribe", Some(&subject), refused);
        }
    }

    /// An HTTP connection wants a topic's latest message; an event answers.
    pub fn latest(&mut self, id: ConnectionId, topic: Topic) {
        if !self.connections.is_open(id) || !self.may_read_topic(id, &topic) {
            return;
        }
        self.request(self.home_of(&topic), Request::Latest { topic, connection: id });
    }

    /// Whether an HTTP connection may read the topic. If not, it is told.
    pub(super) fn may_read_topic(&mut self, id: ConnectionId, topic: &Topic) -> bool {
        match self.check_subscribe(id.slot, &TopicOrPattern::Topic(topic.clone())) {
            Ok(()) => true,
            Err(refused) => {
                self.refuse(id, None, "subscribe", Some(topic), refused);
                false
            }
        }
    }

    /// Whether a home that would have to answer is stalled.
    fn is_out_of_reach(&self, target: &TopicOrPattern) -> bool {
        match target {
            TopicOrPattern::Topic(topic) => self.requests[self.home_of(topic)].is_given_up(),
            TopicOrPattern::Pattern(_) => self.requests.iter().any(Outbox::is_given_up),
        }
    }

    fn begin_subscription(
        &mut self,
        id: ConnectionId,
        target: TopicOrPattern,
        (begin, overflow): (Begin, Option<OverflowPolicy>),
        command_id: Option<CommandId>,
    ) -> Result<(), (Refused, Option<CommandId>)> {
        let outcome = self.check_subscribe(id.slot, &target);
        let outcome = outcome.and_then(|()| Ok(self.may_subscribe(id.slot, &target, &begin, overflow)?));
        if let Err(refused) = outcome {
            return Err((refused, command_id));
        }
        let walks = begin == Begin::Snapshot && matches!(target, TopicOrPattern::Pattern(_));
        let coverage = walks.then(|| Box::new(Coverage::new(self.cores(), command_id.clone())));
        let place = self.connections.subscriptions(id.slot).len() as u32;
        let (subscription, ticket) =
            self.subscriptions.insert((id.slot, place), &target, overflow, command_id);
        self.connections.at(id.slot).subscriptions.push(subscription);
        match (target, begin) {
            (TopicOrPattern::Topic(_), Begin::Snapshot) => self.ask_for_snapshot(id.slot, ticket),
            (TopicOrPattern::Topic(topic), Begin::At(start)) => {
                self.request(self.home_of(&topic), Request::Subscribe { topic, ticket, start });
            }
            (TopicOrPattern::Pattern(pattern), _) => {
                *self.subscriptions.coverage(subscription) = coverage;
                for home in 0..self.cores() {
                    let pattern = pattern.clone();
                    self.request(home, Request::SubscribePattern { pattern, ticket });
                }
            }
        }
        Ok(())
    }

    fn may_subscribe(
        &self,
        slot: u32,
        target: &TopicOrPattern,
        begin: &Begin,
        overflow: Option<OverflowPolicy>,
    ) -> Result<(), ErrorCode> {
        if let TopicOrPattern::Topic(topic) = target
            && *begin == Begin::Snapshot
            && !self.settings.of_topic(topic).keeps_values()
        {
            return Err(ErrorCode::NotKept);
        }
        if overflow.is_some_and(|policy| !self.settings.allows(target, policy)) {
            return Err(ErrorCode::PolicyNotAllowed);
        }
        if self.subscriptions.find(slot, target).is_some() {
            return Err(ErrorCode::AlreadySubscribed);
        }
        if self.connections.subscriptions(slot).len() >= self.settings.max_subscriptions {
            return Err(ErrorCode::TooManySubscriptions);
        }
        if !self.subscriptions.have_room_for(target, self.settings.max_patterns.div_ceil(self.cores())) {
            return Err(ErrorCode::TooManyPatterns);
        }
        if self.is_out_of_reach(target) {
            return Err(ErrorCode::Unavailable);
        }
        match target {
            TopicOrPattern::Topic(topic)
                if begin.is_earlier() && self.subscriptions.have_pattern_for(slot, topic) =>
            {
                Err(ErrorCode::Overlap)
            }
            _ => Ok(()),
        }
    }

    /// What holds for the topic's messages when the connection is behind; none for one that subscribes to nothing.
    pub(super) fn terms(&self, slot: u32, topic: &Topic) -> Option<Terms> {
        let live = self.subscriptions.live_for(slot, topic, self.home_of(topic));
        let asked = live.and_then(|subscription| subscription.overflow);
        let settings = self.settings.of_topic(topic);
        Some(settings.terms(self.connections.interface(slot)?, asked, live.is_some()))
    }

    /// Asks to rewind a live subscription. It goes on as it is until the home has answered, and after a refusal too.
    fn recover(&mut self, id: ConnectionId, topic: Topic, since: Since, command_id: Option<CommandId>) {
        let target = TopicOrPattern::Topic(topic.clone());
        if let Err(refused) = self.check_subscribe(id.slot, &target) {
            return self.refuse(id, command_id.as_ref(), "recover", Some(&topic), refused);
        }
        let subscription = self.subscriptions.find(id.slot, &target);
        let refused = match subscription.filter(|&id| self.subscriptions.subscription(id).live != 0) {
            None => ErrorCode::NotSubscribed,
            Some(_) if self.subscriptions.have_pattern_for(id.slot, &topic) => ErrorCode::Overlap,
            Some(subscription) => {
                self.supersede(id, subscription, "recover", &topic);
                let ticket = self.subscriptions.renew(subscription, command_id);
                let (home, start) = (self.home_of(&topic), Start::from(since));
                return self.request(home, Request::Subscribe { topic, ticket, start });
            }
        };
        self.refuse(id, command_id.as_ref(), "recover", Some(&topic), refused);
    }

    fn unsubscribe(&mut self, id: ConnectionId, target: &TopicOrPattern, command_id: Option<&CommandId>) {
        let Some(subscription) = self.subscriptions.find(id.slot, target) else {
            return self.refuse(
                id,
                command_id,
                "unsubscribe",
                Some(target.as_str()),
                ErrorCode::NotSubscribed,
            );
        };
        self.fan_out();
        let recovers = matches!(target, TopicOrPattern::Topic(_))
            && self.subscriptions.subscription(subscription).live != 0;
        self.supersede(id, subscription, if recovers { "recover" } else { "subscribe" }, target.as_str());
        self.forget_subscription(subscription);
        self.stop_catching_up_on_unmatched(id.slot, target);
        if command_id.is_some() {
            self.notify(id, &Notification::Unsubscribed { id: command_id, topic: target.as_str() });
        }
    }

    /// Answers the command that waits for a receipt of the subscription: it will not get one.
    fn supersede(&mut self, id: ConnectionId, subscription: SubscriptionId, command: &str, name: &str) {
        if let Some(receipt) = self.subscriptions.take_receipt(subscription) {
            self.refuse(id, Some(&receipt), command, Some(name), ErrorCode::Superseded);
        }
    }

    /// Returns the first and the last of the offsets that were left to the catching up and have not been read.
    pub(super) fn stop_catching_up(&mut self, slot: u32, topic: &Topic) -> Option<(u64, u64)> {
        let unread = self.connections.at(slot).behind.as_mut()?.catching_up.end(topic);
        self.connections.schedule(slot);
        unread
    }

    /// Stops catching up on topics that only the subscription that has `ended` was for, and tells what does not come any
    /// more. One that another still is for goes on: what is live meanwhile would otherwise be delivered over the hole. It is
    /// not for one that has a snapshot to come: of that the topic's value is the first.
    pub(super) fn stop_catching_up_on_unmatched(&mut self, slot: u32, ended: &TopicOrPattern) {
        let Some(behind) = &self.connections.at(slot).behind else { return };
        for topic in behind.catching_up.topics_of(ended) {
            if !self.subscriptions.takes_all(slot, &topic, self.home_of(&topic))
                && let Some(unread) = self.stop_catching_up(slot, &topic)
            {
                self.queue_gap(slot, &topic, unread);
            }
        }
    }
}

impl From<Since> for Start {
    fn from(since: Since) -> Self {
        match since {
            Since::Earliest => Self::Earliest,
            Since::Position(position) => Self::After(position),
        }
    }
}

impl From<ErrorCode> for Refused {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: code.explanation().unwrap_or("the command was not carried out").into() }
    }
}
