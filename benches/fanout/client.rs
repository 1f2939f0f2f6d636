//! The cheapest client: it publishes, and counts the deliveries that come back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use memchr::memchr_iter;
use mio::{Events, Interest, Poll, Token};

use crate::dialect::{Dialect, MARK};
use crate::target::Target;
use crate::workload::{Burst, Shape, topic};

/// Connections that are opened together, so that accepting them is not measured one wake at a time.
const OPENED_TOGETHER: usize = 100;

/// How long a target may take to do anything at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connections of one shape: subscribers first, then publishers.
pub(crate) struct Client {
    address: SocketAddr,
    target: Target,
    pub(crate) shape: Shape,
    connections: Vec<Connection>,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
}

struct Connection {
    stream: mio::net::TcpStream,
    /// What the target has not taken yet.
    unsent: Vec<u8>,
}

/// What is written to publish one burst, and what comes of it.
pub(crate) struct Publication {
    /// For each publisher that has a part in it.
    parts: Vec<(usize, Vec<u8>)>,
    pub(crate) deliveries: usize,
}

impl Client {
    /// Connects them all.
    pub(crate) fn connect(address: SocketAddr, target: Target, shape: Shape) -> Self {
        let mut this = Self {
            address,
            target,
            shape,
            connections: Vec::new(),
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            scratch: vec![0; 256 * 1024],
        };
        let subscribers: Vec<usize> = (0..shape.subscribers).collect();
        for together in subscribers.chunks(OPENED_TOGETHER) {
            let opened: Vec<_> = together.iter().map(|&number| this.open_subscriber(number)).collect();
            for stream in opened {
                this.add(stream, target.subscribers, shape.topics_each);
            }
        }
        for number in 0..this.publishers() {
            let stream = this.open_publisher(number);
            this.add(stream, target.publishers, 0);
        }
        this
    }

    /// The connections that publish: one for each topic where a connection is for one alone.
    fn publishers(&self) -> usize {
        let topics = if self.target.publishers.publishes_anywhere() { 1 } else { self.shape.topics };
        topics * self.shape.publishers
    }

    fn open_subscriber(&self, number: usize) -> TcpStream {
        let topics = self.shape.topics_of(number);
        open(self.address, &self.target.subscribers.subscribe(self.address, &topics))
    }

    fn open_publisher(&self, number: usize) -> TcpStream {
        let topic = topic(number % self.shape.topics);
        open(self.address, &self.target.publishers.announce(self.address, &topic))
    }

    fn add(&mut self, mut stream: TcpStream, dialect: Dialect, topics: usize) {
        wait_until_ready(&mut stream, dialect, topics);
        let token = Token(self.connections.len());
        self.connections.push(self.watch(stream, token));
    }

