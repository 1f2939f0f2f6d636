//! What went wrong once, and must not again, each as the smallest sequence of calls.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::TopicSettings;
use fanwire_broker::shard::Event;
use fanwire_broker::{
    Backlog, ConnectionId, Delivery, Encoding, Flushed, Identity, Interface, Message, Permissions, Settings,
    Shard, Start,
};
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::{self, PayloadKind, Position};
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{PUBLISHER, SUBSCRIBER, core_with, hand_over, publish_draft, rule, say, shard_with};

/// One core with a publisher and a subscriber.
fn shard(interface: Interface, backlog_bytes: usize) -> Shard {
    shard_with(settings(backlog_bytes), interface)
}

/// `kept.>` keeps three messages, `strict.>` lets nobody miss one.
fn settings(backlog_bytes: usize) -> Settings {
    let history = Some(HistoryLimits { messages: 3, bytes: usize::MAX, max_age_ms: None });
    let settings = TopicSettings {
        history,
        last_value: true,
        overflow: OverflowPolicy::Gap,
        ..TopicSettings::default()
    };
    let kept = rule("kept.>", settings);
    let settings = TopicSettings {
        history: None,
        last_value: false,
        overflow: OverflowPolicy::Disconnect,
        ..TopicSettings::default()
    };
    let strict = rule("strict.>", settings);
    Settings { topics: vec![kept, strict], backlog_bytes, ..Settings::default() }
}

fn subscribe(shard: &mut Shard, topic: &str) {
    shard.subscribe(SUBSCRIBER, Topic::parse(topic).unwrap(), Start::Now);
    assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
}

/// The subscriber's event stream, as the server begins it.
fn begin_stream(shard: &mut Shard, topic: &str, start: Start) {
    let topic = Topic::parse(topic).unwrap();
    shard.subscribe(SUBSCRIBER, topic.clone(), start);
    let Some(Event::Subscribed { placement, .. }) = shard.poll_event() else { panic!("no answer") };
    shard.reply(SUBSCRIBER, b"head\n");
    shard.begin_stream(SUBSCRIBER, &topic, placement);
}

fn publish(shard: &mut Shard, topic: &str, byte: u8, bytes: usize) {
    publish_draft(shard, topic, None, PayloadKind::Binary, Bytes::from(vec![byte; bytes]));
}

/// Everything that the subscriber is written, at most `at_once` bytes a time.
fn flush(shard: &mut Shard, at_once: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while let Some(id) = shard.poll_flush() {
        let taken = shard.output(id).len().min(at_once);
        if id == SUBSCRIBER {
            written.extend_from_slice(&shard.output(id)[..taken]);
        }
        shard.wrote(id, taken);
    }
    written
}

/// One write of which the socket takes nothing.
fn block(shard: &mut Shard) {
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    assert_eq!(shard.wrote(SUBSCRIBER, 0), Flushed::Blocked);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_close_that_keeps_the_backlog_sends_all_of_it_first() {
    let mut shard = shard(Interface::Raw, 100_000);
    subscribe(&mut shard, "news");
    (1..=5).for_each(|n| publish(&mut shard, "news", n, 100));
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 150);
    assert_eq!(written.len(), 5 * 102 + 4);
    assert_eq!(written[5 * 102], 0x88);
}

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
fn who_was_given_something_first_is_flushed_first() {
    let mut shard = shard(Interface::Raw, 100_000);
    let ids = [10, 11, 12].map(|slot| ConnectionId { slot, generation: 0 });
    for id in ids {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Raw, deflate_window_bits: None });
        shard.subscribe(id, Topic::parse("news").unwrap(), Start::Now);
        assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    }
    let flush_one = |shard: &mut Shard| {
        let id = shard.poll_flush()?;
        let bytes = shard.output(id).len();
        assert_eq!(shard.wrote(id, bytes), Flushed::Empty);
        Some(id)
    };
    publish(&mut shard, "news", 1, 100);
    let first = flush_one(&mut shard).unwrap();
    publish(&mut shard, "news", 2, 100);
    let rest: Vec<_> = std::iter::from_fn(|| flush_one(&mut shard)).collect();
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[2], first, "the others were given the first message before it was given the second");
}

