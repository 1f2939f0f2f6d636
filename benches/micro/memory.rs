//! What a subscription costs in resident memory, with what the shard keeps for its connection and its topic.
//!
//! Each shape is measured in a process of its own, which has done nothing else before. What a connection costs in the
//! server and in the kernel is not in it.

use std::process::Command;

use fanwire_broker::{Interface, Shard};
use fanwire_wire::command;

use crate::fixture::{LARGEST, connect, connection, flush, shard};

/// Who subscribes to what.
struct Shape {
    name: &'static str,
    connections: usize,
    topics_per_connection: usize,
    /// Whether every connection has the same topics, or each its own.
    shared: bool,
    /// The most that a subscription should cost, in bytes.
    target: Option<usize>,
}

const SHAPES: [Shape; 3] = [
    Shape {
        name: "one_topic",
        connections: LARGEST,
        topics_per_connection: 1,
        shared: true,
        target: Some(200),
    },
    Shape {
        name: "a_topic_each",
        connections: LARGEST,
        topics_per_connection: 1,
        shared: false,
        target: None,
    },
    Shape {
        name: "the_same_20_topics",
        connections: LARGEST / 20,
        topics_per_connection: 20,
        shared: true,
        target: None,
    },
];

/// Prints a line for each shape.
pub(crate) fn print_table() {
    println!("| shape | connections | subscriptions | bytes/subscription | target |");
    println!("|---|---|---|---|---|");
    let this = std::env::current_exe().expect("the path of this program");
    for shape in &SHAPES {
        let status = Command::new(&this).args(["memory", shape.name]).status().expect("this program starts");
        assert!(status.success(), "{}: {status}", shape.name);
    }
}

/// Prints the line of one shape, which this process must have been started for.
pub(crate) fn print_row(name: &str) {
    let shape = SHAPES.iter().find(|shape| shape.name == name).expect("one of the shapes");
    let mut shard = shard(0, 1);
    let before = resident_bytes();
    shape.subscribe(&mut shard);
    let bytes = resident_bytes() - before;

    let subscriptions = shape.connections * shape.topics_per_connection;
    assert_eq!(shard.counters().subscriptions, subscriptions as u64);
    let target = shape.target.map_or_else(String::new, |target| format!("≤ {target}"));
    println!(
        "| {name} | {} | {subscriptions} | {} | {target} |",
        shape.connections,
        bytes.div_ceil(subscriptions)
    );
}

impl Shape {
    fn subscribe(&self, shard: &mut Shard) {
        for connection_number in 1..=self.connections {
            let id = connection(connection_number);
            connect(shard, id, Interface::Json);
            for topic in 0..self.topics_per_connection {
                let owner = if self.shared { 0 } else { connection_number };
                let text = format!(r#"{{"type":"subscribe","topic":"device.d{owner}.sensor{topic}"}}"#);
                shard.handle_command(id, command::parse(&text).expect("a good command"));
            }
            assert_eq!(flush(shard).writes, 1);
        }
    }
}

fn resident_bytes() -> usize {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").expect("Linux, with /proc");
    let rss = rollup.lines().find_map(|line| line.strip_prefix("Rss:")).expect("a line for Rss");
    let kilobytes: usize = rss.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kilobytes * 1024
}
