//! What a publish says of a message: alone in a `publish`, one of many in a `publish_batch`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Field, Fields, decode_string};
use super::position::{Position, expect_field};
use super::{Command, PayloadKind, check_length};
use crate::error::CommandError;
use crate::limits::{MAX_KEY_BYTES, MAX_MESSAGE_ID_BYTES};
use crate::topic::TopicRef;

/// One message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication<'a> {
    /// Where to.
    pub topic: TopicRef<'a>,
    /// The entity within the topic that the message is about.
    pub key: Option<Cow<'a, str>>,
    /// What the publisher calls the message: a repeat of one that the topic still knows is not published again.
    pub message_id: Option<Cow<'a, str>>,
    /// What must be the topic's latest message, exactly, for this one to follow it.
    pub expect: Option<Position>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// The payload, decoded: of a text the characters, of a binary the octets.
    pub payload: Cow<'a, [u8]>,
}

impl<'a> Publication<'a> {
    /// A message of which nothing else is said. That `payload` is of `kind` is not checked.
    pub fn new(topic: TopicRef<'a>, kind: PayloadKind, payload: impl Into<Cow<'a, [u8]>>) -> Self {
        Self { topic, key: None, message_id: None, expect: None, kind, payload: payload.into() }
    }
}

pub(super) fn parse_publish<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let publication = parse_publication(fields)?;
    let echo = fields.optional_boolean(Field::Echo)?.unwrap_or(true);
    Ok(Command::Publish { publication, echo })
}

pub(super) fn parse_publication<'a>(fields: &Fields<'a>) -> Result<Publication<'a>, CommandError> {
    let topic = TopicRef::parse(fields.string(Field::Topic)?)?;
    let key = name_field(fields, Field::Key, MAX_KEY_BYTES)?;
    let message_id = name_field(fields, Field::MessageId, MAX_MESSAGE_ID_BYTES)?;
    let expect = expect_field(fields)?;
    let (kind, payload) = payload_fields(fields)?;
    Ok(Publication { topic, key, message_id, expect, kind, payload })
}

fn name_field<'a>(
    fields: &Fields<'a>,
    field: Field,
    limit: usize,
) -> Result<Option<Cow<'a, str>>, CommandError> {
    let name = fields.optional_string(field)?;
    name.iter().try_for_each(|name| check_length(field.name(), name, limit))?;
    Ok(name)
}

/// `data` and `encoding`: without the latter a string is text and any other value is JSON.
fn payload_fields<'a>(fields: &Fields<'a>) -> Result<(PayloadKind, Cow<'a, [u8]>), CommandError> {
    let json = fields.json(Field::Data).ok_or(CommandError::MissingField(Field::Data.name()))?;
    let bad_data = |expected| CommandError::BadField { field: Field::Data.name(), expected };
    match fields.optional_string(Field::Encoding)?.as_deref() {
        Some("json") => Ok((PayloadKind::Json, Cow::Borrowed(json.as_bytes()))),
        None if !json.starts_with('"') => Ok((PayloadKind::Json, Cow::Borrowed(json.as_bytes()))),
        None => match decode_string(json) {
            Some(text) => Ok((PayloadKind::Text, into_bytes(text))),
            None => Err(bad_data("Unicode text; it escapes half of a surrogate pair")),
        },
        Some("base64") => {
            let expected = "a string of base64 with padding (RFC 4648 §4), since the encoding says so";
            let text = decode_string(json).ok_or(bad_data(expected))?;
            let payload = STANDARD.decode(text.as_bytes()).map_err(|_| bad_data(expected))?;
            Ok((PayloadKind::Binary, Cow::Owned(payload)))
        }
        Some(_) => Err(CommandError::BadField {
            field: Field::Encoding.name(),
            expected: "\"json\" or \"base64\", or left out",
        }),
    }
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}
