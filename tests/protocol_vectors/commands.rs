//! Commands, and what is answered to what is none.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanwire_wire::command::{self, Command, PayloadKind, Since};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicOrPattern;
use serde_json::{Map, Value, json};

use crate::notifications::json_of;
use crate::page::lines;

pub(crate) const COMMANDS: [&str; 6] = ["subscribe", "recover", "unsubscribe", "publish", "ping", "hello"];

/// The command as an object again, so that nothing in the vector was overlooked.
fn value_of(command: &Command<'_>) -> Value {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), command.name().into());
    let mut insert =
        |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    match command {
        Command::Subscribe { target, since } => {
            insert("topic", Some(target.as_str().into()));
            insert("since", since.as_ref().map(since_value));
        }
        Command::Recover { topic, since } => {
            insert("topic", Some(topic.as_str().into()));
            insert("since", Some(since_value(since)));
        }
        Command::Unsubscribe { target } => insert("topic", Some(target.as_str().into())),
        Command::Publish { topic, key, kind, payload, echo } => {
            let (data, encoding) = data_value(*kind, payload);
            insert("topic", Some(topic.as_str().into()));
            insert("key", key.as_deref().map(Value::from));
            insert("data", Some(data));
            insert("encoding", encoding.map(Value::from));
            insert("echo", (!echo).then_some(Value::Bool(false)));
        }
        Command::Ping => {}
        Command::Hello { name } => insert("name", Some(name.as_ref().into())),
    }
    Value::Object(fields)
}

fn since_value(since: &Since) -> Value {
    match since {
        Since::Earliest => "earliest".into(),
        Since::Position(position) => json!({"epoch": position.epoch, "offset": position.offset}),
    }
}

fn data_value(kind: PayloadKind, payload: &[u8]) -> (Value, Option<&'static str>) {
    match kind {
        PayloadKind::Text => (str::from_utf8(payload).expect("text is UTF-8").into(), None),
        PayloadKind::Binary => (STANDARD.encode(payload).into(), Some("base64")),
        PayloadKind::Json => {
            let data: Value = serde_json::from_slice(payload).expect("JSON is JSON");
            let encoding = data.is_string().then_some("json");
            (data, encoding)
        }
    }
}

#[test]
fn every_command_is_understood_field_by_field() {
    let mut names = BTreeSet::new();
    for text in lines("json command") {
        let envelope = command::parse(text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        names.insert(envelope.command.name());
        let mut expected: Value = serde_json::from_str(text).expect("what parses is JSON");
        let id = expected.as_object_mut().expect("a command is an object").remove("id");
        assert_eq!(envelope.id.map(|id| id.as_json().to_owned()), id.map(|id| id.to_string()), "{text}");
        assert_eq!(value_of(&envelope.command), expected);
    }
    assert_eq!(names, BTreeSet::from(COMMANDS));
}

#[test]
fn every_refused_command_is_answered_byte_for_byte_as_the_page_has_it() {
    let lines = lines("json refused");
    let (pairs, rest) = lines.as_chunks::<2>();
    assert!(rest.is_empty(), "a command has no answer: {rest:?}");
    for [text, answer] in pairs {
        let rejection = command::parse(text).expect_err(text);
        let error = Notification::Error {
            id: rejection.id.as_ref(),
            command: rejection.command,
            topic: rejection.topic.as_ref().map(TopicOrPattern::as_str),
            code: rejection.error.code(),
            message: &rejection.error.to_string(),
        };
        assert_eq!(json_of(&error), *answer);
    }
}
