//! What peers do, and what the server does with their connections.

use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::{self as broker, Backlog, Encoding, Interface, Permissions};
use fanwire_wire::close::CloseCode;
use fanwire_wire::command::{self, Position};
use fanwire_wire::topic::{Topic, TopicOrPattern};

use crate::binary;
use crate::broker::Broker;
use crate::json::{Command, Json, Subscribe};
use crate::operation::Start;
use crate::peer::{Peer, Request, Speaks};
use crate::settings::{EPOCH, TOPICS};
use crate::socket::Socket;

/// The window of what is compressed, as a power of two.
const WINDOW_BITS: u8 = 10;

impl Broker {
    pub fn connect(&mut self, core: usize, window: usize) -> usize {
        let connection = self.cores[core].slots.take();
        let number = self.peers.len();
        let (speaks, socket) = (Speaks::Http(None), Socket::new(window));
        self.peers.push(Peer { number, core, connection, speaks, socket, is_over: false, is_gone: false });
        self.call(core, |shard| shard.connect(connection));
        self.call(core, |shard| shard.permit(connection, Permissions::everything()));
        number
    }

    pub fn upgrade_json(&mut self, number: usize, deflate: bool) {
        let (interface, json) = if self.octets {
            (Interface::Binary, Json::in_octets())
        } else {
            (Interface::Json, Json::default())
        };
        self.upgrade(number, interface, deflate, Speaks::Json(Box::new(json)));
    }

    pub fn upgrade_raw(&mut self, number: usize, topic: &str, start: Start, deflate: bool) {
        let speaks = Speaks::Raw { topic: topic.to_owned(), subscribed: false, next: None };
        if self.upgrade(number, Interface::Raw, deflate, speaks) {
            let (core, connection) = (self.peers[number].core, self.peers[number].connection);
            let start = self.start(topic, start);
            self.call(core, |shard| shard.subscribe(connection, parse(topic), start));
        }
    }

    pub fn upgrade_stream(&mut self, number: usize, topic: &str, start: Start) {
        let speaks = Speaks::Stream { topic: topic.to_owned(), next: None };
        if self.upgrade(number, Interface::EventStream, false, speaks) {
            let (core, connection) = (self.peers[number].core, self.peers[number].connection);
            let start = self.start(topic, start);
            self.call(core, |shard| shard.subscribe(connection, parse(topic), start));
        }
    }

    /// Returns whether the connection could be upgraded: it speaks HTTP and waits for nothing.
    fn upgrade(&mut self, number: usize, interface: Interface, deflate: bool, speaks: Speaks) -> bool {
        let peer = &mut self.peers[number];
        if peer.is_over || !matches!(peer.speaks, Speaks::Http(None)) {
            return false;
        }
        peer.speaks = speaks;
        // Of those that are compressed for, every other one has a context of its own.
        let keeps_context = deflate && !number.is_multiple_of(2);
        peer.socket.upgrade(deflate, keeps_context);
        let (core, connection) = (peer.core, peer.connection);
        let deflate_window_bits = (deflate && !keeps_context).then_some(WINDOW_BITS);
        self.call(core, |shard| shard.upgrade(connection, Encoding { interface, deflate_window_bits }));
        if keeps_context {
            self.call(core, |shard| shard.keep_context(connection, WINDOW_BITS));
        }
        true
    }

    pub fn disconnect(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        let (core, connection) = (peer.core, peer.connection);
        peer.is_over = true;
        if !std::mem::replace(&mut peer.is_gone, true) {
            self.cores[core].slots.freed_this_turn.push(connection);
        }
        self.call(core, |shard| shard.disconnect(connection));
    }

    pub fn close(&mut self, number: usize, backlog: Backlog) {
        let peer = &mut self.peers[number];
        peer.is_over = true;
        let (core, connection) = (peer.core, peer.connection);
        self.call(core, |shard| shard.close(connection, CloseCode::TRY_AGAIN_LATER, "too slow", backlog));
    }

