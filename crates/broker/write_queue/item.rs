//! What a write queue is made of.

use std::sync::Arc;

use fanwire_wire::topic::Topic;

use crate::encoder::Naming;
use crate::message::Message;
use crate::settings::MaxAge;
use crate::tick::Tick;

/// What a reply means for the messages around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    /// Nothing.
    Plain,
    /// A subscription begins or ends here: what is in front of it must stay there.
    Boundary,
    /// A close frame, or the end of an event stream: it comes even where what is in front of it does not fit.
    Close,
}

impl ReplyKind {
    /// Whether nothing that comes later may overtake it, and it nothing that came before.
    pub(super) const fn keeps_its_place(self) -> bool {
        match self {
            Self::Boundary | Self::Close => true,
            Self::Plain => false,
        }
    }
}

/// A message that waits, and what is known of it in this queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) message: Arc<Message>,
    pub(crate) naming: Naming,
    /// The age above which it is let go.
    pub(crate) max_age: Option<MaxAge>,
    /// How many messages of its topic were let go in front of it, since the last one that something tells of.
    pub(crate) skipped: u64,
}

#[cfg(test)]
impl From<Arc<Message>> for Queued {
    fn from(message: Arc<Message>) -> Self {
        Self { message, naming: Naming::ByNumber, max_age: None, skipped: 0 }
    }
}

impl Queued {
    /// Whether it is too old to be sent while there is a newer value of its key.
    pub(super) fn is_stale(&self, now_ms: u64) -> bool {
        self.max_age.is_some_and(|max| now_ms.saturating_sub(self.message.taken_ms) > max.ms)
    }

    /// Whether it is too old to be sent even as the newest value of its key.
    pub(super) fn is_stale_as_newest(&self, now_ms: u64) -> bool {
        self.max_age.is_some_and(|max| max.newest) && self.is_stale(now_ms)
    }
}

#[derive(Debug)]
pub(super) enum Item {
    Reply(Box<[u8]>, ReplyKind),
    Message(Queued),
    /// Several messages that come together or not at all.
    Tick(Arc<Tick>),
    /// The last value of its key, for a snapshot.
    Value(Arc<Message>, Naming),
    /// Messages that are told missing one by one.
    Gap {
        topic: Topic,
        from: u64,
        to: u64,
        count: u64,
    },
    /// Messages that were let go, up to `offset`, where no message follows that could tell of them.
    Skipped {
        topic: Topic,
        offset: u64,
        count: u64,
    },
}

impl Item {
    pub(super) fn is_boundary(&self) -> bool {
        matches!(self, Self::Reply(_, ReplyKind::Boundary))
    }

    /// What the item counts for in the backlog, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Reply(..) | Self::Value(..) => 0,
            Self::Message(queued) => queued.message.bytes(),
            Self::Tick(tick) => tick.bytes(),
            Self::Gap { .. } | Self::Skipped { .. } => size_of::<Self>(),
        }
    }

    pub(super) fn notice_bytes(&self) -> usize {
        if matches!(self, Self::Gap { .. } | Self::Skipped { .. }) { self.bytes() } else { 0 }
    }

    pub(super) fn reply_bytes(&self) -> usize {
        match self {
            Self::Reply(bytes, _) => bytes.len(),
            Self::Value(message, _) => message.bytes(),
            Self::Message(_) | Self::Tick(_) | Self::Gap { .. } | Self::Skipped { .. } => 0,
        }
    }

    pub(super) fn is_ageing(&self) -> bool {
        matches!(self, Self::Message(Queued { max_age: Some(_), .. }))
    }

    /// Whether it is of `topic`, and not a reply to a command.
    pub(super) fn is_of(&self, topic: &Topic) -> bool {
        match self {
            Self::Reply(..) | Self::Value(..) => false,
            Self::Message(queued) => queued.message.topic == *topic,
            Self::Tick(tick) => tick.has(topic),
            Self::Gap { topic: of, .. } | Self::Skipped { topic: of, .. } => of == topic,
        }
    }

    /// Each topic that it is of, once for each message, and how many messages that is: one, or none for what is told of it.
    pub(super) fn for_each_topic(&self, mut found: impl FnMut(&Topic, usize)) {
        match self {
            Self::Reply(..) | Self::Value(..) => {}
            Self::Message(queued) => found(&queued.message.topic, 1),
            Self::Tick(tick) => tick.messages.iter().for_each(|(message, _)| found(&message.topic, 1)),
            Self::Gap { topic, .. } | Self::Skipped { topic, .. } => found(topic, 0),
        }
    }

    pub(super) fn is_message_of(&self, topic: &Topic) -> bool {
        matches!(self, Self::Message(_)) && self.is_of(topic)
    }

    pub(super) fn is_tick_of(&self, topic: &Topic) -> bool {
        matches!(self, Self::Tick(_)) && self.is_of(topic)
    }

    /// Takes out what is of `topic`. Returns whether anything is left.
    pub(super) fn forget(&mut self, topic: &Topic) -> bool {
        match self {
            Self::Tick(tick) => match tick.clone().retain(|message| message.topic != *topic) {
                Some(rest) => {
                    *tick = rest;
                    true
                }
                None => false,
            },
            item => !item.is_of(topic),
        }
    }

    /// Makes a gap tell of what follows it too. Returns whether it is a gap and that does follow it.
    pub(super) fn extend(&mut self, next_from: u64, next_to: u64, next_count: u64) -> bool {
        match self {
            Self::Gap { to, count, .. } if *to + 1 == next_from => {
                *to = next_to;
                *count += next_count;
                true
            }
            _ => false,
        }
    }
}
