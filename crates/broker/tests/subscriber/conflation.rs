//! What a subscriber gets that conflates and does not keep up, through the shard's contract.

use std::collections::BTreeMap;

use bytes::Bytes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{MaxAge, TopicSettings};
use fanwire_broker::{Backlog, Delivery, Event, Flushed, Interface, Now, Settings, Shard, Start};
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::PayloadKind;
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{SUBSCRIBER, next_frame, publish_draft, rule, say, shard_with};

/// One core with a publisher and a subscriber. `feed.>` conflates, `fresh.>` too and has a `max_age` of a second, `kept.>`
/// tells gaps and keeps history, and on it one may ask for conflation; on `news` nobody may.
fn shard(interface: Interface, backlog_bytes: usize) -> Shard {
    shard_that_reads(interface, backlog_bytes, Settings::default().chunk_bytes)
}

/// The same, with history read so many bytes at a time.
fn shard_that_reads(interface: Interface, backlog_bytes: usize, chunk_bytes: usize) -> Shard {
    let history = Some(HistoryLimits { messages: 100, bytes: usize::MAX, max_age_ms: None });
    let conflate = TopicSettings {
        overflow: OverflowPolicy::Conflate,
        allow: vec![OverflowPolicy::Gap],
        ..Default::default()
    };
    let max_age = Some(MaxAge { ms: 1_000, newest: false });
    let topics = vec![
        rule("feed.>", conflate.clone()),
        rule("fresh.>", TopicSettings { max_age, ..conflate }),
        rule(
            "kept.>",
            TopicSettings { history, allow: vec![OverflowPolicy::Conflate], ..Default::default() },
        ),
    ];
    let settings = Settings { topics, backlog_bytes, chunk_bytes, ..Settings::default() };
    shard_with(settings, interface)
}

fn publish(shard: &mut Shard, topic: &str, key: &str, text: &str) {
    let payload = Bytes::copy_from_slice(text.as_bytes());
    publish_draft(shard, topic, (!key.is_empty()).then_some(key), PayloadKind::Text, payload);
}

/// The subscriber's turn: its socket takes so many frames, or fewer if there are no more. What it was told.
fn take(shard: &mut Shard, most: usize) -> Vec<serde_json::Value> {
    let mut told = Vec::new();
    shard.handle_writable(SUBSCRIBER);
    while let Some(id) = shard.poll_flush() {
        let output = shard.output(id).to_vec();
        let mut rest = &output[..];
        while told.len() < most
            && let Some((said, behind)) = next_frame(rest)
        {
            told.push(said);
            rest = behind;
        }
        shard.wrote(id, output.len() - rest.len());
    }
    told
}

