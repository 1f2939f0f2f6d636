//! What stands in front of everything else on a connection from a proxy that speaks the PROXY protocol.
//!
//! The header is looked at where it is, in the socket, and taken out when it is whole, to the octet: whatever comes behind
//! it, TLS or HTTP, finds the socket as if there had been no proxy.

use std::io::{self, Read};

use fanwire_broker::lanes::ConnectionId;
use fanwire_wire::limits::MAX_PROXY_HEADER_BYTES;
use fanwire_wire::proxy::{self, ProxyError, Source};
use mio::net::TcpStream;

use super::EventLoop;
use crate::connection::Phase;
use crate::metrics::DisconnectReason;

/// What the front of a socket has.
enum Front {
    Header(Source),
    /// More is to come; an edge says when.
    Incomplete,
    Wrong(ProxyError),
    /// It has ended, or is broken.
    Ended,
}

impl EventLoop {
    /// Reads the header of a connection that has to begin with one.
    pub(super) fn read_proxy_header(&mut self, id: ConnectionId, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let front = look_at(connection.transport.socket_mut(), &mut scratch[..MAX_PROXY_HEADER_BYTES]);
        match front {
            Front::Header(source) => self.learn_source(id, source),
            Front::Incomplete if !connection.ending => connection.readable = false,
            Front::Incomplete | Front::Ended => self.drop_connection(id, DisconnectReason::Reset),
            Front::Wrong(error) => {
                tracing::debug!(peer = self.peer(id), "a trusted proxy sent no good header: {error}");
                self.drop_connection(id, DisconnectReason::ProtocolError);
            }
        }
    }

    /// The connection counts for whom the proxy says it is from, and begins.
    fn learn_source(&mut self, id: ConnectionId, source: Source) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.phase = Phase::Http(Box::default());
        }
        let Source::Client(address) = source else { return };
        self.connections.set_client(id, address);
        if self.connections.admission(id).refusal().is_some() {
            // It was not let in when it came: it is told so, whomever it is for.
            return;
        }
        if let Err(refusal) = self.count_for(id, address) {
            self.turn_down(id, refusal);
        }
    }
}

/// Looks for a header at the front of the socket, and takes it out if it is whole.
fn look_at(stream: &mut TcpStream, scratch: &mut [u8]) -> Front {
    let count = match stream.peek(scratch) {
        Ok(0) => return Front::Ended,
        Ok(count) => count,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            return Front::Incomplete;
        }
        Err(_) => return Front::Ended,
    };
    match proxy::parse(&scratch[..count]) {
        Ok(None) => Front::Incomplete,
        Err(error) => Front::Wrong(error),
        Ok(Some((source, length))) => match stream.read_exact(&mut scratch[..length]) {
            Ok(()) => Front::Header(source),
            // It was there a moment ago.
            Err(_) => Front::Ended,
        },
    }
}
