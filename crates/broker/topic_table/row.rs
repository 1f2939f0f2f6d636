//! One topic at its home: where a reader begins in it, and what it still has.

use std::sync::Arc;

use fanwire_wire::command::Position;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{Chunk, Placement, Polled};
use crate::history::History;
use crate::lanes::{PollTicket, Start, Waiter};
use crate::last_values::LastValues;
use crate::message::{Draft, Message};
use crate::message_ids::MessageIds;
use crate::settings::TopicSettings;
use crate::shard::Now;
use crate::waiters::Waiters;

/// What a home has of one topic.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) topic: Topic,
    pub(super) number: TopicNumber,
    /// The offset before the first message of this row.
    base: u64,
    /// The offset of the latest message.
    pub(super) offset: u64,
    /// The cores that have subscribers to the topic, as bits.
    pub(super) cores: u64,
    /// The cores that matching patterns add, as of `patterns_version`.
    pub(super) pattern_cores: u64,
    pub(super) patterns_version: u64,
    pub(super) history: Option<History>,
    /// Whether the latest message is kept.
    keeps_last: bool,
    /// The newest of all values, where there are values by key.
    pub(super) last: Option<Arc<Message>>,
    extras: Option<Box<Extras>>,
}

/// What few topics have at a time, out of the way of the million that do not.
#[derive(Debug, Default)]
struct Extras {
    /// The polls that wait for the next message.
    waiters: Waiters,
    values: Option<LastValues>,
    message_ids: Option<MessageIds>,
}

/// There may be a million of them; growing one is a decision.
const _: () = assert!(size_of::<Row>() <= 152);

