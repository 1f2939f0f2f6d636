//! One event loop per core: sockets in, the shard, sockets out.
//!
//! Everything that a core owns is a field here and touched by its thread alone. One turn of the loop is
//!
//! ```text
//!   sleep (epoll) ──► accept ──► read ready sockets, within a budget ──► hand batches over ──┐
//!     ▲                                                                                      │
//!     │     ┌── answer polls ◄── hand over ◄── drain the mailbox ◄───────────────────────────┘
//!     │     ▼
//!     │   flush, within a budget ──► deadlines ──► shutdown ──┐
//!     └── hand over ◄─────────────────────────────────────────┘
//! ```
//!
//! Batches are handed over before the flush, or a hop would wait for it; and at the end of the turn, or what the
//! flush asked of history would sleep in an outbox. Sockets are edge-triggered and registered once, so each phase that
//! stops early leaves what it did not do on a list, and the loop sleeps only when [`EventLoop::has_work`] finds all of
//! them empty. The phases stand in the files below this one.

mod accepting;
mod answering;
mod closing;
mod deadlines;
mod draining;
mod early_frames;
mod effort;
mod exchanging;
mod flushing;
mod identities;
mod pressing;
mod proxied;
mod reading;
mod requests;
mod stopping;
mod tls;
mod web_sockets;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fanwire_broker::lanes::{ConnectionId, Delivery, Request};
use fanwire_broker::shard::{Now, Shard};
use mio::event::Event;
use mio::{Events, Poll, Token, Waker};

use crate::clock::Clock;
use crate::connection::{Connections, Contexts, Sessions};
use crate::demo::EchoCompressor;
use crate::guard::Rates;
use crate::mailbox::Mailbox;
use crate::metrics::CoreMetrics;
use crate::site::Site;
use crate::timer::TimerWheel;
use crate::tls::SEALED_BYTES;
use accepting::Entrance;
pub(crate) use accepting::MAX_REFUSED;
use draining::Drain;
use early_frames::EarlyFrames;
use effort::Effort;
use exchanging::Inbox;
use pressing::Pinch;
pub(crate) use reading::Intake;
use stopping::Stage;

/// The mailbox of one core.
pub(crate) type CoreMailbox = Mailbox<Request, Delivery, Waker>;

/// What ends the sleep of a core. Slots of connections count up from 0, listeners down from the top.
pub(crate) const WAKER: Token = Token(usize::MAX);

/// Events taken from the kernel at once. More wait there for the next turn.
const EVENTS_PER_TURN: usize = 1024;

/// What one core runs.
pub(crate) struct EventLoop {
    site: Arc<Site>,
    poll: Poll,
    clock: Clock,
    /// The time of this turn.
    now: Now,
    stage: Stage,
    /// Who is still to be sent away, once it is to stop.
    drain: Option<Drain>,
    /// Whether everybody was, and the other cores know it.
    has_drained: bool,
    entrance: Entrance,
    connections: Connections,
    sessions: Sessions,
    contexts: Contexts,
    /// Connections with input that was not read yet.
    ready: VecDeque<ConnectionId>,
    early_frames: EarlyFrames,
    timers: TimerWheel,
    rates: Rates,
    pinch: Pinch,
    /// What the read that is being handled asks for.
    effort: Effort,
    shard: Shard,
    mailbox: CoreMailbox,
    requests: Inbox<Request>,
    deliveries: Inbox<Delivery>,
    echo_compressor: EchoCompressor,
    /// Where records are made for connections that speak TLS.
    sealed: Box<[u8]>,
    metrics: Arc<CoreMetrics>,
}

/// What an event loop is made of.
pub(crate) struct Parts {
    /// What all cores share.
    pub(crate) site: Arc<Site>,
    /// Where the core sleeps; its waker is registered as [`WAKER`].
    pub(crate) poll: Poll,
    /// The core's own listening sockets.
    pub(crate) listeners: Vec<mio::net::TcpListener>,
    /// The core's routing state.
    pub(crate) shard: Shard,
    /// The core's lanes.
    pub(crate) mailbox: CoreMailbox,
    /// The core's counters.
    pub(crate) metrics: Arc<CoreMetrics>,
    /// The broker's clock.
    pub(crate) clock: Clock,
}

