//! What can be wrong on the wire, and who is to blame.
//!
//! Every error here is the peer's fault. Each type is a closed enum with one total match to the code
//! that the peer is told: a close code, an HTTP status, or the `code` of an `error` notification.

use std::error::Error;
use std::fmt;

use crate::close::CloseCode;
use crate::http::Status;
use crate::limits::{
    MAX_BODY_FRAMING_BYTES, MAX_CHUNK_LINE_BYTES, MAX_COMMAND_ID_BYTES, MAX_HEAD_BYTES, MAX_HEADERS,
    MAX_TOPIC_BYTES,
};

/// What a peer's frames did wrong: the connection must be failed (RFC 6455 §7.1.7) with
/// [`ProtocolError::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 set without an extension that gives it a meaning there (RFC 6455 §5.2,
    /// RFC 7692 §6).
    ReservedBits,
    /// An opcode that RFC 6455 §5.2 reserves.
    ReservedOpcode(u8),
    /// A client sent a frame without a mask (RFC 6455 §5.1).
    UnmaskedFrame,
    /// A server sent a frame with a mask (RFC 6455 §5.1).
    MaskedFrame,
    /// A control frame without FIN (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame of more than 125 octets (RFC 6455 §5.5).
    LongControl,
    /// A payload length in more octets than it needs (RFC 6455 §5.2).
    NonMinimalLength,
    /// A payload length whose most significant bit is set (RFC 6455 §5.2).
    LengthTooLarge,
    /// A continuation frame with no message to continue (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A new message before the fragmented one was complete (RFC 6455 §5.4).
    ExpectedContinuation,
    /// Text, or the reason of a close, that is not UTF-8 (RFC 6455 §8.1).
    BadUtf8,
    /// A close payload of a single octet, too short for a code (RFC 6455 §5.5.1).
    BadClosePayload,
    /// A close code that must not be sent (RFC 6455 §7.4).
    BadCloseCode(u16),
    /// A message of more octets than this side takes.
    MessageTooBig {
        /// The most octets that this side takes.
        limit: usize,
    },
    /// Compressed data that is not DEFLATE (RFC 7692 §7.2.2).
    BadDeflate,
}

impl ProtocolError {
    /// The code that the closing handshake tells the peer (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::FragmentedControl
            | Self::LongControl
            | Self::NonMinimalLength
            | Self::LengthTooLarge
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::BadClosePayload
            | Self::BadCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::BadUtf8 | Self::BadDeflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. } => CloseCode::TOO_BIG,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            Self::UnmaskedFrame => f.write_str("a client's frame must be masked"),
            Self::MaskedFrame => f.write_str("a server's frame must not be masked"),
            Self::FragmentedControl => f.write_str("a control frame must not be fragmented"),
            Self::LongControl => f.write_str("a control frame carries at most 125 octets"),
            Self::NonMinimalLength => f.write_str("the payload length takes more octets than it needs"),
            Self::LengthTooLarge => f.write_str("the payload length has its highest bit set"),
            Self::UnexpectedContinuation => f.write_str("a continuation without a message to continue"),
            Self::ExpectedContinuation => f.write_str("a new message before the last one was complete"),
            Self::BadUtf8 => f.write_str("text is not UTF-8"),
            Self::BadClosePayload => f.write_str("a close payload of one octet"),
            Self::BadCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::MessageTooBig { limit } => write!(f, "the message is larger than {limit} octets"),
            Self::BadDeflate => f.write_str("compressed data is damaged"),
        }
    }
}

impl Error for ProtocolError {}

