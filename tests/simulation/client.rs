//! A peer behind a virtual socket, which checks everything that it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use fanwire_broker::ConnectionId;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_wire::deflate::Inflater;
use fanwire_wire::topic::Pattern;
use serde_json::Value;

use crate::binary::Numbers;
use crate::follower::{Poller, Stream};
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

/// What was agreed on for the messages that come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    /// By a compressor with this window, which others share.
    Shared(u8),
    /// By one with this window, which the connection has for itself: one message that is lost, doubled or out of its place, and
    /// what follows makes no sense.
    Own(u8),
}

/// A kernel's send buffer and the wire behind it.
pub(crate) struct Socket {
    pub(crate) window: usize,
    unread: VecDeque<u8>,
    received: Vec<u8>,
    /// What compressed frames are inflated by, if there may be any.
    inflater: Option<Inflater>,
    /// The core was told that it is full, and waits to be told that it is not.
    pub(crate) full: bool,
    pub(crate) open: bool,
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

impl Compression {
    pub(crate) fn shared_window_bits(self) -> Option<u8> {
        match self {
            Self::Shared(bits) => Some(bits),
            Self::None | Self::Own(_) => None,
        }
    }
}

impl Socket {
    pub(crate) fn new(window: usize, compression: Compression) -> Self {
        let inflater = match compression {
            Compression::None => None,
            Compression::Shared(_) => Some(Inflater::new(false)),
            Compression::Own(_) => Some(Inflater::new(true)),
        };
        Self { window, unread: VecDeque::new(), received: Vec::new(), inflater, full: false, open: true }
    }

    /// What the kernel takes of `bytes`, when chance allows it `at_most`.
    pub(crate) fn write(&mut self, bytes: &[u8], at_most: usize) -> usize {
        let room = self.window.saturating_sub(self.unread.len()).min(at_most);
        let taken = room.min(bytes.len());
        self.unread.extend(&bytes[..taken]);
        self.full = taken == 0;
        taken
    }

    fn read(&mut self, at_most: usize) {
        let bytes = at_most.min(self.unread.len());
        self.received.extend(self.unread.drain(..bytes));
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.unread.is_empty()
    }

    /// The payload of the next whole frame that was read.
    fn next_frame(&mut self) -> Option<Vec<u8>> {
        let (&length, rest) = self.received.get(1..)?.split_first()?;
        let (length, header) = match length {
            126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 4),
            short => (usize::from(short), 2),
        };
        if self.received.len() < header + length {
            return None;
        }
        let frame: Vec<u8> = self.received.drain(..header + length).collect();
        let payload = &frame[header..];
        match frame[0] {
            0x81 | 0x82 => {}
            0x88 => self.open = false,
            0xc1 | 0xc2 => return Some(self.inflated(payload)),
            other => panic!("a torn frame begins with {other:#x}"),
        }
        Some(payload.to_vec())
    }

    fn inflated(&mut self, payload: &[u8]) -> Vec<u8> {
        let inflater = self.inflater.as_mut().expect("nobody has agreed on compression");
        inflater.inflate(payload, usize::MAX).expect("what was compressed").into_owned()
    }

    /// A connection whose subscription was refused is closed without a line.
    fn begins_with_frame(&self) -> bool {
        self.received.first().is_some_and(|octet| *octet >= 0x80)
    }

    /// What stands up to the next empty line, without that.
    fn next_event(&mut self) -> Option<String> {
        let end = self.received.windows(2).position(|octets| octets == b"\n\n")?;
        let event: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
        Some(String::from_utf8(event).expect("text"))
    }

