//! One core's routing state, as a state machine.

mod answers;
mod commands;
mod fan_out;
mod flush;
mod home;
mod permitting;
mod polling;
mod pressing;
mod publishing;
mod snapshots;
mod stall;
mod ticks;

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::HashMap;
use fanwire_wire::close::{CloseCode, write_close};
use fanwire_wire::command::{CommandId, Token};
use fanwire_wire::event_stream::write_comment;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicOrPattern};

use self::fan_out::Run;
use self::polling::{Answers, Poll};
pub use self::publishing::{Drafts, drafts_of};
use self::snapshots::PARTS_PER_TURN;
use crate::batches::{Batches, Outcome, Refused};
use crate::connections::Connections;
use crate::encoder::{Encoding, Interface};
use crate::homes::Homes;
use crate::lanes::{ConnectionId, Delivery, Outbox, Request};
use crate::pressure::{Pressure, Pressures};
use crate::settings::Settings;
use crate::subscriptions::Subscriptions;
use crate::topic_table::{Latest, Placement, Polled, SWEEP_EVERY_MS, TopicTable};
use crate::write_queue::ReplyKind;

/// The most cores of a broker: a set of them is 64 bits.
pub const MAX_CORES: usize = 64;

/// Replies that a client has not read, in bytes, above which it is not read any further: enough for the receipts of a
/// pipelined burst of commands.
const MAX_UNREAD_REPLY_BYTES: usize = 256 * 1024;

/// One core's routing state: the home of its share of the topics, and the subscriptions of its connections.
///
/// # The contract
///
/// - **Time** is told by [`begin_turn`](Self::begin_turn), once per turn, and by nothing else.
/// - **In**: connections by [`connect`](Self::connect), [`upgrade`](Self::upgrade) and
///   [`disconnect`](Self::disconnect); who they are and what they may do, which is nothing before that, by
///   [`permit`](Self::permit); what they want by the functions that take a [`ConnectionId`]; what other cores
///   send by [`handle_request`](Self::handle_request) and [`handle_delivery`](Self::handle_delivery), in the order in
///   which it was sent. A slot may be used again, with another generation, in the turn after its `disconnect`.
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

/// Something that the server has to see to.
#[derive(Debug)]
pub enum Event {
    /// The subscription of a raw connection or event stream begins. With `recovered == Some(false)` a raw one has not
    /// begun: what was asked for is no longer held, and a raw subscriber cannot be told of a gap. An event stream is told
    /// by [`Shard::begin_stream`], behind its head.
    Subscribed {
        /// The connection.
        connection: ConnectionId,
        /// Where it begins.
        placement: Placement,
    },
    /// An HTTP publish has its offset.
    Published {
        /// The connection.
        connection: ConnectionId,
        /// The message's offset.
        offset: u64,
    },
    /// Each message of a batch that was published over HTTP has its outcome.
    PublishedBatch {
        /// The connection.
        connection: ConnectionId,
        /// What became of the messages, in their order.
        outcomes: Vec<Outcome>,
    },
    /// The latest message that was asked for.
    Latest {
        /// The connection.
        connection: ConnectionId,
        /// What is the latest.
        latest: Latest,
    },
    /// What a topic had for a poll.
    Polled {
        /// The connection.
        connection: ConnectionId,
        /// What it had.
        polled: Polled,
    },
    /// What a raw or HTTP connection asked for was not done.
    Refused {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        refused: Refused,
    },
    /// A client says who it is. To look at what it proves that with is the server's, and so is the answer: a
    /// notification, and [`Shard::permit`] behind it.
    Authenticate {
        /// The connection.
        connection: ConnectionId,
        /// The `id` of the command.
        command_id: Option<CommandId>,
        /// What proves it.
        token: Token<'static>,
    },
    /// The connection does not read fast enough, and its topic's policy does not let it stay: close it with 1013.
    SlowConsumer {
        /// The connection.
        connection: ConnectionId,
        /// The reason for the close frame.
        reason: String,
    },
}

/// What becomes of what a connection that is closed has not been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// It is sent in front of the close frame.
    Keep,
    /// It is let go, but for the rest of a frame that was begun, and what is no message in front of the first of them.
    Drop,
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

/// How far the ordered shutdown has come.
#[derive(Clone, Copy, Debug, Default)]
struct Stopping {
    begun: bool,
    /// The cores that have sent their last request, as bits.
    requests_ended: u64,
    /// The cores that have sent their last delivery, as bits.
    deliveries_ended: u64,
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

/// Connections come and go.
impl Shard {
    /// A connection was accepted. It speaks HTTP: what it asks for is answered by events.
    pub fn connect(&mut self, id: ConnectionId) {
        self.connections.connect(id);
    }

    /// The connection speaks WebSocket, or is an event stream, from here on.
    pub fn upgrade(&mut self, id: ConnectionId, encoding: Encoding) {
        if self.connections.is_open(id) {
            self.connections.upgrade(id.slot, encoding);
        }
    }

    /// What goes to a connection that has just been upgraded is compressed with a context of its own, with this window as a
    /// power of two, until it is gone. It shares no frames with others, and costs its own compressor: see
    /// [`DeflateParams::context_bytes`](fanwire_wire::deflate::DeflateParams::context_bytes).
    pub fn keep_context(&mut self, id: ConnectionId, window_bits: u8) {
        if self.connections.is_open(id) {
            self.connections.keep_context(id.slot, window_bits);
        }
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, id: ConnectionId) {
        if self.connections.is_connected(id) {
            self.fan_out();
            self.end_subscriptions(id.slot);
            self.forget_poll(id.slot);
            self.batches.forget(id.slot);
            self.connections.disconnect(id.slot);
        }
    }

