use fanwire_wire::binary::{Delivery, write_notification};
use fanwire_wire::command::{CommandId, PayloadKind};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicNumber;

use super::*;

fn binary() -> Subscriber {
    subscriber("ws", Protocol::FanwireBinary, &["a", "b"])
}

fn welcome() -> Vec<u8> {
    notification(&Notification::Welcome {
        epoch: "177a0ec9cc5b2d4c",
        max_message: 1 << 20,
        max_subscriptions: 9,
    })
}

fn subscribed(id: Option<&CommandId>, topic: &str) -> Vec<u8> {
    let (number, epoch) = (TopicNumber::new(7), "177a0ec9cc5b2d4c");
    notification(&Notification::Subscribed { id, topic, epoch, offset: Some(0), number, recovered: None })
}

fn notification(notification: &Notification<'_>) -> Vec<u8> {
    let mut octets = Vec::new();
    write_notification(notification, &mut octets);
    octets
}

fn delivery(payload: &str) -> Vec<u8> {
    delivery_behind(0, payload)
}

fn delivery_behind(skipped: u64, payload: &str) -> Vec<u8> {
    let (number, kind) = (TopicNumber::new(7), PayloadKind::Text);
    let mut octets = Vec::new();
    let (is_snapshot, payload) = (false, payload.as_bytes());
    Delivery { number, name: None, offset: 1, skipped, is_snapshot, key: None, kind, payload }
        .write(&mut octets);
    octets
}

fn server(messages: &[Vec<u8>]) -> Vec<u8> {
    let mut server = accepted("ws", Protocol::FanwireBinary, "Sec-WebSocket-Protocol: fanwire.v1.binary\r\n");
    for message in messages {
        frame(&mut server, OpCode::Binary, message);
    }
    server
}

#[test]
fn a_subscriber_waits_for_the_welcome_and_is_ready_with_the_last_receipt() {
    let ids = ["1", "2"].map(|id| CommandId::parse(id).unwrap());
    let [subscribed_a, subscribed_b] =
        [(0, "a"), (1, "b")].map(|(id, topic)| subscribed(Some(&ids[id]), topic));
    let greeted = talk_in_pieces(binary, &server(&[welcome()]));
    // Type 1, an id that is a number, and the topic with its length.
    let commands = [b"\x01\x01\0\0\0\0\0\0\0\x01\x01a", b"\x01\x01\0\0\0\0\0\0\0\x02\x01b"];
    assert_eq!(said(&greeted.out), commands.map(|command| Said::Binary(command.to_vec())));
    assert!(!greeted.is_ready);
    assert!(!talk_in_pieces(binary, &server(&[welcome(), subscribed_b.clone()])).is_ready);
    let someone_elses = subscribed(None, "c");
    assert!(!talk(binary(), [&server(&[welcome(), subscribed_b.clone(), someone_elses])[..]]).is_ready);
    assert!(talk_in_pieces(binary, &server(&[welcome(), subscribed_b, subscribed_a])).is_ready);
}

#[test]
fn messages_gaps_and_what_was_skipped_are_heard_in_order() {
    let gap = notification(&Notification::Gap { topic: "a", from: 2, to: 41, count: 40 });
    let skipped = notification(&Notification::Skipped { topic: "a", offset: 60, count: 2 });
    let messages = [welcome(), delivery("one"), gap, delivery_behind(12, "two"), skipped];
    let outcome = talk_in_pieces(binary, &server(&messages));
    assert_eq!(
        outcome.heard,
        [payload("one"), Noted::Gap(40), Noted::Gap(12), payload("two"), Noted::Gap(2)]
    );
    assert_eq!(outcome.error, None);
}

#[test]
fn an_error_is_told_with_its_code_and_message() {
    let error = Notification::Error {
        id: None,
        command: None,
        topic: None,
        code: ErrorCode::TooManySubscriptions,
        message: "at most 1",
    };
    let outcome = talk_in_pieces(binary, &server(&[welcome(), notification(&error)]));
    let said = "too_many_subscriptions: at most 1".to_owned();
    assert_eq!(outcome.error, Some(ConversationError::Denied { said }));
}

#[test]
fn what_is_no_notification_is_told_as_nonsense() {
    for message in [&b""[..], b"\x7f\0", b"\x80", b"hello"] {
        let outcome = talk(binary(), [&server(&[welcome(), message.to_vec()])[..]]);
        assert!(
            matches!(outcome.error, Some(ConversationError::Nonsense { .. })),
            "{message:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_publisher_is_ready_when_welcomed_and_publishes_without_an_id() {
    let greet = |request: &str| {
        let mut server = accept(request, "Sec-WebSocket-Protocol: fanwire.v1.binary\r\n");
        frame(&mut server, OpCode::Binary, welcome());
        server
    };
    let peer = peer("ws", Protocol::FanwireBinary);
    let (mut publisher, request, _) = ready_publisher(&peer, &["a", "b"], greet);
    assert!(request.starts_with("GET /v1/ws HTTP/1.1\r\n"), "{request}");
    let mut out = Vec::new();
    publisher.publish(1, b"hello", &mut out);
    assert_eq!(said(&out), [Said::Binary(b"\x80\x01bhello".to_vec())]);
}
