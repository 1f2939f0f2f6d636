//! What a shard gives up while memory is short, and that it knows what it holds.

use std::sync::Arc;

use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::shard::{Event, Now};
use fanwire_broker::{
    ConnectionId, Draft, Encoding, Identity, Interface, Message, Permissions, Pressure, Pressures, Settings,
    Shard, Start,
};
use fanwire_wire::command::PayloadKind;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicOrPattern};
use proptest::prelude::*;

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };

/// What a message of this payload counts for.
const fn counts(payload: usize) -> u64 {
    (payload + Message::OVERHEAD_BYTES) as u64
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("tests name topics")
}

fn settings() -> Settings {
    let history = HistoryLimits { messages: 100, bytes: 1 << 20, max_age_ms: Some(1_000) };
    let keys = KeyLimits { max: 3, bytes: 1 << 20 };
    let rule = |matches, settings| TopicRule { matches: TopicOrPattern::parse(matches).unwrap(), settings };
    let defaults = TopicSettings::default();
    let topics = vec![
        rule("kept.>", TopicSettings { history: Some(history), last_value: false, ..defaults.clone() }),
        rule("keyed.>", TopicSettings { keys: Some(keys), history: Some(history), ..defaults.clone() }),
        rule("nothing.>", TopicSettings { last_value: false, ..defaults }),
    ];
    Settings { topics, ..Settings::default() }
}

/// The only core of a broker, with a publisher on HTTP.
fn shard() -> Shard {
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(0, 1, &identity, Arc::new(settings()));
    shard.connect(PUBLISHER);
    shard.permit(PUBLISHER, Permissions::everything());
    shard
}

fn turn(shard: &mut Shard, monotonic_ms: u64) {
    shard.begin_turn(Now { monotonic_ms, wall_ms: 0 });
}

fn draft(name: &str, key: Option<&str>, payload: usize) -> Draft {
    Draft {
        topic: topic(name),
        key: key.map(Into::into),
        kind: PayloadKind::Binary,
        content_type: None,
        payload: vec![7; payload].into(),
        echo: true,
        conditions: None,
    }
}

/// Publishes; the offset, or why not.
fn publish(shard: &mut Shard, name: &str, key: Option<&str>, payload: usize) -> Result<u64, ErrorCode> {
    shard.publish(PUBLISHER, draft(name, key, payload), true);
    match shard.poll_event() {
        Some(Event::Published { offset, .. }) => Ok(offset),
        Some(Event::Refused { refused, .. }) => Err(refused.code),
        other => panic!("{other:?}"),
    }
}

/// The oldest offset that the topic holds.
fn oldest(shard: &mut Shard, name: &str) -> Option<u64> {
    shard.poll(PUBLISHER, topic(name), Start::Earliest, false);
    match shard.poll_event() {
        Some(Event::Polled { polled, .. }) => polled.messages.first().map(|message| message.offset),
        other => panic!("{other:?}"),
    }
}

#[test]
fn histories_let_go_of_their_older_half_each_second_while_memory_is_short() {
    let mut shard = shard();
    turn(&mut shard, 0);
    (0..16).for_each(|_| _ = publish(&mut shard, "kept.a", None, 100));
    turn(&mut shard, 10);
    assert_eq!(oldest(&mut shard, "kept.a"), Some(1), "memory is not short");
    shard.set_pressures(Pressures::of_all(Pressure::Tight));
    for (now, expected) in [(20, Some(9)), (900, Some(9)), (1_000, Some(9)), (1_020, None)] {
        turn(&mut shard, now);
        if now == 1_000 {
            // So that what is let go next is told from what is too old.
            (0..8).for_each(|_| _ = publish(&mut shard, "kept.b", None, 100));
        }
        assert_eq!(oldest(&mut shard, "kept.a"), expected, "at {now}");
    }
    assert_eq!(oldest(&mut shard, "kept.b"), Some(5));
    shard.set_pressures(Pressures::of_all(Pressure::None));
    turn(&mut shard, 1_900);
    assert_eq!(oldest(&mut shard, "kept.b"), Some(5), "memory is not short any more");
}

#[test]
fn no_topic_begins_while_memory_is_scarce_and_those_that_are_there_go_on() {
    let mut shard = shard();
    turn(&mut shard, 0);
    publish(&mut shard, "there", None, 1).unwrap();
    for (pressure, expected) in [
        (Pressure::Tight, Ok(1)),
        (Pressure::Scarce, Err(ErrorCode::Unavailable)),
        (Pressure::Exhausted, Err(ErrorCode::Unavailable)),
    ] {
        shard.set_pressures(Pressures::of_all(pressure));
        let new = format!("new.{pressure:?}").to_lowercase();
        assert_eq!(publish(&mut shard, &new, None, 1), expected, "{pressure:?}");
        assert!(publish(&mut shard, "there", None, 1).is_ok(), "{pressure:?}");
    }
    shard.set_pressures(Pressures::of_all(Pressure::None));
    assert!(publish(&mut shard, "new.scarce", None, 1).is_ok());
}

