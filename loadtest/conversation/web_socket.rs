//! A client's WebSocket: opened, read message by message, pings answered, closed. What the messages say is the dialect's.

use std::cell::Cell;

use fanwire_wire::close::{self, CloseReason};
use fanwire_wire::deflate::{DeflateParams, Inflater};
use fanwire_wire::error::{ProtocolError, ResponseError};
use fanwire_wire::frame::{OpCode, Role, write_masked_frame};
use fanwire_wire::handshake::ClientHandshake;
use fanwire_wire::message::{Incoming, MessageReader};
use fastrand::Rng;

use super::dialect::Dialect;
use super::refusal::Refusal;
use super::request::{Purpose, fields};
use super::{ConversationError, Heard, MAX_MESSAGE_BYTES, Peer};

thread_local! {
    /// Serves all connections of the thread whose server compresses each message on its own, as Fanwire does: an
    /// inflater takes tens of kilobytes. It is not there while it is in use.
    static SHARED_INFLATER: Cell<Option<Inflater>> = const { Cell::new(None) };
}

/// One connection.
#[derive(Debug)]
pub(super) struct WebSocket {
    /// One for the whole connection: masks protect proxies from payloads that an attacker chose (RFC 6455 §10.3), and
    /// nobody has chosen these.
    masking_key: [u8; 4],
    dialect: Dialect,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Opening(Box<Opening>),
    Refused(Box<Refusal>),
    Open {
        reader: MessageReader,
        /// For a server that compresses each message in the context of the ones before.
        own_inflater: Option<Box<Inflater>>,
    },
}

impl WebSocket {
    /// A WebSocket to `target` that is not open yet.
    pub(super) fn new(
        peer: &Peer,
        target: String,
        offer_deflate: bool,
        dialect: Dialect,
        random: &mut Rng,
    ) -> Self {
        let opening = Opening {
            key: random.u128(..).to_be_bytes(),
            authority: peer.authority.clone(),
            target,
            subprotocol: dialect.subprotocol(),
            offer_deflate,
            fields: fields(peer.headers, Purpose::WebSocket, &peer.authority),
            response: Vec::new(),
        };
        Self { masking_key: random.u32(..).to_be_bytes(), dialect, phase: Phase::Opening(Box::new(opening)) }
    }

    /// Writes the request that opens it.
    pub(super) fn begin(&self, out: &mut Vec<u8>) {
        if let Phase::Opening(opening) = &self.phase {
            opening.with_handshake(|handshake| handshake.write_request(out));
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Open { .. }) && self.dialect.is_ready()
    }

    /// Whether it is open, and all messages that were begun have come.
    pub(super) fn is_idle(&self) -> bool {
        matches!(&self.phase, Phase::Open { reader, .. } if reader.is_idle()) && self.dialect.is_idle()
    }

    /// Takes in what the socket has, and writes what is to be answered.
    pub(super) fn read(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let mut frames = Frames { out, masking_key: self.masking_key };
        let mut taken = 0;
        if let Phase::Opening(opening) = &mut self.phase {
            let Some((response_octets, phase)) = opening.read(input)? else { return Ok(()) };
            taken = response_octets;
            self.phase = phase;
            self.dialect.opened(&mut frames);
        }
        let input = &mut input[taken..];
        match &mut self.phase {
            Phase::Opening(_) => Ok(()),
            Phase::Refused(refusal) => refusal.read(input),
            Phase::Open { reader, own_inflater: Some(inflater) } => {
                read_messages(reader, inflater, input, &mut self.dialect, &mut frames, on_heard)
            }
            Phase::Open { reader, own_inflater: None } => with_shared_inflater(|inflater| {
                read_messages(reader, inflater, input, &mut self.dialect, &mut frames, on_heard)
            }),
        }
    }

    /// What it means that the connection has ended.
    pub(super) fn end(&self) -> ConversationError {
        match &self.phase {
            Phase::Refused(refusal) => refusal.error(),
            Phase::Opening(_) | Phase::Open { .. } => ConversationError::Ended { ready: self.is_ready() },
        }
    }

    /// Writes what publishes `payload`; `message` is room for what goes into the frame.
    pub(super) fn publish(&self, topic: &str, payload: &[u8], message: &mut Vec<u8>, out: &mut Vec<u8>) {
        message.clear();
        let opcode = self.dialect.publish(topic, payload, message);
        Frames { out, masking_key: self.masking_key }.write(opcode, message);
    }
}

