//! What a client says to the broker, and how it says it in JSON. In octets: [`binary`](crate::binary).
//!
//! [`parse`] turns the text of one message into an [`Envelope`] that borrows from it: a publish without escapes or
//! base64 copies nothing but its `id`. What is wrong comes back as a [`Rejection`] that still knows the `id`, so the
//! client can tell which of its commands failed.
//!
//! Fields that a command does not have are skipped, so that a client may be newer than the broker.

mod batch;
mod fields;
mod id;
mod payload;
mod position;
mod publication;
mod subscription;
mod token;

use std::borrow::Cow;

pub(crate) use self::batch::BAD_BATCH;
use self::batch::parse_publish_batch;
pub use self::batch::{Messages, parse_batch};
use self::fields::{Field, Fields};
pub use self::id::CommandId;
pub use self::payload::{PayloadKind, check_payload, kind_of_content_type};
use self::position::since_field;
pub(crate) use self::position::{BAD_EXPECT, position};
pub use self::position::{Position, Since, parse_position, parse_since};
pub use self::publication::Publication;
use self::publication::parse_publish;
use self::subscription::parse_subscribe;
pub(crate) use self::subscription::{BAD_LIST, BAD_OVERFLOW};
pub use self::subscription::{OverflowPolicy, Wanted, WantedList};
pub use self::token::Token;
use crate::error::CommandError;
use crate::limits::{MAX_HELLO_NAME_BYTES, MAX_TOKEN_BYTES};
use crate::topic::{Topic, TopicOrPattern};

/// One command. The strings in it are within their limits, and payloads are what their kind says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Deliver what is published on these topics, and on all topics that these patterns match.
    Subscribe {
        /// What to deliver, and where to begin: at least one, at most [`MAX_LIST_TOPICS`](crate::limits::MAX_LIST_TOPICS).
        wanted: WantedList,
        /// What a full write queue is to cost these subscriptions; none is what the operator decided.
        overflow: Option<OverflowPolicy>,
        /// Whether they begin with the last value of each key. Never with a `since`.
        snapshot: bool,
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
        /// The message.
        publication: Publication<'a>,
        /// Whether the publisher gets the message too, if it subscribes.
        echo: bool,
    },
    /// Publish many messages.
    PublishBatch {
        /// The messages, at least one and at most [`MAX_BATCH_MESSAGES`](crate::limits::MAX_BATCH_MESSAGES); in the
        /// place of one that could not be read, what is wrong with it.
        messages: Messages<'a>,
        /// Whether all are published, together, or none.
        atomic: bool,
        /// Whether the publisher gets the messages too, where it subscribes.
        echo: bool,
    },
    /// Say who the client is, in the place of what it said before.
    Auth {
        /// What proves it.
        token: Token<'a>,
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
            Self::PublishBatch { .. } => "publish_batch",
            Self::Auth { .. } => "auth",
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

type Parser = for<'a> fn(&Fields<'a>) -> Result<Command<'a>, CommandError>;

const PARSERS: [(&str, Parser); 8] = [
    ("publish", parse_publish),
    ("publish_batch", parse_publish_batch),
    ("subscribe", parse_subscribe),
    ("recover", parse_recover),
    ("unsubscribe", parse_unsubscribe),
    ("auth", parse_auth),
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

fn parse_recover<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let topic = Topic::parse(&fields.string(Field::Topic)?)?;
    let since = since_field(fields)?.ok_or(CommandError::MissingField(Field::Since.name()))?;
    Ok(Command::Recover { topic, since })
}

fn parse_unsubscribe<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let target = TopicOrPattern::parse(&fields.string(Field::Topic)?)?;
    Ok(Command::Unsubscribe { target })
}

fn parse_auth<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let token = fields.string(Field::Token)?;
    check_length(Field::Token.name(), &token, MAX_TOKEN_BYTES)?;
    Ok(Command::Auth { token: Token(token) })
}

fn parse_hello<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let name = fields.string(Field::Name)?;
    check_length(Field::Name.name(), &name, MAX_HELLO_NAME_BYTES)?;
    Ok(Command::Hello { name })
}

/// Checks that a string is there and within its limit, in octets.
pub fn check_length(field: &'static str, text: &str, limit: usize) -> Result<(), CommandError> {
    if text.is_empty() || text.len() > limit {
        return Err(CommandError::BadLength { field, limit });
    }
    Ok(())
}

/// The beginning of a name that may be of any length, for an error message.
fn shortened(name: &str) -> Box<str> {
    const MOST: usize = 32;
    name.chars().take(MOST).collect::<String>().into()
}

#[cfg(test)]
mod tests;
