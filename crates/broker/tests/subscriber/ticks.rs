//! Messages that were published together: they come in one piece, closed by a tick, or not at all.

use std::collections::BTreeMap;

use fanwire_broker::settings::TopicSettings;
use fanwire_broker::{ConnectionId, Encoding, Interface, Permissions, Settings, Shard};
use fanwire_wire::command;
use serde_json::Value;

use super::{
    PUBLISHER, SUBSCRIBER, brief, core_with, frames, hand_over, heard, rule, say, shard, write_in_part,
};

/// A few ticks of three messages.
const BACKLOG_BYTES: usize = 2_000;

/// Publishes one message to each of these topics, together.
fn publish_together(shard: &mut Shard, topics: &[&str]) {
    let messages: Vec<_> =
        topics.iter().map(|topic| format!(r#"{{"topic":"{topic}","key":"{topic}","data":0}}"#)).collect();
    let text = format!(r#"{{"type":"publish_batch","atomic":true,"messages":[{}]}}"#, messages.join(","));
    shard.handle_command(PUBLISHER, command::parse(&text).unwrap());
}

fn subscribe(shard: &mut Shard, topics: &[&str]) {
    for topic in topics {
        say(shard, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
    }
    assert_eq!(heard(shard).len(), topics.len());
}

#[test]
fn a_subscriber_gets_what_is_for_it_and_is_told_that_it_is_whole() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.a", "tick.c"]);
    publish_together(&mut shard, &["tick.a", "tick.b", "tick.c", "tick.a"]);
    let said = ["message tick.a 1", "message tick.c 1", "message tick.a 2", "tick 3"];
    assert_eq!(brief(&heard(&mut shard)), said);
    publish_together(&mut shard, &["tick.b"]);
    assert!(heard(&mut shard).is_empty());
}

#[test]
fn however_many_subscriptions_match_each_message_comes_once() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.>", "tick.a", "*.b"]);
    publish_together(&mut shard, &["tick.a", "tick.b"]);
    assert_eq!(brief(&heard(&mut shard)), ["message tick.a 1", "message tick.b 1", "tick 2"]);
}

#[test]
fn a_socket_that_takes_a_part_gets_the_rest_of_the_tick_whatever_follows() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.>"]);
    publish_together(&mut shard, &["tick.a", "tick.b", "tick.c"]);
    // In the middle of the first message; and then far more than a backlog.
    let mut octets = write_in_part(&mut shard, 10);
    write_in_part(&mut shard, 0);
    (0..20).for_each(|_| publish_together(&mut shard, &["tick.a", "tick.b", "tick.c"]));
    shard.handle_writable(SUBSCRIBER);
    while let Some(id) = shard.poll_flush() {
        let output = shard.output(id).to_vec();
        shard.wrote(id, output.len());
        octets.extend(if id == SUBSCRIBER { output } else { Vec::new() });
    }
    let said = frames(&octets);
    assert_eq!(brief(&said[..4]), ["message tick.a 1", "message tick.b 1", "message tick.c 1", "tick 3"]);
    assert_whole(&said);
}

/// Every message is in a tick of three, and every offset comes or is told, in order.
fn assert_whole(said: &[Value]) {
    for topic in ["tick.a", "tick.b", "tick.c"] {
        let mut last = 0;
        for said in said.iter().filter(|said| said["topic"] == topic) {
            let number = |name: &str| said[name].as_u64();
            let (from, to) = (number("from").or(number("offset")), number("to").or(number("offset")));
            assert_eq!(from, Some(last + 1), "{topic}: {said}");
            last = to.unwrap();
        }
        assert_eq!(last, 21, "{topic}");
    }
    let mut open = 0;
    for said in said {
        match said["type"].as_str().unwrap() {
            "message" => open += 1,
            "tick" => assert_eq!(std::mem::take(&mut open), 3, "a tick that was torn"),
            other => assert_eq!((other, open), ("gap", 0), "in the middle of a tick"),
        }
    }
    assert_eq!(open, 0);
}

#[test]
fn a_slow_subscriber_is_told_of_whole_ticks_and_reads_none_from_history() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.>"]);
    publish_together(&mut shard, &["tick.a", "tick.b", "tick.c"]);
    write_in_part(&mut shard, 0);
    (0..20).for_each(|_| publish_together(&mut shard, &["tick.a", "tick.b", "tick.c"]));
    shard.handle_writable(SUBSCRIBER);
    let said = heard(&mut shard);
    assert!(said.iter().any(|said| said["type"] == "gap") && said.iter().any(|said| said["type"] == "tick"));
    assert_whole(&said);
}

