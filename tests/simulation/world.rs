//! Cores, clients and a clock, driven by chance.

use std::sync::Arc;

use fanwire::mailbox::mailboxes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{MaxAge, TopicRule, TopicSettings};
use fanwire_broker::{
    self as broker, Backlog, Encoding, Identity, Interface, Message, Now, Permissions, Settings, Shard,
};
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::Position;
use fanwire_wire::topic::{Topic, TopicOrPattern};

use crate::binary::Numbers;
use crate::client::{Asks, Client, Speaks, Start};
use crate::core::{Alarm, Core, Readiness};
use crate::follower::{Followed, Poller, Stream};
use crate::random::Random;
use crate::socket::{Compression, Socket};
use crate::truth::Truth;
use crate::watcher::Watcher;

pub(crate) const MAX_CORES: usize = 8;
const MAX_CLIENTS: usize = 12;
/// From a few messages to more than a chunk and an outbox hold together.
const BACKLOG_BYTES: [usize; 3] = [400, 800, 2_000];
const CHUNK_BYTES: usize = 700;
/// A payload is a number, and there is a key.
const MAX_PAYLOAD_BYTES: usize = 10;
const OUTBOX_BYTES: usize = 3_000;
const HISTORY_MESSAGES: usize = 12;
/// Everything is compressed where that was agreed on, or some of it.
const DEFLATE_ABOVE_BYTES: [usize; 2] = [0, 80];
pub(crate) const EPOCH: &str = "5eed5eed5eed5eed";

/// `history` and `ageing` keep messages; `none` keeps nothing and is forgotten; `last` keeps one. `feed`, `fresh` and
/// `brief` conflate; what is old is skipped on `fresh`, `brief` and `stale`.
#[rustfmt::skip]
pub(crate) const TOPICS: [&str; 15] = [
    "history.a", "history.b", "ageing.a", "none.a", "none.b", "none.c", "last.a", "strict.a", "feed.a", "feed.b",
    "fresh.a", "brief.a", "stale.a", "keyed.a", "keyed.b",
];
/// Those that keep last values, of which snapshots are made: `keyed` of each key.
#[rustfmt::skip]
pub(crate) const KEEPS_VALUES: [&str; 9] = [
    "history.a", "history.b", "last.a", "feed.a", "feed.b", "fresh.a", "stale.a", "keyed.a", "keyed.b",
];
const PATTERNS: [&str; 6] = ["history.*", "none.>", "*.a", ">", "feed.>", "brief.*"];
/// Snapshots of these are whole.
const EVERY_KEY: KeyLimits = KeyLimits { max: usize::MAX, bytes: usize::MAX };
/// Some turns.
const MAX_AGE_MS: u64 = 15;

