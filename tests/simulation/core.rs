//! One core: the production shard and mailbox in a loop like the server's, without sockets and timers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use fanwire::mailbox::{Mailbox, Wake};
use fanwire_broker::topic_table::Placement;
use fanwire_broker::{
    Backlog, ConnectionId, Delivery, Draft, Event, Now, Pressure, Pressures, Request, Shard,
};
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::topic::Topic;

use crate::binary;
use crate::client::{Client, Speaks};
use crate::follower::Poller;
use crate::random::Random;

/// One turn in so many, memory becomes short or is no longer: histories are then halved under those that read them.
const PRESSURE_CHANGES_IN: usize = 300;

/// A wake that sticks until the core looks.
#[derive(Default)]
pub(crate) struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What a virtual poll reports. A readiness is reported once, as an edge.
pub(crate) enum Readiness {
    Readable(usize),
    Writable(usize),
    /// A poll has waited long enough.
    TimeUp(usize),
    Gone(ConnectionId),
    /// The broker was told to stop, or goes on with it.
    Stopping,
}

pub(crate) struct Core {
    pub(crate) shard: Shard,
    mailbox: Mailbox<Request, Delivery, Alarm>,
    alarm: Arc<Alarm>,
    pub(crate) readiness: VecDeque<Readiness>,
    /// Clients that have sent more than was read.
    readable: VecDeque<usize>,
    requests: VecDeque<(usize, Request)>,
    deliveries: VecDeque<(usize, Delivery)>,
    pub(crate) slots: Slots,
    asleep: bool,
}

/// The last slot that was freed is the first that is used again, and its generation is the next.
#[derive(Default)]
pub(crate) struct Slots {
    free: Vec<ConnectionId>,
    freed_this_turn: Vec<ConnectionId>,
    used: u32,
}

impl Slots {
    pub(crate) fn take(&mut self) -> ConnectionId {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            ConnectionId { slot: self.used - 1, generation: 0 }
        })
    }
}

impl Core {
    pub(crate) fn new(shard: Shard, mailbox: Mailbox<Request, Delivery, Alarm>, alarm: Arc<Alarm>) -> Self {
        Self {
            shard,
            mailbox,
            alarm,
            readiness: VecDeque::new(),
            readable: VecDeque::new(),
            requests: VecDeque::new(),
            deliveries: VecDeque::new(),
            slots: Slots::default(),
            asleep: false,
        }
    }

    /// Whether a turn would be run: nothing but a wake or a readiness ends a sleep.
    pub(crate) fn is_awake(&self) -> bool {
        !self.asleep || self.alarm.0.load(Ordering::SeqCst) || !self.readiness.is_empty()
    }

    pub(crate) fn turn(&mut self, now: Now, clients: &mut [Client], random: &mut Random) {
        if self.asleep {
            self.mailbox.awake();
            self.asleep = false;
        }
        self.alarm.0.store(false, Ordering::SeqCst);
        if random.one_in(PRESSURE_CHANGES_IN) {
            self.shard.set_pressures(Pressures {
                histories: *random.pick(&[Pressure::None, Pressure::None, Pressure::Tight]),
                backlogs: *random.pick(&[Pressure::None, Pressure::None, Pressure::Scarce]),
            });
        }
        self.shard.begin_turn(now);
        self.events(clients);
        self.poll(clients);
        self.read(clients, random);
        self.hand_over();
        self.drain(clients, random);
        self.hand_over();
        while let Some(answer) = self.shard.poll_answer() {
            self.event(answer, clients);
        }
        self.flush(clients, random);
        self.hand_over();
        for freed in self.slots.freed_this_turn.drain(..) {
            self.slots.free.push(ConnectionId { generation: freed.generation + 1, ..freed });
        }
        self.asleep = !self.has_work(clients) && self.mailbox.may_sleep(self.shard.may_take_requests());
    }

    fn poll(&mut self, clients: &mut [Client]) {
        for readiness in std::mem::take(&mut self.readiness) {
            match readiness {
                Readiness::Readable(client) => self.readable.push_back(client),
                Readiness::Writable(client) => self.shard.handle_writable(clients[client].connection),
                Readiness::TimeUp(client) => self.shard.end_poll(clients[client].connection),
                Readiness::Stopping => {}
                Readiness::Gone(connection) => {
                    self.shard.disconnect(connection);
                    self.slots.freed_this_turn.push(connection);
                }
            }
            self.events(clients);
        }
    }

    fn read(&mut self, clients: &mut [Client], random: &mut Random) {
        for _ in 0..self.readable.len() {
            let Some(number) = self.readable.pop_front() else { return };
            for _ in 0..=random.below(8) {
                let client = &mut clients[number];
                if !client.socket.open || client.outgoing.is_empty() {
                    break;
                }
                if !self.shard.may_read() || !self.shard.may_read_from(client.connection) {
                    break;
                }
                self.command(client);
                self.events(clients);
            }
            if clients[number].socket.open && !clients[number].outgoing.is_empty() {
                self.readable.push_back(number);
            }
        }
    }

