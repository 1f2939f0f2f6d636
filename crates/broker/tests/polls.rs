//! Polls through the shard: each is answered once, whatever crosses it on its way.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::topic_table::Polled;
use fanwire_broker::{
    ConnectionId, Delivery, Draft, Event, Identity, Now, Permissions, Request, Settings, Shard, Start,
};
use fanwire_wire::command::PayloadKind;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicOrPattern};

const CLIENT: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const PUBLISHER: ConnectionId = ConnectionId { slot: 1, generation: 0 };

/// Core number `core` of `cores`, with a client and a publisher. Topics keep nothing.
fn shard(core: usize, cores: usize) -> Shard {
    let settings = TopicSettings {
        history: None,
        last_value: false,
        overflow: OverflowPolicy::Gap,
        ..TopicSettings::default()
    };
    let rule = TopicRule { matches: TopicOrPattern::parse(">").unwrap(), settings };
    let settings = Settings { topics: vec![rule], ..Settings::default() };
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(core, cores, &identity, Arc::new(settings));
    for id in [CLIENT, PUBLISHER] {
        connect(&mut shard, id);
    }
    shard
}

fn connect(shard: &mut Shard, id: ConnectionId) {
    shard.connect(id);
    shard.permit(id, Permissions::everything());
}

fn publish(shard: &mut Shard, topic: &Topic, bytes: usize) {
    let draft = Draft {
        topic: topic.clone(),
        key: None,
        kind: PayloadKind::Binary,
        content_type: None,
        payload: Bytes::from(vec![0; bytes]),
        echo: true,
        conditions: None,
    };
    shard.publish(PUBLISHER, draft, false);
}

/// The offsets of the messages in an answer.
fn offsets(polled: &Polled) -> Vec<u64> {
    polled.messages.iter().map(|message| message.offset).collect()
}

