//! What it costs a subscription that its connection does not keep up.

use std::sync::Arc;

pub use fanwire_wire::command::OverflowPolicy;
use fanwire_wire::topic::Topic;

use crate::encoder::{Interface, Naming};
use crate::message::Message;
use crate::settings::{MaxAge, TopicSettings};
use crate::tick::Tick;
use crate::write_queue::{Queued, WriteQueue};

/// What holds for the messages of one topic on one connection that is behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    policy: OverflowPolicy,
    has_history: bool,
    max_age: Option<MaxAge>,
    /// Whether a subscription that the connection has now is for them. They may be for one that has ended since.
    listens: bool,
}

/// How a subscription pays for a queue that has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payment {
    /// The topic is read from history.
    CatchUp,
    /// The message is in the queue, or told.
    Settled,
    /// The connection has to go.
    Disconnect,
}

impl TopicSettings {
    /// The policy of a subscriber on `interface` that has `asked` for one or not. A raw subscriber cannot be told, so it is
    /// never skipped over silently: it reads what it missed later, or goes.
    pub(crate) fn policy_for(&self, interface: Interface, asked: Option<OverflowPolicy>) -> OverflowPolicy {
        match (asked.unwrap_or(self.overflow), interface, self.is_read_again()) {
            (OverflowPolicy::Gap, Interface::Raw, false) | (OverflowPolicy::Conflate, Interface::Raw, _) => {
                OverflowPolicy::Disconnect
            }
            (policy, ..) => policy,
        }
    }

    /// Whether a subscriber that falls behind reads what it missed from history. That has messages one by one, and those of
    /// an atomic topic come together or are told to be missing.
    fn is_read_again(&self) -> bool {
        self.history.is_some() && !self.atomic
    }

    /// The terms of a subscriber on `interface` that `listens`, and has asked for a policy or not.
    pub(crate) fn terms(&self, interface: Interface, asked: Option<OverflowPolicy>, listens: bool) -> Terms {
        Terms {
            policy: self.policy_for(interface, asked),
            has_history: self.is_read_again(),
            max_age: self.max_age.filter(|_| interface != Interface::Raw),
            listens,
        }
    }
}

impl Terms {
    /// The same for messages that are in front of a boundary, or of the end: what listened to them has ended.
    pub(crate) fn ended(self) -> Self {
        Self { listens: false, ..self }
    }

    /// Whether messages are gathered, by key, while the socket lags. Those for a subscription that has ended are in front of
    /// its end.
    pub(crate) fn conflates(&self) -> bool {
        self.listens && self.policy == OverflowPolicy::Conflate
    }

    /// Whether what is missed is read from history. Who conflates wants what is new.
    pub(crate) fn catches_up(&self) -> bool {
        self.listens && self.has_history && self.policy != OverflowPolicy::Conflate
    }

    /// The message as it waits in a queue.
    pub(crate) fn queued(&self, (message, naming): (Arc<Message>, Naming)) -> Queued {
        Queued { message, naming, max_age: self.max_age, skipped: 0 }
    }

    /// Puts a message into the queue of a connection that is behind. Where it has no room, the subscription pays for it.
    pub(crate) fn queue(&self, queue: &mut WriteQueue, queued: Queued, bound: usize) -> Payment {
        let has_room = queue.has_room(queued.message.bytes(), bound);
        if self.conflates() && (queue.lags() || !has_room) {
            queue.gather(queued, bound);
            return settled_within(queue, bound);
        }
        if has_room {
            queue.push_message(queued);
            return Payment::Settled;
        }
        self.overflow(queue, queued, bound)
    }

    /// The same for a tick, which conflates nothing.
    pub(crate) fn queue_tick(&self, queue: &mut WriteQueue, tick: Arc<Tick>, bound: usize) -> Payment {
        if queue.has_room(tick.bytes(), bound) {
            queue.push_tick(tick);
            return Payment::Settled;
        }
        if self.policy == OverflowPolicy::Disconnect {
            return Payment::Disconnect;
        }
        for (message, _) in &tick.messages {
            while queue.drop_older_half(&message.topic) {
                if queue.has_room(tick.bytes(), bound) {
                    queue.push_tick(tick);
                    return settled_within(queue, bound);
                }
            }
        }
        for (message, _) in &tick.messages {
            queue.push_gap(&message.topic, message.offset, message.offset);
        }
        settled_within(queue, bound)
    }

    /// Makes the subscription that the message is for pay for a queue that has no room for it. One that has ended since is
    /// told what it did not get before it ended: there is nothing to catch up with.
    fn overflow(&self, queue: &mut WriteQueue, queued: Queued, bound: usize) -> Payment {
        match self.policy {
            OverflowPolicy::Disconnect => Payment::Disconnect,
            OverflowPolicy::Gap if self.catches_up() => Payment::CatchUp,
            OverflowPolicy::Gap | OverflowPolicy::Conflate => {
                make_room_by_gap(queue, queued, bound);
                settled_within(queue, bound)
            }
        }
    }
}

/// Notices that do not join are not let go: with nothing but these, there is no catching up any more.
fn settled_within(queue: &WriteQueue, bound: usize) -> Payment {
    if queue.notice_bytes() > bound { Payment::Disconnect } else { Payment::Settled }
}

/// Lets older messages of the topic go until the newest has room; it goes too where only other topics are left.
pub(crate) fn make_room_by_gap(queue: &mut WriteQueue, queued: Queued, bound: usize) {
    while queue.drop_older_half(&queued.message.topic) {
        if queue.has_room(queued.message.bytes(), bound) {
            return queue.push_message(queued);
        }
    }
    queue.push_gap(&queued.message.topic, queued.message.offset, queued.message.offset);
}

/// The reason in the close frame of a connection that has to go: its queue is full, or it has none and what it would
/// read next is no longer held.
pub(crate) fn slow_consumer_reason(topic: &Topic, backlog_bytes: usize) -> String {
    match backlog_bytes {
        0 => format!("too slow for {topic}: history no longer holds what comes next"),
        _ => format!("too slow for {topic}: {backlog_bytes} bytes of backlog"),
    }
}
