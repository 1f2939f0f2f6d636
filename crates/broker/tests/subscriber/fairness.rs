//! Who is served when there is more to do than a turn can.

use bytes::Bytes;
use fanwire_broker::{ConnectionId, Encoding, Flushed, Interface, Permissions, Shard};
use fanwire_wire::command::{self, PayloadKind};

use super::{ROOMY, SUBSCRIBER, publish_draft, say, shard};

const HOT_SUBSCRIBERS: u32 = 50;

/// What one turn flushes, where the hot topic always has more: see `FLUSH_BYTES_PER_TURN`.
const WRITES_PER_TURN: usize = 10;

fn subscribe_to_hot(shard: &mut Shard) {
    for slot in 2..2 + HOT_SUBSCRIBERS {
        let id = ConnectionId { slot, generation: 0 };
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits: None });
        shard.handle_command(id, command::parse(r#"{"type":"subscribe","topic":"hot"}"#).unwrap());
    }
}

fn publish(shard: &mut Shard, topic: &str) {
    publish_draft(shard, topic, None, PayloadKind::Text, Bytes::from_static(b"x"));
}

/// Writes so often, and returns how often to the subscriber of the quiet topic.
fn flush(shard: &mut Shard, writes: usize) -> usize {
    let mut to_quiet = 0;
    for _ in 0..writes {
        let Some(id) = shard.poll_flush() else { break };
        let length = shard.output(id).len();
        shard.wrote(id, length);
        to_quiet += usize::from(id == SUBSCRIBER);
    }
    to_quiet
}

/// How many writes others have, ten in each turn, until the subscriber has one. More of the hot topic comes in every turn than
/// was written.
fn writes_until_heard(shard: &mut Shard) -> usize {
    let mut writes = 0;
    while flush(shard, WRITES_PER_TURN) == 0 {
        publish(shard, "hot");
        writes += WRITES_PER_TURN;
        assert!(writes <= 2 * HOT_SUBSCRIBERS as usize, "the subscriber waits for ever");
    }
    writes
}

#[test]
fn a_hot_topic_keeps_nobody_of_its_core_waiting_for_more_than_a_round() {
    let mut shard = shard(ROOMY);
    say(&mut shard, r#"{"type":"subscribe","topic":"quiet"}"#);
    subscribe_to_hot(&mut shard);
    while flush(&mut shard, 1_000) > 0 {}

    let writes = (0..20).map(|_| {
        publish(&mut shard, "hot");
        publish(&mut shard, "quiet");
        writes_until_heard(&mut shard)
    });
    assert!(writes.max() > Some(WRITES_PER_TURN), "the hot topic did not fill a turn");
}

#[test]
fn a_hot_topic_does_not_keep_those_from_their_turn_that_are_behind() {
    let mut shard = shard(ROOMY);
    say(&mut shard, r#"{"type":"subscribe","topic":"quiet"}"#);
    while flush(&mut shard, 1_000) > 0 {}
    publish(&mut shard, "quiet");
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    assert_eq!(shard.wrote(SUBSCRIBER, 0), Flushed::Blocked);

    subscribe_to_hot(&mut shard);
    for _ in 0..20 {
        publish(&mut shard, "hot");
        publish(&mut shard, "quiet");
        shard.handle_writable(SUBSCRIBER);
        writes_until_heard(&mut shard);
    }
}
