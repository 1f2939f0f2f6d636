//! What a subscriber is written, through the shard's contract: one core, a publisher, and a subscriber.

mod conflation;
mod contract;
mod fairness;
mod snapshots;
mod ticks;

use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::{
    ConnectionId, Delivery, Draft, Encoding, Identity, Interface, Now, Permissions, Settings, Shard,
};
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::topic::{Topic, TopicOrPattern};
use serde_json::Value;

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const SUBSCRIBER: ConnectionId = ConnectionId { slot: 1, generation: 0 };

/// What no test fills.
const ROOMY: usize = 100_000;

fn rule(matches: &str, settings: TopicSettings) -> TopicRule {
    TopicRule { matches: TopicOrPattern::parse(matches).unwrap(), settings }
}

/// A broker of one core with a publisher, and a subscriber on that interface.
fn shard_with(settings: Settings, interface: Interface) -> Shard {
    core_with(0, 1, settings, interface)
}

/// The same for one core of several.
fn core_with(core: usize, cores: usize, settings: Settings, interface: Interface) -> Shard {
    let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
    let mut shard = Shard::new(core, cores, &identity, Arc::new(settings));
    for (id, interface) in [(PUBLISHER, Interface::Json), (SUBSCRIBER, interface)] {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface, deflate_window_bits: None });
    }
    shard
}

/// Hands over what two cores have for each other, until nothing is left. Returns how many messages each tick among it has.
fn hand_over(cores: &mut [Shard; 2]) -> Vec<usize> {
    let (mut ticks, mut is_busy) = (Vec::new(), true);
    while std::mem::take(&mut is_busy) {
        for (from, to) in [(0, 1), (1, 0)] {
            let (requests, deliveries) = (cores[from].poll_requests(to), cores[from].poll_deliveries(to));
            is_busy |= requests.is_some() || deliveries.is_some();
            for request in requests.into_iter().flatten() {
                cores[to].handle_request(from, request);
            }
            for delivery in deliveries.into_iter().flatten() {
                if let Delivery::Tick(messages) = &delivery {
                    ticks.push(messages.len());
                }
                cores[to].handle_delivery(from, delivery);
            }
        }
    }
    ticks
}

/// `keyed.>` keeps the values of three keys, `nothing.>` none, and every other topic its last message; those of `tick.>` can be
/// published to together.
fn shard(backlog_bytes: usize) -> Shard {
    let keyed =
        TopicSettings { keys: Some(KeyLimits { max: 3, bytes: 100_000 }), ..TopicSettings::default() };
    let nothing = TopicSettings { last_value: false, ..TopicSettings::default() };
    let history = Some(HistoryLimits { messages: 100, bytes: usize::MAX, max_age_ms: None });
    let tick = TopicSettings { atomic: true, history, ..TopicSettings::default() };
    let topics = vec![rule("keyed.>", keyed), rule("nothing.>", nothing), rule("tick.>", tick)];
    // About three values in a chunk.
    let settings = Settings { topics, chunk_bytes: 500, backlog_bytes, ..Settings::default() };
    shard_with(settings, Interface::Json)
}

/// Has the publisher publish.
fn publish_draft(shard: &mut Shard, topic: &str, key: Option<&str>, kind: PayloadKind, payload: Bytes) {
    let (topic, key) = (Topic::parse(topic).unwrap(), key.map(Into::into));
    let draft = Draft { topic, key, kind, content_type: None, payload, echo: true, conditions: None };
    shard.publish(PUBLISHER, draft, false);
}

fn say(shard: &mut Shard, text: &str) {
    shard.handle_command(SUBSCRIBER, command::parse(text).unwrap());
}

/// The next connection that has something to write, in this turn or in one that follows.
fn next_to_write(shard: &mut Shard) -> Option<ConnectionId> {
    while shard.has_output() {
        let id = shard.poll_flush();
        if id.is_some() {
            return id;
        }
        shard.begin_turn(Now::default());
    }
    None
}

/// What the subscriber is told by one write, of which the socket takes all; nothing if there is none.
fn heard_in_one_write(shard: &mut Shard) -> Option<Vec<Value>> {
    let id = next_to_write(shard)?;
    let octets = shard.output(id).to_vec();
    shard.wrote(id, octets.len());
    if id == SUBSCRIBER { Some(frames(&octets)) } else { heard_in_one_write(shard) }
}

fn heard(shard: &mut Shard) -> Vec<Value> {
    std::iter::from_fn(|| heard_in_one_write(shard)).flatten().collect()
}

fn frames(mut octets: &[u8]) -> Vec<Value> {
    let mut frames = Vec::new();
    while let Some((said, rest)) = next_frame(octets) {
        frames.push(said);
        octets = rest;
    }
    assert!(octets.is_empty(), "{octets:02x?}");
    frames
}

/// What the first frame says, if it is text, and what follows it.
fn next_frame(octets: &[u8]) -> Option<(Value, &[u8])> {
    let [0x81, length, rest @ ..] = octets else { return None };
    let (length, rest) = match length {
        126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
        short => (usize::from(*short), rest),
    };
    Some((serde_json::from_slice(&rest[..length]).unwrap(), &rest[length..]))
}

/// One write of which the socket takes so many octets; gives them.
fn write_in_part(shard: &mut Shard, octets: usize) -> Vec<u8> {
    let id = next_to_write(shard).expect("there is something to write");
    let taken = if id == SUBSCRIBER { octets } else { shard.output(id).len() };
    let output = shard.output(id)[..taken].to_vec();
    shard.wrote(id, taken);
    if id == SUBSCRIBER { output } else { write_in_part(shard, octets) }
}

/// In a word: what it is, its key or topic, its offset or count.
fn brief(said: &[Value]) -> Vec<String> {
    let brief = |said: &Value| match said["type"].as_str().unwrap() {
        "message" => {
            let kind = if said["snapshot"] == true { "value" } else { "message" };
            format!("{kind} {} {}", said["key"].as_str().unwrap_or("-"), said["offset"])
        }
        "subscribed" => format!("subscribed {}", said["offset"]),
        "snapshot_end" => format!("end {} {}", said["id"], said["count"]),
        "gap" => format!("gap {} {} {}", said["topic"].as_str().unwrap(), said["from"], said["to"]),
        "tick" => format!("tick {}", said["count"]),
        "error" => format!("error {}", said["code"].as_str().unwrap()),
        other => other.to_owned(),
    };
    said.iter().map(brief).collect()
}
