//! Snapshots: the last value of each key, and then exactly what follows.

use std::collections::BTreeMap;

use fanwire_broker::{Flushed, Interface, Now, Settings, Shard};
use fanwire_wire::command;
use serde_json::Value;

use super::{
    PUBLISHER, ROOMY, SUBSCRIBER, brief, core_with, frames, hand_over, heard, heard_in_one_write, say, shard,
};

fn publish(shard: &mut Shard, topic: &str, key: Option<&str>) {
    let key = key.map_or(String::new(), |key| format!(r#","key":"{key}""#));
    let text = format!(r#"{{"type":"publish","topic":"{topic}"{key},"data":0}}"#);
    shard.handle_command(PUBLISHER, command::parse(&text).unwrap());
}

#[test]
fn a_topic_begins_with_its_last_values_and_goes_on_from_there() {
    let mut shard = shard(ROOMY);
    for key in ["a", "b", "a"] {
        publish(&mut shard, "keyed.t", Some(key));
    }
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"keyed.t","snapshot":true}"#);
    assert_eq!(brief(&heard(&mut shard)), ["subscribed 3", "value b 2", "value a 3", "end 1 2"]);
    publish(&mut shard, "keyed.t", Some("b"));
    assert_eq!(brief(&heard(&mut shard)), ["message b 4"]);
}

#[test]
fn a_topic_without_keys_begins_with_its_last_message_and_a_new_one_with_nothing() {
    let mut shard = shard(ROOMY);
    publish(&mut shard, "one", None);
    publish(&mut shard, "one", Some("a"));
    say(&mut shard, r#"{"type":"subscribe","topics":[{"topic":"one"},{"topic":"new"}],"snapshot":true}"#);
    let said = brief(&heard(&mut shard));
    assert_eq!(said, ["subscribed 2", "value a 2", "end null 1", "subscribed 0", "end null 0"]);
}

#[test]
fn a_topic_that_keeps_nothing_has_no_snapshot() {
    let mut shard = shard(ROOMY);
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"nothing.t","snapshot":true}"#);
    assert_eq!(brief(&heard(&mut shard)), ["error not_kept"]);
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"nothing.t"}"#);
    assert_eq!(brief(&heard(&mut shard)), ["subscribed 0"]);
}

#[test]
fn however_many_patterns_are_asked_for_that_match_nothing_a_turn_looks_for_few_of_them() {
    const PATTERNS: usize = 100;
    let mut shard = shard(ROOMY);
    publish(&mut shard, "t", None);
    let list: Vec<_> = (0..PATTERNS).map(|n| format!(r#"{{"topic":"p{n}.>"}}"#)).collect();
    say(&mut shard, &format!(r#"{{"type":"subscribe","topics":[{}],"snapshot":true}}"#, list.join(",")));
    let mut ends = Vec::new();
    while shard.has_output() && ends.len() < PATTERNS {
        shard.begin_turn(Now::default());
        let mut told = Vec::new();
        while let Some(id) = shard.poll_flush() {
            let octets = shard.output(id).to_vec();
            shard.wrote(id, octets.len());
            told.extend(frames(&octets));
        }
        ends.push(told.iter().filter(|said| said["type"] == "snapshot_end").count());
    }
    assert_eq!(ends.iter().sum::<usize>(), PATTERNS, "each is told of: {ends:?}");
    assert!(ends.iter().all(|in_one_turn| *in_one_turn <= 4), "{ends:?}");
}

#[test]
fn however_many_are_asked_for_one_is_read_at_a_time() {
    let mut shard = shard(ROOMY);
    (0..3).for_each(|n| publish(&mut shard, &format!("t{n}"), None));
    let list: Vec<_> = (0..3).map(|n| format!(r#"{{"topic":"t{n}"}}"#)).collect();
    say(&mut shard, &format!(r#"{{"type":"subscribe","topics":[{}],"snapshot":true}}"#, list.join(",")));
    for _ in 0..3 {
        let said = heard_in_one_write(&mut shard).unwrap();
        assert_eq!(brief(&said), ["subscribed 1", "value - 1", "end null 1"]);
    }
    assert!(heard_in_one_write(&mut shard).is_none());
}

#[test]
fn a_subscription_that_ends_while_it_waits_has_no_snapshot() {
    let mut shard = shard(ROOMY);
    publish(&mut shard, "one", None);
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"one","snapshot":true}"#);
    say(&mut shard, r#"{"type":"unsubscribe","id":2,"topic":"one"}"#);
    assert_eq!(brief(&heard(&mut shard)), ["error superseded", "unsubscribed"]);
    publish(&mut shard, "one", None);
    assert!(heard(&mut shard).is_empty());
}

#[test]
fn what_a_connection_does_not_want_back_is_in_no_snapshot_for_it() {
    let mut shard = shard(ROOMY);
    say(&mut shard, r#"{"type":"publish","topic":"keyed.t","key":"a","data":0,"echo":false}"#);
    publish(&mut shard, "keyed.t", Some("b"));
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"keyed.t","snapshot":true}"#);
    assert_eq!(brief(&heard(&mut shard)), ["subscribed 2", "value b 2", "end 1 1"]);
}

/// By topic, the offsets of values and messages as they came.
fn by_topic(said: &[Value]) -> BTreeMap<String, Vec<(bool, u64)>> {
    let mut topics: BTreeMap<String, Vec<(bool, u64)>> = BTreeMap::new();
    for said in said.iter().filter(|said| said["type"] == "message") {
        let place = (said["snapshot"] == true, said["offset"].as_u64().unwrap());
        topics.entry(said["topic"].as_str().unwrap().to_owned()).or_default().push(place);
    }
    topics
}

#[test]
fn each_topic_of_a_pattern_is_live_from_exactly_its_value_on() {
    let mut shard = shard(ROOMY);
    let topics: Vec<String> = (0..20).map(|n| format!("t.{n}")).collect();
    let publish_all = |shard: &mut Shard| {
        for topic in &topics {
            publish(shard, topic, None);
        }
    };
    publish_all(&mut shard);
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"t.>","snapshot":true}"#);
    let (mut said, mut rounds) = (Vec::new(), 0);
    // Everything is published to between one chunk and the next: topics that were told, and those that were not.
    while !said.iter().any(|said: &Value| said["type"] == "snapshot_end") {
        // What was published, and a chunk behind it.
        (0..2).for_each(|_| said.extend(heard_in_one_write(&mut shard).unwrap_or_default()));
        publish_all(&mut shard);
        rounds += 1;
    }
    said.extend(heard(&mut shard));
    assert!(rounds > 4, "one chunk after the other, not all in {rounds}");
    assert_eq!(said[0]["type"], "subscribed");
    let end = said.iter().find(|said| said["type"] == "snapshot_end").expect("it ends");
    assert_eq!((&end["id"], &end["count"], &end["topic"]), (&1.into(), &20.into(), &"t.>".into()));
    let by_topic = by_topic(&said);
    assert_eq!(by_topic.len(), 20);
    for (topic, places) in by_topic {
        let [(true, first), live @ ..] = places.as_slice() else { panic!("{topic}: {places:?}") };
        assert!(
            live.iter().zip(first + 1..).all(|(place, next)| *place == (false, next)),
            "{topic}: {places:?}"
        );
        assert_eq!(first + live.len() as u64, rounds + 1, "{topic}: {places:?}");
    }
}

#[test]
fn a_topic_that_keeps_nothing_is_live_under_a_pattern_before_its_turn() {
    let mut shard = shard(ROOMY);
    (0..20).for_each(|n| publish(&mut shard, &format!("nothing.{n}"), None));
    (0..20).for_each(|n| publish(&mut shard, &format!("t.{n}"), None));
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":">","snapshot":true}"#);
    publish(&mut shard, "nothing.19", None);
    let said = heard(&mut shard);
    assert!(matches!(by_topic(&said)["nothing.19"].as_slice(), [(false, _)]));
    assert_eq!(by_topic(&said).len(), 21);
}

#[test]
fn what_a_subscription_that_ended_has_not_read_of_a_topic_does_not_follow_its_value() {
    let mut shard = shard(ROOMY);
    (0..9).for_each(|_| publish(&mut shard, "tick.t", None));
    say(&mut shard, r#"{"type":"subscribe","topic":"tick.t","since":"earliest"}"#);
    assert_eq!(brief(&heard_in_one_write(&mut shard).unwrap()), ["subscribed 0"]);
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"tick.>","snapshot":true}"#);
    say(&mut shard, r#"{"type":"unsubscribe","id":2,"topic":"tick.t"}"#);
    let said = brief(&heard(&mut shard));
    assert_eq!(said, ["subscribed null", "gap tick.t 1 9", "unsubscribed", "value - 9", "end 1 1"]);
    publish(&mut shard, "tick.t", None);
    assert_eq!(brief(&heard(&mut shard)), ["message - 10"]);
}

#[test]
fn what_came_in_front_of_a_snapshot_does_not_follow_it() {
    let mut cores = [0, 1].map(|core| core_with(core, 2, Settings::default(), Interface::Json));
    let is_elsewhere = |topic: &String| {
        publish(&mut cores[0], topic, None);
        hand_over(&mut cores);
        cores[1].counters().messages_published > 0
    };
    let topic = (0..100).map(|n| format!("t{n}")).find(is_elsewhere).unwrap();
    // Somebody listens already, so that messages are gathered for a run.
    let subscribe = format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#);
    cores[0].handle_command(PUBLISHER, command::parse(&subscribe).unwrap());
    hand_over(&mut cores);
    say(&mut cores[0], &format!(r#"{{"type":"subscribe","id":1,"topic":"{topic}","snapshot":true}}"#));
    publish(&mut cores[0], &topic, None);
    assert!(heard(&mut cores[0]).is_empty());
    hand_over(&mut cores);
    assert_eq!(brief(&heard(&mut cores[0])), ["subscribed 2", "value - 2", "end 1 1"]);
}

#[test]
fn a_socket_that_is_full_is_not_read_for() {
    let mut shard = shard(ROOMY);
    (0..100).for_each(|n| publish(&mut shard, &format!("t.{n}"), None));
    say(&mut shard, r#"{"type":"subscribe","id":1,"topic":"t.>","snapshot":true}"#);
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    shard.output(SUBSCRIBER);
    assert_eq!(shard.wrote(SUBSCRIBER, 0), Flushed::Blocked);
    assert!(shard.poll_flush().is_none());
    shard.handle_writable(SUBSCRIBER);
    assert_eq!(by_topic(&heard(&mut shard)).len(), 100);
}