/// The answer to the client's poll.
fn answer(shard: &mut Shard) -> Polled {
    match shard.poll_event().or_else(|| shard.poll_answer()) {
        Some(Event::Polled { connection: CLIENT, polled }) => polled,
        other => panic!("{other:?} is no answer to the poll"),
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

/// Two cores, and a topic whose home is the second.
struct Pair {
    asking: Shard,
    home: Shard,
    topic: Topic,
}

impl Pair {
    fn new() -> Self {
        let mut asking = shard(0, 2);
        let is_elsewhere = |topic: &Topic| {
            asking.latest(CLIENT, topic.clone());
            asking.poll_requests(1).is_some()
        };
        let topic = (0..100).map(|n| topic(&format!("t{n}"))).find(is_elsewhere).expect("a topic of core 1");
        while asking.poll_event().is_some() {}
        Self { asking, home: shard(1, 2), topic }
    }

    fn poll(&mut self) {
        self.asking.poll(CLIENT, self.topic.clone(), Start::Now, true);
    }

    /// Takes what waits for the home there.
    fn carry_requests(&mut self) {
        for request in self.asking.poll_requests(1).unwrap_or_default() {
            self.home.handle_request(0, request);
        }
    }

    /// Takes what waits for the asking core there.
    fn carry_deliveries(&mut self) {
        for delivery in self.home.poll_deliveries(0).unwrap_or_default() {
            self.asking.handle_delivery(1, delivery);
        }
    }

    /// The home's lane is full for longer than a core is waited for.
    fn stall(&mut self) {
        let batch = self.asking.poll_requests(1).expect("something for the home");
        self.asking.restore_requests(1, batch);
        self.asking.begin_turn(Now { monotonic_ms: 10_000, wall_ms: 0 });
    }
}

#[test]
fn a_poll_that_waits_keeps_its_topic_and_its_end_lets_it_go() {
    let mut shard = shard(0, 1);
    let counted = |shard: &Shard| (shard.counters().topics, shard.counters().polls);
    shard.poll(CLIENT, topic("a"), Start::Now, true);
    assert_eq!(counted(&shard), (1, 1));
    shard.end_poll(CLIENT);
    assert_eq!((offsets(&answer(&mut shard)), counted(&shard)), (vec![], (0, 0)));

    shard.poll(CLIENT, topic("a"), Start::Now, true);
    publish(&mut shard, &topic("a"), 1);
    assert_eq!((offsets(&answer(&mut shard)), counted(&shard)), (vec![1], (0, 0)));

    shard.poll(CLIENT, topic("a"), Start::Now, true);
    shard.disconnect(CLIENT);
    assert_eq!(counted(&shard), (0, 0));
    assert!(shard.poll_event().is_none(), "there is nobody to answer");
}

#[test]
fn a_poll_that_does_not_wait_makes_no_topic() {
    let mut shard = shard(0, 1);
    shard.poll(CLIENT, topic("a"), Start::Earliest, false);
    assert!(answer(&mut shard).messages.is_empty());
    assert_eq!(shard.counters().topics, 0);
}

/// Connections whose polls wait for topic `a`.
fn waiting(shard: &mut Shard, count: u32) -> Vec<ConnectionId> {
    let ids: Vec<_> = (10..10 + count).map(|slot| ConnectionId { slot, generation: 0 }).collect();
    for &id in &ids {
        connect(shard, id);
        shard.poll(id, topic("a"), Start::Now, true);
    }
    ids
}

/// Answers as many polls as there is room for; who was answered.
fn answer_polls(shard: &mut Shard) -> Vec<ConnectionId> {
    let mut answered = Vec::new();
    while let Some(Event::Polled { connection, polled }) = shard.poll_answer() {
        shard.reply(connection, &polled.messages[0].payload);
        answered.push(connection);
    }
    answered
}

fn flush(shard: &mut Shard) {
    while let Some(id) = shard.poll_flush() {
        let bytes = shard.output(id).len();
        shard.wrote(id, bytes);
    }
}

#[test]
fn answers_come_as_they_have_room_and_all_of_them_before_the_end() {
    let mut shard = shard(0, 1);
    let ids = waiting(&mut shard, 40);
    publish(&mut shard, &topic("a"), 400_000);
    shard.stop();
    let (mut answered, mut rounds) = (Vec::new(), 0);
    while !shard.is_stopped() {
        rounds += 1;
        assert!(shard.has_answers(), "nothing else would bring the next of them");
        answered.extend(answer_polls(&mut shard));
        flush(&mut shard);
    }
    assert!(rounds > 10, "{rounds} rounds are no pace for 16 MB");
    assert_eq!(answered, ids);
}

#[test]
fn polls_that_are_answered_keep_nobody_else_waiting() {
    let mut shard = shard(0, 1);
    waiting(&mut shard, 40);
    publish(&mut shard, &topic("a"), 600_000);
    assert_eq!(answer_polls(&mut shard).len(), 1);
    flush(&mut shard);
    assert!(shard.poll_event().is_none(), "it would be told in front of what comes in");
    assert!(shard.may_read() && shard.may_take_deliveries());
}

#[test]
fn nobody_else_keeps_polls_that_are_answered_waiting() {
    let mut shard = shard(0, 1);
    let ids = waiting(&mut shard, 2);
    publish(&mut shard, &topic("a"), 600_000);
    for id in ids {
        shard.reply(PUBLISHER, &vec![0; 2 * 1024 * 1024]);
        assert!(!shard.may_take_deliveries(), "the palette is full");
        assert_eq!(answer_polls(&mut shard), [id]);
        assert!(answer_polls(&mut shard).is_empty(), "one palette, one share");
        flush(&mut shard);
    }
}

#[test]
fn a_poll_whose_end_crosses_its_message_gets_the_message_and_no_second_answer() {
    let mut pair = Pair::new();
    pair.poll();
    pair.carry_requests();
    let topic = pair.topic.clone();
    publish(&mut pair.home, &topic, 1);
    pair.asking.end_poll(CLIENT);
    pair.carry_requests();
    pair.carry_deliveries();
    assert_eq!(offsets(&answer(&mut pair.asking)), [1]);
    assert!(pair.asking.poll_event().is_none() && !pair.asking.has_answers());
    assert_eq!(pair.asking.counters().polls, 0);
}

#[test]
fn one_message_is_one_delivery_to_a_core_however_many_polls_wait_there() {
    let mut pair = Pair::new();
    for slot in 10..50 {
        let id = ConnectionId { slot, generation: 0 };
        connect(&mut pair.asking, id);
        pair.asking.poll(id, pair.topic.clone(), Start::Now, true);
    }
    pair.carry_requests();
    let topic = pair.topic.clone();
    publish(&mut pair.home, &topic, 1);
    publish(&mut pair.home, &topic, 1);
    let deliveries = pair.home.poll_deliveries(0).unwrap();
    assert!(matches!(deliveries[..], [Delivery::Awaited { .. }]), "{deliveries:?}");
}

#[test]
fn a_stalled_home_is_not_waited_for_and_forgets_the_poll_when_it_is_back() {
    let mut pair = Pair::new();
    pair.poll();
    pair.carry_requests();
    pair.asking.end_poll(CLIENT);
    pair.stall();
    let refused = pair.asking.poll_event();
    assert!(
        matches!(refused, Some(Event::Refused { ref refused, .. }) if refused.code == ErrorCode::Unavailable),
        "{refused:?}"
    );

    // The next poll of the connection finds the late answer to the one before, and must not take it.
    let waiting = pair.asking.poll_requests(1).expect("the end of the poll is kept");
    assert!(matches!(waiting[..], [Request::EndPoll { .. }]), "{waiting:?}");
    pair.poll();
    let topic = pair.topic.clone();
    publish(&mut pair.home, &topic, 1);
    pair.carry_deliveries();
    assert!(pair.asking.poll_answer().is_none(), "that answered the poll before");
    for request in waiting {
        pair.home.handle_request(0, request);
    }
    pair.carry_requests();
    publish(&mut pair.home, &topic, 1);
    pair.carry_deliveries();
    assert_eq!(offsets(&answer(&mut pair.asking)), [2]);
}

#[test]
fn a_poll_of_a_stalled_home_is_refused() {
    let mut pair = Pair::new();
    pair.poll();
    pair.stall();
    assert!(matches!(pair.asking.poll_event(), Some(Event::Refused { .. })));
    assert_eq!((pair.asking.counters().polls, pair.asking.poll_requests(1).is_none()), (0, true));
}

#[test]
fn the_next_connection_of_a_slot_is_not_answered_for_the_last() {
    let mut pair = Pair::new();
    pair.poll();
    pair.carry_requests();
    pair.asking.disconnect(CLIENT);
    let next = ConnectionId { generation: 1, ..CLIENT };
    connect(&mut pair.asking, next);
    pair.asking.poll(next, pair.topic.clone(), Start::Now, true);
    let topic = pair.topic.clone();
    publish(&mut pair.home, &topic, 1);
    pair.carry_deliveries();
    assert!(pair.asking.poll_answer().is_none(), "it is for a connection that has gone");
    pair.carry_requests();
    publish(&mut pair.home, &topic, 1);
    pair.carry_deliveries();
    let Some(Event::Polled { connection, polled }) = pair.asking.poll_answer() else { panic!("no answer") };
    assert_eq!((connection, offsets(&polled)), (next, vec![2]));
}
