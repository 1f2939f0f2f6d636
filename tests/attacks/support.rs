//! A broker to attack, somebody to attack it, and those who are not to notice.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fanwire::broker::Broker;
use fanwire::config::{CertificateFiles, Config};
use fanwire_wire::frame::{OpCode, write_masked_frame};
use tungstenite::{Message, WebSocket};

use crate::certificate::Certificate;

/// Waiting this long for an answer is a failure. Nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Subscribers that behave well.
const WITNESSES: usize = 4;

/// The topic that these subscribe to.
const CALM: &str = "calm.feed";

/// A broker in this process, which is stopped when the test ends.
pub(crate) struct Target {
    broker: Option<Broker>,
    pub(crate) address: SocketAddr,
}

impl Target {
    pub(crate) fn start(configure: impl FnOnce(&mut Config)) -> Self {
        // Both ends of every connection are files of this process.
        fanwire::listener::raise_file_limit().expect("a limit on open files");
        let mut config =
            Config { cores: 2, listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        // No attacker says goodbye.
        (config.timeouts.drain_ms, config.timeouts.close_ms) = (100, 500);
        configure(&mut config);
        let broker = Broker::start(config).expect("a broker starts");
        let address = broker.addresses()[0];
        Self { broker: Some(broker), address }
    }

    /// Where it speaks TLS, if that was configured.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        self.broker.as_ref().expect("it runs").addresses()[1]
    }

    /// Waits until it lets somebody new in and answers.
    pub(crate) fn wait_until_well(&self) {
        wait_until("it lets somebody in", || is_well(self.address));
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stopper().stop();
            let ended = broker.join();
            assert!(thread::panicking() || ended.is_ok(), "{ended:?}");
        }
    }
}

/// Whether the broker at this address lets somebody new in and answers.
pub(crate) fn is_well(address: SocketAddr) -> bool {
    let mut client = Attacker::connect(address);
    client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok()
        && client.rest().starts_with("HTTP/1.1 200 ")
}

pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never comes to this: {what}");
        thread::yield_now();
    }
}

/// Attacks the broker at this address while others publish and subscribe, who lose nothing. Returns what the attack does.
pub(crate) fn while_others_are_served<R>(address: SocketAddr, attack: impl FnOnce() -> R) -> R {
    let mut witnesses: Vec<_> = (0..WITNESSES).map(|_| web_socket(address, CALM)).collect();
    let publisher = web_socket(address, CALM);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let count = scope.spawn(|| publish_until(publisher, &is_over));
        let seen: Vec<_> =
            witnesses.iter_mut().map(|witness| scope.spawn(|| count_in_order(witness))).collect();
        let over = EndOnDrop(&is_over);
        let result = attack();
        drop(over);
        let count = count.join().expect("the publisher is not disturbed");
        assert!(count > 0);
        for seen in seen {
            assert_eq!(seen.join().expect("a witness is not disturbed"), count);
        }
        result
    })
}

/// Ends the attack also where it fails, or those who are not to notice would wait for ever.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

type Client = WebSocket<TcpStream>;

pub(crate) fn web_socket(address: SocketAddr, topic: &str) -> Client {
    let (client, _) = tungstenite::client(format!("ws://{address}/topics/{topic}"), stream(address))
        .unwrap_or_else(|error| panic!("the WebSocket does not open: {error}"));
    client
}

/// A connection on the JSON interface, and the epoch of the broker's run.
pub(crate) fn json(address: SocketAddr) -> (Client, String) {
    let url = format!("ws://{address}/v1/ws");
    let (mut client, _) = tungstenite::client(url, stream(address)).unwrap();
    let welcome: serde_json::Value = serde_json::from_str(&next_text(&mut client)).expect("JSON");
    assert_eq!(welcome["type"], "welcome");
    let epoch = welcome["epoch"].as_str().expect("a text").to_owned();
    (client, epoch)
}

