//! Subscribers that never read, beside those that are measured.

use std::io::Read;
use std::net::SocketAddr;

use crate::client::{payload, wait_until_ready};
use crate::dialect::{Dialect, subscribe_in_json};
use crate::wire::Opening;
use crate::workload::topic;

/// They subscribe to it too: it fills their sockets and write queues, and costs the others nothing.
const FILLING: &str = "bench.fanout.filling";

const FILLING_PAYLOAD_BYTES: usize = 4096;

/// Twice what a socket and a write queue of the targets hold.
const FILLING_MESSAGES: usize = 1_024;

/// A queue of a megabyte that is full has more than this, in bytes: half of it has been let go at most.
const FULL_BYTES: u64 = 480 * 1024;

/// The connections, for as long as they are to be there. Whoever is to be told what it does not get speaks JSON.
pub(crate) struct SlowReaders {
    _streams: Vec<Opening>,
}

impl SlowReaders {
    /// Connects `count` subscribers of the first topic, and publishes to them until nothing more has room.
    pub(crate) fn connect(address: SocketAddr, count: usize) -> Self {
        let topics = [topic(0), FILLING.to_owned()];
        let connect = |_| {
            let mut stream = Opening::begin(address, false, &Dialect::Json.subscribe(address, &topics));
            wait_until_ready(&mut stream, Dialect::Json, topics.len());
            stream
        };
        let streams = (0..count).map(connect).collect();
        if count > 0 {
            fill(address);
            let full = count as u64 * FULL_BYTES;
            assert!(backlog_bytes(address) > full, "the slow readers' queues are not full");
        }
        Self { _streams: streams }
    }
}

fn fill(address: SocketAddr) {
    let mut bytes = Dialect::Json.announce(address, FILLING);
    let payload = payload(FILLING_PAYLOAD_BYTES, "");
    for _ in 0..FILLING_MESSAGES {
        Dialect::Json.publish(FILLING, &payload, &mut bytes);
    }
    // A publish has no receipt here; what is answered behind all of them says that they were heard.
    let last_words = [topic(0)];
    subscribe_in_json(&last_words, &mut bytes);
    wait_until_ready(&mut Opening::begin(address, false, &bytes), Dialect::Json, last_words.len());
}

/// What waits in the target's write queues.
fn backlog_bytes(address: SocketAddr) -> u64 {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut page = String::new();
    Opening::begin(address, false, request.as_bytes()).read_to_string(&mut page).expect("the target answers");
    let samples = page.lines().filter(|line| line.starts_with("fanwire_backlog_bytes{"));
    samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}
