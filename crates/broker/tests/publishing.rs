//! Publishing with conditions: repeats, expectations, batches and atomic ones, over one core and several.

use std::collections::HashMap;
use std::sync::Arc;

use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::shard::{Event, Now};
use fanwire_broker::{ConnectionId, Encoding, Identity, Interface, Permissions, Settings, Shard};
use fanwire_wire::command;
use fanwire_wire::topic::{Topic, TopicOrPattern};
use proptest::prelude::*;

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const SUBSCRIBER: ConnectionId = ConnectionId { slot: 1, generation: 0 };

const WINDOW: MessageIdLimits = MessageIdLimits { max: 3, max_age_ms: 100 };

/// A broker whose cores hand over at once. Both clients live on the first.
struct Broker {
    cores: Vec<Shard>,
    /// A core that drains nothing.
    stalled: Option<usize>,
}

fn settings() -> Settings {
    let rule = |matches: &str, settings| {
        let matches = TopicOrPattern::parse(matches).unwrap();
        TopicRule { matches, settings }
    };
    let message_ids = Some(WINDOW);
    let defaults = TopicSettings::default();
    let topics = vec![
        rule("known.>", TopicSettings { message_ids, ..defaults.clone() }),
        rule("passing.>", TopicSettings { message_ids, last_value: false, ..defaults.clone() }),
        rule(
            "keyed.>",
            TopicSettings {
                keys: Some(KeyLimits { max: 2, bytes: usize::MAX }),
                last_value: false,
                ..defaults.clone()
            },
        ),
        rule("game.>", TopicSettings { message_ids, atomic: true, ..defaults.clone() }),
        rule("flash.>", TopicSettings { atomic: true, last_value: false, ..defaults.clone() }),
        rule("nothing.>", TopicSettings { last_value: false, ..defaults }),
    ];
    Settings { topics, ..Settings::default() }
}

impl Broker {
    fn new(cores: usize) -> Self {
        Self::with(cores, settings())
    }

    fn with(cores: usize, settings: Settings) -> Self {
        let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
        let settings = Arc::new(settings);
        let shard = |core| Shard::new(core, cores, &identity, settings.clone());
        let mut broker = Self { cores: (0..cores).map(shard).collect(), stalled: None };
        for id in [PUBLISHER, SUBSCRIBER] {
            broker.connect(id);
        }
        broker
    }

