//! Notifications, rebuilt from their fields and written again.

use std::collections::BTreeSet;
use std::iter::successors;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanwire_wire::command::{CommandId, PayloadKind};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::{BatchResult, MessageFields, Notification, Refusal};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::page::lines;

/// A notification's fields, as the page has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fields<'a> {
    r#type: &'a str,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    topic: Option<&'a str>,
    epoch: Option<&'a str>,
    limits: Option<Limits>,
    offset: Option<u64>,
    recovered: Option<bool>,
    from: Option<u64>,
    to: Option<u64>,
    count: Option<u64>,
    skipped: Option<u64>,
    snapshot: Option<bool>,
    #[serde(borrow)]
    results: Option<Vec<ResultFields<'a>>>,
    time: Option<u64>,
    key: Option<&'a str>,
    encoding: Option<&'a str>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    command: Option<&'a str>,
    code: Option<&'a str>,
    message: Option<String>,
    identity: Option<&'a str>,
    expires: Option<u64>,
    grace_ms: Option<u64>,
}

/// What became of one message of a batch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultFields<'a> {
    offset: Option<u64>,
    code: Option<&'a str>,
    message: Option<&'a str>,
}

impl<'a> ResultFields<'a> {
    fn result(&self) -> Option<BatchResult<'a>> {
        match *self {
            Self { offset: Some(offset), code: None, message: None } => Some(Ok(offset)),
            Self { offset: None, code, message } => {
                Some(Err(Refusal { code: error_code(code?)?, message: message? }))
            }
            Self { .. } => None,
        }
    }
}

fn error_code(name: &str) -> Option<ErrorCode> {
    error_codes().find(|code| code.as_str() == name)
}

/// A field that is there, be it `null`: `null` is a payload too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    max_message: usize,
    max_subscriptions: usize,
}

pub(crate) const NOTIFICATION_TYPES: [&str; 15] = [
    "welcome",
    "subscribed",
    "unsubscribed",
    "published",
    "published_batch",
    "message",
    "gap",
    "skipped",
    "tick",
    "snapshot_end",
    "authenticated",
    "expired",
    "pong",
    "hello",
    "error",
];

/// The kind and payload that `data` and `encoding` stand for.
fn payload(fields: &Fields<'_>) -> Option<(PayloadKind, Vec<u8>)> {
    let data = fields.data?.get();
    let string = serde_json::from_str::<String>(data);
    Some(match (fields.encoding, string) {
        (Some("base64"), Ok(text)) => (PayloadKind::Binary, STANDARD.decode(text).ok()?),
        (None, Ok(text)) => (PayloadKind::Text, text.into_bytes()),
        (Some("json"), Ok(_)) | (None, Err(_)) => (PayloadKind::Json, data.as_bytes().to_vec()),
        _ => return None,
    })
}

/// What `read` makes of the notification with these fields. None if one is missing.
pub(crate) fn notified<R>(fields: &Fields<'_>, read: impl FnOnce(&Notification<'_>) -> R) -> Option<R> {
    let id = fields.id.map(|id| CommandId::parse(id.get()).expect("an id"));
    let id = id.as_ref();
    let topic = fields.topic;
    let payload = payload(fields);
    let results = fields.results.iter().flatten().map(ResultFields::result).collect::<Option<Vec<_>>>();
    let notification = match fields.r#type {
        "welcome" => {
            let Limits { max_message, max_subscriptions } = *fields.limits.as_ref()?;
            Notification::Welcome { epoch: fields.epoch?, max_message, max_subscriptions }
        }
        "subscribed" => {
            let Fields { epoch, offset, recovered, .. } = *fields;
            Notification::Subscribed { id, topic: topic?, epoch: epoch?, offset, number: None, recovered }
        }
        "unsubscribed" => Notification::Unsubscribed { id, topic: topic? },
        "published" => {
            Notification::Published { id, topic: topic?, epoch: fields.epoch?, offset: fields.offset? }
        }
        "published_batch" => {
            let results = results.as_deref()?.into();
            Notification::PublishedBatch { id, epoch: fields.epoch?, results }
        }
        "message" => {
            let (kind, payload) = payload.as_ref()?;
            Notification::Message(MessageFields {
                topic: topic?,
                offset: fields.offset?,
                skipped: fields.skipped.unwrap_or(0),
                is_snapshot: fields.snapshot.unwrap_or(false),
                time_ms: fields.time?,
                key: fields.key,
                kind: *kind,
                payload,
            })
        }
        "gap" => {
            Notification::Gap { topic: topic?, from: fields.from?, to: fields.to?, count: fields.count? }
        }
        "skipped" => Notification::Skipped { topic: topic?, offset: fields.offset?, count: fields.count? },
        "tick" => Notification::Tick { count: fields.count?.try_into().ok()? },
        "snapshot_end" => Notification::SnapshotEnd { id, topic: topic?, count: fields.count? },
        "authenticated" => {
            Notification::Authenticated { id, identity: fields.identity?, expires: fields.expires? }
        }
        "expired" => Notification::Expired { grace_ms: fields.grace_ms? },
        "pong" => Notification::Pong { id },
        "hello" => Notification::Hello { id, message: fields.message.as_ref()? },
        "error" => Notification::Error {
            id,
            command: fields.command,
            topic,
            code: error_code(fields.code?)?,
            message: fields.message.as_ref()?,
        },
        _ => return None,
    };
    assert_eq!(notification.name(), fields.r#type);
    Some(read(&notification))
}

