//! Connections that are behind: their write queues, and whose turn it is.
//!
//! One is behind whose socket did not take everything, or that reads from homes: history, or a snapshot. It stands in a list
//! while there is something to do for it, and is no longer behind when nothing is left and nothing is to come.

use std::collections::VecDeque;

use super::{Connection, Connections, Flushed, Piece, State};
use crate::catch_up::CatchingUp;
use crate::snapshots::Snapshots;
use crate::write_queue::WriteQueue;

/// Turns that connections with something in the palette have for each of one that is behind, at most.
const TURNS_BEFORE_READY: u32 = 16;

/// What a connection has that is behind.
#[derive(Debug, Default)]
pub(crate) struct Behind {
    pub(crate) queue: WriteQueue,
    pub(crate) catching_up: CatchingUp,
    pub(crate) snapshots: Snapshots,
    /// The socket is full.
    blocked: bool,
    /// It stands in the list of those that have something to do.
    scheduled: bool,
}

impl Behind {
    /// Whether it may have. While the socket is full, only what needs no room there is to be done.
    fn has_something_to_do(&self) -> bool {
        !self.blocked || self.catching_up.reads_ahead()
    }

    fn has_nothing_to_come(&self) -> bool {
        self.queue.is_empty() && self.catching_up.is_empty() && self.snapshots.is_empty()
    }
}

/// Whose turn it is of those that are behind.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The slots of those that have something to do.
    ready: VecDeque<u32>,
    /// The slots of those that have, and must wait for the next turn.
    postponed: Vec<u32>,
    /// Turns from the palette since one that is behind had its own.
    since_ready: u32,
}

impl Turns {
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.postponed.is_empty()
    }
}

/// What all write queues hold together.
#[derive(Debug, Default)]
pub(super) struct Held {
    backlog_bytes: usize,
    /// The [certain bytes](WriteQueue::certain_bytes).
    certain_bytes: usize,
    /// The messages that were let go by count.
    messages_skipped: u64,
}

impl Held {
    /// Works on a queue, and counts what that changes.
    pub(super) fn work_on<R>(
        &mut self,
        queue: &mut WriteQueue,
        work: impl FnOnce(&mut WriteQueue) -> R,
    ) -> R {
        let (bytes, certain, skips) = (queue.bytes(), queue.certain_bytes(), queue.skips());
        let result = work(queue);
        self.certain_bytes = self.certain_bytes + queue.certain_bytes() - certain;
        self.backlog_bytes = self.backlog_bytes + queue.bytes() - bytes;
        self.messages_skipped += queue.skips() - skips;
        result
    }
}

/// Their write queues.
impl Connections {
    /// What the connection has when it is behind, which it is from here on.
    pub(crate) fn behind(&mut self, slot: u32) -> &mut Behind {
        self.spans.leave_out(slot);
        self.slots[slot as usize].behind.get_or_insert_default()
    }

    /// Works on the connection's write queue, if it has one.
    pub(crate) fn with_queue<R>(&mut self, slot: u32, work: impl FnOnce(&mut WriteQueue) -> R) -> Option<R> {
        let behind = self.slots[slot as usize].behind.as_mut()?;
        Some(self.held.work_on(&mut behind.queue, work))
    }

    /// Takes away what the connection has not written, but for the rest of a frame that was begun, and replies in front of
    /// the first message.
    pub(crate) fn drop_backlog(&mut self, slot: u32) {
        for piece in self.spans.take(slot) {
            let Piece::Reply(start, end, kind) = piece else { break };
            let reply = self.palette.replies(start, end).to_vec();
            self.behind(slot);
            self.with_queue(slot, |queue| queue.push_reply(&reply, kind));
        }
        self.with_queue(slot, WriteQueue::drop_messages);
        self.schedule(slot);
    }

    /// Takes away everything that the connection has not written, since it is gone.
    pub(super) fn drop_behind(&mut self, slot: u32) {
        self.with_queue(slot, WriteQueue::drop_messages);
        let behind = self.slots[slot as usize].behind.take();
        self.held.certain_bytes -= behind.map_or(0, |behind| behind.queue.certain_bytes());
    }

