//! From what connections were given to their sockets, and what becomes of those whose sockets do not take it.

use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;
use std::sync::Arc;

use fanwire_wire::topic::Topic;

use super::Shard;
use crate::catch_up::NextRead;
use crate::connections::{Flushed, Piece, State};
use crate::encoder::Naming;
use crate::lanes::{ConnectionId, Request};
use crate::message::Message;
use crate::overflow::{Payment, Terms};
use crate::palette::Content;
use crate::write_queue::ReplyKind;

impl Shard {
    /// The next connection with something to write.
    pub fn poll_flush(&mut self) -> Option<ConnectionId> {
        // Asked for every write, of which a call in vain would be a tenth.
        if self.run.is_some() {
            self.fan_out();
        }
        if self.connections.is_turn_of_ready()
            && let Some(behind) = self.next_behind()
        {
            return Some(behind);
        }
        while let Some(slot) = self.connections.next_touched() {
            if !self.connections.keeps_context(slot) || self.take_for_itself(slot) {
                return Some(self.connections.id(slot));
            }
        }
        self.next_behind()
    }

    /// Moves what the connection has in the palette to its write queue, to be encoded for it alone, and at once: the palette's
    /// cap, and not the queue's, bounds what comes for those that keep up. Returns whether there is something to write.
    fn take_for_itself(&mut self, slot: u32) -> bool {
        self.leave_behind(slot, None, usize::MAX);
        let next = self.connections.last_ready();
        debug_assert_eq!(next, Some(slot), "nobody was scheduled after it");
        next.is_some() && self.read_on(slot)
    }

    /// The next connection that is behind and has something to write.
    fn next_behind(&mut self) -> Option<ConnectionId> {
        while let Some(slot) = self.connections.next_ready() {
            if self.read_on(slot) {
                return Some(self.connections.id(slot));
            }
        }
        None
    }

    /// Whether [`Self::poll_flush`] has something to do.
    pub fn has_output(&self) -> bool {
        self.run.is_some() || self.connections.has_output()
    }

    /// Whether nothing waits to be written to the connection.
    pub fn is_flushed(&self, id: ConnectionId) -> bool {
        !self.connections.is_connected(id) || self.connections.is_flushed(id.slot)
    }

    /// What the connection that [`Self::poll_flush`] named has to write. It is never empty.
    pub fn output(&mut self, id: ConnectionId) -> &[u8] {
        self.connections.output(id.slot)
    }

    /// The socket took the first `bytes` of [`Self::output`]; 0 when it is full.
    pub fn wrote(&mut self, id: ConnectionId, bytes: usize) -> Flushed {
        let slot = id.slot;
        if self.connections.at(slot).behind.is_some() {
            self.connections.advance(slot, bytes);
        } else if bytes == self.connections.spans.bytes(slot) {
            self.connections.spans.clear(slot);
            return Flushed::Empty;
        } else {
            self.leave_behind(slot, Some(bytes), self.backlog_bound());
        }
        self.connections.after_write(slot, bytes == 0)
    }

    /// The connection's socket can take more.
    pub fn handle_writable(&mut self, id: ConnectionId) {
        if self.connections.is_connected(id) {
            self.connections.unblock(id.slot);
        }
    }

    /// The connection gets a write queue, with what it has in the palette.
    pub(super) fn fall_behind(&mut self, slot: u32) {
        if self.connections.at(slot).behind.is_none() {
            self.leave_behind(slot, None, self.backlog_bound());
        }
    }

    /// Moves what the connection has in the palette to its write queue: what is left of what the socket `took` a part of, if
    /// it was offered that; the rest of a frame as it is, what follows as references. One that is closed already gets what
    /// fits, and from behind the first message that does not nothing but its close frame. What fits is `bound`.
    fn leave_behind(&mut self, slot: u32, took: Option<usize>, bound: usize) {
        let pieces = self.connections.spans.take(slot);
        let behind = self.connections.behind(slot);
        if took.is_some() {
            behind.queue.set_lagging();
        }
        let mut written = took.unwrap_or(0) as u32;
        let mut boundaries = pieces.iter().filter(|piece| piece.is_boundary()).count();
        let mut flow = Continue(());
        for piece in pieces {
            let (Piece::Log(start, end) | Piece::Reply(start, end, _)) = piece;
            let skip = written.min(end - start);
            written -= skip;
            boundaries -= usize::from(piece.is_boundary());
            match piece {
                Piece::Reply(_, _, kind) if flow.is_continue() || kind == ReplyKind::Close => {
                    self.queue_reply(slot, start + skip..end, kind, skip > 0);
                }
                Piece::Log(..) if flow.is_continue() => {
                    flow = self.queue_log(slot, start + skip..end, boundaries == 0, bound);
                }
                Piece::Reply(..) | Piece::Log(..) => {}
            }
        }
        self.connections.schedule(slot);
    }

    /// What is left of a reply. One that was begun is finished, whatever becomes of the queue.
    fn queue_reply(&mut self, slot: u32, rest: Range<u32>, kind: ReplyKind, begun: bool) {
        let bytes = self.connections.palette.replies(rest.start, rest.end).to_vec();
        self.connections.with_queue(slot, |queue| match bytes.is_empty() {
            true => {}
            false if begun => queue.set_partial(&bytes),
            false => queue.push_reply(&bytes, kind),
        });
    }

