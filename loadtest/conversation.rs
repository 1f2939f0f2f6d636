//! What clients say and hear, without I/O: octets of a socket in, payloads out; payloads in, octets for a socket out.
//!
//! ```text
//!                       Subscriber                              Publisher
//!             ┌─────────────┼──────────────┐                        │
//!         EventStream     Poller       WebSocket ───────────────────┘
//!             │             │              │
//!         EventReader       │           Dialect: raw, FanwireJson, FanwireBinary, Nats, Mqtt
//!             └──────┬──────┘
//!              ResponseReader
//! ```
//!
//! The contract of both roles: connect a socket, send what [`begin`](Subscriber::begin) writes, give everything that the
//! socket has to [`read`](Subscriber::read), and send what that writes. Input may be cut anywhere. When the socket has
//! ended, [`end`](Subscriber::end) says what that means. After an error the conversation is over: what `read` has written
//! by then may be sent, and what it is given after that has no meaning.
//!
//! Topics are names that Fanwire takes. Nothing in such a name needs an escape in a URL, in NATS or in MQTT.

mod dialect;
mod error;
mod event_stream;
mod events;
mod fanwire_binary;
mod fanwire_json;
mod mqtt;
mod nats;
mod notification;
mod pieces;
mod poller;
mod receipts;
mod refusal;
mod request;
mod response;
mod web_socket;

#[cfg(test)]
mod tests;

use fastrand::Rng;

pub use self::error::{BadResponse, ConversationError};

use self::dialect::Dialect;
use self::event_stream::EventStream;
use self::poller::{Asks, Poller};
use self::request::with_query;
use self::web_socket::WebSocket;
use crate::transport::{HeaderProfile, Protocol, Transport};

/// The largest message, event or body that a client takes, in octets: many times what a load test publishes. A server that
/// announces more is broken, or not what was to be measured.
pub const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Whom to speak to, and how.
#[derive(Clone, Debug)]
pub struct Peer {
    /// `host:port`, as it goes into `Host`.
    pub authority: String,
    /// Path and query of the WebSocket, percent-encoded; `{topic}` in it stands for the topic.
    pub path: String,
    /// What requests carry besides what they need.
    pub headers: HeaderProfile,
    /// How messages reach subscribers.
    pub transport: Transport,
    /// What is spoken over a WebSocket: by publishers, and by subscribers whose transport it is.
    pub protocol: Protocol,
}

impl Peer {
    /// Whether a subscriber's connection has exactly one topic, and not any number of them.
    pub fn subscribes_to_one(&self) -> bool {
        !matches!(self.transport, Transport::WebSocket { .. }) || self.protocol == Protocol::Raw
    }

    /// Whether a publisher's connection has exactly one topic.
    pub fn publishes_to_one(&self) -> bool {
        self.protocol == Protocol::Raw
    }

    /// The target of a subscriber's WebSocket.
    fn web_socket_target(&self, topics: &[String]) -> String {
        self.path.replace("{topic}", topics.first().map_or("", String::as_str))
    }

    /// The target of requests for a topic: the WebSocket's, if that is the topic's, or else Fanwire's.
    fn topic_target(&self, topic: &str) -> String {
        let path = if self.path.contains("{topic}") { &self.path } else { Protocol::Raw.usual_path() };
        path.replace("{topic}", topic)
    }
}

/// What a subscriber hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// A message.
    Payload(&'a [u8]),
    /// The broker tells that it has left messages out.
    Gap {
        /// How many.
        count: u64,
    },
}

/// A subscriber's side of a connection.
///
/// ```
/// use loadtest::conversation::{Heard, Peer, Subscriber};
/// use loadtest::transport::{HeaderProfile, Protocol, Transport};
///
/// let peer = Peer {
///     authority: "127.0.0.1:8080".to_owned(),
///     path: Protocol::Raw.usual_path().to_owned(),
///     headers: HeaderProfile::Minimal,
///     transport: Transport::LongPoll,
///     protocol: Protocol::Raw,
/// };
/// let mut subscriber = Subscriber::new(&peer, &["prices.EURUSD".to_owned()], 1);
/// let mut out = Vec::new();
/// subscriber.begin(&mut out);
/// assert_eq!(out, b"GET /topics/prices.EURUSD?last=0 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
///
/// out.clear();
/// let mut input = *b"HTTP/1.1 204 No Content\r\nFanwire-Epoch: 9f3c\r\nFanwire-Offset: 41\r\n\r\n";
/// subscriber.read(&mut input, &mut out, &mut |heard| panic!("{heard:?}"))?;
/// assert!(subscriber.is_ready());
/// assert!(out.starts_with(b"GET /topics/prices.EURUSD?since=9f3c:41&wait=30s HTTP/1.1\r\n"));
/// # Ok::<(), loadtest::conversation::ConversationError>(())
/// ```
#[derive(Debug)]
pub struct Subscriber(Way);

/// How its messages reach it.
#[derive(Debug)]
enum Way {
    WebSocket(WebSocket),
    EventStream(EventStream),
    Poller(Poller),
}

