//! What travels in records, wherever it is cut, and the keys that change under it.

use std::io::{Read, Write};

use rustls::version::TLS13;
use tungstenite::Message;

use super::TlsBroker;
use super::authority::Authority;
use super::client::{receive_text, shake_hands, tls_to, web_socket};
use crate::support::handshake;

#[test]
fn a_client_that_changes_its_keys_and_wants_ours_changed_is_written_to_on() {
    let authority = Authority::new("keys");
    let broker = TlsBroker::start(authority.tls());
    let mut client = web_socket(broker.address, "/topics/a.b", authority.client_with(&[&TLS13], None));
    for round in 0..20 {
        // Some in a row that nothing is written in between.
        for _ in 0..=round % 3 {
            let stream = client.get_mut();
            stream.conn.refresh_traffic_keys().unwrap();
            stream.flush().unwrap();
        }
        client.send(Message::text(format!("round {round}"))).unwrap();
        assert_eq!(receive_text(&mut client), format!("round {round}"));
    }
}

#[test]
fn a_subscriber_that_says_nothing_but_new_keys_is_written_to_on() {
    let authority = Authority::new("silent-keys");
    let broker = TlsBroker::start(authority.tls());
    let mut client = web_socket(broker.address, "/topics/a.b", authority.client_with(&[&TLS13], None));
    for round in 0..5 {
        let stream = client.get_mut();
        stream.conn.refresh_traffic_keys().unwrap();
        stream.flush().unwrap();
        broker.plain.post("a.b", &format!("round {round}"));
        assert_eq!(receive_text(&mut client), format!("round {round}"));
    }
}

#[test]
fn frames_in_many_records_of_one_read_are_all_heard() {
    let authority = Authority::new("many-records");
    let broker = TlsBroker::start(authority.tls());
    let mut config = authority.client();
    config.max_fragment_size = Some(64);
    let mut client = tls_to(broker.address, "localhost", config);
    shake_hands(&mut client).unwrap();
    // The request and what follows it at once, of which the frames are cut by records anywhere.
    let mut octets = handshake("/topics/many.records", "").into_bytes();
    for number in 0..500_u32 {
        let text = format!("{number:04}");
        octets.extend_from_slice(&[0x81, 0x84, 0, 0, 0, 0]);
        octets.extend_from_slice(text.as_bytes());
    }
    client.write_all(&octets).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        head.push(octet[0]);
    }
    for number in 0..500_u32 {
        let mut frame = [0; 6];
        client.read_exact(&mut frame).unwrap();
        assert_eq!(&frame[2..], format!("{number:04}").as_bytes());
    }
}

#[test]
fn a_goodbye_behind_a_request_is_heard_after_it_is_answered() {
    let authority = Authority::new("goodbye");
    let broker = TlsBroker::start(authority.tls());
    let mut client = tls_to(broker.address, "localhost", authority.client());
    shake_hands(&mut client).unwrap();
    client.conn.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    client.conn.send_close_notify();
    let mut response = String::new();
    client.read_to_string(&mut response).expect("a goodbye, though the socket is open");
    assert!(response.starts_with("HTTP/1.1 200 "));
    broker.plain.wait_until("it has gone", |broker| broker.disconnects("client_closed") > 0);
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    let authority = Authority::new("tampered");
    let broker = TlsBroker::start(authority.tls());
    let mut client = web_socket(broker.address, "/topics/a.b", authority.client());
    client.get_mut().sock.write_all(&[&b"\x17\x03\x03\x00\x20"[..], &[7; 32]].concat()).unwrap();
    broker.plain.wait_until("it has gone", |broker| broker.disconnects("tls_failed") == 1);
    assert_eq!(broker.plain.figure("fanwire_subscriptions"), 0, "and its subscription with it");
}

#[test]
fn a_silent_peer_is_found_out_though_its_kernel_acknowledges_pings() {
    let authority = Authority::new("silent");
    for version in [&TLS13, &rustls::version::TLS12] {
        let broker = TlsBroker::start_with(authority.tls(), |config| config.timeouts.ping_ms = 200);
        let mut client = web_socket(broker.address, "/topics/a.b", authority.client_with(&[version], None));
        let mut octets = Vec::new();
        let _ = client.get_mut().sock.read_to_end(&mut octets);
        broker.plain.wait_until("it has gone", |broker| broker.disconnects("ping_timeout") == 1);
    }
}