/// What a subscriber was told, in short: the payload and what it skipped, or the notification.
fn short(told: &[serde_json::Value]) -> Vec<String> {
    let one = |said: &serde_json::Value| match said["type"].as_str().unwrap() {
        "message" => match said["skipped"].as_u64() {
            Some(skipped) => format!("{}-{skipped}", said["data"].as_str().unwrap()),
            None => said["data"].as_str().unwrap().to_owned(),
        },
        "skipped" => format!("skipped {} to {}", said["count"], said["offset"]),
        "gap" => format!("gap {} to {}", said["from"], said["to"]),
        "error" => said["code"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    told.iter().map(one).collect()
}

/// A subscriber of `topic` that has taken one frame of the ten messages `1` to `10`, of the keys `a` and `b` in turns.
fn behind(topic: &str, backlog_bytes: usize) -> Shard {
    let mut shard = shard(Interface::Json, backlog_bytes);
    say(&mut shard, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
    assert_eq!(short(&take(&mut shard, 9)), ["subscribed"]);
    for n in 1..=10 {
        publish(&mut shard, topic, ["a", "b"][n % 2], &n.to_string());
    }
    assert_eq!(short(&take(&mut shard, 1)), ["1"]);
    shard
}

#[test]
fn who_keeps_up_gets_every_message() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
    for n in 1..=3 {
        publish(&mut shard, "feed.a", "a", &n.to_string());
    }
    assert_eq!(short(&take(&mut shard, 9)), ["subscribed", "1", "2", "3"]);
    assert_eq!(shard.counters().messages_skipped, 0);
}

#[test]
fn who_keeps_up_gets_every_message_while_it_reads_another_topic_from_history() {
    let mut shard = shard(Interface::Json, 100_000);
    (1..=2).for_each(|n| publish(&mut shard, "kept.a", "a", &format!("kept {n}")));
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
    take(&mut shard, 9);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a","since":"earliest"}"#);
    for n in 1..=3 {
        publish(&mut shard, "feed.a", "a", &n.to_string());
    }
    assert_eq!(short(&take(&mut shard, 9)), ["subscribed", "1", "2", "3", "kept 1", "kept 2"]);
}

#[test]
fn what_is_in_the_palette_when_a_connection_falls_behind_is_conflated_too() {
    let mut shard = behind("feed.a", 100_000);
    assert_eq!(short(&take(&mut shard, 9)), ["9-7", "10"]);
    assert_eq!(shard.counters().messages_skipped, 7);
}

#[test]
fn a_generation_is_sent_as_it_was_frozen_while_the_next_gathers() {
    let mut shard = behind("feed.a", 100_000);
    assert_eq!(short(&take(&mut shard, 1)), ["9-7"]);
    publish(&mut shard, "feed.a", "a", "11");
    publish(&mut shard, "feed.a", "b", "12");
    publish(&mut shard, "feed.a", "a", "13");
    assert_eq!(short(&take(&mut shard, 9)), ["10", "12-1", "13"]);
}

#[test]
fn a_frame_that_was_begun_is_finished_and_not_conflated() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
    take(&mut shard, 9);
    (1..=3).for_each(|n| publish(&mut shard, "feed.a", "a", &n.to_string()));
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    let begun = shard.output(SUBSCRIBER)[..5].to_vec();
    assert_eq!(shard.wrote(SUBSCRIBER, 5), Flushed::More);
    let mut written = begun;
    while let Some(id) = shard.poll_flush() {
        written.extend_from_slice(shard.output(id));
        let bytes = shard.output(id).len();
        shard.wrote(id, bytes);
    }
    let text = String::from_utf8_lossy(&written);
    assert!(
        text.contains(r#""data":"1"}"#) && text.contains(r#""skipped":1"#) && !text.contains(r#""data":"2""#),
        "{text}"
    );
}

#[test]
fn a_subscription_may_ask_for_what_its_rule_allows() {
    for (topic, policy, answer) in [
        ("kept.a", "conflate", "subscribed"),
        ("feed.a", "gap", "subscribed"),
        ("feed.a", "conflate", "subscribed"),
        ("feed.a", "disconnect", "policy_not_allowed"),
        ("news", "conflate", "policy_not_allowed"),
        ("news", "gap", "subscribed"),
        ("feed.>", "gap", "subscribed"),
        (">", "conflate", "policy_not_allowed"),
    ] {
        let mut shard = shard(Interface::Json, 100_000);
        say(&mut shard, &format!(r#"{{"type":"subscribe","topic":"{topic}","overflow":"{policy}"}}"#));
        assert_eq!(short(&take(&mut shard, 9)), [answer], "{policy} on {topic}");
    }
}

#[test]
fn of_several_subscriptions_the_one_to_the_topic_itself_decides() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.>"}"#);
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a","overflow":"gap"}"#);
    take(&mut shard, 9);
    for n in 1..=4 {
        publish(&mut shard, "feed.a", "a", &n.to_string());
        publish(&mut shard, "feed.b", "a", &format!("b{n}"));
    }
    assert_eq!(short(&take(&mut shard, 1)), ["1"]);
    for n in 5..=6 {
        publish(&mut shard, "feed.a", "a", &n.to_string());
        publish(&mut shard, "feed.b", "a", &format!("b{n}"));
    }
    assert_eq!(short(&take(&mut shard, 99)), ["2", "3", "4", "5", "6", "b6-5"]);
}

#[test]
fn of_several_patterns_the_one_decides_that_has_the_name_where_the_other_has_a_wildcard() {
    for patterns in [["feed.*", "*.a"], ["*.a", "feed.*"]] {
        let mut shard = shard(Interface::Json, 100_000);
        for pattern in patterns {
            let overflow = if pattern == "feed.*" { "conflate" } else { "gap" };
            let text = format!(r#"{{"type":"subscribe","topic":"{pattern}","overflow":"{overflow}"}}"#);
            say(&mut shard, &text);
        }
        assert_eq!(short(&take(&mut shard, 9)), ["subscribed", "subscribed"]);
        for n in 1..=4 {
            publish(&mut shard, "feed.a", "a", &n.to_string());
        }
        assert_eq!(short(&take(&mut shard, 1)), ["1"]);
        assert_eq!(short(&take(&mut shard, 9)), ["4-2"], "{patterns:?}");
    }
}

#[test]
fn what_was_gathered_comes_in_front_of_what_ends_its_subscription() {
    let mut shard = behind("feed.a", 100_000);
    publish(&mut shard, "feed.a", "a", "11");
    say(&mut shard, r#"{"type":"unsubscribe","id":1,"topic":"feed.a"}"#);
    say(&mut shard, r#"{"type":"subscribe","id":2,"topic":"feed.a"}"#);
    publish(&mut shard, "feed.a", "a", "12");
    assert_eq!(short(&take(&mut shard, 9)), ["9-7", "10", "11", "unsubscribed", "subscribed", "12"]);
}

#[test]
fn what_was_gathered_comes_in_front_of_a_gap_and_of_the_close_frame() {
    let mut shard = behind("feed.a", 100_000);
    shard.handle_delivery(
        0,
        Delivery::Lost {
            topic: Topic::parse("feed.a").unwrap(),
            number: TopicNumber::MIN,
            offsets: (11, 14),
        },
    );
    publish(&mut shard, "feed.b", "a", "not for it");
    publish(&mut shard, "feed.a", "a", "11");
    shard.close(SUBSCRIBER, CloseCode::GOING_AWAY, "", Backlog::Keep);
    assert_eq!(short(&take(&mut shard, 9)), ["9-7", "10", "gap 11 to 14", "11"]);
}

#[test]
fn a_rewind_forgets_what_was_gathered() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a","overflow":"conflate"}"#);
    take(&mut shard, 9);
    (1..=4).for_each(|n| publish(&mut shard, "kept.a", "a", &n.to_string()));
    assert_eq!(short(&take(&mut shard, 1)), ["1"]);
    say(&mut shard, r#"{"type":"recover","topic":"kept.a","since":{"epoch":"epoch","offset":2}}"#);
    assert_eq!(short(&take(&mut shard, 99)), ["subscribed", "3", "4"]);
}

/// The offset behind what was told, which begins with `next` and leaves nothing out.
fn accounted(next: u64, told: &[serde_json::Value]) -> u64 {
    told.iter().filter(|said| said["type"] != "subscribed").fold(next, |next, said| {
        let number = |name: &str| said[name].as_u64();
        let first = number("from").or(number("offset")).unwrap() - number("skipped").unwrap_or(0);
        assert_eq!(first, next, "{said}");
        number("to").or(number("offset")).unwrap() + 1
    })
}

#[test]
fn who_conflates_and_comes_back_to_a_feed_faster_than_its_socket_gets_what_it_asks_for_and_then_what_is_new()
{
    for chunk_bytes in [500, 64 * 1024] {
        let mut shard = shard_that_reads(Interface::Json, 100_000, chunk_bytes);
        let mut published = 0;
        let mut publish_more = |shard: &mut Shard, count: u64| {
            for _ in 0..count {
                published += 1;
                publish(shard, "kept.a", ["a", "b"][published as usize % 2], "");
            }
            published
        };
        publish_more(&mut shard, 50);
        say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
        let since = r#""since":{"epoch":"epoch","offset":44}"#;
        let text = format!(r#"{{"type":"subscribe","topic":"kept.a","overflow":"conflate",{since}}}"#);
        say(&mut shard, &text);
        let mut next = 45;
        for round in 0..40 {
            let latest = publish_more(&mut shard, 30);
            publish(&mut shard, "feed.a", "", "");
            let mut told = take(&mut shard, 3);
            told.retain(|said| said["topic"] == "kept.a");
            assert!(told.iter().all(|said| said["type"] != "gap"), "history holds what it reads: {told:?}");
            for said in told.iter().filter(|said| said["skipped"].is_u64()) {
                let first = said["offset"].as_u64().unwrap() - said["skipped"].as_u64().unwrap();
                assert!(first > 50, "what was asked for is all there: {said}");
            }
            next = accounted(next, &told);
            assert!(round < 20 || latest < next + 75, "{latest} was published, and {next} is next");
        }
    }
}

#[test]
fn who_has_had_all_keeps_up_again_while_it_still_reads_from_history() {
    let mut shard = shard_that_reads(Interface::Json, 100_000, 1);
    (1..=4).for_each(|n| publish(&mut shard, "kept.a", "a", &format!("kept {n}")));
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
    say(&mut shard, r#"{"type":"subscribe","topic":"kept.a","since":"earliest"}"#);
    assert_eq!(short(&take(&mut shard, 1)), ["subscribed"]);
    shard.handle_writable(SUBSCRIBER);
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    let all = shard.output(SUBSCRIBER).len();
    shard.wrote(SUBSCRIBER, all);
    (1..=3).for_each(|n| publish(&mut shard, "feed.a", "a", &n.to_string()));
    let told = short(&take(&mut shard, 9));
    assert_eq!(told, ["1", "2", "3", "kept 1", "kept 2", "kept 3", "kept 4"]);
}

#[test]
fn a_raw_subscriber_is_not_conflated_but_let_go() {
    let mut shard = shard(Interface::Raw, 1_000);
    shard.subscribe(SUBSCRIBER, Topic::parse("feed.a").unwrap(), Start::Now);
    assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    (1..=9).for_each(|n| publish(&mut shard, "feed.a", "a", &n.to_string()));
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    shard.wrote(SUBSCRIBER, 0);
    assert!(matches!(shard.poll_event(), Some(Event::SlowConsumer { .. })));
}

#[test]
fn what_is_too_old_in_its_turn_is_skipped_but_for_the_newest_of_its_key() {
    let mut shard = shard(Interface::Json, 100_000);
    say(&mut shard, r#"{"type":"subscribe","topic":"fresh.a","overflow":"gap"}"#);
    take(&mut shard, 9);
    for (key, text, monotonic_ms) in [
        ("a", "1", 0),
        ("a", "2", 100),
        ("b", "3", 200),
        ("a", "4", 900),
        ("c", "5", 1_500),
        ("c", "6", 1_600),
    ] {
        shard.begin_turn(Now { monotonic_ms, wall_ms: 0 });
        publish(&mut shard, "fresh.a", key, text);
    }
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    shard.wrote(SUBSCRIBER, 0);
    shard.begin_turn(Now { monotonic_ms: 2_000, wall_ms: 0 });
    assert_eq!(
        short(&take(&mut shard, 99)),
        ["3-2", "4", "5", "6"],
        "1 and 2 are old, and 4 is newer; 3 is b's newest"
    );
    assert_eq!(shard.counters().messages_skipped, 2);
}

#[test]
fn without_room_for_its_keys_a_subscriber_is_told_of_what_it_lost() {
    let mut shard = behind("feed.a", 1_000);
    for n in 11..=20 {
        publish(&mut shard, "feed.a", &format!("k{n}"), &n.to_string());
    }
    let told = short(&take(&mut shard, 99));
    let skipped: usize = told.iter().filter_map(|one| one.split_once('-')?.1.parse::<usize>().ok()).sum();
    assert_eq!(told.last().map(String::as_str), Some("20"));
    assert_eq!(told.len() + skipped, 19, "{told:?}");
}

/// 1,000 keys for 100 seconds, the first changing 100 times a second, the others once; a reader takes 50 messages a second.
/// For each key, when it was delivered and how old it was, in milliseconds.
fn a_thousand_keys(backlog_bytes: usize) -> BTreeMap<String, Vec<(u64, u64)>> {
    let mut shard = shard(Interface::Json, backlog_bytes);
    say(&mut shard, r#"{"type":"subscribe","topic":"feed.a"}"#);
    take(&mut shard, 9);
    let mut delivered: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
    let mut next = 1;
    for now_ms in 1..=100_000 {
        shard.begin_turn(Now { monotonic_ms: now_ms, wall_ms: now_ms });
        publish(&mut shard, "feed.a", &format!("k{}", now_ms % 1_000), "");
        if now_ms % 10 == 5 {
            publish(&mut shard, "feed.a", "k0", "");
        }
        if now_ms % 20 != 0 {
            continue;
        }
        for said in take(&mut shard, 1) {
            let (offset, skipped) = (said["offset"].as_u64().unwrap(), said["skipped"].as_u64().unwrap_or(0));
            next += skipped;
            assert_eq!(offset, next, "delivered and skipped are what was published");
            next += 1;
            let age_ms = now_ms - said["time"].as_u64().unwrap();
            delivered.entry(said["key"].as_str().unwrap().to_owned()).or_default().push((now_ms, age_ms));
        }
    }
    delivered
}

/// 1,000 values at 50 a second.
const GENERATION_MS: u64 = 20_000;

/// How long a key waited for its next turn, each time, and when that came.
fn waits(times: &[(u64, u64)]) -> impl Iterator<Item = (u64, u64)> {
    times.windows(2).map(|two| (two[1].0 - two[0].0, two[1].0))
}

#[test]
fn no_key_starves() {
    // Room for two generations.
    let delivered = a_thousand_keys(1024 * 1024);
    assert_eq!(delivered.len(), 1_000, "every key is served");
    for (key, times) in &delivered {
        assert!(times.len() >= 4, "{key} had its turn {} times", times.len());
        for (wait_ms, at_ms) in waits(times) {
            // The first generations are not complete, and grow.
            let most = if at_ms < 60_000 { 2 * GENERATION_MS } else { GENERATION_MS + 100 };
            assert!(wait_ms <= most, "{key} waited {wait_ms} ms until {at_ms}");
        }
    }
    let oldest = delivered["k0"].iter().map(|(_, age_ms)| *age_ms).max();
    assert!(
        oldest.is_some_and(|age_ms| age_ms <= GENERATION_MS),
        "the hot key's value was {oldest:?} ms old"
    );
}

#[test]
fn no_key_starves_where_only_one_generation_has_room() {
    // The default. What makes room are values that have newer ones behind them, so that every key has one.
    let delivered = a_thousand_keys(256 * 1024);
    assert_eq!(delivered.len(), 1_000, "every key is served");
    for (key, times) in &delivered {
        assert!(waits(times).all(|(wait_ms, _)| wait_ms <= 2 * GENERATION_MS), "{key}: {times:?}");
        assert!(times.iter().all(|(_, age_ms)| *age_ms <= GENERATION_MS), "{key}: {times:?}");
    }
}
