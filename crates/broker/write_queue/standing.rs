//! Where each topic stands in a queue, so that a queue that is full need not be looked through for every message.
//!
//! Items are numbered as they come. What a topic has last, and whether it has anything to let go, is then known without a
//! look at what the others have.

use ahash::HashMap;
use fanwire_wire::topic::Topic;

use super::item::Item;

/// The topics that the items of a queue are of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// The number of the first item.
    first: u64,
    /// The number of the next one to come.
    next: u64,
    /// The number of the first item behind the last boundary.
    behind_boundaries: u64,
    topics: HashMap<Topic, OfTopic>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct OfTopic {
    /// Its messages, those in ticks too.
    messages: usize,
    /// The number of its last item.
    last: u64,
}

impl Standing {
    /// That of items which are the first of a queue.
    pub(super) fn of<'i>(items: impl IntoIterator<Item = &'i Item>) -> Self {
        let mut standing = Self::default();
        items.into_iter().for_each(|item| standing.push(item));
        standing
    }

    /// An item has come.
    pub(super) fn push(&mut self, item: &Item) {
        let number = self.next;
        self.next += 1;
        if item.is_boundary() {
            self.behind_boundaries = self.next;
        }
        item.for_each_topic(|topic, messages| {
            if let Some(of_topic) = self.topics.get_mut(topic) {
                of_topic.messages += messages;
                of_topic.last = number;
            } else {
                self.topics.insert(topic.clone(), OfTopic { messages, last: number });
            }
        });
    }

    /// The first item has gone.
    pub(super) fn pop(&mut self, item: &Item) {
        let number = self.first;
        self.first += 1;
        item.for_each_topic(|topic, messages| {
            let Some(of_topic) = self.topics.get_mut(topic) else { return };
            of_topic.messages -= messages;
            // A tick may have more of it.
            if of_topic.last == number && of_topic.messages == 0 {
                self.topics.remove(topic);
            }
        });
    }

    /// How far behind the first item the last one of the topic is, where no boundary follows that.
    pub(super) fn last_of(&self, topic: &Topic) -> Option<usize> {
        let last = self.topics.get(topic)?.last;
        (last >= self.behind_boundaries).then(|| (last - self.first) as usize)
    }

    /// Whether there is a message of the topic.
    pub(super) fn has_messages(&self, topic: &Topic) -> bool {
        self.topics.get(topic).is_some_and(|of_topic| of_topic.messages > 0)
    }
}
