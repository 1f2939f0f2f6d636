//! What travels in records, wherever it is cut, and the keys that change under it.

use std::io::{Read, Write};
use std::net::TcpStream;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::ConnectionTrafficSecrets;
use rustls::version::TLS13;
use tungstenite::Message;

use super::TlsBroker;
use super::authority::Authority;
use super::client::{TlsClient, read_head, receive_text, shake_hands, tls_to, web_socket};
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
fn new_keys_are_no_request() {
    let authority = Authority::new("idle-keys");
    let broker = TlsBroker::start_with(authority.tls(), |config| {
        (config.timeouts.handshake_ms, config.timeouts.idle_http_ms) = (300, 900);
    });
    let mut client = tls_to(broker.address, "localhost", authority.client_with(&[&TLS13], None));
    client.write_all(b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    read_head(&mut client);
    client.conn.refresh_traffic_keys().unwrap();
    client.flush().unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).expect("a goodbye");
    assert_eq!(rest, "", "it is let go as one that is idle, without a word");
}

#[test]
fn a_client_that_wants_new_keys_and_says_nothing_else_is_ended() {
    let authority = Authority::new("keys-alone");
    let broker = TlsBroker::start(authority.tls());
    let mut client = web_socket(broker.address, "/topics/a.b", authority.client_with(&[&TLS13], None));
    let stream = client.get_mut();
    for _ in 0..100 {
        stream.conn.refresh_traffic_keys().unwrap();
        // It may be ended by now.
        let _ = stream.conn.write_tls(&mut stream.sock);
    }
    broker.plain.wait_until("it has gone", |broker| broker.disconnects("tls_failed") == 1);
}

#[test]
fn however_often_a_client_wants_new_keys_that_does_not_read_it_is_owed_one_answer() {
    const PONG_THAT_NOBODY_ASKED_FOR: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];
    const PING: [u8; 6] = [0x89, 0x80, 0, 0, 0, 0];
    let authority = Authority::new("keys-unread");
    let broker = TlsBroker::start(authority.tls());
    let mut client = web_socket(broker.address, "/topics/a.b", authority.client_with(&[&TLS13], None));
    let TlsClient { conn, sock } = client.get_mut();
    for _ in 0..5_000 {
        conn.refresh_traffic_keys().unwrap();
        conn.writer().write_all(&PONG_THAT_NOBODY_ASKED_FOR).unwrap();
        while conn.wants_write() {
            conn.write_tls(sock).unwrap();
        }
    }
    conn.writer().write_all(&PING).unwrap();
    conn.write_tls(sock).unwrap();
    let (mut octets, mut heard) = (0, Vec::new());
    while !heard.ends_with(&[0x8a, 0]) {
        octets += conn.read_tls(sock).unwrap();
        conn.process_new_packets().unwrap();
        // There is nothing more for now.
        let _ = conn.reader().read_to_end(&mut heard);
    }
    assert!(octets < 500, "{octets} bytes of answers");
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
    read_head(&mut client);
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
    client.conn.writer().write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
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
    // Gauges follow at the end of the turn.
    broker.plain.wait_for_figure("fanwire_subscriptions", 0);
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

/// Records of a client that says what no library would.
struct Forger {
    key: LessSafeKey,
    nonce: [u8; 12],
    number: u64,
    socket: TcpStream,
}

impl Forger {
    /// Sends a record of TLS 1.3 (RFC 8446 §5.2).
    fn send(&mut self, content: &[u8], kind: u8) {
        let mut nonce = self.nonce;
        for (octet, number) in nonce[4..].iter_mut().zip(self.number.to_be_bytes()) {
            *octet ^= number;
        }
        self.number += 1;
        let mut sealed = [content, &[kind]].concat();
        let header = [&[23, 3, 3][..], &(sealed.len() as u16 + 16).to_be_bytes()].concat();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(nonce, Aad::from(&header), &mut sealed).unwrap();
        self.socket.write_all(&[header, sealed].concat()).unwrap();
    }

    fn hears_something(&mut self) -> bool {
        self.socket.read(&mut [0; 4096]).is_ok_and(|count| count > 0)
    }
}

#[test]
fn what_is_written_between_two_halves_of_a_handshake_message_harms_neither() {
    const HANDSHAKE: u8 = 22;
    /// New keys, and the same is wanted of the broker (RFC 8446 §4.6.3).
    const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];
    let authority = Authority::new("halves");
    let broker = TlsBroker::start(authority.tls());
    for cut in 1..KEY_UPDATE.len() {
        let mut config = authority.client_with(&[&TLS13], None);
        config.enable_secret_extraction = true;
        let topic = format!("halves.{cut}");
        let client = web_socket(broker.address, &format!("/topics/{topic}"), config);
        let (session, socket) = client.into_inner().into_parts();
        let (number, secrets) = session.dangerous_extract_secrets().unwrap().tx;
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else { panic!("another cipher") };
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        let mut forger = Forger { key, nonce: iv.as_ref().try_into().unwrap(), number, socket };

        forger.send(&KEY_UPDATE[..cut], HANDSHAKE);
        // The first of them may be before the half has come.
        for _ in 0..20 {
            broker.plain.post(&topic, "between");
            assert!(forger.hears_something());
        }
        forger.send(&KEY_UPDATE[cut..], HANDSHAKE);
        broker.plain.post(&topic, "behind");
        assert!(forger.hears_something());
    }
    assert_eq!(broker.plain.disconnects("tls_failed"), 0);
}