pub(crate) struct World {
    random: Random,
    cores: Vec<Core>,
    clients: Vec<Client>,
    truth: Truth,
    now: Now,
    backlog_bytes: usize,
    settings: Arc<Settings>,
    /// A core that is not given a turn, until then.
    frozen: Option<(usize, usize)>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let cores = 1 + random.below(MAX_CORES);
        let identity = Identity {
            epoch: EPOCH.into(),
            hash_keys: [random.next(), random.next(), random.next(), random.next()],
        };
        let backlog_bytes = *random.pick(&BACKLOG_BYTES);
        let deflate_above_bytes = *random.pick(&DEFLATE_ABOVE_BYTES);
        let settings = Arc::new(Settings { deflate_above_bytes, ..settings(backlog_bytes) });
        let alarms: Vec<Arc<Alarm>> = (0..cores).map(|_| Arc::default()).collect();
        let shard = |core| Shard::new(core, cores, &identity, settings.clone());
        let ends = mailboxes(alarms.clone()).into_iter().zip(alarms);
        let cores =
            ends.enumerate().map(|(core, (mailbox, alarm))| Core::new(shard(core), mailbox, alarm)).collect();
        let now = Now { monotonic_ms: 1, wall_ms: 1_795_291_200_000 };
        Self {
            random,
            cores,
            clients: Vec::new(),
            truth: Truth::default(),
            now,
            backlog_bytes,
            settings,
            frozen: None,
        }
    }

    /// One run: chance for so many steps, then quiet, then the sum.
    pub(crate) fn run(mut self, steps: usize) {
        for step in 0..steps {
            self.step(step);
        }
        self.settle();
        self.publish_on(&TOPICS);
        self.settle();
        self.poll_all(false);
        self.settle();
        self.truth.assert_publishers_order();
        for client in self.clients.iter_mut().filter(|client| client.socket.open) {
            client.assert_complete(&mut self.truth);
        }
        self.stop();
    }

    fn step(&mut self, step: usize) {
        match self.random.below(40) {
            0..=3 => self.connect(),
            4 if !self.clients.is_empty() => self.die(),
            5 => self.now.monotonic_ms += 700,
            6 => {
                self.now.monotonic_ms += 3_600_000 * self.random.below(2) as u64;
                let back = self.random.one_in(2);
                self.now.wall_ms =
                    if back { self.now.wall_ms - 3_600_000 } else { self.now.wall_ms + 3_600_000 };
            }
            7 if self.frozen.is_none_or(|(_, until)| until <= step) => self.freeze(step),
            7 => {}
            8..=19 => self.act(),
            20..=27 => self.listen(),
            _ => self.turn(step),
        }
    }

    /// A core is late; one in four for so long that the others stop waiting for it.
    fn freeze(&mut self, step: usize) {
        let steps = if self.random.one_in(2) { 800 } else { 120 };
        self.frozen = Some((self.random.below(self.cores.len()), step + self.random.below(steps)));
    }

    fn connect(&mut self) {
        if self.clients.iter().filter(|client| client.socket.open).count() >= MAX_CLIENTS {
            return;
        }
        let core = self.random.below(self.cores.len());
        let window = 100 + self.random.below(3) * 2_000;
        let speaks = match self.random.below(9) {
            8 => {
                let targets: &[&str] = if self.random.one_in(2) { &PATTERNS } else { &KEEPS_VALUES };
                let target = targets[self.random.below(targets.len())];
                Speaks::Watcher(Watcher::new(target))
            }
            0 | 1 => {
                let topic = (*self.random.pick(&TOPICS)).to_owned();
                Speaks::Raw { topic, begins_after: None, payloads: Vec::new() }
            }
            2 => Speaks::Stream(Stream::new(self.followed())),
            3 => Speaks::Poller(Poller::new(self.followed())),
            4 | 5 => Speaks::Binary(Numbers::default()),
            _ => Speaks::Json,
        };
        self.connect_to(core, window, speaks);
    }

    /// What somebody has who comes to follow a topic, or comes back with what a follower had.
    fn followed(&mut self) -> Followed {
        let followed = |client: &Client| match &client.speaks {
            Speaks::Stream(Stream { followed, .. }) | Speaks::Poller(Poller { followed, .. }) => {
                Some(followed.clone())
            }
            Speaks::Json | Speaks::Binary(_) | Speaks::Raw { .. } | Speaks::Watcher(_) => None,
        };
        let before: Vec<Followed> = self.clients.iter().filter_map(followed).collect();
        if !before.is_empty() && self.random.one_in(2) {
            return self.random.pick(&before).clone();
        }
        let topic = (*self.random.pick(&TOPICS)).to_owned();
        let offset = self.truth.last_offset(&topic).saturating_sub(self.random.below(16) as u64);
        let (next, start) = match self.random.below(5) {
            0 => (None, broker::Start::Now),
            1 => (None, broker::Start::Earliest),
            2 => (None, broker::Start::Last(3)),
            3 => (None, broker::Start::After(Position { epoch: "another".into(), offset })),
            _ => (Some(offset + 1), broker::Start::Now),
        };
        Followed { topic, next, start }
    }

    fn compression(&mut self, speaks: &Speaks) -> Compression {
        if matches!(speaks, Speaks::Stream(_) | Speaks::Poller(_)) {
            return Compression::None;
        }
        let window_bits = *self.random.pick(&[9, 15]);
        match self.random.below(3) {
            0 => Compression::None,
            1 => Compression::Shared(window_bits),
            _ => Compression::Own(window_bits),
        }
    }

    fn connect_to(&mut self, core: usize, window: usize, speaks: Speaks) {
        let compression = self.compression(&speaks);
        let Core { shard, slots, .. } = &mut self.cores[core];
        let id = slots.take();
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        let interface = match &speaks {
            Speaks::Json | Speaks::Watcher(_) => Some(Interface::Json),
            Speaks::Binary(_) => Some(Interface::Binary),
            Speaks::Raw { .. } => Some(Interface::Raw),
            Speaks::Stream(_) => Some(Interface::EventStream),
            Speaks::Poller(_) => None,
        };
        if let Some(interface) = interface {
            shard.upgrade(id, Encoding { interface, deflate_window_bits: compression.shared_window_bits() });
        }
        if let Compression::Own(bits) = compression {
            shard.keep_context(id, bits);
        }
        match &speaks {
            Speaks::Raw { topic, .. } => {
                shard.subscribe(id, Topic::parse(topic).expect("a topic"), broker::Start::Now);
            }
            Speaks::Stream(stream) => {
                let topic = Topic::parse(&stream.followed.topic).expect("a topic");
                shard.subscribe(id, topic, stream.start());
            }
            Speaks::Json | Speaks::Binary(_) | Speaks::Watcher(_) | Speaks::Poller(_) => {}
        }
        let number = self.clients.len();
        let command = if let Speaks::Watcher(watcher) = &speaks { Some(watcher.command()) } else { None };
        self.clients.push(Client::new(number, core, id, speaks, Socket::new(window, compression)));
        if let Some(command) = command {
            self.clients[number].outgoing.push_back(command);
            self.cores[core].readiness.push_back(Readiness::Readable(number));
        }
        // What the shard answers at once is seen to in the core's next turn, before anything else.
        self.cores[core].readiness.push_back(Readiness::Writable(number));
    }

    /// A connection is reset, at whatever point it is.
    fn die(&mut self) {
        let number = self.random.below(self.clients.len());
        let client = &mut self.clients[number];
        client.socket.open = false;
        if !std::mem::replace(&mut client.gone, true) {
            self.cores[client.core].readiness.push_back(Readiness::Gone(client.connection));
        }
    }

    /// Some client asks for something.
    fn act(&mut self) {
        let Some(number) = self.any_open() else { return };
        let topic = *self.random.pick(&TOPICS);
        let (choice, (start, since)) = (self.random.below(16), self.since(topic));
        let pattern = *self.random.pick(&PATTERNS);
        let asks = self.asks(if choice == 0 { pattern } else { topic });
        let client = &mut self.clients[number];
        match (&client.speaks, choice) {
            (Speaks::Raw { topic, .. }, _) => {
                let topic = topic.clone();
                client.publish(&topic, true, &mut self.truth);
            }
            (Speaks::Stream(_) | Speaks::Watcher(_), _) => return,
            (Speaks::Poller(Poller { has_asked: true, .. }), 0..=7) => {
                return self.cores[client.core].readiness.push_back(Readiness::TimeUp(number));
            }
            (Speaks::Poller(_), _) => client.poll(choice.is_multiple_of(2)),
            (_, 0) => client.subscribe_pattern(pattern, asks.as_ref()),
            (_, 1..=2) => client.unsubscribe(self.random.below(8)),
            (_, 3..=5) => client.subscribe(topic, Start::Now, "", asks.as_ref()),
            (_, 6..=8) => client.subscribe(topic, start, &since, asks.as_ref()),
            _ => {
                for _ in 0..=self.random.below(10) {
                    let echo = !self.random.one_in(4);
                    client.publish(topic, echo, &mut self.truth);
                }
            }
        }
        self.cores[self.clients[number].core].readiness.push_back(Readiness::Readable(number));
    }

    /// A policy to ask for, or none. One in three that are not allowed is asked for all the same.
    fn asks(&mut self, target: &str) -> Option<Asks> {
        let policy = *self.random.pick(&OverflowPolicy::ALL);
        let is_allowed = self.settings.allows(&TopicOrPattern::parse(target).expect("a pattern"), policy);
        let asks = self.random.one_in(2) && (is_allowed || self.random.one_in(3));
        asks.then_some(Asks { policy, is_allowed })
    }

    /// Somewhere to begin: the earliest, another epoch, or a place that this one has reached; and how to say so.
    fn since(&mut self, topic: &str) -> (Start, String) {
        match self.random.below(6) {
            0 => (Start::Held, r#","since":"earliest""#.to_owned()),
            1 => (Start::Held, r#","since":{"epoch":"another","offset":7}"#.to_owned()),
            _ => {
                let last = self.truth.last_offset(topic);
                let offset = last.saturating_sub(self.random.below(2 * HISTORY_MESSAGES) as u64);
                (Start::After(offset), format!(r#","since":{{"epoch":"{EPOCH}","offset":{offset}}}"#))
            }
        }
    }

    fn any_open(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.clients.len()).filter(|&n| self.clients[n].socket.open).collect();
        (!open.is_empty()).then(|| *self.random.pick(&open))
    }

    /// Some client reads a little.
    fn listen(&mut self) {
        if let Some(number) = self.any_open() {
            let bytes = 1 + self.random.below(600);
            self.read(number, bytes);
        }
    }

    fn read(&mut self, number: usize, bytes: usize) {
        let client = &mut self.clients[number];
        client.read(bytes, &mut self.truth);
        if std::mem::take(&mut client.socket.full) {
            self.cores[client.core].readiness.push_back(Readiness::Writable(number));
        }
    }

    fn turn(&mut self, step: usize) {
        let core = self.random.below(self.cores.len());
        if self.frozen.is_some_and(|(frozen, until)| frozen == core && step < until)
            || !self.cores[core].is_awake()
        {
            return;
        }
        self.now.monotonic_ms += self.random.below(3) as u64;
        self.cores[core].turn(self.now, &mut self.clients, &mut self.random);
        self.assert_bounded(core);
    }

    /// However slow the readers are, each holds its backlog, as much of gaps, a chunk of history
    /// and a message at most.
    fn assert_bounded(&self, core: usize) {
        let connections = self.clients.iter().filter(|client| client.core == core && !client.gone).count();
        let each = 2 * self.backlog_bytes + CHUNK_BYTES + 300;
        let held = self.cores[core].shard.counters().backlog_bytes as usize;
        assert!(held <= connections * each, "{held} bytes of backlog for {connections} connections");
    }

    /// Everybody reads, and cores that are awake have their turns, until nothing is left to do. Time stands still: what
    /// is asleep and has work stays asleep, and shows as an answer that never came.
    fn settle(&mut self) {
        self.frozen = None;
        for _ in 0..10_000 {
            let mut quiet = true;
            for number in 0..self.clients.len() {
                if !self.clients[number].socket.is_drained() {
                    self.read(number, usize::MAX);
                    quiet = false;
                }
            }
            quiet &= !self.turn_all() && !self.poll_on();
            if quiet {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Those who had news, or none because they were refused, ask again. Returns whether there was one.
    fn poll_on(&mut self) -> bool {
        let restless = |client: &Client| {
            client.socket.open
                && matches!(&client.speaks, Speaks::Poller(poller) if poller.is_restless && !poller.has_asked)
        };
        let restless: Vec<usize> = (0..self.clients.len()).filter(|&n| restless(&self.clients[n])).collect();
        for &number in &restless {
            self.poll(number, false);
        }
        !restless.is_empty()
    }

    /// Everybody who polls and has no answer to wait for asks.
    fn poll_all(&mut self, waits: bool) {
        (0..self.clients.len()).for_each(|number| self.poll(number, waits));
    }

    fn poll(&mut self, number: usize, waits: bool) {
        let client = &mut self.clients[number];
        client.poll(waits);
        self.cores[client.core].readiness.push_back(Readiness::Readable(number));
    }

    /// A turn for every core that is awake. Returns whether there was one.
    fn turn_all(&mut self) -> bool {
        let awake: Vec<usize> = (0..self.cores.len()).filter(|&core| self.cores[core].is_awake()).collect();
        for &core in &awake {
            self.cores[core].turn(self.now, &mut self.clients, &mut self.random);
        }
        !awake.is_empty()
    }

    /// One last message on each topic, so that whoever missed the end of one shows.
    fn publish_on(&mut self, topics: &[&str]) {
        self.connect_to(0, usize::MAX, Speaks::Json);
        let number = self.clients.len() - 1;
        for topic in topics {
            self.clients[number].publish(topic, true, &mut self.truth);
        }
        self.cores[0].readiness.push_back(Readiness::Readable(number));
    }

    /// The ordered shutdown, with as many messages on their way as a backlog holds: everybody gets them in front of
    /// the close frame, and every poll that waits for one is answered by it.
    fn stop(&mut self) {
        self.poll_all(true);
        self.settle();
        // Memory may be short for write queues: half is what they hold then.
        let most = self.backlog_bytes / 2 / (Message::OVERHEAD_BYTES + MAX_PAYLOAD_BYTES);
        self.publish_on(&TOPICS[..most.min(TOPICS.len())]);
        while self.clients.last().is_some_and(|publisher| !publisher.outgoing.is_empty()) {
            self.cores[0].turn(self.now, &mut self.clients, &mut self.random);
        }
        for core in &mut self.cores {
            core.shard.stop();
            core.readiness.push_back(Readiness::Stopping);
        }
        // Nobody reads meanwhile, so that there is something to be kept when they are closed.
        while self.turn_all() {}
        assert!(self.cores.iter().all(|core| core.shard.is_stopped()), "the shutdown never ends");
        let open: Vec<usize> = (0..self.clients.len()).filter(|&n| self.clients[n].socket.open).collect();
        for &number in &open {
            let Client { core, connection, speaks, .. } = &self.clients[number];
            let core = &mut self.cores[*core];
            if let Speaks::Poller(_) = speaks {
                core.shard.reply(*connection, format!("{}\n", Poller::STOPPING).as_bytes());
            } else {
                core.shard.close(*connection, CloseCode::GOING_AWAY, "", Backlog::Keep);
            }
            core.readiness.push_back(Readiness::Stopping);
        }
        self.settle();
        for number in open {
            assert!(!self.clients[number].socket.open, "a close frame that never came");
            self.clients[number].assert_complete(&mut self.truth);
        }
    }
}

fn settings(backlog_bytes: usize) -> Settings {
    let kept = HistoryLimits { messages: HISTORY_MESSAGES, bytes: usize::MAX, max_age_ms: None };
    let ageing = HistoryLimits { max_age_ms: Some(500), ..kept };
    let rule = |pattern: &str, settings| TopicRule {
        matches: TopicOrPattern::parse(pattern).expect("a pattern"),
        settings,
    };
    let of = |history, last_value, overflow: OverflowPolicy| TopicSettings {
        history,
        last_value,
        overflow,
        allow: OverflowPolicy::ALL.to_vec(),
        ..TopicSettings::default()
    };
    let max_age = |newest| Some(MaxAge { ms: MAX_AGE_MS, newest });
    let (gap, conflate) = (OverflowPolicy::Gap, OverflowPolicy::Conflate);
    Settings {
        topics: vec![
            rule("history.>", of(Some(kept), true, gap)),
            rule("ageing.>", of(Some(ageing), false, gap)),
            rule("none.>", of(None, false, gap)),
            rule("last.>", TopicSettings { allow: Vec::new(), ..of(None, true, gap) }),
            rule(
                "strict.>",
                TopicSettings { allow: Vec::new(), ..of(None, false, OverflowPolicy::Disconnect) },
            ),
            rule("feed.>", of(None, true, conflate)),
            rule("keyed.>", TopicSettings { keys: Some(EVERY_KEY), ..of(None, true, conflate) }),
            rule("fresh.>", TopicSettings { max_age: max_age(false), ..of(Some(kept), true, conflate) }),
            rule("brief.>", TopicSettings { max_age: max_age(true), ..of(None, false, conflate) }),
            rule("stale.>", TopicSettings { max_age: max_age(false), ..of(Some(kept), true, gap) }),
        ],
        backlog_bytes,
        chunk_bytes: CHUNK_BYTES,
        outbox_bytes: OUTBOX_BYTES,
        ..Settings::default()
    }
}