/// Subscribers in the slots from 1 on, with what their sockets took of the first message.
fn slow_subscribers(shard: &mut Shard, topics: &[&str]) -> Vec<ConnectionId> {
    let subscribe = |(slot, name): (u32, &&str)| {
        let id = ConnectionId { slot, generation: 0 };
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Raw, deflate_window_bits: None });
        shard.subscribe(id, topic(name), Start::Now);
        while shard.poll_event().is_some() {}
        id
    };
    (1..).zip(topics).map(subscribe).collect()
}

/// Flushes to sockets that take nothing.
fn flush_in_vain(shard: &mut Shard) {
    while let Some(id) = shard.poll_flush() {
        shard.output(id);
        shard.wrote(id, 0);
    }
}

#[test]
fn the_largest_backlogs_are_named_and_others_are_not() {
    let mut shard = shard();
    turn(&mut shard, 0);
    let ids = slow_subscribers(&mut shard, &["nothing.a", "nothing.b", "nothing.c"]);
    for (name, payload) in [("nothing.a", 100), ("nothing.b", 300)] {
        publish(&mut shard, name, None, payload).unwrap();
        flush_in_vain(&mut shard);
    }
    assert_eq!(shard.largest_holders(5, |_| 0), [ids[1], ids[0]]);
    assert_eq!(shard.largest_holders(1, |_| 0), [ids[1]]);
}

#[test]
fn what_connections_hold_besides_their_backlogs_counts_with_these() {
    let mut shard = shard();
    turn(&mut shard, 0);
    let ids = slow_subscribers(&mut shard, &["nothing.a", "nothing.b", "nothing.c", "nothing.d"]);
    for (name, payload) in [("nothing.a", 100), ("nothing.b", 300)] {
        publish(&mut shard, name, None, payload).unwrap();
        flush_in_vain(&mut shard);
    }
    let besides = |id| if id == ids[0] || id == ids[2] { 1_000 } else { 0 };
    assert_eq!(shard.largest_holders(5, besides), [ids[0], ids[2], ids[1]]);
    assert_eq!(shard.largest_holders(2, besides), [ids[0], ids[2]]);
    shard.disconnect(ids[2]);
    assert_eq!(shard.largest_holders(5, besides), [ids[0], ids[1]], "who has gone holds nothing");
}

#[test]
fn replies_that_are_not_read_count_and_are_forgotten_with_their_connection() {
    let mut shard = shard();
    turn(&mut shard, 0);
    let [id] = *slow_subscribers(&mut shard, &["nothing.a"]) else { panic!("one was asked for") };
    for _ in 0..3 {
        shard.reply(id, &[7; 1_000]);
        flush_in_vain(&mut shard);
    }
    let held = shard.counters().reply_bytes;
    assert!((3_000..3_200).contains(&held), "{held}");
    shard.handle_writable(id);
    while let Some(id) = shard.poll_flush() {
        let all = shard.output(id).len();
        shard.wrote(id, all);
    }
    assert_eq!(shard.counters().reply_bytes, 0);
    shard.reply(id, &[7; 1_000]);
    flush_in_vain(&mut shard);
    assert_ne!(shard.counters().reply_bytes, 0);
    shard.disconnect(id);
    assert_eq!((shard.counters().reply_bytes, shard.counters().backlog_bytes), (0, 0));
}

/// Offers each connection what it has, of which its socket takes 300 bytes; gives how many were offered.
fn flush_a_part(shard: &mut Shard) -> u64 {
    let id = shard.poll_flush().expect("somebody has something");
    let offered = shard.output(id).len() as u64;
    shard.wrote(id, 300);
    offered
}

#[test]
fn what_is_left_of_an_answer_or_a_message_that_a_socket_took_a_part_of_counts() {
    for is_message in [false, true] {
        let mut shard = shard();
        turn(&mut shard, 0);
        let [id] = *slow_subscribers(&mut shard, &["nothing.a"]) else { panic!("one was asked for") };
        if is_message {
            shard.publish(PUBLISHER, draft("nothing.a", None, 100_000), false);
        } else {
            shard.reply(id, &vec![7; 100_000]);
        }
        let offered = flush_a_part(&mut shard);
        assert!(offered >= 100_000, "all at once");
        assert_eq!(shard.counters().reply_bytes, offered - 300);
        assert_eq!(shard.largest_holders(1, |_| 0), [id]);
        flush_a_part(&mut shard);
        assert_eq!(shard.counters().reply_bytes, offered - 600);
        shard.disconnect(id);
        assert_eq!(shard.counters().reply_bytes, 0);
    }
}

