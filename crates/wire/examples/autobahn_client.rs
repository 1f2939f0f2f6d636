//! An echo client on blocking sockets: what a program adds to this crate to be a WebSocket client, and what
//! the Autobahn test suite tests the client role with.
//!
//! ```text
//! AUTOBAHN_URL=ws://127.0.0.1:9001 autobahn_client
//! ```
//!
//! It asks how many cases there are, lets each be run, echoing every message, and asks for the report.

use std::env;
use std::error::Error;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fanwire_wire::close::{self, CloseReason};
use fanwire_wire::deflate::{DeflateParams, Deflater, Inflater};
use fanwire_wire::error::ProtocolError;
use fanwire_wire::frame::{OpCode, Role, write_masked_frame};
use fanwire_wire::handshake::ClientHandshake;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};

/// Four times the largest message of the suite, in octets.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Octets of one read.
const READ_BYTES: usize = 64 * 1024;

/// Longer than any case pauses; a suite that hangs longer fails the run.
const READ_TIMEOUT: Duration = Duration::from_secs(130);

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::var("AUTOBAHN_URL")?;
    let host = url.strip_prefix("ws://").ok_or("AUTOBAHN_URL must begin with ws://")?.trim_end_matches('/');

    let mut count = String::new();
    Connection::open(host, "/getCaseCount")?.serve(|message| {
        count = String::from_utf8_lossy(message).into_owned();
        Reply::Nothing
    })?;
    for case in 1..=count.parse::<u32>()? {
        let target = format!("/runCase?case={case}&agent=fanwire-wire");
        Connection::open(host, &target)?.serve(|_| Reply::Echo)?;
    }
    Connection::open(host, "/updateReports?agent=fanwire-wire")?.serve(|_| Reply::Nothing)
}

/// What a message is answered with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reply {
    Echo,
    Nothing,
}

/// Whether more is to be read for us, or only the end of the connection to be awaited.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// An open WebSocket.
struct Connection {
    socket: TcpStream,
    reader: MessageReader,
    inflater: Inflater,
    output: Output,
    /// What came with the handshake's response: it belongs to frames.
    early: Vec<u8>,
}

impl Connection {
    fn open(host: &str, target: &str) -> Result<Self, Box<dyn Error>> {
        let mut socket = TcpStream::connect(host)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(READ_TIMEOUT))?;

        let mut handshake = ClientHandshake::new(random()?, host, target);
        handshake.offer_deflate = true;
        let mut request = Vec::new();
        handshake.write_request(&mut request);
        socket.write_all(&request)?;

        let mut input = Vec::new();
        let (length, deflate) = loop {
            if read_more(&mut socket, &mut input)? == 0 {
                return Err("the connection ended within the handshake".into());
            }
            if let Some(accepted) = handshake.check_response(&input)? {
                break (accepted.length, accepted.deflate);
            }
        };
        Ok(Self {
            socket,
            reader: MessageReader::new(Role::Client, deflate.is_some()),
            inflater: Inflater::new(deflate.is_some_and(|agreed| !agreed.server_no_context_takeover)),
            output: Output::new(deflate),
            early: input.split_off(length),
        })
    }

    /// Answers what comes, until the connection has ended.
    fn serve(mut self, mut on_message: impl FnMut(&[u8]) -> Reply) -> Result<(), Box<dyn Error>> {
        let mut input = std::mem::take(&mut self.early);
        let mut state = State::Open;
        loop {
            if state == State::Open {
                state = self.take(&mut input, &mut on_message)?;
                self.output.flush(&mut self.socket)?;
            }
            // The server ends the TCP connection (RFC 6455 §7.1.1); what it still sends does not count.
            input.clear();
            if read_more(&mut self.socket, &mut input)? == 0 {
                return Ok(());
            }
        }
    }

    /// Answers all that is in `input`.
    fn take(
        &mut self,
        mut input: &mut [u8],
        on_message: &mut impl FnMut(&[u8]) -> Reply,
    ) -> Result<State, Box<dyn Error>> {
        while !input.is_empty() {
            match self.reader.read(input, MAX_MESSAGE_BYTES, &mut self.inflater) {
                Ok((consumed, event)) => {
                    let state =
                        event.map_or(Ok(State::Open), |event| self.output.answer(&event, on_message))?;
                    if state == State::Closed {
                        return Ok(state);
                    }
                    input = &mut input[consumed..];
                }
                Err(error) => {
                    self.output.fail(error)?;
                    return Ok(State::Closed);
                }
            }
        }
        Ok(State::Open)
    }
}

