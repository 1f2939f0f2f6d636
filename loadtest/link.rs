//! One connection's socket: what is read from it, and what it has not taken yet.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Write};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::bytes::{TcpCounters, TcpInfoError};
use crate::conversation::ConversationError;
use crate::opening::RunError;
use crate::socket::{Connector, StampedReader};

/// Octets that may wait for a socket. A client that says more than its server reads has to stop.
pub const MAX_UNSENT: usize = 8 * 1024 * 1024;

/// Octets that the kernel keeps for a slow reader: few, or the server would see nothing of the slowness for megabytes.
const SLOW_RECEIVE_BUFFER: usize = 4 * 1024;

/// A socket, and the octets that wait for it.
pub struct Link {
    stream: TcpStream,
    /// What is to be written, behind octets that were. Those are taken out now and then, and not at each write.
    outgoing: Vec<u8>,
    /// Octets of it that were written.
    taken: usize,
    /// Whether the kernel has told that nothing comes behind what the socket has.
    is_read_closed: bool,
    read_octets: u64,
    written_octets: u64,
}

/// What was read at once.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Octets.
    pub len: usize,
    /// When the kernel got the last of them, in nanoseconds of the real-time clock, if it says.
    pub arrived_realtime_ns: Option<u64>,
    /// Whether it has emptied the socket: whatever comes after it is a new event.
    pub is_last: bool,
}

impl Link {
    /// Begins to connect.
    pub fn open(connector: &mut Connector, registry: &Registry, token: Token) -> Result<Self, RunError> {
        Self::begin(connector.connect()?, registry, token)
    }

    /// Begins to connect for somebody who is to read slowly.
    pub fn open_slow(connector: &mut Connector, registry: &Registry, token: Token) -> Result<Self, RunError> {
        Self::begin(connector.connect_with(Some(SLOW_RECEIVE_BUFFER))?, registry, token)
    }

    fn begin(mut stream: TcpStream, registry: &Registry, token: Token) -> Result<Self, RunError> {
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            outgoing: Vec::new(),
            taken: 0,
            is_read_closed: false,
            read_octets: 0,
            written_octets: 0,
        })
    }

    /// Takes note of an event. The end may be told together with the last octets, and then there is no event of its own.
    pub fn note(&mut self, event: &Event) {
        self.is_read_closed |= event.is_read_closed();
    }

    /// What is to be written next, for more to be added.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.outgoing
    }

    /// Octets that wait for the socket to take them.
    fn unsent(&self) -> usize {
        self.outgoing.len() - self.taken
    }

    /// Whether there is room for another message.
    pub fn has_room(&self) -> bool {
        self.unsent() < MAX_UNSENT
    }

    /// Whether the socket has not taken everything.
    pub fn is_behind(&self) -> bool {
        self.unsent() > 0
    }

    /// Octets that were read and written.
    pub fn octets(&self) -> u64 {
        self.read_octets + self.written_octets
    }

    /// Octets that were written.
    pub fn written_octets(&self) -> u64 {
        self.written_octets
    }

    /// Whether all that TCP had received when it counted this was read, and all that was written was sent.
    pub fn is_even_with(&self, tcp: &TcpCounters) -> bool {
        (tcp.bytes_received, tcp.bytes_sent - tcp.bytes_retransmitted)
            == (self.read_octets, self.written_octets)
    }

    /// Octets that will have been written once everything is that is there now.
    pub fn end_octet(&self) -> u64 {
        self.written_octets + self.unsent() as u64
    }

    /// Writes what the socket takes.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.is_behind() {
            match self.stream.write(&self.outgoing[self.taken..]) {
                Ok(taken) => {
                    self.taken += taken;
                    self.written_octets += taken as u64;
                }
                Err(error) if is_not_yet(&error) => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.forget_written();
        Ok(())
    }

    /// Makes room: each octet that waits is moved at most once for each that was written.
    fn forget_written(&mut self) {
        if self.taken >= self.unsent() {
            self.outgoing.drain(..self.taken);
            self.taken = 0;
        }
    }

    /// Reads what there is, up to the length of `scratch`; none if there is nothing. Zero octets are the end.
    pub fn read(&mut self, reader: &mut StampedReader, scratch: &mut [u8]) -> io::Result<Option<Piece>> {
        match reader.read(&self.stream, scratch) {
            Ok((len, arrived_realtime_ns)) => {
                self.read_octets += len as u64;
                let is_last = len < scratch.len() && !self.is_read_closed;
                Ok(Some(Piece { len, arrived_realtime_ns, is_last }))
            }
            Err(error) if is_not_yet(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What TCP has counted.
    pub fn tcp(&self) -> Result<TcpCounters, TcpInfoError> {
        TcpCounters::of(&self.stream)
    }

    /// Stops, or goes on, being told when there is something to read.
    pub fn watch(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        registry.reregister(&mut self.stream, token, interest)
    }
}

/// Whether it is only a matter of time: the socket is busy, or not connected yet.
fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected)
}

/// Why a connection ended.
#[derive(Debug)]
pub enum Broken {
    /// The kernel says so.
    Socket(io::Error),
    /// What came over it is not what was to come.
    Conversation(ConversationError),
    /// The kernel does not say what TCP has counted.
    Bytes(TcpInfoError),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => error.fmt(f),
            Self::Conversation(error) => error.fmt(f),
            Self::Bytes(error) => error.fmt(f),
        }
    }
}

impl Error for Broken {}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Socket(error)
    }
}

impl From<ConversationError> for Broken {
    fn from(error: ConversationError) -> Self {
        Self::Conversation(error)
    }
}

impl From<TcpInfoError> for Broken {
    fn from(error: TcpInfoError) -> Self {
        Self::Bytes(error)
    }
}
