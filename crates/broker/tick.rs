//! Messages that were published together, as one subscriber gets them: in one piece.
//!
//! In the palette a tick is one frame, and in a write queue one item. So it is written, kept and let go whole, and no rule
//! is needed for it anywhere.

use std::sync::Arc;

use fanwire_wire::topic::Topic;

use crate::encoder::Naming;
use crate::message::Message;

/// Those messages of a tick that one subscriber gets, in the order in which they were published.
#[derive(Debug)]
pub(crate) struct Tick {
    pub(crate) messages: Box<[(Arc<Message>, Naming)]>,
}

impl Tick {
    /// What it counts for in every bound, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.messages.iter().map(|(message, _)| message.bytes()).sum()
    }

    /// Whether any of it is of `topic`.
    pub(crate) fn has(&self, topic: &Topic) -> bool {
        self.messages.iter().any(|(message, _)| message.topic == *topic)
    }

    /// What of it `keep` says to keep, if any.
    pub(crate) fn retain(self: Arc<Self>, mut keep: impl FnMut(&Message) -> bool) -> Option<Arc<Self>> {
        let kept: Box<[_]> = self.messages.iter().filter(|(message, _)| keep(message)).cloned().collect();
        match kept.len() {
            0 => None,
            all if all == self.messages.len() => Some(self),
            _ => Some(Arc::new(Self { messages: kept })),
        }
    }
}
