//! Taking in connections.

use std::io;
use std::net::{IpAddr, SocketAddr};

use fanwire_broker::lanes::ConnectionId;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::{EventLoop, WAKER};
use crate::config::Listen;
use crate::connection::Phase;
use crate::guard::{Admission, Refusal};
use crate::http_api::{self, Reply};
use crate::listener::{Accepted, accept_one};
use crate::metrics::DisconnectReason;
use crate::transport::Transport;

/// Connections that one turn takes in at most, so that a flood of them does not keep the others waiting.
const ACCEPTS_PER_TURN: usize = 256;

/// How long to wait before trying again where nobody can be accepted, in milliseconds. With no file descriptor left, a
/// connection that goes ends it before; another process, or another core's connection, may have freed one.
const RETRY_AFTER_MS: u64 = 1_000;

/// Connections of one core that are told at once why they are not let in, or answered all the same if they only look after
/// the broker. There is always a file descriptor for these; in a flood, the rest are closed without a word.
pub(crate) const MAX_REFUSED: usize = 16;

/// The listening sockets of one core.
pub(super) struct Entrance {
    doors: Vec<Door>,
    /// The one whose turn is next.
    turn: usize,
    /// Set while there is no file descriptor left.
    retry_at_ms: Option<u64>,
    /// How many connections are being told why they are not let in.
    refused: usize,
}

struct Door {
    listener: TcpListener,
    /// Whether those who come in speak TLS.
    tls: bool,
    /// Somebody may wait: an edge came, and no accept since has found nobody.
    is_knocked_at: bool,
    /// Set while the listening socket fails.
    retry_at_ms: Option<u64>,
}

impl Door {
    /// Whether somebody may be accepted here now.
    fn may_open(&self) -> bool {
        self.is_knocked_at && self.retry_at_ms.is_none()
    }
}

/// Somebody who was accepted.
struct Newcomer {
    stream: TcpStream,
    peer: SocketAddr,
    /// Whether it speaks TLS.
    tls: bool,
}

/// What the next accept brought.
enum Arrival {
    Newcomer(Newcomer),
    OutOfFiles,
    /// Nothing came of it; the next may be well.
    Failure,
    /// Nothing comes of it at this door, which is left alone for a while.
    DoorFailed(usize, io::Error),
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
            doors.push(Door { listener, tls: listen.tls, is_knocked_at: false, retry_at_ms: None });
        }
        Ok(Self { doors, turn: 0, retry_at_ms: None, refused: 0 })
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
        self.retry_at_ms.is_none() && self.doors.iter().any(Door::may_open)
    }

    /// When to try again where nobody can be accepted now.
    pub(super) fn retry_at_ms(&self) -> Option<u64> {
        let of_doors = self.doors.iter().filter_map(|door| door.retry_at_ms);
        self.retry_at_ms.into_iter().chain(of_doors).min()
    }

    /// Tries again whatever is to be tried again by now.
    fn end_waits(&mut self, now_ms: u64) {
        let of_doors = self.doors.iter_mut().map(|door| &mut door.retry_at_ms);
        for retry_at_ms in of_doors.chain([&mut self.retry_at_ms]) {
            retry_at_ms.take_if(|retry_at_ms| *retry_at_ms <= now_ms);
        }
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

    /// Whether somebody who is not let in may be told why. Over TLS that takes a handshake, which whoever is refused for
    /// its address is not to have: its limits are there to bound these.
    fn may_tell(&self, refusal: Refusal, speaks_tls: bool) -> bool {
        self.refused < MAX_REFUSED && !(speaks_tls && refusal.is_of_address())
    }

    /// Accepts one at each door in turn: a crowd at one does not keep those at another waiting.
    fn accept(&mut self, now_ms: u64) -> Arrival {
        while let Some(index) = self.next_to_open() {
            self.turn = index + 1;
            let door = &mut self.doors[index];
            match accept_one(&door.listener) {
                Accepted::Stream(stream, peer) => {
                    return Arrival::Newcomer(Newcomer { stream, peer, tls: door.tls });
                }
                Accepted::OutOfFiles => return Arrival::OutOfFiles,
                Accepted::WouldBlock => door.is_knocked_at = false,
                Accepted::Transient => return Arrival::Failure,
                Accepted::Failed(error) => {
                    door.retry_at_ms = Some(now_ms + RETRY_AFTER_MS);
                    return Arrival::DoorFailed(index, error);
                }
            }
        }
        Arrival::Nobody
    }

    fn next_to_open(&self) -> Option<usize> {
        let count = self.doors.len();
        let mut from_turn = (0..count).map(|step| (self.turn + step) % count);
        from_turn.find(|index| self.doors[*index].may_open())
    }
}

