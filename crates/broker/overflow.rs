//! What happens to a subscription when its connection's write queue is full.

use std::sync::Arc;

pub use fanwire_wire::command::OverflowPolicy;
use fanwire_wire::topic::Topic;

use crate::encoder::{Interface, Naming};
use crate::message::Message;
use crate::settings::TopicSettings;
use crate::write_queue::WriteQueue;

/// How a subscription pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payment {
    /// The topic is read from history.
    CatchUp,
    /// A gap was told in the queue, and the message is in it, queued or told.
    Settled,
    /// The connection has to go.
    Disconnect,
}

impl TopicSettings {
    /// Whether a subscriber on `interface` that misses messages is told, reads them later, or goes. A raw subscriber
    /// cannot be told, so it is never skipped over silently.
    pub(crate) fn policy_for(&self, interface: Interface) -> OverflowPolicy {
        match (self.overflow, interface, &self.history) {
            (OverflowPolicy::Gap | OverflowPolicy::Conflate, Interface::Raw, None) => {
                OverflowPolicy::Disconnect
            }
            (policy, ..) => policy,
        }
    }

    /// Makes the subscription that `message` is for pay for a queue that has no room for it. One that has ended since
    /// (it no longer `listens`) is told what it did not get before it ended: there is nothing to catch up with.
    pub(crate) fn overflow(
        &self,
        interface: Interface,
        listens: bool,
        queue: &mut WriteQueue,
        (message, naming): (&Arc<Message>, Naming),
        bound: usize,
    ) -> Payment {
        match self.policy_for(interface) {
            OverflowPolicy::Disconnect => Payment::Disconnect,
            OverflowPolicy::Gap | OverflowPolicy::Conflate if self.history.is_some() && listens => {
                Payment::CatchUp
            }
            OverflowPolicy::Gap | OverflowPolicy::Conflate if interface == Interface::Raw => {
                Payment::Disconnect
            }
            OverflowPolicy::Gap | OverflowPolicy::Conflate => {
                make_room_by_gap(queue, (message, naming), bound);
                // Gaps that do not join are not let go: with nothing but these, there is no catching up any more.
                if queue.gap_bytes() > bound { Payment::Disconnect } else { Payment::Settled }
            }
        }
    }
}

/// Lets older messages of the topic go until the newest has room; it goes too where only other topics are left.
fn make_room_by_gap(queue: &mut WriteQueue, (message, naming): (&Arc<Message>, Naming), bound: usize) {
    while queue.drop_older_half(&message.topic) {
        if queue.has_room(message.bytes(), bound) {
            queue.push_message(message.clone(), naming);
            return;
        }
    }
    queue.push_gap(&message.topic, message.offset, message.offset);
}

/// The reason in the close frame of a connection that has to go: its queue is full, or it has none and what it would
/// read next is no longer held.
pub(crate) fn slow_consumer_reason(topic: &Topic, backlog_bytes: usize) -> String {
    match backlog_bytes {
        0 => format!("too slow for {topic}: history no longer holds what comes next"),
        _ => format!("too slow for {topic}: {backlog_bytes} bytes of backlog"),
    }
}