impl EventLoop {
    /// An event loop that is ready to run.
    pub(crate) fn new(parts: Parts) -> io::Result<Self> {
        let Parts { site, poll, listeners, shard, mailbox, metrics, clock } = parts;
        let now = clock.now();
        Ok(Self {
            entrance: Entrance::open(listeners, &site.listening, poll.registry())?,
            timers: TimerWheel::new(now.monotonic_ms),
            stage: Stage::Running,
            drain: None,
            has_drained: false,
            connections: Connections::default(),
            sessions: Sessions::default(),
            contexts: Contexts::default(),
            pinch: Pinch::default(),
            rates: Rates::new(&site.limits),
            effort: Effort::default(),
            ready: VecDeque::new(),
            early_frames: EarlyFrames::default(),
            requests: Inbox::default(),
            deliveries: Inbox::default(),
            echo_compressor: EchoCompressor::default(),
            sealed: vec![0; if site.tls.is_some() { SEALED_BYTES } else { 0 }].into(),
            site,
            poll,
            clock,
            now,
            shard,
            mailbox,
            metrics,
        })
    }

    /// Runs until the broker has stopped. An error is the kernel's, and leaves nothing to go on with.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_PER_TURN);
        let mut intake = Intake::new(self.site.limits.inflated_ratio);
        while self.stage != Stage::Stopped {
            self.turn(&mut events, &mut intake)?;
        }
        Ok(())
    }

    fn turn(&mut self, events: &mut Events, intake: &mut Intake) -> io::Result<()> {
        self.sleep(events)?;
        self.now = self.clock.now();
        self.shard.begin_turn(self.now);
        self.handle_shard_events();
        for event in events.iter() {
            self.note_readiness(event);
        }
        self.accept_waiting();
        self.read_ready(intake);
        self.hand_over();
        self.drain_mailbox();
        self.hand_over();
        self.answer_polls();
        self.flush();
        self.expire_deadlines();
        self.advance_shutdown();
        self.handle_shard_events();
        self.hand_over();
        self.connections.free_gone();
        self.report();
        Ok(())
    }

    /// Sleeps until something happens, or only looks when there is work to go on with.
    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let may_sleep = !self.has_work() && self.mailbox.may_sleep(self.shard.may_take_requests());
        let timeout = if may_sleep { self.until_next_deadline() } else { Some(Duration::ZERO) };
        let outcome = self.poll.poll(events, timeout);
        self.mailbox.awake();
        match outcome {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether a phase left something that it can go on with now. What waits for another core or for a
    /// socket is no work: that wakes this core.
    fn has_work(&self) -> bool {
        self.shard.has_output()
            || self.shard.has_answers()
            || self.has_input()
            || self.has_mail()
            || self.entrance.has_work()
            || self.is_due_to_stop()
    }

    /// How long this core may sleep; `None` is for as long as nothing happens.
    fn until_next_deadline(&self) -> Option<Duration> {
        let now_ms = self.now.monotonic_ms;
        let deadlines = [
            self.timers.next_deadline_ms(),
            self.shard.next_deadline_ms(),
            self.entrance.retry_at_ms(),
            self.stage.deadline_ms(),
            self.drain.as_ref().and_then(Drain::next_ms),
            self.pinch.next_ms(),
        ];
        let next_ms = deadlines.into_iter().flatten().min()?;
        Some(Duration::from_millis(next_ms.saturating_sub(now_ms)))
    }

    /// Notes what the kernel says about one socket, on the lists that the phases work through.
    fn note_readiness(&mut self, event: &Event) {
        let token = event.token();
        if token == WAKER || self.entrance.note_readiness(token) {
            return;
        }
        let Some(connection) = self.connections.at_slot(token.0) else { return };
        let id = connection.id;
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            connection.ending |= event.is_read_closed() || event.is_error();
            let is_ending = connection.ending;
            self.list_unless_paused(id);
            if is_ending {
                self.end_poll(id);
                self.handle_shard_events();
            }
        }
        if event.is_writable() {
            self.handle_writable(id);
        }
    }

    /// Brings the gauges up to date, and looks at what they say of memory.
    fn report(&mut self) {
        let mut counters = self.shard.counters();
        // What TLS has made of what was in a write queue is no less queued.
        counters.backlog_bytes += self.connections.kept().unsent as u64;
        self.look_at_memory(&counters);
        self.metrics.add_turn();
        self.metrics.set_connections(self.connections.len() as u64);
        self.metrics.set_contexts(self.contexts.len() as u64, self.contexts.bytes());
        self.metrics.set_mailbox_depth(self.mailbox.depth());
        self.metrics.set_shard(&counters);
    }
}
