//! Any command, any notification, and how a client would write a command in JSON.

use std::borrow::Cow;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::command::{
    Command, CommandId, Envelope, OverflowPolicy, PayloadKind, Position, Publication, Since, Token, Wanted,
};
use crate::limits::MAX_OFFSET;
use crate::notification::{MessageFields, Notification};
use crate::topic::{Topic, TopicOrPattern, TopicRef};

pub(super) fn topic() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_:@=~-]{1,20}(\\.[A-Za-z0-9_:@=~-]{1,20}){0,3}"
}

pub(super) fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        topic().prop_map(|topic| format!("{topic}.>")),
        topic().prop_map(|topic| format!("*.{topic}"))
    ]
}

pub(super) fn id() -> impl Strategy<Value = CommandId> {
    let json = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| json!(number).to_string()),
        "[ -~é]{0,20}".prop_map(|text| json!(text).to_string()),
    ];
    json.prop_map(|json| CommandId::parse(&json).expect("an id"))
}

fn since() -> impl Strategy<Value = Since> {
    prop_oneof![Just(Since::Earliest), position().prop_map(Since::Position)]
}

/// A payload of each kind, as JSON keeps it: without space around it.
pub(super) fn payload() -> impl Strategy<Value = (PayloadKind, Vec<u8>)> {
    prop_oneof![
        "\\PC{0,40}".prop_map(|text| (PayloadKind::Text, text.into_bytes())),
        ("\\PC{0,20}", any::<i32>(), any::<bool>()).prop_map(|(text, number, is_string)| {
            let value = if is_string { json!(text) } else { json!({ "a": [number, text] }) };
            (PayloadKind::Json, value.to_string().into_bytes())
        }),
        vec(any::<u8>(), 0..40).prop_map(|octets| (PayloadKind::Binary, octets)),
    ]
}

fn position() -> impl Strategy<Value = Position> {
    ("[0-9a-f]{1,64}", 0..MAX_OFFSET).prop_map(|(epoch, offset)| Position { epoch: epoch.into(), offset })
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let target = |text: &str| TopicOrPattern::parse(text).expect("a topic or pattern");
    prop_oneof![
        (topic(), option::of(since()))
            .prop_map(move |(topic, since)| Wanted { target: target(&topic), since }),
        pattern().prop_map(move |pattern| Wanted { target: target(&pattern), since: None }),
    ]
}

fn subscribe() -> impl Strategy<Value = Command<'static>> {
    let overflow = option::of((0..3_usize).prop_map(|index| OverflowPolicy::ALL[index]));
    (vec(wanted(), 1..5), overflow, any::<bool>()).prop_map(|(mut wanted, overflow, snapshot)| {
        if snapshot {
            for wanted in &mut wanted {
                wanted.since = None;
            }
        }
        Command::Subscribe { wanted: wanted.into(), overflow, snapshot }
    })
}

fn publication() -> impl Strategy<Value = Publication<'static>> {
    let name = || option::of("\\PC{1,30}".prop_map(Cow::Owned));
    (topic(), name(), name(), option::of(position()), payload()).prop_map(
        |(topic, key, message_id, expect, (kind, payload))| Publication {
            key,
            message_id,
            expect,
            ..Publication::new(TopicRef::parse(topic).expect("a topic"), kind, payload)
        },
    )
}

pub(super) fn command() -> impl Strategy<Value = Command<'static>> {
    let parsed = |text: &str| TopicOrPattern::parse(text).expect("a topic or pattern");
    let target = prop_oneof![topic(), pattern()];
    prop_oneof![
        3 => subscribe(),
        1 => (topic(), since()).prop_map(|(topic, since)| Command::Recover {
            topic: Topic::parse(&topic).expect("a topic"),
            since
        }),
        1 => target.prop_map(move |target| Command::Unsubscribe { target: parsed(&target) }),
        3 => (publication(), any::<bool>())
            .prop_map(|(publication, echo)| Command::Publish { publication, echo }),
        3 => (vec(publication().prop_map(Ok), 1..5), any::<bool>(), any::<bool>())
            .prop_map(|(messages, atomic, echo)| Command::PublishBatch { messages, atomic, echo }),
        1 => "[!-~]{1,60}".prop_map(|token| Command::Auth { token: Token(token.into()) }),
        1 => Just(Command::Ping),
        1 => "\\PC{1,30}".prop_map(|name| Command::Hello { name: name.into() }),
    ]
}

fn position_json(Position { epoch, offset }: &Position) -> Value {
    json!({ "epoch": epoch, "offset": offset })
}

fn since_json(since: &Since) -> Value {
    match since {
        Since::Earliest => "earliest".into(),
        Since::Position(position) => position_json(position),
    }
}

fn wanted_json(Wanted { target, since }: &Wanted) -> Value {
    json!({ "topic": target.as_str(), "since": since.as_ref().map(since_json) })
}

/// The fields of the publication, without braces. Its payload may be JSON of any form, so it is not built anew.
fn publication_json(publication: &Publication<'_>) -> String {
    let Publication { topic, key, message_id, expect, kind, payload } = publication;
    let fields = MessageFields {
        topic: topic.as_str(),
        offset: 1,
        skipped: 0,
        is_snapshot: false,
        time_ms: 1,
        key: key.as_deref(),
        kind: *kind,
        payload,
    };
    let mut message = Vec::new();
    Notification::Message(fields).write_json(&mut message);
    let message = String::from_utf8(message).expect("JSON");
    let fields = message.strip_prefix(r#"{"type":"message","#).and_then(|fields| fields.strip_suffix('}'));
    let (message_id, expect) = (json!(message_id), json!(expect.as_ref().map(position_json)));
    format!(r#""message_id":{message_id},"expect":{expect},{}"#, fields.expect("an object"))
}

/// The command in JSON, as a client would write it.
pub(super) fn json_of(Envelope { id, command }: &Envelope<'_>) -> String {
    let mut fields = vec![format!("\"type\":\"{}\"", command.name())];
    fields.extend(id.iter().map(|id| format!("\"id\":{}", id.as_json())));
    let mut field = |name: &str, value: Value| fields.push(format!("\"{name}\":{value}"));
    match command {
        Command::Subscribe { wanted, overflow, snapshot } => {
            field("overflow", overflow.map(OverflowPolicy::as_str).into());
            field("snapshot", (*snapshot).into());
            match wanted.as_slice() {
                [Wanted { target, since }] => {
                    field("topic", target.as_str().into());
                    field("since", since.as_ref().map(since_json).into());
                }
                list => field("topics", list.iter().map(wanted_json).collect()),
            }
        }
        Command::Recover { topic, since } => {
            field("topic", topic.as_str().into());
            field("since", since_json(since));
        }
        Command::Unsubscribe { target } => field("topic", target.as_str().into()),
        Command::Publish { publication, echo } => {
            field("echo", (*echo).into());
            fields.push(publication_json(publication));
        }
        Command::PublishBatch { messages, atomic, echo } => {
            field("atomic", (*atomic).into());
            field("echo", (*echo).into());
            let messages =
                messages.iter().flatten().map(|message| format!("{{{}}}", publication_json(message)));
            fields.push(format!("\"messages\":[{}]", messages.collect::<Vec<_>>().join(",")));
        }
        Command::Auth { token } => field("token", token.0.as_ref().into()),
        Command::Ping => {}
        Command::Hello { name } => field("name", name.as_ref().into()),
    }
    format!("{{{}}}", fields.join(","))
}
