//! Who speaks the binary interface: numbers for topics, and names where nobody told the number.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::{
    ConnectionId, Draft, Encoding, Flushed, Identity, Interface, Permissions, Settings, Shard,
};
use fanwire_wire::binary::{Received, parse_notification};
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::Role;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicOrPattern};

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const EXACT: ConnectionId = ConnectionId { slot: 1, generation: 0 };
const BY_PATTERN: ConnectionId = ConnectionId { slot: 2, generation: 0 };

/// One core of `cores`; `kept.>` keeps three messages, and nothing else keeps any.
fn shard_of((core, cores): (usize, usize), backlog_bytes: usize, deflate_window_bits: Option<u8>) -> Shard {
    let history = Some(HistoryLimits { messages: 3, bytes: usize::MAX, max_age_ms: None });
    let rule = |matches, history| TopicRule {
        matches: TopicOrPattern::parse(matches).unwrap(),
        settings: TopicSettings {
            history,
            last_value: false,
            overflow: OverflowPolicy::Gap,
            ..TopicSettings::default()
        },
    };
    let topics = vec![rule("kept.>", history), rule(">", None)];
    let settings = Settings { topics, backlog_bytes, ..Settings::default() };
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(core, cores, &identity, Arc::new(settings));
    for id in [PUBLISHER, EXACT, BY_PATTERN] {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Binary, deflate_window_bits });
    }
    shard
}

/// The only core, where a connection that is behind may keep so many bytes.
fn shard(backlog_bytes: usize) -> Shard {
    shard_of((0, 1), backlog_bytes, None)
}

fn command(shard: &mut Shard, id: ConnectionId, text: &str) {
    shard.handle_command(id, command::parse(text).unwrap());
}

fn subscribe(shard: &mut Shard, id: ConnectionId, topic: &str) {
    command(shard, id, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
}

fn publish(shard: &mut Shard, topic: &str, payload: &[u8]) {
    let draft = Draft {
        topic: Topic::parse(topic).unwrap(),
        key: None,
        kind: PayloadKind::Binary,
        content_type: None,
        payload: Bytes::copy_from_slice(payload),
        echo: true,
        conditions: None,
    };
    shard.publish(PUBLISHER, draft, false);
}

/// What a client is told, so that it can be compared.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Subscribed {
        topic: String,
        number: Option<u32>,
    },
    /// A delivery: its number, its name, its offset, and the octets in front of its payload.
    Message(u32, Option<String>, u64, usize),
    Gap(String, u64, u64),
    Other,
}

/// Everything that each connection is written, at most `at_once` bytes a time.
fn flush(shard: &mut Shard, at_once: usize) -> [Vec<Told>; 3] {
    let mut written = [const { Vec::new() }; 3];
    while let Some(id) = shard.poll_flush() {
        let taken = shard.output(id).len().min(at_once);
        written[id.slot as usize].extend_from_slice(&shard.output(id)[..taken]);
        shard.wrote(id, taken);
    }
    written.map(told)
}

fn told(mut frames: Vec<u8>) -> Vec<Told> {
    let (mut reader, mut inflater) = (MessageReader::new(Role::Client, true), Inflater::new(false));
    let (mut input, mut heard) = (frames.as_mut_slice(), Vec::new());
    while !input.is_empty() {
        let (consumed, incoming) = reader.read(input, 1 << 20, &mut inflater).expect("frames");
        match incoming {
            Some(Incoming::Message { kind: MessageKind::Binary, payload }) => {
                heard.push(understood(&payload));
            }
            other => panic!("{other:?}"),
        }
        input = &mut std::mem::take(&mut input)[consumed..];
    }
    heard
}

fn understood(message: &[u8]) -> Told {
    match parse_notification(message).unwrap_or_else(|error| panic!("{error}: {message:02x?}")) {
        Received::Delivery(delivery) => Told::Message(
            delivery.number.expect("the broker knows it").get(),
            delivery.name.map(str::to_owned),
            delivery.offset,
            message.len() - delivery.payload.len(),
        ),
        Received::Notification(_, Notification::Subscribed { topic, number, .. }) => {
            Told::Subscribed { topic: topic.to_owned(), number: number.map(std::num::NonZeroU32::get) }
        }
        Received::Notification(_, Notification::Gap { topic, from, to, .. }) => {
            Told::Gap(topic.to_owned(), from, to)
        }
        Received::Notification(..) => Told::Other,
    }
}