/// What is wrong with a request. Unless noted otherwise the answer is 400, and the connection ends with it, since nobody
/// knows where the next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The first octets of TLS, on a port without.
    TlsHandshake,
    /// A request line that is not `METHOD TARGET VERSION` (RFC 9112 §3).
    BadRequestLine,
    /// A target that is neither a path nor a URL, or has a fragment (RFC 9112 §3.2).
    BadTarget,
    /// A target that fills the room for the whole head (414).
    TargetTooLong,
    /// Neither HTTP/1.0 nor HTTP/1.1 (505).
    BadVersion,
    /// A line that ends with something else than CR LF (RFC 9112 §2.2).
    BadLineEnd,
    /// A header field whose name is not a token followed by a colon, which a folded line has not either (RFC 9112 §5.2).
    BadHeaderName,
    /// A header field with a control character in its value (RFC 9110 §5.5).
    BadHeaderValue,
    /// A head of more than [`MAX_HEAD_BYTES`] (431).
    HeadTooLarge,
    /// More than [`MAX_HEADERS`] header fields (431).
    TooManyHeaders,
    /// No `Host`, or several (RFC 9112 §3.2).
    BadHost,
    /// A `Content-Length` that is not a number of octets (RFC 9110 §8.6).
    BadContentLength,
    /// Several different lengths, or a length beside a transfer encoding (RFC 9112 §6.3).
    ConflictingLength,
    /// A transfer encoding in HTTP/1.0, which has none (RFC 9112 §6.1).
    TransferEncodingInHttp10,
    /// A transfer encoding other than `chunked` (501).
    UnknownTransferEncoding,
    /// An expectation other than `100-continue` (417).
    UnknownExpectation,
    /// A body of more octets than this side takes (413).
    BodyTooLarge {
        /// The most octets that this side takes.
        limit: usize,
    },
    /// Chunks that are not framed as RFC 9112 §7.1 says, or a line of more than
    /// [`MAX_CHUNK_LINE_BYTES`].
    BadChunk,
    /// Chunk extensions and trailer fields of more than [`MAX_BODY_FRAMING_BYTES`]
    /// in one body (431).
    ChunkFramingTooLarge,
    /// A `%` without two hexadecimal digits, or octets that are not UTF-8 once decoded (RFC 3986 §2.1). The connection
    /// may go on.
    BadEscape,
}

impl RequestError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::TlsHandshake
            | Self::BadRequestLine
            | Self::BadTarget
            | Self::BadLineEnd
            | Self::BadHeaderName
            | Self::BadHeaderValue
            | Self::BadHost
            | Self::BadContentLength
            | Self::ConflictingLength
            | Self::TransferEncodingInHttp10
            | Self::BadChunk
            | Self::BadEscape => Status::BadRequest,
            Self::BodyTooLarge { .. } => Status::ContentTooLarge,
            Self::TargetTooLong => Status::UriTooLong,
            Self::UnknownExpectation => Status::ExpectationFailed,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::ChunkFramingTooLarge => {
                Status::RequestHeaderFieldsTooLarge
            }
            Self::UnknownTransferEncoding => Status::NotImplemented,
            Self::BadVersion => Status::HttpVersionNotSupported,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TlsHandshake => f.write_str("this port speaks plain HTTP, and this is TLS; use http:// or ws://"),
            Self::BadRequestLine => f.write_str("the request line is not 'METHOD TARGET HTTP/1.1'"),
            Self::BadTarget => f.write_str("the request target is not a path or URL; it begins with '/' and has no '#'"),
            Self::TargetTooLong => write!(f, "the request target has more than {MAX_HEAD_BYTES} octets; shorten it"),
            Self::BadVersion => f.write_str("this port speaks HTTP/1.1 and HTTP/1.0 only"),
            Self::BadLineEnd => f.write_str("a line of the request head does not end with CR LF"),
            Self::BadHeaderName => f.write_str(
                "a header field is not 'Name: value'; no space before the colon, and no value folded over several lines",
            ),
            Self::BadHeaderValue => f.write_str("the value of a header field has a control character in it"),
            Self::HeadTooLarge => {
                write!(f, "the request head has more than {MAX_HEAD_BYTES} octets; send fewer or shorter header fields")
            }
            Self::TooManyHeaders => write!(f, "the request has more than {MAX_HEADERS} header fields; send fewer"),
            Self::BadHost => f.write_str("the request needs exactly one Host header field"),
            Self::BadContentLength => f.write_str("Content-Length is not a number of octets"),
            Self::ConflictingLength => f.write_str(
                "the length of the body is ambiguous; send one Content-Length, or Transfer-Encoding: chunked without it",
            ),
            Self::TransferEncodingInHttp10 => {
                f.write_str("HTTP/1.0 has no Transfer-Encoding; send a Content-Length, or use HTTP/1.1")
            }
            Self::UnknownTransferEncoding => f.write_str("the only Transfer-Encoding known here is 'chunked', alone"),
            Self::UnknownExpectation => f.write_str("the only Expect known here is '100-continue'"),
            Self::BodyTooLarge { limit } => write!(f, "the body has more than {limit} octets, the most of one message"),
            Self::BadChunk => write!(
                f,
                "a chunk of the body is not a size in hexadecimal, CR LF, so many octets, CR LF; \
                 or its line has more than {MAX_CHUNK_LINE_BYTES} octets"
            ),
            Self::ChunkFramingTooLarge => write!(
                f,
                "the chunk extensions and trailer fields of the body have more than {MAX_BODY_FRAMING_BYTES} octets"
            ),
            Self::BadEscape => f.write_str("a '%' in the URL is not followed by two hexadecimal digits that make UTF-8"),
        }
    }
}

