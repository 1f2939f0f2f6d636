//! What one connection reads from history instead of being sent live.
//!
//! One mechanism serves `since`, `recover` and slow readers: topic by topic in turn, a chunk at a time, one request
//! outstanding, as the socket takes it. While a topic is catching up, what is routed of it is not for the
//! connection; the chunk that says `caught_up` joins exactly, because it comes through the same lane.
//!
//! ```text
//!   history │ … 41 42 43 … 87 │ 88 89 90 … │ not published yet
//!               └ was missed, and is read as the socket takes it
//!                               └ came since: who conflates reads ahead here, and conflates it
//! ```
//!
//! A topic may be faster than the socket. Who conflates it wants what is new, and would never come to it: what was published
//! while it read is read without waiting for the socket, and conflated as if it came live.

use std::collections::VecDeque;

use ahash::HashMap;
use fanwire_wire::topic::{Topic, TopicOrPattern};

/// The topics that one connection catches up on.
#[derive(Debug, Default)]
pub(crate) struct CatchingUp {
    topics: HashMap<Topic, Progress>,
    /// The topics in the order in which they are asked for. One that has ended may still stand here.
    turns: VecDeque<(Topic, u32)>,
    /// The same, of those that do not wait for the socket.
    ahead: VecDeque<(Topic, u32)>,
    outstanding: bool,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    /// Names this catching up, so that an answer to an earlier one is not taken for it.
    serial: u32,
    /// The first offset still wanted.
    next: u64,
    /// The last offset of what was missed when it began.
    missed: u64,
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
        self.topics.insert(topic.clone(), Progress { serial, next, missed: last, last });
        // A topic that ends and begins again and again leaves a turn behind each time.
        if self.turns.len() + self.ahead.len() > 2 * self.topics.len() {
            let topics = &self.topics;
            let goes_on = |(topic, serial): &(Topic, u32)| {
                topics.get(topic).is_some_and(|progress| progress.serial == *serial)
            };
            self.turns.retain(goes_on);
            self.ahead.retain(goes_on);
        }
        self.turns.push_back((topic.clone(), serial));
    }

    /// The last offset of what was missed when the catching up on the topic began.
    pub(crate) fn missed(&self, topic: &Topic) -> Option<u64> {
        self.topics.get(topic).map(|progress| progress.missed)
    }

    /// Whether there is something to ask for that does not wait for the socket.
    pub(crate) fn reads_ahead(&self) -> bool {
        !self.outstanding && !self.ahead.is_empty()
    }

    /// Ends. Returns the first and the last of the offsets that were left to it and have not been read.
    pub(crate) fn end(&mut self, topic: &Topic) -> Option<(u64, u64)> {
        let Progress { next, last, .. } = self.topics.remove(topic)?;
        (next <= last).then_some((next, last))
    }

    /// What to ask for now, if nothing is outstanding. It is then. What waits for the socket is asked for if the connection
    /// `is_drained`.
    pub(crate) fn next_read(&mut self, is_drained: bool) -> Option<NextRead> {
        if self.outstanding {
            return None;
        }
        while let Some((topic, serial)) = self.next_turn(is_drained) {
            if let Some(progress) = self.topics.get(&topic).filter(|progress| progress.serial == serial) {
                self.outstanding = true;
                return Some(NextRead { topic, serial, from: progress.next });
            }
        }
        None
    }

    fn next_turn(&mut self, is_drained: bool) -> Option<(Topic, u32)> {
        let ahead = self.ahead.pop_front();
        if is_drained { ahead.or_else(|| self.turns.pop_front()) } else { ahead }
    }

    /// An answer has come. Returns whether it is of a catching up that goes on, and not of one that has ended.
    pub(crate) fn answered(&mut self, topic: &Topic, serial: u32) -> bool {
        self.outstanding = false;
        self.topics.get(topic).is_some_and(|progress| progress.serial == serial)
    }

    /// The topic has come this far; its next turn follows the other topics'. One that `conflates` reads ahead from where all
    /// that was missed has been read.
    pub(crate) fn advance(&mut self, topic: &Topic, next: u64, conflates: bool) {
        if let Some(progress) = self.topics.get_mut(topic) {
            progress.next = next;
            let reads_ahead = conflates && next > progress.missed;
            let turns = if reads_ahead { &mut self.ahead } else { &mut self.turns };
            turns.push_back((topic.clone(), progress.serial));
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
        assert_eq!((catching_up.next_read(true), catching_up.next_read(true)), (Some(next), None));
    }

    #[test]
    fn what_was_left_and_not_read_is_named_at_the_end() {
        let (mut catching_up, topic) = (CatchingUp::default(), Topic::parse("t").expect("a topic"));
        assert!(!catching_up.leave(&topic, 5), "it does not catch up");
        catching_up.begin(&topic, (5, 6), 1);
        assert!(catching_up.leave(&topic, 8));
        catching_up.advance(&topic, 7, false);
        assert_eq!(catching_up.end(&topic), Some((7, 8)));
        catching_up.begin(&topic, (9, 9), 2);
        catching_up.advance(&topic, 10, false);
        assert_eq!(catching_up.end(&topic), None);
    }

    #[test]
    fn who_conflates_reads_ahead_from_where_all_that_was_missed_is_read() {
        let (mut catching_up, topic) = (CatchingUp::default(), Topic::parse("t").expect("a topic"));
        catching_up.begin(&topic, (5, 8), 1);
        let from = |from| NextRead { topic: topic.clone(), serial: 1, from };
        assert_eq!((catching_up.next_read(false), catching_up.next_read(true)), (None, Some(from(5))));
        catching_up.answered(&topic, 1);
        catching_up.advance(&topic, 8, true);
        assert!(!catching_up.reads_ahead() && catching_up.next_read(false).is_none(), "8 was missed");
        assert_eq!(catching_up.next_read(true), Some(from(8)));
        assert!(catching_up.answered(&topic, 1));
        catching_up.advance(&topic, 9, true);
        assert!(catching_up.reads_ahead());
        assert_eq!(catching_up.next_read(false), Some(from(9)));
        assert!(!catching_up.reads_ahead(), "one at a time");
    }
}
