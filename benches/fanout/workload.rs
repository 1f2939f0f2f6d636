//! What is measured: who subscribes to what, and what is published.

/// Connections and topics, which several workloads share: they are connected once for all of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) subscribers: usize,
    pub(crate) topics: usize,
    /// The topics of each subscriber: one, or all of them.
    pub(crate) topics_each: usize,
    /// The connections that publish, to a topic or to all of them.
    pub(crate) publishers: usize,
    /// Whether each topic has publishers of its own, even where one could publish to all.
    pub(crate) publishers_have_topics: bool,
}

/// 1,000 subscribers of one topic.
pub(crate) const ONE_TOPIC: Shape =
    Shape { subscribers: 1_000, topics: 1, topics_each: 1, publishers: 1, publishers_have_topics: false };
/// 1,000 topics of 10 subscribers each.
pub(crate) const MANY_TOPICS: Shape =
    Shape { subscribers: 10_000, topics: 1_000, publishers_have_topics: true, ..ONE_TOPIC };
/// 20 topics, and 1,000 subscribers of all of them.
pub(crate) const ALL_TOPICS: Shape = Shape { topics: 20, topics_each: 20, ..ONE_TOPIC };
/// 200 publishers to one topic.
pub(crate) const MANY_PUBLISHERS: Shape = Shape { publishers: 200, ..ONE_TOPIC };
/// Subscribers that are sent nothing.
pub(crate) const IDLE: Shape = Shape { subscribers: 10_000, ..ONE_TOPIC };
/// Fewer of them, over TLS: a handshake takes the client as long as the target.
pub(crate) const IDLE_OVER_TLS: Shape = Shape { subscribers: 2_000, ..ONE_TOPIC };
/// A subscriber alone.
pub(crate) const ALONE: Shape = Shape { subscribers: 1, ..ONE_TOPIC };

impl Shape {
    /// The same with few connections, for a run that only checks the answers.
    pub(crate) fn small(self) -> Self {
        let few = |number: usize| if number > 100 { number / 50 } else { number };
        Self { subscribers: few(self.subscribers), topics: few(self.topics), ..self }
    }

    /// The topics of subscriber number `subscriber`.
    pub(crate) fn topics_of(self, subscriber: usize) -> Vec<String> {
        let first = if self.topics_each == 1 { subscriber % self.topics } else { 0 };
        (first..first + self.topics_each).map(topic).collect()
    }

    /// The deliveries of one message.
    pub(crate) fn fan_out(self) -> usize {
        self.subscribers * self.topics_each / self.topics
    }
}

/// The name of topic number `number`.
pub(crate) fn topic(number: usize) -> String {
    format!("bench.fanout.{number}")
}

/// Messages that are published together, topic after topic in turn; the next when every subscriber has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    pub(crate) name: &'static str,
    pub(crate) in_flight: usize,
    pub(crate) payload_bytes: usize,
    /// Whether everybody speaks TLS.
    pub(crate) tls: bool,
    /// Whether the messages are those of the [feed](crate::feed), of some such size, and not all the same.
    pub(crate) is_feed: bool,
}

const fn burst(name: &'static str, in_flight: usize, payload_bytes: usize) -> Burst {
    Burst { name, in_flight, payload_bytes, tls: false, is_feed: false }
}

const fn feed(name: &'static str, in_flight: usize) -> Burst {
    Burst { is_feed: true, ..burst(name, in_flight, 400) }
}

const fn over_tls(name: &'static str, burst: Burst) -> Burst {
    Burst { name, tls: true, ..burst }
}

pub(crate) const ONE_SMALL: Burst = burst("one topic, 1 in flight, 16 B", 1, 16);
pub(crate) const ONE: Burst = burst("one topic, 1 in flight, 128 B", 1, 128);
pub(crate) const SIXTEEN: Burst = burst("one topic, 16 in flight, 128 B", 16, 128);
pub(crate) const SIXTY_FOUR: Burst = burst("one topic, 64 in flight, 128 B", 64, 128);
pub(crate) const TOGETHER: Burst = burst("one topic, 20 in flight, 128 B", 20, 128);
pub(crate) const INTERLEAVED: Burst = burst("20 topics each, 20 in flight, 128 B", 20, 128);
pub(crate) const ROUND_ROBIN: Burst = burst("1,000 topics x 10, 64 in flight, 128 B", 64, 128);
pub(crate) const FROM_MANY: Burst = burst("200 publishers, 200 in flight, 128 B", 200, 128);

/// Every number in flight with every size.
pub(crate) const ONE_TOPIC_BURSTS: &[Burst] = &[
    ONE_SMALL,
    burst("one topic, 16 in flight, 16 B", 16, 16),
    burst("one topic, 64 in flight, 16 B", 64, 16),
    ONE,
    SIXTEEN,
    SIXTY_FOUR,
    burst("one topic, 1 in flight, 4 KiB", 1, 4096),
    burst("one topic, 16 in flight, 4 KiB", 16, 4096),
    burst("one topic, 64 in flight, 4 KiB", 64, 4096),
];

pub(crate) const ONE_OVER_TLS: Burst = over_tls("one topic over TLS, 1 in flight, 128 B", ONE);
pub(crate) const SIXTEEN_OVER_TLS: Burst = over_tls("one topic over TLS, 16 in flight, 128 B", SIXTEEN);
pub(crate) const SIXTY_FOUR_OVER_TLS: Burst = over_tls("one topic over TLS, 64 in flight, 128 B", SIXTY_FOUR);

/// What TLS adds is a record for each write, and a cipher over its octets: with many messages to a record, and with one.
pub(crate) const BURSTS_OVER_TLS: &[Burst] = &[ONE_OVER_TLS, SIXTEEN_OVER_TLS, SIXTY_FOUR_OVER_TLS];

/// What compression takes of CPU and of memory, and what it saves.
pub(crate) const FEEDS: &[Burst] =
    &[feed("a feed of prices, 1 in flight", 1), feed("a feed of prices, 16 in flight", 16)];

/// The size that other encodings and settings are measured with.
pub(crate) const MAIN_PAYLOAD_BYTES: usize = 128;

/// Messages at fixed times, whatever becomes of them: the latency of each delivery counts from when its message should
/// have been published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) name: &'static str,
    pub(crate) messages_per_second: u32,
    pub(crate) payload_bytes: usize,
}

pub(crate) const STEADY: Rate =
    Rate { name: "one topic, 50 messages/s, 128 B", messages_per_second: 50, payload_bytes: 128 };
pub(crate) const HOP: Rate = Rate {
    name: "one subscriber, 10,000 messages/s, 128 B",
    messages_per_second: 10_000,
    payload_bytes: 128,
};

/// The workload of connections that only come and stay.
pub(crate) const CONNECTIONS: &str = "10,000 idle subscribers";
/// The same over TLS.
pub(crate) const CONNECTIONS_OVER_TLS: &str = "2,000 idle subscribers over TLS";
