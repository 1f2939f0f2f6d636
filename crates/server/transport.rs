//! How the octets of a connection travel: as they are, or sealed by TLS.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;

use crate::tls::{TlsFailure, TlsStream};

/// One connection's way to its peer.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Octets travel as they are.
    Plain(TcpStream),
    /// Octets travel in TLS records.
    Tls(Box<TlsStream>),
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Arrival<'a> {
    /// Octets.
    Bytes(Received<'a>),
    /// Nothing for now; an edge says when there is more.
    Nothing,
    /// The peer's side has ended.
    End,
    /// The connection is broken.
    Reset,
    /// What came is no TLS that we speak; the peer is told, as far as its socket takes it.
    TlsFailed(TlsFailure),
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Received<'a> {
    /// What was taken from the socket, in bytes.
    pub(crate) taken: usize,
    /// What the peer said by it. Of an incomplete record that is nothing yet.
    pub(crate) input: &'a mut [u8],
    /// The TLS records that it came in, as far as they are whole.
    pub(crate) records: usize,
    /// There may be more without another edge.
    pub(crate) has_more: bool,
    /// The peer said that there is no more after this.
    pub(crate) is_last: bool,
}

/// What became of octets that were to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// So many of them need not be written again.
    pub(crate) accepted: usize,
    /// So many bytes the socket took for them, and for what was kept of earlier ones.
    pub(crate) sent: usize,
}

impl Transport {
    /// The socket below.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket(),
        }
    }

    /// The socket below, to be registered.
    pub(crate) fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.socket_mut(),
        }
    }

    /// The subject of the certificate that the peer has shown, if it has.
    pub(crate) fn client_identity(&self) -> Option<&str> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => stream.client_identity(),
        }
    }

    /// Reads once, about `limit` bytes at most. The octets are in `scratch`, which has room for them, or `opened`.
    pub(crate) fn read<'a>(
        &mut self,
        scratch: &'a mut [u8],
        opened: &'a mut Vec<u8>,
        limit: usize,
    ) -> Arrival<'a> {
        match self {
            Self::Plain(socket) => read_plain(socket, &mut scratch[..limit]),
            Self::Tls(stream) => stream.read(scratch, opened, limit),
        }
    }

    /// Writes as much as the socket takes. `sealed` is where records are made.
    pub(crate) fn write(&mut self, octets: &[u8], sealed: &mut [u8]) -> io::Result<Written> {
        match self {
            Self::Plain(socket) => {
                let count = write_once(socket, octets)?;
                Ok(Written { accepted: count, sent: count })
            }
            Self::Tls(stream) => stream.write(octets, sealed),
        }
    }

    /// Writes what is kept of records that the socket did not take whole. Gives the bytes that it took.
    pub(crate) fn flush(&mut self) -> io::Result<usize> {
        match self {
            Self::Plain(_) => Ok(0),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// Whether everything that was accepted is handed to the kernel.
    pub(crate) fn is_flushed(&self) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Tls(stream) => stream.is_flushed(),
        }
    }

    /// Ends our side, after everything that was accepted. `false` if that waits for the socket: then [`Self::flush`] and try
    /// again at its next edge.
    pub(crate) fn end(&mut self) -> io::Result<bool> {
        if let Self::Tls(stream) = self {
            stream.say_goodbye()?;
            if !stream.is_flushed() {
                return Ok(false);
            }
        }
        self.socket().shutdown(Shutdown::Write).map(|()| true)
    }

    /// Whether nothing can be said before more has come.
    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self, Self::Tls(stream) if stream.is_handshaking())
    }

    /// What it keeps, besides what the socket has not taken, in bytes.
    pub(crate) fn kept_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(stream) => stream.kept_bytes(),
        }
    }

    /// What it keeps that the socket has not taken, in bytes.
    pub(crate) fn unsent_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(stream) => stream.unsent_bytes(),
        }
    }

    /// The bytes that a record adds to what is in it.
    pub(crate) fn overhead_bytes(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(stream) => stream.overhead_bytes(),
        }
    }
}

fn read_plain<'a>(socket: &mut TcpStream, scratch: &'a mut [u8]) -> Arrival<'a> {
    let limit = scratch.len();
    match read_once(socket, scratch) {
        Ok(Some(0)) => Arrival::End,
        Ok(Some(taken)) => Arrival::Bytes(Received {
            taken,
            input: &mut scratch[..taken],
            records: 0,
            has_more: taken == limit,
            is_last: false,
        }),
        Ok(None) => Arrival::Nothing,
        Err(_) => Arrival::Reset,
    }
}

/// Reads once, whatever signals come in between; `None` if there is nothing for now. A read that is shorter than `into` has
/// emptied the socket (epoll(7), question 9).
pub(crate) fn read_once(socket: &mut TcpStream, into: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match socket.read(into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            outcome => return outcome.map(Some),
        }
    }
}

/// Writes once, whatever signals come in between: 0 if the socket is full.
pub(crate) fn write_once(socket: &mut TcpStream, octets: &[u8]) -> io::Result<usize> {
    loop {
        match socket.write(octets) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            outcome => return outcome,
        }
    }
}
