//! The cores of one broker, the lanes between them, and its peers.

use std::collections::VecDeque;
use std::sync::Arc;

use fanwire_broker::batches::Outcome;
use fanwire_broker::topic_table::{Placement, Polled};
use fanwire_broker::{
    self as broker, Backlog, ConnectionId, Delivery, Event, Identity, Message, Now, Settings, Shard,
};
use fanwire_wire::topic::Topic;

use crate::json::Command;
use crate::operation::{Operation, Start};
use crate::peer::{Peer, Request, Speaks, payload_of};
use crate::settings::{EPOCH, TARGETS, TOPICS, settings};
use crate::truth::Truth;

const MAX_CORES: usize = 4;
const MAX_PEERS: usize = 16;

pub struct Broker {
    pub cores: Vec<Core>,
    pub peers: Vec<Peer>,
    pub truth: Truth,
    pub settings: Arc<Settings>,
    pub now: Now,
    pub last_id: u64,
    pub stopped: bool,
    /// What connections would say and hear in JSON is in octets.
    pub octets: bool,
}

pub struct Core {
    pub shard: Shard,
    /// By the core that they are from.
    pub requests: Vec<VecDeque<broker::Request>>,
    pub deliveries: Vec<VecDeque<Delivery>>,
    pub slots: Slots,
}

/// Slots are used again in the turn after they were freed.
#[derive(Default)]
pub struct Slots {
    free: Vec<ConnectionId>,
    pub freed_this_turn: Vec<ConnectionId>,
    used: u32,
}

impl Slots {
    pub fn take(&mut self) -> ConnectionId {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            ConnectionId { slot: self.used - 1, generation: 0 }
        })
    }

    pub fn next_turn(&mut self) {
        let next = |id: ConnectionId| ConnectionId { generation: id.generation + 1, ..id };
        self.free.extend(self.freed_this_turn.drain(..).map(next));
    }
}

impl Broker {
    pub fn new(cores: u8, hash_key: u8, octets: bool) -> Self {
        let count = 1 + usize::from(cores) % MAX_CORES;
        let identity = Identity { epoch: EPOCH.into(), hash_keys: [hash_key.into(), 1, 2, 3] };
        let settings = Arc::new(settings());
        let core = |core| Core {
            shard: Shard::new(core, count, &identity, settings.clone()),
            requests: (0..count).map(|_| VecDeque::new()).collect(),
            deliveries: (0..count).map(|_| VecDeque::new()).collect(),
            slots: Slots::default(),
        };
        Self {
            cores: (0..count).map(core).collect(),
            peers: Vec::new(),
            truth: Truth::default(),
            settings,
            now: Now { monotonic_ms: 1, wall_ms: 1_795_291_200_000 },
            last_id: 0,
            stopped: false,
            octets,
        }
    }

