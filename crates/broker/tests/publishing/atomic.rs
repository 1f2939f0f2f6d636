//! Atomic batches: all of the messages, or none.

use fanwire_broker::Settings;

use super::{ATOMIC, Broker, batch, expect, message_id, outcomes, publish, refused, settings};

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
