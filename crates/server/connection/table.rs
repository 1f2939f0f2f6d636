//! The connections of one core, by slot.

use std::mem;
use std::net::{IpAddr, SocketAddr};

use fanwire_broker::lanes::ConnectionId;
use mio::net::TcpStream;
use slab::Slab;

use super::peers::{Peer, Peers};
use super::{Connection, Phase};
use crate::guard::Admission;
use crate::transport::Transport;

/// What a connection keeps, or all of them do, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Of messages and requests that have not come whole, and what TLS takes for itself.
    pub(crate) incoming: usize,
    /// Of TLS records that sockets have not taken.
    pub(crate) unsent: usize,
}

/// The connections of one core.
///
/// A slot is free for the next connection at the end of the turn in which the last one went, so that whatever
/// the turn still holds for the old one finds nobody, rather than a stranger.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Slab<Connection>,
    /// By slot, what the connection counts as.
    admissions: Vec<Admission>,
    peers: Peers,
    /// By slot, what the connection keeps.
    kept: Vec<Kept>,
    /// The sum of it.
    kept_by_all: Kept,
    /// The slots that are free at the end of this turn.
    gone: Vec<u32>,
    next_generation: u32,
}

impl Connections {
    /// Takes in a socket that was accepted from `address`, and counts as `admission`. `register` is told its slot, and may
    /// refuse it.
    pub(crate) fn insert<E>(
        &mut self,
        mut transport: Transport,
        (address, admission): (SocketAddr, Admission),
        now_ms: u64,
        register: impl FnOnce(&mut TcpStream, usize) -> Result<(), E>,
    ) -> Result<ConnectionId, E> {
        let entry = self.slots.vacant_entry();
        register(transport.socket_mut(), entry.key())?;
        let id = ConnectionId { slot: entry.key() as u32, generation: self.next_generation };
        self.next_generation = self.next_generation.wrapping_add(1);
        if self.admissions.len() <= entry.key() {
            self.admissions.resize(entry.key() + 1, Admission::OF_ALL);
            self.kept.resize(entry.key() + 1, Kept::default());
        }
        self.admissions[entry.key()] = admission;
        self.peers.set(id.slot, Peer::Socket(address));
        entry.insert(Connection::new(id, transport, now_ms));
        self.count_kept(id);
        Ok(id)
    }

    /// What the connection counts as.
    pub(crate) fn admission(&self, id: ConnectionId) -> Admission {
        self.admissions[id.slot as usize]
    }

    /// The connection counts as something else from here on.
    pub(crate) fn set_admission(&mut self, id: ConnectionId, admission: Admission) {
        self.admissions[id.slot as usize] = admission;
    }

    /// Where its client is, if there is a log that would say so. Of a connection that has gone too, to the end of the turn.
    pub(crate) fn peer(&self, id: ConnectionId) -> Option<Peer> {
        self.get(id)?;
        self.peers.at(id.slot)
    }

    /// Its client is at this address, as a trusted proxy says.
    pub(crate) fn set_client(&mut self, id: ConnectionId, address: IpAddr) {
        self.peers.set(id.slot, Peer::Behind(address));
    }

    /// The subject of its client's certificate. Of a connection that has gone too, to the end of the turn.
    pub(crate) fn certificate(&self, id: ConnectionId) -> Option<&str> {
        self.get(id)?.transport.client_identity()
    }

