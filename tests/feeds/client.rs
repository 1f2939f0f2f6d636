//! A WebSocket of the JSON interface that never waits, on a socket with a small receive buffer.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};

use crate::wire::{Door, Wire};

/// What the kernel keeps for the subscriber, about: the rest waits at the broker.
const RECEIVE_BUFFER_BYTES: usize = 8 * 1024;

const HANDSHAKE_PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Client {
    wire: Wire,
    received: Vec<u8>,
    buffer: Box<[u8]>,
}

/// What came in a frame.
pub(crate) enum Frame {
    Notification(Value),
    /// The code, and the reason.
    Close(u16, String),
}

/// The connection has ended without a close frame.
#[derive(Debug)]
pub(crate) struct Ended;

impl Client {
    pub(crate) fn connect(door: &Door) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a buffer");
        socket.connect(&door.address.into()).expect("the broker accepts");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(HANDSHAKE_PATIENCE)).expect("a timeout");
        let wire = door.enter(stream);
        let mut client = Self { wire, received: Vec::new(), buffer: vec![0; 64 * 1024].into() };
        client.shake_hands(door);
        client.wire.socket().set_nonblocking(true).expect("a socket that does not wait");
        client
    }

    fn shake_hands(&mut self, door: &Door) {
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            door.address
        );
        self.wire.write_all(request.as_bytes()).expect("the broker reads");
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|octets| octets == b"\r\n\r\n") {
                break at + 4;
            }
            let count = self.wire.read(&mut self.buffer).expect("the broker answers");
            assert_ne!(count, 0, "refused: {}", String::from_utf8_lossy(&self.received));
            self.received.extend_from_slice(&self.buffer[..count]);
        };
        assert!(self.received.starts_with(b"HTTP/1.1 101 "));
        self.received.drain(..end);
    }

    /// Sends a command, which has to fit what the kernel takes at once.
    pub(crate) fn send(&mut self, command: &str) {
        let length = u16::try_from(command.len()).expect("a short command");
        // Masked with zeros: who is both ends of a test has nobody to hide from.
        let mut frame = vec![0x81];
        match length {
            0..126 => frame.push(0x80 | length as u8),
            _ => frame.extend_from_slice(&[&[0xfe], &length.to_be_bytes()[..]].concat()),
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(command.as_bytes());
        self.wire.write_all(&frame).expect("the broker reads");
    }

    /// Reads up to so many bytes, if they are there; says how many it were.
    pub(crate) fn read(&mut self, at_most: usize) -> Result<usize, Ended> {
        let mut total = 0;
        while total < at_most {
            let room = self.buffer.len().min(at_most - total);
            match self.wire.read(&mut self.buffer[..room]) {
                Ok(0) => return Err(Ended),
                Ok(count) => {
                    self.received.extend_from_slice(&self.buffer[..count]);
                    total += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(Ended),
                Err(error) => panic!("{error}"),
            }
        }
        Ok(total)
    }

    /// The next whole frame of what was read.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        let (&[first, second], rest) = self.received.split_first_chunk()?;
        let (length, header) = match second {
            126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
            127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
            short => (usize::from(short), 2),
        };
        let payload = self.received.get(header..header + length)?;
        let frame = match first {
            0x81 => Frame::Notification(serde_json::from_slice(payload).expect("JSON")),
            0x88 => {
                let (code, reason) = payload.split_first_chunk().expect("a code");
                Frame::Close(u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned())
            }
            torn => panic!("a frame begins with {torn:#x}"),
        };
        self.received.drain(..header + length);
        Some(frame)
    }

    /// Whether it has begun to read a frame and not come to its end.
    pub(crate) fn is_in_mid_frame(&self) -> bool {
        !self.received.is_empty()
    }

    /// Leaves at once, with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(self.wire.socket()).set_linger(Some(Duration::ZERO)).expect("a socket");
    }
}
