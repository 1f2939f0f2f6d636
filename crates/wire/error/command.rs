//! Commands that are none, and what is wrong with their parts.

use std::error::Error;
use std::fmt;

use super::code::ErrorCode;
use super::layout::LayoutError;
use crate::limits::{MAX_COMMAND_ID_BYTES, MAX_PATTERN_TOKENS, MAX_TOPIC_BYTES};

/// Why a text is not a topic, or not a pattern. `at` counts octets from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// No text at all.
    Empty,
    /// More than [`limits::MAX_TOPIC_BYTES`](crate::limits::MAX_TOPIC_BYTES).
    TooLong {
        /// How long it is, in octets.
        length: usize,
    },
    /// Nothing between two dots, before the first or after the last.
    EmptyToken {
        /// Where the token should have begun.
        at: usize,
    },
    /// A character outside the alphabet of tokens.
    BadCharacter {
        /// Where it is.
        at: usize,
        /// What it is.
        character: char,
    },
    /// A `$`, which is reserved for the broker's own topics.
    Reserved {
        /// Where it is.
        at: usize,
    },
    /// A `*` or `>` that shares its token with other characters.
    WildcardNotAlone {
        /// Where the wildcard is.
        at: usize,
    },
    /// A `>` with tokens after it.
    TailNotLast {
        /// Where the `>` is.
        at: usize,
    },
    /// A pattern where exactly one topic is needed.
    UnexpectedWildcard {
        /// Where the first wildcard is.
        at: usize,
    },
    /// A topic where a pattern is needed.
    NoWildcard,
    /// A pattern of more than [`MAX_PATTERN_TOKENS`].
    TooManyTokens {
        /// How many it has.
        tokens: usize,
    },
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the topic is empty; it needs 1 to 255 octets"),
            Self::TooLong { length } => {
                write!(f, "the topic has {length} octets; the most is {MAX_TOPIC_BYTES}")
            }
            Self::EmptyToken { at } => {
                write!(f, "the topic has an empty token at octet {at}; put exactly one '.' between tokens")
            }
            Self::BadCharacter { at, character } => write!(
                f,
                "the topic has {character:?} at octet {at}; use letters, digits and _ : @ = ~ - in tokens joined by '.'"
            ),
            Self::Reserved { at } => {
                write!(f, "the topic has '$' at octet {at}, which is reserved for the broker; leave it out")
            }
            Self::WildcardNotAlone { at } => {
                write!(
                    f,
                    "the wildcard at octet {at} shares its token; put it between dots, as in 'prices.*.bid'"
                )
            }
            Self::TailNotLast { at } => {
                write!(f, "'>' at octet {at} is not the last token; use '*' for one token in the middle")
            }
            Self::UnexpectedWildcard { at } => {
                write!(
                    f,
                    "there is a wildcard at octet {at} where one topic is needed; name the topic in full"
                )
            }
            Self::TooManyTokens { tokens } => {
                write!(f, "a pattern has at most {MAX_PATTERN_TOKENS} tokens, this one has {tokens}")
            }
            Self::NoWildcard => {
                f.write_str("a pattern needs a wildcard: '*' for one token, '>' for one or more at the end")
            }
        }
    }
}

impl Error for TopicError {}

/// Why a payload is not of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Text or JSON that is not UTF-8.
    NotUtf8 {
        /// The first octet that is wrong, from 0.
        at: usize,
    },
    /// JSON that does not parse.
    NotJson {
        /// What the parser expected, and where.
        reason: Box<str>,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 { at } => {
                write!(
                    f,
                    "the payload is not UTF-8 at octet {at}; publish it as binary, or encode it as UTF-8"
                )
            }
            Self::NotJson { reason } => {
                write!(f, "the payload is not JSON: {reason}; publish it as text, or correct it")
            }
        }
    }
}

impl Error for PayloadError {}

impl PayloadError {
    /// The code that the `error` notification carries.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotUtf8 { .. } | Self::NotJson { .. } => ErrorCode::BadPayload,
        }
    }
}