    /// What is left of a range of the log, which may begin in the middle of a frame. It `is_current` where no boundary follows.
    fn queue_log(&mut self, slot: u32, rest: Range<u32>, is_current: bool, bound: usize) -> ControlFlow<()> {
        let Some(encoding) = self.connections.encoding_id(slot).filter(|_| !rest.is_empty()) else {
            return Continue(());
        };
        let begun = self.connections.palette.rest_of_frame(encoding, rest.start).to_vec();
        if !begun.is_empty() {
            self.connections.with_queue(slot, |queue| queue.set_partial(&begun));
        }
        let contents = self.contents_of(encoding, rest.start + begun.len() as u32..rest.end);
        self.queue_contents(slot, contents, is_current, bound)
    }

    /// Puts what was in a range of the log, which may be of several topics, into the write queue.
    fn queue_contents(
        &mut self,
        slot: u32,
        contents: impl IntoIterator<Item = Content>,
        is_current: bool,
        bound: usize,
    ) -> ControlFlow<()> {
        let mut of_topic: Option<(Topic, Option<Terms>)> = None;
        for content in contents {
            match content {
                Content::Message(message, naming) => {
                    if of_topic.as_ref().is_none_or(|(topic, _)| *topic != message.topic) {
                        let terms = self.terms_of_part(slot, &message.topic, is_current);
                        of_topic = Some((message.topic.clone(), terms));
                    }
                    if let Some((_, Some(terms))) = of_topic {
                        self.queue(slot, (message, naming), terms, bound)?;
                    }
                }
                Content::Tick(tick) => self.queue_tick(slot, tick, is_current, bound)?,
            }
        }
        Continue(())
    }

    /// The terms of what `is_current`, or is in front of a boundary.
    pub(super) fn terms_of_part(&self, slot: u32, topic: &Topic, is_current: bool) -> Option<Terms> {
        let terms = self.terms(slot, topic);
        if is_current { terms } else { terms.map(Terms::ended) }
    }

    /// Puts a message into the write queue of a connection that is behind, as the terms of its topic say. Breaks where the
    /// connection is given nothing more.
    pub(super) fn queue(
        &mut self,
        slot: u32,
        (message, naming): (Arc<Message>, Naming),
        terms: Terms,
        bound: usize,
    ) -> ControlFlow<()> {
        let state = self.connections.state(slot);
        if state == State::Doomed {
            return Break(());
        }
        let Some(behind) = &mut self.connections.at(slot).behind else { return Continue(()) };
        if behind.catching_up.leave(&message.topic, message.offset) {
            return Continue(());
        }
        let (topic, offset) = (message.topic.clone(), message.offset);
        if state == State::Closing && !behind.queue.has_room(message.bytes(), bound) {
            return Break(());
        }
        let queued = terms.queued((message, naming));
        match self.connections.with_queue(slot, |queue| terms.queue(queue, queued, bound)) {
            Some(Payment::CatchUp) => self.drop_and_catch_up(slot, &topic, offset),
            Some(Payment::Disconnect) => self.too_slow(slot, &topic),
            Some(Payment::Settled) | None => {}
        }
        self.connections.schedule(slot);
        if self.connections.state(slot) == State::Doomed { Break(()) } else { Continue(()) }
    }

    /// From here on the connection reads the topic from history, beginning with what is queued of it, or else with
    /// `offset`. At the shutdown nobody reads history any more: then what is queued is all that it gets.
    fn drop_and_catch_up(&mut self, slot: u32, topic: &Topic, offset: u64) {
        let is_stopping = self.is_stopping();
        let dropped = self
            .connections
            .with_queue(slot, |queue| if is_stopping { None } else { queue.drop_topic(topic) });
        self.catch_up(slot, topic, (dropped.flatten().unwrap_or(offset), offset));
    }

    /// From here on the connection reads the topic from history, beginning with offset `from`, until it is level. The
    /// topic is known to go to offset `to`.
    pub(super) fn catch_up(&mut self, slot: u32, topic: &Topic, (from, to): (u64, u64)) {
        self.fall_behind(slot);
        let serial = self.subscriptions.next_serial();
        let catching_up = &mut self.connections.behind(slot).catching_up;
        // What the connection had in the palette may have found its queue full: then it begins there, which is earlier.
        if !catching_up.leave(topic, to) {
            catching_up.begin(topic, (from, to), serial);
        }
        // Patterns bring topics without end; what a connection subscribes to one by one always fits.
        if catching_up.len() > self.settings.max_subscriptions {
            self.too_slow(slot, topic);
        }
        self.connections.schedule(slot);
    }

    /// The turn of a connection that is behind. When it was sent everything, the next generation follows, and more of what
    /// it catches up on behind that, so that neither waits for the end of the other. While its socket is full, it has turns
    /// for what it reads ahead alone. Returns whether it has something to write.
    fn read_on(&mut self, slot: u32) -> bool {
        let connection = self.connections.id(slot);
        let (is_stopping, now_ms) = (self.is_stopping(), self.now.monotonic_ms);
        let is_blocked = self.connections.is_blocked(slot);
        let is_drained = !is_blocked
            && self.connections.with_queue(slot, |queue| {
                let is_drained = queue.is_drained();
                queue.begin_turn(now_ms);
                is_drained
            }) == Some(true);
        if !is_stopping {
            self.request_history(connection, is_drained);
        }
        if !is_stopping && is_drained {
            self.request_snapshot(slot);
        }
        !is_blocked && self.connections.settle(slot)
    }

    /// Asks for more of what the connection catches up on: of any topic if it `is_drained`, or else of one that reads ahead.
    fn request_history(&mut self, connection: ConnectionId, is_drained: bool) {
        let Some(behind) = &mut self.connections.at(connection.slot).behind else { return };
        if let Some(NextRead { topic, serial, from }) = behind.catching_up.next_read(is_drained) {
            self.request(self.home_of(&topic), Request::Read { topic, connection, serial, from });
        }
    }
}
