//! One accepted socket, and what the event loop knows about it.
//!
//! An idle connection is this struct and what the shard keeps for it: no buffer. What a request in progress
//! needs is boxed, and goes when it is answered.

mod contexts;
mod conversation;
mod peers;
mod sessions;
mod table;

use fanwire_broker::lanes::ConnectionId;
use fanwire_wire::message::MessageReader;
use fanwire_wire::topic::Topic;

use crate::config::Timeouts;
use crate::metrics::DisconnectReason;
use crate::transport::Transport;

pub(crate) use contexts::Contexts;
pub(crate) use conversation::{Awaited, Bounds, Conversation, Exchange, Step};
pub(crate) use peers::Peer;
pub(crate) use sessions::{Due, Sessions};
pub(crate) use table::{Connections, Kept};

/// One accepted socket.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    pub(crate) phase: Phase,
    pub(crate) place: Place,
    /// The socket may hold input: an edge came, and no read since has found it empty.
    pub(crate) readable: bool,
    /// The input that the socket holds is the last: the peer has ended its side, or the connection is broken.
    pub(crate) ending: bool,
    /// It has published since publishers were last let go on.
    pub(crate) publishes: bool,
    /// When what it is waited for began, on the monotonic clock: see [`Self::deadline_ms`].
    pub(crate) since_ms: u64,
}

/// What a connection speaks.
#[derive(Debug)]
pub(crate) enum Phase {
    /// The PROXY header of a trusted proxy, in front of everything else.
    Proxied,
    /// HTTP, from the accept to an upgrade or the end.
    Http(Box<Conversation>),
    /// WebSocket.
    WebSocket(WebSocket),
    /// An event stream: what the client still sends is thrown away.
    EventStream(Liveness),
    /// Nothing more: our last bytes are queued or sent, and what the peer still sends is thrown away.
    Closing(Closing),
    /// Its socket is of no more use; the slot is free at the end of the turn.
    Gone,
}

/// Where a connection stands with regard to reading. Readiness is edge-triggered, so a connection with input
/// that is neither listed nor paused would sleep for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All input was read; an edge brings it back.
    Resting,
    /// On the ready list.
    Listed,
    /// Frames that were read from it have not had their turn.
    Behind,
    /// We do not read from it until an answer has come or it has read its replies; that brings it back.
    Paused,
}

/// The WebSocket side of a connection.
#[derive(Debug)]
pub(crate) struct WebSocket {
    pub(crate) reader: MessageReader,
    pub(crate) endpoint: Endpoint,
    pub(crate) liveness: Liveness,
}

/// What is known of the life of a peer that may have nothing to say.
#[derive(Debug, Default)]
pub(crate) struct Liveness {
    /// Pings or heartbeats since the last sign of life.
    pub(crate) unanswered_pings: u32,
    /// Acknowledged bytes above this many are a sign of life.
    pub(crate) acknowledged_bytes: u64,
}

/// Who takes a connection's messages.
#[derive(Debug)]
pub(crate) enum Endpoint {
    /// Each message is published on one topic.
    Raw {
        /// The topic.
        topic: Topic,
        /// Whether the publisher gets its own messages too.
        echo: bool,
    },
    /// Each message is a command.
    Json,
    /// Each message is a command, in octets.
    Binary,
    /// Demo: each message is sent back.
    Echo {
        /// The window that replies are compressed with, if they are.
        deflate_window_bits: Option<u8>,
    },
    /// Demo: each name is greeted, and the connection closed a little later.
    Hello {
        /// When it is closed, once it was greeted.
        leaves_at_ms: Option<u64>,
    },
}

/// The end of a connection, so that the peer gets our last bytes rather than a reset.
#[derive(Debug)]
pub(crate) struct Closing {
    /// All our bytes are handed to the kernel, and our side has ended.
    pub(crate) flushed: bool,
    /// The peer's side has ended.
    pub(crate) peer_ended: bool,
    /// What the disconnect counts as.
    pub(crate) reason: DisconnectReason,
    /// Of one that is owed an answer over HTTP: it has time for it as long as it reads.
    pub(crate) liveness: Option<Liveness>,
}

impl Connection {
    /// A connection that was just accepted.
    fn new(id: ConnectionId, transport: Transport, now_ms: u64) -> Self {
        let phase = Phase::Http(Box::default());
        Self {
            id,
            transport,
            phase,
            place: Place::Resting,
            readable: false,
            ending: false,
            publishes: false,
            since_ms: now_ms,
        }
    }