/// Why a message is not a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandError {
    /// Not a JSON text (RFC 8259).
    NotJson {
        /// What the parser expected, and where.
        reason: Box<str>,
    },
    /// JSON, but not an object.
    NotObject,
    /// A field that is there twice.
    DuplicateField(&'static str),
    /// A field that the command needs and does not have.
    MissingField(&'static str),
    /// A field of a wrong type, or with a value that it cannot have.
    BadField {
        /// The field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A string that is empty or too long.
    BadLength {
        /// The field.
        field: &'static str,
        /// The most octets that it may have.
        limit: usize,
    },
    /// An `id` that is not a short string or number.
    BadId,
    /// A `type` that is none of the commands.
    UnknownCommand {
        /// The `type`, shortened if it is long.
        name: Box<str>,
    },
    /// A `topic` that is not one.
    BadTopic(TopicError),
    /// A position that is not one.
    BadSince,
    /// A position for a pattern, whose topics each have their own.
    SinceWithPattern,
    /// A position for what begins with a snapshot.
    SinceWithSnapshot,
    /// A list that is none, or is empty; or too long a list of topics.
    BadList {
        /// The field.
        field: &'static str,
        /// The most elements that it may have.
        limit: usize,
    },
    /// An element of a list that is no object.
    BadElement,
    /// An element of a list that is wrong, and with it the list.
    InList {
        /// The field.
        field: &'static str,
        /// Which element, from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<Self>,
    },
    /// A batch that is no command among others, and no JSON object either.
    NotBatch,
    /// A batch of more messages than this side takes.
    BatchTooLarge {
        /// The most that it takes.
        limit: usize,
    },
    /// A payload that is not of the kind that it is published as.
    BadPayload(PayloadError),
    /// Octets that are not laid out as a command.
    Layout(LayoutError),
}

impl CommandError {
    /// The code that the `error` notification carries.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson { .. } => ErrorCode::BadJson,
            Self::NotObject
            | Self::DuplicateField(_)
            | Self::MissingField(_)
            | Self::BadField { .. }
            | Self::BadLength { .. }
            | Self::BadList { .. }
            | Self::BadElement
            | Self::NotBatch
            | Self::BadId
            | Self::Layout(
                LayoutError::Truncated { .. }
                | LayoutError::Trailing { .. }
                | LayoutError::UnknownFlags(_)
                | LayoutError::UnknownKind
                | LayoutError::NotUtf8 { .. }
                | LayoutError::NotPublish
                | LayoutError::BadField { .. },
            ) => ErrorCode::BadCommand,
            Self::UnknownCommand { .. } | Self::Layout(LayoutError::UnknownType(_)) => {
                ErrorCode::UnknownCommand
            }
            Self::BadTopic(_) => ErrorCode::BadTopic,
            Self::BadSince | Self::SinceWithPattern | Self::SinceWithSnapshot => ErrorCode::BadSince,
            Self::InList { error, .. } => error.code(),
            Self::BatchTooLarge { .. } => ErrorCode::BatchTooLarge,
            Self::BadPayload(error) => error.code(),
        }
    }

    /// The same as the error of an element of a list.
    pub(crate) fn within(self, field: &'static str, index: usize) -> Self {
        Self::InList { field, index, error: Box::new(self) }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { reason } => write!(f, "the message is not JSON: {reason}"),
            Self::NotObject => {
                f.write_str(r#"a command is a JSON object, as in {"type":"subscribe","topic":"prices.EURUSD"}"#)
            }
            Self::DuplicateField(field) => write!(f, "the field \"{field}\" is there twice; send it once"),
            Self::MissingField(field) => write!(f, "the field \"{field}\" is missing"),
            Self::BadField { field, expected } => write!(f, "the field \"{field}\" must be {expected}"),
            Self::BadLength { field, limit } => {
                write!(f, "the field \"{field}\" must be a string of 1 to {limit} octets")
            }
            Self::BadId => write!(
                f,
                "the field \"id\" must be a string or a number of at most {MAX_COMMAND_ID_BYTES} octets of JSON"
            ),
            Self::UnknownCommand { name } => write!(
                f,
                "there is no command {name:?}; use subscribe, recover, unsubscribe, publish, publish_batch, auth, ping or hello as \"type\""
            ),
            Self::BadTopic(error) => error.fmt(f),
            Self::BadSince => write!(
                f,
                "since must be \"earliest\" or a position: the epoch and offset of a message that you have, \
                 {{\"epoch\":EPOCH,\"offset\":OFFSET}} in JSON and EPOCH:OFFSET in a URL"
            ),
            Self::SinceWithPattern => f.write_str(
                "since needs one topic, because each topic of a pattern has its own offsets; subscribe to the topic by name",
            ),
            Self::SinceWithSnapshot => f.write_str(
                "a snapshot begins now, and since elsewhere; leave one of them out, or subscribe with one and recover with the other",
            ),
            Self::BadList { field, limit } => {
                write!(f, "the field \"{field}\" must be a list of 1 to {limit} objects, each with a \"topic\"")
            }
            Self::BadElement => f.write_str("an element of the list must be an object with a \"topic\""),
            Self::InList { field, index, error } => write!(f, "{field}[{index}]: {error}"),
            Self::NotBatch => f.write_str(
                r#"a batch is a JSON object, as in {"messages":[{"topic":"prices.EURUSD","data":1.0831}]}"#,
            ),
            Self::BatchTooLarge { limit } => {
                write!(f, "a batch has at most {limit} messages; send the others in another one")
            }
            Self::BadPayload(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
        }
    }
}

impl Error for CommandError {}

impl From<TopicError> for CommandError {
    fn from(error: TopicError) -> Self {
        Self::BadTopic(error)
    }
}

impl From<PayloadError> for CommandError {
    fn from(error: PayloadError) -> Self {
        Self::BadPayload(error)
    }
}

impl From<LayoutError> for CommandError {
    fn from(error: LayoutError) -> Self {
        Self::Layout(error)
    }
}
