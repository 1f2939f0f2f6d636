//! Limits and proxies, where TLS is spoken.

use std::io::{Read, Write};
use std::net::SocketAddr;

use fanwire::config::{Limits, ProxyProtocol};

use super::TlsBroker;
use super::authority::Authority;
use super::client::{TlsClient, get, read_head, shake_hands, tls_over, tls_to};
use crate::support::{FOREVER_MS, connect, connect_narrow, handshake};

/// A client whose proxy says that it has this address.
fn behind_header(broker: SocketAddr, client: &str, authority: &Authority) -> TlsClient {
    let mut socket = connect(broker);
    write!(socket, "PROXY TCP4 {client} 198.51.100.1 56324 443\r\n").unwrap();
    tls_over(socket, "localhost", authority.client())
}

#[test]
fn a_proxy_header_stands_in_front_of_tls_and_who_is_refused_by_it_is_closed() {
    let authority = Authority::new("proxy");
    let broker = TlsBroker::start_with(authority.tls(), |config| {
        config.proxies.protocol = ProxyProtocol::Proxy;
        config.limits = Limits { connections_per_address: 1, ..Limits::default() };
        config.timeouts.handshake_ms = FOREVER_MS;
    });
    let mut first = behind_header(broker.address, "192.0.2.1", &authority);
    shake_hands(&mut first).unwrap();
    assert!(shake_hands(&mut behind_header(broker.address, "192.0.2.1", &authority)).is_err());
    let mut other = behind_header(broker.address, "192.0.2.2", &authority);
    assert!(get(&mut other, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
    assert!(get(&mut first, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn one_connection_too_many_of_an_address_is_closed_without_a_handshake() {
    let authority = Authority::new("too-many");
    let broker = TlsBroker::start_with(authority.tls(), |config| {
        config.proxies.trust.clear();
        config.limits = Limits { connections_per_address: 1, ..Limits::default() };
        config.timeouts.handshake_ms = FOREVER_MS;
    });
    let mut only = tls_to(broker.address, "localhost", authority.client());
    shake_hands(&mut only).unwrap();
    assert!(shake_hands(&mut tls_to(broker.address, "localhost", authority.client())).is_err());
    assert!(get(&mut only, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
}

#[test]
fn who_looks_after_the_broker_over_tls_is_answered_when_nobody_is_let_in() {
    let authority = Authority::new("nobody");
    let broker = TlsBroker::start_with(authority.tls(), |config| {
        config.limits = Limits { connections: Some(1), ..Limits::default() };
    });
    let mut only = tls_to(broker.address, "localhost", authority.client());
    shake_hands(&mut only).unwrap();
    for (path, expected) in [("/healthz", "HTTP/1.1 200 "), ("/topics/a", "HTTP/1.1 503 ")] {
        let mut client = tls_to(broker.address, "localhost", authority.client());
        assert!(get(&mut client, path).unwrap().starts_with(expected), "{path}");
    }
    // Who says nothing is let go, whether or not it has shaken hands.
    let mut silent = tls_to(broker.address, "localhost", authority.client());
    shake_hands(&mut silent).unwrap();
    let mut told = String::new();
    silent.read_to_string(&mut told).unwrap();
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    let mut mute = connect(broker.address);
    assert_eq!(mute.read(&mut [0]).unwrap(), 0);
}

/// Records that were made of it are no less a backlog than what they were made of.
#[test]
fn what_a_subscriber_has_not_read_is_its_backlog_until_it_has() {
    const MESSAGE_BYTES: usize = 60_000;
    let authority = Authority::new("unread");
    let broker = TlsBroker::start(authority.tls());
    let mut client = tls_over(connect_narrow(broker.address), "localhost", authority.client());
    client.write_all(handshake("/topics/unread", "").as_bytes()).unwrap();
    read_head(&mut client);
    broker.plain.post("unread", &"x".repeat(MESSAGE_BYTES));
    let backlog = || broker.plain.figure("fanwire_backlog_bytes");
    broker.plain.wait_until("what its socket does not take is counted", |_| backlog() > 0);
    assert!((20_000..60_000).contains(&backlog()), "{} bytes", backlog());
    client.read_exact(&mut vec![0; 4 + MESSAGE_BYTES]).unwrap();
    broker.plain.wait_until("it has read everything", |_| backlog() == 0);
}
