//! As many idle subscribers as the limit on open files allows, and one message for all of them.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::broker::{Broker, allowed_connections};
use crate::certificate::Certificate;

/// More than these do not fit between one client address and one server address.
const MAX_CONNECTIONS: u64 = 25_000;

/// Over TLS, whose handshakes take their time.
const MAX_TLS_CONNECTIONS: u64 = 5_000;

const MESSAGE: &[u8] = b"to all";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker accepts");
    stream.set_read_timeout(Some(Duration::from_mins(5))).expect("a socket");
    stream
}

fn subscribe<S: Read + Write>(mut stream: S) -> S {
    let request = "GET /topics/many.idle HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the broker reads");
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    while !response.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).expect("the broker answers");
        assert_ne!(count, 0, "the broker refused: {}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&buffer[..count]);
    }
    assert!(response.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&response));
    stream
}

fn publish(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the broker accepts");
    let head = format!(
        "POST /topics/many.idle HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n",
        MESSAGE.len()
    );
    stream.write_all(&[head.as_bytes(), MESSAGE].concat()).expect("the broker reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("the broker answers");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

/// Connects `count` subscribers, says what each takes, and publishes one message, which has to reach all of them.
fn one_message_reaches_all<S: Read + Write>(broker: &Broker, count: u64, connect: impl Fn() -> S) {
    drop(subscribe(connect()));
    let before = broker.resident_bytes();
    let mut subscribers: Vec<S> = (0..count).map(|_| subscribe(connect())).collect();
    let each = (broker.resident_bytes() - before) / count;
    println!("{count} idle subscribers, {each} resident bytes each");

    publish(broker.address);
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let mut frame = [0; 2 + MESSAGE.len()];
        subscriber
            .read_exact(&mut frame)
            .unwrap_or_else(|error| panic!("subscriber {number} of {count}: {error}"));
        assert_eq!(frame[0], 0x81);
        assert_eq!(&frame[2..], MESSAGE);
    }
}

#[test]
fn one_message_reaches_every_idle_subscriber_that_the_file_limit_allows() {
    let count = allowed_connections().min(MAX_CONNECTIONS);
    let broker = Broker::start("idle", "");
    one_message_reaches_all(&broker, count, || connect(broker.address));
}

#[test]
fn one_message_reaches_every_idle_subscriber_over_tls() {
    let count = allowed_connections().min(MAX_TLS_CONNECTIONS);
    let certificate = Certificate::write(Path::new(env!("CARGO_TARGET_TMPDIR")), "many_connections");
    let [cert, key] = [&certificate.cert, &certificate.key].map(|path| path.to_str().expect("a path"));
    let arguments = ["--listen", "tls://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
    let broker = Broker::start_with("idle_tls", "", &arguments);
    one_message_reaches_all(&broker, count, || certificate.speak(connect(broker.further[0])));
}
