//! Clients that do not read cost bounded memory, and cost nobody else anything.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use fanwire_wire::frame::{OpCode, write_masked_frame};
use serde_json::Value;

use crate::json::client_subscribes;
use crate::raw::with_history;
use crate::support::{TestBroker, handshake};

/// More than the kernel and the broker together can hold for one connection.
const FLOOD_BYTES: usize = 64 << 20;

fn masked(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    write_masked_frame(&mut octets, [1, 2, 3, 4], opcode, false, payload);
    octets
}

/// Sends frame after frame until the socket has been full for a while; gives how many went out whole.
fn send_until_full(stream: &mut TcpStream, frame: &[u8]) -> usize {
    stream.set_nonblocking(true).unwrap();
    let (mut sent, mut stuck) = (0, 0);
    while stuck < 200 {
        assert!(sent < FLOOD_BYTES, "the broker reads on from a client that does not read");
        match stream.write(&frame[sent % frame.len()..]) {
            Ok(count) => (sent, stuck) = (sent + count, 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck += 1;
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream.set_nonblocking(false).unwrap();
    let rest = &frame[sent % frame.len()..];
    let whole = sent / frame.len();
    if rest.len() == frame.len() {
        return whole;
    }
    let mut writer = stream.try_clone().unwrap();
    let rest = rest.to_vec();
    std::thread::spawn(move || writer.write_all(&rest).unwrap());
    whole + 1
}

#[test]
fn a_client_that_does_not_read_its_replies_is_not_read_and_then_gets_them_all() {
    let broker = TestBroker::start_with(|config| config.demo = true);
    for (path, opcode, answer_opcode) in
        [("/demo/echo", OpCode::Binary, 0x82), ("/v1/ws", OpCode::Ping, 0x8a)]
    {
        let mut client = broker.http();
        assert_eq!(client.request(handshake(path, "")).status, 101);
        if path == "/v1/ws" {
            let mut welcome = [0; 2];
            client.stream().read_exact(&mut welcome).unwrap();
            let mut rest = vec![0; usize::from(welcome[1])];
            client.stream().read_exact(&mut rest).unwrap();
        }
        let payload = [7; 100];
        let count = send_until_full(client.stream().get_mut(), &masked(opcode, &payload));
        let mut answer = [0; 102];
        for _ in 0..count {
            client.stream().read_exact(&mut answer).unwrap();
            assert_eq!((answer[0], answer[1], &answer[2..]), (answer_opcode, 100, &payload[..]), "{path}");
        }
    }
}

/// Publishes so much that a subscriber that does not read falls behind whatever the kernel takes.
pub(crate) fn flood(broker: &TestBroker, topic: &str) -> u64 {
    let mut publisher = broker.web_socket(&format!("/topics/{topic}?echo=false"));
    let text = "x".repeat(100_000);
    for _ in 0..400 {
        publisher.send(text.as_str());
    }
    publisher.socket.close(None).unwrap();
    publisher.receive_close();
    broker.post(topic, "last")
}

#[test]
fn a_slow_subscriber_without_history_is_told_exactly_what_it_did_not_get() {
    let broker = TestBroker::start();
    let mut slow = broker.web_socket("/v1/ws");
    client_subscribes(&mut slow, "a.b");
    let mut quick = broker.web_socket("/v1/ws");
    client_subscribes(&mut quick, "a.b");
    let everything = std::thread::spawn(move || {
        let (mut received, mut last) = (0, Value::Null);
        while last["data"] != "last" {
            last = quick.receive_json();
            received += 1;
        }
        received
    });
    let last_offset = flood(&broker, "a.b");

    let (mut expected, mut lost) = (1, 0);
    while expected <= last_offset {
        let notification = slow.receive_json();
        let (from, to) = match notification["type"].as_str().unwrap() {
            "gap" => (notification["from"].as_u64().unwrap(), notification["to"].as_u64().unwrap()),
            "message" => (notification["offset"].as_u64().unwrap(), notification["offset"].as_u64().unwrap()),
            other => panic!("{other}"),
        };
        assert_eq!(from, expected, "every offset is delivered or told, in order");
        lost += u64::from(notification["type"] == "gap") * (to - from + 1);
        expected = to + 1;
    }
    assert!(lost > 0, "the flood was no flood");
    assert!(everything.join().unwrap() > 0);
}

#[test]
fn a_slow_subscriber_of_a_topic_with_history_gets_everything() {
    let broker = TestBroker::start_with(|config| {
        with_history(config);
        config.settings.topics[0].settings.history.as_mut().unwrap().bytes = 128 << 20;
    });
    let mut slow = broker.web_socket("/topics/a.b");
    let last_offset = flood(&broker, "a.b");
    for _ in 1..last_offset {
        assert_eq!(slow.receive_text().len(), 100_000);
    }
    assert_eq!(slow.receive_text(), "last");
}
