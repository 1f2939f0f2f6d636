//! What a connection may not do is not done, whichever way it asks; and it is told.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::permissions::Grants;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::{
    ConnectionId, Draft, Encoding, Event, Identity, Interface, Permissions, Settings, Shard, Start,
};
use fanwire_wire::binary::{Received, parse_command, parse_notification, write_command};
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicOrPattern};
use serde_json::{Value, json};

const ALICE: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const OTHER: ConnectionId = ConnectionId { slot: 1, generation: 0 };

fn permissions(subscribe: &[&str], publish: &[&str]) -> Arc<Permissions> {
    let grants =
        |texts: &[&str]| texts.iter().map(|text| TopicOrPattern::parse(text).unwrap()).collect::<Grants>();
    let identity = Some("alice".into());
    Arc::new(Permissions { identity, subscribe: grants(subscribe), publish: grants(publish) })
}

/// One core with two connections, of which the second may do everything. Topics of `game.>` are kept together.
fn shard(interface: Option<Interface>) -> Shard {
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let game = TopicRule {
        matches: TopicOrPattern::parse("game.>").unwrap(),
        settings: TopicSettings { atomic: true, ..TopicSettings::default() },
    };
    let settings = Settings { topics: vec![game], ..Settings::default() };
    let mut shard = Shard::new(0, 1, &identity, Arc::new(settings));
    for (id, interface) in [(ALICE, interface), (OTHER, Some(Interface::Json))] {
        shard.connect(id);
        if let Some(interface) = interface {
            shard.upgrade(id, Encoding { interface, deflate_window_bits: None });
        }
    }
    shard.permit(OTHER, Permissions::everything());
    shard
}

/// Alice says something in the one way or the other.
fn say(shard: &mut Shard, interface: Interface, text: &Value) {
    let text = text.to_string();
    let envelope = command::parse(&text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
    if interface == Interface::Json {
        return shard.handle_command(ALICE, envelope);
    }
    let mut octets = Vec::new();
    write_command(&envelope, &mut octets);
    shard.handle_command(ALICE, parse_command(&octets).unwrap());
}

/// What the connection is told: payloads of short frames.
fn hear(shard: &mut Shard, id: ConnectionId) -> Vec<Vec<u8>> {
    let mut written = Vec::new();
    while let Some(next) = shard.poll_flush() {
        let output = shard.output(next).to_vec();
        if next == id {
            written.extend_from_slice(&output);
        }
        shard.wrote(next, output.len());
    }
    let mut payloads = Vec::new();
    let mut rest = written.as_slice();
    while let [_, length, behind @ ..] = rest {
        let (length, behind) = match *length {
            126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), &behind[2..]),
            length => (usize::from(length), behind),
        };
        payloads.push(behind[..length].to_vec());
        rest = &behind[length..];
    }
    payloads
}

/// The same as JSON.
fn told(shard: &mut Shard, interface: Interface) -> Vec<Value> {
    let json = |payload: Vec<u8>| match interface {
        Interface::Json => serde_json::from_slice(&payload).unwrap(),
        _ => match parse_notification(&payload).unwrap() {
            Received::Delivery(delivery) => json!({"type": "message", "offset": delivery.offset}),
            Received::Notification(id, notification) => {
                let mut out = Vec::new();
                notification.with_id(id.as_ref()).write_json(&mut out);
                serde_json::from_slice(&out).unwrap()
            }
        },
    };
    hear(shard, ALICE).into_iter().map(json).collect()
}

fn forbidden(command: &str, topic: &str, message: &str) -> Value {
    json!({"type":"error","id":1,"command":command,"topic":topic,"code":"forbidden","message":message})
}

fn draft(topic: &str) -> Draft {
    Draft {
        topic: Topic::parse(topic).unwrap(),
        key: None,
        kind: PayloadKind::Text,
        content_type: None,
        payload: Bytes::from_static(b"x"),
        echo: true,
        conditions: None,
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).unwrap()
}

/// What an HTTP or raw connection was answered with.
fn refusal(shard: &mut Shard) -> (ErrorCode, String) {
    match shard.poll_event() {
        Some(Event::Refused { connection: ALICE, refused }) => (refused.code, refused.message.into_owned()),
        other => panic!("not refused: {other:?}"),
    }
}

const COMMANDS: [Interface; 2] = [Interface::Json, Interface::Binary];

