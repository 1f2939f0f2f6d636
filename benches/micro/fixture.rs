//! Shards with simulated connections, whose sockets take everything; and how large a bench is.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId};
use fanwire_broker::{
    ConnectionId, Draft, Encoding, Event, Flushed, Identity, Interface, Now, Permissions, Settings, Shard,
    Start,
};
use fanwire_wire::command::PayloadKind;
use fanwire_wire::frame::header_len;
use fanwire_wire::topic::Topic;

/// A debug build is not measured: `cargo test --benches` runs each bench once.
pub(crate) const RUNS_ONCE: bool = cfg!(debug_assertions);

/// The most of anything that a bench has: topics, connections, patterns. A larger one is left out, or made this large.
pub(crate) const LARGEST: usize = if RUNS_ONCE { 1_000 } else { 1_000_000 };

/// What is published, and what of it is written to a raw subscriber.
pub(crate) const PAYLOAD: [u8; 128] =
    *b"A message of 128 octets, as prices, moves in a game or lines of a chat \
    are: long enough to be worth sending, short enough to fit";
pub(crate) const FRAME_BYTES: usize = header_len(PAYLOAD.len()) + PAYLOAD.len();

/// The connection that publishes.
pub(crate) const PUBLISHER: ConnectionId = connection(0);

/// What the sockets took of a flush.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) writes: usize,
    pub(crate) bytes: usize,
}

/// Those of `all` that are not too large.
pub(crate) fn sizes<const N: usize>(all: [usize; N]) -> impl Iterator<Item = usize> {
    all.into_iter().filter(|size| *size <= LARGEST)
}

/// Times `routine` on what `make` makes. That is done once, and only if the bench is selected.
pub(crate) fn bench_on<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    parameter: impl Display,
    make: impl Fn() -> S,
    mut routine: impl FnMut(&mut S),
) {
    let mut subject = None;
    group.bench_function(BenchmarkId::from_parameter(parameter), |bencher| {
        let subject = subject.get_or_insert_with(&make);
        bencher.iter(|| routine(subject));
    });
}

pub(crate) const fn connection(slot: usize) -> ConnectionId {
    ConnectionId { slot: slot as u32, generation: 0 }
}

pub(crate) fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a good topic")
}

/// Core number `core` of `cores`, with a publisher.
pub(crate) fn shard(core: usize, cores: usize) -> Shard {
    let settings = Settings { max_topics: 2 * LARGEST * cores, ..Settings::default() };
    let identity = Identity { epoch: "9f3c01d27ab45e88".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(core, cores, &identity, Arc::new(settings));
    connect(&mut shard, PUBLISHER, Interface::Json);
    shard
}

/// A core with `subscribers` of `topic`, which are seen to get what is published there.
pub(crate) fn crowd(topic: &Topic, subscribers: usize) -> Shard {
    let mut shard = shard(0, 1);
    subscribe(&mut shard, 1..1 + subscribers, |_| topic.clone());
    publish(&mut shard, topic);
    let written = flush_with(&mut shard, |bytes| assert!(bytes.ends_with(&PAYLOAD)));
    assert_eq!(written, to_each(subscribers, 1));
    shard
}

/// Connects raw subscribers, each to the topic that `topic` says for its slot.
pub(crate) fn subscribe(shard: &mut Shard, slots: Range<usize>, topic: impl Fn(usize) -> Topic) {
    for slot in slots {
        connect(shard, connection(slot), Interface::Raw);
        shard.subscribe(connection(slot), topic(slot), Start::Now);
        assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    }
}

pub(crate) fn connect(shard: &mut Shard, id: ConnectionId, interface: Interface) {
    shard.connect(id);
    shard.permit(id, Permissions::everything());
    shard.upgrade(id, Encoding { interface, deflate_window_bits: None });
}

/// Publishes one message, its payload copied as it would be from a socket's buffer.
pub(crate) fn publish(shard: &mut Shard, topic: &Topic) {
    let draft = Draft {
        topic: topic.clone(),
        key: None,
        kind: PayloadKind::Text,
        content_type: None,
        payload: Bytes::copy_from_slice(&PAYLOAD),
        echo: true,
        conditions: None,
    };
    shard.publish(PUBLISHER, draft, false);
}

/// A turn in which a core reads `messages` of one topic.
pub(crate) fn turn(shard: &mut Shard, topic: &Topic, messages: usize) -> Written {
    shard.begin_turn(Now::default());
    (0..messages).for_each(|_| publish(shard, topic));
    flush(shard)
}

/// What the sockets are written when each of `subscribers` gets `messages`.
pub(crate) fn to_each(subscribers: usize, messages: usize) -> Written {
    Written { writes: subscribers, bytes: subscribers * messages * FRAME_BYTES }
}

pub(crate) fn flush(shard: &mut Shard) -> Written {
    flush_with(shard, |_| {})
}

/// Flushes as the event loop does, to sockets that take everything; `look` sees each write.
pub(crate) fn flush_with(shard: &mut Shard, mut look: impl FnMut(&[u8])) -> Written {
    let mut written = Written::default();
    while let Some(id) = shard.poll_flush() {
        let output = shard.output(id);
        look(output);
        let bytes = output.len();
        assert_eq!(shard.wrote(id, bytes), Flushed::Empty);
        assert!(shard.poll_event().is_none());
        written.writes += 1;
        written.bytes += bytes;
    }
    written
}
