//! What was published, as far as anybody has been told.

use std::collections::{BTreeMap, BTreeSet};

use crate::settings::keeps_keys;
use crate::together::Together;

/// Every message has a number of its own.
pub type Payload = u64;

/// The one order of each topic, with which everything that anybody hears has to agree.
#[derive(Default)]
pub struct Truth {
    places: BTreeMap<(String, u64), Payload>,
    published: Vec<Published>,
    /// Where the messages are that have an id, by topic and id: all of one id are one.
    known: BTreeMap<(String, u8), u64>,
    pub together: Together,
}

/// One message as its publisher wants it.
pub struct Publish {
    pub topic: String,
    pub publisher: usize,
    pub echo: bool,
    pub key: Option<String>,
    pub message_id: Option<u8>,
    /// The offset that the topic's latest message must have.
    pub expects: Option<u64>,
    /// It is published on a connection that was closed.
    pub must_not_be_heard: bool,
}

struct Published {
    asked: Publish,
    place: Option<u64>,
    /// The messages that it was to be published together with, and itself.
    batch: BTreeSet<Payload>,
}

impl Truth {
    pub fn publish(&mut self, asked: Publish) -> Payload {
        let payload = self.published.len() as Payload;
        self.published.push(Published { asked, place: None, batch: BTreeSet::new() });
        payload
    }

    /// They are published by one command.
    pub fn publish_batch(&mut self, payloads: &[Payload], atomic: bool) {
        self.together.publish(payloads.iter().copied(), atomic);
        if atomic {
            let batch: BTreeSet<Payload> = payloads.iter().copied().collect();
            for payload in payloads {
                self.published[*payload as usize].batch.clone_from(&batch);
            }
        }
    }

    /// Somebody was told where a message is.
    pub fn learn(&mut self, topic: &str, offset: u64, payload: Payload) {
        let Published { asked, place, .. } =
            self.published.get_mut(payload as usize).expect("a message that was published");
        assert!(!asked.must_not_be_heard, "a closed connection published {payload}");
        assert_eq!(asked.topic, topic, "message {payload} is in a topic that it was not published on");
        assert_eq!(*place.get_or_insert(offset), offset, "message {payload} has two places");
        if let Some(id) = asked.message_id {
            let known = *self.known.entry((topic.to_owned(), id)).or_insert(offset);
            assert_eq!(known, offset, "message {payload} repeats the one at {known} of {topic}");
        }
        let there = *self.places.entry((topic.to_owned(), offset)).or_insert(payload);
        assert_eq!(there, payload, "two messages at offset {offset} of {topic}");
    }

    /// A publisher was told where its message is, or the one that it repeats.
    pub fn learn_receipt(&mut self, topic: &str, offset: u64, payload: Payload) {
        let Publish { message_id, expects, .. } = self.published[payload as usize].asked;
        if let Some(id) = message_id {
            let known = *self.known.entry((topic.to_owned(), id)).or_insert(offset);
            assert_eq!(known, offset, "message {payload} repeats the one at {known} of {topic}");
            return;
        }
        self.learn(topic, offset, payload);
        // What is published together expects what was before the first of it.
        let is_alone = self.published[payload as usize].batch.is_empty();
        let follows = |before: u64| if is_alone { offset == before + 1 } else { offset > before };
        assert!(expects.is_none_or(follows), "{payload} is at {offset} of {topic}, and expects {expects:?}");
    }

    pub fn asked(&self, payload: Payload) -> &Publish {
        &self.published[payload as usize].asked
    }

    /// What was to be published together with these, and is not among them.
    pub fn others(&self, tick: &BTreeSet<Payload>) -> BTreeSet<Payload> {
        let Some(any) = tick.first() else { return BTreeSet::new() };
        &self.published[*any as usize].batch - tick
    }

    pub fn place(&self, payload: Payload) -> Option<u64> {
        self.published[payload as usize].place
    }

    /// The highest offset that anybody has been told of.
    pub fn last_offset(&self, topic: &str) -> u64 {
        self.messages_up_to(topic, u64::MAX).next_back().map_or(0, |(offset, _)| offset)
    }

    /// What anybody was told of the topic, up to `offset`.
    pub fn messages_up_to(
        &self,
        topic: &str,
        offset: u64,
    ) -> impl DoubleEndedIterator<Item = (u64, &Publish)> {
        let range = (topic.to_owned(), 0)..=(topic.to_owned(), offset);
        self.places.range(range).map(|((_, offset), payload)| (*offset, self.asked(*payload)))
    }

    /// Whether the message is one that `peer` published and did not want back.
    pub fn is_unwanted(&self, peer: usize, topic: &str, offset: u64) -> bool {
        self.at(topic, offset).is_some_and(|asked| asked.is_unwanted(peer))
    }

    /// Whether such a one has taken the place of the message among the values of the topic, in front of `end`: then `peer` is
    /// sent neither of them as a value.
    pub fn is_hidden(&self, peer: usize, topic: &str, offset: u64, end: u64) -> bool {
        let Some(asked) = self.at(topic, offset) else { return false };
        let mut later =
            self.messages_up_to(topic, end).filter(|(other, _)| (offset + 1..end).contains(other));
        later.any(|(_, own)| own.is_unwanted(peer) && own.value_key() == asked.value_key())
    }

    fn at(&self, topic: &str, offset: u64) -> Option<&Publish> {
        self.places.get(&(topic.to_owned(), offset)).map(|payload| self.asked(*payload))
    }
}

impl Publish {
    /// The key that it is a value of: there is but one where the topic keeps none.
    pub fn value_key(&self) -> &str {
        self.key.as_deref().filter(|_| keeps_keys(&self.topic)).unwrap_or_default()
    }

    /// Whether `peer` published it and did not want it back.
    pub fn is_unwanted(&self, peer: usize) -> bool {
        self.publisher == peer && !self.echo
    }
}
