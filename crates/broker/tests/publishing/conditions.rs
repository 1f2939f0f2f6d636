//! Terms of a single message: ids that are known again, and positions that it expects.

use fanwire_broker::shard::Event;
use fanwire_wire::topic::Topic;

use super::{Broker, PUBLISHER, SUBSCRIBER, expect, message_id, outcomes, publish, refused};

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
