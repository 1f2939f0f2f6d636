//! What connections are written, against a naive twin that keeps a list of octets for each.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::{
    ConnectionId, Draft, Encoding, Event, Identity, Interface, Permissions, Settings, Shard, Start,
};
use fanwire_wire::binary::Delivery;
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::frame::{OpCode, write_frame};
use fanwire_wire::topic::{Topic, TopicNumber};
use proptest::prelude::*;

/// The first are raw, the others binary, and the last of them has every topic by its number.
const CONNECTIONS: u32 = 6;
const RAW_CONNECTIONS: u32 = 2;
const TOPICS: usize = 3;
/// Stands behind the topics: the pattern of them all, which raw connections cannot have.
const PATTERN: usize = 1 << TOPICS;

#[derive(Clone, Debug)]
enum Step {
    /// A publish to a topic, of so many bytes, by a connection that gets it back or not.
    Publish {
        topic: usize,
        bytes: usize,
        by: u32,
        echo: bool,
    },
    Reply {
        to: u32,
        bytes: usize,
    },
    /// So many writes, of at most so many bytes.
    Flush {
        writes: usize,
        takes: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..TOPICS, 0usize..200, 0..CONNECTIONS, any::<bool>())
            .prop_map(|(topic, bytes, by, echo)| Step::Publish { topic, bytes, by, echo }),
        1 => (0..CONNECTIONS, 1usize..50).prop_map(|(to, bytes)| Step::Reply { to, bytes }),
        2 => (1usize..8, prop_oneof![1usize..300, Just(usize::MAX)])
            .prop_map(|(writes, takes)| Step::Flush { writes, takes }),
    ]
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 0 }
}

fn topic(number: usize) -> Topic {
    Topic::parse(&format!("t{number}")).expect("a topic")
}

fn is_raw(slot: u32) -> bool {
    slot < RAW_CONNECTIONS
}

fn subscribe(shard: &mut Shard, slot: u32, name: &str) {
    if is_raw(slot) {
        shard.subscribe(id(slot), Topic::parse(name).expect("a topic"), Start::Now);
        assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    } else {
        let text = format!(r#"{{"type":"subscribe","topic":"{name}"}}"#);
        shard.handle_command(id(slot), command::parse(&text).expect("a command"));
    }
}

/// Connection `slot` listens to every topic, and to the pattern, whose bit is set in `listens[slot]`.
struct Twins {
    shard: Shard,
    listens: Vec<usize>,
    expected: BTreeMap<u32, Vec<u8>>,
    written: BTreeMap<u32, Vec<u8>>,
    published: u8,
    offsets: [u64; TOPICS],
}

impl Twins {
    fn new(mut listens: Vec<usize>) -> Self {
        // It comes first, so that the topics' numbers are known.
        listens.push(PATTERN - 1);
        let identity = Identity { epoch: "e".into(), hash_keys: [1, 2, 3, 4] };
        let settings = Settings { backlog_bytes: usize::MAX, ..Settings::default() };
        let mut shard = Shard::new(0, 1, &identity, Arc::new(settings));
        for slot in (0..CONNECTIONS).rev() {
            let interface = if is_raw(slot) { Interface::Raw } else { Interface::Binary };
            shard.connect(id(slot));
            shard.permit(id(slot), Permissions::everything());
            shard.upgrade(id(slot), Encoding { interface, deflate_window_bits: None });
            for number in (0..TOPICS).filter(|number| listens[slot as usize] & (1 << number) != 0) {
                subscribe(&mut shard, slot, topic(number).as_str());
            }
            if listens[slot as usize] & PATTERN != 0 && !is_raw(slot) {
                subscribe(&mut shard, slot, "*");
            }
        }
        let (expected, written) = (BTreeMap::new(), BTreeMap::new());
        let mut twins = Self { shard, listens, expected, written, published: 0, offsets: [0; TOPICS] };
        twins.flush(usize::MAX, usize::MAX);
        twins.written.clear();
        twins
    }

    /// What a connection is sent of a message, if anything.
    fn frame(&self, slot: u32, number: usize, payload: &[u8]) -> Option<Vec<u8>> {
        let listens = self.listens[slot as usize];
        let mut frame = Vec::new();
        let is_told_number = listens & (1 << number) != 0;
        if is_raw(slot) {
            write_frame(&mut frame, OpCode::Binary, false, payload);
            return is_told_number.then_some(frame);
        }
        let name = topic(number);
        let delivery = Delivery {
            number: TopicNumber::new(1 + number as u32),
            name: (!is_told_number).then_some(&name),
            offset: self.offsets[number],
            skipped: 0,
            is_snapshot: false,
            key: None,
            kind: PayloadKind::Binary,
            payload,
        };
        let mut message = Vec::new();
        delivery.write(&mut message);
        write_frame(&mut frame, OpCode::Binary, false, &message);
        (is_told_number || listens & PATTERN != 0).then_some(frame)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic: number, bytes, by, echo } => {
                self.published = self.published.wrapping_add(1);
                let payload = vec![self.published; bytes];
                self.offsets[number] += 1;
                for slot in (0..CONNECTIONS).filter(|slot| echo || *slot != by) {
                    if let Some(frame) = self.frame(slot, number, &payload) {
                        self.expected.entry(slot).or_default().extend(frame);
                    }
                }
                let (topic, payload) = (topic(number), Bytes::from(payload));
                let draft = Draft {
                    topic,
                    key: None,
                    content_type: None,
                    kind: PayloadKind::Binary,
                    payload,
                    echo,
                    conditions: None,
                };
                self.shard.publish(id(by), draft, false);
            }
            Step::Reply { to, bytes } => {
                self.expected.entry(to).or_default().extend(vec![b'r'; bytes]);
                self.shard.reply(id(to), &vec![b'r'; bytes]);
            }
            Step::Flush { writes, takes } => self.flush(writes, takes),
        }
    }

    fn flush(&mut self, writes: usize, room: usize) {
        for _ in 0..writes {
            let Some(connection) = self.shard.poll_flush() else { return };
            let output = self.shard.output(connection);
            let taken = room.min(output.len());
            self.written.entry(connection.slot).or_default().extend_from_slice(&output[..taken]);
            self.shard.wrote(connection, taken);
        }
    }
}

proptest! {
    #[test]
    fn every_connection_is_written_its_frames_and_replies_in_order(
        listens in proptest::collection::vec(0..2 * PATTERN, CONNECTIONS as usize - 1),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut twins = Twins::new(listens);
        for step in &steps {
            twins.step(step);
        }
        twins.flush(usize::MAX, usize::MAX);
        prop_assert!(!twins.shard.has_output());
        prop_assert_eq!(twins.written, twins.expected);
    }
}
