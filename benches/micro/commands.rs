//! Commands read and notifications written, in JSON.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use fanwire_wire::command::{self, Command, CommandId, PayloadKind, Position, Publication, Since};
use fanwire_wire::notification::{MessageFields, Notification};
use fanwire_wire::topic::{TopicOrPattern, TopicRef};

use crate::fixture::{bench_on, topic};

const DATA: &str = r#"{"bid":1.0831,"ask":1.0833,"at":"2026-11-22T09:30:00.123Z"}"#;
const TEXT: &str = "a line of chat, typed by somebody who has something to say";

pub(crate) fn bench(criterion: &mut Criterion) {
    bench_parse(criterion);
    bench_write(criterion);
}

fn bench_parse(criterion: &mut Criterion) {
    let text = format!(r#"{{"type":"publish","topic":"prices.EURUSD","key":"EURUSD","data":{DATA}}}"#);
    parse(
        criterion,
        "publish_json",
        &text,
        &publish("prices.EURUSD", Some("EURUSD"), PayloadKind::Json, DATA),
    );

    let text = format!(r#"{{"type":"publish","topic":"chat.lobby","data":"{TEXT}"}}"#);
    parse(criterion, "publish_text", &text, &publish("chat.lobby", None, PayloadKind::Text, TEXT));

    let since = r#"{"epoch":"9f3c01d27ab45e88","offset":41}"#;
    let text = format!(r#"{{"type":"subscribe","id":1,"topic":"prices.EURUSD","since":{since}}}"#);
    let position = Position { epoch: "9f3c01d27ab45e88".into(), offset: 41 };
    let target = TopicOrPattern::Topic(topic("prices.EURUSD"));
    let command = Command::subscribe(target, Some(Since::Position(position)));
    parse(criterion, "subscribe_since", &text, &command);
}

fn publish<'a>(topic: &'a str, key: Option<&'a str>, kind: PayloadKind, payload: &'a str) -> Command<'a> {
    let topic = TopicRef::parse(topic).expect("a good topic");
    let message = Publication::new(topic, kind, payload.as_bytes());
    Command::Publish { publication: Publication { key: key.map(Into::into), ..message }, echo: true }
}

fn parse(criterion: &mut Criterion, name: &str, text: &str, expected: &Command<'_>) {
    let mut group = criterion.benchmark_group("command_parse");
    group.throughput(Throughput::Bytes(text.len() as u64));
    let make = || {
        assert_eq!(command::parse(text).expect("a good command").command, *expected);
        text
    };
    bench_on(&mut group, name, make, |text| assert!(command::parse(black_box(text)).is_ok()));
}

fn bench_write(criterion: &mut Criterion) {
    let id = CommandId::parse("2").expect("a number");
    let published = Notification::Published {
        id: Some(&id),
        topic: "prices.EURUSD",
        epoch: "9f3c01d27ab45e88",
        offset: 45,
    };
    let expected =
        r#"{"type":"published","id":2,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":45}"#;
    write(criterion, "published", &published, expected);

    let fields = MessageFields {
        topic: "prices.EURUSD",
        offset: 45,
        skipped: 0,
        is_snapshot: false,
        time_ms: 1_795_291_200_123,
        key: Some("EURUSD"),
        kind: PayloadKind::Json,
        payload: DATA.as_bytes(),
    };
    let head = r#"{"type":"message","topic":"prices.EURUSD","offset":45,"time":1795291200123,"key":"EURUSD""#;
    let expected = format!(r#"{head},"data":{DATA}}}"#);
    write(criterion, "message_json", &Notification::Message(fields), &expected);

    let fields = MessageFields { kind: PayloadKind::Text, payload: TEXT.as_bytes(), ..fields };
    let expected = format!(r#"{head},"data":"{TEXT}"}}"#);
    write(criterion, "message_text", &Notification::Message(fields), &expected);
}

fn write(criterion: &mut Criterion, name: &str, notification: &Notification<'_>, expected: &str) {
    let mut group = criterion.benchmark_group("notification_write");
    group.throughput(Throughput::Bytes(expected.len() as u64));
    let make = || {
        let mut out = Vec::new();
        notification.write_json(&mut out);
        assert_eq!(String::from_utf8_lossy(&out), expected);
        out
    };
    bench_on(&mut group, name, make, |out| {
        out.clear();
        black_box(notification).write_json(out);
        assert_eq!(out.len(), expected.len());
    });
}