#[test]
fn who_was_not_permitted_anything_may_do_nothing() {
    let mut shard = shard(Some(Interface::Json));
    say(&mut shard, Interface::Json, &json!({"type":"subscribe","id":1,"topic":"a"}));
    let message = "this client may not subscribe to a";
    assert_eq!(told(&mut shard, Interface::Json), [forbidden("subscribe", "a", message)]);
    say(&mut shard, Interface::Json, &json!({"type":"publish","id":1,"topic":"a","data":1}));
    let message = "this client may not publish to a";
    assert_eq!(told(&mut shard, Interface::Json), [forbidden("publish", "a", message)]);
}

#[test]
fn a_subscription_reaches_no_further_than_the_grant() {
    for interface in COMMANDS {
        for target in [">", "*", "*.>", "prices.>", "*.EURUSD", "prices.*.bid", "secret", "prices"] {
            let mut shard = shard(Some(interface));
            shard.permit(ALICE, permissions(&["prices.*"], &[">"]));
            for snapshot in [false, true] {
                say(
                    &mut shard,
                    interface,
                    &json!({"type":"subscribe","id":1,"topic":target,"snapshot":snapshot}),
                );
                let message = format!("alice may not subscribe to {target}");
                assert_eq!(told(&mut shard, interface), [forbidden("subscribe", target, &message)]);
            }
            assert_eq!(shard.counters().subscriptions, 0);
        }
    }
}

#[test]
fn what_is_granted_is_delivered_and_nothing_else() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&["prices.*"], &[]));
        say(&mut shard, interface, &json!({"type":"subscribe","id":1,"topic":"prices.*"}));
        for name in ["prices.EURUSD", "secret", "prices.EURUSD.bid"] {
            shard.publish(OTHER, draft(name), false);
        }
        let types: Vec<_> = told(&mut shard, interface).iter().map(|told| told["type"].clone()).collect();
        assert_eq!(types, ["subscribed", "message"]);
    }
}

#[test]
fn of_a_list_each_topic_is_looked_at_by_itself() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&["a", "c"], &[]));
        let topics = json!([{"topic":"a"}, {"topic":"b"}, {"topic":"c"}, {"topic":">"}]);
        say(&mut shard, interface, &json!({"type":"subscribe","id":1,"topics":topics}));
        let told = told(&mut shard, interface);
        let mut answers: Vec<_> = told
            .iter()
            .map(|told| (told["topic"].as_str().unwrap(), told["type"].as_str().unwrap()))
            .collect();
        answers.sort_unstable();
        assert_eq!(answers, [(">", "error"), ("a", "subscribed"), ("b", "error"), ("c", "subscribed")]);
    }
}

#[test]
fn a_topic_that_may_not_be_read_is_not_rewound() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&["a"], &[]));
        say(&mut shard, interface, &json!({"type":"recover","id":1,"topic":"b","since":"earliest"}));
        let message = "alice may not subscribe to b";
        assert_eq!(told(&mut shard, interface), [forbidden("recover", "b", message)]);
    }
}

#[test]
fn a_message_is_published_where_that_was_granted_and_nowhere_else() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&[">"], &["chat.*"]));
        say(&mut shard, interface, &json!({"type":"publish","id":1,"topic":"prices.EURUSD","data":1}));
        let message = "alice may not publish to prices.EURUSD";
        assert_eq!(told(&mut shard, interface), [forbidden("publish", "prices.EURUSD", message)]);
        assert_eq!(shard.counters().messages_published, 0);
        say(&mut shard, interface, &json!({"type":"publish","id":1,"topic":"chat.lobby","data":1}));
        assert_eq!(told(&mut shard, interface)[0]["type"], "published");
    }
}

fn batch(atomic: bool) -> Value {
    let messages = ["game.a", "game.b", "game.c"].map(|topic| json!({"topic":topic,"data":1}));
    json!({"type":"publish_batch","id":1,"messages":messages,"atomic":atomic})
}

#[test]
fn each_message_of_a_batch_is_looked_at_by_itself() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&[], &["game.a", "game.c"]));
        say(&mut shard, interface, &batch(false));
        let refused = json!({"code":"forbidden","message":"alice may not publish to game.b"});
        let results = json!([{"offset":1}, refused, {"offset":1}]);
        assert_eq!(told(&mut shard, interface)[0]["results"], results);
        assert_eq!(shard.counters().messages_published, 2);
    }
}

#[test]
fn of_an_atomic_batch_nothing_is_published_if_one_may_not_be() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&[], &["game.a", "game.c"]));
        say(&mut shard, interface, &batch(true));
        let told = told(&mut shard, interface);
        let codes: Vec<_> = told[0]["results"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert_eq!(codes, ["aborted", "forbidden", "aborted"]);
        assert_eq!(shard.counters().messages_published, 0);
    }
}

