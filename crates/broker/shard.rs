//! One core's routing state, as a state machine.
//!
//! | what | module |
//! |---|---|
//! | connections come, go, and may do this and that | `connecting`, `permitting` |
//! | what they ask for | `commands`, `publishing`, `polling` |
//! | a home carries it out | `home`, `polling`, `snapshots`, `ticks` |
//! | what homes answer | `answers`, `polling`, `snapshots` |
//! | messages, to those whom they are for | `fan_out`, `ticks` |
//! | what each has, to its socket | `flush` |
//! | what the server has to see to | `event` |
//! | from core to core | `handing_over`, `stall` |
//! | when memory is short | `pressing` |
//! | the end | `stopping` |

mod answers;
mod commands;
mod connecting;
mod event;
mod fan_out;
mod flush;
mod handing_over;
mod home;
mod permitting;
mod polling;
mod pressing;
mod publishing;
mod snapshots;
mod stall;
mod stopping;
mod ticks;

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::HashMap;
use fanwire_wire::topic::Topic;

pub use self::connecting::Backlog;
pub use self::event::Event;
use self::fan_out::Run;
use self::polling::{Answers, Poll};
pub use self::publishing::{Drafts, drafts_of};
use self::snapshots::PARTS_PER_TURN;
use self::stopping::Stopping;
use crate::batches::Batches;
use crate::connections::Connections;
use crate::homes::Homes;
use crate::lanes::{Delivery, Request};
use crate::outbox::Outbox;
use crate::pressure::{Pressure, Pressures};
use crate::settings::Settings;
use crate::subscriptions::Subscriptions;
use crate::topic_table::{SWEEP_EVERY_MS, TopicTable};

/// The most cores of a broker: a set of them is 64 bits.
pub const MAX_CORES: usize = 64;

/// One core's routing state: the home of its share of the topics, and the subscriptions of its connections.
///
/// # The contract
///
/// - **Time** is told by [`begin_turn`](Self::begin_turn), once per turn, and by nothing else.
/// - **In**: connections by [`connect`](Self::connect), [`upgrade`](Self::upgrade) and
///   [`disconnect`](Self::disconnect); who they are and what they may do, which is nothing before that, by
///   [`permit`](Self::permit); what they want by the functions that take a [`ConnectionId`](crate::ConnectionId); what
///   other cores send by [`handle_request`](Self::handle_request) and [`handle_delivery`](Self::handle_delivery), in the
///   order in which it was sent. A slot may be used again, with another generation, in the turn after its `disconnect`.
/// - **Events**: after each of these calls [`poll_event`](Self::poll_event) is called until it returns `None`, before
///   the next of them. What answers an event comes before anything that the connection is sent later. One about a
///   connection that has just been disconnected asks for nothing.
/// - **Answers** to polls that have waited, by [`poll_answer`](Self::poll_answer), which is called in each turn ahead of
///   the flush until it returns `None`. One message may answer more of them than there is room for at a time.
/// - **Out to cores**: [`poll_requests`](Self::poll_requests) and [`poll_deliveries`](Self::poll_deliveries) give one
///   batch for each other core. A batch that the mailbox has no room for is given back at once.
/// - **Out to sockets**: [`poll_flush`](Self::poll_flush) names a connection, [`output`](Self::output) is what to write,
///   [`wrote`](Self::wrote) takes how much the socket took; no other call comes between the three. The events of a
///   flush may wait until it ends: each is about a connection that is given nothing more.
/// - **Backpressure**: before a socket is read, [`may_read`](Self::may_read) and
///   [`may_read_from`](Self::may_read_from) are asked; before a request or delivery is taken,
///   [`may_take_requests`](Self::may_take_requests) or [`may_take_deliveries`](Self::may_take_deliveries). Deliveries
///   never wait for another core: handling one puts nothing into an outbox.
/// - **The end**: see [`stop`](Self::stop).
///
/// Calls about a connection that is not connected (any more) do nothing.
#[derive(Debug)]
pub struct Shard {
    core: usize,
    now: Now,
    epoch: Arc<str>,
    homes: Homes,
    settings: Arc<Settings>,
    table: TopicTable,
    sweep_at_ms: u64,
    subscriptions: Subscriptions,
    connections: Connections,
    /// Messages of one topic, encoded but not yet fanned out.
    run: Option<Run>,
    runs: u64,
    /// By core; this one's own stay empty.
    requests: Vec<Outbox<Request>>,
    deliveries: Vec<Outbox<Delivery>>,
    events: VecDeque<Event>,
    /// The batches of connections that were not answered yet.
    batches: Batches,
    /// The polls of connections that were not answered yet, by slot.
    polls: HashMap<u32, Poll>,
    /// What those are to be told that a message has come for.
    answers: Answers,
    /// How many more parts of patterns' snapshots may be asked for in this turn.
    parts_left: u32,
    stopping: Stopping,
    pressures: Pressures,
    /// When the histories are to be halved again, under pressure.
    halve_at_ms: u64,
    deliveries_made: u64,
    messages_published: u64,
}