/// A WebSocket whose request was not answered yet.
#[derive(Debug)]
struct Opening {
    key: [u8; 16],
    authority: String,
    target: String,
    subprotocol: Option<&'static str>,
    offer_deflate: bool,
    fields: Vec<(&'static str, String)>,
    /// What came of the response.
    response: Vec<u8>,
}

impl Opening {
    fn with_handshake<T>(&self, run: impl FnOnce(&ClientHandshake<'_>) -> T) -> T {
        let fields: Vec<_> = self.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut handshake = ClientHandshake::new(self.key, &self.authority, &self.target);
        handshake.protocols = self.subprotocol.as_slice();
        handshake.offer_deflate = self.offer_deflate;
        handshake.headers = &fields;
        run(&handshake)
    }

    /// Takes in more of the response. Once that is whole: how many octets of `input` it took, and what follows it.
    fn read(&mut self, input: &[u8]) -> Result<Option<(usize, Phase)>, ConversationError> {
        let before = self.response.len();
        self.response.extend_from_slice(input);
        let answer = self.with_handshake(|handshake| {
            let accepted = handshake.check_response(&self.response)?;
            Ok(accepted.map(|accepted| (accepted.length, accepted.deflate, accepted.protocol.is_some())))
        });
        match answer {
            Ok(None) => Ok(None),
            Ok(Some((length, deflate, is_spoken))) => match self.subprotocol.filter(|_| !is_spoken) {
                Some(subprotocol) => Err(ConversationError::NotSpoken { subprotocol }),
                None => Ok(Some((length - before, self.open(deflate)?))),
            },
            Err(ResponseError::Refused { .. }) => {
                let mut refusal = Refusal::default();
                refusal.read(&self.response)?;
                Ok(Some((input.len(), Phase::Refused(Box::new(refusal)))))
            }
            Err(error) => Err(ConversationError::Upgrade(error)),
        }
    }

    fn open(&self, deflate: Option<DeflateParams>) -> Result<Phase, ConversationError> {
        if self.offer_deflate && deflate.is_none() {
            return Err(ConversationError::NotCompressed);
        }
        let keeps_context = deflate.is_some_and(|agreed| !agreed.server_no_context_takeover);
        Ok(Phase::Open {
            reader: MessageReader::new(Role::Client, deflate.is_some()),
            own_inflater: keeps_context.then(|| Box::new(Inflater::new(true))),
        })
    }
}

fn with_shared_inflater<T>(run: impl FnOnce(&mut Inflater) -> T) -> T {
    let mut inflater = SHARED_INFLATER.take().unwrap_or_else(|| Inflater::new(false));
    let outcome = run(&mut inflater);
    SHARED_INFLATER.set(Some(inflater));
    outcome
}

fn read_messages(
    reader: &mut MessageReader,
    inflater: &mut Inflater,
    input: &mut [u8],
    dialect: &mut Dialect,
    frames: &mut Frames<'_>,
    on_heard: &mut dyn FnMut(Heard<'_>),
) -> Result<(), ConversationError> {
    let mut rest = input;
    while !rest.is_empty() {
        let (consumed, incoming) =
            reader.read(rest, MAX_MESSAGE_BYTES, inflater).inspect_err(|error| frames.fail(error))?;
        match incoming {
            None | Some(Incoming::Pong(_)) => {}
            Some(Incoming::Message { payload, .. }) => dialect.read(&payload, frames, on_heard)?,
            Some(Incoming::Ping(payload)) => frames.write(OpCode::Pong, &payload),
            Some(Incoming::Close(reason)) => return Err(frames.close(reason)),
        }
        rest = &mut rest[consumed..];
    }
    Ok(())
}

/// Writes a client's frames.
#[derive(Debug)]
pub(super) struct Frames<'o> {
    out: &'o mut Vec<u8>,
    masking_key: [u8; 4],
}

impl Frames<'_> {
    pub(super) fn text(&mut self, payload: &[u8]) {
        self.write(OpCode::Text, payload);
    }

    pub(super) fn binary(&mut self, payload: &[u8]) {
        self.write(OpCode::Binary, payload);
    }

    fn write(&mut self, opcode: OpCode, payload: &[u8]) {
        write_masked_frame(self.out, self.masking_key, opcode, false, payload);
    }

    /// Answers the server's close with its own code (RFC 6455 §5.5.1), and says what it meant.
    fn close(&mut self, reason: Option<CloseReason<'_>>) -> ConversationError {
        let mut payload = Vec::new();
        let Some(CloseReason { code, reason }) = reason else {
            self.write(OpCode::Close, &payload);
            return ConversationError::closed(None, b"");
        };
        close::write_payload(&mut payload, code, "");
        self.write(OpCode::Close, &payload);
        ConversationError::closed(Some(code), reason.as_bytes())
    }

    /// Tells the server what is wrong with its frames (RFC 6455 §7.1.7).
    fn fail(&mut self, error: &ProtocolError) {
        let mut payload = Vec::new();
        close::write_payload(&mut payload, error.close_code(), &error.to_string());
        self.write(OpCode::Close, &payload);
    }
}