impl Error for RequestError {}

/// Why a request does not open a WebSocket (RFC 6455 §4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// A method other than GET.
    NotGet,
    /// HTTP/1.0, which has no upgrade (RFC 9110 §7.8).
    Http10,
    /// No `Upgrade: websocket`.
    NotUpgrade,
    /// No `upgrade` in `Connection`.
    NotConnectionUpgrade,
    /// A body, which would be taken for frames.
    Body,
    /// The draft of 2010 that has two keys, `Sec-WebSocket-Key1` and `Sec-WebSocket-Key2`.
    Draft,
    /// No `Sec-WebSocket-Version`, or one other than 13.
    WrongVersion,
    /// No `Sec-WebSocket-Key`.
    MissingKey,
    /// Several `Sec-WebSocket-Key`.
    RepeatedKey,
    /// A `Sec-WebSocket-Key` that is not 16 octets in base64.
    BadKey,
}

impl HandshakeError {
    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::NotGet => Status::MethodNotAllowed,
            Self::NotUpgrade | Self::Draft | Self::WrongVersion => Status::UpgradeRequired,
            Self::Http10
            | Self::NotConnectionUpgrade
            | Self::Body
            | Self::MissingKey
            | Self::RepeatedKey
            | Self::BadKey => Status::BadRequest,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGet => "a WebSocket is opened with GET",
            Self::Http10 => {
                "a WebSocket is opened with HTTP/1.1, and this request is HTTP/1.0; \
                 if a proxy made it so, let the proxy speak HTTP/1.1 to the broker"
            }
            Self::NotUpgrade => {
                "this is a WebSocket endpoint: connect with a WebSocket client, \
                 and let proxies on the way pass on 'Upgrade: websocket'"
            }
            Self::NotConnectionUpgrade => {
                "the request has 'Upgrade: websocket' but no 'Connection: Upgrade'; let proxies on the way pass on both"
            }
            Self::Body => "a request that opens a WebSocket has no body; leave out Content-Length and Transfer-Encoding",
            Self::Draft => {
                "this is the handshake of a WebSocket draft of 2010 (Sec-WebSocket-Key1 and Key2); \
                 use a client that speaks RFC 6455, with Sec-WebSocket-Version: 13 and one Sec-WebSocket-Key"
            }
            Self::WrongVersion => "the only WebSocket version spoken here is 13 (RFC 6455); send Sec-WebSocket-Version: 13",
            Self::MissingKey => "Sec-WebSocket-Key is missing; send 16 random octets in base64",
            Self::RepeatedKey => "Sec-WebSocket-Key is there more than once; send one",
            Self::BadKey => "Sec-WebSocket-Key is not 16 octets in base64, which are 24 characters",
        })
    }
}

impl Error for HandshakeError {}

