//! Conflation: while a socket lags behind, the newest value of each key takes the place of the one before.
//!
//! It works in generations. What comes is *gathered*; when the connection has been sent all that was queued before, the
//! gathered set is *frozen*, which is to say queued, and what comes then is gathered for the next one:
//!
//! ```text
//!   socket ◄─ items: a5 b6 c9  ◄─ frozen ─  gathered: b12 a14      (b10 gave its place to b12, and a11 to a14)
//!             └ no newer value takes a place here, so that each gets its turn …
//! ```
//!
//! So a key that changes all the time does not starve, offsets increase, and a value is at most one generation old when
//! it is sent. (To replace values where they are queued would send the hot key to the end again and again.)

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use ahash::HashMap;
use fanwire_wire::topic::Topic;

use crate::message::Message;
use crate::write_queue::Queued;

/// What one connection is to be sent in the next generation: the newest value of each key of each topic, and how many
/// messages came between them.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// In the order in which they came, over all topics.
    values: BTreeMap<u64, Value>,
    /// Where in that order the value of a key stands.
    places: HashMap<OfKey, u64>,
    topics: HashMap<Topic, Arrivals>,
    next_place: u64,
    bytes: usize,
}

/// The newest value of a key.
#[derive(Debug)]
struct Value {
    queued: Queued,
    /// Which of the topic's arrivals it was, from 1.
    nth: u64,
}

/// What came of one topic. The last of it is always held.
#[derive(Debug, Default)]
struct Arrivals {
    count: u64,
    /// Those that were let go in front of the first.
    before: u64,
    /// Where its values stand.
    places: BTreeSet<u64>,
}

/// A message, as the value of its key: two are the same if one takes the other's place.
#[derive(Debug)]
pub(crate) struct OfKey(pub(crate) Arc<Message>);

impl PartialEq for OfKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.topic == other.0.topic && self.0.key == other.0.key
    }
}

impl Eq for OfKey {}

impl Hash for OfKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.topic.hash(state);
        self.0.key.hash(state);
    }
}

impl Gathered {
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What the values count for in the backlog, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many values there are of `topic`.
    pub(crate) fn values_of(&self, topic: &Topic) -> usize {
        self.topics.get(topic).map_or(0, |arrivals| arrivals.places.len())
    }

    /// Whether there is a value of the message's key, which is newer than any that is queued.
    pub(crate) fn has_newer(&self, message: &Arc<Message>) -> bool {
        self.places.contains_key(&OfKey(message.clone()))
    }

    /// Takes the value, in the place of the one of its key that came before. Returns whether there was one.
    pub(crate) fn gather(&mut self, queued: Queued) -> bool {
        let before = self.places.remove(&OfKey(queued.message.clone()));
        if let Some(place) = before {
            self.take_out(place);
        }
        let arrivals = self.topics.entry(queued.message.topic.clone()).or_default();
        arrivals.count += 1;
        arrivals.places.insert(self.next_place);
        self.bytes += queued.message.bytes();
        self.places.insert(OfKey(queued.message.clone()), self.next_place);
        self.values.insert(self.next_place, Value { queued, nth: arrivals.count });
        self.next_place += 1;
        before.is_some()
    }

    /// So many messages of `topic` that were queued in front of these have been let go: the first value tells of them.
    /// Returns whether there is one.
    pub(crate) fn carry(&mut self, topic: &Topic, count: u64) -> bool {
        self.topics.get_mut(topic).map(|arrivals| arrivals.before += count).is_some()
    }

    /// Lets the `count` oldest values of `topic` go: those behind them tell of it. There must be more of them.
    pub(crate) fn let_oldest_go(&mut self, topic: &Topic, count: usize) {
        debug_assert!(count == 0 || count < self.values_of(topic), "the last arrival is always held");
        let places = self.topics.get(topic).map(|arrivals| arrivals.places.iter().take(count).copied());
        for place in places.into_iter().flatten().collect::<Vec<_>>() {
            if let Some(value) = self.take_out(place) {
                self.places.remove(&OfKey(value.queued.message));
            }
        }
    }

    /// Lets all of `topic` go. Returns how many messages that were, with those that nothing told of yet.
    pub(crate) fn forget(&mut self, topic: &Topic) -> u64 {
        let Some(Arrivals { count, before, places }) = self.topics.remove(topic) else { return 0 };
        for place in places {
            if let Some(value) = self.take_out(place) {
                self.places.remove(&OfKey(value.queued.message));
            }
        }
        count + before
    }

    /// Hands over the generation: each value says how many messages of its topic in front of it, since the value before,
    /// are not in it. What comes from here on is of the next generation.
    pub(crate) fn freeze(&mut self) -> impl Iterator<Item = Queued> + use<> {
        let Self { values, mut topics, .. } = std::mem::take(self);
        // From here on `count` is what was handed over or told of.
        for arrivals in topics.values_mut() {
            arrivals.count = 0;
        }
        values.into_values().map(move |Value { mut queued, nth }| {
            if let Some(arrivals) = topics.get_mut(&queued.message.topic) {
                queued.skipped = nth - arrivals.count - 1 + std::mem::take(&mut arrivals.before);
                arrivals.count = nth;
            }
            queued
        })
    }