    fn command(&mut self, client: &mut Client) {
        let Some(text) = client.outgoing.pop_front() else { return };
        match &client.speaks {
            Speaks::Json | Speaks::Watcher(_) => {
                let envelope =
                    command::parse(&text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
                self.shard.handle_command(client.connection, envelope);
            }
            Speaks::Binary(_) => binary::say(&mut self.shard, client.connection, &text),
            Speaks::Raw { topic, .. } => {
                let topic = Topic::parse(topic).expect("a topic");
                let draft = Draft {
                    topic,
                    key: None,
                    content_type: None,
                    kind: PayloadKind::Text,
                    payload: Bytes::from(text),
                    echo: true,
                    conditions: None,
                };
                self.shard.publish(client.connection, draft, false);
            }
            Speaks::Poller(poller) => {
                let topic = Topic::parse(&poller.followed.topic).expect("a topic");
                self.shard.poll(client.connection, topic, poller.start(), text == Poller::WAITS);
            }
            Speaks::Stream(_) => unreachable!("it has nothing to say"),
        }
    }

    fn hand_over(&mut self) {
        for to in 0..self.shard.cores() {
            if let Some(batch) = self.shard.poll_requests(to)
                && let Err(batch) = self.mailbox.send_requests(to, batch)
            {
                self.shard.restore_requests(to, batch);
            }
            if let Some(batch) = self.shard.poll_deliveries(to)
                && let Err(batch) = self.mailbox.send_deliveries(to, batch)
            {
                self.shard.restore_deliveries(to, batch);
            }
        }
    }

    fn drain(&mut self, clients: &mut [Client], random: &mut Random) {
        for _ in 0..=random.below(40) {
            if self.deliveries.is_empty()
                && let Some((from, batch)) = self.mailbox.receive_deliveries()
            {
                self.deliveries.extend(batch.into_iter().map(|delivery| (from, delivery)));
            }
            if !self.shard.may_take_deliveries() {
                return;
            }
            let Some((from, delivery)) = self.deliveries.pop_front() else { break };
            self.shard.handle_delivery(from, delivery);
            self.events(clients);
        }
        for _ in 0..=random.below(40) {
            if self.requests.is_empty()
                && let Some((from, batch)) = self.mailbox.receive_requests()
            {
                self.requests.extend(batch.into_iter().map(|request| (from, request)));
            }
            if !self.shard.may_take_requests() {
                return;
            }
            let Some((from, request)) = self.requests.pop_front() else { return };
            self.shard.handle_request(from, request);
            self.events(clients);
        }
    }

    fn flush(&mut self, clients: &mut [Client], random: &mut Random) {
        for _ in 0..=random.below(30) {
            let Some(id) = self.shard.poll_flush() else { break };
            let core = self.shard.core();
            let output = self.shard.output(id);
            assert!(!output.is_empty(), "{id:?} was named and has nothing to write");
            let taken = match owner(clients, id, core) {
                Some(client) if client.socket.open => client.socket.write(output, 1 + random.below(400)),
                _ => output.len(),
            };
            self.shard.wrote(id, taken);
        }
        self.events(clients);
    }

    /// Does what events ask for, as the server does.
    fn events(&mut self, clients: &mut [Client]) {
        while let Some(event) = self.shard.poll_event() {
            self.event(event, clients);
        }
    }

    fn event(&mut self, event: Event, clients: &mut [Client]) {
        match event {
            Event::Subscribed { connection, placement } => {
                let client = owner(clients, connection, self.shard.core()).expect("an answer to a stranger");
                if let Speaks::Stream(stream) = &client.speaks {
                    let topic = Topic::parse(&stream.followed.topic).expect("a topic");
                    self.shard.begin_stream(connection, &topic, placement);
                } else {
                    let Placement { offset, recovered, .. } = placement;
                    assert_ne!(recovered, Some(false), "raw clients begin with the next message");
                    self.shard.reply(connection, format!("{offset}\n").as_bytes());
                }
            }
            Event::Polled { connection, polled } => {
                let client = owner(clients, connection, self.shard.core()).expect("an answer to a stranger");
                let Speaks::Poller(poller) = &client.speaks else { panic!("it does not poll") };
                self.shard.reply(connection, &poller.answer(&polled));
            }
            Event::SlowConsumer { connection, reason } => {
                self.shard.close(connection, CloseCode::TRY_AGAIN_LATER, &reason, Backlog::Drop);
            }
            Event::Refused { connection, .. } => {
                let client = owner(clients, connection, self.shard.core()).expect("an answer to a stranger");
                if let Speaks::Poller(_) = &client.speaks {
                    self.shard.reply(connection, format!("{}\n", Poller::REFUSED).as_bytes());
                } else {
                    self.shard.close(connection, CloseCode::TRY_AGAIN_LATER, "", Backlog::Drop);
                }
            }
            Event::Published { .. }
            | Event::PublishedBatch { .. }
            | Event::Latest { .. }
            | Event::Authenticate { .. } => {
                panic!("{event:?}: nobody asked for that")
            }
        }
    }

    fn has_work(&self, clients: &[Client]) -> bool {
        let may_read = |number: &usize| {
            let client = &clients[*number];
            client.socket.open && self.shard.may_read() && self.shard.may_read_from(client.connection)
        };
        self.shard.has_output()
            || self.shard.has_answers()
            || !self.deliveries.is_empty() && self.shard.may_take_deliveries()
            || !self.requests.is_empty() && self.shard.may_take_requests()
            || self.readable.iter().any(may_read)
    }
}

/// The client that has the connection now.
fn owner(clients: &mut [Client], id: ConnectionId, core: usize) -> Option<&mut Client> {
    clients.iter_mut().rev().find(|client| client.core == core && client.connection == id)
}
