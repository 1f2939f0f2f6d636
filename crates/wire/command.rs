//! What a client says to the broker, and how it says it in JSON. In octets: [`binary`](crate::binary).
//!
//! [`parse`] turns the text of one message into an [`Envelope`] that borrows from it: a publish without escapes or
//! base64 copies nothing but its `id`. What is wrong comes back as a [`Rejection`] that still knows the `id`, so the
//! client can tell which of its commands failed.
//!
//! Fields that a command does not have are skipped, so that a client may be newer than the broker.

mod fields;
mod payload;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use self::fields::{Field, Fields, decode_string};
pub use self::payload::{PayloadKind, check_payload, kind_of_content_type};
use crate::error::CommandError;
use crate::limits::{MAX_COMMAND_ID_BYTES, MAX_EPOCH_BYTES, MAX_HELLO_NAME_BYTES, MAX_KEY_BYTES, MAX_OFFSET};
use crate::topic::{Topic, TopicOrPattern, TopicRef};

/// The `id` of a command: the JSON text of a string or number, kept and echoed exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(Box<str>);

impl CommandId {
    /// Checks that `json` is the JSON text of a string or number, of at most
    /// [`MAX_COMMAND_ID_BYTES`] octets.
    pub fn parse(json: &str) -> Result<Self, CommandError> {
        if serde_json::from_str::<IgnoredAny>(json).is_err() {
            return Err(CommandError::BadId);
        }
        Self::from_valid_json(json.trim_ascii())
    }

    /// The JSON text, quotes included.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The number, if it is a whole one that is written as such and fits.
    pub fn as_integer(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    fn from_valid_json(json: &str) -> Result<Self, CommandError> {
        let is_string_or_number = json.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'));
        if !is_string_or_number || json.len() > MAX_COMMAND_ID_BYTES {
            return Err(CommandError::BadId);
        }
        Ok(Self(json.into()))
    }
}

impl From<u64> for CommandId {
    fn from(integer: u64) -> Self {
        Self(integer.to_string().into())
    }
}

/// A place in a topic: after the message with this offset, in this run of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The identity of the run that counted the offset.
    pub epoch: Box<str>,
    /// The offset of the last message that the client has; 0 is before the first.
    pub offset: u64,
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// With the oldest message that history holds.
    Earliest,
    /// After this position.
    Position(Position),
}

/// One command. The strings in it are within their limits, and payloads are what their kind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Deliver what is published on the topic, or on all topics that the pattern matches.
    Subscribe {
        /// What to deliver.
        target: TopicOrPattern,
        /// Where to begin; none is now. Never with a pattern.
        since: Option<Since>,
    },
    /// Rewind a subscription.
    Recover {
        /// The topic of the subscription.
        topic: Topic,
        /// Where to begin again.
        since: Since,
    },
    /// End a subscription.
    Unsubscribe {
        /// The topic or pattern as it was subscribed to.
        target: TopicOrPattern,
    },
    /// Publish one message.
    Publish {
        /// Where to.
        topic: TopicRef<'a>,
        /// The entity within the topic that the message is about.
        key: Option<Cow<'a, str>>,
        /// What the payload is.
        kind: PayloadKind,
        /// The payload, decoded: of a text the characters, of a binary the octets.
        payload: Cow<'a, [u8]>,
        /// Whether the publisher gets the message too, if it subscribes.
        echo: bool,
    },
    /// Ask for a sign of life.
    Ping,
    /// Ask for a greeting.
    Hello {
        /// Whom to greet.
        name: Cow<'a, str>,
    },
}

impl Command<'_> {
    /// The `type` of the command, as receipts and errors name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Subscribe { .. } => "subscribe",
            Self::Recover { .. } => "recover",
            Self::Unsubscribe { .. } => "unsubscribe",
            Self::Publish { .. } => "publish",
            Self::Ping => "ping",
            Self::Hello { .. } => "hello",
        }
    }
}

/// A command and the `id` that its receipt will carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The `id`, if the client gave one.
    pub id: Option<CommandId>,
    /// The command.
    pub command: Command<'a>,
}

/// Why a message is not a command, with all that could be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The `id`, if it could be read.
    pub id: Option<CommandId>,
    /// The `type`, if it is a known one.
    pub command: Option<&'static str>,
    /// The `topic`, if it is one.
    pub topic: Option<TopicOrPattern>,
    /// What is wrong.
    pub error: CommandError,
}

/// Reads one command.
pub fn parse(text: &str) -> Result<Envelope<'_>, Box<Rejection>> {
    let mut fields = Fields::default();
    let read = fields.read(text);
    let id = fields.optional_json(Field::Id).map(CommandId::from_valid_json).transpose();
    let command = read.and_then(|()| parse_command(&fields));
    let (id, error) = match (id, command) {
        (Ok(id), Ok(command)) => return Ok(Envelope { id, command }),
        (id, Err(error)) => (id.unwrap_or_default(), error),
        (Err(error), Ok(_)) => (None, error),
    };
    Err(Box::new(Rejection {
        id,
        command: known_type(&fields).ok().map(|(name, _)| name),
        topic: fields.string(Field::Topic).ok().and_then(|topic| TopicOrPattern::parse(&topic).ok()),
        error,
    }))
}