    fn watch(&self, stream: TcpStream, token: Token) -> Connection {
        stream.set_nonblocking(true).expect("a socket");
        let mut stream = mio::net::TcpStream::from_std(stream);
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, token, interest).expect("epoll");
        Connection { stream, unsent: Vec::new() }
    }

    /// Another connection in the place of subscriber number `number`.
    pub(crate) fn reconnect_subscriber(&mut self, number: usize) {
        let mut stream = self.open_subscriber(number);
        wait_until_ready(&mut stream, self.target.subscribers, self.shape.topics_each);
        self.connections[number] = self.watch(stream, Token(number));
    }

    /// Another connection in the place of publisher number `number`.
    pub(crate) fn reconnect_publisher(&mut self, number: usize) {
        let mut stream = self.open_publisher(number);
        wait_until_ready(&mut stream, self.target.publishers, 0);
        let place = self.shape.subscribers + number;
        self.connections[place] = self.watch(stream, Token(place));
    }

    /// A cycle of bursts that takes the topics in turn, and the publishers.
    pub(crate) fn publications(&self, burst: Burst) -> Vec<Publication> {
        let cycle = if burst.in_flight.is_multiple_of(self.shape.topics) { 1 } else { self.shape.topics };
        (0..cycle).map(|nth| self.publication(burst, nth * burst.in_flight)).collect()
    }

    fn publication(&self, burst: Burst, first: usize) -> Publication {
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for message in first..first + burst.in_flight {
            let publisher = self.shape.subscribers + message % self.publishers();
            if !parts.iter().any(|(of, _)| *of == publisher) {
                parts.push((publisher, Vec::new()));
            }
            let part = parts.iter_mut().find(|(of, _)| *of == publisher);
            let topic = topic(message % self.shape.topics);
            if let Some((_, bytes)) = part {
                self.target.publishers.publish(&topic, burst.payload_bytes, bytes);
            }
        }
        Publication { parts, deliveries: burst.in_flight * self.shape.fan_out() }
    }

    /// Publishes, and waits until every subscriber has everything: not one delivery less, and not one more.
    pub(crate) fn publish(&mut self, publication: &Publication) {
        self.send(publication);
        let mut received = 0;
        while received < publication.deliveries {
            let woken = self.receive(PATIENCE, |_, deliveries| received += deliveries);
            assert!(
                woken,
                "{} went silent: {received} of {} have come",
                self.target.name, publication.deliveries
            );
        }
        assert_eq!(received, publication.deliveries, "{}: each message once", self.target.name);
    }

    /// Publishes, and does not wait.
    pub(crate) fn send(&mut self, publication: &Publication) {
        for (number, bytes) in &publication.parts {
            let connection = &mut self.connections[*number];
            let written = if connection.unsent.is_empty() { write(&mut connection.stream, bytes) } else { 0 };
            connection.unsent.extend_from_slice(&bytes[written..]);
        }
    }

    /// Waits for whatever comes next, `timeout` at most, and calls `came` with the subscriber and its deliveries. Returns
    /// whether anything happened.
    pub(crate) fn receive(&mut self, timeout: Duration, mut came: impl FnMut(usize, usize)) -> bool {
        let Self { poll, events, connections, scratch, .. } = self;
        if let Err(error) = poll.poll(events, Some(timeout)) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        for event in &*events {
            let connection = &mut connections[event.token().0];
            if event.is_writable() && !connection.unsent.is_empty() {
                let written = write(&mut connection.stream, &connection.unsent);
                connection.unsent.drain(..written);
            }
            if event.is_readable() {
                let deliveries = read(&mut connection.stream, scratch);
                if event.token().0 < self.shape.subscribers && deliveries > 0 {
                    came(event.token().0, deliveries);
                }
            }
        }
        !events.is_empty()
    }
}

fn open(address: SocketAddr, first_words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the target listens");
    stream.set_nodelay(true).expect("a socket");
    stream.write_all(first_words).expect("the target reads");
    stream
}

fn wait_until_ready(stream: &mut TcpStream, dialect: Dialect, topics: usize) {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let (mut answer, mut scratch) = (Vec::new(), [0; 4096]);
    while !dialect.is_ready(&answer, topics) {
        let read = stream.read(&mut scratch).expect("the target answers");
        assert!(read > 0, "the target closed a connection: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&scratch[..read]);
    }
}

/// Returns how much the socket took.
fn write(stream: &mut mio::net::TcpStream, bytes: &[u8]) -> usize {
    let mut written = 0;
    while written < bytes.len() {
        match stream.write(&bytes[written..]) {
            Ok(taken) => written += taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the target's connection: {error}"),
        }
    }
    written
}

/// Reads what is there and counts the deliveries in it. A short read says that there is no more, and saves the call that
/// would say so.
fn read(stream: &mut mio::net::TcpStream, scratch: &mut [u8]) -> usize {
    let mut deliveries = 0;
    loop {
        match stream.read(scratch) {
            Ok(0) => panic!("the target closed a connection"),
            Ok(bytes) => {
                deliveries += memchr_iter(MARK, &scratch[..bytes]).count();
                if bytes < scratch.len() {
                    return deliveries;
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return deliveries,
            Err(error) => panic!("the target's connection: {error}"),
        }
    }
}
