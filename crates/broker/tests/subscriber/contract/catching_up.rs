//! Reading history: where it begins, what it joins, and what it tells missing.

use fanwire_broker::shard::Event;
use fanwire_broker::{Delivery, Interface, Start};
use fanwire_wire::command::{self, Position};
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{begin_stream, block, flush, publish, shard, subscribe, text};
use crate::{PUBLISHER, SUBSCRIBER, say};

#[test]
fn a_raw_subscriber_that_falls_out_of_history_gets_nothing_from_behind_the_hole() {
    let mut shard = shard(Interface::Raw, 500);
    subscribe(&mut shard, "kept.a");
    publish(&mut shard, "kept.a", 1, 400);
    block(&mut shard);
    (2..=9).for_each(|n| publish(&mut shard, "kept.a", n, 400));
    assert!(shard.poll_flush().is_none());
    shard.handle_writable(SUBSCRIBER);
    let mut written = Vec::new();
    while let Some(id) = shard.poll_flush() {
        written.extend_from_slice(shard.output(id));
        let bytes = shard.output(id).len();
        shard.wrote(id, bytes);
    }
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
    assert!(written.iter().all(|byte| ![7, 8, 9].contains(byte)), "7, 8 and 9 are held, and 2 to 6 are not");
}

#[test]
fn what_is_lost_on_the_way_does_not_hide_what_was_let_go_before() {
    let mut shard = shard(Interface::Json, 500);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'4').for_each(|n| publish(&mut shard, "kept.a", n, 400));
    let topic = Topic::parse("kept.a").unwrap();
    shard.handle_delivery(0, Delivery::Lost { topic, number: TopicNumber::MIN, offsets: (4, 4) });
    let heard = text(&flush(&mut shard, usize::MAX));
    assert!(heard.contains(r#"{"type":"gap","topic":"kept.a","from":1,"to":1,"count":1}"#), "{heard}");
    assert_eq!(heard.matches(r#""type":"message""#).count(), 3, "2, 3 and 4 are held");
}

#[test]
fn a_gap_told_on_the_way_is_forgotten_with_what_was_in_front_of_it() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"news"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'3').for_each(|n| publish(&mut shard, "news", n, 1));
    shard.handle_delivery(
        0,
        Delivery::Lost { topic: Topic::parse("news").unwrap(), number: TopicNumber::MIN, offsets: (4, 4) },
    );
    block(&mut shard);
    say(&mut shard, r#"{"type":"recover","topic":"news","since":{"epoch":"epoch","offset":1}}"#);
    shard.handle_writable(SUBSCRIBER);
    let heard = text(&flush(&mut shard, usize::MAX));
    let subscribed = heard.find(r#""type":"subscribed""#).expect("an answer");
    assert!(!heard[..subscribed].contains("gap"), "4 follows nothing: {heard}");
}

#[test]
fn a_recover_that_is_refused_leaves_the_subscription_as_it_was() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    publish(&mut shard, "kept.a", b'1', 1);
    say(&mut shard, r#"{"type":"recover","id":7,"topic":"kept.a","since":{"epoch":"epoch","offset":99}}"#);
    publish(&mut shard, "kept.a", b'2', 1);
    let heard = text(&flush(&mut shard, usize::MAX));
    assert!(heard.contains(r#""id":7,"command":"recover","topic":"kept.a","code":"bad_since""#), "{heard}");
    assert!(heard.contains(r#""offset":1,"#) && heard.contains(r#""offset":2,"#), "{heard}");
}

#[test]
fn a_recover_brings_what_follows_the_position_again() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    (b'1'..=b'5').for_each(|n| publish(&mut shard, "kept.a", n, 1));
    flush(&mut shard, usize::MAX);
    say(&mut shard, r#"{"type":"recover","topic":"kept.a","since":{"epoch":"epoch","offset":1}}"#);
    let heard = text(&flush(&mut shard, usize::MAX));
    assert!(heard.contains(r#""offset":1,"recovered":false"#), "{heard}");
    assert!(heard.contains(r#"{"type":"gap","topic":"kept.a","from":2,"to":2,"count":1}"#), "{heard}");
    let offsets: Vec<&str> = heard
        .split(r#""type":"message","topic":"kept.a","offset":"#)
        .skip(1)
        .map(|rest| &rest[..1])
        .collect();
    assert_eq!(offsets, ["3", "4", "5"]);
}

#[test]
fn a_recover_forgets_nothing_of_the_subscription_before() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    flush(&mut shard, usize::MAX);
    shard.reply(SUBSCRIBER, b"x");
    block(&mut shard);
    (b'1'..=b'3').for_each(|n| publish(&mut shard, "kept.a", n, 4));
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"kept.a"}"#);
    say(&mut shard, r#"{"type":"subscribe","id":2,"topic":"kept.a"}"#);
    say(&mut shard, r#"{"type":"recover","id":3,"topic":"kept.a","since":{"epoch":"epoch","offset":3}}"#);
    shard.handle_writable(SUBSCRIBER);
    let heard = text(&flush(&mut shard, usize::MAX));
    let unsubscribed = heard.find("unsubscribed").expect("an answer");
    assert_eq!(heard[..unsubscribed].matches(r#""type":"message""#).count(), 3, "{heard}");
}

#[test]
fn an_unsubscribe_tells_what_was_left_to_catching_up() {
    let mut shard = shard(Interface::Json, 500);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "kept.a", b'1', 400);
    block(&mut shard);
    (b'2'..=b'5').for_each(|n| publish(&mut shard, "kept.a", n, 400));
    assert!(shard.poll_flush().is_none());
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"kept.a"}"#);
    publish(&mut shard, "kept.a", b'6', 400);
    shard.handle_writable(SUBSCRIBER);
    let heard = text(&flush(&mut shard, usize::MAX));
    let unsubscribed = heard.find("unsubscribed").expect("an answer");
    let gap = r#"{"type":"gap","topic":"kept.a","from":1,"to":5,"count":5}"#;
    assert!(heard[..unsubscribed].contains(gap), "{heard}");
}

#[test]
fn what_is_no_longer_held_follows_the_head_of_an_event_stream() {
    let mut shard = shard(Interface::EventStream, 100_000);
    (b'1'..=b'5').for_each(|n| publish(&mut shard, "kept.a", n, 1));
    let since = Position { epoch: "epoch".into(), offset: 1 };
    begin_stream(&mut shard, "kept.a", Start::After(since));
    publish(&mut shard, "kept.a", b'6', 1);
    let heard = text(&flush(&mut shard, 7));
    let events: Vec<_> = heard.lines().filter(|line| !line.starts_with("data") && !line.is_empty()).collect();
    let expected = ["id: epoch:2", "id: epoch:3", "id: epoch:4", "id: epoch:5", "id: epoch:6"];
    assert_eq!(events[..2], ["head", "id: epoch:1"], "the receipt comes first: {heard}");
    assert_eq!(events[2..], expected, "6 let go of 3 before it was read: {heard}");
    assert_eq!(heard.matches(r#""type":"gap""#).count(), 2, "2, and then 3: {heard}");
}

#[test]
fn a_subscription_that_begins_with_a_gap_is_live_at_once_where_nothing_is_kept() {
    for interface in [Interface::Json, Interface::EventStream] {
        let mut shard = shard(interface, 100_000);
        // Somebody has to listen, or the topic is forgotten.
        shard
            .handle_command(PUBLISHER, command::parse(r#"{"type":"subscribe","topic":"strict.a"}"#).unwrap());
        (b'1'..=b'5').for_each(|n| publish(&mut shard, "strict.a", n, 1));
        flush(&mut shard, usize::MAX);
        if interface == Interface::Json {
            let since = r#"{"epoch":"epoch","offset":1}"#;
            say(&mut shard, &format!(r#"{{"type":"subscribe","topic":"strict.a","since":{since}}}"#));
        } else {
            let since = Position { epoch: "epoch".into(), offset: 1 };
            begin_stream(&mut shard, "strict.a", Start::After(since));
        }
        (b'6'..=b'7').for_each(|n| publish(&mut shard, "strict.a", n, 1));
        let heard = text(&flush(&mut shard, usize::MAX));
        assert!(heard.contains(r#"{"type":"gap","topic":"strict.a","from":2,"to":5,"count":4}"#), "{heard}");
        assert_eq!(heard.matches(r#""type":"message""#).count(), 2, "6 and 7 came after it: {heard}");
    }
}