/// Publishes the numbers from 0 on, each when the one before it has come back, and `end` behind them.
fn publish_until(mut publisher: Client, is_over: &AtomicBool) -> u64 {
    let mut count = 0;
    while !is_over.load(Ordering::Acquire) || count == 0 {
        publisher.send(Message::text(count.to_string())).expect("the broker reads");
        assert_eq!(next_text(&mut publisher), count.to_string());
        count += 1;
    }
    publisher.send(Message::text("end")).expect("the broker reads");
    count
}

/// How many numbers come, each the one after the last.
fn count_in_order(witness: &mut Client) -> u64 {
    let mut count = 0;
    loop {
        match next_text(witness).as_str() {
            "end" => return count,
            number => assert_eq!(number, count.to_string(), "nothing is left out"),
        }
        count += 1;
    }
}

pub(crate) fn next_text(client: &mut Client) -> String {
    loop {
        match client.read() {
            Ok(Message::Text(text)) => return text.to_string(),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            // A socket with a timeout is not read on by itself when a signal comes in between (signal(7)).
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            other => panic!("the connection stays: {other:?}"),
        }
    }
}

fn stream(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the kernel accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Has a connection speak WebSocket; nothing that comes behind the 101 is lost.
pub(crate) fn upgrade(stream: &mut (impl Read + Write), path: &str, further: &str) {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{further}\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the broker reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("the broker answers");
        head.extend(octet);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
}

/// What a broker is told that shows this certificate.
pub(crate) fn files(certificate: &Certificate) -> CertificateFiles {
    CertificateFiles { cert: certificate.cert.clone(), key: certificate.key.clone() }
}

/// A client of octets, which may be as bad as it likes.
pub(crate) struct Attacker(pub(crate) TcpStream);

impl Attacker {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self(stream(address))
    }

    /// A connection that speaks WebSocket: see [`upgrade`].
    pub(crate) fn web_socket(address: SocketAddr, path: &str, further: &str) -> Self {
        let mut attacker = Self::connect(address);
        upgrade(&mut attacker.0, path, further);
        attacker
    }

    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.write_all(octets)
    }

    /// Sends as long as the broker takes it, in full.
    pub(crate) fn send_whole(&mut self, octets: &[u8]) {
        self.send(octets).expect("the broker reads");
    }

    /// Sends what the socket takes now; nothing if it is full.
    pub(crate) fn send_some(&mut self, octets: &[u8]) -> usize {
        self.0.set_nonblocking(true).expect("a socket");
        let sent = match self.0.write(octets) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        };
        self.0.set_nonblocking(false).expect("a socket");
        sent
    }

    /// What comes until the broker ends the connection, by whatever means.
    pub(crate) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&self.rest_octets()).into_owned()
    }

    /// See [`Self::rest`].
    pub(crate) fn rest_octets(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the broker does not end it"),
            _ => rest,
        }
    }
}

/// What the broker's cores have of this figure, together.
pub(crate) fn figure(address: SocketAddr, name: &str) -> u64 {
    figure_with(address, name, "")
}

/// The same, of those that have this among their labels.
pub(crate) fn figure_with(address: SocketAddr, name: &str, label: &str) -> u64 {
    let mut client = Attacker::connect(address);
    client.send_whole(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let page = client.rest();
    let samples = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    samples.map(|line| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<u64>().ok()).unwrap()).sum()
}

/// The code of the close frame that `octets` end with.
pub(crate) fn close_code(octets: &[u8]) -> u16 {
    let at = (0..octets.len().saturating_sub(3))
        .find(|at| octets[*at] == 0x88 && usize::from(octets[at + 1]) == octets.len() - at - 2)
        .unwrap_or_else(|| panic!("no close frame at the end of {octets:?}"));
    u16::from_be_bytes([octets[at + 2], octets[at + 3]])
}

pub(crate) fn masked(opcode: OpCode, compressed: bool, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    write_masked_frame(&mut octets, [1, 2, 3, 4], opcode, compressed, payload);
    octets
}
