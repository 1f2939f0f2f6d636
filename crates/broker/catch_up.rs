//! What one connection reads from history instead of being sent live.
//!
//! One mechanism serves `since`, `recover` and slow readers: topic by topic in turn, a chunk at a time, one request
//! outstanding, as the socket takes it. While a topic is catching up, what is routed of it is not for the
//! connection; the chunk that says `caught_up` joins exactly, because it comes through the same lane.

use std::collections::VecDeque;

use ahash::HashMap;
use fanwire_wire::topic::{Topic, TopicOrPattern};

/// The topics that one connection catches up on.
#[derive(Debug, Default)]
pub(crate) struct CatchingUp {
    topics: HashMap<Topic, Progress>,
    /// The topics in the order in which they are asked for. One that has ended may still stand here.
    turns: VecDeque<(Topic, u32)>,
    outstanding: bool,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// Names this catching up, so that an answer to an earlier one is not taken for it.
    serial: u32,
    /// The first offset still wanted.
    next: u64,
    /// The last offset that is known to be, and is left to this.
    last: u64,
}

/// The next request to a home.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NextRead {
    pub(crate) topic: Topic,
    pub(crate) serial: u32,
    pub(crate) from: u64,
}

impl CatchingUp {
    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty() && !self.outstanding
    }

    /// How many topics catch up.
    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Leaves what is routed of the topic, up to offset `last`, to the catching up. Returns whether there is one.
    pub(crate) fn leave(&mut self, topic: &Topic, last: u64) -> bool {
        let Some(progress) = self.topics.get_mut(topic) else { return false };
        progress.last = progress.last.max(last);
        true
    }

    /// What is catching up of what `target` names, in no order.
    pub(crate) fn topics_of(&self, target: &TopicOrPattern) -> Vec<Topic> {
        match target {
            TopicOrPattern::Topic(topic) if self.topics.contains_key(topic) => vec![topic.clone()],
            TopicOrPattern::Topic(_) => Vec::new(),
            TopicOrPattern::Pattern(pattern) => {
                self.topics.keys().filter(|topic| pattern.matches(topic)).cloned().collect()
            }
        }
    }

    /// Begins with offset `next`; the topic is known to go to `last`.
    pub(crate) fn begin(&mut self, topic: &Topic, (next, last): (u64, u64), serial: u32) {
        self.topics.insert(topic.clone(), Progress { serial, next, last });
        // A topic that ends and begins again and again leaves a turn behind each time.
        if self.turns.len() > 2 * self.topics.len() {
            let topics = &self.topics;
            self.turns.retain(|(topic, serial)| {
                topics.get(topic).is_some_and(|progress| progress.serial == *serial)
            });
        }
        self.turns.push_back((topic.clone(), serial));
    }

    /// Ends. Returns the first and the last of the offsets that were left to it and have not been read.
    pub(crate) fn end(&mut self, topic: &Topic) -> Option<(u64, u64)> {
        let Progress { next, last, .. } = self.topics.remove(topic)?;
        (next <= last).then_some((next, last))
    }

    /// What to ask for now, if nothing is outstanding. It is then.
    pub(crate) fn next_read(&mut self) -> Option<NextRead> {
        if self.outstanding {
            return None;
        }
        while let Some((topic, serial)) = self.turns.pop_front() {
            if let Some(progress) = self.topics.get(&topic).filter(|progress| progress.serial == serial) {
                self.outstanding = true;
                return Some(NextRead { topic, serial, from: progress.next });
            }
        }
        None
    }

    /// An answer has come. Returns whether it is of a catching up that goes on, and not of one that has ended.
    pub(crate) fn answered(&mut self, topic: &Topic, serial: u32) -> bool {
        self.outstanding = false;
        self.topics.get(topic).is_some_and(|progress| progress.serial == serial)
    }

    /// The topic has come this far; its next turn follows the other topics'.
    pub(crate) fn advance(&mut self, topic: &Topic, next: u64) {
        if let Some(progress) = self.topics.get_mut(topic) {
            progress.next = next;
            self.turns.push_back((topic.clone(), progress.serial));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_that_begins_again_and_again_leaves_no_turns_behind() {
        let (mut catching_up, topic) = (CatchingUp::default(), Topic::parse("t").expect("a topic"));
        for serial in 0..1_000 {
            catching_up.end(&topic);
            catching_up.begin(&topic, (1, 9), serial);
        }
        assert!(catching_up.turns.len() <= 3, "{} turns of one topic", catching_up.turns.len());
        let next = NextRead { topic, serial: 999, from: 1 };
        assert_eq!((catching_up.next_read(), catching_up.next_read()), (Some(next), None));
    }

    #[test]
    fn what_was_left_and_not_read_is_named_at_the_end() {
        let (mut catching_up, topic) = (CatchingUp::default(), Topic::parse("t").expect("a topic"));
        assert!(!catching_up.leave(&topic, 5), "it does not catch up");
        catching_up.begin(&topic, (5, 6), 1);
        assert!(catching_up.leave(&topic, 8));
        catching_up.advance(&topic, 7);
        assert_eq!(catching_up.end(&topic), Some((7, 8)));
        catching_up.begin(&topic, (9, 9), 2);
        catching_up.advance(&topic, 10);
        assert_eq!(catching_up.end(&topic), None);
    }
}
