use serde_json::{Value, json};

use super::*;

const EPOCH: &str = "9f3c01d27ab45e88";

fn json_of(notification: &Notification<'_>) -> String {
    let mut out = Vec::new();
    notification.write_json(&mut out);
    let text = String::from_utf8(out).unwrap();
    serde_json::from_str::<Value>(&text).unwrap();
    text
}

fn message(kind: PayloadKind, payload: &[u8]) -> MessageFields<'_> {
    MessageFields {
        topic: "prices.EURUSD",
        offset: 45,
        skipped: 0,
        is_snapshot: false,
        time_ms: 1_795_291_200_123,
        key: Some("EURUSD"),
        kind,
        payload,
    }
}

#[test]
fn every_notification_is_written_in_the_documented_order() {
    let id = CommandId::parse("1").unwrap();
    let text_id = CommandId::parse("\"a-7\"").unwrap();
    let topic = "prices.EURUSD";
    let results = [Ok(45), Err(Refusal { code: ErrorCode::MovedOn, message: "a \"b\"" })];
    let cases = [
        (
            Notification::Welcome { epoch: EPOCH, max_message: 1_048_576, max_subscriptions: 1000 },
            r#"{"type":"welcome","epoch":"9f3c01d27ab45e88","limits":{"max_message":1048576,"max_subscriptions":1000}}"#,
        ),
        (
            Notification::Subscribed {
                id: Some(&id),
                topic,
                epoch: EPOCH,
                offset: Some(41),
                number: TopicNumber::new(7),
                recovered: Some(true),
            },
            r#"{"type":"subscribed","id":1,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":41,"recovered":true}"#,
        ),
        (
            Notification::Subscribed {
                id: None,
                topic: "prices.>",
                epoch: EPOCH,
                offset: None,
                number: None,
                recovered: None,
            },
            r#"{"type":"subscribed","topic":"prices.>","epoch":"9f3c01d27ab45e88"}"#,
        ),
        (
            Notification::Unsubscribed { id: Some(&text_id), topic },
            r#"{"type":"unsubscribed","id":"a-7","topic":"prices.EURUSD"}"#,
        ),
        (
            Notification::Published { id: Some(&id), topic, epoch: EPOCH, offset: 45 },
            r#"{"type":"published","id":1,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":45}"#,
        ),
        (
            Notification::Message(message(PayloadKind::Json, br#"{"bid":1.0831}"#)),
            r#"{"type":"message","topic":"prices.EURUSD","offset":45,"time":1795291200123,"key":"EURUSD","data":{"bid":1.0831}}"#,
        ),
        (
            Notification::Gap { topic: "chat.lobby", from: 101, to: 140, count: 40 },
            r#"{"type":"gap","topic":"chat.lobby","from":101,"to":140,"count":40}"#,
        ),
        (
            Notification::Message(MessageFields {
                skipped: 3,
                is_snapshot: true,
                key: None,
                ..message(PayloadKind::Text, b"hi")
            }),
            r#"{"type":"message","topic":"prices.EURUSD","offset":45,"skipped":3,"snapshot":true,"time":1795291200123,"data":"hi"}"#,
        ),
        (
            Notification::PublishedBatch { id: Some(&id), epoch: EPOCH, results: results[..].into() },
            r#"{"type":"published_batch","id":1,"epoch":"9f3c01d27ab45e88","results":[{"offset":45},{"code":"moved_on","message":"a \"b\""}]}"#,
        ),
        (
            Notification::PublishedBatch { id: None, epoch: EPOCH, results: results[..0].into() },
            r#"{"type":"published_batch","epoch":"9f3c01d27ab45e88","results":[]}"#,
        ),
        (
            Notification::Skipped { topic: "chat.lobby", offset: 58, count: 12 },
            r#"{"type":"skipped","topic":"chat.lobby","offset":58,"count":12}"#,
        ),
        (Notification::Tick { count: 3 }, r#"{"type":"tick","count":3}"#),
        (
            Notification::SnapshotEnd { id: Some(&id), topic: "prices.>", count: 1000 },
            r#"{"type":"snapshot_end","id":1,"topic":"prices.>","count":1000}"#,
        ),
        (
            Notification::Authenticated { id: Some(&id), identity: "alice", expires: 1_795_294_800 },
            r#"{"type":"authenticated","id":1,"identity":"alice","expires":1795294800}"#,
        ),
        (Notification::Expired { grace_ms: 10_000 }, r#"{"type":"expired","grace_ms":10000}"#),
        (Notification::Pong { id: Some(&id) }, r#"{"type":"pong","id":1}"#),
        (Notification::Pong { id: None }, r#"{"type":"pong"}"#),
        (
            Notification::Hello { id: None, message: "hello yuan" },
            r#"{"type":"hello","message":"hello yuan"}"#,
        ),
        (
            Notification::Error {
                id: Some(&id),
                command: Some("publish"),
                topic: Some("chat.lobby"),
                code: ErrorCode::Forbidden,
                message: "this token may not publish to chat.lobby",
            },
            r#"{"type":"error","id":1,"command":"publish","topic":"chat.lobby","code":"forbidden","message":"this token may not publish to chat.lobby"}"#,
        ),
    ];
    for (notification, text) in cases {
        assert_eq!(json_of(&notification), text);
    }
}

#[test]
fn data_and_encoding_tell_the_kinds_apart() {
    let cases = [
        (PayloadKind::Text, &b"say \"hi\""[..], json!("say \"hi\""), None),
        (PayloadKind::Json, br#"{"a":[1]}"#, json!({"a": [1]}), None),
        (PayloadKind::Json, br#""quoted""#, json!("quoted"), Some("json")),
        (PayloadKind::Json, b" \n\"quoted\"", json!("quoted"), Some("json")),
        (PayloadKind::Binary, &[0, 255, 16, 1], json!("AP8QAQ=="), Some("base64")),
        (PayloadKind::Binary, b"", json!(""), Some("base64")),
    ];
    for (kind, payload, data, encoding) in cases {
        let text = json_of(&Notification::Message(message(kind, payload)));
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["data"], data, "{text}");
        assert_eq!(object.get("encoding").and_then(Value::as_str), encoding, "{text}");
    }
}

#[test]
fn a_notification_is_appended_to_what_is_there() {
    let mut out = b"before".to_vec();
    Notification::Pong { id: None }.write_json(&mut out);
    assert_eq!(out, br#"before{"type":"pong"}"#);
}

#[test]
fn a_subscriber_comes_to_the_last_offset_that_it_is_told_of() {
    let topic = "chat.lobby";
    let reached = |notification: Notification<'_>| notification.reaches();
    assert_eq!(reached(Notification::Message(message(PayloadKind::Text, b"hi"))), Some(45));
    assert_eq!(reached(Notification::Gap { topic, from: 101, to: 140, count: 40 }), Some(140));
    assert_eq!(reached(Notification::Skipped { topic, offset: 58, count: 12 }), Some(58));
    assert_eq!(reached(Notification::Tick { count: 3 }), None);
    assert_eq!(reached(Notification::SnapshotEnd { id: None, topic, count: 3 }), None);
}