/// Listeners count down from below the waker; connections count up from 0 and never meet them.
fn token_of(index: usize) -> Token {
    Token(WAKER.0 - 1 - index)
}

impl EventLoop {
    /// Accepts whoever waits, as far as the turn's budget and the file descriptors go.
    pub(super) fn accept_waiting(&mut self) {
        self.entrance.end_waits(self.now.monotonic_ms);
        if !self.entrance.has_work() {
            return;
        }
        for _ in 0..ACCEPTS_PER_TURN {
            match self.entrance.accept(self.now.monotonic_ms) {
                Arrival::Newcomer(newcomer) => self.take_in(newcomer),
                Arrival::OutOfFiles => return self.wait_for_files(),
                // One of the turn's accepts too: it may be the same the next time, and for ever.
                Arrival::Failure => self.metrics.add_accept_error(),
                Arrival::DoorFailed(index, error) => self.note_door_failed(index, &error),
                Arrival::Nobody => return self.note_all_accepted(),
            }
        }
    }

    fn take_in(&mut self, newcomer: Newcomer) {
        let peer = newcomer.peer.ip();
        let admission = match self.site.guard.admit(peer, self.now.monotonic_ms) {
            Ok(admission) => admission,
            Err(refusal) => {
                self.note_refusal(peer, refusal);
                if !self.entrance.may_tell(refusal, newcomer.tls) {
                    return;
                }
                Admission::refused(refusal)
            }
        };
        let Some(id) = self.connect(newcomer, admission) else {
            // The client sees it closed, and may come back.
            self.metrics.add_accept_error();
            return self.site.guard.release(admission);
        };
        self.entrance.refused += usize::from(admission.refusal().is_some());
        if let Some(connection) = self.connections.get_mut(id)
            && self.site.guard.expects_header(peer)
        {
            connection.phase = Phase::Proxied;
        }
        self.arm_deadline(id);
    }

    /// A connection with whoever was accepted, unless TLS has no session for it, or the kernel no memory to watch its socket.
    fn connect(&mut self, newcomer: Newcomer, admission: Admission) -> Option<ConnectionId> {
        let admitted = (newcomer.peer, admission);
        let transport = self.transport(newcomer)?;
        let registry = self.poll.registry();
        let both = Interest::READABLE | Interest::WRITABLE;
        let register = |stream: &mut TcpStream, slot| registry.register(stream, Token(slot), both);
        let id = self.connections.insert(transport, admitted, self.now.monotonic_ms, register).ok()?;
        self.shard.connect(id);
        self.rates.open(id.slot, self.now.monotonic_ms);
        Some(id)
    }

    /// Lets a connection in no further that a proxy has opened for somebody who may not have it.
    pub(super) fn turn_down(&mut self, id: ConnectionId, refusal: Refusal) {
        let speaks_tls = self.is_tls_handshaking(id);
        if !self.entrance.may_tell(refusal, speaks_tls) {
            return self.drop_connection(id, DisconnectReason::Refused);
        }
        self.site.guard.release(self.connections.admission(id));
        self.connections.set_admission(id, Admission::refused(refusal));
        self.entrance.refused += 1;
        self.arm_deadline(id);
    }

    /// Tells a connection that is not let in why, though it has asked for nothing.
    pub(super) fn tell_refused(&mut self, id: ConnectionId, refusal: Refusal) {
        if self.is_tls_handshaking(id) {
            return self.drop_connection(id, DisconnectReason::Refused);
        }
        self.shard.reply(id, &http_api::turned_down(refusal).to_octets(&Reply::to_nonsense()));
        self.begin_closing(id, DisconnectReason::Refused);
    }

    /// Has a connection of a proxy count for the client with this address.
    pub(super) fn count_for(&mut self, id: ConnectionId, address: IpAddr) -> Result<(), Refusal> {
        let admitted = self.site.guard.admit_client(address, self.now.monotonic_ms);
        let admission = admitted.inspect_err(|refusal| self.note_refusal(address, *refusal))?;
        self.connections.set_admission(id, admission);
        Ok(())
    }

    fn note_refusal(&self, peer: IpAddr, refusal: Refusal) {
        self.metrics.add_refusal(refusal);
        if self.site.guard.may_complain(self.now.monotonic_ms) {
            let reason = refusal.as_str();
            tracing::warn!(%peer, reason, "connections are refused: {}", refusal.remedy());
        }
    }

