//! The cheapest client: it publishes bursts and counts the octets that come back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use fanwire_wire::frame::{OpCode, header_len, write_masked_frame};
use mio::{Events, Interest, Poll, Token};

use crate::Sample;
use crate::target::Running;

const TOPIC: &str = "/topics/bench.fanout";

/// A publisher and its subscribers.
pub(crate) struct Client {
    publisher: TcpStream,
    subscribers: Vec<mio::net::TcpStream>,
    poll: Poll,
    events: Events,
    scratch: Vec<u8>,
}

impl Client {
    /// Connects them, on core 1.
    pub(crate) fn connect(address: SocketAddr, subscribers: usize) -> Self {
        if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.get(1).copied()) {
            core_affinity::set_for_current(core);
        }
        let poll = Poll::new().expect("epoll");
        let subscriber = |number| {
            let stream = upgrade(address, TOPIC);
            stream.set_nonblocking(true).expect("a socket");
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(number), Interest::READABLE).expect("epoll");
            stream
        };
        let subscribers = (0..subscribers).map(subscriber).collect();
        let publisher = upgrade(address, &format!("{TOPIC}?echo=false"));
        Self {
            publisher,
            subscribers,
            poll,
            events: Events::with_capacity(1024),
            scratch: vec![0; 256 * 1024],
        }
    }

    /// Publishes bursts of `burst` messages, one when the one before has come, for about `time`.
    pub(crate) fn measure(
        &mut self,
        target: &mut Running,
        burst: usize,
        payload_bytes: usize,
        time: Duration,
    ) -> Sample {
        let mut frames = Vec::new();
        for _ in 0..burst {
            write_masked_frame(&mut frames, [1, 2, 3, 4], OpCode::Binary, false, &vec![b'x'; payload_bytes]);
        }
        let expected = self.subscribers.len() * burst * (header_len(payload_bytes) + payload_bytes);
        self.publish(&frames, expected);
        let (begun, cpu_before, mut bursts) = (Instant::now(), target.cpu_ns(), 0);
        while begun.elapsed() < time {
            self.publish(&frames, expected);
            bursts += 1;
        }
        let deliveries = (bursts * burst * self.subscribers.len()) as f64;
        Sample {
            deliveries_per_second: deliveries / begun.elapsed().as_secs_f64(),
            cpu_ns_per_delivery: (target.cpu_ns() - cpu_before) as f64 / deliveries,
        }
    }

    /// One burst, and the wait until `expected` octets have come: not one less, and not one more.
    fn publish(&mut self, frames: &[u8], expected: usize) {
        self.publisher.write_all(frames).expect("the target reads");
        let mut received = 0;
        while received < expected {
            self.poll.poll(&mut self.events, Some(Duration::from_secs(10))).expect("epoll");
            assert!(
                !self.events.is_empty(),
                "the target went silent: {received} of {expected} octets have come"
            );
            for event in &self.events {
                received += drain(&mut self.subscribers[event.token().0], &mut self.scratch);
            }
        }
        assert_eq!(received, expected, "every subscriber gets every message once");
    }
}

/// Reads what is there. A short read says that there is no more, and saves the call that would say so.
fn drain(stream: &mut mio::net::TcpStream, scratch: &mut [u8]) -> usize {
    let mut total = 0;
    loop {
        match stream.read(scratch) {
            Ok(0) => panic!("the target closed a connection"),
            Ok(bytes) => total += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return total,
            Err(error) => panic!("the target's connection: {error}"),
        }
        if total % scratch.len() != 0 {
            return total;
        }
    }
}

fn upgrade(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the target listens");
    stream.set_nodelay(true).expect("a socket");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("the target reads");
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("the target answers");
        response.push(octet[0]);
    }
    assert!(response.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&response));
    stream
}
