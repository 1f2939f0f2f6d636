//! Subscribers: any number of connections on one thread, with one event loop.

mod account;
mod connection;
mod ticks;

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::event::Event;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use self::connection::{Connection, Service};
use self::ticks::{Tick, Ticks};
use crate::clock::{Alarm, now_ns};
use crate::link::{Broken, Link};
use crate::live::Live;
use crate::opening::{self, Opened, Opening, Role, RunError, Settled};
use crate::plan::Plan;
use crate::socket::{Connector, StampedReader};
use crate::tally::{Part, Tally};
use crate::transport::Transport;

const ALARM: Token = Token(usize::MAX);

/// How often a slow subscriber reads its share.
const SLOW_TICK_NS: u64 = 100_000_000;

/// Events that are taken at once.
const EVENTS: usize = 1024;

/// How often what is seen of a run is brought up to date, and how long an event loop sleeps at most.
const LIVE_TICK: Duration = Duration::from_millis(100);

/// Octets that are read at once: more than a socket mostly has.
const SCRATCH_LEN: usize = 256 * 1024;

/// The event loop of some of the subscribers.
pub struct Receiver<'p> {
    plan: &'p Plan,
    poll: Poll,
    /// The number of the first of its subscribers.
    first: usize,
    connections: Vec<Connection>,
    first_broken: Option<Broken>,
    alarm: Alarm,
    /// When the next short poll, or the next share of a slow subscriber, is due, and whose.
    ticks: Ticks,
    reader: StampedReader,
    scratch: Vec<u8>,
    tally: Tally,
    origin_ns: u64,
    /// Messages that are still to come.
    awaited: u64,
    /// Awaited messages that have come and are not shown yet.
    unseen: u64,
    shown_ns: u64,
}

impl<'p> Receiver<'p> {
    /// Connects these subscribers, and waits until nothing that is published from then on may be missed.
    pub fn open(plan: &'p Plan, subscribers: Range<usize>) -> Result<Self, RunError> {
        let mut this = Self::new(plan, subscribers.start)?;
        opening::open_all(&mut this, &mut plan.server.connector(), subscribers.len())?;
        Ok(this)
    }

    /// Connects that many, until each is ready or has failed. Those that fail are counted, and the first of them says
    /// why; only what this machine itself has no more of ends it.
    pub fn connect(&mut self, subscribers: usize, opening: Opening) -> Result<Opened, RunError> {
        let mut connector = self.plan.server.connector();
        opening::open(self, &mut connector, subscribers, opening)
    }

