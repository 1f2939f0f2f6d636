//! The topics whose home is this core: a row for each, touched by this core's thread alone.
//!
//! A row gives its topic's messages their offsets, holds its history, its last values and the message ids that it
//! knows, and the cores that have subscribers. A topic without any of these is forgotten, and its row freed.

mod publishing;
mod row;

use std::sync::Arc;

use ahash::HashMap;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Pattern, Topic, TopicNumber};
use slab::Slab;

pub(crate) use self::publishing::{Published, Taken};
use self::row::Row;
use crate::history::History;
use crate::lanes::{PollTicket, Start, Waiter};
use crate::message::Message;
use crate::patterns::PatternIndex;
use crate::settings::Settings;
use crate::shard::Now;

/// How often rows are looked at for what is too old, in milliseconds.
pub(crate) const SWEEP_EVERY_MS: u64 = 1_000;

/// How many rows one sweep looks at, and one part of a snapshot: about a millisecond's work.
const ROWS_PER_SWEEP: usize = 8_192;

/// The rows of one home.
#[derive(Debug)]
pub(crate) struct TopicTable {
    rows: Slab<Row>,
    index: HashMap<Topic, usize>,
    /// For each pattern, the cores that have subscribers to it, as bits.
    patterns: PatternIndex<u64>,
    /// Counts the changes of `patterns`, so that a row knows whether what it cached still holds.
    patterns_version: u64,
    /// The highest offset of a topic that was forgotten. New rows start there, so that an old position is never
    /// mistaken for a new one.
    highest_forgotten: u64,
    epoch: Arc<str>,
    settings: Arc<Settings>,
    core: usize,
    cores: usize,
    max_rows: usize,
    /// What all rows keep, in bytes.
    kept_bytes: usize,
    /// Whether topics may begin that have no row.
    may_grow: bool,
    /// The next row whose history is to be halved, while they are.
    halve_at: usize,
    sweep_at: usize,
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What stands for the topic on the binary interface, for as long as somebody subscribes to it.
    pub number: TopicNumber,
    /// The position that the subscriber is at: what follows is after it, or told in `gap`.
    pub offset: u64,
    /// Whether everything after the position that was asked for follows; `None` when none was.
    pub recovered: Option<bool>,
    /// The first and the last of the offsets that follow `offset` and are no longer held.
    pub gap: Option<(u64, u64)>,
    /// The first and the last of the offsets to catch up on; `None` when the subscription is live at once.
    pub catch_up: Option<(u64, u64)>,
}

/// A piece of history.
#[derive(Debug)]
pub struct Chunk {
    /// The first and the last of the offsets asked for that are no longer held.
    pub gap: Option<(u64, u64)>,
    /// What is held, in order, without a hole.
    pub messages: Vec<Arc<Message>>,
    /// The offset to go on from.
    pub next: u64,
    /// Whether that is the next message to be published: deliveries after this answer are live.
    pub caught_up: bool,
}

/// What a home has for a snapshot.
#[derive(Debug)]
pub struct Part {
    /// Where the subscription begins, for that of one topic.
    pub placement: Option<Placement>,
    /// The last values, those of a topic in the order of their offsets.
    pub values: Vec<Arc<Message>>,
    /// The row that the next part begins with; none when all are covered.
    pub next_row: Option<u32>,
}

/// What a poll is answered.
#[derive(Debug)]
pub struct Polled {
    /// Whether everything after the position that was asked for follows; `None` when none was.
    pub recovered: Option<bool>,
    /// The first and the last of the offsets that follow that position and are no longer held.
    pub gap: Option<(u64, u64)>,
    /// What is held, in order, without a hole.
    pub messages: Vec<Arc<Message>>,
    /// The position that this comes to: the last offset that it has or names, or the one that was asked for.
    pub offset: u64,
}

/// A topic's latest message.
#[derive(Debug)]
pub struct Latest {
    /// The message, where it is kept.
    pub message: Option<Arc<Message>>,
    /// Its offset, or that before the topic's first message.
    pub offset: u64,
}

impl Polled {
    /// Whether nothing follows the position that was asked for.
    pub fn is_empty(&self) -> bool {
        self.gap.is_none() && self.messages.is_empty()
    }

    /// Whether there is anything to tell the client, so that it does not wait. A position of another run is told to be
    /// one even if nothing follows it.
    pub(crate) fn is_news(&self) -> bool {
        !self.is_empty() || self.recovered == Some(false)
    }
}

impl TopicTable {
    pub(crate) fn new(epoch: Arc<str>, settings: Arc<Settings>, core: usize, cores: usize) -> Self {
        Self {
            rows: Slab::new(),
            index: HashMap::default(),
            patterns: PatternIndex::default(),
            patterns_version: 0,
            highest_forgotten: 0,
            epoch,
            max_rows: settings.max_topics.div_ceil(cores).min(most_rows(cores)),
            settings,
            core,
            cores,
            kept_bytes: 0,
            may_grow: true,
            halve_at: 0,
            sweep_at: 0,
        }
    }