#[test]
fn histories_and_new_topics_pay_for_their_own_shortage_and_not_for_that_of_write_queues() {
    let mut shard = shard();
    turn(&mut shard, 0);
    (0..16).for_each(|_| _ = publish(&mut shard, "kept.a", None, 100));
    let (none, exhausted) = (Pressure::None, Pressure::Exhausted);
    shard.set_pressures(Pressures { histories: none, backlogs: exhausted });
    turn(&mut shard, 10);
    assert_eq!(oldest(&mut shard, "kept.a"), Some(1));
    assert!(publish(&mut shard, "new.one", None, 1).is_ok());
    shard.set_pressures(Pressures { histories: exhausted, backlogs: none });
    turn(&mut shard, 20);
    assert_eq!(oldest(&mut shard, "kept.a"), Some(9));
    assert_eq!(publish(&mut shard, "new.two", None, 1), Err(ErrorCode::Unavailable));
}

#[test]
fn a_write_queue_holds_half_while_memory_is_scarce_for_write_queues() {
    let (none, tight, scarce) = (Pressure::None, Pressure::Tight, Pressure::Scarce);
    for (histories, backlogs, share) in [(scarce, tight, 1), (none, scarce, 2)] {
        let mut shard = shard();
        turn(&mut shard, 0);
        slow_subscribers(&mut shard, &["nothing.a"]);
        publish(&mut shard, "nothing.a", None, 0).unwrap();
        flush_in_vain(&mut shard);
        shard.set_pressures(Pressures { histories, backlogs });
        let mut most = 0;
        // A raw subscriber cannot be told of a gap: it has to go when its queue is full.
        while !shard.largest_holders(1, |_| 0).is_empty() {
            most = shard.counters().backlog_bytes;
            shard.publish(PUBLISHER, draft("nothing.a", None, 1_000), false);
            while shard.poll_event().is_some() {}
            flush_in_vain(&mut shard);
        }
        let bound = Settings::default().backlog_bytes as u64 / share;
        assert!(most <= bound && most + 2 * counts(1_000) > bound, "{most} of {bound}");
    }
}

proptest! {
    /// The naive twin adds up what polls and snapshots could still be given.
    #[test]
    fn a_shard_knows_what_it_keeps(
        publishes in proptest::collection::vec((0usize..4, 0usize..5, 0usize..800, 0u64..400, any::<bool>()), 1..60),
    ) {
        let mut shard = shard();
        let mut now = 0;
        let mut histories: [Vec<(u64, u64)>; 2] = Default::default();
        let mut keyed: Vec<(Option<&str>, u64)> = Vec::new();
        let mut last = 0;
        for (which, key, payload, pause, is_short) in publishes {
            now += pause;
            shard.set_pressures(Pressures::of_all(if is_short { Pressure::Tight } else { Pressure::None }));
            turn(&mut shard, now);
            let key = [None, Some("a"), Some("b"), Some("c"), Some("d")][key];
            let bytes = counts(payload) + key.map_or(0, |key| key.len() as u64);
            let name = ["kept.a", "keyed.a", "plain", "nothing.a"][which];
            publish(&mut shard, name, key, payload).unwrap();
            match which {
                0 => histories[0].push((now, bytes)),
                1 => {
                    histories[1].push((now, bytes));
                    keyed.retain(|(other, _)| *other != key);
                    keyed.push((key, bytes));
                    keyed.drain(..keyed.len().saturating_sub(3));
                }
                2 => last = bytes,
                _ => {}
            }
            // What was let go by age or pressure shows in what a poll is given.
            for (history, name) in histories.iter_mut().zip(["kept.a", "keyed.a"]) {
                shard.poll(PUBLISHER, topic(name), Start::Earliest, false);
                let Some(Event::Polled { polled, .. }) = shard.poll_event() else { panic!("it is answered") };
                let held = polled.messages.len().min(history.len());
                history.drain(..history.len() - held);
            }
            let of_histories: u64 = histories.iter().flatten().map(|(_, bytes)| bytes).sum();
            let of_keys: u64 = keyed.iter().map(|(_, bytes)| bytes).sum();
            let kept = shard.counters().kept_bytes;
            let shown_alone = u64::from(histories[1].len() == 1) * histories[1].first().map_or(0, |(_, bytes)| *bytes);
            prop_assert!(kept == of_histories + of_keys + last || kept + shown_alone == of_histories + of_keys + last,
                "{kept} of {of_histories}, {of_keys} and {last}");
        }
    }
}
