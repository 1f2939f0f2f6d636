//! Which core of a Fanwire with two cores has what.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::client::Client;
use crate::workload::ONE_SMALL;

/// Where a publisher is, seen from the home of its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publisher {
    AtHome,
    /// Every message takes a hop.
    Elsewhere,
}

/// More than chance ever needs to place a connection on one core of two.
const MOST_TRIES: usize = 100;

/// Reconnects the first publisher until it is where it is wanted. The kernel spreads connections by chance.
pub(crate) fn place_publisher(client: &mut Client, address: SocketAddr, wanted: Publisher) {
    let is_placed = |client: &mut Client| {
        let (taken, published) = moved_by_one_message(client, address);
        (taken == published) == (wanted == Publisher::AtHome)
    };
    for _ in 0..MOST_TRIES {
        if is_placed(client) {
            return;
        }
        client.reconnect_publisher(0);
    }
    panic!("{MOST_TRIES} connections are all on one core");
}

/// Reconnects the first subscriber until it is at the home of its topic.
pub(crate) fn place_subscriber_at_home(client: &mut Client, address: SocketAddr) {
    for _ in 0..MOST_TRIES {
        let (_, home) = moved_by_one_message(client, address);
        if by_core(address, "fanwire_subscriptions")[home] > 0 {
            return;
        }
        client.reconnect_subscriber(0);
    }
    panic!("{MOST_TRIES} connections are all on one core");
}

/// The core that a message came in at, and its topic's home.
fn moved_by_one_message(client: &mut Client, address: SocketAddr) -> (usize, usize) {
    const COUNTERS: [&str; 2] = ["fanwire_received_messages_total", "fanwire_published_messages_total"];
    let before = COUNTERS.map(|name| by_core(address, name));
    let publications = client.publications(ONE_SMALL);
    client.publish(&publications[0]);
    let moved = |counter: usize| {
        // A core publishes its counters once a turn, which may be after the message was heard.
        (0..MOST_TRIES).find_map(|_| {
            let after = by_core(address, COUNTERS[counter]);
            before[counter].iter().zip(&after).position(|(before, after)| before != after)
        })
    };
    moved(0).zip(moved(1)).expect("a message is counted where it is")
}

/// The values of a metric, core by core.
fn by_core(address: SocketAddr, name: &str) -> Vec<u64> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let samples = text.lines().filter(|line| line.starts_with(&format!("{name}{{core=")));
    samples.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}
