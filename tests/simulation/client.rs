//! A peer behind a virtual socket, which checks everything that it is told.

mod accounting;
mod hearing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use fanwire_broker::ConnectionId;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_wire::topic::Pattern;

use crate::binary::Numbers;
use crate::follower::{Poller, Stream};
use crate::socket::Socket;
use crate::truth::{Payload, Publish, Truth};
use crate::watcher::Watcher;

/// What a client is for.
pub(crate) enum Speaks {
    Json,
    Binary(Numbers),
    /// The topic, whether the first line has come, and the payloads in order.
    Raw {
        topic: String,
        begins_after: Option<u64>,
        payloads: Vec<Payload>,
    },
    Stream(Stream),
    Watcher(Watcher),
    Poller(Poller),
}

pub(crate) struct Client {
    pub(crate) number: usize,
    pub(crate) core: usize,
    pub(crate) connection: ConnectionId,
    pub(crate) speaks: Speaks,
    pub(crate) socket: Socket,
    /// Commands on their way to the core.
    pub(crate) outgoing: VecDeque<String>,
    next_id: u64,
    publishes: BTreeMap<u64, Payload>,
    /// The other commands that have no answer yet. Each gets one.
    unanswered: BTreeSet<u64>,
    topics: BTreeMap<String, Topic>,
    patterns: BTreeMap<String, PatternState>,
    /// Offsets that were gone over as if they had never been, and how many of them were said to be skipped.
    jumps: Vec<(String, Range<u64>, u64)>,
    /// The commands that ask for a policy that is not allowed.
    forbidden: BTreeSet<u64>,
    /// Its connection was reset.
    pub(crate) gone: bool,
}

/// What a client knows of a topic.
#[derive(Default)]
struct Topic {
    exact: Option<Exact>,
    /// The first offset that was accounted for, and the next.
    accounted: Option<(u64, u64)>,
    /// The offset of the first thing that came, and how many were skipped in front of it: of a topic that was forgotten and
    /// came back with a higher offset, these do not follow each other.
    began_with: Option<(u64, u64)>,
    /// The offset of the last message of its own that it has a receipt for: everything before that came to its core.
    receipted: u64,
    /// That, when it asked to end a subscription that was live.
    owed: Option<u64>,
    /// How it goes on where it became live while a pattern may be catching up on it.
    goes_on: GoesOn,
}

/// Where what comes next may be, besides the next offset.
#[derive(Clone, Copy, Default)]
enum GoesOn {
    #[default]
    Nowhere,
    /// Here, where the pattern had come to.
    From(u64),
    /// Anywhere before: nothing had come through the pattern.
    Earlier,
}

/// A policy that a subscription asks for.
pub(crate) struct Asks {
    pub(crate) policy: OverflowPolicy,
    pub(crate) is_allowed: bool,
}

/// Where a subscription was asked to begin.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Now,
    /// With whatever is held.
    Held,
    /// After this offset of this epoch.
    After(u64),
}

enum Exact {
    Asked { id: u64, start: Start, recovers: bool },
    Live,
    Ending { id: u64, was_live: bool },
}

enum PatternState {
    Asked {
        id: u64,
    },
    /// Everything whose publishing begins with this payload or later must come.
    Live {
        from: Payload,
    },
    Ending {
        id: u64,
    },
}

impl Topic {
    /// Whether a subscription of its own keeps it going on without a hole.
    fn is_kept(&self) -> bool {
        match self.exact {
            None | Some(Exact::Asked { start: Start::Now, .. }) => false,
            Some(Exact::Asked { .. } | Exact::Live) => true,
            Some(Exact::Ending { was_live, .. }) => was_live,
        }
    }

    /// It is live from `offset` on. Where a pattern brings it too, it goes on as that does.
    fn begins_after(&mut self, offset: u64, matched: bool) {
        let before = self.accounted.replace((offset + 1, offset + 1));
        if !matched {
            self.goes_on = GoesOn::Nowhere;
            return;
        }
        let first = before.map_or(offset + 1, |(first, _)| first);
        self.accounted = Some((first, offset + 1));
        if let GoesOn::Nowhere = self.goes_on {
            self.goes_on = before.map_or(GoesOn::Earlier, |(_, next)| GoesOn::From(next));
        }
    }
}

impl Client {
    pub(crate) fn new(
        number: usize,
        core: usize,
        connection: ConnectionId,
        speaks: Speaks,
        socket: Socket,
    ) -> Self {
        Self {
            number,
            core,
            connection,
            speaks,
            socket,
            outgoing: VecDeque::new(),
            next_id: 0,
            publishes: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            topics: BTreeMap::new(),
            patterns: BTreeMap::new(),
            jumps: Vec::new(),
            forbidden: BTreeSet::new(),
            gone: false,
        }
    }