    /// How many subscriptions this core's connections have.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Ends the connection's subscriptions and queues a close frame, behind which nothing follows. An event stream has
    /// no such frame: it ends with a comment, for people.
    pub fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str, backlog: Backlog) {
        if !self.connections.may_close(id) {
            return;
        }
        self.fan_out();
        self.end_subscriptions(id.slot);
        if backlog == Backlog::Drop {
            self.connections.drop_backlog(id.slot);
        }
        let interface = self.connections.interface(id.slot);
        self.connections.reply(id.slot, ReplyKind::Close, |_, out| match interface {
            Some(Interface::EventStream) => write_comment(out, reason),
            Some(Interface::Raw | Interface::Json | Interface::Binary) | None => {
                write_close(out, code, reason);
            }
        });
        self.connections.seal(id.slot);
    }

    /// Bytes for the connection as they are, behind everything that it was given before.
    pub fn reply(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.connections.is_open(id) && !bytes.is_empty() {
            self.fan_out_before(id.slot);
            self.connections.reply(id.slot, ReplyKind::Plain, |_, out| out.extend_from_slice(bytes));
        }
    }

    /// A notification for the connection in its encoding, behind everything that it was given before.
    pub fn notify(&mut self, id: ConnectionId, notification: &Notification<'_>) {
        if self.connections.is_open(id) {
            self.fan_out_before(id.slot);
            self.connections.notify(id.slot, notification);
        }
    }

    /// Whether the connection may be read from: not while it does not read what it is answered, or much of that is still to
    /// come. It may again when a flush has left nothing.
    pub fn may_read_from(&self, id: ConnectionId) -> bool {
        self.connections.reply_bytes(id) + self.batches.reply_bytes(id.slot) < MAX_UNREAD_REPLY_BYTES
    }

    fn end_subscriptions(&mut self, slot: u32) {
        for subscription in std::mem::take(&mut self.connections.at(slot).subscriptions) {
            self.remove_subscription(subscription);
        }
        self.connections.stop_reading(slot);
    }

    /// Ends a subscription that its connection no longer lists, and the routing to this core with the last one.
    fn remove_subscription(&mut self, subscription: u32) {
        match self.subscriptions.remove(subscription) {
            None => {}
            Some(TopicOrPattern::Topic(topic)) => {
                let home = self.home_of(&topic);
                self.request(home, Request::Unsubscribe(topic));
            }
            Some(TopicOrPattern::Pattern(pattern)) => {
                (0..self.cores())
                    .for_each(|home| self.request(home, Request::UnsubscribePattern(pattern.clone())));
            }
        }
    }
}

/// The lanes between cores.
impl Shard {
    /// Whether sockets may be read: what they bring has somewhere to go.
    pub fn may_read(&self) -> bool {
        let bound = self.settings.outbox_bytes;
        !self.stopping.begun
            && self.may_take_requests()
            && !self.requests.iter().any(|outbox| outbox.is_full(bound))
    }

    /// Whether requests may be taken from the mailbox: what they bring has somewhere to go.
    pub fn may_take_requests(&self) -> bool {
        let bound = self.settings.outbox_bytes;
        self.may_take_deliveries() && !self.deliveries.iter().any(|outbox| outbox.is_full(bound))
    }

    /// Whether deliveries may be taken from the mailbox. A flush makes it so.
    pub fn may_take_deliveries(&self) -> bool {
        !self.connections.palette.is_full()
    }

    /// What waits for the request lane to core `to`.
    pub fn poll_requests(&mut self, to: usize) -> Option<Vec<Request>> {
        self.requests[to].take()
    }

    /// The request lane had no room for what was polled last.
    pub fn restore_requests(&mut self, to: usize, batch: Vec<Request>) {
        self.requests[to].restore(batch, self.now.monotonic_ms);
    }

    /// What waits for the delivery lane to core `to`.
    pub fn poll_deliveries(&mut self, to: usize) -> Option<Vec<Delivery>> {
        self.deliveries[to].take()
    }

    /// The delivery lane had no room for what was polled last.
    pub fn restore_deliveries(&mut self, to: usize, batch: Vec<Delivery>) {
        self.deliveries[to].restore(batch, self.now.monotonic_ms);
    }

    /// Asks a home; this core itself at once.
    fn request(&mut self, home: usize, request: Request) {
        if home == self.core {
            self.handle_request(home, request);
        } else {
            self.requests[home].push(request);
        }
    }

    /// Sends to a core; this core itself at once.
    fn deliver_to(&mut self, core: usize, delivery: Delivery) {
        if core == self.core {
            self.handle_delivery(core, delivery);
        } else {
            self.deliveries[core].push(delivery);
        }
    }
}

/// The ordered shutdown: no request is left behind, and no delivery.
impl Shard {
    /// Begins it. From here on the server reads no socket. When every core has sent its last request, this one sends
    /// its last delivery; when every core has sent that, [`Self::is_stopped`].
    pub fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping.begun, true) {
            (0..self.cores()).for_each(|core| self.request(core, Request::Stop));
        }
    }

    /// Whether everything that was published has come to this core's write queues, and to the polls that waited for it:
    /// the connections can be closed.
    pub fn is_stopped(&self) -> bool {
        self.stopping.deliveries_ended == self.every_core() && !self.has_answers()
    }

    fn requests_ended(&mut self, from: usize) {
        self.stopping.requests_ended |= 1 << from;
        if self.stopping.requests_ended == self.every_core() {
            (0..self.cores()).for_each(|core| self.deliver_to(core, Delivery::Stop));
        }
    }

    fn every_core(&self) -> u64 {
        u64::MAX >> (MAX_CORES - self.cores())
    }
}
