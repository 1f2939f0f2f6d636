//! Requests that cannot be read, and handshakes that fail, on either side.

use std::error::Error;
use std::fmt;

use crate::http::Status;
use crate::limits::{MAX_BODY_FRAMING_BYTES, MAX_CHUNK_LINE_BYTES, MAX_HEAD_BYTES, MAX_HEADERS};

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
    TargetTooLong {
        /// The most octets that this side takes for a head.
        limit: usize,
    },
    /// Neither HTTP/1.0 nor HTTP/1.1 (505).
    BadVersion,
    /// A line that ends with something else than CR LF (RFC 9112 §2.2).
    BadLineEnd,
    /// A header field whose name is not a token followed by a colon, which a folded line has not either (RFC 9112 §5.2).
    BadHeaderName,
    /// A header field with a control character in its value (RFC 9110 §5.5).
    BadHeaderValue,
    /// A head of more octets than this side takes (431).
    HeadTooLarge {
        /// The most octets that this side takes.
        limit: usize,
    },
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
            Self::TargetTooLong { .. } => Status::UriTooLong,
            Self::UnknownExpectation => Status::ExpectationFailed,
            Self::HeadTooLarge { .. } | Self::TooManyHeaders | Self::ChunkFramingTooLarge => {
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
            Self::TargetTooLong { limit } => write!(f, "the request target has more than {limit} octets; shorten it"),
            Self::BadVersion => f.write_str("this port speaks HTTP/1.1 and HTTP/1.0 only"),
            Self::BadLineEnd => f.write_str("a line of the request head does not end with CR LF"),
            Self::BadHeaderName => f.write_str(
                "a header field is not 'Name: value'; no space before the colon, and no value folded over several lines",
            ),
            Self::BadHeaderValue => f.write_str("the value of a header field has a control character in it"),
            Self::HeadTooLarge { limit } => {
                write!(f, "the request head has more than {limit} octets; send fewer or shorter header fields")
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