impl Row {
    /// A topic whose first message will have the offset after `base`.
    pub(super) fn new(topic: Topic, number: TopicNumber, base: u64, settings: &TopicSettings) -> Self {
        Self {
            topic,
            number,
            base,
            offset: base,
            cores: 0,
            pattern_cores: 0,
            patterns_version: 0,
            history: settings.history.map(History::new),
            keeps_last: settings.last_value || settings.keys.is_some(),
            last: None,
            extras: Extras::new(settings).boxed(),
        }
    }

    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        self.cores == 0
            && self.last.is_none()
            && self.history.as_ref().is_none_or(History::is_empty)
            && self.extras.as_ref().is_none_or(|extras| extras.are_idle())
    }

    /// Keeps the message, which is the topic's next, as the settings say. Who waited for it waits no longer.
    pub(super) fn keep(&mut self, message: &Arc<Message>, now: Now) -> Option<Waiters> {
        if let Some(history) = &mut self.history {
            history.push(message.clone(), now.monotonic_ms);
        }
        if self.keeps_last {
            self.last = Some(message.clone());
        }
        let extras = self.extras.as_mut()?;
        if let Some(values) = &mut extras.values {
            values.update(message.clone());
        }
        let waiters = std::mem::take(&mut extras.waiters);
        self.drop_extras();
        (!waiters.is_empty()).then_some(waiters)
    }

    /// What history, last values and message ids hold, in bytes. A message that history and values hold counts twice.
    pub(super) fn kept_bytes(&self) -> usize {
        let values = self.extras.as_ref().and_then(|extras| extras.values.as_ref());
        let values = values.map(LastValues::bytes).or(self.last.as_ref().map(|last| last.bytes()));
        let history = self.history.as_ref().map_or(0, History::bytes);
        values.unwrap_or(0) + history + self.message_ids().map_or(0, MessageIds::bytes)
    }

    /// The last values, in the order of their offsets.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Message>> {
        let values = self.extras.as_ref().and_then(|extras| extras.values.as_ref());
        let last = self.last.iter().filter(move |_| values.is_none());
        values.into_iter().flat_map(LastValues::iter).chain(last)
    }

    /// Has a poll wait for the next message.
    pub(super) fn wait(&mut self, core: usize, waiter: Waiter) {
        self.extras.get_or_insert_default().waiters.insert(core, waiter);
    }

    /// Takes out a poll, if it still waits.
    pub(super) fn end_wait(&mut self, core: usize, ticket: PollTicket) -> Option<Waiter> {
        let waiter = self.extras.as_mut()?.waiters.remove(core, ticket)?;
        self.drop_extras();
        Some(waiter)
    }

    fn drop_extras(&mut self) {
        self.extras.take_if(|extras| !extras.are_needed());
    }

    /// Whether something is let go by age alone, so that somebody has to look at it when nothing is published.
    pub(super) fn ages(&self) -> bool {
        self.history.as_ref().is_some_and(History::ages)
            || self.message_ids().is_some_and(|ids| !ids.is_empty())
    }

    /// Lets go of what is too old by now: the sweep may not have come by yet.
    pub(super) fn let_go(&mut self, now_ms: u64) {
        if let Some(history) = &mut self.history {
            history.let_go(now_ms);
        }
        if let Some(ids) = self.extras.as_mut().and_then(|extras| extras.message_ids.as_mut()) {
            ids.let_go(now_ms);
        }
    }

    fn message_ids(&self) -> Option<&MessageIds> {
        self.extras.as_ref()?.message_ids.as_ref()
    }

    /// The offset of the message that this one repeats, if it does.
    pub(super) fn known_offset(&self, draft: &Draft) -> Option<u64> {
        let id = draft.conditions.as_ref()?.message_id.as_ref()?;
        self.message_ids()?.offset_of(id)
    }

    /// Notes that the latest message has this id, for those that repeat it.
    pub(super) fn know(&mut self, id: Arc<str>, now: Now) {
        if let Some(ids) = self.extras.as_mut().and_then(|extras| extras.message_ids.as_mut()) {
            ids.insert(id, self.offset, now.monotonic_ms);
        }
    }

    /// Whether this is the topic's latest position.
    pub(super) fn is_at(&self, position: &Position, epoch: &str) -> bool {
        *position.epoch == *epoch && position.offset == self.offset
    }

    /// The offset of the oldest message held; the next one's when none is. The last value is a history of one
    /// where there is no longer one.
    fn oldest_held(&self) -> u64 {
        let in_history = self.history.as_ref().and_then(History::oldest);
        in_history.or(self.last.as_ref().map(|last| last.offset)).unwrap_or(self.offset + 1)
    }

    /// Where a subscription that starts at `start` begins.
    pub(super) fn place(&self, start: &Start, epoch: &str) -> Result<Placement, ErrorCode> {
        let oldest = self.oldest_held();
        Ok(match start {
            Start::Now => self.placed(self.offset, None),
            Start::Earliest => self.placed(oldest - 1, Some(true)),
            Start::Last(count) => self.placed(self.offset.saturating_sub(*count).max(oldest - 1), Some(true)),
            Start::After(Position { epoch: theirs, offset }) if **theirs == *epoch => {
                if *offset > self.offset {
                    return Err(ErrorCode::BadSince);
                }
                self.placed(*offset, Some(*offset + 1 >= oldest))
            }
            // Another run of the broker. What that one published last cannot be named; what this one has, follows.
            Start::After(_) => self.placed(self.base, Some(false)),
        })
    }

    fn placed(&self, offset: u64, recovered: Option<bool>) -> Placement {
        let oldest = self.oldest_held();
        let first = oldest.max(offset + 1);
        Placement {
            number: self.number,
            offset,
            recovered,
            gap: (offset + 1 < oldest && offset < self.offset).then_some((offset + 1, oldest - 1)),
            catch_up: (first <= self.offset).then_some((first, self.offset)),
        }
    }

    /// What is held from `start` on, up to about `max_bytes`.
    pub(super) fn poll(&self, start: &Start, epoch: &str, max_bytes: usize) -> Result<Polled, ErrorCode> {
        let Placement { offset, recovered, .. } = self.place(start, epoch)?;
        let Chunk { gap, messages, next, .. } = self.read(offset + 1, max_bytes);
        Ok(Polled { recovered, gap, messages, offset: next - 1 })
    }

    /// What is held from offset `from` on, up to about `max_bytes`.
    pub(super) fn read(&self, from: u64, max_bytes: usize) -> Chunk {
        let oldest = self.oldest_held();
        let start = from.max(oldest);
        let messages = match &self.history {
            Some(history) if !history.is_empty() => history.read(start, max_bytes),
            _ => self.last.iter().filter(|last| last.offset >= start).cloned().collect(),
        };
        let next = messages.last().map_or(start, |last| last.offset + 1);
        Chunk {
            gap: (from < oldest).then(|| (from, oldest - 1)),
            messages,
            next,
            caught_up: next > self.offset,
        }
    }
}

impl Extras {
    fn new(settings: &TopicSettings) -> Self {
        Self {
            waiters: Waiters::default(),
            values: settings.keys.map(LastValues::new),
            message_ids: settings.message_ids.map(MessageIds::new),
        }
    }

    fn boxed(self) -> Option<Box<Self>> {
        self.are_needed().then(|| Box::new(self))
    }

    /// Whether there is anything, or a place for it that the settings make.
    fn are_needed(&self) -> bool {
        !self.waiters.is_empty() || self.values.is_some() || self.message_ids.is_some()
    }

    /// Whether nobody would miss them. Where there are values, the newest of them is the topic's last too.
    fn are_idle(&self) -> bool {
        self.waiters.is_empty() && self.message_ids.as_ref().is_none_or(MessageIds::is_empty)
    }
}
