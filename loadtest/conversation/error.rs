//! Why a conversation cannot go on, and who is to blame.

use std::error::Error;
use std::fmt;

use fanwire_wire::close::CloseCode;
use fanwire_wire::error::{ProtocolError, ResponseError};
use fanwire_wire::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

use super::MAX_MESSAGE_BYTES;

/// Characters of what a server said that are kept for people.
const MAX_SAID_CHARACTERS: usize = 300;

/// Why a conversation cannot go on. All of it is the server's doing; whether the server is broken or was asked for something
/// that it does not have is what the variants tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConversationError {
    /// The server answered a request with a status that is not a success: it was asked for what it does not have, or it
    /// cannot do it now.
    Refused {
        /// The status.
        status: u16,
        /// The body, as far as it is for people.
        said: String,
    },
    /// The server refused in the words of the dialect: an `error` notification, an `-ERR`, a return code.
    Denied {
        /// What it said.
        said: String,
    },
    /// The server was offered a subprotocol, and has not taken it.
    NotSpoken {
        /// Its name.
        subprotocol: &'static str,
    },
    /// The server was asked to compress, and does not.
    NotCompressed,
    /// The server ends the connection after each answer: polls over it are not what is measured.
    NotKeptAlive,
    /// The server has no positions, which polls go by: it is not Fanwire, or one without polls.
    NoPosition,
    /// The server was asked for an event stream, and answers with something else.
    NoEventStream {
        /// Its content type.
        content_type: String,
    },
    /// The server closed the WebSocket (RFC 6455 §5.5.1), or ended the event stream behind a comment.
    Closed {
        /// The WebSocket's code, if there was one.
        code: Option<u16>,
        /// The reason, which is often empty.
        reason: String,
    },
    /// The connection ended without a word: the server died or dropped it.
    Ended {
        /// Whether the conversation was ready before.
        ready: bool,
    },
    /// The server's response breaks RFC 6455 §4: it is not a WebSocket server.
    Upgrade(ResponseError),
    /// The server's frames break RFC 6455 or RFC 7692.
    Frames(ProtocolError),
    /// The server's response breaks HTTP, or is more than this client takes.
    Response(BadResponse),
    /// The server broke the rules of the dialect.
    Nonsense {
        /// What should have come.
        expected: &'static str,
        /// What came, as far as it is for people.
        came: String,
    },
}

/// What is wrong with a response (RFC 9112).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadResponse {
    /// It does not begin as a response of HTTP/1.1.
    Malformed,
    /// A head of more than [`MAX_HEAD_BYTES`] or [`MAX_HEADERS`].
    HeadTooLarge,
    /// Lengths that contradict each other, or are no numbers (RFC 9112 §6.3).
    BadLength,
    /// A transfer encoding other than `chunked`.
    UnknownTransferEncoding,
    /// A body in a content encoding. None was asked for that would be worth it.
    Encoded,
    /// Chunks that are not framed as RFC 9112 §7.1 says.
    BadChunk,
    /// A body of more than [`MAX_MESSAGE_BYTES`].
    BodyTooLarge,
    /// Octets that no request asked for.
    Unasked,
}

impl ConversationError {
    pub(super) fn refused(status: u16, body: &[u8]) -> Self {
        Self::Refused { status, said: for_people(body) }
    }

    pub(super) fn denied(said: &[u8]) -> Self {
        Self::Denied { said: for_people(said) }
    }

    pub(super) fn closed(code: Option<CloseCode>, reason: &[u8]) -> Self {
        Self::Closed { code: code.map(CloseCode::as_u16), reason: for_people(reason) }
    }

    pub(super) fn nonsense(expected: &'static str, came: &[u8]) -> Self {
        Self::Nonsense { expected, came: for_people(came) }
    }
}

/// The beginning of what a server said, on one line.
fn for_people(octets: &[u8]) -> String {
    // A character is at most four octets long: what is behind them cannot be shown.
    let octets = &octets[..octets.len().min(MAX_SAID_CHARACTERS * 4)];
    let text = String::from_utf8_lossy(octets);
    let text = text.trim().chars().take(MAX_SAID_CHARACTERS);
    text.map(|character| if character.is_control() { ' ' } else { character }).collect()
}

impl fmt::Display for ConversationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, said } if said.is_empty() => {
                write!(f, "the server refused with status {status}")
            }
            Self::Refused { status, said } => write!(f, "the server refused with status {status}: {said}"),
            Self::Denied { said } => write!(f, "the server refused: {said}"),
            Self::NotSpoken { subprotocol } => {
                write!(
                    f,
                    "the server does not speak {subprotocol} there; is this the right URL and --protocol?"
                )
            }
            Self::NotCompressed => f.write_str("the server does not agree to permessage-deflate"),
            Self::NotKeptAlive => {
                f.write_str("the server ends the connection after an answer; polls need it kept alive")
            }
            Self::NoPosition => {
                f.write_str("the server answers without Fanwire-Epoch and Fanwire-Offset; polls need them")
            }
            Self::NoEventStream { content_type } => {
                write!(
                    f,
                    "the server answers with content type {content_type:?}, and not with text/event-stream"
                )
            }
            Self::Closed { code, reason } => {
                f.write_str("the server closed the conversation")?;
                code.map_or(Ok(()), |code| write!(f, " with code {code}"))?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Ended { ready: false } => f.write_str(
                "the server ended the connection before it was ready; is this the right port and protocol?",
            ),
            Self::Ended { ready: true } => f.write_str("the server ended the connection without a word"),
            Self::Upgrade(error) => error.fmt(f),
            Self::Frames(error) => write!(f, "the server's frames break RFC 6455: {error}"),
            Self::Response(error) => error.fmt(f),
            Self::Nonsense { expected, came } => write!(f, "the server sent {came:?} and not {expected}"),
        }
    }
}

impl Error for ConversationError {}

impl fmt::Display for BadResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("the server's response is not HTTP/1.1; is this the right port?"),
            Self::HeadTooLarge => write!(
                f,
                "the head of the server's response has more than {MAX_HEAD_BYTES} octets or {MAX_HEADERS} header fields"
            ),
            Self::BadLength => {
                f.write_str("the length of the server's response is ambiguous or not a number")
            }
            Self::UnknownTransferEncoding => {
                f.write_str("the server's response has a transfer encoding other than 'chunked'")
            }
            Self::Encoded => {
                f.write_str("the server's response has a content encoding, which is not read here")
            }
            Self::BadChunk => f.write_str("the chunks of the server's response are damaged"),
            Self::BodyTooLarge => {
                write!(f, "the body of the server's response has more than {MAX_MESSAGE_BYTES} octets")
            }
            Self::Unasked => f.write_str("the server sent more than it was asked for"),
        }
    }
}

impl From<ProtocolError> for ConversationError {
    fn from(error: ProtocolError) -> Self {
        Self::Frames(error)
    }
}

impl From<BadResponse> for ConversationError {
    fn from(error: BadResponse) -> Self {
        Self::Response(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_said_is_told_on_one_line_of_bounded_length() {
        let error = ConversationError::refused(404, b"  not\r\nfound \xff\n");
        assert_eq!(error.to_string(), "the server refused with status 404: not  found \u{fffd}");
        let ConversationError::Denied { said } = ConversationError::denied("ü".repeat(10_000).as_bytes())
        else {
            unreachable!("it is denied");
        };
        assert_eq!(said, "ü".repeat(MAX_SAID_CHARACTERS));
    }
}