    /// A connection that counted as this has gone.
    pub(super) fn forget_admission(&mut self, admission: Admission) {
        self.site.guard.release(admission);
        self.entrance.refused -= usize::from(admission.refusal().is_some());
    }

    /// How octets travel to and from it.
    fn transport(&self, newcomer: Newcomer) -> Option<Transport> {
        if !newcomer.tls {
            return Some(Transport::Plain(newcomer.stream));
        }
        let stream = self.site.tls.as_ref()?.accept(newcomer.stream).ok()?;
        Some(Transport::Tls(Box::new(stream)))
    }

    fn wait_for_files(&mut self) {
        self.entrance.retry_at_ms = Some(self.now.monotonic_ms + RETRY_AFTER_MS);
        self.metrics.add_accept_error();
        if self.site.control.note_out_of_files(self.shard.core()) {
            tracing::warn!(
                "no file descriptors left: new connections wait until one closes; raise the limit (ulimit -n)"
            );
        }
    }

    fn note_door_failed(&self, index: usize, error: &io::Error) {
        self.metrics.add_accept_error();
        if self.site.guard.may_complain(self.now.monotonic_ms) {
            let listen = self.site.listening[index];
            tracing::error!("nobody can be accepted at {listen}, which is tried again every second: {error}");
        }
    }

    fn note_all_accepted(&mut self) {
        if self.site.control.note_all_accepted(self.shard.core()) {
            tracing::info!("file descriptors are left again: all who waited are connected");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{self, Shutdown};
    use std::thread;

    use mio::Poll;
    use socket2::SockRef;

    use super::*;
    use crate::listener::acknowledged;

    /// An entrance with so many doors, and where these are.
    fn entrance(doors: usize) -> (Entrance, Vec<SocketAddr>) {
        let listen: Listen = "127.0.0.1:0".parse().unwrap();
        let listeners: Vec<_> = (0..doors).map(|_| TcpListener::bind(listen.address).unwrap()).collect();
        let addresses = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
        let poll = Poll::new().unwrap();
        (Entrance::open(listeners, &vec![listen; doors], poll.registry()).unwrap(), addresses)
    }

    /// A client that waits at a door by now: it has said something, and the kernel there has taken it.
    fn client_at(address: SocketAddr) -> net::TcpStream {
        let mut client = net::TcpStream::connect(address).unwrap();
        let before = acknowledged(&client).unwrap().bytes;
        client.write_all(b"?").unwrap();
        while acknowledged(&client).unwrap().bytes == before {
            thread::yield_now();
        }
        client
    }

    #[test]
    fn a_door_that_fails_is_left_alone_for_a_while_and_the_others_are_not() {
        let (mut entrance, addresses) = entrance(2);
        // The kernel refuses accepts from here on.
        SockRef::from(&entrance.doors[0].listener).shutdown(Shutdown::Both).unwrap();
        let _client = client_at(addresses[1]);
        assert!([0, 1].into_iter().all(|door| entrance.note_readiness(token_of(door))));
        assert!(matches!(entrance.accept(5), Arrival::DoorFailed(0, _)));
        assert!(matches!(entrance.accept(5), Arrival::Newcomer(_)));
        assert!(matches!(entrance.accept(5), Arrival::Nobody));
        let retry_at_ms = 5 + RETRY_AFTER_MS;
        assert_eq!(entrance.retry_at_ms(), Some(retry_at_ms));
        entrance.note_readiness(token_of(0));
        entrance.end_waits(retry_at_ms - 1);
        assert!(!entrance.has_work(), "it is no use to try at once");
        entrance.end_waits(retry_at_ms);
        assert!(entrance.has_work(), "somebody may wait behind it");
        assert!(matches!(entrance.accept(retry_at_ms), Arrival::DoorFailed(0, _)));
        assert!(!entrance.has_work());
    }

    #[test]
    fn a_crowd_at_one_door_does_not_keep_those_at_another_waiting() {
        let (mut entrance, addresses) = entrance(2);
        let _clients = [0, 0, 0, 0, 1, 1].map(|door| client_at(addresses[door]));
        assert!([0, 1].into_iter().all(|door| entrance.note_readiness(token_of(door))));
        let mut let_in = Vec::new();
        while let Arrival::Newcomer(newcomer) = entrance.accept(0) {
            let_in.push(
                addresses.iter().position(|own| newcomer.stream.local_addr().unwrap() == *own).unwrap(),
            );
        }
        assert_eq!(let_in, [0, 1, 0, 1, 0, 0]);
        assert!(!entrance.has_work());
    }
}
