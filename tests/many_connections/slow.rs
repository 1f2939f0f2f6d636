//! Ten thousand subscribers that do not read, each with a topic of its own, so that no two share what waits for them.

use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tungstenite::{Message, WebSocket};

use crate::broker::{Broker, allowed_connections};

/// A debug build is slow, and takes as much for each.
const SUBSCRIBERS: u64 = if cfg!(debug_assertions) { 2_000 } else { 10_000 };

/// Nothing else holds a message: no history, no last value.
const CONFIG: &str = "backlog = \"64KiB\"\n[[topics]]\nmatch = \">\"\nlast_value = false\n";
const BACKLOG_BYTES: u64 = 64 * 1024;

/// What a subscriber that is behind may take beside its backlog, in bytes, as `docs/ARCHITECTURE.md` states it.
const OVERHEAD_BYTES: u64 = BACKLOG_BYTES / 2;

/// What the client's kernel takes for it, in bytes.
const RECEIVE_BUFFER_BYTES: usize = 4 * 1024;

/// Few enough that what a batch is read into leaves no holes in the heap that are larger than what is counted.
const BATCH_MESSAGES: usize = 40;

/// Those for whom the broker takes what it takes only once.
const FIRST_SUBSCRIBERS: u64 = 200;

type Client = WebSocket<TcpStream>;

fn connect(address: SocketAddr) -> Client {
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)).expect("a socket");
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES).expect("a size");
    socket.set_read_timeout(Some(Duration::from_mins(5))).expect("a socket");
    socket.connect(&SockAddr::from(address)).expect("the broker accepts");
    let (mut client, _) =
        tungstenite::client(format!("ws://{address}/v1/ws"), TcpStream::from(socket)).expect("a WebSocket");
    wait_for(&mut client, "welcome");
    client
}

fn say(client: &mut Client, text: String) {
    client.send(Message::text(text)).expect("the broker reads");
}

fn wait_for(client: &mut Client, kind: &str) {
    let said = client.read().expect("the broker answers").into_text().expect("text");
    assert!(said.starts_with(&format!(r#"{{"type":"{kind}""#)), "{said}");
}

/// Connects subscribers with these numbers, publishes more to each than its kernel and backlog hold, and gives their connections.
fn fall_behind(
    broker: &Broker,
    publisher: &mut Client,
    numbers: Range<u64>,
    payload: &str,
    batches: usize,
) -> Vec<Client> {
    let subscribers = numbers
        .clone()
        .map(|number| {
            let mut subscriber = connect(broker.address);
            say(&mut subscriber, format!(r#"{{"type":"subscribe","topic":"slow.{number}"}}"#));
            wait_for(&mut subscriber, "subscribed");
            subscriber
        })
        .collect();
    for number in numbers {
        let message = format!(r#"{{"topic":"slow.{number}","data":"{payload}"}}"#);
        let batch = vec![message; BATCH_MESSAGES].join(",");
        for _ in 0..batches {
            say(publisher, format!(r#"{{"type":"publish_batch","messages":[{batch}]}}"#));
            wait_for(publisher, "published_batch");
        }
    }
    subscribers
}

/// The bytes that the broker took at its most for each of so many, beside what it takes once for all of them: its cores'
/// palettes and buffers have grown for others before it is counted.
fn bytes_of_each(name: &str, count: u64, payload_bytes: usize, batches: usize) -> u64 {
    let broker = Broker::start(name, CONFIG);
    let mut publisher = connect(broker.address);
    let payload = "x".repeat(payload_bytes);
    let first = fall_behind(&broker, &mut publisher, 0..FIRST_SUBSCRIBERS, &payload, batches);
    let before = broker.peak_resident_bytes();
    let counted = FIRST_SUBSCRIBERS..FIRST_SUBSCRIBERS + count;
    let subscribers = fall_behind(&broker, &mut publisher, counted, &payload, batches);

    let each = (broker.peak_resident_bytes() - before) / count;
    println!(
        "{} subscribers that do not read, messages of {payload_bytes} bytes: {each} resident bytes each",
        subscribers.len()
    );
    assert!(each > BACKLOG_BYTES / 2, "{each} bytes each: they did not fall behind");
    drop(first);
    each
}

#[test]
fn subscribers_that_do_not_read_hold_their_backlog_and_a_bounded_overhead() {
    let count = (allowed_connections() - FIRST_SUBSCRIBERS).min(SUBSCRIBERS);
    let each = bytes_of_each("slow", count, 4 * 1024, 1);
    assert!(each <= BACKLOG_BYTES + OVERHEAD_BYTES, "{each} bytes each");
}

/// The smaller the messages, the more of a backlog is what is kept for each of them.
#[test]
fn small_messages_take_no_more_than_the_backlog_counts_for_them() {
    let each = bytes_of_each("slow_small", SUBSCRIBERS / 4, 16, 28);
    assert!(each <= BACKLOG_BYTES + OVERHEAD_BYTES, "{each} bytes each");
}
