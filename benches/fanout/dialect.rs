//! How clients of each target subscribe and publish.

use std::fmt::Write;
use std::net::SocketAddr;

use fanwire_wire::deflate::OFFER;
use fanwire_wire::frame::{OpCode, write_masked_frame};

/// The last octet of every payload, which is nowhere else in what a target sends: deliveries are counted by it.
pub(crate) const MARK: u8 = b'^';

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// A WebSocket at `/topics/NAME` subscribes to the topic, and one at `/topics/NAME?echo=false` publishes to it.
    Raw,
    /// The same for a subscriber of the [feed](crate::feed), who may offer compression.
    Feed { compressed: bool },
    /// Fanwire's JSON interface.
    Json,
    /// The NATS protocol.
    Nats,
}

/// Any masking key will do.
const MASKING_KEY: [u8; 4] = [1, 2, 3, 4];

impl Dialect {
    /// Whether a connection publishes to any topic, and not to one that it was opened for.
    pub(crate) fn publishes_anywhere(self) -> bool {
        matches!(self, Self::Json | Self::Nats)
    }

    /// What a subscriber of `topics` sends first.
    pub(crate) fn subscribe(self, address: SocketAddr, topics: &[String]) -> Vec<u8> {
        match self {
            Self::Raw | Self::Feed { compressed: false } => {
                upgrade(address, &format!("/topics/{}", topics.join(",")))
            }
            Self::Feed { compressed: true } => {
                let request = upgrade(address, &format!("/topics/{}", topics.join(",")));
                let lines = request.strip_suffix(b"\r\n").expect("an empty line ends it");
                [lines, format!("Sec-WebSocket-Extensions: {OFFER}\r\n\r\n").as_bytes()].concat()
            }
            Self::Json => {
                let mut bytes = upgrade(address, "/v1/ws");
                subscribe_in_json(topics, &mut bytes);
                bytes
            }
            Self::Nats => {
                let mut text = nats_hello();
                for (number, topic) in topics.iter().enumerate() {
                    let _ = write!(text, "SUB {topic} {number}\r\n");
                }
                (text + "PING\r\n").into_bytes()
            }
        }
    }

    /// What a publisher to `topic` sends first.
    pub(crate) fn announce(self, address: SocketAddr, topic: &str) -> Vec<u8> {
        match self {
            Self::Raw | Self::Feed { .. } => upgrade(address, &format!("/topics/{topic}?echo=false")),
            Self::Json => upgrade(address, "/v1/ws"),
            Self::Nats => (nats_hello() + "PING\r\n").into_bytes(),
        }
    }

    /// Whether `answer` says that a connection is there, and subscribes to as many topics as it wants to.
    pub(crate) fn is_ready(self, answer: &[u8], topics: usize) -> bool {
        match self {
            Self::Raw | Self::Feed { .. } => is_upgraded(answer),
            Self::Json => is_upgraded(answer) && count(answer, br#""subscribed""#) == topics,
            Self::Nats => answer.ends_with(b"PONG\r\n"),
        }
    }

    /// Writes what publishes a message to `topic`.
    pub(crate) fn publish(self, topic: &str, payload: &str, out: &mut Vec<u8>) {
        match self {
            Self::Raw | Self::Feed { .. } => {
                write_masked_frame(out, MASKING_KEY, OpCode::Binary, false, payload.as_bytes());
            }
            Self::Json => {
                let command = format!(r#"{{"type":"publish","topic":"{topic}","data":"{payload}"}}"#);
                write_masked_frame(out, MASKING_KEY, OpCode::Text, false, command.as_bytes());
            }
            Self::Nats => {
                out.extend_from_slice(format!("PUB {topic} {}\r\n{payload}\r\n", payload.len()).as_bytes());
            }
        }
    }
}

fn upgrade(address: SocketAddr, path: &str) -> Vec<u8> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    request.into_bytes()
}

/// Writes commands that subscribe to `topics`, on a connection that speaks JSON.
pub(crate) fn subscribe_in_json(topics: &[String], out: &mut Vec<u8>) {
    for topic in topics {
        let command = format!(r#"{{"type":"subscribe","id":1,"topic":"{topic}"}}"#);
        write_masked_frame(out, MASKING_KEY, OpCode::Text, false, command.as_bytes());
    }
}

fn nats_hello() -> String {
    "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_owned()
}

fn is_upgraded(answer: &[u8]) -> bool {
    let whole = count(answer, b"\r\n\r\n") > 0;
    assert!(!whole || answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(answer));
    whole
}

fn count(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).filter(|window| *window == needle).count()
}