/// The time of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// A clock that only goes forward, in milliseconds.
    pub monotonic_ms: u64,
    /// Since the Unix epoch, in milliseconds.
    pub wall_ms: u64,
}

/// What the cores of one broker have in common. Made anew at every start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Names the broker's run: at least 64 random bits, as text.
    pub epoch: Arc<str>,
    /// The random key of the hash that gives each topic its home, so that nobody can aim at one core.
    pub hash_keys: [u64; 4],
}

/// What the shard has counted, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages given to connections: one for each message and subscriber.
    pub deliveries: u64,
    /// Messages that connections were told of by count alone: newer ones took their place, or they were too old.
    pub messages_skipped: u64,
    /// Messages that topics at home here have taken.
    pub messages_published: u64,
    /// What the write queues hold, in bytes.
    pub backlog_bytes: u64,
    /// The replies that write queues hold besides that, and the rest of what sockets have taken a part of, in bytes.
    pub reply_bytes: u64,
    /// Frames that were compressed, each for as many connections as could share it.
    pub compressions: u64,
    /// What histories, last values and message ids hold, in bytes.
    pub kept_bytes: u64,
    /// Topics at home here.
    pub topics: u64,
    /// Subscriptions of connections here.
    pub subscriptions: u64,
    /// Connections here that are event streams.
    pub event_streams: u64,
    /// Polls of connections here that wait for their answer.
    pub polls: u64,
}

impl Shard {
    /// The state of core number `core` of `cores`, which is between 1 and [`MAX_CORES`].
    pub fn new(core: usize, cores: usize, identity: &Identity, settings: Arc<Settings>) -> Self {
        assert!(core < cores && cores <= MAX_CORES, "core {core} of {cores}");
        Self {
            core,
            now: Now::default(),
            epoch: identity.epoch.clone(),
            homes: Homes::new(identity.hash_keys, settings.clone(), cores),
            table: TopicTable::new(identity.epoch.clone(), settings.clone(), core, cores),
            sweep_at_ms: 0,
            subscriptions: Subscriptions::default(),
            connections: Connections::new(identity.epoch.clone(), settings.deflate_above_bytes),
            settings,
            run: None,
            runs: 0,
            requests: std::iter::repeat_with(Outbox::default).take(cores).collect(),
            deliveries: std::iter::repeat_with(Outbox::default).take(cores).collect(),
            events: VecDeque::new(),
            batches: Batches::default(),
            polls: HashMap::default(),
            answers: Answers::default(),
            parts_left: PARTS_PER_TURN,
            stopping: Stopping::default(),
            pressures: Pressures::default(),
            halve_at_ms: 0,
            deliveries_made: 0,
            messages_published: 0,
        }
    }

    /// The identity of the broker's run.
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The core that the topic's row is on.
    fn home_of(&self, topic: &Topic) -> usize {
        self.homes.home_of(topic)
    }

    /// All cores, one bit each.
    fn every_core(&self) -> u64 {
        u64::MAX >> (MAX_CORES - self.cores())
    }

    /// Which core this is.
    pub fn core(&self) -> usize {
        self.core
    }

    /// How many cores the broker has.
    pub fn cores(&self) -> usize {
        self.homes.cores()
    }

    /// Tells the time of the turn, lets go what has become too old, and stops waiting for cores that have stalled.
    pub fn begin_turn(&mut self, now: Now) {
        self.now = now;
        self.allow_parts();
        if self.table.ages() && now.monotonic_ms >= self.sweep_at_ms {
            self.table.sweep(now.monotonic_ms);
            self.sweep_at_ms = now.monotonic_ms + SWEEP_EVERY_MS;
        }
        self.give_up_on_stalled_cores();
        self.ease();
    }

    /// When [`Self::begin_turn`] has something to do even if nothing comes in, on the monotonic clock.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        let after_ms = self.settings.stalled_after_ms;
        let stalls = self.requests.iter().filter_map(|outbox| outbox.gives_up_at_ms(after_ms));
        let stalls =
            stalls.chain(self.deliveries.iter().filter_map(|outbox| outbox.gives_up_at_ms(after_ms)));
        let eases_at_ms = (self.pressures.histories > Pressure::None).then_some(self.halve_at_ms);
        stalls.chain(self.table.ages().then_some(self.sweep_at_ms)).chain(eases_at_ms).min()
    }

    /// What the server has to see to. Empty it after every call, and after a flush.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What was counted since the start, and what is held now.
    pub fn counters(&self) -> Counters {
        Counters {
            deliveries: self.deliveries_made,
            messages_skipped: self.connections.messages_skipped(),
            messages_published: self.messages_published,
            backlog_bytes: self.connections.backlog_bytes() as u64,
            reply_bytes: self.connections.certain_bytes() as u64,
            compressions: self.connections.palette.encoder.compressions(),
            kept_bytes: self.table.kept_bytes() as u64,
            topics: self.table.len() as u64,
            subscriptions: self.subscriptions.len() as u64,
            event_streams: self.connections.event_streams() as u64,
            polls: self.polls.len() as u64,
        }
    }
}