pub(crate) fn json_of(notification: &Notification<'_>) -> String {
    let mut out = Vec::new();
    notification.write_json(&mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn every_notification_is_written_byte_for_byte_as_the_page_has_it() {
    let mut types = BTreeSet::new();
    for text in lines("json notification") {
        let fields: Fields<'_> = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        types.insert(fields.r#type);
        let written =
            notified(&fields, json_of).unwrap_or_else(|| panic!("a field is missing or unknown: {text}"));
        assert_eq!(written, text);
        if let (Some(from), Some(to)) = (fields.from, fields.to) {
            assert_eq!(fields.count, Some(to - from + 1), "{text}");
        }
    }
    assert_eq!(types, BTreeSet::from(NOTIFICATION_TYPES));
}

#[test]
fn an_error_on_the_page_says_what_the_broker_says() {
    let mut said = BTreeSet::new();
    for text in lines("json notification") {
        let fields: Fields<'_> = serde_json::from_str(text).expect(text);
        let results =
            fields.results.iter().flatten().filter_map(|result| Some((result.code?, result.message?)));
        for (code, message) in fields.code.zip(fields.message.as_deref()).into_iter().chain(results) {
            if let Some(explanation) = error_code(code).expect(code).explanation() {
                assert_eq!(message, explanation, "{text}");
                said.insert(code);
            }
        }
    }
    let on_the_page = [
        "bad_since",
        "binary_unsupported",
        "moved_on",
        "not_subscribed",
        "not_together",
        "policy_not_allowed",
    ];
    assert_eq!(said, BTreeSet::from(on_the_page));
}

/// Every code. A new one does not compile here until it has its place.
pub(crate) fn error_codes() -> impl Iterator<Item = ErrorCode> {
    use ErrorCode as Code;
    successors(Some(Code::BadJson), |code| {
        Some(match code {
            Code::BadJson => Code::BadCommand,
            Code::BadCommand => Code::UnknownCommand,
            Code::UnknownCommand => Code::BadTopic,
            Code::BadTopic => Code::BadSince,
            Code::BadSince => Code::BadPayload,
            Code::BadPayload => Code::BinaryUnsupported,
            Code::BinaryUnsupported => Code::TextUnsupported,
            Code::TextUnsupported => Code::MessageTooBig,
            Code::MessageTooBig => Code::BadToken,
            Code::BadToken => Code::Forbidden,
            Code::Forbidden => Code::Overlap,
            Code::Overlap => Code::AlreadySubscribed,
            Code::AlreadySubscribed => Code::NotSubscribed,
            Code::NotSubscribed => Code::TooManySubscriptions,
            Code::TooManySubscriptions => Code::TooManyTopics,
            Code::TooManyTopics => Code::TooManyPatterns,
            Code::TooManyPatterns => Code::PolicyNotAllowed,
            Code::PolicyNotAllowed => Code::NotKept,
            Code::NotKept => Code::MovedOn,
            Code::MovedOn => Code::BatchTooLarge,
            Code::BatchTooLarge => Code::NotTogether,
            Code::NotTogether => Code::Aborted,
            Code::Aborted => Code::Superseded,
            Code::Superseded => Code::Unavailable,
            Code::Unavailable => return None,
        })
    })
}