    /// An id that no other client has either: a receipt for a stranger must not look like one's own.
    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.number as u64 * 100_000 + self.next_id
    }

    pub(crate) fn publish(&mut self, topic: &str, echo: bool, truth: &mut Truth) {
        let may_have_key = !matches!(self.speaks, Speaks::Raw { .. });
        let publish = Publish { client: self.number, topic: topic.to_owned(), echo, may_have_key };
        let payload = truth.begin(publish);
        if let Speaks::Raw { .. } = self.speaks {
            self.outgoing.push_back(payload.to_string());
            return;
        }
        let id = self.new_id();
        self.publishes.insert(id, payload);
        let key = truth.key_of(payload).map_or_else(String::new, |key| format!(r#""key":"{key}","#));
        self.send(&format!(
            r#"{{"type":"publish","id":{id},"topic":"{topic}",{key}"echo":{echo},"data":{payload}}}"#
        ));
    }

    /// Subscribes, or goes back where it already does. `since` is the field of the command that says what `start` is.
    pub(crate) fn subscribe(&mut self, topic: &str, start: Start, since: &str, asks: Option<&Asks>) {
        let matched = self.matching_patterns(topic).next().is_some();
        let id = self.new_id();
        let state = self.topics.entry(topic.to_owned()).or_default();
        let recovers = matches!(state.exact, Some(Exact::Live)) && start != Start::Now;
        if matched && start != Start::Now || state.exact.is_some() && !recovers {
            return;
        }
        state.exact = Some(Exact::Asked { id, start, recovers });
        self.unanswered.insert(id);
        let command = if recovers { "recover" } else { "subscribe" };
        let overflow = if recovers { String::new() } else { self.ask(id, asks) };
        self.send(&format!(r#"{{"type":"{command}","id":{id},"topic":"{topic}"{since}{overflow}}}"#));
    }

    /// The field of a command that asks for a policy.
    fn ask(&mut self, id: u64, asks: Option<&Asks>) -> String {
        let Some(Asks { policy, is_allowed }) = asks else { return String::new() };
        if !is_allowed {
            self.forbidden.insert(id);
        }
        format!(r#","overflow":"{}""#, policy.as_str())
    }

    pub(crate) fn subscribe_pattern(&mut self, pattern: &str, asks: Option<&Asks>) {
        if !self.patterns.contains_key(pattern) {
            let id = self.new_id();
            self.patterns.insert(pattern.to_owned(), PatternState::Asked { id });
            self.unanswered.insert(id);
            let overflow = self.ask(id, asks);
            self.send(&format!(r#"{{"type":"subscribe","id":{id},"topic":"{pattern}"{overflow}}}"#));
        }
    }

    /// Ends one subscription, answered or not.
    pub(crate) fn unsubscribe(&mut self, choice: usize) {
        let exact = self
            .topics
            .iter()
            .filter(|(_, state)| matches!(state.exact, Some(Exact::Asked { .. } | Exact::Live)));
        let live = self.patterns.iter().filter(|(_, state)| !matches!(state, PatternState::Ending { .. }));
        let names: Vec<String> =
            exact.map(|(name, _)| name).chain(live.map(|(name, _)| name)).cloned().collect();
        if names.is_empty() {
            return;
        }
        let name = &names[choice % names.len()];
        let id = self.new_id();
        self.unanswered.insert(id);
        if let Some(state) = self.patterns.get_mut(name) {
            *state = PatternState::Ending { id };
        } else if let Some(state) = self.topics.get_mut(name) {
            let was_live = !matches!(state.exact, Some(Exact::Asked { start: Start::Now, .. }));
            state.owed = matches!(state.exact, Some(Exact::Live)).then_some(state.receipted);
            state.exact = Some(Exact::Ending { id, was_live });
        }
        self.send(&format!(r#"{{"type":"unsubscribe","id":{id},"topic":"{name}"}}"#));
    }

    fn send(&mut self, command: &str) {
        self.outgoing.push_back(command.to_owned());
    }

    fn matching_patterns(&self, topic: &str) -> impl Iterator<Item = &PatternState> {
        let matches =
            move |pattern: &str| Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(topic));
        self.patterns.iter().filter(move |(pattern, _)| matches(pattern)).map(|(_, state)| state)
    }

    /// Polls, as one line of what its connection brings.
    pub(crate) fn poll(&mut self, waits: bool) {
        if let Speaks::Poller(poller) = &mut self.speaks
            && !std::mem::replace(&mut poller.has_asked, true)
        {
            self.outgoing.push_back(if waits { Poller::WAITS } else { Poller::ONCE }.to_owned());
        }
    }

    /// Reads up to so many bytes and checks what they say.
    pub(crate) fn read(&mut self, at_most: usize, truth: &mut Truth) {
        self.socket.read(at_most);
        match &mut self.speaks {
            Speaks::Json | Speaks::Binary(_) | Speaks::Raw { .. } | Speaks::Watcher(_) => {
                self.read_frames(truth);
            }
            Speaks::Stream(stream) => {
                while let Some(event) = self.socket.next_event() {
                    self.socket.open &= stream.hear(&event, truth);
                }
            }
            Speaks::Poller(poller) => {
                while let Some(line) = self.socket.next_line() {
                    self.socket.open &= poller.hear(&line, truth);
                }
            }
        }
    }

    fn read_frames(&mut self, truth: &mut Truth) {
        if let Speaks::Raw { begins_after: begins_after @ None, .. } = &mut self.speaks {
            if let Some(line) = self.socket.next_line() {
                *begins_after = Some(line.trim().parse().expect("an offset"));
            } else if !self.socket.begins_with_frame() {
                return;
            }
        }
        while let Some(frame) = self.socket.next_frame() {
            if !self.socket.open {
                return;
            }
            match &mut self.speaks {
                Speaks::Raw { payloads, .. } => {
                    let text = String::from_utf8(frame).expect("text");
                    payloads.push(text.parse().unwrap_or_else(|_| panic!("no payload: {text}")));
                }
                Speaks::Watcher(watcher) => {
                    watcher.hear(&serde_json::from_slice(&frame).expect("JSON"), truth);
                }
                Speaks::Json => self.hear(&serde_json::from_slice(&frame).expect("JSON"), truth),
                Speaks::Binary(numbers) => {
                    let said = numbers.understood(&frame);
                    self.hear(&said, truth);
                }
                Speaks::Stream(_) | Speaks::Poller(_) => unreachable!("they are not sent frames"),
            }
        }
    }
}
