//! What time ends, with timeouts that are short enough to wait for.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::support::{TestBroker, connect_narrow, handshake};

#[test]
fn a_request_that_dribbles_is_ended_by_its_deadline() {
    let broker = TestBroker::start_with(|config| config.timeouts.handshake_ms = 500);
    let mut client = broker.http();
    let stream = client.stream().get_ref().try_clone().unwrap();
    let response = thread::scope(|scope| {
        let (answered, is_answered) = mpsc::channel::<()>();
        scope.spawn(move || dribble(stream, &is_answered));
        let response = client.response();
        drop(answered);
        response
    });
    assert_eq!((response.status, response.code().as_str()), (408, "request_timeout"));
}

/// Sends a header that never ends, an octet at a time, until there is an answer.
fn dribble(mut stream: TcpStream, is_answered: &Receiver<()>) {
    stream.write_all(b"GET / HTTP/1.1\r\nX: ").unwrap();
    while is_answered.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        // The broker may have ended the connection by now.
        let _ = stream.write_all(b"y");
    }
}

#[test]
fn a_client_that_never_begins_is_let_go_in_silence() {
    let broker = TestBroker::start_with(|config| config.timeouts.handshake_ms = 100);
    assert!(broker.http().rest().is_empty());
}

#[test]
fn an_idle_http_client_is_let_go_after_its_answer() {
    let broker = TestBroker::start_with(|config| config.timeouts.idle_http_ms = 100);
    let mut client = broker.http();
    assert_eq!(client.get("/healthz").status, 200);
    assert!(client.rest().is_empty());
}

#[test]
fn an_answer_that_is_read_slowly_comes_whole_and_one_that_is_not_read_is_cut_off() {
    const BODY_BYTES: usize = 900_000;
    let broker = TestBroker::start_with(|config| config.timeouts.close_ms = 300);
    broker.post("large", &"x".repeat(BODY_BYTES));
    let ask = || {
        let mut client = connect_narrow(broker.address);
        client
            .write_all(b"GET /topics/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        client
    };
    let slow = ask();
    let mut answer = Vec::new();
    while (&slow).take(20_000).read_to_end(&mut answer).unwrap() > 0 {
        // All in all it takes a few times as long as a close may.
        thread::sleep(Duration::from_millis(30));
    }
    assert!(answer.len() > BODY_BYTES, "{} bytes have come", answer.len());
    slow.shutdown(Shutdown::Both).unwrap();

    let mut silent = ask();
    silent.read_exact(&mut [0]).unwrap();
    broker.wait_until("both have gone", |broker| broker.figure("fanwire_connections{") == 1);
    answer.clear();
    let _ = silent.read_to_end(&mut answer);
    assert!(answer.len() < BODY_BYTES, "{} bytes have come", answer.len());
}

/// A raw connection whose client reads octets and answers nothing.
fn mute_client(broker: &TestBroker) -> TcpStream {
    let mut client = broker.http();
    assert_eq!(client.request(handshake("/topics/a.b", "")).status, 101);
    client.stream().get_ref().try_clone().unwrap()
}

#[test]
fn a_silent_peer_is_pinged_and_let_go_after_the_second_ping_without_an_answer() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 200);
    let mut octets = Vec::new();
    // The end is a reset or not: there is nobody to be polite to.
    let _ = mute_client(&broker).read_to_end(&mut octets);
    assert_eq!(octets, [0x89, 0, 0x89, 0]);
}

#[test]
fn a_peer_that_answers_pings_stays() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 100);
    let mut client = broker.web_socket("/topics/a.b");
    // Its library answers each ping while it reads.
    for _ in 0..6 {
        assert!(matches!(client.socket.read().unwrap(), tungstenite::Message::Ping(_)));
    }
    broker.post("a.b", "alive");
    assert_eq!(client.receive_text(), "alive");
}

#[test]
fn a_subscriber_that_only_receives_is_alive_and_is_not_pinged() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 400);
    let mut subscriber = mute_client(&broker);
    let mut received = vec![0; 3];
    for _ in 0..40 {
        broker.post("a.b", "x");
        subscriber.read_exact(&mut received).unwrap();
        assert_eq!(received, [0x81, 1, b'x']);
        // Not a wait for something: this is the time that passes.
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_peer_that_does_not_close_is_let_go() {
    let broker = TestBroker::start_with(|config| config.timeouts.close_ms = 100);
    let mut client = broker.http();
    assert_eq!(client.request("nonsense\r\n\r\n").status, 400);
    assert!(client.rest().is_empty(), "the broker's side has ended");
    // Ours has not. When the broker has let go, what we send is answered by a reset.
    while client.stream().get_mut().write_all(b"x").is_ok() {
        thread::yield_now();
    }
}
