//! The cheapest client: it publishes, and counts the deliveries that come back.

use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::time::Duration;

use memchr::memchr_iter;
use mio::{Events, Poll, Token};

use crate::dialect::{Dialect, MARK};
use crate::feed;
use crate::target::Target;
use crate::wire::{Opening, Wire};
use crate::workload::{Burst, Shape, topic};

/// Connections that are opened together, so that accepting them is not measured one wake at a time.
const OPENED_TOGETHER: usize = 100;

/// How long a target may take to do anything at all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The connections of one shape: subscribers first, then publishers.
pub(crate) struct Client {
    address: SocketAddr,
    target: Target,
    pub(crate) shape: Shape,
    connections: Vec<Wire>,
    /// Messages that were published to each topic.
    published: Vec<u64>,
    /// Deliveries that each subscriber has had.
    received: Vec<u64>,
    /// How those count them that have the feed; the others count marks.
    of_feed: Vec<feed::Subscriber>,
    /// Bytes that subscribers were sent.
    pub(crate) received_bytes: u64,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
}

/// What is written to publish one burst, and what comes of it.
pub(crate) struct Publication {
    /// For each publisher that has a part in it.
    parts: Vec<(usize, Vec<u8>)>,
    topics: Vec<usize>,
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
            published: vec![0; shape.topics],
            received: vec![0; shape.subscribers],
            of_feed: Vec::new(),
            received_bytes: 0,
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(1024),
            scratch: vec![0; 256 * 1024],
        };
        let subscribers: Vec<usize> = (0..shape.subscribers).collect();
        for together in subscribers.chunks(OPENED_TOGETHER) {
            let opened: Vec<_> = together.iter().map(|&number| this.open_subscriber(number)).collect();
            for opening in opened {
                this.add(opening, target.subscribers, shape.topics_each);
            }
        }
        for number in 0..this.publishers() {
            let opening = this.open_publisher(number);
            this.add(opening, target.publishers, 0);
        }
        this
    }

    /// The connections that publish: some for each topic where they are for one alone.
    fn publishers(&self) -> usize {
        let Shape { topics, publishers, publishers_have_topics, .. } = self.shape;
        let for_all = self.target.publishers.publishes_anywhere() && !publishers_have_topics;
        if for_all { publishers } else { topics * publishers }
    }

    fn open_subscriber(&self, number: usize) -> Opening {
        let topics = self.shape.topics_of(number);
        self.open(&self.target.subscribers.subscribe(self.address, &topics))
    }

    fn open_publisher(&self, number: usize) -> Opening {
        let topic = topic(number % self.shape.topics);
        self.open(&self.target.publishers.announce(self.address, &topic))
    }

    fn open(&self, first_words: &[u8]) -> Opening {
        Opening::begin(self.address, self.target.speaks_tls(), first_words)
    }

    fn add(&mut self, mut opening: Opening, dialect: Dialect, topics: usize) {
        let answer = wait_until_ready(&mut opening, dialect, topics);
        if let Dialect::Feed { compressed } = dialect {
            self.of_feed.push(feed::Subscriber::new(&answer, compressed));
        }
        let token = Token(self.connections.len());
        self.connections.push(opening.watch(self.poll.registry(), token));
    }

    /// Another connection in the place of subscriber number `number`.
    pub(crate) fn reconnect_subscriber(&mut self, number: usize) {
        let mut opening = self.open_subscriber(number);
        wait_until_ready(&mut opening, self.target.subscribers, self.shape.topics_each);
        self.connections[number] = opening.watch(self.poll.registry(), Token(number));
        self.received[number] = self.published[number % self.shape.topics];
    }

    /// Another connection in the place of publisher number `number`.
    pub(crate) fn reconnect_publisher(&mut self, number: usize) {
        let mut opening = self.open_publisher(number);
        wait_until_ready(&mut opening, self.target.publishers, 0);
        let place = self.shape.subscribers + number;
        self.connections[place] = opening.watch(self.poll.registry(), Token(place));
    }

    /// A cycle of bursts that takes the topics in turn, and the publishers.
    pub(crate) fn publications(&self, burst: Burst) -> Vec<Publication> {
        if burst.is_feed {
            let burst_of = |nth| {
                self.publication(nth * burst.in_flight, burst.in_flight, |number| {
                    feed::message(number).to_owned()
                })
            };
            return (0..feed::bursts(burst.in_flight)).map(burst_of).collect();
        }
        let topics = self.shape.topics;
        let cycle = (1..=topics).find(|bursts| (bursts * burst.in_flight).is_multiple_of(topics));
        let payload = payload(burst.payload_bytes, "");
        (0..cycle.unwrap_or(topics))
            .map(|nth| self.publication(nth * burst.in_flight, burst.in_flight, |_| payload.clone()))
            .collect()
    }

    fn publication(&self, first: usize, messages: usize, payload: impl Fn(usize) -> String) -> Publication {
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        let mut topics = Vec::new();
        for message in first..first + messages {
            let publisher = self.shape.subscribers + message % self.publishers();
            if !parts.iter().any(|(of, _)| *of == publisher) {
                parts.push((publisher, Vec::new()));
            }
            let number = message % self.shape.topics;
            topics.push(number);
            if let Some((_, bytes)) = parts.iter_mut().find(|(of, _)| *of == publisher) {
                self.target.publishers.publish(&topic(number), &payload(message), bytes);
            }
        }
        Publication { parts, topics, deliveries: messages * self.shape.fan_out() }
    }

    /// The feed begins again.
    pub(crate) fn rewind_feed(&mut self) {
        self.of_feed.iter_mut().for_each(feed::Subscriber::rewind);
    }

    /// Publishes a burst whose messages differ, and reads every octet of what comes of it: each subscriber has each message of
    /// its topics as it was published, and in order where there is one.
    pub(crate) fn check_answers(&mut self, burst: Burst) {
        if burst.is_feed {
            // Each of them checks what it is sent.
            let publications = self.publications(burst);
            for publication in &publications {
                self.publish(publication);
            }
            self.of_feed.iter_mut().enumerate().for_each(|(number, subscriber)| subscriber.look_less(number));
            return self.assert_complete();
        }
        let numbered = |message: usize| payload(burst.payload_bytes, &format!("{message} "));
        let publication = self.publication(0, burst.in_flight, numbered);
        self.send(&publication);
        let mut heard: Vec<Vec<u8>> = vec![Vec::new(); self.shape.subscribers];
        let mut received = 0;
        while received < publication.deliveries {
            let woken = self.receive_bytes(PATIENCE, |subscriber, bytes, deliveries| {
                heard[subscriber].extend_from_slice(bytes);
                received += deliveries;
            });
            assert!(woken, "{} went silent", self.target.name);
        }
        let has_order = self.shape.publishers == 1 && self.shape.topics_each == 1;
        for (subscriber, heard) in heard.iter().enumerate() {
            let is_for_it = |message: &usize| {
                self.shape.topics_each > 1 || message % self.shape.topics == subscriber % self.shape.topics
            };
            let expected: Vec<String> = (0..burst.in_flight).filter(is_for_it).map(numbered).collect();
            let mut got = payloads(heard, burst.payload_bytes);
            if !has_order {
                got.sort_by_key(|payload| expected.iter().position(|expected| expected == payload));
            }
            assert_eq!(got, expected, "{}: subscriber {subscriber}", self.target.name);
        }
        self.assert_complete();
    }

    /// Publishes, and waits until as many deliveries have come as there should be. [`Self::assert_complete`] sees whether
    /// they went where they should.
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
        for &topic in &publication.topics {
            self.published[topic] += 1;
        }
        for (number, bytes) in &publication.parts {
            self.connections[*number].send(bytes);
        }
    }

    /// Every subscriber has had each message of its topics once: not one less, and not one more.
    pub(crate) fn assert_complete(&mut self) {
        const SILENCE: Duration = Duration::from_millis(5);
        // What comes without a delivery in it is the protocol's own.
        self.receive(SILENCE, |subscriber, deliveries| {
            assert_eq!(deliveries, 0, "subscriber {subscriber} gets more");
        });
        let all: u64 = self.published.iter().sum();
        for (subscriber, received) in self.received.iter().enumerate() {
            let of_its_topic = self.published[subscriber % self.shape.topics];
            let expected = if self.shape.topics_each > 1 { all } else { of_its_topic };
            assert_eq!(*received, expected, "{}: subscriber {subscriber}", self.target.name);
        }
    }

    /// Waits for whatever comes next, `timeout` at most, and calls `came` with the subscriber and its deliveries. Returns
    /// whether anything happened.
    pub(crate) fn receive(&mut self, timeout: Duration, mut came: impl FnMut(usize, usize)) -> bool {
        self.receive_bytes(timeout, |subscriber, _, deliveries| came(subscriber, deliveries))
    }

    /// The same, with the octets.
    fn receive_bytes(&mut self, timeout: Duration, mut came: impl FnMut(usize, &[u8], usize)) -> bool {
        let Self { poll, events, connections, scratch, received, of_feed, received_bytes, .. } = self;
        if let Err(error) = poll.poll(events, Some(timeout)) {
            assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
        }
        for event in &*events {
            let number = event.token().0;
            let connection = &mut connections[number];
            if event.is_writable() {
                connection.flush();
            }
            if event.is_readable() {
                connection.read(scratch, |bytes| {
                    // What publishers are told is read, and nobody's delivery.
                    let Some(received) = received.get_mut(number) else { return };
                    *received_bytes += bytes.len() as u64;
                    let deliveries = match of_feed.get_mut(number) {
                        Some(subscriber) => subscriber.count(bytes),
                        None => memchr_iter(MARK, bytes).count(),
                    };
                    *received += deliveries as u64;
                    came(number, bytes, deliveries);
                });
            }
        }
        !events.is_empty()
    }
}

/// Reads until the connection is ready: see [`Dialect::is_ready`]. Returns what was answered.
pub(crate) fn wait_until_ready(opening: &mut Opening, dialect: Dialect, topics: usize) -> Vec<u8> {
    let (mut answer, mut scratch) = (Vec::new(), [0; 4096]);
    while !dialect.is_ready(&answer, topics) {
        let read = opening.read(&mut scratch).expect("the target answers");
        assert!(read > 0, "the target closed a connection: {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&scratch[..read]);
    }
    answer
}

/// A payload that begins with `words`, and ends with the mark.
pub(crate) fn payload(bytes: usize, words: &str) -> String {
    format!("{words:x<width$}{}", char::from(MARK), width = bytes - 1)
}

/// The payloads in what a subscriber was sent: whatever the framing, each ends with its mark.
fn payloads(heard: &[u8], payload_bytes: usize) -> Vec<String> {
    let ends = memchr_iter(MARK, heard).map(|mark| mark + 1);
    let whole = ends.map(|end| &heard[end.saturating_sub(payload_bytes)..end]);
    whole.map(|payload| String::from_utf8_lossy(payload).into_owned()).collect()
}
