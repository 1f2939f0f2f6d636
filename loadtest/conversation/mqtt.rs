//! MQTT 3.1.1 over WebSocket, at quality of service 0: a stream of packets, which may be cut anywhere over frames
//! (MQTT-6.0.0-2).
//!
//! ```text
//!   octet 0              1 to 4 octets                                   remaining length
//! ┌─────────┬─────────┬──────────────────────────────────────────────┬──────────────────────┐
//! │ type    │ flags   │ remaining length, seven bits to an octet, the │ header of the type,  │
//! │ 4 bits  │ 4 bits  │ lowest first; the eighth: another follows     │ payload              │
//! └─────────┴─────────┴──────────────────────────────────────────────┴──────────────────────┘
//! ```

use std::mem;

use fastrand::Rng;

use super::pieces::Pieces;
use super::web_socket::Frames;
use super::{ConversationError, Heard, MAX_MESSAGE_BYTES};

/// The packets that a client sends and gets at quality of service 0 (MQTT 3.1.1 §2.2.1), with the flags that they have to have.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const PINGRESP: u8 = 0xd0;

/// The one flag of PUBLISH that may be set then: the message is from before the subscription (§3.3.1).
const RETAIN: u8 = 0x01;

/// The protocol's name and level (§3.1.2.1), a clean session (§3.1.2.4), and no keep-alive (§3.1.2.10): a load generator
/// that hangs should not lose its connections to its own server's patience.
const CONNECT_HEADER: [u8; 10] = [0, 4, b'M', b'Q', b'T', b'T', 4, 0b10, 0, 0];

/// There is one SUBSCRIBE a connection.
const PACKET_ID: [u8; 2] = [0, 1];

/// A return code of SUBACK (§3.9.3).
const FAILURE: u8 = 0x80;

const A_PACKET: &str = "a packet of MQTT 3.1.1 that may come here";

/// One connection.
#[derive(Debug)]
pub(super) struct Mqtt {
    client_id: String,
    /// What is to be subscribed to; kept until that is answered.
    topics: Vec<String>,
    phase: Phase,
    pieces: Pieces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Subscribing,
    Ready,
}

impl Mqtt {
    pub(super) fn new(topics: &[String], random: &mut Rng) -> Self {
        // Up to 23 letters and digits are what every server takes (§3.1.3.1).
        let role = if topics.is_empty() { "pub" } else { "sub" };
        let client_id = format!("lt{role}{:016x}", random.u64(..));
        Self { client_id, topics: topics.to_vec(), phase: Phase::Connecting, pieces: Pieces::default() }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether all that has come was complete.
    pub(super) fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }

    pub(super) fn opened(&self, frames: &mut Frames<'_>) {
        let mut packet = Vec::new();
        begin_packet(&mut packet, CONNECT, CONNECT_HEADER.len() + 2 + self.client_id.len());
        packet.extend_from_slice(&CONNECT_HEADER);
        write_string(&mut packet, &self.client_id);
        frames.binary(&packet);
    }

    /// Writes what publishes a message.
    pub(super) fn publish(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        begin_packet(out, PUBLISH, 2 + topic.len() + payload.len());
        write_string(out, topic);
        out.extend_from_slice(payload);
    }

    /// Takes in the payload of the next message.
    pub(super) fn read(
        &mut self,
        payload: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let mut pieces = mem::take(&mut self.pieces);
        pieces.read(payload, |octets| self.take_packet(octets, frames, on_heard))?;
        self.pieces = pieces;
        Ok(())
    }

    /// Takes in the packet at the front of `octets`; how many of them it has, if it is complete.
    fn take_packet(
        &mut self,
        octets: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<Option<usize>, ConversationError> {
        let Some((header_len, length)) = parse_fixed_header(octets)? else { return Ok(None) };
        let packet_len = header_len + length;
        let Some(content) = octets.get(header_len..packet_len) else { return Ok(None) };
        let first = octets[0];
        match (first, self.phase) {
            (_, Phase::Subscribing | Phase::Ready) if first & !RETAIN == PUBLISH => {
                on_heard(Heard::Payload(payload_of(content).ok_or_else(|| not_a_packet(content))?));
            }
            (CONNACK, Phase::Connecting) => self.connected(content, frames)?,
            (SUBACK, Phase::Subscribing) => self.subscribed(content)?,
            (PINGRESP, _) if content.is_empty() => {}
            _ => return Err(not_a_packet(octets)),
        }
        Ok(Some(packet_len))
    }

    /// The server takes the connection, or not (§3.2).
    fn connected(&mut self, content: &[u8], frames: &mut Frames<'_>) -> Result<(), ConversationError> {
        match *content {
            [_, 0] if self.topics.is_empty() => self.phase = Phase::Ready,
            [_, 0] => {
                self.subscribe(frames);
                self.phase = Phase::Subscribing;
            }
            [_, code] => return Err(ConversationError::denied(refusal(code).as_bytes())),
            _ => return Err(not_a_packet(content)),
        }
        Ok(())
    }

    /// Subscribes to all topics in one packet (§3.8).
    fn subscribe(&self, frames: &mut Frames<'_>) {
        let topics_len: usize = self.topics.iter().map(|topic| 2 + topic.len() + 1).sum();
        let mut packet = Vec::new();
        begin_packet(&mut packet, SUBSCRIBE, PACKET_ID.len() + topics_len);
        packet.extend_from_slice(&PACKET_ID);
        for topic in &self.topics {
            write_string(&mut packet, topic);
            packet.push(0);
        }
        frames.binary(&packet);
    }

    /// Each subscription is answered by a code, in order (§3.9).
    fn subscribed(&mut self, content: &[u8]) -> Result<(), ConversationError> {
        let codes = content.strip_prefix(&PACKET_ID).filter(|codes| codes.len() == self.topics.len());
        let codes = codes.ok_or_else(|| not_a_packet(content))?;
        if let Some(failed) = codes.iter().position(|&code| code == FAILURE) {
            let said = format!("no subscription to {}", self.topics[failed]);
            return Err(ConversationError::Denied { said });
        }
        self.topics = Vec::new();
        self.phase = Phase::Ready;
        Ok(())
    }
}

/// How many octets the fixed header at the front has, and how many follow it; none if it is not complete (§2.2).
fn parse_fixed_header(octets: &[u8]) -> Result<Option<(usize, usize)>, ConversationError> {
    let mut length = 0;
    for (index, byte) in octets.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return if length <= MAX_MESSAGE_BYTES {
                Ok(Some((index + 2, length)))
            } else {
                Err(not_a_packet(octets))
            };
        }
    }
    if octets.len() >= 5 { Err(not_a_packet(octets)) } else { Ok(None) }
}

/// What stands behind the topic in the content of a PUBLISH (§3.3).
fn payload_of(content: &[u8]) -> Option<&[u8]> {
    let (topic_len, rest) = content.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes(*topic_len))..)
}

/// Writes the fixed header of a packet, of whose content `length` octets follow.
fn begin_packet(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    let mut rest = length;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Writes a string with its length (§1.5.3).
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// What a return code of CONNACK means (§3.2.2.3).
fn refusal(code: u8) -> String {
    let meaning = match code {
        1 => "it does not speak MQTT 3.1.1",
        2 => "it does not take the client id",
        3 => "it is not available",
        4 => "bad user name or password",
        5 => "not authorised",
        _ => "a code that MQTT 3.1.1 reserves",
    };
    format!("{meaning} (return code {code})")
}

fn not_a_packet(came: &[u8]) -> ConversationError {
    ConversationError::nonsense(A_PACKET, came)
}
