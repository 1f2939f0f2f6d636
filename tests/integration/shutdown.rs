//! The ordered shutdown, in this process and of the real binary.

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Process, TemporaryFile, TestBroker, connect};

#[test]
fn everything_accepted_is_delivered_and_everybody_is_told() {
    let broker = TestBroker::start();
    let mut subscribers: Vec<_> = (0..10).map(|_| broker.web_socket("/topics/a.b")).collect();
    let mut idle = broker.http();
    for n in 0..100 {
        broker.post("a.b", &n.to_string());
    }
    broker.begin_stop();
    for subscriber in &mut subscribers {
        for n in 0..100 {
            assert_eq!(subscriber.receive_text(), n.to_string());
        }
        assert_eq!(subscriber.receive_close().code, CloseCode::Restart);
    }
    assert!(idle.rest().is_empty());
    let address = broker.address;
    drop((subscribers, idle));
    broker.join();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_client_that_does_not_close_holds_the_stop_up_for_so_long_only() {
    let broker = TestBroker::start_with(|config| {
        (config.timeouts.drain_ms, config.timeouts.close_ms) = (200, 100);
    });
    let _mute = connect(broker.address);
    broker.begin_stop();
    broker.join();
}

/// When a client is to come back, by the reason that it was closed for.
fn retry_after_ms(close: &CloseFrame) -> u64 {
    assert_eq!(close.code, CloseCode::Restart);
    close.reason.strip_prefix("retry_after_ms=").and_then(|ms| ms.parse().ok()).expect("it is told when")
}

#[test]
fn a_crowd_is_sent_away_in_turn_and_what_is_published_meanwhile_reaches_those_that_are_there() {
    const CROWD: usize = 60;
    let broker = TestBroker::start_with(|config| config.timeouts.drain_ms = 2_000);
    let mut publisher = broker.web_socket("/topics/a.b?echo=false");
    let mut crowd: Vec<_> = (0..CROWD).map(|_| broker.web_socket("/topics/a.b")).collect();
    broker.begin_stop();
    for n in 0..10 {
        // It may have been sent away itself.
        let _ = publisher.socket.send(n.to_string().into());
    }
    let mut waits = Vec::new();
    for subscriber in &mut crowd {
        let mut next = 0;
        let close = loop {
            match subscriber.receive() {
                Message::Text(text) => {
                    assert_eq!(text.as_str(), next.to_string(), "nothing is left out");
                    next += 1;
                }
                Message::Close(frame) => break frame.expect("the broker gives a reason"),
                other => panic!("{other:?}"),
            }
        };
        waits.push(retry_after_ms(&close));
        let _ = subscriber.socket.flush();
    }
    assert!(waits.iter().all(|wait| *wait > 0 && *wait <= 2_000), "{waits:?}");
    drop((publisher, crowd));
    broker.join();
}

#[test]
fn from_the_start_of_the_drain_nobody_new_is_let_in_and_who_is_there_is_served() {
    let broker = TestBroker::start();
    // The second of two has its turn ten milliseconds after the first; of a few hundred, the last is there for long enough.
    let mut clients: Vec<_> = (0..400).map(|_| broker.http()).collect();
    assert!(clients.iter_mut().all(|client| client.get("/readyz").status == 200));
    broker.begin_stop();
    while std::net::TcpStream::connect(broker.address).is_ok() {
        std::thread::yield_now();
    }
    let statuses: Vec<_> = clients.iter_mut().rev().map(|client| client.try_get("/readyz")).collect();
    let not_ready = statuses.iter().flatten().find(|response| response.status == 503);
    let not_ready = not_ready.expect("somebody is still there, and is told that the broker is not ready");
    assert!(not_ready.headers.contains_key("retry-after"));
    drop(clients);
    broker.join();
}

#[test]
fn an_event_stream_is_told_when_to_come_back_and_ends() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send("GET /topics/a.b HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    assert_eq!(client.response_head().status, 200);
    broker.begin_stop();
    let rest = String::from_utf8(client.rest()).unwrap();
    let (_, told) = rest.split_once("retry: ").unwrap_or_else(|| panic!("no retry in {rest:?}"));
    let (wait, end) = told.split_once("\n\n").unwrap();
    assert!(wait.parse::<u64>().is_ok(), "{rest:?}");
    assert_eq!(end, format!(": retry_after_ms={wait}\n\n"));
    drop(client);
    broker.join();
}

#[test]
fn a_signal_stops_the_binary_in_order_and_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start(&["--drain", "1h"]);
        let url = format!("ws://{}/v1/ws", process.address);
        let (mut socket, _) = tungstenite::client(url, connect(process.address)).unwrap();
        process.signal(signal);
        let close = loop {
            if let Message::Close(frame) = socket.read().unwrap() {
                break frame.unwrap();
            }
        };
        assert_eq!(close.code, CloseCode::Restart);
        drop(socket);
        assert!(process.rest_of_log().ends_with("stopped\n"), "the last line is written");
        assert_eq!(process.exit_code(), Some(0), "{signal}");
    }
}

#[test]
fn a_second_signal_ends_the_binary_at_once() {
    let mut process = Process::start(&["--drain", "1h"]);
    // A close that is never answered: it waits for us.
    let url = format!("ws://{}/v1/ws", process.address);
    let (mut socket, _) = tungstenite::client(url, connect(process.address)).unwrap();
    process.signal("-TERM");
    while !matches!(socket.read().unwrap(), Message::Close(_)) {}
    // At once, it would be the same wish again.
    while process.is_running() {
        process.signal("-TERM");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(process.rest_of_log().contains("ended by a second signal"), "the last line is written");
    assert_eq!(process.exit_code(), Some(128 + 15));
}

#[test]
fn the_log_says_how_many_did_not_close() {
    let file = TemporaryFile::new("cut-off", "timeouts.close = \"100ms\"\n");
    // Long before the time is over, and when it is.
    for (drain, clients) in [("1h", 2), ("0s", 3)] {
        let mut process = Process::start(&["--config", file.path(), "--drain", drain]);
        let url = format!("ws://{}/v1/ws", process.address);
        let silent: Vec<_> =
            (0..clients).map(|_| tungstenite::client(&url, connect(process.address)).unwrap().0).collect();
        process.signal("-TERM");
        let log = process.rest_of_log();
        let of_each_core = log.lines().filter_map(|line| {
            let (_, figures) = line.split_once("did not close in time, and were cut off core=")?;
            figures.split_once(" connections=")?.1.trim().parse::<usize>().ok()
        });
        assert_eq!(of_each_core.sum::<usize>(), clients, "{log}");
        assert_eq!(process.exit_code(), Some(0));
        drop(silent);
    }
}

#[test]
fn a_broker_whose_port_is_taken_does_not_start_and_names_it() {
    let running = Process::start(&[]);
    let mut second = Process::spawn(&["--listen", &running.address.to_string()]);
    assert!(second.next_line_with("another process").contains(&running.address.to_string()));
    assert_eq!(second.exit_code(), Some(1));
}