/// Why a server's response does not open a WebSocket (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// Not a response of HTTP/1.1.
    Malformed,
    /// More than [`MAX_HEAD_BYTES`] or [`MAX_HEADERS`].
    HeadTooLarge,
    /// A status other than 101.
    Refused {
        /// The status.
        status: u16,
    },
    /// No `Upgrade: websocket`, or no `Connection: Upgrade`.
    NotUpgrade,
    /// A `Sec-WebSocket-Accept` that does not answer our key.
    WrongAccept,
    /// A subprotocol that was not offered.
    UnofferedProtocol,
    /// An extension that was not offered, or with parameters that cannot be.
    UnofferedExtension,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the server's response is not HTTP/1.1; is this the right port?"),
            Self::HeadTooLarge => write!(
                f,
                "the head of the server's response has more than {MAX_HEAD_BYTES} octets or {MAX_HEADERS} header fields"
            ),
            Self::Refused { status } => {
                write!(f, "the server refused to open a WebSocket, with status {status}")
            }
            Self::NotUpgrade => {
                f.write_str("the server's response lacks 'Upgrade: websocket' or 'Connection: Upgrade'")
            }
            Self::WrongAccept => f.write_str("the server's Sec-WebSocket-Accept does not answer our key"),
            Self::UnofferedProtocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::UnofferedExtension => f.write_str("the server chose an extension that was not offered"),
        }
    }
}

impl Error for ResponseError {}

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
    /// A pattern of more than [`limits::MAX_PATTERN_TOKENS`](crate::limits::MAX_PATTERN_TOKENS).
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
                write!(
                    f,
                    "a pattern has at most {} tokens, this one has {tokens}",
                    crate::limits::MAX_PATTERN_TOKENS
                )
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

/// Why a text is not a command.
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
            | Self::BadId => ErrorCode::BadCommand,
            Self::UnknownCommand { .. } => ErrorCode::UnknownCommand,
            Self::BadTopic(_) => ErrorCode::BadTopic,
            Self::BadSince | Self::SinceWithPattern => ErrorCode::BadSince,
        }
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
                "there is no command {name:?}; use subscribe, recover, unsubscribe, publish, ping or hello as \"type\""
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
        }
    }
}

impl Error for CommandError {}

impl From<TopicError> for CommandError {
    fn from(error: TopicError) -> Self {
        Self::BadTopic(error)
    }
}

/// The closed list of codes that an `error` notification may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message is not JSON.
    BadJson,
    /// The command lacks a field, or has one that is wrong.
    BadCommand,
    /// There is no such command.
    UnknownCommand,
    /// The topic is not one.
    BadTopic,
    /// The position is not one, or cannot be used here.
    BadSince,
    /// The payload is not of the kind that it is published as.
    BadPayload,
    /// A binary message on a connection whose protocol has none.
    BinaryUnsupported,
    /// The message is larger than this broker takes.
    MessageTooBig,
    /// The client may not do this.
    Forbidden,
    /// Another subscription of the connection matches the same messages in a way that the two cannot be told apart.
    Overlap,
    /// The connection has this subscription already.
    AlreadySubscribed,
    /// The connection has no such subscription.
    NotSubscribed,
    /// The connection has as many subscriptions as it may have.
    TooManySubscriptions,
    /// The broker has as many topics as it may have.
    TooManyTopics,
    /// A later command took the command's place before it was carried out.
    Superseded,
    /// The broker cannot do this now; try again later.
    Unavailable,
}

impl ErrorCode {
    /// The code as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadJson => "bad_json",
            Self::BadCommand => "bad_command",
            Self::UnknownCommand => "unknown_command",
            Self::BadTopic => "bad_topic",
            Self::BadSince => "bad_since",
            Self::BadPayload => "bad_payload",
            Self::BinaryUnsupported => "binary_unsupported",
            Self::MessageTooBig => "message_too_big",
            Self::Forbidden => "forbidden",
            Self::Overlap => "overlap",
            Self::AlreadySubscribed => "already_subscribed",
            Self::NotSubscribed => "not_subscribed",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooManyTopics => "too_many_topics",
            Self::Superseded => "superseded",
            Self::Unavailable => "unavailable",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
