//! How the client's octets travel: as they are, or through TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use mio::{Interest, Registry, Token};
use rustls::{ClientConnection, StreamOwned};

use crate::client::PATIENCE;
use crate::target::certificate;

/// A connection whose target has not answered yet.
pub(crate) enum Opening {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Opening {
    /// Connects, and says the first words, or over TLS what goes in front of them.
    pub(crate) fn begin(address: SocketAddr, tls: bool, first_words: &[u8]) -> Self {
        let mut socket = TcpStream::connect(address).expect("the target listens");
        socket.set_nodelay(true).expect("a socket");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        if !tls {
            socket.write_all(first_words).expect("the target reads");
            return Self::Plain(socket);
        }
        let mut stream = certificate().speak(socket);
        stream.conn.set_buffer_limit(None);
        stream.conn.writer().write_all(first_words).expect("there is room");
        stream.conn.write_tls(&mut stream.sock).expect("the target reads");
        Self::Tls(Box::new(stream))
    }

    /// The same, which is not waited for any more.
    pub(crate) fn watch(self, registry: &Registry, token: Token) -> Wire {
        let (socket, session) = match self {
            Self::Plain(socket) => (socket, None),
            Self::Tls(stream) => {
                let (session, socket) = stream.into_parts();
                (socket, Some(Box::new(session)))
            }
        };
        socket.set_nonblocking(true).expect("a socket");
        let mut socket = mio::net::TcpStream::from_std(socket);
        let interest = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut socket, token, interest).expect("epoll");
        Wire { socket, session, unsent: Vec::new() }
    }
}

impl Read for Opening {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(into),
            Self::Tls(stream) => stream.read(into),
        }
    }
}

/// A connection that never waits.
pub(crate) struct Wire {
    socket: mio::net::TcpStream,
    /// Over TLS.
    session: Option<Box<ClientConnection>>,
    /// What the target has not taken yet.
    unsent: Vec<u8>,
}

impl Wire {
    /// Writes as much as the target takes, and the rest when it takes more.
    pub(crate) fn send(&mut self, octets: &[u8]) {
        if let Some(session) = &mut self.session {
            session.writer().write_all(octets).expect("there is room");
            while session.wants_write() {
                session.write_tls(&mut self.unsent).expect("memory takes everything");
            }
            return self.flush();
        }
        let written = if self.unsent.is_empty() { write(&mut self.socket, octets) } else { 0 };
        self.unsent.extend_from_slice(&octets[written..]);
    }

    /// Writes what the target has not taken yet.
    pub(crate) fn flush(&mut self) {
        if !self.unsent.is_empty() {
            let written = write(&mut self.socket, &self.unsent);
            self.unsent.drain(..written);
        }
    }

    /// Reads what is there. A short read says that there is no more, and saves the call that would say so.
    pub(crate) fn read(&mut self, scratch: &mut [u8], mut came: impl FnMut(&[u8])) {
        loop {
            let count = match self.socket.read(scratch) {
                Ok(0) => panic!("the target closed a connection"),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the target's connection: {error}"),
            };
            match &mut self.session {
                None => came(&scratch[..count]),
                Some(session) => open(session, &scratch[..count], &mut came),
            }
            if count < scratch.len() {
                return;
            }
        }
    }
}

/// Opens the records that came.
fn open(session: &mut ClientConnection, mut records: &[u8], came: &mut impl FnMut(&[u8])) {
    let mut opened = [0; 16 * 1024];
    while !records.is_empty() {
        session.read_tls(&mut records).expect("memory can be read");
        session.process_new_packets().expect("the target speaks TLS");
        // What is not there yet is no failure.
        while let Ok(count @ 1..) = session.reader().read(&mut opened) {
            came(&opened[..count]);
        }
    }
}

/// Returns how much the socket took.
fn write(socket: &mut mio::net::TcpStream, octets: &[u8]) -> usize {
    let mut written = 0;
    while written < octets.len() {
        match socket.write(&octets[written..]) {
            Ok(taken) => written += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the target's connection: {error}"),
        }
    }
    written
}