/// Reads a start in the form that query parameters have: `earliest`, or a position.
pub fn parse_since(text: &str) -> Result<Since, CommandError> {
    match text {
        "earliest" => Ok(Since::Earliest),
        text => parse_position(text).map(Since::Position),
    }
}

/// Reads a position in the form that query parameters, entity tags and event ids have: `EPOCH:OFFSET`.
pub fn parse_position(text: &str) -> Result<Position, CommandError> {
    let (epoch, offset) = text.rsplit_once(':').ok_or(CommandError::BadSince)?;
    if !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::BadSince);
    }
    position(epoch, offset.parse().map_err(|_| CommandError::BadSince)?)
}

type Parser = for<'a> fn(&Fields<'a>) -> Result<Command<'a>, CommandError>;

const PARSERS: [(&str, Parser); 6] = [
    ("publish", parse_publish),
    ("subscribe", parse_subscribe),
    ("recover", parse_recover),
    ("unsubscribe", parse_unsubscribe),
    ("ping", |_| Ok(Command::Ping)),
    ("hello", parse_hello),
];

fn parse_command<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let (_, parser) = known_type(fields)?;
    parser(fields)
}

fn known_type(fields: &Fields<'_>) -> Result<(&'static str, Parser), CommandError> {
    let name = fields.string(Field::Type)?;
    let known = PARSERS.into_iter().find(|(known, _)| *known == name);
    known.ok_or_else(|| CommandError::UnknownCommand { name: shortened(&name) })
}

fn parse_subscribe<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let target = TopicOrPattern::parse(&fields.string(Field::Topic)?)?;
    let since = since_field(fields)?;
    match (&target, &since) {
        (TopicOrPattern::Pattern(_), Some(_)) => Err(CommandError::SinceWithPattern),
        _ => Ok(Command::Subscribe { target, since }),
    }
}

fn parse_recover<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let topic = Topic::parse(&fields.string(Field::Topic)?)?;
    let since = since_field(fields)?.ok_or(CommandError::MissingField(Field::Since.name()))?;
    Ok(Command::Recover { topic, since })
}

fn parse_unsubscribe<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let target = TopicOrPattern::parse(&fields.string(Field::Topic)?)?;
    Ok(Command::Unsubscribe { target })
}

fn parse_publish<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let topic = TopicRef::parse(fields.string(Field::Topic)?)?;
    let key = fields.optional_string(Field::Key)?;
    if let Some(key) = &key {
        check_length(Field::Key.name(), key, MAX_KEY_BYTES)?;
    }
    let (kind, payload) = payload_fields(fields)?;
    let echo = fields.optional_boolean(Field::Echo)?.unwrap_or(true);
    Ok(Command::Publish { topic, key, kind, payload, echo })
}

fn parse_hello<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let name = fields.string(Field::Name)?;
    check_length(Field::Name.name(), &name, MAX_HELLO_NAME_BYTES)?;
    Ok(Command::Hello { name })
}

/// Checks that a string is there and within its limit, in octets.
pub(crate) fn check_length(field: &'static str, text: &str, limit: usize) -> Result<(), CommandError> {
    if text.is_empty() || text.len() > limit {
        return Err(CommandError::BadLength { field, limit });
    }
    Ok(())
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

fn since_field(fields: &Fields<'_>) -> Result<Option<Since>, CommandError> {
    #[derive(Deserialize)]
    struct PositionFields<'a> {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        offset: u64,
    }

    let Some(json) = fields.optional_json(Field::Since) else { return Ok(None) };
    if let Some(text) = decode_string(json) {
        return if text == "earliest" { Ok(Some(Since::Earliest)) } else { Err(CommandError::BadSince) };
    }
    // A derived struct would read an array too, field by field.
    if !json.starts_with('{') {
        return Err(CommandError::BadSince);
    }
    let PositionFields { epoch, offset } = serde_json::from_str(json).map_err(|_| CommandError::BadSince)?;
    Ok(Some(Since::Position(position(&epoch, offset)?)))
}

/// The position, if it can be one.
pub(crate) fn position(epoch: &str, offset: u64) -> Result<Position, CommandError> {
    if epoch.is_empty() || epoch.len() > MAX_EPOCH_BYTES || offset >= MAX_OFFSET {
        return Err(CommandError::BadSince);
    }
    Ok(Position { epoch: epoch.into(), offset })
}

fn into_bytes(text: Cow<'_, str>) -> Cow<'_, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The beginning of a name that may be of any length, for an error message.
fn shortened(name: &str) -> Box<str> {
    const MOST: usize = 32;
    name.chars().take(MOST).collect::<String>().into()
}

#[cfg(test)]
mod tests;
