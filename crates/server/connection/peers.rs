//! Where the clients are that lines of the log are about.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use tracing::level_filters::LevelFilter;

/// Where a client is, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// It has opened the socket.
    Socket(SocketAddr),
    /// A trusted proxy has opened the socket for it.
    Behind(IpAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Behind(address) => address.fmt(f),
        }
    }
}

/// The clients of one core, by slot. Kept only where lines about single connections are written: nothing else asks for
/// them, and an idle connection is not to cost what nobody asks for.
#[derive(Debug)]
pub(super) struct Peers {
    by_slot: HashMap<u32, Peer>,
    are_logged: bool,
}

impl Default for Peers {
    fn default() -> Self {
        Self { by_slot: HashMap::new(), are_logged: LevelFilter::current() >= LevelFilter::DEBUG }
    }
}

impl Peers {
    /// The client in the slot is there.
    pub(super) fn set(&mut self, slot: u32, peer: Peer) {
        if self.are_logged {
            self.by_slot.insert(slot, peer);
        }
    }

    /// Where the client in the slot is.
    pub(super) fn at(&self, slot: u32) -> Option<Peer> {
        self.by_slot.get(&slot).copied()
    }

    /// The slot is free.
    pub(super) fn forget(&mut self, slot: u32) {
        self.by_slot.remove(&slot);
    }
}