    fn take_out(&mut self, place: u64) -> Option<Value> {
        let value = self.values.remove(&place)?;
        self.bytes -= value.queued.message.bytes();
        if let Some(arrivals) = self.topics.get_mut(&value.queued.message.topic) {
            arrivals.places.remove(&place);
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::keyed;
    use proptest::prelude::*;

    /// The naive twin: everything that came, in order, and whether it was let go.
    #[derive(Default)]
    struct Naive {
        came: Vec<(Arc<Message>, bool)>,
        before: BTreeMap<Topic, u64>,
    }

    impl Naive {
        fn is_held(&self, at: usize) -> bool {
            let (message, is_let_go) = &self.came[at];
            let same =
                |(other, _): &(Arc<Message>, bool)| other.topic == message.topic && other.key == message.key;
            !is_let_go && !self.came[at + 1..].iter().any(same)
        }

        fn held_of(&self, topic: &Topic) -> Vec<usize> {
            (0..self.came.len()).filter(|&at| self.came[at].0.topic == *topic && self.is_held(at)).collect()
        }

        /// Topic, offset and count of each value.
        fn frozen(&self) -> Vec<(String, u64, u64)> {
            let mut frozen = Vec::new();
            for at in (0..self.came.len()).filter(|&at| self.is_held(at)) {
                let topic = &self.came[at].0.topic;
                let earlier: Vec<usize> = self.held_of(topic).into_iter().filter(|held| *held < at).collect();
                let from = earlier.last().map_or(0, |last| last + 1);
                let between =
                    self.came[from..at].iter().filter(|(message, _)| message.topic == *topic).count();
                let before =
                    if earlier.is_empty() { self.before.get(topic).copied().unwrap_or(0) } else { 0 };
                frozen.push((topic.to_string(), self.came[at].0.offset, between as u64 + before));
            }
            frozen
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Come { topic: usize, key: Option<u8> },
        LetGo { topic: usize, of_held: usize },
        Carry { topic: usize, count: u64 },
        Forget { topic: usize },
        Freeze,
    }

    fn step() -> impl Strategy<Value = Step> {
        let topic = 0usize..2;
        prop_oneof![
            20 => (topic.clone(), proptest::option::of(0u8..4)).prop_map(|(topic, key)| Step::Come { topic, key }),
            3 => (topic.clone(), 0usize..9).prop_map(|(topic, of_held)| Step::LetGo { topic, of_held }),
            2 => (topic.clone(), 1u64..9).prop_map(|(topic, count)| Step::Carry { topic, count }),
            1 => topic.prop_map(|topic| Step::Forget { topic }),
            1 => Just(Step::Freeze),
        ]
    }

    proptest! {
        #[test]
        fn a_generation_is_the_newest_of_each_key_and_counts_the_others(
            steps in proptest::collection::vec(step(), 1..60),
        ) {
            let names = ["t", "u"].map(|name| Topic::parse(name).expect("tests use good topics"));
            let (mut gathered, mut naive, mut offset) = (Gathered::default(), Naive::default(), 0);
            for step in steps.into_iter().chain([Step::Freeze]) {
                match step {
                    Step::Come { topic, key } => {
                        offset += 1;
                        let message = keyed(&names[topic], key.map(|key| format!("k{key}")).as_deref(), offset, 5);
                        let newest = naive.held_of(&names[topic]).len();
                        gathered.gather(Queued::from(message.clone()));
                        naive.came.push((message, false));
                        prop_assert!(gathered.values_of(&names[topic]) >= newest);
                    }
                    Step::LetGo { topic, of_held } => {
                        let held = naive.held_of(&names[topic]);
                        if !held.is_empty() {
                            let count = of_held % held.len();
                            gathered.let_oldest_go(&names[topic], count);
                            held[..count].iter().for_each(|&at| naive.came[at].1 = true);
                        }
                    }
                    Step::Carry { topic, count } => {
                        let is_carried = gathered.carry(&names[topic], count);
                        prop_assert_eq!(is_carried, !naive.held_of(&names[topic]).is_empty());
                        if is_carried {
                            *naive.before.entry(names[topic].clone()).or_default() += count;
                        }
                    }
                    Step::Forget { topic } => {
                        let came = naive.came.iter().filter(|(message, _)| message.topic == names[topic]).count();
                        let expected = came as u64 + naive.before.remove(&names[topic]).unwrap_or(0);
                        prop_assert_eq!(gathered.forget(&names[topic]), expected);
                        naive.came.retain(|(message, _)| message.topic != names[topic]);
                    }
                    Step::Freeze => {
                        let frozen: Vec<_> = gathered
                            .freeze()
                            .map(|queued| (queued.message.topic.to_string(), queued.message.offset, queued.skipped))
                            .collect();
                        prop_assert_eq!(frozen, std::mem::take(&mut naive).frozen());
                        prop_assert!(gathered.is_empty());
                    }
                }
                let held = (0..naive.came.len()).filter(|&at| naive.is_held(at));
                prop_assert_eq!(gathered.bytes(), held.map(|at| naive.came[at].0.bytes()).sum::<usize>());
                for (message, _) in &naive.came {
                    let is_held = naive.held_of(&message.topic).iter().any(|&at| naive.came[at].0.key == message.key);
                    prop_assert_eq!(gathered.has_newer(message), is_held);
                }
            }
        }
    }
}