    fn connect(&mut self, id: ConnectionId) {
        self.cores[0].connect(id);
        self.cores[0].permit(id, Permissions::everything());
        self.cores[0].upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits: None });
    }

    fn turn(&mut self, monotonic_ms: u64) {
        self.cores.iter_mut().for_each(|shard| shard.begin_turn(Now { monotonic_ms, wall_ms: 0 }));
    }

    /// Hands over until nothing waits, but for what is for a core that is stalled.
    fn hand_over(&mut self) {
        let mut is_busy = true;
        while std::mem::take(&mut is_busy) {
            for from in 0..self.cores.len() {
                for to in 0..self.cores.len() {
                    is_busy |= self.hand_over_between(from, to);
                }
            }
        }
    }

    fn hand_over_between(&mut self, from: usize, to: usize) -> bool {
        let requests = self.cores[from].poll_requests(to);
        let deliveries = self.cores[from].poll_deliveries(to);
        if self.stalled == Some(to) {
            if let Some(batch) = requests {
                self.cores[from].restore_requests(to, batch);
            }
            if let Some(batch) = deliveries {
                self.cores[from].restore_deliveries(to, batch);
            }
            return false;
        }
        let moves = requests.is_some() || deliveries.is_some();
        for request in requests.into_iter().flatten() {
            self.cores[to].handle_request(from, request);
        }
        for delivery in deliveries.into_iter().flatten() {
            self.cores[to].handle_delivery(from, delivery);
        }
        moves
    }

    fn say(&mut self, id: ConnectionId, text: &str) {
        let envelope = command::parse(text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        self.cores[0].handle_command(id, envelope);
    }

    /// What the connection is written, each frame in a line.
    fn hear(&mut self, id: ConnectionId) -> String {
        let mut heard = Vec::new();
        while let Some(next) = self.cores[0].poll_flush() {
            let output = self.cores[0].output(next).to_vec();
            if next == id {
                heard.extend_from_slice(&output);
            }
            self.cores[0].wrote(next, output.len());
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// What the publisher is answered.
    fn ask(&mut self, text: &str) -> String {
        self.say(PUBLISHER, text);
        self.hand_over();
        self.hear(PUBLISHER)
    }

    fn topics(&self) -> u64 {
        self.cores.iter().map(|shard| shard.counters().topics).sum()
    }

    fn published(&self) -> u64 {
        self.cores.iter().map(|shard| shard.counters().messages_published).sum()
    }
}

/// The offsets and codes in an answer, in their order.
fn outcomes(answer: &str) -> Vec<Result<u64, String>> {
    let mut outcomes = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.find('"') {
        rest = &rest[at + 1..];
        if let Some(offset) = rest.strip_prefix("offset\":") {
            let end = offset.find(|c: char| !c.is_ascii_digit()).unwrap_or(offset.len());
            outcomes.push(Ok(offset[..end].parse().unwrap()));
        } else if let Some(code) = rest.strip_prefix("code\":\"") {
            outcomes.push(Err(code[..code.find('"').unwrap()].to_owned()));
        }
    }
    outcomes
}

fn refused(code: &str) -> Result<u64, String> {
    Err(code.to_owned())
}

fn publish(topic: &str, conditions: &str) -> String {
    format!(r#"{{"type":"publish","id":1,"topic":"{topic}","data":0{conditions}}}"#)
}

fn message_id(id: &str) -> String {
    format!(r#","message_id":"{id}""#)
}

fn expect(offset: u64) -> String {
    format!(r#","expect":{{"epoch":"epoch","offset":{offset}}}"#)
}

fn batch(messages: &[(&str, &str)], further: &str) -> String {
    let messages: Vec<String> = messages
        .iter()
        .map(|(topic, conditions)| format!(r#"{{"topic":"{topic}","data":0{conditions}}}"#))
        .collect();
    format!(r#"{{"type":"publish_batch","id":1,"messages":[{}]{further}}}"#, messages.join(","))
}

const ATOMIC: &str = r#","atomic":true"#;

/// The core that the topic is at home on, which takes one message to find out.
fn home_of(broker: &mut Broker, topic: &str) -> usize {
    let published = |shard: &Shard| shard.counters().messages_published;
    let before: Vec<u64> = broker.cores.iter().map(published).collect();
    broker.ask(&publish(topic, ""));
    (0..before.len()).find(|&core| published(&broker.cores[core]) > before[core]).unwrap()
}

/// For each core, a topic under `prefix` that is at home there and has one message.
fn topic_on_each_core(broker: &mut Broker, prefix: &str) -> Vec<String> {
    let mut found = vec![None; broker.cores.len()];
    for n in 0.. {
        let name = format!("{prefix}.probe{n}");
        let home = home_of(broker, &name);
        found[home].get_or_insert(name);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.into_iter().flatten().collect()
}

#[test]
fn a_repeat_is_answered_with_the_first_offset_and_not_routed() {
    for cores in [1, 3] {
        let mut broker = Broker::new(cores);
        broker.say(SUBSCRIBER, r#"{"type":"subscribe","topic":"known.a"}"#);
        broker.hand_over();
        broker.hear(SUBSCRIBER);
        assert_eq!(outcomes(&broker.ask(&publish("known.a", &message_id("x")))), [Ok(1)]);
        assert_eq!(outcomes(&broker.ask(&publish("known.a", ""))), [Ok(2)]);
        assert_eq!(outcomes(&broker.ask(&publish("known.a", &message_id("x")))), [Ok(1)]);
        assert_eq!(broker.published(), 2);
        broker.say(PUBLISHER, &publish("known.a", &message_id("x")));
        broker.hand_over();
        assert!(!broker.hear(SUBSCRIBER).contains(r#""type":"message""#));
    }
}

#[test]
fn an_id_is_known_to_its_own_topic_alone() {
    let mut broker = Broker::new(1);
    for topic in ["known.a", "known.b", "known.a"] {
        assert_eq!(outcomes(&broker.ask(&publish(topic, &message_id("x")))), [Ok(1)], "{topic}");
    }
    assert_eq!(outcomes(&broker.ask(&publish("nowindow", &message_id("x")))), [Ok(1)]);
    assert_eq!(
        outcomes(&broker.ask(&publish("nowindow", &message_id("x")))),
        [Ok(2)],
        "no window was configured"
    );
}

#[test]
fn a_topic_is_not_forgotten_before_its_window_ends() {
    let mut broker = Broker::new(1);
    broker.turn(0);
    let first = outcomes(&broker.ask(&publish("passing.a", &message_id("x"))));
    assert_eq!(broker.topics(), 1, "nothing is kept of it but the id");
    let kept = |broker: &Broker| broker.cores[0].counters().kept_bytes;
    assert!(kept(&broker) > 0, "which takes memory too");
    broker.turn(100);
    assert_eq!(outcomes(&broker.ask(&publish("passing.a", &message_id("x")))), first);
    broker.turn(1_101);
    assert_eq!((broker.topics(), kept(&broker)), (0, 0), "a sweep forgets it");
    assert_eq!(outcomes(&broker.ask(&publish("passing.a", &message_id("x")))), [Ok(2)]);
}

#[test]
fn a_topic_with_values_by_key_is_not_forgotten_and_its_latest_is_the_newest_of_all() {
    let mut broker = Broker::new(1);
    for (n, key) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        let key = format!(r#","key":"{key}""#);
        assert_eq!(outcomes(&broker.ask(&publish("keyed.a", &key))), [Ok(n)]);
        assert_eq!(broker.topics(), 1);
        broker.cores[0].latest(PUBLISHER, Topic::parse("keyed.a").unwrap());
        let Some(Event::Latest { latest, .. }) = broker.cores[0].poll_event() else { panic!("no answer") };
        assert_eq!((latest.offset, latest.message.unwrap().offset), (n, n));
    }
}

#[test]
fn a_publish_that_expects_something_else_than_the_latest_position_is_refused() {
    for cores in [1, 3] {
        let mut broker = Broker::new(cores);
        assert_eq!(outcomes(&broker.ask(&publish("a", &expect(1)))), [refused("moved_on")]);
        assert_eq!(broker.topics(), 0, "a refusal does not make a topic");
        assert_eq!(outcomes(&broker.ask(&publish("a", &expect(0)))), [Ok(1)]);
        for stale in [0, 2] {
            assert_eq!(outcomes(&broker.ask(&publish("a", &expect(stale)))), [refused("moved_on")]);
        }
        let other_epoch = r#","expect":{"epoch":"other","offset":1}"#;
        assert_eq!(outcomes(&broker.ask(&publish("a", other_epoch))), [refused("moved_on")]);
        assert_eq!(outcomes(&broker.ask(&publish("a", &expect(1)))), [Ok(2)]);
    }
}

#[test]
fn the_position_of_an_untouched_topic_is_told_and_can_be_expected() {
    let mut broker = Broker::new(1);
    for _ in 0..5 {
        broker.ask(&publish("nothing.first", ""));
    }
    broker.cores[0].latest(PUBLISHER, Topic::parse("untouched").unwrap());
    let Some(Event::Latest { latest, .. }) = broker.cores[0].poll_event() else { panic!("no answer") };
    assert!(latest.message.is_none());
    assert_eq!(latest.offset, 5, "it begins above what was forgotten");
    let subscribed = broker.ask(r#"{"type":"subscribe","id":2,"topic":"untouched"}"#);
    assert_eq!(outcomes(&subscribed), [Ok(5)]);
    assert_eq!(outcomes(&broker.ask(&publish("untouched", &expect(5))))[0], Ok(6));
}

#[test]
fn a_repeat_is_answered_even_if_what_it_expected_has_come_true_through_itself() {
    let mut broker = Broker::new(1);
    let conditions = message_id("x") + &expect(0);
    assert_eq!(outcomes(&broker.ask(&publish("known.a", &conditions))), [Ok(1)]);
    assert_eq!(outcomes(&broker.ask(&publish("known.a", &conditions))), [Ok(1)]);
    let refused_first = message_id("y") + &expect(0);
    assert_eq!(outcomes(&broker.ask(&publish("known.a", &refused_first))), [refused("moved_on")]);
    assert_eq!(
        outcomes(&broker.ask(&publish("known.a", &message_id("y")))),
        [Ok(2)],
        "a refusal is not known"
    );
}

#[test]
fn a_batch_over_several_cores_has_a_result_for_each_message_in_their_order() {
    let mut broker = Broker::new(3);
    let topics = topic_on_each_core(&mut broker, "t");
    let [a, b, c] = [0, 1, 2].map(|core| topics[core].as_str());
    let stale = expect(77);
    let answer = broker.ask(&batch(&[(c, ""), (a, ""), ("no topic", ""), (b, &stale), (c, ""), (a, "")], ""));
    assert!(answer.contains(r#"{"type":"published_batch","id":1,"epoch":"epoch","results":["#), "{answer}");
    let expected = [Ok(2), Ok(2), refused("bad_topic"), refused("moved_on"), Ok(3), Ok(3)];
    assert_eq!(outcomes(&answer), expected);
}

#[test]
fn a_batch_without_an_id_is_answered_too() {
    let mut broker = Broker::new(1);
    let answer = broker.ask(r#"{"type":"publish_batch","messages":[{"topic":"a","data":0}]}"#);
    assert!(
        answer.contains(r#"{"type":"published_batch","epoch":"epoch","results":[{"offset":1}]}"#),
        "{answer}"
    );
}

#[test]
fn what_a_batch_says_of_echo_holds_for_all_its_messages() {
    let mut broker = Broker::new(2);
    broker.ask(r#"{"type":"subscribe","topic":">"}"#);
    let quiet = broker.ask(&batch(&[("a", ""), ("b", ""), ("c", "")], r#","echo":false"#));
    assert!(!quiet.contains(r#""type":"message""#), "{quiet}");
    let loud = broker.ask(&batch(&[("a", ""), ("b", ""), ("c", "")], ""));
    assert_eq!(loud.matches(r#""type":"message""#).count(), 3, "{loud}");
}

#[test]
fn messages_for_a_core_that_is_stalled_are_unavailable_and_the_others_are_published() {
    let away = |cores| {
        let mut broker = Broker::new(cores);
        let home = home_of(&mut broker, "game.a");
        (home != 0).then_some((broker, home))
    };
    let (mut broker, home) = (2..).find_map(away).unwrap();
    let here = topic_on_each_core(&mut broker, "t").swap_remove(0);
    broker.turn(0);
    broker.stalled = Some(home);
    let together = broker.ask(&batch(&[("game.a", ""), ("game.b", "")], ATOMIC));
    let one_by_one = broker.ask(&batch(&[("game.a", ""), (&here, "")], ""));
    assert_eq!([together, one_by_one], ["", ""], "no answer has come from there yet");
    broker.turn(1_000);
    let unavailable = refused("unavailable");
    let expected = [unavailable.clone(), unavailable.clone(), unavailable, Ok(2)];
    assert_eq!(outcomes(&broker.hear(PUBLISHER)), expected);
}

#[test]
fn a_client_with_many_batches_in_the_air_is_not_read_any_further() {
    let mut broker = Broker::new(2);
    let there = topic_on_each_core(&mut broker, "t").swap_remove(1);
    let large = batch(&vec![(there.as_str(), ""); 1_000], "");
    let mut begun = 0;
    while broker.cores[0].may_read_from(PUBLISHER) {
        broker.say(PUBLISHER, &large);
        begun += 1;
        assert!(begun < 100, "nothing stops it");
    }
    assert!(begun > 1 && broker.cores[0].may_read_from(SUBSCRIBER), "the others go on");
    broker.hand_over();
    let answers = broker.hear(PUBLISHER);
    assert_eq!(answers.matches("published_batch").count(), begun);
    assert!(broker.cores[0].may_read_from(PUBLISHER));
}

#[test]
fn an_answer_to_a_batch_never_reaches_the_next_connection_in_the_slot() {
    let mut broker = Broker::new(2);
    let there = topic_on_each_core(&mut broker, "t").swap_remove(1);
    let large = batch(&vec![(there.as_str(), ""); 1_000], "");
    while broker.cores[0].may_read_from(PUBLISHER) {
        broker.say(PUBLISHER, &large);
    }
    broker.cores[0].disconnect(PUBLISHER);
    let next = ConnectionId { generation: 1, ..PUBLISHER };
    broker.connect(next);
    assert!(broker.cores[0].may_read_from(next), "what the last one waited for is forgotten");
    broker.say(next, &batch(&[(&there, ""), ("no topic", "")], ""));
    broker.hand_over();
    let told = outcomes(&broker.hear(next));
    assert!(matches!(told.as_slice(), [Ok(_), Err(_)]), "{told:?}");
}

#[test]
fn an_atomic_batch_gets_its_offsets_together_and_its_receipt_first() {
    for cores in [1, 3] {
        let mut broker = Broker::new(cores);
        broker.ask(r#"{"type":"subscribe","topic":"game.>"}"#);
        let answer = broker.ask(&batch(&[("game.a", ""), ("game.b", ""), ("game.a", "")], ATOMIC));
        let offsets = [Ok(1), Ok(1), Ok(2)];
        assert_eq!(outcomes(&answer), [offsets.clone(), offsets].concat());
        assert!(answer.find("published_batch") < answer.find(r#""type":"message""#), "{answer}");
    }
}

#[test]
fn an_atomic_batch_over_other_topics_is_refused_as_a_whole() {
    for cores in [1, 3] {
        let mut broker = Broker::new(cores);
        for apart in [["game.a", "flash.a"], ["game.a", "known.a"], ["known.a", "known.a"]] {
            let answer = broker.ask(&batch(&apart.map(|topic| (topic, "")), ATOMIC));
            assert_eq!(outcomes(&answer), [refused("not_together")], "{apart:?}");
            assert!(answer.contains(r#""id":1,"command":"publish_batch","code""#), "{answer}");
        }
        assert_eq!((broker.published(), broker.topics()), (0, 0));
    }
}

#[test]
fn if_one_of_an_atomic_batch_is_refused_none_is_published() {
    for cores in [1, 3] {
        let mut broker = Broker::new(cores);
        let stale = expect(9);
        let answer = broker.ask(&batch(&[("game.a", ""), ("game.b", &stale), ("game.c", &stale)], ATOMIC));
        assert_eq!(outcomes(&answer), [refused("aborted"), refused("moved_on"), refused("aborted")]);
        let answer = broker.ask(&batch(&[("game.a", ""), ("no topic", "")], ATOMIC));
        assert_eq!(outcomes(&answer), [refused("aborted"), refused("bad_topic")]);
        assert_eq!((broker.published(), broker.topics()), (0, 0));
        assert_eq!(outcomes(&broker.ask(&publish("game.a", &expect(0)))), [Ok(1)], "no offset was taken");
    }
}

#[test]
fn an_atomic_batch_that_would_make_too_many_topics_makes_none() {
    let mut broker = Broker::with(1, Settings { max_topics: 2, ..settings() });
    let answer = broker.ask(&batch(&[("game.a", ""), ("game.b", ""), ("game.c", "")], ATOMIC));
    assert_eq!(outcomes(&answer), [refused("aborted"), refused("aborted"), refused("too_many_topics")]);
    assert_eq!((broker.published(), broker.topics()), (0, 0));
}

#[test]
fn topics_of_which_nothing_is_kept_go_on_through_an_atomic_batch() {
    let mut broker = Broker::new(1);
    let answer = broker.ask(&batch(&[("flash.a", ""), ("flash.b", ""), ("flash.a", "")], ATOMIC));
    assert_eq!(outcomes(&answer), [Ok(1), Ok(1), Ok(2)]);
    assert_eq!(broker.topics(), 0);
    assert_eq!(outcomes(&broker.ask(&publish("flash.a", ""))), [Ok(3)], "no offset is given twice");
}

#[test]
fn an_atomic_batch_may_repeat_what_is_known_and_itself() {
    let mut broker = Broker::new(1);
    let [x, y] = ["x", "y"].map(message_id);
    broker.ask(&publish("game.a", &x));
    let repeated = batch(&[("game.a", &x), ("game.a", &y), ("game.b", ""), ("game.a", &y)], ATOMIC);
    assert_eq!(outcomes(&broker.ask(&repeated)), [Ok(1), Ok(2), Ok(1), Ok(2)]);
    assert_eq!(broker.published(), 3);
    let expecting = x + &expect(0);
    let repeated = batch(&[("game.a", &expecting), ("game.b", "")], ATOMIC);
    assert_eq!(outcomes(&broker.ask(&repeated)), [Ok(1), Ok(2)], "a repeat expects nothing any more");
}

/// One message of a generated command: topic, id, and how far what it expects is from the latest offset.
type Generated = (u8, Option<u8>, Option<u64>);

/// The naive twin: every message that was ever published, searched anew each time.
#[derive(Default)]
struct Naive(HashMap<u8, Vec<(Option<u8>, u64)>>);

impl Naive {
    fn outcome(&self, message: Generated, now: u64) -> Result<Option<u64>, String> {
        let (topic, id, expects) = message;
        let published = self.0.get(&topic).map_or(&[][..], Vec::as_slice);
        let with_id: Vec<_> = published.iter().enumerate().filter(|(_, (id, _))| id.is_some()).collect();
        let window = &with_id[with_id.len().saturating_sub(WINDOW.max)..];
        let known = window.iter().find(|(_, (known, came))| *known == id && now - came <= WINDOW.max_age_ms);
        match (known, expects) {
            (Some((at, _)), _) if id.is_some() => Ok(Some(*at as u64 + 1)),
            (_, Some(offset)) if offset != published.len() as u64 => Err("moved_on".to_owned()),
            _ => Ok(None),
        }
    }

    fn publish(&mut self, message: Generated, now: u64) -> Result<u64, String> {
        if let Some(offset) = self.outcome(message, now)? {
            return Ok(offset);
        }
        let published = self.0.entry(message.0).or_default();
        published.push((message.1, now));
        Ok(published.len() as u64)
    }

    fn publish_together(&mut self, messages: &[Generated], now: u64) -> Vec<Result<u64, String>> {
        let before: Vec<_> = messages.iter().map(|message| self.outcome(*message, now)).collect();
        if let Some(at) = before.iter().position(Result::is_err) {
            let code = |index| if index == at { "moved_on" } else { "aborted" };
            return (0..messages.len()).map(|index| refused(code(index))).collect();
        }
        let publish = |(message, before): (&Generated, Result<Option<u64>, _>)| match before {
            Ok(Some(offset)) => Ok(offset),
            _ => self.publish((message.0, message.1, None), now),
        };
        messages.iter().zip(before).map(publish).collect()
    }
}

fn generated() -> impl Strategy<Value = Generated> {
    let id = prop_oneof![Just(None), (0u8..5).prop_map(Some)];
    let expects = prop_oneof![4 => Just(None), 1 => (0u64..6).prop_map(Some)];
    (0u8..3, id, expects)
}

proptest! {
    #[test]
    fn terms_are_kept_as_a_search_through_all_that_was_published_would_keep_them(
        cores in 1usize..4,
        commands in proptest::collection::vec(
            (0u64..60, any::<bool>(), proptest::collection::vec(generated(), 1..6)), 1..30,
        ),
    ) {
        let mut broker = Broker::new(cores);
        let mut naive = Naive::default();
        let mut now = 0;
        for (pause, atomic, messages) in commands {
            now += pause;
            broker.turn(now);
            let texts: Vec<(String, String)> = messages
                .iter()
                .map(|(topic, id, expects)| {
                    let id = id.map_or_else(String::new, |id| message_id(&id.to_string()));
                    (format!("game.{topic}"), id + &expects.map_or_else(String::new, expect))
                })
                .collect();
            let said: Vec<(&str, &str)> = texts.iter().map(|(topic, conditions)| (&**topic, &**conditions)).collect();
            let answer = broker.ask(&batch(&said, if atomic { ATOMIC } else { "" }));
            let expected = if atomic {
                naive.publish_together(&messages, now)
            } else {
                messages.iter().map(|message| naive.publish(*message, now)).collect()
            };
            prop_assert_eq!(outcomes(&answer), expected);
        }
    }
}
