//! Every transport and dialect of Fanwire's, over sockets, with a real broker.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fanwire::broker::Broker;
use fanwire::config::Config;
use loadtest::conversation::{ConversationError, Heard, Peer, Publisher, Subscriber};
use loadtest::transport::{HeaderProfile, Protocol};

/// Waiting this long for an answer is a failure. Nothing waits for it when all is well.
const PATIENCE: Duration = Duration::from_secs(20);

/// What one run publishes to each topic.
const MESSAGES: usize = 200;

/// A broker that keeps what a run publishes, and is stopped when the test ends.
struct TestBroker(Option<Broker>);

impl TestBroker {
    /// With the demo, whose topics have a history.
    fn start() -> Self {
        let listen = vec!["127.0.0.1:0".parse().unwrap()];
        let config = Config { cores: 2, listen, demo: true, ..Config::default() };
        Self(Some(Broker::start(config).expect("a broker starts")))
    }

    fn broker(&self) -> &Broker {
        self.0.as_ref().expect("it runs")
    }

    fn address(&self) -> SocketAddr {
        self.broker().addresses()[0]
    }

    fn peer(&self, transport: &str, protocol: Protocol, headers: HeaderProfile) -> Peer {
        Peer {
            authority: self.address().to_string(),
            path: protocol.usual_path().to_owned(),
            headers,
            transport: transport.parse().unwrap(),
            protocol,
        }
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(broker) = self.0.take() {
            broker.stopper().stop();
            let ended = broker.join();
            assert!(std::thread::panicking() || ended.is_ok(), "{ended:?}");
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// What the socket has; empty at its end.
fn receive(socket: &mut TcpStream) -> Vec<u8> {
    let mut input = vec![0; 64 << 10];
    let length = socket.read(&mut input).expect("the broker answers in time");
    input.truncate(length);
    input
}

/// A subscriber with its socket.
struct Listener {
    socket: TcpStream,
    subscriber: Subscriber,
    heard: Vec<String>,
}

impl Listener {
    /// Connects, and returns once the subscription stands.
    fn open(
        broker: &TestBroker,
        peer: &Peer,
        topics: &[String],
        seed: u64,
    ) -> Result<Self, ConversationError> {
        let subscriber = Subscriber::new(peer, topics, seed);
        let mut listener = Self { socket: connect(broker.address()), subscriber, heard: Vec::new() };
        let mut out = Vec::new();
        listener.subscriber.begin(&mut out);
        listener.socket.write_all(&out).unwrap();
        while !listener.subscriber.is_ready() {
            listener.exchange()?;
        }
        Ok(listener)
    }

    /// Takes in one read, and answers it.
    fn exchange(&mut self) -> Result<(), ConversationError> {
        let mut input = receive(&mut self.socket);
        if input.is_empty() {
            return Err(self.subscriber.end());
        }
        let (mut out, heard) = (Vec::new(), &mut self.heard);
        let outcome = self.subscriber.read(&mut input, &mut out, &mut |it| match it {
            Heard::Payload(payload) => heard.push(String::from_utf8(payload.to_vec()).unwrap()),
            Heard::Gap { count } => panic!("a gap of {count}"),
        });
        // After an error the broker may be gone already.
        let sent = self.socket.write_all(&out);
        outcome.inspect(|()| sent.unwrap())
    }

    /// Takes in what comes, asking where it has to, until so many messages were heard.
    fn hear(&mut self, count: usize) {
        while self.heard.len() < count {
            let mut out = Vec::new();
            if self.subscriber.ask(&mut out) {
                self.socket.write_all(&out).unwrap();
            }
            self.exchange().unwrap();
        }
    }
}

/// A publisher with its socket.
struct Speaker {
    socket: TcpStream,
    publisher: Publisher,
}

impl Speaker {
    fn open(broker: &TestBroker, peer: &Peer, topics: &[String], seed: u64) -> Self {
        let mut speaker =
            Self { socket: connect(broker.address()), publisher: Publisher::new(peer, topics, seed) };
        let mut out = Vec::new();
        speaker.publisher.begin(&mut out);
        speaker.socket.write_all(&out).unwrap();
        while !speaker.publisher.is_ready() {
            out.clear();
            speaker.publisher.read(&mut receive(&mut speaker.socket), &mut out).unwrap();
            speaker.socket.write_all(&out).unwrap();
        }
        speaker
    }

    fn publish(&mut self, topic: usize, payload: &str) {
        let mut out = Vec::new();
        self.publisher.publish(topic, payload.as_bytes(), &mut out);
        self.socket.write_all(&out).unwrap();
    }
}

fn text(topic: usize, number: usize) -> String {
    // Long enough to be compressed.
    format!("message {number} of topic {topic} {}", "and so on ".repeat(6))
}

/// Publishes to `topics` by one speaker for all of them, or one for each, and has a subscriber hear all of it.
fn everything_is_heard(peer: &Peer, broker: &TestBroker, topics: &[&str]) {
    let topics: Vec<_> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let mut speakers: Vec<_> = if peer.publishes_to_one() {
        topics.chunks(1).zip(100..).map(|(topic, seed)| Speaker::open(broker, peer, topic, seed)).collect()
    } else {
        vec![Speaker::open(broker, peer, &topics, 100)]
    };
    // What was there before is not heard.
    let mut early = Listener::open(broker, peer, &topics[..1], 1).unwrap();
    speakers[0].publish(0, &text(0, 0));
    early.hear(1);

    let mut listener = Listener::open(broker, peer, &topics, 2).unwrap();
    for number in 1..=MESSAGES {
        for topic in 0..topics.len() {
            let (speaker, index) = if peer.publishes_to_one() { (topic, 0) } else { (0, topic) };
            speakers[speaker].publish(index, &text(topic, number));
        }
    }
    listener.hear(MESSAGES * topics.len());
    for topic in 0..topics.len() {
        let mark = format!("of topic {topic} ");
        let heard: Vec<_> = listener.heard.iter().filter(|text| text.contains(&mark)).cloned().collect();
        let expected: Vec<_> = (1..=MESSAGES).map(|number| text(topic, number)).collect();
        assert_eq!(heard, expected, "topic {topic} over {}", peer.transport);
    }
    assert_eq!(listener.heard.len(), MESSAGES * topics.len());
}

/// The same for one topic and each header profile, published in both dialects of Fanwire's.
fn every_profile_hears_everything(transport: &str) {
    let broker = TestBroker::start();
    for protocol in [Protocol::Raw, Protocol::FanwireJson, Protocol::FanwireBinary] {
        for headers in HeaderProfile::ALL {
            let topic = format!("demo.{protocol}.{headers}");
            everything_is_heard(&broker.peer(transport, protocol, headers), &broker, &[&topic]);
        }
    }
}

#[test]
fn web_sockets_hear_everything() {
    every_profile_hears_everything("ws");
}

#[test]
fn compressed_web_sockets_hear_everything() {
    every_profile_hears_everything("ws-deflate");
}

#[test]
fn event_streams_hear_everything() {
    every_profile_hears_everything("sse");
}

#[test]
fn long_polls_hear_everything() {
    every_profile_hears_everything("longpoll");
}

#[test]
fn short_polls_hear_everything() {
    every_profile_hears_everything("poll:1s");
}

#[test]
fn one_json_connection_hears_many_topics() {
    let broker = TestBroker::start();
    let peer = broker.peer("ws", Protocol::FanwireJson, HeaderProfile::Minimal);
    everything_is_heard(&peer, &broker, &["demo.a", "demo.b.c", "demo.d:1@x=~y-z_"]);
}

#[test]
fn a_subscriber_is_told_why_the_broker_goes() {
    let mut broker = TestBroker::start();
    let peer = broker.peer("ws", Protocol::Raw, HeaderProfile::Minimal);
    let mut listener = Listener::open(&broker, &peer, &["a".to_owned()], 1).unwrap();
    broker.broker().stopper().stop();
    let error = listener.exchange().unwrap_err();
    let ConversationError::Closed { code: Some(1012), reason } = &error else { panic!("{error}") };
    assert!(reason.starts_with("retry_after_ms="), "{reason}");
    drop(listener);
    broker.0.take().unwrap().join().unwrap();
}

#[test]
fn a_wrong_path_is_told_with_what_the_broker_says() {
    let broker = TestBroker::start();
    for transport in ["ws", "sse", "longpoll"] {
        let mut peer = broker.peer(transport, Protocol::Raw, HeaderProfile::Minimal);
        peer.path = "/nowhere/{topic}".to_owned();
        let error = Listener::open(&broker, &peer, &["a".to_owned()], 1).err().expect("it is refused");
        let ConversationError::Refused { status: 404, said } = error else { panic!("{error}") };
        assert!(said.contains("there is nothing here"), "{said}");
    }
}