    fn next_line(&mut self) -> Option<String> {
        let end =
            self.received.iter().take_while(|octet| **octet < 0x80).position(|octet| *octet == b'\n')?;
        String::from_utf8(self.received.drain(..=end).collect()).ok()
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

    fn hear(&mut self, said: &Value, truth: &mut Truth) {
        let number = |name: &str| said[name].as_u64();
        let topic = said["topic"].as_str().unwrap_or_default().to_owned();
        let id = number("id").unwrap_or_default();
        match said["type"].as_str().expect("a type") {
            "published" => {
                let payload = self.publishes.remove(&id).expect("a receipt for a stranger, or a second one");
                let offset = number("offset").expect("an offset");
                truth.learn(&topic, offset, payload);
                self.topics.entry(topic).or_default().receipted = offset;
            }
            "subscribed" => self.subscribed(&topic, id, said, truth),
            "unsubscribed" => self.unsubscribed(&topic, id, truth),
            "message" => {
                let offset = number("offset").expect("an offset");
                let payload = number("data").or_else(|| said["data"].as_str()?.parse().ok());
                truth.learn(&topic, offset, payload.expect("a payload"));
                assert!(!truth.is_own(self.number, &topic, offset), "its own message came back");
                self.account(&topic, number("skipped").unwrap_or(0), offset..offset + 1, truth);
            }
            "skipped" => {
                let (offset, count) = (number("offset").expect("offset"), number("count").expect("count"));
                assert!(count > 0, "{said}");
                self.account(&topic, count, offset + 1..offset + 1, truth);
            }
            "gap" => {
                let (from, to) = (number("from").expect("from"), number("to").expect("to"));
                assert_eq!(number("count"), Some(to - from + 1), "{said}");
                assert!(from <= to, "a gap of nothing: {said}");
                self.account(&topic, 0, from..to + 1, truth);
            }
            "error" => self.refused(&topic, id, said),
            other => panic!("{other} to somebody who did not ask"),
        }
    }

    fn subscribed(&mut self, topic: &str, id: u64, said: &Value, truth: &Truth) {
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {said}");
        assert!(!self.forbidden.contains(&id), "a policy that is not allowed: {said}");
        if let Some(state) = self.patterns.get_mut(topic) {
            match state {
                PatternState::Asked { id: asked } if *asked == id => {
                    *state = PatternState::Live { from: truth.next_payload() };
                }
                PatternState::Ending { .. } => {}
                _ => panic!("the answer to another request: {said}"),
            }
            return;
        }
        let matched = self.matching_patterns(topic).next().is_some();
        let state = self.topics.get_mut(topic).expect("a topic that it asked for");
        let offset = said["offset"].as_u64().expect("an offset");
        match state.exact {
            Some(Exact::Asked { id: asked, start, .. }) => {
                assert_eq!(asked, id, "the answer to another request: {said}");
                if let Start::After(asked) = start {
                    assert_eq!(asked, offset, "it begins where it was not asked to: {said}");
                }
                state.exact = Some(Exact::Live);
            }
            Some(Exact::Ending { id, .. }) => state.exact = Some(Exact::Ending { id, was_live: true }),
            _ => panic!("the answer to what was not asked: {said}"),
        }
        state.begins_after(offset, matched);
    }

    fn unsubscribed(&mut self, name: &str, id: u64, truth: &Truth) {
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {name}");
        if let Some(state) = self.patterns.remove(name) {
            assert!(matches!(state, PatternState::Ending { id: asked } if asked == id));
        } else {
            let matched = self.matching_patterns(name).next().is_some();
            let state = self.topics.get_mut(name).expect("a topic that it asked for");
            assert!(matches!(state.exact, Some(Exact::Ending { id: asked, .. }) if asked == id));
            state.exact = None;
            if let (Some(owed), Some((_, next)), GoesOn::Nowhere) =
                (state.owed.take(), &mut state.accounted, state.goes_on)
                && !matched
            {
                skip_own(self.number, name, next, owed, truth);
                assert!(
                    *next >= owed,
                    "{name} ends at {next}, and what is in front of {owed} was routed here"
                );
            }
        }
        self.forget_what_nobody_keeps();
    }

    /// What is not surely routed here may go on with a hole that nobody has to tell.
    fn forget_what_nobody_keeps(&mut self) {
        let kept =
            |name: &str| self.matching_patterns(name).any(|state| matches!(state, PatternState::Live { .. }));
        let names: Vec<String> = self.topics.keys().filter(|name| !kept(name)).cloned().collect();
        for name in names {
            if let Some(state) = self.topics.get_mut(&name).filter(|state| !state.is_kept()) {
                state.accounted = None;
                state.goes_on = GoesOn::Nowhere;
            }
        }
    }

    /// A core that was stalled refuses what waited for it, and a later command takes an earlier one's place; nothing is
    /// asked wrongly but for what follows from that.
    fn refused(&mut self, topic: &str, id: u64, said: &Value) {
        let code = said["code"].as_str().expect("a code");
        let is_forbidden = self.forbidden.remove(&id);
        match code {
            "policy_not_allowed" => assert!(is_forbidden, "{said}"),
            "unavailable" | "superseded" | "not_subscribed" => assert!(!is_forbidden, "{said}"),
            _ => panic!("{said}"),
        }
        if self.publishes.remove(&id).is_some() {
            return;
        }
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {said}");
        if let Some(PatternState::Asked { id: asked } | PatternState::Ending { id: asked }) =
            self.patterns.get(topic)
            && *asked == id
        {
            self.patterns.remove(topic);
        }
        let Some(state) = self.topics.get_mut(topic) else { return };
        match state.exact {
            Some(Exact::Asked { id: asked, recovers: true, .. }) if asked == id => {
                state.exact = Some(Exact::Live);
            }
            Some(Exact::Asked { id: asked, .. } | Exact::Ending { id: asked, .. }) if asked == id => {
                state.exact = None;
            }
            _ => assert_ne!(code, "not_subscribed", "{said}"),
        }
        self.forget_what_nobody_keeps();
    }

    /// `skipped` messages were skipped, and then `told` came, or were told missing. Each must be accounted for once, in
    /// order.
    fn account(&mut self, topic: &str, skipped: u64, told: Range<u64>, truth: &Truth) {
        let matched = self.matching_patterns(topic).next().is_some();
        let state = self.topics.entry(topic.to_owned()).or_default();
        let exact = !matches!(state.exact, None | Some(Exact::Asked { .. })) || state.accounted.is_some();
        assert!(matched || exact, "{topic} to somebody who does not listen to it");
        let theirs = |offset: &u64| !truth.is_own(self.number, topic, *offset);
        // Where it begins if as many were skipped as is said.
        let began =
            || (0..told.start).rev().filter(theirs).take(skipped as usize).last().unwrap_or(told.start);
        let Some((first, next)) = &mut state.accounted else {
            state.accounted = Some((began(), told.end));
            state.began_with = Some((told.start, skipped));
            return;
        };
        let is_earlier = began() < *next;
        let is_patterns = is_earlier || matched && !matches!(state.exact, Some(Exact::Live));
        match std::mem::take(&mut state.goes_on) {
            GoesOn::From(before) if is_earlier => *next = before,
            GoesOn::Earlier if is_earlier => *next = began(),
            _ => {}
        }
        *first = (*first).min(*next);
        let passed = *next..told.start;
        // What was skipped may be told in front of the receipts that say which of it are its own.
        let waits_for_receipts = !self.publishes.is_empty();
        if (is_patterns || waits_for_receipts) && passed.clone().filter(theirs).count() as u64 != skipped {
            // A topic that only patterns listen to may be forgotten, and come back with a higher offset.
            self.jumps.push((topic.to_owned(), passed, skipped));
        } else {
            let passed = passed.filter(theirs).count() as u64;
            assert_eq!(passed, skipped, "{topic} goes on from {next} with {told:?}");
            assert!(*next <= told.start, "{topic} goes back from {next} to {told:?}");
        }
        *next = told.end;
    }

    /// At the end, when nothing is on its way any more.
    pub(crate) fn assert_complete(&mut self, truth: &mut Truth) {
        match &self.speaks {
            Speaks::Raw { .. } => self.assert_raw_complete(truth),
            Speaks::Stream(stream) => stream.assert_complete(truth),
            Speaks::Watcher(watcher) => watcher.assert_complete(truth),
            Speaks::Poller(poller) => poller.assert_complete(truth),
            Speaks::Json | Speaks::Binary(_) => {
                assert!(self.publishes.is_empty(), "receipts that never came: {:?}", self.publishes);
                assert!(self.unanswered.is_empty(), "answers that never came: {:?}", self.unanswered);
                self.assert_topics_complete(truth);
                self.assert_patterns_complete(truth);
                for (topic, offsets, skipped) in std::mem::take(&mut self.jumps) {
                    // Nobody may have been told of a message that all skipped.
                    let theirs = offsets.filter(|offset| !truth.is_own(self.number, &topic, *offset));
                    let (known, unknown): (Vec<u64>, Vec<u64>) =
                        theirs.partition(|offset| truth.at(&topic, *offset).is_some());
                    let range = known.len()..=known.len() + unknown.len();
                    assert!(
                        range.contains(&(skipped as usize)),
                        "{skipped} of {known:?} and {unknown:?} of {topic}"
                    );
                }
            }
        }
    }

    fn assert_topics_complete(&mut self, truth: &Truth) {
        for (name, state) in &mut self.topics {
            let Some(exact) = &state.exact else { continue };
            assert!(matches!(exact, Exact::Live), "{name}: an answer that never came");
            let (_, next) = state.accounted.as_mut().expect("a live topic has an offset");
            let end = truth.last_offset(name) + 1;
            skip_own(self.number, name, next, end, truth);
            assert!(*next >= end, "{name} stops at {next}, but {end} is next");
        }
    }

    fn assert_patterns_complete(&self, truth: &Truth) {
        for (pattern, state) in &self.patterns {
            let PatternState::Live { from } = state else { panic!("{pattern}: an answer that never came") };
            for topic in
                crate::world::TOPICS.iter().filter(|t| Pattern::parse(pattern).is_ok_and(|p| p.matches(t)))
            {
                let state = self.topics.get(*topic);
                let accounted = state.and_then(|state| state.accounted);
                let began_with = state.and_then(|state| state.began_with);
                for offset in truth.offsets_since(topic, *from) {
                    let told = accounted.is_some_and(|(first, next)| (first..next).contains(&offset))
                        || began_with.is_some_and(|(start, skipped)| {
                            let theirs = |offset: &u64| !truth.is_own(self.number, topic, *offset);
                            let known = (offset..start).filter(|offset| truth.at(topic, *offset).is_some());
                            offset < start && known.filter(theirs).count() as u64 <= skipped
                        });
                    assert!(
                        told || truth.is_own(self.number, topic, offset),
                        "{pattern}: {topic} {offset} never came"
                    );
                }
            }
        }
    }

    /// A raw subscriber sees no offsets: what it got must be what follows the place where it began.
    fn assert_raw_complete(&self, truth: &mut Truth) {
        let Speaks::Raw { topic, begins_after: Some(begins_after), payloads } = &self.speaks else { return };
        let mut next = begins_after + 1;
        for payload in payloads {
            skip_own(self.number, topic, &mut next, u64::MAX, truth);
            truth.learn(topic, next, *payload);
            next += 1;
        }
        let end = truth.last_offset(topic) + 1;
        skip_own(self.number, topic, &mut next, end, truth);
        assert!(!self.socket.open || next >= end, "raw {topic} stops at {next}, but {end} is next");
    }
}

/// Goes over the client's own messages that it did not want back, up to `end`.
fn skip_own(client: usize, topic: &str, next: &mut u64, end: u64, truth: &Truth) {
    while *next < end && truth.is_own(client, topic, *next) {
        *next += 1;
    }
}
