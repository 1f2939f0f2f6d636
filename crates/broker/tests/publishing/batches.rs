//! Batches: a result for each message, in their order.

use fanwire_broker::ConnectionId;

use super::{
    ATOMIC, Broker, PUBLISHER, SUBSCRIBER, batch, expect, home_of, outcomes, refused, topic_on_each_core,
};

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
