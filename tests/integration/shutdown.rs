//! The ordered shutdown, in this process and of the real binary.

use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{Process, TestBroker, connect};

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
        assert_eq!(subscriber.receive_close().code, CloseCode::Away);
    }
    assert!(idle.rest().is_empty());
    let address = broker.address;
    drop((subscribers, idle));
    broker.join();
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_client_that_does_not_read_holds_the_stop_up_for_the_drain_only() {
    let broker = TestBroker::start_with(|config| config.timeouts.drain_ms = 300);
    let _mute = connect(broker.address);
    broker.begin_stop();
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
        assert_eq!(close.code, CloseCode::Away);
        drop(socket);
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
    process.signal("-TERM");
    assert_eq!(process.exit_code(), Some(128 + 15));
}

#[test]
fn a_broker_whose_port_is_taken_does_not_start_and_names_it() {
    let running = Process::start(&[]);
    let mut second = Process::spawn(&["--listen", &running.address.to_string()]);
    assert!(second.next_line_with("another process").contains(&running.address.to_string()));
    assert_eq!(second.exit_code(), Some(1));
}