    /// How many topics have a row.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// What histories, last values and message ids hold, in bytes.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Whether topics may begin that are not there. Those that are go on.
    pub(crate) fn set_may_grow(&mut self, may_grow: bool) {
        self.may_grow = may_grow;
    }

    /// Works on a row, which may then hold more or less.
    #[inline]
    fn with_row<R>(&mut self, key: usize, work: impl FnOnce(&mut Row) -> R) -> R {
        let row = &mut self.rows[key];
        let bytes = row.kept_bytes();
        let result = work(row);
        self.kept_bytes = self.kept_bytes + row.kept_bytes() - bytes;
        result
    }

    /// Has the histories of the next so many rows let go of their older half. Returns whether those were the last rows.
    pub(crate) fn halve_histories(&mut self) -> bool {
        let end = (self.halve_at + ROWS_PER_SWEEP).min(self.rows.capacity());
        for key in self.halve_at..end {
            if self.rows.contains(key) {
                self.with_row(key, |row| row.history.as_mut().map(History::halve));
                self.forget_if_idle(key);
            }
        }
        let is_done = end == self.rows.capacity();
        self.halve_at = if is_done { 0 } else { end };
        is_done
    }

    /// The cores that a message of the row goes to, as bits.
    fn cores(&mut self, key: usize) -> u64 {
        let row = &mut self.rows[key];
        if row.patterns_version != self.patterns_version {
            let mut cores = 0;
            self.patterns.for_each_match(&row.topic, |matching| cores |= matching);
            row.pattern_cores = cores;
            row.patterns_version = self.patterns_version;
        }
        row.cores | row.pattern_cores
    }

    /// Routes `topic` to `core` and says where a subscription that starts at `start` begins.
    pub(crate) fn subscribe(
        &mut self,
        topic: &Topic,
        core: usize,
        start: &Start,
        now: Now,
    ) -> Result<Placement, ErrorCode> {
        let key = self.row_or_insert(topic)?;
        self.with_row(key, |row| row.let_go(now.monotonic_ms));
        let placement = self.rows[key].place(start, &self.epoch);
        if placement.is_ok() {
            self.rows[key].cores |= 1 << core;
        } else {
            self.forget_if_idle(key);
        }
        placement
    }

    pub(crate) fn unsubscribe(&mut self, topic: &Topic, core: usize) {
        if let Some(&key) = self.index.get(topic) {
            self.rows[key].cores &= !(1 << core);
            self.forget_if_idle(key);
        }
    }

    /// Routes `topic` to `core`; its last values, and where what follows them begins.
    pub(crate) fn snapshot(&mut self, topic: &Topic, core: usize, now: Now) -> Result<Part, ErrorCode> {
        let placement = self.subscribe(topic, core, &Start::Now, now)?;
        let row = self.index.get(topic).map(|&key| &self.rows[key]);
        let values = row.into_iter().flat_map(Row::values).cloned().collect();
        Ok(Part { placement: Some(placement), values, next_row: None })
    }

    /// The last values of the topics that match, in the rows from `from` on, up to about `max_bytes`. Those of a topic are
    /// never torn apart.
    pub(crate) fn snapshot_rows(&self, pattern: &Pattern, from: u32, max_bytes: usize) -> Part {
        let (mut values, mut bytes) = (Vec::new(), 0);
        let end = (from as usize + ROWS_PER_SWEEP).min(self.rows.capacity());
        for key in from as usize..end {
            if bytes >= max_bytes {
                return Part { placement: None, values, next_row: Some(key as u32) };
            }
            let row = self.rows.get(key).filter(|row| pattern.matches(&row.topic));
            for value in row.into_iter().flat_map(Row::values) {
                bytes += value.bytes();
                values.push(value.clone());
            }
        }
        let next_row = (end < self.rows.capacity()).then_some(end as u32);
        Part { placement: None, values, next_row }
    }

    pub(crate) fn subscribe_pattern(&mut self, pattern: &Pattern, core: usize) {
        *self.patterns.value_or_insert(pattern, || 0) |= 1 << core;
        self.patterns_version += 1;
    }

    pub(crate) fn unsubscribe_pattern(&mut self, pattern: &Pattern, core: usize) {
        let cores = self.patterns.value_or_insert(pattern, || 0);
        *cores &= !(1 << core);
        if *cores == 0 {
            self.patterns.remove(pattern);
        }
        self.patterns_version += 1;
    }

    /// What is held from offset `from` on, up to about `max_bytes`.
    pub(crate) fn read(&mut self, topic: &Topic, from: u64, max_bytes: usize, now: Now) -> Chunk {
        match self.index.get(topic) {
            Some(&key) => {
                self.with_row(key, |row| row.let_go(now.monotonic_ms));
                self.rows[key].read(from, max_bytes)
            }
            // Forgotten since: whatever it was, nothing is held up to where its next row will start.
            None => Chunk {
                gap: (from <= self.highest_forgotten).then_some((from, self.highest_forgotten)),
                messages: Vec::new(),
                next: from.max(self.highest_forgotten + 1),
                caught_up: true,
            },
        }
    }