#[test]
fn each_subscriber_of_a_topic_is_served_first_in_its_turn() {
    let mut shard = shard(Interface::Raw, 100_000);
    let interfaces = [Interface::Json, Interface::Raw, Interface::Raw, Interface::Json, Interface::Binary];
    let ids: Vec<_> = (10..15).map(|slot| ConnectionId { slot, generation: 0 }).collect();
    for (&id, interface) in ids.iter().zip(interfaces) {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface, deflate_window_bits: None });
        shard.subscribe(id, Topic::parse("news").unwrap(), Start::Now);
    }
    flush(&mut shard, usize::MAX);
    let mut orders = Vec::new();
    for n in 0..10 {
        publish(&mut shard, "news", n, 10);
        let mut order = Vec::new();
        while let Some(id) = shard.poll_flush() {
            order.push(id);
            let bytes = shard.output(id).len();
            shard.wrote(id, bytes);
        }
        orders.push(order);
    }
    for place in 0..5 {
        for id in &ids {
            let times = orders.iter().filter(|order| order[place] == *id).count();
            assert_eq!(times, 2, "{id:?} is number {place} as often as the others");
        }
    }
}

#[test]
fn a_full_palette_is_work_until_it_is_emptied() {
    let mut shard = shard(Interface::Raw, 100_000);
    subscribe(&mut shard, "news");
    publish(&mut shard, "news", 1, 1024 * 1024);
    assert!(!shard.may_read());
    let id = shard.poll_flush().unwrap();
    let bytes = shard.output(id).len();
    assert_eq!(shard.wrote(id, bytes), Flushed::Empty);
    assert!(shard.may_read() || shard.has_output(), "nothing else would ever make room");
}

#[test]
fn replies_that_wait_in_the_palette_count() {
    let mut shard = shard(Interface::Json, 100_000);
    assert!(shard.may_read_from(SUBSCRIBER));
    shard.reply(SUBSCRIBER, &vec![0; 1024 * 1024]);
    assert!(!shard.may_read_from(SUBSCRIBER));
    flush(&mut shard, usize::MAX);
    assert!(shard.may_read_from(SUBSCRIBER));
}