    /// The connection; one that has gone too, to the end of the turn.
    fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.slots.get(id.slot as usize).filter(|connection| connection.id == id)
    }

    /// The connection, unless it has gone.
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.at_slot(id.slot as usize).filter(|connection| connection.id == id)
    }

    /// The connection that has the slot, unless it has gone.
    pub(crate) fn at_slot(&mut self, slot: usize) -> Option<&mut Connection> {
        self.slots.get_mut(slot).filter(|connection| !matches!(connection.phase, Phase::Gone))
    }

    /// Lets go of a connection; returns what it spoke and counted as, or `None` if it had gone already.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<(Phase, Admission)> {
        let connection = self.get_mut(id)?;
        let last_phase = mem::replace(&mut connection.phase, Phase::Gone);
        self.gone.push(id.slot);
        self.set_kept(id, Kept::default());
        Some((last_phase, self.admissions[id.slot as usize]))
    }

    /// Counts what the connection keeps, which a read may have changed, and over TLS a write.
    pub(crate) fn count_kept(&mut self, id: ConnectionId) {
        if let Some(now) = self.get_mut(id).map(|connection| connection.kept()) {
            self.set_kept(id, now);
        }
    }

    fn set_kept(&mut self, id: ConnectionId, now: Kept) {
        let before = mem::replace(&mut self.kept[id.slot as usize], now);
        let Kept { incoming, unsent } = &mut self.kept_by_all;
        *incoming = *incoming + now.incoming - before.incoming;
        *unsent = *unsent + now.unsent - before.unsent;
    }

    /// What all connections keep.
    pub(crate) fn kept(&self) -> Kept {
        self.kept_by_all
    }

    /// What the connection keeps of a message or a request that has not come whole, in bytes.
    pub(crate) fn incoming_bytes(&self, id: ConnectionId) -> usize {
        self.get(id).map_or(0, Connection::incoming_bytes)
    }

    /// What the connection keeps of TLS records that its socket has not taken, in bytes.
    pub(crate) fn unsent_bytes(&self, id: ConnectionId) -> usize {
        self.get(id).map_or(0, |connection| connection.transport.unsent_bytes())
    }

    /// Ends the turn: closes the sockets of those that have gone, and frees their slots.
    pub(crate) fn free_gone(&mut self) {
        for slot in self.gone.drain(..) {
            self.slots.remove(slot as usize);
            self.peers.forget(slot);
        }
    }

    /// How many there are, without those that have gone.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.gone.len()
    }

    /// Those that have not gone.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        let present = |connection: &&Connection| !matches!(connection.phase, Phase::Gone);
        self.slots
            .iter()
            .map(|(_, connection)| connection)
            .filter(present)
            .map(|connection| connection.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::config::{Certificates, TlsConfig};
    use crate::tls::Tls;

    fn nobody() -> (SocketAddr, Admission) {
        (([127, 0, 0, 1], 1).into(), Admission::OF_ALL)
    }

    fn insert(connections: &mut Connections) -> ConnectionId {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        connections.insert(Transport::Plain(stream), nobody(), 0, |_, _| Ok::<_, Infallible>(())).unwrap()
    }

    #[test]
    fn a_slot_is_not_used_again_within_the_turn_and_never_for_the_same_id() {
        let mut connections = Connections::default();
        let first = insert(&mut connections);
        assert!(connections.remove(first).is_some());
        assert!(connections.remove(first).is_none(), "it has gone");
        assert!(connections.get_mut(first).is_none() && connections.at_slot(first.slot as usize).is_none());
        assert_eq!(connections.len(), 0);
        assert_ne!(insert(&mut connections).slot, first.slot);

        connections.free_gone();
        let next = insert(&mut connections);
        assert_eq!(next.slot, first.slot);
        assert!(connections.get_mut(next).is_some());
        assert!(connections.get_mut(first).is_none(), "its slot belongs to another");
    }

    #[test]
    fn what_tls_keeps_counts_from_the_accept_to_the_end_of_each_connection() {
        let config = TlsConfig { certificates: Certificates::SelfSigned, clients: None };
        let tls = Tls::load(config, &["tls://127.0.0.1:1".parse().unwrap()]).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connections = Connections::default();
        let ids = [(); 2].map(|()| {
            let stream = tls.accept(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
            let transport = Transport::Tls(Box::new(stream));
            connections.insert(transport, nobody(), 0, |_, _| Ok::<_, Infallible>(())).unwrap()
        });
        let idle = connections.kept();
        assert!(idle.incoming >= 8_000 && idle.unsent == 0, "two silent ones: {idle:?}");
        assert_eq!(insert(&mut connections).slot, 2, "one that speaks plain keeps nothing");
        assert_eq!(connections.kept(), idle);

        let Transport::Tls(stream) = &mut connections.get_mut(ids[0]).unwrap().transport else { panic!() };
        stream.say_in_plain(&[0; 5_000]);
        connections.count_kept(ids[0]);
        assert_eq!(connections.kept(), Kept { unsent: 5_000, ..idle });
        assert_eq!(ids.map(|id| connections.unsent_bytes(id)), [5_000, 0]);

        connections.remove(ids[0]).unwrap();
        assert_eq!(connections.kept(), Kept { incoming: idle.incoming / 2, unsent: 0 });
        connections.remove(ids[1]).unwrap();
        assert_eq!(connections.kept(), Kept::default());
    }

    #[test]
    fn a_socket_that_cannot_be_registered_takes_no_slot() {
        let mut connections = Connections::default();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(connections.insert(Transport::Plain(stream), nobody(), 0, |_, _| Err("no memory")).is_err());
        assert_eq!((connections.len(), connections.ids()), (0, Vec::new()));
    }
}
