//! Taking in connections.

use std::io;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::{EventLoop, WAKER};
use crate::config::Listen;
use crate::listener::{Accepted, accept_one};
use crate::transport::Transport;

/// Connections that one turn takes in at most, so that a flood of them does not keep the others waiting.
const ACCEPTS_PER_TURN: usize = 256;

/// How long to wait with no file descriptor left, in milliseconds, unless a connection goes before: another process, or
/// another core's connection, may have freed one.
const RETRY_AFTER_MS: u64 = 1_000;

/// The listening sockets of one core.
pub(super) struct Entrance {
    doors: Vec<Door>,
    /// Set while there is no file descriptor left.
    retry_at_ms: Option<u64>,
}

struct Door {
    listener: TcpListener,
    /// Whether those who come in speak TLS.
    tls: bool,
    /// Somebody may wait: an edge came, and no accept since has found nobody.
    is_knocked_at: bool,
}

/// What the next accept brought.
enum Arrival {
    /// Somebody, who speaks TLS or does not.
    Stream(TcpStream, bool),
    OutOfFiles,
    Nobody,
}

impl Entrance {
    /// Listens for edges.
    pub(super) fn open(
        listeners: Vec<TcpListener>,
        listening: &[Listen],
        registry: &Registry,
    ) -> io::Result<Self> {
        let mut doors = Vec::with_capacity(listeners.len());
        for (index, (mut listener, listen)) in listeners.into_iter().zip(listening).enumerate() {
            registry.register(&mut listener, token_of(index), Interest::READABLE)?;
            doors.push(Door { listener, tls: listen.tls, is_knocked_at: false });
        }
        Ok(Self { doors, retry_at_ms: None })
    }

    /// Notes an edge, if the token is a listener's.
    pub(super) fn note_readiness(&mut self, token: Token) -> bool {
        let index = token_of(0).0 - token.0;
        match self.doors.get_mut(index) {
            Some(door) => {
                door.is_knocked_at = true;
                true
            }
            None => false,
        }
    }

    /// Whether somebody may be accepted now.
    pub(super) fn has_work(&self) -> bool {
        self.retry_at_ms.is_none() && self.doors.iter().any(|door| door.is_knocked_at)
    }

    /// When to try again with no file descriptor left.
    pub(super) fn retry_at_ms(&self) -> Option<u64> {
        self.retry_at_ms
    }

    /// A connection goes, and leaves a file descriptor.
    pub(super) fn expect_room(&mut self) {
        self.retry_at_ms = None;
    }

    /// Closes the listening sockets.
    pub(super) fn shut(&mut self) {
        self.doors.clear();
        self.retry_at_ms = None;
    }

    fn accept(&mut self) -> Arrival {
        while let Some(door) = self.doors.iter_mut().find(|door| door.is_knocked_at) {
            match accept_one(&door.listener) {
                Accepted::Stream(stream) => return Arrival::Stream(stream, door.tls),
                Accepted::OutOfFiles => return Arrival::OutOfFiles,
                Accepted::WouldBlock => door.is_knocked_at = false,
                Accepted::Transient => {}
            }
        }
        Arrival::Nobody
    }
}

/// Listeners count down from below the waker; connections count up from 0 and never meet them.
fn token_of(index: usize) -> Token {
    Token(WAKER.0 - 1 - index)
}

impl EventLoop {
    /// Accepts whoever waits, as far as the turn's budget and the file descriptors go.
    pub(super) fn accept_waiting(&mut self) {
        if self.entrance.retry_at_ms.is_some_and(|retry_at_ms| retry_at_ms <= self.now.monotonic_ms) {
            self.entrance.retry_at_ms = None;
        }
        if !self.entrance.has_work() {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match self.entrance.accept() {
                Arrival::Stream(stream, tls) => self.take_in(stream, tls),
                Arrival::OutOfFiles => return self.wait_for_files(),
                Arrival::Nobody => return self.note_all_accepted(),
            }
        }
    }

    fn take_in(&mut self, stream: TcpStream, tls: bool) {
        let Some(transport) = self.transport(stream, tls) else { return self.metrics.add_accept_error() };
        let registry = self.poll.registry();
        let both = Interest::READABLE | Interest::WRITABLE;
        let register = |stream: &mut TcpStream, slot| registry.register(stream, Token(slot), both);
        let Ok(id) = self.connections.insert(transport, self.now.monotonic_ms, register) else {
            // The kernel has no memory to watch the socket: the client sees it closed, and may come back.
            return self.metrics.add_accept_error();
        };
        self.shard.connect(id);
        self.arm_deadline(id);
    }

    fn transport(&self, stream: TcpStream, tls: bool) -> Option<Transport> {
        if !tls {
            return Some(Transport::Plain(stream));
        }
        let stream = self.site.tls.as_ref()?.accept(stream).ok()?;
        Some(Transport::Tls(Box::new(stream)))
    }

    fn wait_for_files(&mut self) {
        self.entrance.retry_at_ms = Some(self.now.monotonic_ms + RETRY_AFTER_MS);
        self.metrics.add_accept_error();
        if self.site.control.note_out_of_files() {
            tracing::warn!(
                "no file descriptors left: new connections wait until one closes; raise the limit (ulimit -n)"
            );
        }
    }

    fn note_all_accepted(&mut self) {
        if self.site.control.note_all_accepted() {
            tracing::info!("file descriptors are left again: all who waited are connected");
        }
    }
}