impl Subscriber {
    /// A connection that subscribes to `topics`: to exactly one if [`Peer::subscribes_to_one`], otherwise to at least one.
    ///
    /// `seed` is what keys and ids are drawn from, and must be another one for each subscriber of a broker. Panics if there are
    /// none or too many topics.
    pub fn new(peer: &Peer, topics: &[String], seed: u64) -> Self {
        let [topic, others @ ..] = topics else { panic!("a subscriber has a topic") };
        assert!(
            others.is_empty() || !peer.subscribes_to_one(),
            "a subscriber over {} has one topic",
            peer.transport
        );
        Self(match peer.transport {
            Transport::WebSocket { deflate } => {
                let mut random = Rng::with_seed(seed);
                let dialect = Dialect::new(peer.protocol, topics, &mut random);
                let target = peer.web_socket_target(topics);
                Way::WebSocket(WebSocket::new(peer, target, deflate, dialect, &mut random))
            }
            Transport::EventStream => Way::EventStream(EventStream::new(peer, topic)),
            Transport::LongPoll => Way::Poller(Poller::new(peer, topic, Asks::Always)),
            Transport::Poll { .. } => Way::Poller(Poller::new(peer, topic, Asks::OnDemand)),
        })
    }

    /// Writes what a client says first. For a poller that is the request that learns where it begins.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        match &mut self.0 {
            Way::WebSocket(web_socket) => web_socket.begin(out),
            Way::EventStream(stream) => stream.begin(out),
            Way::Poller(poller) => poller.begin(out),
        }
    }

    /// Takes in all of `input`, which is unmasked and inflated as need be, gives everything that is heard in it to `on_heard`
    /// in order, and writes what is to be answered: pongs, subscriptions, the next long poll.
    ///
    /// A WebSocket message that comes in one read and has no compression is given as it came, without a copy.
    pub fn read(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        match &mut self.0 {
            Way::WebSocket(web_socket) => web_socket.read(input, out, on_heard),
            Way::EventStream(stream) => stream.read(input, on_heard),
            Way::Poller(poller) => poller.read(input, out, on_heard),
        }
    }

    /// What it means that the connection has ended here.
    pub fn end(&self) -> ConversationError {
        match &self.0 {
            Way::WebSocket(web_socket) => web_socket.end(),
            Way::EventStream(stream) => stream.end(),
            Way::Poller(poller) => poller.end(),
        }
    }

    /// Whether the server has acknowledged all subscriptions: no message that is published from now on may be missing.
    pub fn is_ready(&self) -> bool {
        match &self.0 {
            Way::WebSocket(web_socket) => web_socket.is_ready(),
            Way::EventStream(stream) => stream.is_ready(),
            Way::Poller(poller) => poller.is_ready(),
        }
    }

    /// Whether it is between two messages, or between two exchanges of requests and answers: every octet that came is of
    /// something that has been heard whole. A long poll is asked anew in the same moment, so that its next request is out.
    pub fn is_idle(&self) -> bool {
        match &self.0 {
            Way::WebSocket(web_socket) => web_socket.is_idle(),
            Way::EventStream(stream) => stream.is_idle(),
            Way::Poller(poller) => poller.is_idle(),
        }
    }

    /// Writes the next short poll, if the last one was answered, and says whether it did. Other transports never do.
    pub fn ask(&mut self, out: &mut Vec<u8>) -> bool {
        match &mut self.0 {
            Way::WebSocket(_) | Way::EventStream(_) => false,
            Way::Poller(poller) => poller.ask(out),
        }
    }
}

/// A publisher's side of a connection, which is a WebSocket whatever the transport of the subscribers, and not compressed: so
/// publishing costs the broker the same in every run.
#[derive(Debug)]
pub struct Publisher {
    web_socket: WebSocket,
    topics: Vec<String>,
    /// Room for one message.
    message: Vec<u8>,
}

impl Publisher {
    /// A connection that publishes to `topics`: to exactly one if [`Peer::publishes_to_one`].
    ///
    /// `seed` is what keys and ids are drawn from, and must be another one for each publisher of a broker. Panics if there
    /// are too many topics.
    pub fn new(peer: &Peer, topics: &[String], seed: u64) -> Self {
        assert!(
            topics.len() == 1 || !peer.publishes_to_one(),
            "a publisher of {} has one topic",
            peer.protocol
        );
        let mut random = Rng::with_seed(seed);
        let dialect = Dialect::new(peer.protocol, &[], &mut random);
        let mut target = peer.web_socket_target(topics);
        if peer.publishes_to_one() {
            target = with_query(&target, "echo=false");
        }
        let web_socket = WebSocket::new(peer, target, false, dialect, &mut random);
        Self { web_socket, topics: topics.to_vec(), message: Vec::new() }
    }

    /// Writes what a client says first.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.web_socket.begin(out);
    }

    /// Takes in all of `input`, and writes what is to be answered. Messages are ignored: they are the publisher's own, from
    /// a server that knows no `echo=false`.
    pub fn read(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> Result<(), ConversationError> {
        self.web_socket.read(input, out, &mut |_| ())
    }

    /// What it means that the connection has ended here.
    pub fn end(&self) -> ConversationError {
        self.web_socket.end()
    }

    /// Whether the server takes messages.
    pub fn is_ready(&self) -> bool {
        self.web_socket.is_ready()
    }

    /// Writes what publishes `payload`, which is ASCII, to the topic with this index. Panics if there is none.
    pub fn publish(&mut self, topic: usize, payload: &[u8], out: &mut Vec<u8>) {
        self.web_socket.publish(&self.topics[topic], payload, &mut self.message, out);
    }
}
