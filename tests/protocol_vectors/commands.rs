//! Commands, and what is answered to what is none.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanwire_wire::command::{self, Command, PayloadKind, Position, Publication, Since, Wanted};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicOrPattern;
use serde_json::{Map, Value, json};

use crate::notifications::json_of;
use crate::page::lines;

pub(crate) const COMMANDS: [&str; 8] =
    ["subscribe", "recover", "unsubscribe", "publish", "publish_batch", "auth", "ping", "hello"];

/// The command as an object again, so that nothing in the vector was overlooked.
fn value_of(command: &Command<'_>) -> Value {
    let not_echo = |echo: bool| (!echo).then_some(Value::Bool(false));
    let mut fields = match command {
        Command::Subscribe { wanted, overflow, snapshot } => {
            let mut fields = match wanted.as_slice() {
                [wanted] => wanted_fields(wanted),
                list => {
                    object([("topics", Some(list.iter().map(wanted_fields).map(Value::Object).collect()))])
                }
            };
            fields.extend(object([
                ("overflow", overflow.map(|policy| policy.as_str().into())),
                ("snapshot", snapshot.then_some(Value::Bool(true))),
            ]));
            fields
        }
        Command::Recover { topic, since } => {
            object([("topic", Some(topic.as_str().into())), ("since", Some(since_value(since)))])
        }
        Command::Unsubscribe { target } => object([("topic", Some(target.as_str().into()))]),
        Command::Publish { publication, echo } => {
            let mut fields = publication_fields(publication);
            fields.extend(object([("echo", not_echo(*echo))]));
            fields
        }
        Command::PublishBatch { messages, atomic, echo } => {
            let messages = messages.iter().map(|message| message.as_ref().expect("a good message"));
            object([
                ("messages", Some(messages.map(publication_fields).map(Value::Object).collect())),
                ("atomic", atomic.then_some(Value::Bool(true))),
                ("echo", not_echo(*echo)),
            ])
        }
        Command::Auth { token } => object([("token", Some(token.0.as_ref().into()))]),
        Command::Ping => Map::new(),
        Command::Hello { name } => object([("name", Some(name.as_ref().into()))]),
    };
    fields.insert("type".to_owned(), command.name().into());
    Value::Object(fields)
}

fn object(fields: impl IntoIterator<Item = (&'static str, Option<Value>)>) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

fn wanted_fields(Wanted { target, since }: &Wanted) -> Map<String, Value> {
    object([("topic", Some(target.as_str().into())), ("since", since.as_ref().map(since_value))])
}

fn publication_fields(publication: &Publication<'_>) -> Map<String, Value> {
    let Publication { topic, key, message_id, expect, kind, payload } = publication;
    let (data, encoding) = data_value(*kind, payload);
    object([
        ("topic", Some(topic.as_str().into())),
        ("key", key.as_deref().map(Value::from)),
        ("message_id", message_id.as_deref().map(Value::from)),
        ("expect", expect.as_ref().map(position_value)),
        ("data", Some(data)),
        ("encoding", encoding.map(Value::from)),
    ])
}

fn position_value(Position { epoch, offset }: &Position) -> Value {
    json!({"epoch": epoch, "offset": offset})
}

fn since_value(since: &Since) -> Value {
    match since {
        Since::Earliest => "earliest".into(),
        Since::Position(position) => position_value(position),
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