/// The number that a receipt told.
fn number(told: &[Told]) -> u32 {
    match told {
        [Told::Subscribed { number: Some(number), .. }] => *number,
        other => panic!("{other:?}"),
    }
}

fn block(shard: &mut Shard, id: ConnectionId) {
    assert_eq!(shard.poll_flush(), Some(id));
    assert_eq!(shard.wrote(id, 0), Flushed::Blocked);
}

#[test]
fn a_subscriber_is_told_the_number_and_then_no_name() {
    let mut shard = shard(100_000);
    subscribe(&mut shard, EXACT, "news");
    let number = number(&flush(&mut shard, usize::MAX)[1]);
    publish(&mut shard, "news", b"one");
    publish(&mut shard, "news", b"");
    let [_, told, _] = flush(&mut shard, usize::MAX);
    assert_eq!(told, [Told::Message(number, None, 1, 12), Told::Message(number, None, 2, 12)]);
}

#[test]
fn a_pattern_has_no_number_and_its_messages_have_a_name() {
    for at_once in [usize::MAX, 7] {
        let mut shard = shard(100_000);
        subscribe(&mut shard, BY_PATTERN, "*");
        publish(&mut shard, "news", b"one");
        let [.., told] = flush(&mut shard, at_once);
        let subscribed = Told::Subscribed { topic: "*".to_owned(), number: None };
        let news = Some("news".to_owned());
        assert_eq!(told, [subscribed, Told::Message(1, news, 1, 12 + 1 + 4)]);
    }
}

#[test]
fn each_gets_a_message_once_and_as_it_knows_the_topic() {
    for (at_once, deflate) in [(usize::MAX, None), (7, None), (usize::MAX, Some(15)), (7, Some(15))] {
        let mut shard = shard_of((0, 1), 100_000, deflate);
        subscribe(&mut shard, BY_PATTERN, "*");
        subscribe(&mut shard, BY_PATTERN, ">");
        subscribe(&mut shard, EXACT, ">");
        subscribe(&mut shard, EXACT, "news");
        flush(&mut shard, usize::MAX);
        for _ in 1..4 {
            publish(&mut shard, "news", &[b'x'; 100]);
            publish(&mut shard, "other", b"y");
        }
        let [publisher, exact, by_pattern] = flush(&mut shard, at_once);
        assert_eq!(publisher, []);
        let (news, other) = (Some("news".to_owned()), Some("other".to_owned()));
        let named = |offset| {
            [
                Told::Message(1, news.clone(), offset, 12 + 1 + 4),
                Told::Message(2, other.clone(), offset, 12 + 1 + 5),
            ]
        };
        let numbered = |offset| {
            [Told::Message(1, None, offset, 12), Told::Message(2, other.clone(), offset, 12 + 1 + 5)]
        };
        assert_eq!(by_pattern, (1..4).flat_map(named).collect::<Vec<_>>());
        assert_eq!(exact, (1..4).flat_map(numbered).collect::<Vec<_>>());
    }
}

#[test]
fn a_run_of_many_messages_is_the_same_for_both() {
    let mut shard = shard(100_000);
    subscribe(&mut shard, EXACT, "news");
    subscribe(&mut shard, BY_PATTERN, "*");
    flush(&mut shard, usize::MAX);
    (0..20).for_each(|_| publish(&mut shard, "news", b"x"));
    let [_, exact, by_pattern] = flush(&mut shard, usize::MAX);
    let news = Some("news".to_owned());
    assert_eq!(exact, (1..=20).map(|offset| Told::Message(1, None, offset, 12)).collect::<Vec<_>>());
    assert_eq!(
        by_pattern,
        (1..=20).map(|offset| Told::Message(1, news.clone(), offset, 17)).collect::<Vec<_>>()
    );
}

