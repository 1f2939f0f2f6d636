//! What was published, as far as anybody has been told.

use std::collections::BTreeMap;

/// Every message has a number of its own.
pub type Payload = u64;

/// The one order of each topic, with which everything that anybody hears has to agree.
#[derive(Default)]
pub struct Truth {
    places: BTreeMap<(String, u64), Payload>,
    published: Vec<Publish>,
}

struct Publish {
    topic: String,
    publisher: usize,
    echo: bool,
    place: Option<u64>,
    /// It was published on a connection that was closed.
    must_not_be_heard: bool,
}

impl Truth {
    pub fn publish(&mut self, publisher: usize, topic: &str, echo: bool, must_not_be_heard: bool) -> Payload {
        let topic = topic.to_owned();
        self.published.push(Publish { topic, publisher, echo, place: None, must_not_be_heard });
        self.published.len() as Payload - 1
    }

    /// Somebody was told where a message is.
    pub fn learn(&mut self, topic: &str, offset: u64, payload: Payload) {
        let publish = self.published.get_mut(payload as usize).expect("a message that was published");
        assert!(!publish.must_not_be_heard, "a closed connection published {payload}");
        assert_eq!(publish.topic, topic, "message {payload} is in a topic that it was not published on");
        assert_eq!(*publish.place.get_or_insert(offset), offset, "message {payload} has two places");
        let there = *self.places.entry((topic.to_owned(), offset)).or_insert(payload);
        assert_eq!(there, payload, "two messages at offset {offset} of {topic}");
    }

    /// The highest offset that anybody has been told of.
    pub fn last_offset(&self, topic: &str) -> u64 {
        let of_topic = (topic.to_owned(), 0)..=(topic.to_owned(), u64::MAX);
        self.places.range(of_topic).next_back().map_or(0, |((_, offset), _)| *offset)
    }

    /// Whether the message is one that `peer` published and did not want back.
    pub fn is_unwanted(&self, peer: usize, topic: &str, offset: u64) -> bool {
        let payload = self.places.get(&(topic.to_owned(), offset));
        payload
            .and_then(|payload| self.published.get(*payload as usize))
            .is_some_and(|publish| publish.publisher == peer && !publish.echo)
    }
}
