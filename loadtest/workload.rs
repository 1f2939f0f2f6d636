//! What is to be done: who publishes what to whom, and how much of it.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// A workload. Everything else follows from it and the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// Subscribers.
    pub subscribers: usize,
    /// How publishers and topics belong together.
    pub shape: Shape,
    /// Messages a second, of all publishers together.
    pub rate: f64,
    /// What is measured, in nanoseconds.
    pub duration_ns: u64,
    /// What is sent before it, in nanoseconds.
    pub warmup_ns: u64,
    /// Payload octets of a message.
    pub size: usize,
    /// When messages come.
    pub arrival: Arrival,
    /// Messages of one stream that are due at the same moment.
    pub burst: usize,
    /// Subscribers that read slowly; the first ones. What they get is not in the latencies.
    pub slow: Option<Slow>,
}

/// How publishers and topics belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Every publisher publishes to every topic, and the subscribers are spread over the topics.
    Feeds {
        /// How many topics.
        topics: usize,
        /// How many publishers.
        publishers: usize,
    },
    /// Everybody is in one of the rooms, publishes to it and hears everybody there.
    Rooms(usize),
}

/// When messages come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// At equal distances.
    Constant,
    /// Independently of each other: the distances are distributed exponentially.
    Poisson,
}

/// Subscribers that read slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slow {
    /// How many.
    pub subscribers: usize,
    /// Octets that each reads in a second.
    pub octets_per_second: u64,
}

/// One publisher's messages to one topic: what has sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Which publisher.
    pub publisher: usize,
    /// Which topic.
    pub topic: usize,
}

impl Workload {
    /// How many topics there are.
    pub fn topics(&self) -> usize {
        match self.shape {
            Shape::Feeds { topics, .. } | Shape::Rooms(topics) => topics,
        }
    }

    /// All streams, in the order in which they take turns.
    pub fn streams(&self) -> Vec<Stream> {
        match self.shape {
            Shape::Feeds { topics, publishers } => (0..publishers)
                .flat_map(|publisher| (0..topics).map(move |topic| Stream { publisher, topic }))
                .collect(),
            Shape::Rooms(rooms) => (0..self.subscribers)
                .map(|member| Stream { publisher: member, topic: member % rooms })
                .collect(),
        }
    }

    /// The topics of a subscriber. Where there are more topics than subscribers, it has several.
    pub fn topics_of(&self, subscriber: usize) -> Vec<usize> {
        let topics = self.topics();
        if topics <= self.subscribers {
            return vec![subscriber % topics];
        }
        (subscriber..topics).step_by(self.subscribers).collect()
    }

    /// Whether it is one of those that read slowly.
    pub fn is_slow(&self, subscriber: usize) -> bool {
        self.slow_rate(subscriber).is_some()
    }

    /// Octets that it reads in a second, if it is one of those that read slowly.
    pub fn slow_rate(&self, subscriber: usize) -> Option<u64> {
        let slow = self.slow.filter(|slow| subscriber < slow.subscribers)?;
        Some(slow.octets_per_second)
    }

    /// The mean time from one message, or burst of messages, to the next, in nanoseconds.
    pub fn distance_ns(&self) -> f64 {
        self.burst as f64 * 1e9 / self.rate
    }

    /// Whether a message is due within that time from the start, in nanoseconds; where chance decides, whether it is to be expected.
    pub fn is_due_within(&self, time_ns: &Range<u64>) -> bool {
        let (distance, begin, end) = (self.distance_ns(), time_ns.start as f64, time_ns.end as f64);
        match self.arrival {
            Arrival::Constant => (begin / distance).ceil() * distance < end,
            Arrival::Poisson => distance <= end - begin,
        }
    }

    /// When the measured window ends, in nanoseconds from the start.
    pub fn end_ns(&self) -> u64 {
        self.warmup_ns + self.duration_ns
    }
}

/// The name of a topic.
pub fn topic_name(topic: usize) -> String {
    format!("loadtest.{topic}")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn workload(subscribers: usize, shape: Shape) -> Workload {
        Workload {
            subscribers,
            shape,
            rate: 1_000.0,
            duration_ns: 2_000_000_000,
            warmup_ns: 1_000_000_000,
            size: 20,
            arrival: Arrival::Constant,
            burst: 1,
            slow: None,
        }
    }

    #[test]
    fn every_topic_has_subscribers_and_every_subscriber_topics() {
        for (subscribers, topics) in [(1, 1), (10, 3), (3, 10), (7, 7)] {
            let workload = workload(subscribers, Shape::Feeds { topics, publishers: 2 });
            let mut heard = vec![0; topics];
            for subscriber in 0..subscribers {
                let topics = workload.topics_of(subscriber);
                assert!(!topics.is_empty());
                for topic in topics {
                    heard[topic] += 1;
                }
            }
            assert!(heard.iter().all(|&subscribers| subscribers > 0));
            assert_eq!(heard.iter().sum::<usize>(), subscribers.max(topics));
        }
    }

    #[test]
    fn a_member_of_a_room_publishes_where_it_hears() {
        let workload = workload(10, Shape::Rooms(3));
        for (member, stream) in workload.streams().into_iter().enumerate() {
            assert_eq!(stream.publisher, member);
            assert_eq!(workload.topics_of(member), [stream.topic]);
        }
    }
}