    /// When a poll has waited long enough, or its patience ends: with a request that does not become whole, with an idle
    /// HTTP client, with a silent subscriber, or with one that does not close.
    pub(crate) fn deadline_ms(&self, timeouts: &Timeouts) -> u64 {
        let patience_ms = match &self.phase {
            Phase::Proxied => timeouts.handshake_ms,
            Phase::Http(conversation) if conversation.is_in_request() => timeouts.handshake_ms,
            Phase::Http(_) => timeouts.idle_http_ms,
            Phase::WebSocket(_) | Phase::EventStream(_) => timeouts.ping_ms,
            Phase::Closing(_) | Phase::Gone => timeouts.close_ms,
        };
        let deadline_ms = self.since_ms.saturating_add(patience_ms);
        let appointment_ms = self.poll_ends_at_ms().or(self.leaves_at_ms());
        appointment_ms.map_or(deadline_ms, |appointment_ms| deadline_ms.min(appointment_ms))
    }

    /// When a poll that waits has waited long enough.
    fn poll_ends_at_ms(&self) -> Option<u64> {
        match &self.phase {
            Phase::Http(conversation) => conversation.poll_ends_at_ms(),
            _ => None,
        }
    }

    /// When a connection to the hello demo is closed.
    pub(crate) fn leaves_at_ms(&self) -> Option<u64> {
        match &self.phase {
            Phase::WebSocket(WebSocket { endpoint: Endpoint::Hello { leaves_at_ms }, .. }) => *leaves_at_ms,
            _ => None,
        }
    }

    /// Notes that bytes came. A request in progress gets no more time for it.
    pub(crate) fn hear(&mut self, now_ms: u64) {
        match &mut self.phase {
            Phase::Http(conversation) => {
                if conversation.begin_request() {
                    self.since_ms = now_ms;
                }
            }
            Phase::WebSocket(web_socket) => {
                web_socket.liveness.unanswered_pings = 0;
                self.since_ms = now_ms;
            }
            // That its client talks does not say that it reads.
            Phase::Proxied | Phase::EventStream(_) | Phase::Closing(_) | Phase::Gone => {}
        }
    }

    /// It was taken off the ready list. It may have come to be behind while it stood there, and is so still: what its socket
    /// has waits for the frames that were read before.
    pub(crate) fn leave_ready_list(&mut self) {
        if self.place != Place::Behind {
            self.place = Place::Resting;
        }
    }

    /// Whether a PROXY header is due, and something came.
    pub(crate) fn is_ready_for_proxy_header(&self) -> bool {
        matches!(self.phase, Phase::Proxied) && self.readable
    }

    /// What it keeps, and what TLS takes for it.
    fn kept(&self) -> Kept {
        Kept {
            incoming: self.incoming_bytes() + self.transport.kept_bytes(),
            unsent: self.transport.unsent_bytes(),
        }
    }

    /// What it keeps of a message or a request that has not come whole, in bytes.
    fn incoming_bytes(&self) -> usize {
        match &self.phase {
            Phase::Http(conversation) => conversation.kept_bytes(),
            Phase::WebSocket(web_socket) => web_socket.reader.kept_bytes(),
            Phase::Proxied | Phase::EventStream(_) | Phase::Closing(_) | Phase::Gone => 0,
        }
    }

    /// The conversation, if it speaks HTTP.
    pub(crate) fn conversation(&mut self) -> Option<&mut Conversation> {
        match &mut self.phase {
            Phase::Http(conversation) => Some(conversation),
            _ => None,
        }
    }

    /// The WebSocket side, if it has come to that.
    pub(crate) fn web_socket(&mut self) -> Option<&mut WebSocket> {
        match &mut self.phase {
            Phase::WebSocket(web_socket) => Some(web_socket),
            _ => None,
        }
    }

    /// What is known of its peer's life, if it is one that may be silent while it reads.
    pub(crate) fn liveness(&mut self) -> Option<&mut Liveness> {
        match &mut self.phase {
            Phase::WebSocket(web_socket) => Some(&mut web_socket.liveness),
            Phase::EventStream(liveness) => Some(liveness),
            Phase::Closing(closing) => closing.liveness.as_mut(),
            Phase::Proxied | Phase::Http(_) | Phase::Gone => None,
        }
    }
}

/// A connection that subscribes and is silent costs this struct; growing it is a decision.
const _: () = assert!(size_of::<Connection>() <= 96);

#[cfg(test)]
mod tests {
    use mio::net::TcpStream;

    use super::*;

    #[test]
    fn a_connection_that_was_listed_stays_behind_until_its_frames_have_had_their_turn() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let id = ConnectionId { slot: 0, generation: 0 };
        let mut connection = Connection::new(id, Transport::Plain(stream), 0);
        for (place, expected) in
            [(Place::Listed, Place::Resting), (Place::Paused, Place::Resting), (Place::Behind, Place::Behind)]
        {
            connection.place = place;
            connection.leave_ready_list();
            assert_eq!(connection.place, expected);
        }
    }
}