    pub fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Connect { core, window } => {
                if self.peers.iter().filter(|peer| !peer.is_gone).count() < MAX_PEERS {
                    self.connect(self.core(core), 1 + usize::from(window) * 16);
                }
            }
            Operation::Turn { core, pause_ms, wall_ms } => {
                self.now.monotonic_ms += u64::from(pause_ms);
                self.now.wall_ms = self.now.wall_ms.saturating_add_signed(wall_ms.into());
                self.turn(self.core(core));
            }
            Operation::HandOver { core, full } => _ = self.hand_over(self.core(core), full),
            Operation::TakeRequests { core, from, times } => {
                let (core, from) = (self.core(core), self.core(from));
                _ = self.take_requests(core, from, times.into());
            }
            Operation::TakeDeliveries { core, from, times } => {
                let (core, from) = (self.core(core), self.core(from));
                _ = self.take_deliveries(core, from, times.into());
            }
            Operation::Flush { core, times, bytes } => {
                _ = self.flush(self.core(core), times.into(), 1 + usize::from(bytes) * 4);
            }
            Operation::Stop => {
                self.stopped = true;
                for core in 0..self.cores.len() {
                    self.call(core, Shard::stop);
                }
            }
            operation => self.act(operation),
        }
    }

    /// What a peer does, or what is done to it.
    fn act(&mut self, operation: Operation) {
        match operation {
            Operation::UpgradeJson { peer, deflate } => {
                self.on(peer, |this, peer| this.upgrade_json(peer, deflate));
            }
            Operation::UpgradeRaw { peer, topic, start, deflate } => {
                self.on(peer, |this, peer| this.upgrade_raw(peer, of(TOPICS, topic), start, deflate));
            }
            Operation::Disconnect { peer } => self.on(peer, Self::disconnect),
            Operation::Close { peer, keep_backlog } => self.on(peer, |this, peer| {
                if !matches!(this.peers[peer].speaks, Speaks::Http(_)) {
                    this.close(peer, if keep_backlog { Backlog::Keep } else { Backlog::Drop });
                }
            }),
            Operation::Publish { peer, said, times, echo } => self.on(peer, |this, peer| {
                (0..=times % 8).for_each(|_| this.publish(peer, said, echo));
            }),
            Operation::PublishBatch { peer, said, count, atomic, echo } => self.on(peer, |this, peer| {
                this.publish_batch(peer, &said[..=usize::from(count) % said.len()], atomic, echo);
            }),
            Operation::Latest { peer, topic } => {
                self.on(peer, |this, peer| this.latest(peer, of(TOPICS, topic)));
            }
            Operation::UpgradeStream { peer, topic, start } => {
                self.on(peer, |this, peer| this.upgrade_stream(peer, of(TOPICS, topic), start));
            }
            Operation::Poll { peer, topic, start, waits } => {
                self.on(peer, |this, peer| this.poll(peer, of(TOPICS, topic), start, waits));
            }
            Operation::EndPoll { peer } => self.on(peer, Self::end_poll),
            Operation::Read { peer, bytes } => {
                self.on(peer, |this, peer| _ = this.read(peer, bytes.into()));
            }
            operation => self.say(operation),
        }
    }

    /// What a peer asks for by a command.
    fn say(&mut self, operation: Operation) {
        match operation {
            Operation::Subscribe { peer, target, count, start, overflow, snapshot } => {
                self.on(peer, |this, peer| {
                    let names = TARGETS.iter().cycle().skip(usize::from(target) % TARGETS.len());
                    let names: Vec<&str> =
                        names.take(1 + usize::from(count) % TARGETS.len()).copied().collect();
                    this.subscribe(peer, &names, start, overflow, snapshot);
                });
            }
            Operation::Recover { peer, topic, start } => self.on(peer, |this, peer| {
                let name = of(TOPICS, topic).to_owned();
                let start =
                    if matches!(start, Start::Now | Start::Last(_)) { Start::Earliest } else { start };
                let fields = format!(r#""type":"recover","topic":"{name}"{}"#, this.since(&name, start));
                this.command(peer, &fields, Command::Recover(name));
            }),
            Operation::Unsubscribe { peer, target } => self.on(peer, |this, peer| {
                let name = of(&TARGETS, target).to_owned();
                this.command(
                    peer,
                    &format!(r#""type":"unsubscribe","topic":"{name}""#),
                    Command::Unsubscribe(name),
                );
            }),
            Operation::Ping { peer } => {
                self.on(peer, |this, peer| this.command(peer, r#""type":"ping""#, Command::Ping));
            }
            _ => unreachable!("the rest is no command"),
        }
    }

    fn core(&self, number: u8) -> usize {
        usize::from(number) % self.cores.len()
    }

    /// Does something with the peer of this number, if there is any.
    fn on(&mut self, number: u8, work: impl FnOnce(&mut Self, usize)) {
        if let Some(peer) = usize::from(number).checked_rem(self.peers.len()) {
            work(self, peer);
        }
    }

    /// One call, and what its events ask for.
    pub fn call<R>(&mut self, core: usize, call: impl FnOnce(&mut Shard) -> R) -> R {
        let result = call(&mut self.cores[core].shard);
        while let Some(event) = self.cores[core].shard.poll_event() {
            self.event(core, event);
        }
        result
    }

    /// Does what the server does for an event.
    pub fn event(&mut self, core: usize, event: Event) {
        match event {
            Event::Subscribed { connection, placement } => self.subscribed(core, connection, placement),
            Event::Published { connection, offset } => {
                let peer = self.owner(core, connection).expect("an answer to a stranger");
                let Some(Request::Publish(topic, payload)) = self.take_request(peer) else {
                    panic!("unasked")
                };
                self.truth.learn_receipt(&topic, offset, payload);
            }
            Event::PublishedBatch { connection, outcomes } => {
                let peer = self.owner(core, connection).expect("an answer to a stranger");
                let Some(Request::PublishBatch(batch)) = self.take_request(peer) else { panic!("unasked") };
                let outcome = |outcome: Outcome| outcome.map_err(|refused| refused.code.as_str().to_owned());
                batch.learn(outcomes.into_iter().map(outcome), &mut self.truth);
            }
            Event::Latest { connection, latest } => {
                let Some(peer) = self.owner(core, connection) else { return };
                let Some(Request::Latest(topic)) = self.take_request(peer) else { panic!("unasked") };
                if let Some(message) = latest.message {
                    self.learn_latest(&topic, &message);
                }
            }
            Event::Polled { connection, polled } => {
                let peer = self.owner(core, connection).expect("an answer to a stranger");
                let Some(Request::Poll(topic)) = self.take_request(peer) else { panic!("unasked") };
                self.learn_polled(&topic, &polled);
            }
            Event::Refused { connection, .. } => {
                let Some(peer) = self.owner(core, connection) else { return };
                match &self.peers[peer].speaks {
                    Speaks::Http(_) => drop(self.take_request(peer).expect("an answer to a question")),
                    Speaks::Raw { .. } | Speaks::Stream { .. } => self.close(peer, Backlog::Drop),
                    Speaks::Json(_) => panic!("JSON connections are told in JSON"),
                }
            }
            Event::Authenticate { .. } => panic!("nobody says who it is"),
            Event::SlowConsumer { connection, reason } => {
                assert!(!reason.is_empty());
                // One that has gone may have been given its last in the call that it went with.
                let Some(peer) = self.owner(core, connection) else { return };
                self.close(peer, Backlog::Drop);
            }
        }
    }

    fn subscribed(&mut self, core: usize, connection: ConnectionId, placement: Placement) {
        let peer = self.owner(core, connection).expect("an answer to a stranger");
        let shard = &mut self.cores[core].shard;
        match &mut self.peers[peer].speaks {
            Speaks::Stream { topic, .. } => {
                shard.begin_stream(connection, &Topic::parse(topic).expect("a topic"), placement);
            }
            Speaks::Raw { subscribed, .. } => {
                assert!(!std::mem::replace(subscribed, true), "a second answer");
                if placement.recovered == Some(false) {
                    self.close(peer, Backlog::Keep);
                } else {
                    shard.reply(connection, format!("{}\n", placement.offset).as_bytes());
                }
            }
            Speaks::Http(_) | Speaks::Json(_) => panic!("that did not subscribe by itself"),
        }
    }

    fn learn_latest(&mut self, topic: &str, message: &Message) {
        assert_eq!(&*message.topic, topic);
        let text = str::from_utf8(&message.payload).expect("text");
        self.truth.learn(topic, message.offset, payload_of(text));
    }

    /// A gap, and messages one after the other, up to the position that is told.
    fn learn_polled(&mut self, topic: &str, polled: &Polled) {
        let mut next = polled.gap.map(|(from, to)| {
            assert!(from <= to, "a gap of nothing in {topic}");
            to + 1
        });
        for message in &polled.messages {
            self.learn_latest(topic, message);
            assert!(next.is_none_or(|next| next == message.offset), "a hole in a poll of {topic}");
            next = Some(message.offset + 1);
        }
        assert!(next.is_none_or(|next| next == polled.offset + 1), "a poll of {topic} ends elsewhere");
    }

    fn take_request(&mut self, peer: usize) -> Option<Request> {
        let Speaks::Http(request) = &mut self.peers[peer].speaks else { panic!("not HTTP") };
        request.take()
    }

    /// The peer that has the connection now.
    pub fn owner(&self, core: usize, connection: ConnectionId) -> Option<usize> {
        let is_owner = |peer: &Peer| peer.core == core && peer.connection == connection && !peer.is_gone;
        self.peers.iter().position(is_owner)
    }
}

pub fn of<'a>(names: &[&'a str], number: u8) -> &'a str {
    names[usize::from(number) % names.len()]
}
