//! Publishing at the home: conditions first, then offsets.

use std::sync::Arc;

use fanwire_wire::error::ErrorCode;

use super::TopicTable;
use crate::message::{Draft, Message, Origin};
use crate::shard::Now;
use crate::waiters::Waiters;

/// What became of a message that was not refused.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It has its offset, and is to be routed.
    Published(Published),
    /// It is a repeat of the message with this offset.
    Repeat(u64),
}

impl Taken {
    /// The offset that the publisher is told.
    pub(crate) fn offset(&self) -> u64 {
        match self {
            Self::Published(published) => published.message.offset,
            Self::Repeat(offset) => *offset,
        }
    }
}

/// A message that has its offset, and whom it is for.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) message: Arc<Message>,
    /// The cores that have subscribers, as bits.
    pub(crate) cores: u64,
    /// The polls that waited for it.
    pub(crate) waiters: Option<Waiters>,
}

impl TopicTable {
    /// Gives the message its offset and keeps it as the topic's settings say, unless one of its conditions does not hold.
    pub(crate) fn publish(&mut self, draft: Draft, origin: Origin, now: Now) -> Result<Taken, ErrorCode> {
        let (key, repeats) = self.admit(&draft, now)?;
        if let Some(offset) = repeats {
            return Ok(Taken::Repeat(offset));
        }
        let published = self.append(key, draft, origin, now);
        self.forget_if_idle(key);
        Ok(Taken::Published(published))
    }

    /// The same for several messages: all of them, or none. Each is held against its topic as it was before the first of
    /// them. Returns what became of each, in their order, or which one is refused and why.
    pub(crate) fn publish_together(
        &mut self,
        drafts: Vec<Draft>,
        origin: Origin,
        now: Now,
    ) -> Result<Vec<Taken>, (usize, ErrorCode)> {
        let mut admitted = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.iter().enumerate() {
            match self.admit(draft, now) {
                Ok(place) => admitted.push(place),
                Err(code) => {
                    self.forget_idle_among(&admitted);
                    return Err((index, code));
                }
            }
        }
        let taken = drafts.into_iter().zip(&admitted).map(|(draft, &(key, repeats))| {
            // It may repeat one in front of it.
            match repeats.or_else(|| self.rows[key].known_offset(&draft)) {
                Some(offset) => Taken::Repeat(offset),
                None => Taken::Published(self.append(key, draft, origin, now)),
            }
        });
        let taken = taken.collect();
        self.forget_idle_among(&admitted);
        Ok(taken)
    }

    /// The row of the message's topic, and the offset of what it repeats, if it does; or why it is refused.
    fn admit(&mut self, draft: &Draft, now: Now) -> Result<(usize, Option<u64>), ErrorCode> {
        let key = self.row_or_insert(&draft.topic)?;
        let Some(conditions) = &draft.conditions else { return Ok((key, None)) };
        self.with_row(key, |row| row.let_go(now.monotonic_ms));
        let row = &self.rows[key];
        match row.known_offset(draft) {
            Some(offset) => Ok((key, Some(offset))),
            None if conditions.expect.as_ref().is_none_or(|expected| row.is_at(expected, &self.epoch)) => {
                Ok((key, None))
            }
            None => {
                self.forget_if_idle(key);
                Err(ErrorCode::MovedOn)
            }
        }
    }

    /// Forgets those of the rows that are idle, of which some may be named twice or be gone already.
    fn forget_idle_among(&mut self, admitted: &[(usize, Option<u64>)]) {
        for &(key, _) in admitted {
            if self.rows.contains(key) {
                self.forget_if_idle(key);
            }
        }
    }

    /// Gives the message its offset and keeps it.
    fn append(&mut self, key: usize, draft: Draft, origin: Origin, now: Now) -> Published {
        let cores = self.cores(key);
        let row = &mut self.rows[key];
        row.offset += 1;
        let message = Arc::new(Message {
            topic: draft.topic,
            number: row.number,
            offset: row.offset,
            time_ms: now.wall_ms,
            taken_ms: now.monotonic_ms,
            key: draft.key,
            kind: draft.kind,
            content_type: draft.content_type,
            payload: draft.payload,
            except: (!draft.echo).then_some(origin),
        });
        let id = draft.conditions.and_then(|conditions| conditions.message_id);
        let waiters = self.with_row(key, |row| {
            if let Some(id) = id {
                row.know(id, now);
            }
            row.keep(&message, now)
        });
        Published { message, cores, waiters }
    }
}