    /// One without subscribers yet; the first of them will be number `first`.
    pub fn new(plan: &'p Plan, first: usize) -> Result<Self, RunError> {
        let alarm = Alarm::new()?;
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&alarm.as_raw_fd()), ALARM, Interest::READABLE)?;
        Ok(Self {
            plan,
            poll,
            first,
            connections: Vec::new(),
            first_broken: None,
            alarm,
            ticks: Ticks::default(),
            reader: StampedReader::default(),
            scratch: vec![0; SCRATCH_LEN],
            tally: Tally::new(plan.workload.duration_ns),
            origin_ns: 0,
            awaited: 0,
            unseen: 0,
            shown_ns: 0,
        })
    }

    /// Why the first of the connections that broke did so.
    pub fn first_broken(&self) -> Option<&Broken> {
        self.first_broken.as_ref()
    }

    /// Connections that stood and broke.
    pub fn lost(&self) -> u64 {
        let lost = |connection: &&Connection| connection.is_broken && connection.is_ready();
        self.connections.iter().filter(lost).count() as u64
    }

    /// Answers what servers say to connections that stand, pings above all, until the clock shows `until_ns`.
    pub fn idle_until(&mut self, until_ns: u64) -> io::Result<()> {
        while now_ns() < until_ns {
            self.listen(until_ns, &mut |_, _| ())?;
        }
        Ok(())
    }

    /// Serves a connection of which there is nothing to be counted.
    fn serve_idle(&mut self, place: usize, event: &Event) {
        let connection = &mut self.connections[place];
        connection.link.note(event);
        if !connection.is_broken
            && let Err(broken) = self.serve(place, usize::MAX)
        {
            self.mark_broken(place, broken);
        }
    }

    fn wait(&mut self, events: &mut Events, timeout: Duration) -> io::Result<()> {
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            outcome => outcome,
        }
    }

    fn serve(&mut self, place: usize, limit: usize) -> Result<(), Broken> {
        let Self { plan, reader, scratch, tally, origin_ns, .. } = self;
        let mut service = Service { plan, reader, scratch, tally, origin_ns: *origin_ns };
        let came = self.connections[place].serve(&mut service, limit)?;
        self.awaited = self.awaited.saturating_sub(came);
        self.unseen += came;
        Ok(())
    }

    /// Hears what is published, until everything has come or the grace after the end has passed.
    pub fn run(mut self, origin_ns: u64, live: &Live) -> io::Result<Part> {
        self.origin_ns = origin_ns;
        self.awaited = self.connections.iter().map(|connection| connection.account.awaited(self.plan)).sum();
        self.begin_ticks()?;
        let end_ns = origin_ns + self.plan.workload.end_ns();
        let deadline_ns = end_ns + self.plan.grace_ns();
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let now_ns = now_ns();
            if now_ns >= deadline_ns || (now_ns >= end_ns && self.awaited == 0) {
                break;
            }
            if let Some(due_ns) = self.ticks.next_ns() {
                self.alarm.set(due_ns)?;
            }
            self.wait(&mut events, LIVE_TICK)?;
            for event in &events {
                match event.token() {
                    ALARM => self.tick(),
                    Token(place) => {
                        let Connection { link, allowance, .. } = &mut self.connections[place];
                        link.note(event);
                        // One that reads slowly does so by the clock alone.
                        let limit = if allowance.is_some() { 0 } else { usize::MAX };
                        self.attend(place, limit);
                    }
                }
            }
            self.show(live);
        }
        Ok(self.settle())
    }

    /// Sets each subscriber that does something by the clock going: at a phase that chance gives.
    fn begin_ticks(&mut self) -> io::Result<()> {
        let mut rng = fastrand::Rng::with_seed(self.plan.seed ^ self.first as u64);
        for place in 0..self.connections.len() {
            if let Some(period_ns) = self.period_ns(place) {
                self.ticks.add(Tick { due_ns: self.origin_ns + rng.u64(..period_ns), place, period_ns });
            }
            let Connection { link, allowance, .. } = &mut self.connections[place];
            if allowance.is_some() {
                link.watch(self.poll.registry(), Token(place), Interest::WRITABLE)?;
            }
        }
        Ok(())
    }

    fn period_ns(&self, place: usize) -> Option<u64> {
        match self.plan.server.peer.transport {
            _ if self.connections[place].allowance.is_some() => Some(SLOW_TICK_NS),
            Transport::Poll { period } => Some(period.ns()),
            Transport::WebSocket { .. } | Transport::EventStream | Transport::LongPoll => None,
        }
    }

    /// Does what is due, once for each subscriber; what it has missed besides is left out.
    fn tick(&mut self) {
        self.alarm.clear();
        let now_ns = now_ns();
        while let Some(tick) = self.ticks.take(now_ns) {
            let Tick { due_ns, place, .. } = tick;
            if self.connections[place].is_broken {
                continue;
            }
            if let Some(allowance) = &mut self.connections[place].allowance {
                let share = allowance.share(tick.period_ns);
                self.attend(place, share);
            } else {
                self.ask(place, due_ns);
                tick.missed_ns(now_ns).for_each(|due_ns| self.count_skipped(due_ns));
            }
            self.ticks.renew(tick, now_ns);
        }
    }

    /// Sends a short poll. If the one before has not been answered, this one is left out, and counted.
    fn ask(&mut self, place: usize, due_ns: u64) {
        match self.connections[place].ask() {
            Ok(true) if self.is_measured(due_ns) => self.tally.latencies.record_lag(now_ns() - due_ns),
            Ok(true) => {}
            Ok(false) => self.count_skipped(due_ns),
            Err(broken) => self.mark_broken(place, broken),
        }
    }

    fn count_skipped(&mut self, due_ns: u64) {
        self.tally.counts.polls_skipped += u64::from(self.is_measured(due_ns));
    }

    fn is_measured(&self, due_ns: u64) -> bool {
        self.plan.is_measured(due_ns - self.origin_ns)
    }

    /// Serves a connection, and counts its octets when it is time to.
    fn attend(&mut self, place: usize, limit: usize) {
        if self.connections[place].is_broken {
            return;
        }
        let served = self.serve(place, limit).and_then(|()| self.count_octets(place));
        if let Err(broken) = served {
            self.mark_broken(place, broken);
        }
    }

    /// From right behind one of its first events in the measured window to right behind one of the first after that, where
    /// nothing is half read: so the cost of looking is spread over time, and both moments are of the same kind. One that comes
    /// to no such moment is in no count of octets.
    fn count_octets(&mut self, place: usize) -> Result<(), Broken> {
        let since_origin_ns = now_ns().saturating_sub(self.origin_ns);
        let workload = &self.plan.workload;
        if since_origin_ns >= workload.end_ns() {
            self.connections[place].end_counting()
        } else if since_origin_ns >= workload.warmup_ns {
            self.connections[place].begin_counting()
        } else {
            Ok(())
        }
    }

    fn mark_broken(&mut self, place: usize, broken: Broken) {
        let connection = &mut self.connections[place];
        // One that reads slowly may be cut off, if that is the server's way: that is no fault of the run.
        let is_policy = connection.allowance.is_some() && connection.is_ready();
        connection.is_broken = true;
        if !is_policy {
            self.first_broken.get_or_insert(broken);
        }
    }

    fn show(&mut self, live: &Live) {
        let now_ns = now_ns();
        if now_ns - self.shown_ns >= LIVE_TICK.as_nanos() as u64 {
            self.shown_ns = now_ns;
            // Of what was due last, polls have brought the youngest only: a p99 of that is none.
            let p99_ns = match self.plan.server.peer.transport {
                Transport::Poll { .. } => 0,
                Transport::WebSocket { .. } | Transport::EventStream | Transport::LongPoll => {
                    self.tally.recent_p99_ns()
                }
            };
            live.add_delivered(std::mem::take(&mut self.unseen), p99_ns);
        }
    }

    fn settle(mut self) -> Part {
        for place in 0..self.connections.len() {
            if let Err(broken) = self.connections[place].end_counting() {
                self.mark_broken(place, broken);
            }
            self.connections[place].settle(self.plan, &mut self.tally);
        }
        Part { tally: self.tally, first_broken: self.first_broken }
    }
}

impl Role for Receiver<'_> {
    fn begin(&mut self, connector: &mut Connector) -> Result<(), RunError> {
        let place = self.connections.len();
        let subscriber = self.first + place;
        let open = if self.plan.workload.is_slow(subscriber) { Link::open_slow } else { Link::open };
        let link = open(connector, self.poll.registry(), Token(place))?;
        self.connections.push(Connection::new(link, self.plan, subscriber));
        Ok(())
    }

    fn listen(&mut self, until_ns: u64, on_settled: &mut dyn FnMut(usize, Settled)) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        self.alarm.set(until_ns)?;
        self.wait(&mut events, LIVE_TICK)?;
        for event in &events {
            let place = match event.token() {
                ALARM => {
                    self.alarm.clear();
                    continue;
                }
                Token(place) => place,
            };
            let was = self.connections[place].settled();
            self.serve_idle(place, event);
            if was.is_none()
                && let Some(settled) = self.connections[place].settled()
            {
                on_settled(place, settled);
            }
        }
        Ok(())
    }

    fn take_first_broken(&mut self) -> Option<Broken> {
        self.first_broken.take()
    }
}
