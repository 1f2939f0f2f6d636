//! Publishers that try again, expect, and publish many at once, under chance: lanes that are full, cores that stall, and
//! connections that end before they are answered. What a subscriber to everything gets is what was really published.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_broker::{
    ConnectionId, Delivery, Encoding, Identity, Interface, Now, Permissions, Request, Settings, Shard,
};
use fanwire_wire::command;
use fanwire_wire::topic::TopicOrPattern;
use serde_json::{Value, json};

use crate::random::Random;
use crate::together::{Ticks, Together};
use crate::world::EPOCH;

const STEPS: usize = 600;
const PUBLISHERS: usize = 5;
const MAX_CORES: usize = 5;

/// Batches that a lane has room for.
const LANE_ROOM: usize = 2;

/// Topics that know ids, the last three of them together; and two that know none and are forgotten.
const TOPICS: [&str; 8] =
    ["known.a", "known.b", "known.c", "game.a", "game.b", "game.c", "brief.a", "brief.b"];
const GAME: std::ops::Range<usize> = 3..6;
const WITH_IDS: usize = 6;

/// One message as somebody publishes it. Tried again it is the same.
#[derive(Clone)]
struct Attempt {
    topic: &'static str,
    payload: u64,
    has_id: bool,
    expects: Option<u64>,
}

/// A command that has no answer yet.
struct Asked {
    attempts: Vec<Attempt>,
    atomic: bool,
}

#[derive(Default)]
struct Publisher {
    core: usize,
    id: Option<ConnectionId>,
    heard: Vec<u8>,
    unanswered: BTreeMap<u64, Asked>,
}

/// What is on its way from one core to another.
#[derive(Default)]
struct Lane {
    requests: VecDeque<Vec<Request>>,
    deliveries: VecDeque<Vec<Delivery>>,
}

/// Where each message is, as anybody was told.
#[derive(Default)]
struct Truth {
    by_place: BTreeMap<(String, u64), u64>,
    by_payload: BTreeMap<u64, (String, u64)>,
    /// The messages that have come to the witness, and those that it was told are missing, because a core had stalled.
    seen: BTreeSet<u64>,
    missing: BTreeSet<(String, u64)>,
    /// Those of which a receipt says that they are published.
    published: BTreeSet<u64>,
    /// Those whose publisher has never been told.
    untold: BTreeSet<u64>,
}

impl Truth {
    fn learn(&mut self, topic: &str, offset: u64, payload: u64) {
        let place = (topic.to_owned(), offset);
        let there = *self.by_place.entry(place.clone()).or_insert(payload);
        assert_eq!(there, payload, "two messages at offset {offset} of {topic}");
        let before = self.by_payload.entry(payload).or_insert_with(|| place.clone());
        assert_eq!(*before, place, "message {payload} was published twice");
    }

    fn last_offset(&self, topic: &str) -> u64 {
        let of_topic = (topic.to_owned(), 0)..=(topic.to_owned(), u64::MAX);
        self.by_place.range(of_topic).next_back().map_or(0, |((_, offset), _)| *offset)
    }
}

