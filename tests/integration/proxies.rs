//! Proxies that say who the client is.

use std::io::Write;
use std::net::{IpAddr, Shutdown};

use fanwire::config::{Limits, ProxyProtocol};

use crate::support::{FOREVER_MS, HttpClient, TestBroker, handshake};

/// A broker that lets an address have two connections, behind a proxy on this machine.
fn broker_behind(protocol: ProxyProtocol) -> TestBroker {
    TestBroker::start_with(|config| {
        config.proxies.protocol = protocol;
        config.limits = Limits { connections_per_address: 2, ..Limits::default() };
        config.timeouts.handshake_ms = FOREVER_MS;
    })
}

fn line(client: &str) -> Vec<u8> {
    format!("PROXY TCP4 {client} 198.51.100.1 56324 443\r\n").into_bytes()
}

fn octets(client: &str) -> Vec<u8> {
    let IpAddr::V4(client) = client.parse().unwrap() else { panic!("an IPv4 address") };
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..], &client.octets(), &[198, 51, 100, 1, 1, 2, 1, 187]]
        .concat()
}

/// A connection that a proxy opened for this client, and the status of its first answer.
fn behind_header(broker: &TestBroker, header: &[u8]) -> (HttpClient, u16) {
    let mut client = broker.http();
    client.send([header, b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat());
    let status = client.response().status;
    (client, status)
}

#[test]
fn a_connection_counts_for_the_client_that_its_proxy_header_names() {
    let broker = broker_behind(ProxyProtocol::Proxy);
    let (_one, status) = behind_header(&broker, &line("192.0.2.1"));
    assert_eq!(status, 404);
    let (_two, status) = behind_header(&broker, &octets("192.0.2.1"));
    assert_eq!(status, 404);
    for _ in 0..50 {
        let (mut three, status) = behind_header(&broker, &line("192.0.2.1"));
        assert_eq!(status, 429, "that is one too many");
        assert!(three.rest().is_empty());
    }
    let (_other, status) = behind_header(&broker, &line("192.0.2.2"));
    assert_eq!(status, 404, "another client has its own");
    let (_unknown, status) = behind_header(&broker, b"PROXY UNKNOWN\r\n");
    assert_eq!(status, 404, "who is not known is not counted");
}

#[test]
fn who_looks_after_the_broker_through_a_proxy_is_answered_when_nobody_is_let_in() {
    let broker = TestBroker::start_with(|config| {
        config.proxies.protocol = ProxyProtocol::Proxy;
        config.limits.connections = Some(2);
        config.limits.connections_per_address = 1;
    });
    let (_one, status) = behind_header(&broker, &line("192.0.2.1"));
    assert_eq!(status, 404);
    let probe = |client: &str| {
        let mut probe = broker.http();
        probe.send([&line(client)[..], b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat());
        (probe.response().status, probe.rest().is_empty())
    };
    assert_eq!(probe("192.0.2.1"), (200, true), "its address has too many");
    let (_two, status) = behind_header(&broker, &line("192.0.2.2"));
    assert_eq!(status, 404, "the probe counts no longer");
    assert_eq!(probe("192.0.2.3"), (200, true), "there are too many");
    assert_eq!(behind_header(&broker, &line("192.0.2.3")).1, 503);
}

#[test]
fn a_proxy_header_may_come_in_pieces_and_together_with_what_follows() {
    let broker = broker_behind(ProxyProtocol::Proxy);
    for (client, header) in [("192.0.2.1", line("192.0.2.1")), ("192.0.2.2", octets("192.0.2.2"))] {
        let mut pieces = broker.http();
        let all = [&header[..], b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"].concat();
        for octet in &all {
            pieces.stream().get_mut().write_all(&[*octet]).unwrap();
            std::thread::yield_now();
        }
        assert_eq!(pieces.response().status, 200, "{client}");
        let (_together, status) = behind_header(&broker, &header);
        assert_eq!(status, 404, "{client}");
    }
}

#[test]
fn a_proxy_that_sends_no_header_is_closed_without_an_answer() {
    let broker = broker_behind(ProxyProtocol::Proxy);
    for wrong in ["GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", "PROXY TCP4 nonsense\r\n"] {
        let mut client = broker.http();
        client.send(wrong);
        assert!(client.response_or_end().is_none(), "{wrong:?}");
    }
    let mut half = broker.http();
    half.send("PROXY TCP4 192.0.2.1");
    half.half_close();
    assert!(half.response_or_end().is_none());
}

#[test]
fn a_proxy_header_that_does_not_become_whole_is_ended_by_its_deadline() {
    let broker = TestBroker::start_with(|config| {
        config.proxies.protocol = ProxyProtocol::Proxy;
        config.timeouts.handshake_ms = 100;
    });
    let mut client = broker.http();
    client.send("PROXY TCP4 192.0.2.1");
    assert!(client.response_or_end().is_none());
}

#[test]
fn a_proxy_header_from_somebody_else_is_no_request() {
    let broker = TestBroker::start_with(|config| {
        config.proxies.protocol = ProxyProtocol::Proxy;
        config.proxies.trust.clear();
    });
    let (_client, status) = behind_header(&broker, &line("192.0.2.1"));
    assert!((400..600).contains(&status), "{status}");
}

#[test]
fn a_web_socket_counts_for_the_client_that_it_is_forwarded_for() {
    let broker = broker_behind(ProxyProtocol::XForwardedFor);
    let open = |forwarded_for: &str| {
        let mut client = broker.http();
        client.send(handshake("/v1/ws", &format!("X-Forwarded-For: {forwarded_for}\r\n")));
        let status = client.response_head().status;
        (client, status)
    };
    let (one, status) = open("192.0.2.1");
    assert_eq!(status, 101);
    // What a client writes stands in front of what its proxy adds.
    let (_two, status) = open("203.0.113.5, 192.0.2.1");
    assert_eq!(status, 101);
    let (_three, status) = open("192.0.2.1, 127.0.0.1");
    assert_eq!(status, 429);
    let (_other, status) = open("192.0.2.2");
    assert_eq!(status, 101);
    let mut plain = broker.http();
    let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n";
    assert_eq!(plain.request(request).status, 200, "requests of many come over one connection");
    let mut one = one;
    one.stream().get_ref().shutdown(Shutdown::Both).unwrap();
    while open("192.0.2.1").1 != 101 {
        std::thread::yield_now();
    }
}
