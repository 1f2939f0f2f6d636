//! What was really published, as far as anybody has been told.

use std::collections::{BTreeMap, BTreeSet};

/// Every payload of a run is a number of its own, in the order in which publishing it began.
pub(crate) type Payload = u64;

/// The one order of each topic. Receipts and deliveries all have to agree with it.
#[derive(Default)]
pub(crate) struct Truth {
    by_place: BTreeMap<(String, u64), Payload>,
    by_payload: BTreeMap<Payload, (String, u64)>,
    /// Who published what, where, and whether it wants it back.
    published: Vec<Publish>,
}

pub(crate) struct Publish {
    pub(crate) client: usize,
    pub(crate) topic: String,
    pub(crate) echo: bool,
    /// A raw publisher has no way to give one.
    pub(crate) may_have_key: bool,
}

impl Truth {
    /// A new payload for a publish that begins now.
    pub(crate) fn begin(&mut self, publish: Publish) -> Payload {
        self.published.push(publish);
        self.published.len() as Payload - 1
    }

    /// The payload that the next publish will have.
    pub(crate) fn next_payload(&self) -> Payload {
        self.published.len() as Payload
    }

    pub(crate) fn publish(&self, payload: Payload) -> &Publish {
        &self.published[payload as usize]
    }

    /// Somebody was told that `payload` has this place. Nobody may have been told anything else.
    pub(crate) fn learn(&mut self, topic: &str, offset: u64, payload: Payload) {
        assert_eq!(
            self.publish(payload).topic,
            topic,
            "payload {payload} in a topic that it was not published on"
        );
        let place = (topic.to_owned(), offset);
        let there = *self.by_place.entry(place.clone()).or_insert(payload);
        assert_eq!(there, payload, "two messages at offset {offset} of {topic}");
        let before = self.by_payload.entry(payload).or_insert_with(|| place.clone()).clone();
        assert_eq!(before, place, "message {payload} has two places");
    }

    /// The key that a message of this payload has: of every fifth none.
    pub(crate) fn key_of(&self, payload: Payload) -> Option<String> {
        let has_key = self.publish(payload).may_have_key && !payload.is_multiple_of(5);
        has_key.then(|| format!("k{}", payload % 3))
    }

    /// What anybody was told of the topic, up to `offset`.
    pub(crate) fn messages_up_to(&self, topic: &str, offset: u64) -> impl Iterator<Item = (u64, Payload)> {
        let range = (topic.to_owned(), 0)..=(topic.to_owned(), offset);
        self.by_place.range(range).map(|((_, offset), payload)| (*offset, *payload))
    }

    pub(crate) fn at(&self, topic: &str, offset: u64) -> Option<Payload> {
        self.by_place.get(&(topic.to_owned(), offset)).copied()
    }

    /// The highest offset of the topic that anybody has been told of.
    pub(crate) fn last_offset(&self, topic: &str) -> u64 {
        let of_topic = (topic.to_owned(), 0)..=(topic.to_owned(), u64::MAX);
        self.by_place.range(of_topic).next_back().map_or(0, |((_, offset), _)| *offset)
    }

    /// Whether `offset` is a message that `client` published and does not want back.
    pub(crate) fn is_own(&self, client: usize, topic: &str, offset: u64) -> bool {
        self.at(topic, offset).is_some_and(|payload| {
            let publish = self.publish(payload);
            publish.client == client && !publish.echo
        })
    }

    /// The messages published on `topic` from payload `from` on, by offset.
    pub(crate) fn offsets_since(&self, topic: &str, from: Payload) -> BTreeSet<u64> {
        let places = self.by_payload.range(from..).map(|(_, place)| place);
        places.filter(|(of, _)| of == topic).map(|(_, offset)| *offset).collect()
    }

    /// A publisher's messages of one topic have the order in which it published them.
    pub(crate) fn assert_publishers_order(&self) {
        let mut last: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        for (payload, (topic, offset)) in &self.by_payload {
            let before = last.insert((self.publish(*payload).client, topic), *offset).unwrap_or(0);
            assert!(before < *offset, "message {payload} of {topic} overtook one of the same publisher");
        }
    }
}
