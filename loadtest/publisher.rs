//! The publishers: one thread that sends every message when it is due, whatever becomes of those before.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;
use std::vec;

use mio::{Events, Poll, Token};

use crate::clock::{Sleeper, now_ns};
use crate::conversation;
use crate::link::{Broken, Link};
use crate::opening::{self, Role, RunError, Settled};
use crate::payload::{Payloads, Stamp};
use crate::plan::Plan;
use crate::schedule::Due;
use crate::socket::{Connector, StampedReader};
use crate::tally::{Part, Tally};
use crate::workload::topic_name;

/// Messages that are late together and may be written together.
const MAX_TOGETHER: usize = 64;

/// How soon a socket that has not taken everything is tried again.
const RETRY_NS: u64 = 1_000_000;

/// How long a server that says something, as a ping, may wait while nothing is due: far shorter than any server's patience.
const ATTENTION_NS: u64 = 1_000_000_000;

/// How long a look at what servers say takes at most when there is nothing else to do.
const LOOK: Duration = Duration::from_millis(10);

const SCRATCH_LEN: usize = 64 * 1024;

/// All publishers of a run.
pub struct Publishers<'p> {
    plan: &'p Plan,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    /// The connections with messages that their sockets have perhaps not taken: few of them at any time.
    behind: Vec<usize>,
    /// What the connections publish to that are not begun yet.
    topics: vec::IntoIter<Vec<String>>,
    /// The connection of each stream, and which of that connection's topics it is.
    routes: Vec<(usize, usize)>,
    payloads: Payloads,
    reader: StampedReader,
    scratch: Vec<u8>,
    payload: Vec<u8>,
    part: Part,
}

struct Connection {
    link: Link,
    conversation: conversation::Publisher,
    /// Where the messages that are measured, and that the socket has not taken whole, end in what is written to it.
    untaken: VecDeque<u64>,
    is_broken: bool,
    /// Whether its number is among those that are behind.
    is_listed: bool,
}

impl<'p> Publishers<'p> {
    /// Connects them all.
    pub fn open(plan: &'p Plan) -> Result<Self, RunError> {
        let (topics, routes) = routes(plan);
        let wanted = topics.len();
        let mut this = Self {
            plan,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            connections: Vec::with_capacity(wanted),
            behind: Vec::new(),
            topics: topics.into_iter(),
            routes,
            payloads: Payloads::new(plan.workload.size, plan.seed),
            reader: StampedReader::default(),
            scratch: vec![0; SCRATCH_LEN],
            payload: Vec::new(),
            part: Part { tally: Tally::new(plan.workload.duration_ns), first_broken: None },
        };
        opening::open_all(&mut this, &mut plan.server.connector(), wanted)?;
        Ok(this)
    }

    /// Sends what is due, when it is due. After the last message they stay, until `all_have_heard` says that everybody has
    /// what there is to hear, or the grace after the end has passed.
    pub fn run(mut self, origin_ns: u64, all_have_heard: impl Fn() -> bool) -> io::Result<Part> {
        let workload = &self.plan.workload;
        let sleeper = Sleeper::punctual((workload.burst as f64 * 1e9 / workload.rate) as u64)?;
        let deadline_ns = origin_ns + self.plan.workload.end_ns() + self.plan.grace_ns();
        let mut schedule = self.plan.schedule().peekable();
        let mut together = 0;
        while let Some(due) = schedule.next() {
            let due_ns = origin_ns + due.at_ns;
            self.sleep_until(due_ns, &sleeper)?;
            let now_ns = now_ns();
            if now_ns > deadline_ns {
                break;
            }
            self.send(due, now_ns - due_ns);
            together += 1;
            let is_next_due = schedule.peek().is_some_and(|next| origin_ns + next.at_ns <= now_ns);
            if !is_next_due || together >= MAX_TOGETHER {
                self.flush();
                self.hear(Duration::ZERO)?;
                together = 0;
            }
        }
        while now_ns() < deadline_ns && (self.is_behind() || !all_have_heard()) {
            self.hear(LOOK)?;
        }
        Ok(self.part)
    }

    /// Sleeps. Now and then it answers what servers say, and gives sockets that are behind another chance.
    fn sleep_until(&mut self, due_ns: u64, sleeper: &Sleeper) -> io::Result<()> {
        loop {
            let look_ns = now_ns() + if self.is_behind() { RETRY_NS } else { ATTENTION_NS };
            if look_ns >= due_ns {
                break;
            }
            sleeper.sleep_until(look_ns);
            self.hear(Duration::ZERO)?;
        }
        sleeper.sleep_until(due_ns);
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.behind.iter().any(|number| self.connections[*number].is_behind())
    }

