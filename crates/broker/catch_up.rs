//! What one connection reads from history instead of being sent live.
//!
//! One mechanism serves `since`, `recover` and slow readers: topic by topic in turn, a chunk at a time, one request
//! outstanding, as the socket takes it. While a topic is catching up, what is routed of it is not for the
//! connection; the chunk that says `caught_up` joins exactly, because it comes through the same lane.

use std::collections::VecDeque;

use ahash::HashMap;
use fanwire_wire::topic::Topic;

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

    pub(crate) fn contains(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// What is catching up, in no order.
    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.topics.keys().cloned().collect()
    }

    /// Begins, or begins again, with offset `from`.
    pub(crate) fn begin(&mut self, topic: &Topic, from: u64, serial: u32) {
        self.topics.insert(topic.clone(), Progress { serial, next: from });
        self.turns.push_back((topic.clone(), serial));
    }

    pub(crate) fn end(&mut self, topic: &Topic) {
        self.topics.remove(topic);
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