#[test]
fn a_raw_connection_or_event_stream_begins_only_where_it_may() {
    for interface in [Interface::Raw, Interface::EventStream] {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&["a"], &[]));
        shard.subscribe(ALICE, topic("b"), Start::Now);
        assert_eq!(refusal(&mut shard), (ErrorCode::Forbidden, "alice may not subscribe to b".to_owned()));
        shard.subscribe(ALICE, topic("a"), Start::Now);
        assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    }
}

#[test]
fn a_raw_or_http_connection_publishes_only_where_it_may() {
    for (interface, receipt) in [(Some(Interface::Raw), false), (None, true)] {
        let mut shard = shard(interface);
        shard.permit(ALICE, permissions(&["b"], &["a"]));
        shard.publish(ALICE, draft("b"), receipt);
        assert_eq!(refusal(&mut shard), (ErrorCode::Forbidden, "alice may not publish to b".to_owned()));
        assert_eq!(shard.counters().messages_published, 0);
        shard.publish(ALICE, draft("a"), receipt);
        assert_eq!(shard.counters().messages_published, 1);
    }
}

#[test]
fn a_batch_over_http_is_looked_at_message_by_message() {
    for (atomic, expected) in [
        (false, [None, Some(ErrorCode::Forbidden)]),
        (true, [ErrorCode::Aborted, ErrorCode::Forbidden].map(Some)),
    ] {
        let mut shard = shard(None);
        shard.permit(ALICE, permissions(&[], &["game.a"]));
        shard.publish_batch(ALICE, vec![Ok(draft("game.a")), Ok(draft("game.b"))], atomic);
        let Some(Event::PublishedBatch { outcomes, .. }) = shard.poll_event() else { panic!("no answer") };
        let codes: Vec<_> =
            outcomes.into_iter().map(|outcome| outcome.err().map(|refused| refused.code)).collect();
        assert_eq!(codes, expected);
    }
}

#[test]
fn a_topic_is_read_over_http_only_where_that_was_granted() {
    let mut shard = shard(None);
    shard.permit(ALICE, permissions(&["a"], &[">"]));
    let expected = (ErrorCode::Forbidden, "alice may not subscribe to b".to_owned());
    shard.latest(ALICE, topic("b"));
    assert_eq!(refusal(&mut shard), expected);
    for waits in [false, true] {
        shard.poll(ALICE, topic("b"), Start::Earliest, waits);
        assert_eq!(refusal(&mut shard), expected);
    }
    shard.latest(ALICE, topic("a"));
    assert!(matches!(shard.poll_event(), Some(Event::Latest { .. })));
}

#[test]
fn what_new_permissions_do_not_cover_ends_and_is_told_and_the_rest_goes_on() {
    for interface in COMMANDS {
        let mut shard = shard(Some(interface));
        shard.permit(ALICE, permissions(&[">"], &[]));
        for target in ["a", "b", "*", "prices.>"] {
            say(&mut shard, interface, &json!({"type":"subscribe","topic":target}));
        }
        let _receipts = told(&mut shard, interface);
        shard.permit(ALICE, permissions(&["a", "prices.>"], &[]));
        let mut ended = told(&mut shard, interface);
        ended.sort_by_key(|error| error["topic"].to_string());
        let error = |target: &str| {
            let message = format!("alice may not subscribe to {target}");
            json!({"type":"error","command":"subscribe","topic":target,"code":"forbidden","message":message})
        };
        assert_eq!(ended, [error("*"), error("b")]);
        for name in ["b", "c", "a", "prices.EURUSD"] {
            shard.publish(OTHER, draft(name), false);
        }
        let types: Vec<_> = told(&mut shard, interface).iter().map(|told| told["type"].clone()).collect();
        assert_eq!(types, ["message", "message"]);
    }
}

#[test]
fn who_says_who_it_is_is_looked_at_by_the_server() {
    let mut shard = shard(Some(Interface::Json));
    say(&mut shard, Interface::Json, &json!({"type":"auth","id":1,"token":"a.b.c"}));
    let Some(Event::Authenticate { connection: ALICE, command_id, token }) = shard.poll_event() else {
        panic!("the server is not asked")
    };
    assert_eq!((command_id.unwrap().as_json(), &*token.0), ("1", "a.b.c"));
    assert_eq!(shard.identity(ALICE), None);
    shard.permit(ALICE, permissions(&[], &[]));
    assert_eq!(shard.identity(ALICE), Some("alice"));
    shard.notify(ALICE, &Notification::Authenticated { id: None, identity: "alice", expires: 7 });
    let expected = json!({"type":"authenticated","identity":"alice","expires":7});
    assert_eq!(told(&mut shard, Interface::Json), [expected]);
}