    /// Stamps a message and hands it to its connection. A connection without room, or that has broken, does not get it: then
    /// it is not sent.
    fn send(&mut self, due: Due, lag_ns: u64) {
        let (number, topic) = self.routes[due.stream];
        let connection = &mut self.connections[number];
        if connection.is_broken || !connection.link.has_room() {
            return;
        }
        let Due { at_ns, stream, sequence } = due;
        let stamp = Stamp { run: self.plan.run, stream: stream as u32, sequence, due_ns: at_ns, lag_ns };
        self.payload.clear();
        self.payloads.write(&stamp, &mut self.payload);
        connection.conversation.publish(topic, &self.payload, connection.link.out());
        if !connection.is_listed {
            connection.is_listed = true;
            self.behind.push(number);
        }
        if sequence >= self.plan.windows[stream].begin {
            connection.untaken.push_back(connection.link.end_octet());
            self.part.tally.latencies.record_lag(lag_ns);
        }
    }

    /// Writes what sockets take of the messages that wait for them.
    fn flush(&mut self) {
        let Self { behind, connections, part, .. } = self;
        behind.retain(|number| {
            let connection = &mut connections[*number];
            if connection.is_behind() {
                let flushed = connection.link.flush().map_err(Broken::from);
                connection.note(flushed, part);
            }
            connection.is_listed = connection.is_behind();
            connection.is_listed
        });
    }

    /// Reads what servers say to publishers, and writes what they have room for.
    fn hear(&mut self, timeout: Duration) -> io::Result<()> {
        self.hear_each(timeout, &mut |_, _| ())
    }

    fn hear_each(&mut self, timeout: Duration, on_settled: &mut dyn FnMut(usize, Settled)) -> io::Result<()> {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => outcome?,
        }
        for event in &self.events {
            let number = event.token().0;
            let connection = &mut self.connections[number];
            connection.link.note(event);
            let was = connection.settled();
            if !connection.is_broken {
                let heard = connection.hear(&mut self.reader, &mut self.scratch);
                connection.note(heard, &mut self.part);
            }
            if was.is_none()
                && let Some(settled) = connection.settled()
            {
                on_settled(number, settled);
            }
        }
        Ok(())
    }
}

impl Role for Publishers<'_> {
    fn begin(&mut self, connector: &mut Connector) -> Result<(), RunError> {
        let number = self.connections.len();
        let mut link = Link::open(connector, self.poll.registry(), Token(number))?;
        let topics = self.topics.next().expect("each connection has topics");
        let seed = !(self.plan.seed ^ number as u64);
        let mut conversation = conversation::Publisher::new(&self.plan.server.peer, &topics, seed);
        conversation.begin(link.out());
        self.connections.push(Connection {
            link,
            conversation,
            untaken: VecDeque::new(),
            is_broken: false,
            is_listed: false,
        });
        Ok(())
    }

    fn listen(&mut self, until_ns: u64, on_settled: &mut dyn FnMut(usize, Settled)) -> io::Result<()> {
        self.hear_each(Duration::from_nanos(until_ns.saturating_sub(now_ns())), on_settled)
    }

    fn take_first_broken(&mut self) -> Option<Broken> {
        self.part.first_broken.take()
    }
}

impl Connection {
    fn is_behind(&self) -> bool {
        self.link.is_behind() && !self.is_broken
    }

    /// What became of it, if it is not on its way any more.
    fn settled(&self) -> Option<Settled> {
        if self.is_broken {
            return Some(Settled::Failed);
        }
        self.conversation.is_ready().then_some(Settled::Ready)
    }

    fn hear(&mut self, reader: &mut StampedReader, scratch: &mut [u8]) -> Result<(), Broken> {
        self.link.flush()?;
        while let Some(piece) = self.link.read(reader, scratch)? {
            if piece.len == 0 {
                return Err(self.conversation.end().into());
            }
            self.conversation.read(&mut scratch[..piece.len], self.link.out())?;
            if piece.is_last {
                break;
            }
        }
        self.link.flush()?;
        Ok(())
    }

    /// Counts what the socket has taken, and a break.
    fn note(&mut self, outcome: Result<(), Broken>, part: &mut Part) {
        let written = self.link.written_octets();
        let taken = self.untaken.iter().take_while(|end_octet| **end_octet <= written).count();
        self.untaken.drain(..taken);
        part.tally.counts.sent += taken as u64;
        if let Err(broken) = outcome {
            self.is_broken = true;
            part.tally.counts.broken += 1;
            part.first_broken.get_or_insert(broken);
        }
    }
}

/// The topics of each connection, and the connection of each stream: one for each publisher, or one for each stream where
/// a connection publishes to one topic alone.
fn routes(plan: &Plan) -> (Vec<Vec<String>>, Vec<(usize, usize)>) {
    let mut topics: Vec<Vec<String>> = Vec::new();
    let mut routes = Vec::new();
    for (number, stream) in plan.streams.iter().enumerate() {
        let connection = if plan.server.peer.publishes_to_one() { number } else { stream.publisher };
        if topics.len() <= connection {
            topics.resize(connection + 1, Vec::new());
        }
        routes.push((connection, topics[connection].len()));
        topics[connection].push(topic_name(stream.topic));
    }
    (topics, routes)
}