    /// The connection reads nothing more from homes.
    pub(crate) fn stop_reading(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind {
            (behind.catching_up, behind.snapshots) = (CatchingUp::default(), Snapshots::default());
        }
    }

    /// What is left after a write of a connection that is behind.
    pub(crate) fn after_write(&mut self, slot: u32, blocked: bool) -> Flushed {
        let Some(behind) = &mut self.slots[slot as usize].behind else { return Flushed::Empty };
        if !behind.queue.is_empty() {
            if blocked {
                behind.blocked = true;
                return Flushed::Blocked;
            }
            self.schedule(slot);
            return Flushed::More;
        }
        self.settle(slot);
        self.schedule(slot);
        Flushed::Empty
    }

    /// Whether the connection has something to write in its queue: what is gathered there has its turn yet to come. One that has
    /// nothing, and nothing to wait for, is no longer behind.
    pub(crate) fn settle(&mut self, slot: u32) -> bool {
        let Connection { state, behind: Some(behind), .. } = &self.slots[slot as usize] else { return false };
        if behind.has_nothing_to_come() && *state != State::Doomed {
            self.slots[slot as usize].behind = None;
            self.spans.clear(slot);
            return false;
        }
        !behind.queue.is_drained()
    }

    /// What write queues hold of messages, in bytes.
    pub(crate) fn backlog_bytes(&self) -> usize {
        self.held.backlog_bytes
    }

    /// What write queues hold besides the backlog, in bytes.
    pub(crate) fn certain_bytes(&self) -> usize {
        self.held.certain_bytes
    }

    /// The messages that write queues have let go by count.
    pub(crate) fn messages_skipped(&self) -> u64 {
        self.held.messages_skipped
    }
}

/// Their turns.
impl Connections {
    /// Puts a connection that is behind on the list of those that have something to do.
    pub(crate) fn schedule(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind
            && !behind.scheduled
            && behind.has_something_to_do()
        {
            behind.scheduled = true;
            self.turns.ready.push_back(slot);
        }
    }

    /// Has a connection that waits for a snapshot have its turn when [`Self::recall`] says so.
    pub(crate) fn postpone(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind
            && !behind.scheduled
            && !behind.snapshots.is_empty()
        {
            behind.scheduled = true;
            self.turns.postponed.push(slot);
        }
    }

    /// Puts those that were postponed on the list of those that have something to do.
    pub(crate) fn recall(&mut self) {
        self.turns.ready.extend(self.turns.postponed.drain(..));
    }

    /// Whether the socket is full.
    pub(crate) fn is_blocked(&self, slot: u32) -> bool {
        self.slots[slot as usize].behind.as_ref().is_some_and(|behind| behind.blocked)
    }

    /// The socket became writable.
    pub(crate) fn unblock(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind {
            behind.blocked = false;
            self.schedule(slot);
        }
    }

    /// Whether one that is behind has its turn in front of those that have something in the palette: a hot topic may always
    /// bring more of that.
    pub(crate) fn is_turn_of_ready(&mut self) -> bool {
        self.turns.since_ready += 1;
        self.turns.since_ready > TURNS_BEFORE_READY && !self.turns.ready.is_empty()
    }

    /// The next connection that is behind and has something to do.
    pub(crate) fn next_ready(&mut self) -> Option<u32> {
        self.turns.since_ready = 0;
        self.take_ready(VecDeque::pop_front)
    }

    /// The connection that was scheduled last, ahead of all others.
    pub(crate) fn last_ready(&mut self) -> Option<u32> {
        self.take_ready(VecDeque::pop_back)
    }

    fn take_ready(&mut self, next: fn(&mut VecDeque<u32>) -> Option<u32>) -> Option<u32> {
        while let Some(slot) = next(&mut self.turns.ready) {
            if let Some(behind) = &mut self.slots[slot as usize].behind
                && std::mem::take(&mut behind.scheduled)
                && behind.has_something_to_do()
            {
                return Some(slot);
            }
        }
        None
    }
}