#[test]
fn who_reads_from_history_is_told_the_topic_as_it_knows_it() {
    for (id, name) in [(EXACT, "kept.a"), (BY_PATTERN, "kept.*")] {
        let mut shard = shard(1_000);
        subscribe(&mut shard, id, name);
        flush(&mut shard, usize::MAX);
        publish(&mut shard, "kept.a", &[0; 400]);
        block(&mut shard, id);
        (2..=6).for_each(|_| publish(&mut shard, "kept.a", &[0; 400]));
        shard.handle_writable(id);
        let told = &flush(&mut shard, usize::MAX)[id.slot as usize];
        let topic = (id == BY_PATTERN).then(|| "kept.a".to_owned());
        let header = 12 + topic.as_ref().map_or(0, |name| 1 + name.len());
        let messages = (4..=6).map(|offset| Told::Message(1, topic.clone(), offset, header));
        let expected: Vec<_> = [Told::Gap("kept.a".to_owned(), 1, 3)].into_iter().chain(messages).collect();
        assert_eq!(*told, expected, "{name}");
    }
}

#[test]
fn since_brings_what_is_held_by_number() {
    let mut shard = shard(100_000);
    (0..5).for_each(|_| publish(&mut shard, "kept.a", b"x"));
    command(
        &mut shard,
        EXACT,
        r#"{"type":"subscribe","topic":"kept.a","since":{"epoch":"epoch","offset":0}}"#,
    );
    let [_, told, _] = flush(&mut shard, usize::MAX);
    let [subscribed, messages @ ..] = &told[..] else { panic!("{told:?}") };
    let number = number(std::slice::from_ref(subscribed));
    let held = (3..=5).map(|offset| Told::Message(number, None, offset, 12));
    let gap = Told::Gap("kept.a".to_owned(), 1, 2);
    assert_eq!(messages, [gap].into_iter().chain(held).collect::<Vec<_>>());
}

#[test]
fn what_is_read_after_the_topic_is_left_to_the_pattern_has_its_name() {
    let mut shard = shard(1_000);
    subscribe(&mut shard, EXACT, "kept.a");
    subscribe(&mut shard, EXACT, "kept.*");
    flush(&mut shard, usize::MAX);
    publish(&mut shard, "kept.a", &[0; 400]);
    block(&mut shard, EXACT);
    (2..=4).for_each(|_| publish(&mut shard, "kept.a", &[0; 400]));
    assert!(shard.poll_flush().is_none());
    command(&mut shard, EXACT, r#"{"type":"unsubscribe","id":1,"topic":"kept.a"}"#);
    shard.handle_writable(EXACT);
    let [_, told, _] = flush(&mut shard, usize::MAX);
    let name = Some("kept.a".to_owned());
    let messages = (2..=4).map(|offset| Told::Message(1, name.clone(), offset, 12 + 1 + 6));
    assert_eq!(told[told.len() - 3..], messages.collect::<Vec<_>>(), "{told:?}");
}

#[test]
fn no_two_topics_of_the_broker_have_one_number_at_the_same_time() {
    let mut cores: Vec<Shard> = (0..3).map(|core| shard_of((core, 3), 100_000, None)).collect();
    let mut numbers = BTreeSet::new();
    for core in &mut cores {
        for n in 0..200 {
            subscribe(core, EXACT, &format!("t{n}"));
            let [_, told, _] = flush(core, usize::MAX);
            // What has its home elsewhere is not answered here.
            numbers.extend(told.iter().map(|told| number(std::slice::from_ref(told))));
        }
    }
    assert_eq!(numbers.len(), 200);
}

#[test]
fn a_topic_that_comes_back_is_told_its_number_again() {
    let mut shard = shard(100_000);
    subscribe(&mut shard, EXACT, "a");
    let first = number(&flush(&mut shard, usize::MAX)[1]);
    command(&mut shard, EXACT, r#"{"type":"unsubscribe","topic":"a"}"#);
    subscribe(&mut shard, BY_PATTERN, "b");
    let taken = number(&flush(&mut shard, usize::MAX)[2]);
    subscribe(&mut shard, EXACT, "a");
    let second = number(&flush(&mut shard, usize::MAX)[1]);
    assert_eq!((first, second), (taken, 2), "a was forgotten, and its number is in use");
    publish(&mut shard, "a", b"x");
    publish(&mut shard, "b", b"x");
    let [_, a, b] = flush(&mut shard, usize::MAX);
    assert_eq!((a, b), (vec![Told::Message(second, None, 1, 12)], vec![Told::Message(taken, None, 1, 12)]));
}