#[test]
fn a_rewind_takes_its_topic_out_of_ticks_that_wait() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.a", "tick.b"]);
    publish_together(&mut shard, &["tick.a", "tick.b"]);
    write_in_part(&mut shard, 0);
    say(&mut shard, r#"{"type":"recover","topic":"tick.a","since":"earliest"}"#);
    shard.handle_writable(SUBSCRIBER);
    let said = brief(&heard(&mut shard));
    assert_eq!(said, ["message tick.b 1", "tick 1", "subscribed 0", "message tick.a 1"]);
}

#[test]
fn who_published_them_without_echo_gets_none() {
    let mut shard = shard(BACKLOG_BYTES);
    subscribe(&mut shard, &["tick.a"]);
    let batch = r#"{"type":"publish_batch","id":1,"atomic":true,"echo":false,"messages":[{"topic":"tick.a","data":0}]}"#;
    say(&mut shard, batch);
    assert_eq!(brief(&heard(&mut shard)), ["published_batch"]);
}

#[test]
fn however_many_shares_a_tick_has_the_palette_does_not_grow_with_them() {
    let mut shard = shard(1_000_000);
    let everybody: Vec<ConnectionId> = (1..=40).map(|slot| ConnectionId { slot, generation: 0 }).collect();
    for &id in &everybody {
        if id != SUBSCRIBER {
            shard.connect(id);
            shard.permit(id, Permissions::everything());
            let encoding = Encoding { interface: Interface::Json, deflate_window_bits: None };
            shard.upgrade(id, encoding);
        }
        for topic in ["tick.all".to_owned(), format!("tick.{}", id.slot)] {
            let text = format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#);
            shard.handle_command(id, command::parse(&text).unwrap());
        }
    }
    flush(&mut shard);
    let messages: Vec<_> =
        everybody.iter().map(|id| format!(r#"{{"topic":"tick.{}","data":0}}"#, id.slot)).collect();
    let (large, small) = ("x".repeat(100_000), messages.join(","));
    let large = format!(r#"{{"topic":"tick.all","data":"{large}"}}"#);
    let text = format!(r#"{{"type":"publish_batch","atomic":true,"messages":[{large},{small}]}}"#);
    shard.handle_command(PUBLISHER, command::parse(&text).unwrap());
    // A megabyte of octets is made ahead, and the others wait as references.
    assert!(shard.counters().backlog_bytes > 25 * 100_000, "{:?}", shard.counters());
    let written = flush(&mut shard);
    for id in everybody {
        let text = String::from_utf8_lossy(&written[&id.slot]);
        let own = format!(r#""topic":"tick.{}""#, id.slot);
        assert!(text.contains(&own) && text.contains(r#""type":"tick","count":2"#), "{own}");
    }
    assert_eq!(shard.counters().backlog_bytes, 0);
}

/// What everybody is written, by slot.
fn flush(shard: &mut Shard) -> BTreeMap<u32, Vec<u8>> {
    let mut written: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    while let Some(id) = shard.poll_flush() {
        let output = shard.output(id).to_vec();
        shard.wrote(id, output.len());
        written.entry(id.slot).or_default().extend(output);
    }
    written
}

#[test]
fn a_core_is_handed_what_its_subscribers_get_and_no_more() {
    let topics = vec![rule("tick.>", TopicSettings { atomic: true, ..TopicSettings::default() })];
    let settings = Settings { topics, ..Settings::default() };
    let mut cores = [0, 1].map(|core| core_with(core, 2, settings.clone(), Interface::Json));
    for (core, topic) in cores.iter_mut().zip(["tick.a", "tick.b"]) {
        say(core, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
    }
    hand_over(&mut cores);
    publish_together(&mut cores[0], &["tick.a", "tick.b", "tick.c"]);
    assert_eq!(hand_over(&mut cores), [1], "one core is the home, and the other has one subscriber");
    for (core, topic) in cores.iter_mut().zip(["tick.a", "tick.b"]) {
        let said = ["subscribed 0".to_owned(), format!("message {topic} 1"), "tick 1".to_owned()];
        assert_eq!(brief(&heard(core)), said);
    }
}