struct World {
    random: Random,
    cores: Vec<Shard>,
    /// By sender, then receiver.
    lanes: Vec<Vec<Lane>>,
    /// The first is the witness, on a core that never stalls.
    publishers: Vec<Publisher>,
    generations: u32,
    truth: Truth,
    attempts: Vec<Attempt>,
    commands: u64,
    now_ms: u64,
    frozen: Option<usize>,
    witnessed: BTreeMap<String, u64>,
    together: Together,
    ticks: Ticks,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + random.below(MAX_CORES);
        let hash_keys = [random.next(), random.next(), random.next(), random.next()];
        let identity = Identity { epoch: EPOCH.into(), hash_keys };
        let settings = Arc::new(settings());
        let cores = (0..count).map(|core| Shard::new(core, count, &identity, settings.clone())).collect();
        let lanes = std::iter::repeat_with(|| std::iter::repeat_with(Lane::default).take(count).collect());
        let mut world = Self {
            random,
            cores,
            lanes: lanes.take(count).collect(),
            publishers: std::iter::repeat_with(Publisher::default).take(1 + PUBLISHERS).collect(),
            generations: 0,
            truth: Truth::default(),
            attempts: Vec::new(),
            commands: 0,
            now_ms: 1,
            frozen: None,
            witnessed: BTreeMap::new(),
            together: Together::default(),
            ticks: Ticks::default(),
        };
        (0..=PUBLISHERS).for_each(|number| world.connect(number));
        world.say(0, &json!({"type": "subscribe", "topic": ">"}));
        world.settle();
        world
    }

    fn run(mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.settle();
        for publisher in &self.publishers {
            assert!(publisher.unanswered.is_empty(), "a command that has no answer");
        }
        let Truth { by_payload, seen, missing, published, untold, .. } = &self.truth;
        for payload in published {
            let is_accounted_for = seen.contains(payload) || missing.contains(&by_payload[payload]);
            assert!(is_accounted_for, "message {payload} is published, and was not routed");
        }
        for payload in seen {
            let may_be = published.contains(payload) || untold.contains(payload);
            assert!(may_be, "message {payload} is published, and its publisher was told that it is not");
        }
        self.ticks.assert_whole(&self.together, |_| false);
    }

    fn step(&mut self) {
        let number = 1 + self.random.below(PUBLISHERS);
        match self.random.below(24) {
            0..=7 => self.publish(number),
            8..=9 => self.die(number),
            10 if self.cores.len() > 1 => self.frozen = Some(1 + self.random.below(self.cores.len() - 1)),
            11 => self.frozen = None,
            12 => self.now_ms += 700,
            _ => {
                let core = self.random_core();
                self.turn(core);
            }
        }
    }

    fn random_core(&mut self) -> usize {
        self.random.below(self.cores.len())
    }

    fn connect(&mut self, number: usize) {
        self.generations += 1;
        let id = ConnectionId { slot: number as u32, generation: self.generations };
        let core = if number == 0 { 0 } else { self.random_core() };
        self.cores[core].connect(id);
        self.cores[core].permit(id, Permissions::everything());
        self.cores[core].upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits: None });
        self.publishers[number] = Publisher { core, id: Some(id), ..Publisher::default() };
    }

    /// A connection ends, and another takes its slot, perhaps on another core.
    fn die(&mut self, number: usize) {
        let Publisher { core, id, unanswered, .. } = std::mem::take(&mut self.publishers[number]);
        let attempts = unanswered.into_values().flat_map(|asked| asked.attempts);
        self.truth.untold.extend(attempts.map(|attempt| attempt.payload));
        self.cores[core].disconnect(id.expect("everybody is connected"));
        self.connect(number);
    }

    fn publish(&mut self, number: usize) {
        let Publisher { core, id, .. } = self.publishers[number];
        let shard = &self.cores[core];
        if !shard.may_read() || !shard.may_read_from(id.expect("everybody is connected")) {
            return;
        }
        let is_batch = self.random.one_in(2);
        let atomic = is_batch && self.random.one_in(2);
        let count = if is_batch { 1 + self.random.below(6) } else { 1 };
        let attempts: Vec<Attempt> = (0..count).map(|_| self.attempt(atomic)).collect();
        self.commands += 1;
        let mut messages: Vec<Value> = attempts.iter().map(command_of).collect();
        let mut command = if is_batch {
            json!({"type": "publish_batch", "messages": messages, "atomic": atomic})
        } else {
            messages.swap_remove(0)
        };
        command["id"] = self.commands.into();
        self.together.publish(attempts.iter().map(|attempt| attempt.payload), atomic);
        self.publishers[number].unanswered.insert(self.commands, Asked { attempts, atomic });
        self.say(number, &command);
    }

    /// Something new, or one of the last again.
    fn attempt(&mut self, atomic: bool) -> Attempt {
        let may_be =
            |attempt: &&Attempt| attempt.has_id && (!atomic || TOPICS[GAME].contains(&attempt.topic));
        let last: Vec<Attempt> = self.attempts.iter().rev().take(12).filter(may_be).cloned().collect();
        if !last.is_empty() && self.random.one_in(3) {
            return self.random.pick(&last).clone();
        }
        let topic =
            if atomic { GAME.start + self.random.below(GAME.len()) } else { self.random.below(TOPICS.len()) };
        let has_id = topic < WITH_IDS && self.random.one_in(2);
        let topic = TOPICS[topic];
        let expects = self.random.one_in(4).then(|| self.truth.last_offset(topic));
        let attempt = Attempt { topic, payload: self.attempts.len() as u64, has_id, expects };
        self.attempts.push(attempt.clone());
        attempt
    }

    fn say(&mut self, number: usize, command: &Value) {
        let Publisher { core, id, .. } = self.publishers[number];
        let text = command.to_string();
        let envelope = command::parse(&text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        self.cores[core].handle_command(id.expect("everybody is connected"), envelope);
    }

    fn turn(&mut self, core: usize) {
        if self.frozen == Some(core) {
            return;
        }
        self.now_ms += self.random.below(3) as u64;
        self.cores[core].begin_turn(Now { monotonic_ms: self.now_ms, wall_ms: 0 });
        for from in 0..self.cores.len() {
            if let Some(batch) = self.lanes[from][core].deliveries.pop_front() {
                for delivery in batch {
                    self.cores[core].handle_delivery(from, delivery);
                }
            }
            if let Some(batch) = self.lanes[from][core].requests.pop_front() {
                for request in batch {
                    self.cores[core].handle_request(from, request);
                }
            }
        }
        self.flush(core);
        self.hand_over(core);
    }

    fn hand_over(&mut self, from: usize) {
        for to in 0..self.cores.len() {
            let (shard, lane) = (&mut self.cores[from], &mut self.lanes[from][to]);
            match shard.poll_requests(to) {
                Some(batch) if lane.requests.len() < LANE_ROOM => lane.requests.push_back(batch),
                Some(batch) => shard.restore_requests(to, batch),
                None => {}
            }
            match shard.poll_deliveries(to) {
                Some(batch) if lane.deliveries.len() < LANE_ROOM => lane.deliveries.push_back(batch),
                Some(batch) => shard.restore_deliveries(to, batch),
                None => {}
            }
        }
    }

    fn flush(&mut self, core: usize) {
        assert!(self.cores[core].poll_event().is_none(), "nobody speaks HTTP, and everybody reads");
        while let Some(id) = self.cores[core].poll_flush() {
            let output = self.cores[core].output(id).to_vec();
            let number = id.slot as usize;
            if self.publishers[number].id == Some(id) {
                self.publishers[number].heard.extend_from_slice(&output);
            }
            self.cores[core].wrote(id, output.len());
            self.hear(number);
        }
    }

    fn hear(&mut self, number: usize) {
        while let Some(said) = next_frame(&mut self.publishers[number].heard) {
            match said["type"].as_str().expect("a type") {
                "subscribed" => {}
                "message" => self.witness(&said),
                "gap" => self.miss(&said),
                "tick" => {
                    _ = self
                        .ticks
                        .hear_tick(said["count"].as_u64().expect("a count") as usize, &self.together);
                }
                _ => self.answered(number, &said),
            }
        }
    }

    fn witness(&mut self, said: &Value) {
        let topic = said["topic"].as_str().expect("a topic");
        let offset = said["offset"].as_u64().expect("an offset");
        let payload = said["data"].as_u64().expect("a payload");
        self.truth.learn(topic, offset, payload);
        self.truth.seen.insert(payload);
        self.ticks.hear_message(payload);
        let last = self.witnessed.insert(topic.to_owned(), offset);
        assert!(last.is_none_or(|last| last < offset), "{topic} goes back to {offset}");
    }

    fn miss(&mut self, said: &Value) {
        let topic = said["topic"].as_str().expect("a topic");
        let (from, to) = (said["from"].as_u64().expect("from"), said["to"].as_u64().expect("to"));
        self.ticks.hear_other();
        self.truth.missing.extend((from..=to).map(|offset| (topic.to_owned(), offset)));
        self.witnessed.insert(topic.to_owned(), to);
    }

    fn answered(&mut self, number: usize, said: &Value) {
        let id = said["id"].as_u64().unwrap_or_else(|| panic!("an answer to nobody: {said}"));
        let asked = self.publishers[number].unanswered.remove(&id);
        let Asked { attempts, atomic } = asked.unwrap_or_else(|| panic!("answered twice: {said}"));
        let results = said["results"].as_array().cloned().unwrap_or_else(|| vec![said.clone()]);
        assert_eq!(results.len(), attempts.len(), "{said}");
        let are_published = results.iter().filter(|result| result.get("offset").is_some()).count();
        assert!(!atomic || are_published == 0 || are_published == attempts.len(), "half of {said}");
        for (attempt, result) in attempts.iter().zip(&results) {
            self.told(attempt, result, atomic);
        }
    }

    fn told(&mut self, attempt: &Attempt, result: &Value, atomic: bool) {
        let &Attempt { topic, payload, expects, .. } = attempt;
        if let Some(offset) = result["offset"].as_u64() {
            self.truth.learn(topic, offset, payload);
            self.truth.published.insert(payload);
            // What an atomic batch expects is held against what was before it.
            let follows = TOPICS[GAME].contains(&topic) || expects.is_none_or(|before| offset == before + 1);
            assert!(follows, "{payload} is at {offset} of {topic}, and expects {expects:?}");
            return;
        }
        let code = result["code"].as_str().unwrap_or_else(|| panic!("neither: {result}"));
        match code {
            "moved_on" => assert!(expects.is_some(), "it expects nothing"),
            "aborted" => assert!(atomic, "nothing to do with others"),
            _ => assert_eq!(code, "unavailable"),
        }
    }

    /// Everything on its way arrives.
    fn settle(&mut self) {
        self.frozen = None;
        let is_quiet = |lane: &Lane| lane.requests.is_empty() && lane.deliveries.is_empty();
        for _ in 0..20 * (1 + LANE_ROOM) {
            (0..self.cores.len()).for_each(|core| self.turn(core));
        }
        assert!(self.lanes.iter().flatten().all(is_quiet), "it never comes to rest");
    }
}

