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
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use fanwire_wire::close::{self, CloseCode};
use fanwire_wire::deflate::{Deflater, Inflater};
use fanwire_wire::frame::{OpCode, Role, write_masked_frame};
use fanwire_wire::handshake::ClientHandshake;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};

/// Four times the largest message of the suite, in octets.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Octets of one read.
const READ_BYTES: usize = 64 * 1024;

/// Longer than any case pauses; a suite that hangs longer fails the run.
const READ_TIMEOUT: Duration = Duration::from_secs(130);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is done with a message.
type OnMessage<'a> = &'a mut dyn FnMut(&mut Output, MessageKind, &[u8]) -> Result<()>;

fn main() -> Result<()> {
    let url = env::var("AUTOBAHN_URL")?;
    let host = url.strip_prefix("ws://").ok_or("AUTOBAHN_URL must begin with ws://")?.trim_end_matches('/');

    let mut count = String::new();
    Connection::open(host, "/getCaseCount")?.serve(&mut |_, _, number| {
        count = String::from_utf8_lossy(number).into_owned();
        Ok(())
    })?;
    for case in 1..=count.parse::<u32>()? {
        let target = format!("/runCase?case={case}&agent=fanwire-wire");
        Connection::open(host, &target)?.serve(&mut Output::message)?;
    }
    Connection::open(host, "/updateReports?agent=fanwire-wire")?.serve(&mut |_, _, _| Ok(()))
}

/// An open WebSocket.
struct Connection {
    socket: TcpStream,
    reader: MessageReader,
    inflater: Inflater,
    output: Output,
    /// What came and is not answered: at first, what followed the handshake's response.
    input: Vec<u8>,
}

impl Connection {
    fn open(host: &str, target: &str) -> Result<Self> {
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
        let inflater = Inflater::new(deflate.is_some_and(|agreed| !agreed.server_no_context_takeover));
        let deflater = deflate
            .map(|agreed| Deflater::new(agreed.client_window_bits(), !agreed.client_no_context_takeover));
        Ok(Self {
            socket,
            reader: MessageReader::new(Role::Client, deflate.is_some()),
            inflater,
            output: Output { frames: Vec::new(), deflater },
            input: input.split_off(length),
        })
    }

    /// Answers what comes until the connection has ended.
    fn serve(mut self, on_message: OnMessage<'_>) -> Result<()> {
        let mut open = true;
        loop {
            if open {
                open = self.answer(on_message)?;
                or_end(self.socket.write_all(&self.output.frames))?;
                self.output.frames.clear();
            }
            // The server ends the TCP connection (RFC 6455 §7.1.1); what it still sends does not count.
            self.input.clear();
            if read_more(&mut self.socket, &mut self.input)? == 0 {
                return Ok(());
            }
        }
    }

    /// Answers all that is in the input. Returns whether the WebSocket is still open.
    fn answer(&mut self, on_message: OnMessage<'_>) -> Result<bool> {
        let mut input = self.input.as_mut_slice();
        while !input.is_empty() {
            let (consumed, event) = match self.reader.read(input, MAX_MESSAGE_BYTES, &mut self.inflater) {
                Ok(read) => read,
                Err(error) => {
                    // Failing the connection begins with saying why (RFC 6455 §7.1.7).
                    self.output.close(Some(error.close_code()), &error.to_string())?;
                    return Ok(false);
                }
            };
            match event {
                None | Some(Incoming::Pong(_)) => {}
                Some(Incoming::Message { kind, payload }) => on_message(&mut self.output, kind, &payload)?,
                Some(Incoming::Ping(payload)) => self.output.frame(OpCode::Pong, false, &payload)?,
                Some(Incoming::Close(reason)) => {
                    // A close frame is answered with its own code, or with none (RFC 6455 §5.5.1).
                    self.output.close(reason.map(|reason| reason.code), "")?;
                    return Ok(false);
                }
            }
            input = &mut input[consumed..];
        }
        Ok(true)
    }
}

/// The frames to send.
struct Output {
    frames: Vec<u8>,
    deflater: Option<Deflater>,
}

impl Output {
    fn message(&mut self, kind: MessageKind, payload: &[u8]) -> Result<()> {
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

    fn close(&mut self, code: Option<CloseCode>, reason: &str) -> Result<()> {
        let mut payload = Vec::new();
        if let Some(code) = code {
            close::write_payload(&mut payload, code, reason);
        }
        self.frame(OpCode::Close, false, &payload)
    }

    fn frame(&mut self, opcode: OpCode, compressed: bool, payload: &[u8]) -> Result<()> {
        write_masked_frame(&mut self.frames, random()?, opcode, compressed, payload);
        Ok(())
    }
}

/// Appends what one read brings, and returns how much that is: 0 at the end of the connection.
fn read_more(socket: &mut TcpStream, input: &mut Vec<u8>) -> Result<usize> {
    let start = input.len();
    input.resize(start + READ_BYTES, 0);
    let read = or_end(socket.read(&mut input[start..]))?;
    input.truncate(start + read);
    Ok(read)
}

/// Takes a reset for the end: the server may leave once it has seen enough, and how it left is its verdict to give.
fn or_end<T: Default>(result: io::Result<T>) -> io::Result<T> {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    match result {
        Err(error) if matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset) => {
            Ok(T::default())
        }
        other => other,
    }
}

/// Keys come from the system's source of randomness (RFC 6455 §10.3).
fn random<const N: usize>() -> Result<[u8; N]> {
    let mut octets = [0; N];
    getrandom::fill(&mut octets)?;
    Ok(octets)
}
