//! One topic at its home: where a reader begins in it, and what it still has.

use std::sync::Arc;

use fanwire_wire::command::Position;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicNumber};

use super::{Chunk, Placement, Polled};
use crate::history::History;
use crate::lanes::Start;
use crate::message::Message;
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
    pub(super) keeps_last: bool,
    pub(super) last: Option<Arc<Message>>,
    /// The polls that wait for the next message: at few topics at a time, of which there may be a million.
    pub(super) waiters: Option<Box<Waiters>>,
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
            keeps_last: settings.last_value,
            last: None,
            waiters: None,
        }
    }

    /// Whether nobody would miss it.
    pub(super) fn is_idle(&self) -> bool {
        self.cores == 0
            && self.waiters.is_none()
            && self.last.is_none()
            && self.history.as_ref().is_none_or(History::is_empty)
    }

    /// Lets go of what is too old by now: the sweep may not have come by yet.
    pub(super) fn let_go(&mut self, now: Now) {
        if let Some(history) = &mut self.history {
            history.let_go(now.monotonic_ms);
        }
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
