//! NATS core over WebSocket: a stream of lines and payloads, which may be cut anywhere over frames.
//!
//! ```text
//!   server                                   client
//!   INFO {…}                         →
//!                                    ←       CONNECT {…}, SUB for each topic, PING
//!   PONG                             →       now every subscription stands
//!   MSG topic sid [reply] octets     →
//!   payload                          →
//!                                    ←       PUB topic octets, payload
//! ```
//!
//! Lines end with CR LF; the names of operations are compared without regard to case.

use std::fmt::Write as _;
use std::mem;

use memchr::memchr;

use super::pieces::Pieces;
use super::web_socket::Frames;
use super::{ConversationError, Heard, MAX_MESSAGE_BYTES};

/// The longest line, in octets. A server's own limit is 4 KiB, except for `INFO`, which lists its cluster.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// `verbose` would have each operation answered with `+OK`.
const CONNECT: &str = concat!(
    r#"CONNECT {"verbose":false,"pedantic":false,"name":"loadtest","lang":"rust","version":""#,
    env!("CARGO_PKG_VERSION"),
    "\"}\r\n"
);

const AN_OPERATION: &str = "an operation of the NATS protocol";

/// One connection.
#[derive(Debug)]
pub(super) struct Nats {
    /// What is yet to be subscribed to.
    topics: Vec<String>,
    phase: Phase,
    pieces: Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server has yet to say who it is.
    Greeting,
    /// The server has yet to say that it did all that it was asked for.
    Introduced,
    Ready,
}

impl Nats {
    pub(super) fn new(topics: &[String]) -> Self {
        Self { topics: topics.to_vec(), phase: Phase::Greeting, pieces: Pieces::default() }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether all that has come was complete.
    pub(super) fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Writes what publishes a message.
    pub(super) fn publish(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"PUB ");
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(format!(" {}\r\n", payload.len()).as_bytes());
        out.extend_from_slice(payload);
        out.extend_from_slice(b"\r\n");
    }

    /// Takes in the payload of the next message.
    pub(super) fn read(
        &mut self,
        payload: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let mut pieces = mem::take(&mut self.pieces);
        pieces.read(payload, |octets| self.take_operation(octets, frames, on_heard))?;
        self.pieces = pieces;
        Ok(())
    }

    /// Takes in the operation at the front of `octets`; how many of them it has, if it is complete.
    fn take_operation(
        &mut self,
        octets: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Option<usize>, ConversationError> {
        let Some(line) = take_line(octets)? else { return Ok(None) };
        let line_len = line.len() + 2;
        let name_len = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let (name, arguments) = line.split_at(name_len);
        if name.eq_ignore_ascii_case(b"MSG") {
            let Some(payload) = take_payload(arguments, &octets[line_len..])? else { return Ok(None) };
            on_heard(Heard::Payload(payload));
            return Ok(Some(line_len + payload.len() + 2));
        }
        match name.to_ascii_uppercase().as_slice() {
            b"PING" => frames.binary(b"PONG\r\n"),
            b"PONG" if self.phase != Phase::Greeting => self.phase = Phase::Ready,
            b"INFO" if self.phase == Phase::Greeting => self.introduce(frames),
            b"INFO" | b"+OK" => {}
            b"-ERR" => return Err(ConversationError::denied(arguments)),
            _ => return Err(ConversationError::nonsense(AN_OPERATION, line)),
        }
        Ok(Some(line_len))
    }

    fn introduce(&mut self, frames: &mut Frames<'_>) {
        let mut operations = CONNECT.to_owned();
        for (sid, topic) in mem::take(&mut self.topics).into_iter().enumerate() {
            write!(operations, "SUB {topic} {sid}\r\n").expect("writing to memory does not fail");
        }
        // Operations are carried out in order: when this is answered, so is all before it.
        operations.push_str("PING\r\n");
        frames.binary(operations.as_bytes());
        self.phase = Phase::Introduced;
    }
}

/// The line at the front, without its end; none if it is not complete.
fn take_line(octets: &[u8]) -> Result<Option<&[u8]>, ConversationError> {
    let Some(end) = memchr(b'\n', octets) else {
        return if octets.len() < MAX_LINE_BYTES { Ok(None) } else { Err(not_an_operation(octets)) };
    };
    octets[..end].strip_suffix(b"\r").map(Some).ok_or_else(|| not_an_operation(octets))
}

/// The payload behind a line with `arguments`, the last of which is its length; none if it is not complete.
fn take_payload<'a>(arguments: &[u8], rest: &'a [u8]) -> Result<Option<&'a [u8]>, ConversationError> {
    let length = arguments.rsplit(|byte| matches!(byte, b' ' | b'\t')).next();
    let length = length.and_then(|digits| str::from_utf8(digits).ok()?.parse::<usize>().ok());
    let length = length.filter(|&length| length <= MAX_MESSAGE_BYTES);
    let length = length.ok_or_else(|| not_an_operation(arguments))?;
    let Some(payload) = rest.get(..length + 2) else { return Ok(None) };
    payload.strip_suffix(b"\r\n").map(Some).ok_or_else(|| not_an_operation(payload))
}

fn not_an_operation(came: &[u8]) -> ConversationError {
    ConversationError::nonsense(AN_OPERATION, came)
}
