//! Opening the subscribers' connections: as fast as they can be opened, or at times that do not depend on how that goes.

use std::ops::Range;

use hdrhistogram::Histogram;
use mio::event::Event;
use mio::{Events, Token};

use super::connection::Connection;
use super::{ALARM, LIVE_TICK, Receiver};
use crate::clock::now_ns;
use crate::latencies::histogram;
use crate::link::Link;
use crate::opening::{PATIENCE, RunError};

/// How connections are opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// How many may be on their way at once.
    pub at_once: usize,
    /// How many are due in a second; none: each as soon as there is room for it.
    pub per_second: Option<f64>,
}

/// How connections were opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// From when a connection was due to when its subscription stood, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// From when a connection was due to when it was begun, in nanoseconds: how late the generator itself was.
    pub lags: Histogram<u64>,
    /// Connections that were refused, broke, or did not come about in time.
    pub failed: u64,
    /// From when the first was due to when the last stood, in nanoseconds.
    pub took_ns: u64,
}

/// Connections on their way.
struct Progress {
    opening: Opening,
    begun_ns: u64,
    /// When each connection was due.
    dues_ns: Vec<u64>,
    /// Those that have failed or become ready.
    settled: usize,
    /// When one last did.
    settled_ns: u64,
    opened: Opened,
}

impl Receiver<'_> {
    /// Opens these subscribers' connections, until each is ready or has failed, or none has for too long. Those that fail
    /// are counted, and the first of them says why; only what this machine itself has no more of ends it.
    pub fn connect(&mut self, subscribers: Range<usize>, opening: &Opening) -> Result<Opened, RunError> {
        let wanted = subscribers.len();
        let mut progress = Progress::new(*opening);
        let mut connector = self.plan.server.connector();
        let mut events = Events::with_capacity(1024);
        let mut subscribers = subscribers.peekable();
        while progress.settled < wanted {
            while progress.has_room(self.connections.len())
                && let Some(subscriber) = subscribers.next()
            {
                let token = Token(self.connections.len());
                let link = Link::open(&mut connector, self.poll.registry(), token)?;
                progress.begin(self.connections.len());
                self.connections.push(Connection::new(link, self.plan, subscriber));
            }
            if opening.per_second.is_some() && subscribers.peek().is_some() {
                self.alarm.set(progress.next_due_ns(self.connections.len()))?;
            }
            self.wait(&mut events, LIVE_TICK)?;
            for event in &events {
                match event.token() {
                    ALARM => self.alarm.clear(),
                    Token(place) => self.go_on_opening(place, event, &mut progress),
                }
            }
            if progress.is_stalled() {
                break;
            }
        }
        Ok(progress.end(wanted))
    }

    fn go_on_opening(&mut self, place: usize, event: &Event, progress: &mut Progress) {
        let connection = &self.connections[place];
        let was_settled = connection.is_broken || connection.is_ready();
        self.serve_idle(place, event);
        let connection = &self.connections[place];
        if was_settled {
            return;
        }
        if connection.is_broken {
            progress.fail();
        } else if connection.is_ready() {
            progress.succeed(place);
        }
    }
}

impl Progress {
    fn new(opening: Opening) -> Self {
        let now_ns = now_ns();
        let opened = Opened { latencies: histogram(), lags: histogram(), failed: 0, took_ns: 0 };
        Self { opening, begun_ns: now_ns, dues_ns: Vec::new(), settled: 0, settled_ns: now_ns, opened }
    }

    /// When the connection with this number is due: now, if nothing else is said.
    fn next_due_ns(&self, number: usize) -> u64 {
        match self.opening.per_second {
            Some(per_second) => self.begun_ns + (number as f64 * 1e9 / per_second) as u64,
            None => now_ns(),
        }
    }

    fn has_room(&self, begun: usize) -> bool {
        begun - self.settled < self.opening.at_once && self.next_due_ns(begun) <= now_ns()
    }

    fn begin(&mut self, number: usize) {
        let due_ns = self.next_due_ns(number);
        self.dues_ns.push(due_ns);
        // Nobody waits as long as the histogram's end.
        let _ = self.opened.lags.record(now_ns().saturating_sub(due_ns));
    }

    fn succeed(&mut self, place: usize) {
        self.settle();
        // Patience ends long before the histogram does.
        let _ = self.opened.latencies.record(self.settled_ns - self.dues_ns[place]);
    }

    fn fail(&mut self) {
        self.settle();
        self.opened.failed += 1;
    }

    fn settle(&mut self) {
        self.settled += 1;
        self.settled_ns = now_ns();
    }

    /// Whether nothing has come of those that are on their way for too long.
    fn is_stalled(&self) -> bool {
        let is_waiting = self.dues_ns.len() > self.settled;
        is_waiting
            && now_ns() - self.settled_ns.max(*self.dues_ns.last().unwrap_or(&0)) > PATIENCE.as_nanos() as u64
    }

    /// Those that are still on their way will not come.
    fn end(mut self, wanted: usize) -> Opened {
        self.opened.failed += (wanted - self.settled) as u64;
        self.opened.took_ns = self.settled_ns - self.begun_ns;
        self.opened
    }
}