/// The frames to send.
struct Output {
    frames: Vec<u8>,
    deflater: Option<Deflater>,
}

impl Output {
    fn new(deflate: Option<DeflateParams>) -> Self {
        let deflater = deflate
            .map(|agreed| Deflater::new(agreed.client_window_bits(), !agreed.client_no_context_takeover));
        Self { frames: Vec::new(), deflater }
    }

    fn answer(
        &mut self,
        event: &Incoming<'_>,
        on_message: &mut impl FnMut(&[u8]) -> Reply,
    ) -> Result<State, Box<dyn Error>> {
        match event {
            Incoming::Message { kind, payload } => {
                if on_message(payload) == Reply::Echo {
                    self.message(*kind, payload)?;
                }
            }
            Incoming::Ping(payload) => self.frame(OpCode::Pong, false, payload)?,
            Incoming::Pong(_) => {}
            Incoming::Close(reason) => {
                self.close(reason.as_ref())?;
                return Ok(State::Closed);
            }
        }
        Ok(State::Open)
    }

    fn message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        let opcode = match kind {
            MessageKind::Text => OpCode::Text,
            MessageKind::Binary => OpCode::Binary,
        };
        let Some(deflater) = &mut self.deflater else {
            return self.frame(opcode, false, payload);
        };
        let mut compressed = Vec::new();
        deflater.deflate(payload, &mut compressed);
        self.frame(opcode, true, &compressed)
    }

    /// A close frame is answered with its own code, or with none (RFC 6455 §5.5.1).
    fn close(&mut self, reason: Option<&CloseReason<'_>>) -> Result<(), Box<dyn Error>> {
        let mut payload = Vec::new();
        if let Some(reason) = reason {
            close::write_payload(&mut payload, reason.code, "");
        }
        self.frame(OpCode::Close, false, &payload)
    }

    /// Says what the server did wrong (RFC 6455 §7.1.7).
    fn fail(&mut self, error: ProtocolError) -> Result<(), Box<dyn Error>> {
        let code = error.close_code();
        let mut payload = Vec::new();
        close::write_payload(&mut payload, code, &error.to_string());
        self.frame(OpCode::Close, false, &payload)
    }

    fn frame(&mut self, opcode: OpCode, compressed: bool, payload: &[u8]) -> Result<(), Box<dyn Error>> {
        write_masked_frame(&mut self.frames, random()?, opcode, compressed, payload);
        Ok(())
    }

    fn flush(&mut self, socket: &mut TcpStream) -> Result<(), Box<dyn Error>> {
        match socket.write_all(&self.frames) {
            // The server may leave as soon as it has seen enough; how it left is its verdict to give.
            Err(error) if !is_end(error.kind()) => return Err(error.into()),
            _ => self.frames.clear(),
        }
        Ok(())
    }
}

/// Appends what one read brings, and returns how much that is: 0 at the end of the connection.
fn read_more(socket: &mut TcpStream, input: &mut Vec<u8>) -> Result<usize, Box<dyn Error>> {
    let start = input.len();
    input.resize(start + READ_BYTES, 0);
    let read = match socket.read(&mut input[start..]) {
        Err(error) if is_end(error.kind()) => 0,
        other => other?,
    };
    input.truncate(start + read);
    Ok(read)
}

fn is_end(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Keys come from the system's source of randomness (RFC 6455 §10.3).
fn random<const N: usize>() -> Result<[u8; N], Box<dyn Error>> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)?;
    Ok(octets)
}
