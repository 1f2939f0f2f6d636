//! Every bad input gets a clear answer, and costs nobody else anything.

use std::io::Write;
use std::thread;

use fanwire_wire::frame::{OpCode, write_frame, write_header, write_masked_frame};

use crate::support::{FOREVER_MS, HttpClient, TestBroker, handshake};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[test]
fn a_handshake_that_is_wrong_is_told_what_is_wrong() {
    let broker = TestBroker::start();
    let good = handshake("/v1/ws", "");
    assert_eq!(broker.http().request(&good).status, 101);
    let many = "X: y\r\n".repeat(101);
    for (request, status, says) in [
        (good.replace("GET", "POST"), 405, "GET"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), 400, "HTTP/1.1"),
        (good.replace("Version: 13", "Version: 8"), 426, "13"),
        (good.replace("Sec-WebSocket-Key: ", "X-Key: "), 400, "Sec-WebSocket-Key"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400, "16 octets"),
        (good.replace("dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!=="), 400, "base64"),
        (good.replace("Upgrade: websocket\r\n", ""), 426, "WebSocket"),
        (
            good.replace("Sec-WebSocket-Key: ", "Sec-WebSocket-Key1: 1\r\nSec-WebSocket-Key2: "),
            426,
            "RFC 6455",
        ),
        (good.replace("/v1/ws", "/topics/a..b"), 400, "bad_topic"),
        (good.replace("/v1/ws", "/topics/a.*"), 400, "bad_topic"),
        (good.replace("/v1/ws", "/topics/%zz"), 400, "%"),
        (
            good.replace("Host: localhost", &format!("Host: localhost\r\nX: {}", "y".repeat(17_000))),
            431,
            "16384",
        ),
        (good.replace("Host: localhost\r\n", &format!("Host: localhost\r\n{many}")), 431, "100"),
        ("\x16\x03\x01 a TLS hello".to_owned(), 400, "TLS"),
        ("how do you do?\r\n\r\n".to_owned(), 505, "HTTP/1.1"),
    ] {
        let mut client = broker.http();
        let response = client.request(&request);
        assert_eq!(response.status, status, "{request}\n{}", response.text());
        assert!(response.text().contains(says), "{request}\n{}", response.text());
        if status == 426 {
            assert_eq!(response.headers["sec-websocket-version"], "13", "{request}");
        }
    }
}

/// The close code that a raw connection is failed with for `octets`, after which it must end without a reset.
fn close_code_for(broker: &TestBroker, octets: &[u8]) -> u16 {
    let mut client = broker.http();
    assert_eq!(client.request(handshake("/topics/a.b?echo=false", "")).status, 101);
    client.send(octets);
    let rest = end_of(&mut client);
    assert_eq!(rest[0], 0x88, "not a close frame: {rest:02x?}");
    u16::from_be_bytes([rest[2], rest[3]])
}

fn end_of(client: &mut HttpClient) -> Vec<u8> {
    client.half_close();
    client.rest()
}

#[test]
fn frames_that_are_wrong_fail_the_connection_with_the_code_that_says_why() {
    let broker = TestBroker::start();
    let mut bystander = broker.web_socket("/topics/a.b");
    let masked = |opcode, payload: &[u8]| {
        let mut octets = Vec::new();
        write_masked_frame(&mut octets, KEY, opcode, false, payload);
        octets
    };
    let mut unmasked = Vec::new();
    write_frame(&mut unmasked, OpCode::Text, false, b"hello");
    let mut too_big = Vec::new();
    write_header(&mut too_big, true, false, OpCode::Binary, Some(KEY), 1_048_577);
    let mut fragmented_ping = masked(OpCode::Ping, b"");
    fragmented_ping[0] &= 0x7f;
    let mut long_ping = Vec::new();
    write_header(&mut long_ping, true, false, OpCode::Ping, Some(KEY), 126);
    for (octets, code) in [
        (unmasked, 1002),
        (vec![0xc1, 0x80, 0, 0, 0, 0], 1002),
        (vec![0x83, 0x80, 0, 0, 0, 0], 1002),
        (fragmented_ping, 1002),
        (long_ping, 1002),
        (masked(OpCode::Continuation, b"x"), 1002),
        (masked(OpCode::Close, &[3]), 1002),
        (masked(OpCode::Close, &1006_u16.to_be_bytes()), 1002),
        (masked(OpCode::Close, b"\x03\xe8\xff"), 1007),
        (masked(OpCode::Text, b"\xce\xba\xff"), 1007),
        (too_big, 1009),
        (masked(OpCode::Close, &4000_u16.to_be_bytes()), 4000),
        (masked(OpCode::Close, b""), 1000),
    ] {
        assert_eq!(close_code_for(&broker, &octets), code, "{octets:02x?}");
    }
    broker.post("a.b", "still here");
    assert_eq!(bystander.receive_text(), "still here", "nothing that was wrong was published");
}

#[test]
fn what_follows_a_close_is_thrown_away() {
    let broker = TestBroker::start();
    let mut subscriber = broker.web_socket("/topics/a.b");
    let mut octets = Vec::new();
    write_masked_frame(&mut octets, KEY, OpCode::Text, false, b"before");
    write_masked_frame(&mut octets, KEY, OpCode::Close, false, &1000_u16.to_be_bytes());
    write_masked_frame(&mut octets, KEY, OpCode::Text, false, b"after");
    assert_eq!(close_code_for(&broker, &octets), 1000);
    broker.post("a.b", "next");
    assert_eq!(subscriber.receive_text(), "before");
    assert_eq!(subscriber.receive_text(), "next");
}

#[test]
fn clients_that_go_without_a_word_leave_no_connection_behind() {
    let broker = TestBroker::start_with(|config| config.timeouts.handshake_ms = FOREVER_MS);
    for _ in 0..50 {
        broker.http().send(&handshake("/topics/a.b", "")[..60]);
        drop(broker.web_socket("/topics/a.b").socket);
    }
    let mut operator = broker.http();
    while connections_in(operator.get("/metrics").text()) > 1 {
        thread::yield_now();
    }
}

/// How many connections all cores together say they have.
fn connections_in(metrics: &str) -> u64 {
    let of_cores = metrics.lines().filter(|line| line.starts_with("fanwire_connections{"));
    of_cores.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn nonsense_of_every_length_is_answered_or_waited_for_and_harms_nobody() {
    let broker = TestBroker::start();
    let mut octets = Vec::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..200 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        octets.extend_from_slice(&state.to_be_bytes());
        let mut client = broker.http();
        // The broker may end its side before all is sent.
        let _ = client.stream().get_mut().write_all(&octets);
        let mut client = broker.http();
        assert_eq!(client.request(handshake("/topics/a.b", "")).status, 101);
        let _ = client.stream().get_mut().write_all(&octets);
    }
    assert_eq!(broker.http().get("/healthz").status, 200);
}
