//! Clients that take their time, or for ever.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fanwire::config::{Certificates, TlsConfig};
use fanwire_wire::frame::OpCode;

use crate::process::Process;
use crate::support::{Attacker, PATIENCE, Target, is_well, masked, wait_until, while_others_are_served};

const CLIENTS: usize = 200;

/// Has the clients send a little, again and again, until each is answered and ended; gives the answers.
fn dribble(target: &Target, address: SocketAddr, opening: &[u8], octet: &[u8]) -> Vec<String> {
    while_others_are_served(target.address, || {
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| Attacker::connect(address)).collect();
        for client in &mut clients {
            client.send_whole(opening);
        }
        let began = Instant::now();
        // An error says that the broker has ended it.
        while clients.iter_mut().any(|client| client.send(octet).is_ok()) {
            assert!(began.elapsed() < PATIENCE, "who dribbles is never ended");
            std::thread::sleep(Duration::from_millis(20));
        }
        clients.iter_mut().map(Attacker::rest).collect()
    })
}

#[test]
fn slowloris_in_headers_and_in_bodies_is_ended_by_the_deadline_of_the_request() {
    let target = Target::start(|config| config.timeouts.handshake_ms = 500);
    let header = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ";
    let body = b"POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let chunks = b"POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (opening, octet) in [(&header[..], &b"y"[..]), (body, b"y"), (chunks, b"1\r\ny\r\n")] {
        // A reset may take the answer with it: what is sent after it finds nobody. Most of them have it.
        let answers = dribble(&target, target.address, opening, octet);
        assert!(answers.iter().all(|answer| answer.is_empty() || answer.starts_with("HTTP/1.1 408 ")));
    }
    target.wait_until_well();
}

#[test]
fn slowloris_in_frames_holds_what_came_and_not_what_was_announced() {
    let target = Target::start(|_| ());
    let message = masked(OpCode::Text, false, &vec![b'x'; 1_000_000]);
    while_others_are_served(target.address, || {
        let mut clients: Vec<_> = (0..CLIENTS)
            .map(|_| Attacker::web_socket(target.address, "/topics/slow.loris?echo=false", ""))
            .collect();
        for octet in message[..200].chunks(1) {
            for client in &mut clients {
                client.send_whole(octet);
            }
        }
    });
    target.wait_until_well();
}

#[test]
fn slowloris_in_a_tls_handshake_is_ended_by_its_deadline() {
    let target = Target::start(|config| {
        config.listen.push("tls://127.0.0.1:0".parse().unwrap());
        config.tls = Some(TlsConfig { certificates: Certificates::SelfSigned, clients: None });
        config.timeouts.handshake_ms = 500;
    });
    // The head of a ClientHello of 16,000 bytes (RFC 8446 §5.1), of which an octet comes at a time.
    let answers =
        dribble(&target, target.tls_address(), b"\x16\x03\x01\x3e\x84\x01\x00\x3e\x80\x03\x03", b"x");
    assert!(answers.iter().all(String::is_empty), "there is nobody to be polite to");
    target.wait_until_well();
}

#[test]
fn ten_thousand_half_open_connections_are_let_go_and_nobody_else_is() {
    const HALF_OPEN: usize = 10_000;
    let process = Process::start("limits.connections = 6000\ntimeouts.handshake = \"2s\"\n");
    while_others_are_served(process.address, || {
        let mut clients: Vec<_> = (0..HALF_OPEN).map(|_| Attacker::connect(process.address)).collect();
        for client in &mut clients {
            let told = client.rest();
            assert!(told.is_empty() || told.starts_with("HTTP/1.1 503 "), "{told}");
        }
        // What is left of them is that they have not said goodbye.
        drop(clients);
        wait_until("there is room again", || is_well(process.address));
    });
}