fn settings() -> Settings {
    let message_ids = Some(MessageIdLimits { max: usize::MAX, max_age_ms: u64::MAX });
    let rule = |matches: &str, settings| TopicRule {
        matches: TopicOrPattern::parse(matches).expect("a pattern"),
        settings,
    };
    let forgets = TopicSettings { last_value: false, ..TopicSettings::default() };
    let knows = TopicSettings { message_ids, ..forgets.clone() };
    let topics = vec![
        rule("known.>", knows.clone()),
        rule("game.>", TopicSettings { atomic: true, ..knows }),
        rule("brief.>", forgets),
    ];
    Settings { topics, backlog_bytes: usize::MAX, ..Settings::default() }
}

fn command_of(attempt: &Attempt) -> Value {
    let &Attempt { topic, payload, has_id, expects } = attempt;
    let mut command = json!({"type": "publish", "topic": topic, "data": payload});
    if has_id {
        command["message_id"] = payload.to_string().into();
    }
    if let Some(offset) = expects {
        command["expect"] = json!({"epoch": EPOCH, "offset": offset});
    }
    command
}

/// Takes the first frame off, which is text and not masked.
fn next_frame(heard: &mut Vec<u8>) -> Option<Value> {
    let (header, length) = match *heard.as_slice() {
        [_, 126, high, low, ..] => (4, usize::from(u16::from_be_bytes([high, low]))),
        [_, length @ ..=125, ..] => (2, usize::from(length)),
        [] => return None,
        _ => panic!("a frame that is cut, or larger than anything said here"),
    };
    let said = serde_json::from_slice(&heard[header..header + length]).expect("JSON");
    heard.drain(..header + length);
    Some(said)
}

#[test]
fn every_publish_is_carried_out_once_or_refused() {
    crate::for_each_seed("every_publish", |seed| World::new(seed).run());
}
