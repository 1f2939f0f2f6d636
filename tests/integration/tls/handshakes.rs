//! Handshakes that go wrong, or not at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::SockRef;

use super::TlsBroker;
use super::authority::Authority;
use super::client::{get, shake_hands, tls_to};
use crate::support::{FOREVER_MS, HttpClient, connect};

#[test]
fn who_speaks_http_to_a_tls_port_is_told_so_in_http() {
    let authority = Authority::new("plain");
    let broker = TlsBroker::start(authority.tls());
    let mut client = HttpClient::connect(broker.address);
    let response = client.get("/healthz");
    assert_eq!((response.status, response.code().as_str()), (400, "tls_required"));
    assert!(response.text().contains("https://"), "{response:?}");
    assert!(client.rest().is_empty());
    drop(client);
    broker.plain.wait_until("it is counted", |broker| broker.disconnects("tls_failed") == 1);
}

#[test]
fn nonsense_is_answered_with_an_alert_and_closed() {
    const DECODE_ERROR_OR_SO: std::ops::RangeInclusive<u8> = 10..=80;
    let authority = Authority::new("nonsense");
    let broker = TlsBroker::start(authority.tls());
    for nonsense in
        [&[0xff; 100][..], b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x17\x03\x03\x00\x01\x00"]
    {
        let mut client = HttpClient::connect(broker.address);
        client.send(nonsense);
        let answer = client.rest();
        assert!(
            matches!(answer.as_slice(), [21, 3, _, 0, 2, 2, why] if DECODE_ERROR_OR_SO.contains(why)),
            "{nonsense:x?} is answered {answer:x?}"
        );
    }
    broker.plain.wait_until("all are counted", |broker| broker.disconnects("tls_failed") == 3);
}

#[test]
fn a_handshake_message_without_end_is_not_kept_for_ever() {
    let authority = Authority::new("endless");
    let broker = TlsBroker::start(authority.tls());
    let mut client = connect(broker.address);
    // The head of a ClientHello of 60,000 bytes, and then records of nothing.
    client.write_all(b"\x16\x03\x01\x00\x04\x01\x00\xea\x60").unwrap();
    let record = [&b"\x16\x03\x01\x10\x00"[..], &[0; 4096]].concat();
    for _ in 0..14 {
        // The broker may have had enough.
        let _ = client.write_all(&record);
    }
    drop(client);
    broker.plain.wait_until("it is let go", |broker| broker.disconnects("tls_failed") == 1);
}

#[test]
fn who_stops_in_the_middle_of_a_handshake_is_let_go_when_its_time_is_over() {
    let authority = Authority::new("stopped");
    let broker = TlsBroker::start_with(authority.tls(), |config| config.timeouts.handshake_ms = 300);
    let hello = first_flight(&authority.client());
    for length in [0, 1, hello.len() / 2, hello.len()] {
        let mut client = connect(broker.address);
        client.write_all(&hello[..length]).unwrap();
        // It may be a reset: there is nobody to be polite to.
        while client.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    }
    broker.plain.wait_until("all are counted", |broker| broker.disconnects("handshake_timeout") == 4);
}

#[test]
fn a_reset_at_any_byte_of_a_handshake_leaves_nothing_behind() {
    let authority = Authority::new("reset");
    let broker = TlsBroker::start_with(authority.tls(), |config| config.timeouts.handshake_ms = FOREVER_MS);
    let config = authority.client();
    let hello = first_flight(&config);
    for length in 0..=hello.len() {
        let mut client = connect(broker.address);
        client.write_all(&hello[..length]).unwrap();
        reset(client);
    }
    // The second flight, after the broker's first, and a request that nobody waits for the answer of.
    let mut sizes = 1..;
    while let Some(rest) = reset_in_second_flight(&broker, &config, sizes.next().unwrap()) {
        assert!(rest < 10_000);
    }
    broker.plain.wait_until("all have gone", |broker| broker.figure("fanwire_connections{") == 1);
    assert!(get(&mut tls_to(broker.address, "localhost", config), "/healthz").is_ok());
}

/// A client that has read the broker's first flight, and has its own last one to send.
fn before_second_flight(broker: &TlsBroker, config: &ClientConfig) -> (ClientConnection, TcpStream) {
    let mut client = client_of(config);
    let mut socket = connect(broker.address);
    while client.is_handshaking() {
        if client.wants_write() {
            client.write_tls(&mut socket).unwrap();
        } else {
            client.read_tls(&mut socket).unwrap();
            client.process_new_packets().unwrap();
        }
    }
    (client, socket)
}

fn client_of(config: &ClientConfig) -> ClientConnection {
    ClientConnection::new(Arc::new(config.clone()), "localhost".try_into().unwrap()).unwrap()
}

/// Everything that a client has to send.
fn flight_of(client: &mut ClientConnection) -> Vec<u8> {
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    flight
}

fn first_flight(config: &ClientConfig) -> Vec<u8> {
    flight_of(&mut client_of(config))
}

/// Sends so many bytes of what follows the broker's first flight, and resets. Gives what was left to send, if anything was.
fn reset_in_second_flight(broker: &TlsBroker, config: &ClientConfig, length: usize) -> Option<usize> {
    let (mut client, mut socket) = before_second_flight(broker, config);
    client.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let flight = flight_of(&mut client);
    socket.write_all(&flight[..length.min(flight.len())]).unwrap();
    reset(socket);
    flight.len().checked_sub(length).filter(|rest| *rest > 0)
}

fn reset(socket: TcpStream) {
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
}

#[test]
fn a_request_and_a_goodbye_that_end_a_handshake_are_answered() {
    let authority = Authority::new("all-at-once");
    let broker = TlsBroker::start(authority.tls());
    let config = authority.client_with(&[&rustls::version::TLS13], None);
    let (mut client, mut socket) = before_second_flight(&broker, &config);
    client.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client.send_close_notify();
    socket.write_all(&flight_of(&mut client)).unwrap();
    let mut response = String::new();
    StreamOwned::new(client, socket).read_to_string(&mut response).expect("a goodbye");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

#[test]
fn a_client_whose_certificate_names_nobody_is_refused_and_not_heard() {
    let authority = Authority::new("nobody");
    let broker = TlsBroker::start(authority.tls_with_clients(false));
    let config = authority.client_with(&[&rustls::version::TLS13], Some(authority.identity_with(&[])));
    let (mut client, mut socket) = before_second_flight(&broker, &config);
    let request = b"POST /topics/nobody.said HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nthis";
    client.writer().write_all(request).unwrap();
    socket.write_all(&flight_of(&mut client)).unwrap();
    let mut answer = Vec::new();
    let _ = StreamOwned::new(client, socket).read_to_end(&mut answer);
    broker.plain.wait_until("it is counted", |broker| broker.disconnects("tls_failed") == 1);
    assert_eq!(broker.plain.http().get("/topics/nobody.said").status, 404);
}

#[test]
fn a_handshake_is_the_same_wherever_its_octets_are_cut() {
    let authority = Authority::new("cut");
    let broker = TlsBroker::start(authority.tls());
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let config = authority.client_with(&[version], None);
        let mut client = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut socket = connect(broker.address);
        socket.set_nodelay(true).unwrap();
        let mut flight = Vec::new();
        let mut response = Vec::new();
        client
            .writer()
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        loop {
            flight.clear();
            while client.wants_write() {
                client.write_tls(&mut flight).unwrap();
            }
            for octet in &flight {
                socket.write_all(&[*octet]).unwrap();
            }
            if client.read_tls(&mut socket).unwrap() == 0 {
                break;
            }
            client.process_new_packets().unwrap();
            let _ = client.reader().read_to_end(&mut response);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 "), "{version:?}");
    }
}

#[test]
fn a_handshake_in_many_small_records_is_put_together() {
    let authority = Authority::new("small");
    let broker = TlsBroker::start(authority.tls_with_clients(true));
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut config = authority.client_with(&[version], Some(authority.identity("feeder")));
        config.max_fragment_size = Some(32);
        let mut client = tls_to(broker.address, "localhost", config);
        assert!(get(&mut client, "/healthz").unwrap().starts_with("HTTP/1.1 200 "), "{version:?}");
    }
}

#[test]
fn more_handshakes_than_a_turn_takes_are_all_done() {
    let authority = Authority::new("crowd");
    let broker = TlsBroker::start_with(authority.tls(), |config| config.cores = 1);
    let config = authority.client();
    let mut crowd: Vec<_> = (0..100).map(|_| tls_to(broker.address, "localhost", config.clone())).collect();
    for client in &mut crowd {
        // All of them are under way before any is waited for.
        client.conn.write_tls(&mut client.sock).unwrap();
    }
    for client in &mut crowd {
        shake_hands(client).unwrap();
        assert!(get(client, "/healthz").is_ok());
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_where_one_is_required() {
    let authority = Authority::new("required");
    let broker = TlsBroker::start(authority.tls_with_clients(true));
    let mut known = tls_to(
        broker.address,
        "localhost",
        authority.client_with(&[&rustls::version::TLS13], Some(authority.identity("feeder"))),
    );
    assert!(get(&mut known, "/healthz").is_ok());
    let mut nobody = tls_to(broker.address, "localhost", authority.client());
    assert!(get(&mut nobody, "/healthz").unwrap_err().to_string().contains("CertificateRequired"));

    // An authority that nobody here believes, of the same name.
    let stranger = Authority::new("required-elsewhere");
    let identity = stranger.identity("feeder");
    let mut stranger = tls_to(
        broker.address,
        "localhost",
        authority.client_with(&[&rustls::version::TLS13], Some(identity)),
    );
    assert!(get(&mut stranger, "/healthz").is_err());
    drop((nobody, stranger));
    broker.plain.wait_until("both are counted", |broker| broker.disconnects("tls_failed") == 2);
}

#[test]
fn a_client_without_a_certificate_is_served_where_one_is_optional() {
    let authority = Authority::new("optional");
    let broker = TlsBroker::start(authority.tls_with_clients(false));
    assert!(get(&mut tls_to(broker.address, "localhost", authority.client()), "/healthz").is_ok());
}