#[test]
fn gaps_that_do_not_join_are_bounded_too() {
    let mut shard = shard(Interface::Json, 2_000);
    say(&mut shard, r#"{"type":"subscribe","topic":">"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "filler", 0, 1_900);
    block(&mut shard);
    for n in 0..200 {
        publish(&mut shard, &format!("topic.n{n}"), 0, 1_000);
        assert!(shard.poll_flush().is_none());
    }
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
    assert!(shard.counters().backlog_bytes < 4_000);
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
fn a_close_that_keeps_what_fits_keeps_nothing_from_behind_what_does_not() {
    let mut shard = shard(Interface::Raw, 800);
    subscribe(&mut shard, "news");
    (1..=4).for_each(|n| publish(&mut shard, "news", n, 400));
    publish(&mut shard, "news", 5, 1);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 100);
    assert_eq!(written.len(), 2 * 404 + 4, "3 and 4 had no room");
    assert_eq!(written[2 * 404], 0x88);
}

#[test]
fn a_connection_that_has_to_go_reads_no_more_history() {
    let mut shard = shard(Interface::Json, 500);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a"}"#);
    say(&mut shard, r#"{"type":"subscribe","topic":"strict.a"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "kept.a", b'1', 400);
    block(&mut shard);
    (b'2'..=b'6').for_each(|n| publish(&mut shard, "kept.a", n, 400));
    assert!(shard.poll_flush().is_none());
    shard.handle_writable(SUBSCRIBER);
    (b'1'..=b'2').for_each(|n| publish(&mut shard, "strict.a", n, 400));
    assert!(shard.poll_flush().is_none(), "it is told of a gap with nothing in front of it");
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
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
fn nothing_but_the_close_frame_comes_from_behind_what_does_not_fit() {
    let mut shard = shard(Interface::Json, 800);
    say(&mut shard, r#"{"type":"subscribe","topic":"news"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'4').for_each(|n| publish(&mut shard, "news", n, 400));
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"news"}"#);
    say(&mut shard, r#"{"type":"subscribe","id":2,"topic":"news"}"#);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    let written = flush(&mut shard, 100);
    let heard = text(&written);
    assert_eq!(heard.matches(r#""type":"message""#).count(), 2, "{heard}");
    assert!(!heard.contains("subscribed"), "a position behind 3 and 4: {heard}");
    assert_eq!(written[written.len() - 4..][..2], [0x88, 2]);
}

#[test]
fn who_has_to_go_is_not_answered_from_behind_the_hole() {
    let mut shard = shard(Interface::Json, 800);
    say(&mut shard, r#"{"type":"subscribe","topic":"strict.a"}"#);
    flush(&mut shard, usize::MAX);
    (b'1'..=b'4').for_each(|n| publish(&mut shard, "strict.a", n, 400));
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"strict.a"}"#);
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    shard.wrote(SUBSCRIBER, 0);
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
    shard.close(SUBSCRIBER, CloseCode::TRY_AGAIN_LATER, "", Backlog::Keep);
    shard.handle_writable(SUBSCRIBER);
    let heard = text(&flush(&mut shard, usize::MAX));
    assert!(!heard.contains("unsubscribed"), "{heard}");
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
    let mut shard = shard(Interface::Json, 2_000);
    say(&mut shard, r#"{"type":"subscribe","topic":">"}"#);
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "filler", 0, 1_900);
    block(&mut shard);
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
fn at_the_shutdown_a_full_queue_loses_nothing_that_it_holds() {
    let mut shard = shard(Interface::Raw, 1_000);
    subscribe(&mut shard, "kept.a");
    publish(&mut shard, "kept.a", 1, 300);
    block(&mut shard);
    publish(&mut shard, "kept.a", 2, 300);
    shard.stop();
    publish(&mut shard, "kept.a", 3, 600);
    assert!(shard.is_stopped());
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    shard.handle_writable(SUBSCRIBER);
    let written = flush(&mut shard, usize::MAX);
    assert_eq!(written.len(), 2 * 304 + 4, "1, 2 and the close frame");
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

#[test]
fn an_event_stream_ends_behind_what_it_was_given_with_the_reason() {
    let mut shard = shard(Interface::EventStream, 100_000);
    subscribe(&mut shard, "news");
    publish(&mut shard, "news", b'1', 1);
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "the broker is stopping", Backlog::Keep);
    publish(&mut shard, "news", b'2', 1);
    let heard = text(&flush(&mut shard, 7));
    assert!(
        heard.starts_with("id: epoch:1\n") && heard.ends_with("}\n\n: the broker is stopping\n\n"),
        "{heard}"
    );
    assert_eq!(heard.matches("data").count(), 2, "the field, and the name within: {heard}");
}

/// Lets the subscriber go that is too slow, as the server does. Everything that it is written.
fn let_go(shard: &mut Shard) -> Vec<u8> {
    let event = shard.poll_event();
    let Some(Event::SlowConsumer { connection: SUBSCRIBER, reason }) = event else { panic!("{event:?}") };
    shard.close(SUBSCRIBER, CloseCode::TRY_AGAIN_LATER, &reason, Backlog::Drop);
    shard.handle_writable(SUBSCRIBER);
    flush(shard, usize::MAX)
}

#[test]
fn who_has_to_go_before_its_head_was_written_gets_the_head_first() {
    let mut shard = shard(Interface::EventStream, 500);
    begin_stream(&mut shard, "strict.a", Start::Now);
    block(&mut shard);
    (0..4).for_each(|_| publish(&mut shard, "strict.a", b'1', 300));
    assert!(shard.poll_flush().is_none());
    let heard = text(&let_go(&mut shard));
    assert!(
        heard.starts_with("head\nid: epoch:0\n") && heard.contains("\n: too slow for strict.a"),
        "{heard}"
    );
    assert!(!heard.contains("message"), "a message of what was let go: {heard}");
}

#[test]
fn who_has_to_go_with_its_head_in_the_palette_gets_the_head_first() {
    let mut shard = shard(Interface::Raw, 500);
    subscribe(&mut shard, "news");
    shard.reply(SUBSCRIBER, b"head\n");
    publish(&mut shard, "news", b'1', 1);
    shard.handle_delivery(
        0,
        Delivery::Lost { topic: Topic::parse("news").unwrap(), number: TopicNumber::MIN, offsets: (2, 2) },
    );
    let heard = let_go(&mut shard);
    assert_eq!(text(&heard[..5]), "head\n");
    assert_eq!(heard[5], 0x88, "nothing but the close frame behind it");
}
