//! What nobody may have more of, however it is asked for.

use std::sync::Arc;

use fanwire_broker::shard::Event;
use fanwire_broker::{Encoding, Identity, Interface, Message, Permissions, Settings, Shard};
use fanwire_wire::command;

use super::{block, flush, publish, settings, shard, text};
use crate::{PUBLISHER, SUBSCRIBER, core_with, hand_over, say};

#[test]
fn replies_that_wait_in_the_palette_count() {
    let mut shard = shard(Interface::Json, 100_000);
    assert!(shard.may_read_from(SUBSCRIBER));
    shard.reply(SUBSCRIBER, &vec![0; 1024 * 1024]);
    assert!(!shard.may_read_from(SUBSCRIBER));
    flush(&mut shard, usize::MAX);
    assert!(shard.may_read_from(SUBSCRIBER));
}

/// One core with a subscriber to everything that does not read, and whose queue is full.
fn full_shard() -> Shard {
    let mut shard = shard(Interface::Json, 2_000);
    say(&mut shard, r#"{"type":"subscribe","topic":">"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "filler", 0, 1_900);
    block(&mut shard);
    shard
}

#[test]
fn gaps_that_do_not_join_are_bounded_too() {
    let mut shard = full_shard();
    for n in 0..200 {
        publish(&mut shard, &format!("topic.n{n}"), 0, 1_000);
        assert!(shard.poll_flush().is_none());
    }
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
    assert!(shard.counters().backlog_bytes < 4_000);
}

#[test]
fn patterns_are_bounded_on_each_core_and_one_that_several_subscribe_to_counts_once() {
    let settings = Settings { max_patterns: 3, ..settings(10_000) };
    let mut shard = core_with(0, 2, settings, Interface::Json);
    let subscribe = |pattern: &str| format!(r#"{{"type":"subscribe","topic":"{pattern}"}}"#);
    say(&mut shard, &subscribe("a.>"));
    say(&mut shard, &subscribe("b.>"));
    assert!(!text(&flush(&mut shard, usize::MAX)).contains("error"));
    say(&mut shard, &subscribe("c.>"));
    assert!(text(&flush(&mut shard, usize::MAX)).contains("too_many_patterns"));

    shard.handle_command(PUBLISHER, command::parse(&subscribe("a.>")).unwrap());
    say(&mut shard, &subscribe("a.topic"));
    say(&mut shard, r#"{"type":"unsubscribe","topic":"b.>"}"#);
    say(&mut shard, &subscribe("c.>"));
    assert!(!text(&flush(&mut shard, usize::MAX)).contains("error"), "none of these is one more");
    say(&mut shard, r#"{"type":"unsubscribe","topic":"a.>"}"#);
    say(&mut shard, &subscribe("d.>"));
    assert!(
        text(&flush(&mut shard, usize::MAX)).contains("too_many_patterns"),
        "somebody else has the other"
    );
}

#[test]
fn topics_that_catch_up_are_bounded() {
    let mut shard = full_shard();
    let most = Settings::default().max_subscriptions;
    for n in 0..=most {
        assert!(shard.poll_event().is_none(), "{n} topics are not too many");
        publish(&mut shard, &format!("kept.n{n}"), 0, 1_000);
        assert!(shard.poll_flush().is_none());
    }
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
}

#[test]
fn however_many_topics_are_caught_up_on_the_history_of_one_is_held_at_a_time() {
    const TOPICS: usize = 40;
    const HISTORY_BYTES: u64 = 3 * (1_000 + Message::OVERHEAD_BYTES as u64);
    let mut shard = shard(Interface::Json, 5_000);
    let topics: Vec<String> = (0..TOPICS).map(|n| format!("kept.n{n}")).collect();
    for topic in &topics {
        (0..3).for_each(|_| publish(&mut shard, topic, b'x', 1_000));
    }
    let wanted: Vec<String> =
        topics.iter().map(|topic| format!(r#"{{"topic":"{topic}","since":"earliest"}}"#)).collect();
    say(&mut shard, &format!(r#"{{"type":"subscribe","topics":[{}]}}"#, wanted.join(",")));
    let mut written = Vec::new();
    while let Some(id) = shard.poll_flush() {
        let taken = shard.output(id).len().min(500);
        written.extend_from_slice(&shard.output(id)[..taken]);
        shard.wrote(id, taken);
        let held = shard.counters().backlog_bytes;
        assert!(held <= HISTORY_BYTES, "{held} bytes of what was asked for");
    }
    assert!(shard.poll_event().is_none(), "it does not overflow by itself");
    assert_eq!(text(&written).matches(r#""type":"message""#).count(), 3 * TOPICS);
}

#[test]
fn nothing_more_is_read_while_a_home_is_asked_for_history() {
    let mut cores = [0, 1].map(|core| core_with(core, 2, settings(5_000), Interface::Json));
    let topics: Vec<String> = (0..20).map(|n| format!("kept.n{n}")).collect();
    for topic in &topics {
        publish(&mut cores[0], topic, b'x', 1_000);
    }
    let wanted: Vec<String> =
        topics.iter().map(|topic| format!(r#"{{"topic":"{topic}","since":"earliest"}}"#)).collect();
    say(&mut cores[0], &format!(r#"{{"type":"subscribe","topics":[{}]}}"#, wanted.join(",")));
    hand_over(&mut cores);
    flush(&mut cores[0], usize::MAX);
    for _ in 0..5 {
        say(&mut cores[0], r#"{"type":"ping"}"#);
        assert!(text(&flush(&mut cores[0], usize::MAX)).contains("pong"));
    }
    assert_eq!(cores[0].poll_requests(1).map(|requests| requests.len()), Some(1));
}

#[test]
fn publishes_of_one_turn_are_handed_over_as_one_batch() {
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(0, 2, &identity, Arc::new(Settings::default()));
    shard.connect(PUBLISHER);
    shard.permit(PUBLISHER, Permissions::everything());
    shard.upgrade(PUBLISHER, Encoding { interface: Interface::Json, deflate_window_bits: None });
    // Some of a hundred topics have their home on the other core.
    (0..100).for_each(|n| publish(&mut shard, &format!("t{n}"), 0, 1));
    let batch = shard.poll_requests(1).expect("requests for the other core");
    assert!(batch.len() > 1, "{batch:?}");
    assert!(shard.poll_requests(1).is_none(), "all of them in one");
}
