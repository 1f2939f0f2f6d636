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
