//! Publishing with conditions: repeats, expectations, batches and atomic ones, over one core and several.

mod atomic;
mod batches;
mod conditions;
mod naive;

use std::sync::Arc;

use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::shard::Now;
use fanwire_broker::{ConnectionId, Encoding, Identity, Interface, Permissions, Settings, Shard};
use fanwire_wire::command;
use fanwire_wire::topic::TopicOrPattern;

const PUBLISHER: ConnectionId = ConnectionId { slot: 0, generation: 0 };
const SUBSCRIBER: ConnectionId = ConnectionId { slot: 1, generation: 0 };

const WINDOW: MessageIdLimits = MessageIdLimits { max: 3, max_age_ms: 100 };

/// A broker whose cores hand over at once. Both clients live on the first.
struct Broker {
    cores: Vec<Shard>,
    /// A core that drains nothing.
    stalled: Option<usize>,
}

fn settings() -> Settings {
    let rule = |matches: &str, settings| {
        let matches = TopicOrPattern::parse(matches).unwrap();
        TopicRule { matches, settings }
    };
    let message_ids = Some(WINDOW);
    let defaults = TopicSettings::default();
    let topics = vec![
        rule("known.>", TopicSettings { message_ids, ..defaults.clone() }),
        rule("passing.>", TopicSettings { message_ids, last_value: false, ..defaults.clone() }),
        rule(
            "keyed.>",
            TopicSettings {
                keys: Some(KeyLimits { max: 2, bytes: usize::MAX }),
                last_value: false,
                ..defaults.clone()
            },
        ),
        rule("game.>", TopicSettings { message_ids, atomic: true, ..defaults.clone() }),
        rule("flash.>", TopicSettings { atomic: true, last_value: false, ..defaults.clone() }),
        rule("nothing.>", TopicSettings { last_value: false, ..defaults }),
    ];
    Settings { topics, ..Settings::default() }
}

impl Broker {
    fn new(cores: usize) -> Self {
        Self::with(cores, settings())
    }

    fn with(cores: usize, settings: Settings) -> Self {
        let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
        let settings = Arc::new(settings);
        let shard = |core| Shard::new(core, cores, &identity, settings.clone());
        let mut broker = Self { cores: (0..cores).map(shard).collect(), stalled: None };
        for id in [PUBLISHER, SUBSCRIBER] {
            broker.connect(id);
        }
        broker
    }

    fn connect(&mut self, id: ConnectionId) {
        self.cores[0].connect(id);
        self.cores[0].permit(id, Permissions::everything());
        self.cores[0].upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits: None });
    }

    fn turn(&mut self, monotonic_ms: u64) {
        self.cores.iter_mut().for_each(|shard| shard.begin_turn(Now { monotonic_ms, wall_ms: 0 }));
    }

    /// Hands over until nothing waits, but for what is for a core that is stalled.
    fn hand_over(&mut self) {
        let mut is_busy = true;
        while std::mem::take(&mut is_busy) {
            for from in 0..self.cores.len() {
                for to in 0..self.cores.len() {
                    is_busy |= self.hand_over_between(from, to);
                }
            }
        }
    }

    fn hand_over_between(&mut self, from: usize, to: usize) -> bool {
        let requests = self.cores[from].poll_requests(to);
        let deliveries = self.cores[from].poll_deliveries(to);
        if self.stalled == Some(to) {
            if let Some(batch) = requests {
                self.cores[from].restore_requests(to, batch);
            }
            if let Some(batch) = deliveries {
                self.cores[from].restore_deliveries(to, batch);
            }
            return false;
        }
        let moves = requests.is_some() || deliveries.is_some();
        for request in requests.into_iter().flatten() {
            self.cores[to].handle_request(from, request);
        }
        for delivery in deliveries.into_iter().flatten() {
            self.cores[to].handle_delivery(from, delivery);
        }
        moves
    }

    fn say(&mut self, id: ConnectionId, text: &str) {
        let envelope = command::parse(text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        self.cores[0].handle_command(id, envelope);
    }

    /// What the connection is written, each frame in a line.
    fn hear(&mut self, id: ConnectionId) -> String {
        let mut heard = Vec::new();
        while let Some(next) = self.cores[0].poll_flush() {
            let output = self.cores[0].output(next).to_vec();
            if next == id {
                heard.extend_from_slice(&output);
            }
            self.cores[0].wrote(next, output.len());
        }
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// What the publisher is answered.
    fn ask(&mut self, text: &str) -> String {
        self.say(PUBLISHER, text);
        self.hand_over();
        self.hear(PUBLISHER)
    }

    fn topics(&self) -> u64 {
        self.cores.iter().map(|shard| shard.counters().topics).sum()
    }

    fn published(&self) -> u64 {
        self.cores.iter().map(|shard| shard.counters().messages_published).sum()
    }
}

/// The offsets and codes in an answer, in their order.
fn outcomes(answer: &str) -> Vec<Result<u64, String>> {
    let mut outcomes = Vec::new();
    let mut rest = answer;
    while let Some(at) = rest.find('"') {
        rest = &rest[at + 1..];
        if let Some(offset) = rest.strip_prefix("offset\":") {
            let end = offset.find(|c: char| !c.is_ascii_digit()).unwrap_or(offset.len());
            outcomes.push(Ok(offset[..end].parse().unwrap()));
        } else if let Some(code) = rest.strip_prefix("code\":\"") {
            outcomes.push(Err(code[..code.find('"').unwrap()].to_owned()));
        }
    }
    outcomes
}

fn refused(code: &str) -> Result<u64, String> {
    Err(code.to_owned())
}

fn publish(topic: &str, conditions: &str) -> String {
    format!(r#"{{"type":"publish","id":1,"topic":"{topic}","data":0{conditions}}}"#)
}

fn message_id(id: &str) -> String {
    format!(r#","message_id":"{id}""#)
}

fn expect(offset: u64) -> String {
    format!(r#","expect":{{"epoch":"epoch","offset":{offset}}}"#)
}

fn batch(messages: &[(&str, &str)], further: &str) -> String {
    let messages: Vec<String> = messages
        .iter()
        .map(|(topic, conditions)| format!(r#"{{"topic":"{topic}","data":0{conditions}}}"#))
        .collect();
    format!(r#"{{"type":"publish_batch","id":1,"messages":[{}]{further}}}"#, messages.join(","))
}

const ATOMIC: &str = r#","atomic":true"#;

/// The core that the topic is at home on, which takes one message to find out.
fn home_of(broker: &mut Broker, topic: &str) -> usize {
    let published = |shard: &Shard| shard.counters().messages_published;
    let before: Vec<u64> = broker.cores.iter().map(published).collect();
    broker.ask(&publish(topic, ""));
    (0..before.len()).find(|&core| published(&broker.cores[core]) > before[core]).unwrap()
}

/// For each core, a topic under `prefix` that is at home there and has one message.
fn topic_on_each_core(broker: &mut Broker, prefix: &str) -> Vec<String> {
    let mut found = vec![None; broker.cores.len()];
    for n in 0.. {
        let name = format!("{prefix}.probe{n}");
        let home = home_of(broker, &name);
        found[home].get_or_insert(name);
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.into_iter().flatten().collect()
}