    /// A command of a JSON connection, without its braces and id. One that is over may still say it, to nobody.
    pub fn command(&mut self, number: usize, fields: &str, command: Command) {
        let peer = &mut self.peers[number];
        let Speaks::Json(json) = &mut peer.speaks else { return };
        let (core, connection) = (peer.core, peer.connection);
        let shard = &self.cores[core].shard;
        if !shard.may_read() || !shard.may_read_from(connection) {
            return;
        }
        self.last_id += 1;
        let id = self.last_id;
        if !peer.is_over {
            json.ask(id, command);
        }
        let text = format!(r#"{{"id":{id},{fields}}}"#);
        if self.octets {
            return self.call(core, |shard| binary::say(shard, connection, &text));
        }
        let envelope = command::parse(&text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}"));
        self.call(core, |shard| shard.handle_command(connection, envelope));
    }

    /// Subscribes to what is named, by one command, with what may be asked for beside it.
    pub fn subscribe(&mut self, number: usize, names: &[&str], start: Start, overflow: u8, snapshot: bool) {
        let wanted = |name: &&str| {
            let since = if snapshot { String::new() } else { self.since(name, start) };
            format!(r#""topic":"{name}"{since}"#)
        };
        let wanted: Vec<String> = names.iter().map(wanted).collect();
        let wanted = match wanted.as_slice() {
            [only] => only.clone(),
            many => format!(r#""topics":[{{{}}}]"#, many.join("},{")),
        };
        let policy = OverflowPolicy::ALL.get(usize::from(overflow)).copied();
        let overflow = policy.map_or(String::new(), |policy| format!(r#","overflow":"{}""#, policy.as_str()));
        let fields = format!(r#""type":"subscribe",{wanted}{overflow},"snapshot":{snapshot}"#);
        let is_forbidden = |name: &str| {
            let target = TopicOrPattern::parse(name).expect("a topic or pattern");
            policy.is_some_and(|policy| !self.settings.allows(&target, policy))
        };
        let asked = Subscribe {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            forbidden: names
                .iter()
                .filter(|name| is_forbidden(name))
                .map(|name| (*name).to_owned())
                .collect(),
            snapshot,
            replays: fields.contains("since"),
        };
        self.command(number, &fields, Command::Subscribe(asked));
    }

    pub fn latest(&mut self, number: usize, topic: &str) {
        let peer = &mut self.peers[number];
        let (core, connection) = (peer.core, peer.connection);
        if let Speaks::Http(request @ None) = &mut peer.speaks
            && !peer.is_over
            && self.cores[core].shard.may_read()
        {
            *request = Some(Request::Latest(topic.to_owned()));
            self.call(core, |shard| shard.latest(connection, parse(topic)));
        }
    }

    pub fn poll(&mut self, number: usize, topic: &str, start: Start, waits: bool) {
        let start = self.start(topic, start);
        let peer = &mut self.peers[number];
        let (core, connection) = (peer.core, peer.connection);
        if let Speaks::Http(request @ None) = &mut peer.speaks
            && !peer.is_over
            && self.cores[core].shard.may_read()
        {
            *request = Some(Request::Poll(topic.to_owned()));
            self.call(core, |shard| shard.poll(connection, parse(topic), start, waits));
        }
    }

    pub fn end_poll(&mut self, number: usize) {
        let (core, connection) = (self.peers[number].core, self.peers[number].connection);
        self.call(core, |shard| shard.end_poll(connection));
    }

    /// Returns whether there was anything to read.
    pub fn read(&mut self, number: usize, bytes: usize) -> bool {
        let peer = &mut self.peers[number];
        let read = peer.read(bytes, &mut self.truth);
        if std::mem::take(&mut peer.socket.full) {
            let (core, connection) = (peer.core, peer.connection);
            self.call(core, |shard| shard.handle_writable(connection));
        }
        read
    }

    /// The field that asks for a start, of a topic or pattern.
    pub fn since(&self, name: &str, start: Start) -> String {
        match self.start(name, start) {
            broker::Start::Earliest if TOPICS.contains(&name) => r#","since":"earliest""#.to_owned(),
            broker::Start::After(Position { epoch, offset }) if TOPICS.contains(&name) => {
                format!(r#","since":{{"epoch":"{epoch}","offset":{offset}}}"#)
            }
            _ => String::new(),
        }
    }

    /// Positions are counted back from the last, and sometimes beyond it.
    fn start(&self, topic: &str, start: Start) -> broker::Start {
        let offset = |back: u8| (self.truth.last_offset(topic) + 1).saturating_sub(u64::from(back) % 32);
        match start {
            Start::Now => broker::Start::Now,
            Start::Earliest => broker::Start::Earliest,
            Start::Last(count) => broker::Start::Last(count.into()),
            Start::After(back) => {
                broker::Start::After(Position { epoch: EPOCH.into(), offset: offset(back) })
            }
            Start::Elsewhere(back) => {
                broker::Start::After(Position { epoch: "another".into(), offset: offset(back) })
            }
        }
    }
}

pub fn parse(topic: &str) -> Topic {
    Topic::parse(topic).expect("a topic")
}