    /// What is held from `start` on, up to about `max_bytes`. A topic without a row is as one that has just got
    /// one, and stays without.
    pub(crate) fn poll(
        &mut self,
        topic: &Topic,
        start: &Start,
        max_bytes: usize,
        now: Now,
    ) -> Result<Polled, ErrorCode> {
        let Some(&key) = self.index.get(topic) else {
            return self.new_row(topic).poll(start, &self.epoch, max_bytes);
        };
        self.with_row(key, |row| row.let_go(now.monotonic_ms));
        self.rows[key].poll(start, &self.epoch, max_bytes)
    }

    /// Has a poll of `core` wait for the topic's next message. Until then the topic is not forgotten.
    pub(crate) fn wait(&mut self, topic: &Topic, core: usize, waiter: Waiter) -> Result<(), ErrorCode> {
        let key = self.row_or_insert(topic)?;
        self.rows[key].wait(core, waiter);
        Ok(())
    }

    /// Lets a poll go that has waited in vain; its answer, if it still waited.
    pub(crate) fn end_wait(&mut self, topic: &Topic, core: usize, ticket: PollTicket) -> Option<Polled> {
        let &key = self.index.get(topic)?;
        let row = &mut self.rows[key];
        let Waiter { recovered, .. } = row.end_wait(core, ticket)?;
        let polled = Polled { recovered, gap: None, messages: Vec::new(), offset: row.offset };
        self.forget_if_idle(key);
        Some(polled)
    }

    /// The topic's latest message, where it is kept. A topic without a row is as one that has just got one.
    pub(crate) fn latest(&self, topic: &Topic) -> Latest {
        match self.index.get(topic) {
            Some(&key) => Latest { message: self.rows[key].last.clone(), offset: self.rows[key].offset },
            None => Latest { message: None, offset: self.highest_forgotten },
        }
    }

    /// Whether rows have to be swept from time to time.
    pub(crate) fn ages(&self) -> bool {
        !self.rows.is_empty() && self.settings.topics.iter().any(|rule| rule.settings.age())
    }

    /// Lets what is too old go, in the next so many rows.
    pub(crate) fn sweep(&mut self, now_ms: u64) {
        let end = (self.sweep_at + ROWS_PER_SWEEP).min(self.rows.capacity());
        for key in self.sweep_at..end {
            if self.rows.get(key).is_some_and(Row::ages) {
                self.with_row(key, |row| row.let_go(now_ms));
                self.forget_if_idle(key);
            }
        }
        self.sweep_at = if end == self.rows.capacity() { 0 } else { end };
    }

    fn row_or_insert(&mut self, topic: &Topic) -> Result<usize, ErrorCode> {
        if let Some(&key) = self.index.get(topic) {
            return Ok(key);
        }
        if self.rows.len() >= self.max_rows {
            return Err(ErrorCode::TooManyTopics);
        }
        if !self.may_grow {
            return Err(ErrorCode::Unavailable);
        }
        let mut row = self.new_row(topic);
        // What patterns add to it is not known yet.
        row.patterns_version = self.patterns_version.wrapping_sub(1);
        let key = self.rows.insert(row);
        self.index.insert(topic.clone(), key);
        Ok(key)
    }

    /// A row as it would be inserted next.
    fn new_row(&self, topic: &Topic) -> Row {
        let number = self.number_of(self.rows.vacant_key());
        Row::new(topic.clone(), number, self.highest_forgotten, self.settings.of_topic(topic))
    }

    /// The number of the topic with this row: no other row of the broker has the same at the same time. The next row in
    /// its place has it again; nobody who was told it before is still given messages by it, because a topic with
    /// subscribers keeps its row.
    fn number_of(&self, key: usize) -> TopicNumber {
        let number = u32::try_from(1 + key * self.cores + self.core).ok().and_then(TopicNumber::new);
        number.expect("there are no more rows than numbers")
    }

    fn forget_if_idle(&mut self, key: usize) {
        if self.rows[key].is_idle() {
            let row = self.rows.remove(key);
            debug_assert_eq!(row.kept_bytes(), 0, "an idle row keeps nothing");
            self.index.remove(&row.topic);
            self.highest_forgotten = self.highest_forgotten.max(row.offset);
        }
    }
}

/// The row that a topic with this number has at its home.
pub(crate) fn row_of(number: TopicNumber, cores: usize) -> u32 {
    ((number.get() - 1) as usize / cores) as u32
}

/// How many rows a home can have so that each has a number, the next one too.
const fn most_rows(cores: usize) -> usize {
    u32::MAX as usize / cores - 1
}
