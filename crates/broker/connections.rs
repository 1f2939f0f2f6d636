//! What each connection has to write, and whether its socket takes it.
//!
//! A connection that keeps up has a *span* of its encoding's log in the palette, and is written from there without
//! a copy. What does not follow on makes *pieces*, gathered when it is written. One whose socket did not take
//! everything, or that reads from history, is *behind*: it has a write queue. One that is compressed with a context of
//! its own shares no frames: when its turn comes, it falls behind with what it has, and is written from its queue.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::HashMap;
use fanwire_wire::deflate::Deflater;
use fanwire_wire::notification::Notification;
use smallvec::SmallVec;

use crate::catch_up::CatchingUp;
use crate::encoder::{Encoder, Encoding, Interface};
use crate::lanes::ConnectionId;
use crate::palette::{EncodingId, FULL_BYTES, Palette};
use crate::permissions::Permissions;
use crate::snapshots::Snapshots;
use crate::subscriptions::SubscriptionId;
use crate::write_queue::{ReplyKind, WriteQueue, Written};

/// How much of a write queue is encoded for one write, in bytes: what a socket with `TCP_NOTSENT_LOWAT` takes at a time,
/// a few times over.
const WRITE_BYTES: usize = 64 * 1024;

/// Turns that connections with something in the palette have for each of one that is behind, at most.
const TURNS_BEFORE_READY: u32 = 16;

/// Whose turn it is, and what they have.
#[derive(Debug)]
pub(crate) struct Connections {
    slots: Vec<Connection>,
    /// By slot, apart from the rest so that a fan-out touches 12 bytes a subscriber.
    spans: Vec<Span>,
    /// Spans with another stamp are of an earlier palette: empty.
    stamp: u32,
    /// The slots that have a span or pieces, in the order in which they got them.
    touched: Vec<u32>,
    /// Those whose turn it is, the next one last: to take from there costs half of what a `VecDeque`'s front does.
    flushing: Vec<u32>,
    /// The slots of those that are behind and have something to do.
    ready: VecDeque<u32>,
    /// The slots of those that have, and must wait for the next turn.
    postponed: Vec<u32>,
    /// Turns from the palette since one that is behind had its own.
    turns_since_ready: u32,
    pub(crate) palette: Palette,
    /// What the last [`Self::output`] gathered or encoded.
    written: Written,
    /// Vectors for pieces that are not in use, so that no idle connection holds one.
    spare_pieces: Vec<Vec<Piece>>,
    backlog_bytes: usize,
    /// The compressors of those that have one of their own, by slot.
    contexts: HashMap<u32, Option<Deflater>>,
    /// The [certain bytes](WriteQueue::certain_bytes) of write queues.
    certain_bytes: usize,
    /// The messages that write queues have let go by count.
    messages_skipped: u64,
    /// How many of the connections are event streams.
    event_streams: usize,
}

/// A range of the log of the connection's encoding.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
    stamp: u32,
}

/// The stamp of a connection that is behind: it is given nothing from the palette.
const BEHIND: u32 = u32::MAX;

/// A range of the log of a connection's encoding, or of the replies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    Log(u32, u32),
    Reply(u32, u32, ReplyKind),
}

impl Piece {
    pub(crate) fn is_boundary(&self) -> bool {
        matches!(self, Self::Reply(_, _, ReplyKind::Boundary))
    }
}

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    generation: u32,
    state: State,
    encoding: Option<EncodingId>,
    /// The last run that was put into its write queue, so that one that reached it twice is not put there twice.
    pub(crate) last_run: u64,
    /// Who it is, and what it may do; nothing, until that is said.
    permissions: Option<Arc<Permissions>>,
    pub(crate) subscriptions: SmallVec<[SubscriptionId; 2]>,
    pieces: Vec<Piece>,
    pub(crate) behind: Option<Box<Behind>>,
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Vacant,
    Open,
    /// It does not read fast enough: it is given nothing more until it is closed.
    Doomed,
    /// Its close frame, or the end of its stream, is queued; nothing may follow it.
    Closing,
}

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

/// What a connection did with a range that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// It is in its span.
    Taken,
    /// It had it already.
    Twice,
    /// It is behind: messages go to its write queue one by one.
    Behind,
}

/// What is left to write after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing.
    Empty,
    /// Something, and the socket may take it: `poll_flush` names the connection again.
    More,
    /// Something, and the socket is full: `handle_writable` must be called when it no longer is.
    Blocked,
}

impl Connections {
    /// Nobody, in a run of this epoch. Payloads from `deflate_above_bytes` on are compressed where that was negotiated.
    pub(crate) fn new(epoch: Arc<str>, deflate_above_bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            spans: Vec::new(),
            stamp: Span::default().stamp + 1,
            touched: Vec::new(),
            flushing: Vec::new(),
            ready: VecDeque::new(),
            postponed: Vec::new(),
            turns_since_ready: 0,
            palette: Palette::new(Encoder::new(epoch, deflate_above_bytes)),
            written: Written::default(),
            spare_pieces: Vec::new(),
            backlog_bytes: 0,
            contexts: HashMap::default(),
            certain_bytes: 0,
            messages_skipped: 0,
            event_streams: 0,
        }
    }

    pub(crate) fn connect(&mut self, id: ConnectionId) {
        let slot = id.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Connection::default);
            self.spans.resize(slot + 1, Span::default());
        }
        debug_assert_eq!(self.slots[slot].state, State::Vacant, "a slot is freed before it is used again");
        self.slots[slot] =
            Connection { generation: id.generation, state: State::Open, ..Connection::default() };
        self.spans[slot] = Span::default();
    }

    /// Forgets the connection; its subscriptions must have ended.
    pub(crate) fn disconnect(&mut self, slot: u32) {
        _ = self.take_pieces(slot);
        self.with_queue(slot, WriteQueue::drop_messages);
        let behind = self.slots[slot as usize].behind.as_ref();
        self.certain_bytes -= behind.map_or(0, |behind| behind.queue.certain_bytes());
        self.contexts.remove(&slot);
        self.event_streams -= usize::from(self.interface(slot) == Some(Interface::EventStream));
        self.slots[slot as usize] = Connection::default();
        self.spans[slot as usize] = Span::default();
    }

    pub(crate) fn upgrade(&mut self, slot: u32, encoding: Encoding) {
        self.slots[slot as usize].encoding = Some(self.palette.id_of(encoding));
        self.event_streams += usize::from(encoding.interface == Interface::EventStream);
    }

    /// What is written to the connection from here on is compressed with a context of its own.
    pub(crate) fn keep_context(&mut self, slot: u32, window_bits: u8) {
        self.contexts.insert(slot, Some(Deflater::new(window_bits, true)));
    }

    /// Whether the connection has one.
    pub(crate) fn keeps_context(&self, slot: u32) -> bool {
        !self.contexts.is_empty() && self.contexts.contains_key(&slot)
    }

    /// Whether the connection is there and may be written to.
    pub(crate) fn is_open(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some_and(|connection| connection.state == State::Open)
    }

    /// Whether the connection is there.
    pub(crate) fn is_connected(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some()
    }

    fn slot(&self, id: ConnectionId) -> Option<&Connection> {
        let connection = self.slots.get(id.slot as usize)?;
        (connection.state != State::Vacant && connection.generation == id.generation).then_some(connection)
    }

    /// From here on these hold.
    pub(crate) fn permit(&mut self, slot: u32, permissions: Arc<Permissions>) {
        self.slots[slot as usize].permissions = Some(permissions);
    }

    /// Who the connection is, and what it may do, if that was said.
    pub(crate) fn permissions(&self, slot: u32) -> Option<&Permissions> {
        self.slots[slot as usize].permissions.as_deref()
    }

    pub(crate) fn at(&mut self, slot: u32) -> &mut Connection {
        &mut self.slots[slot as usize]
    }

    pub(crate) fn subscriptions(&self, slot: u32) -> &[SubscriptionId] {
        &self.slots[slot as usize].subscriptions
    }

    pub(crate) fn id(&self, slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: self.slots[slot as usize].generation }
    }

    pub(crate) fn encoding_id(&self, slot: u32) -> Option<EncodingId> {
        self.slots[slot as usize].encoding
    }

    fn encoding(&self, slot: u32) -> Option<Encoding> {
        self.encoding_id(slot).map(|id| self.palette.encoding(id))
    }

    /// The interface that the connection speaks; none is HTTP.
    pub(crate) fn interface(&self, slot: u32) -> Option<Interface> {
        self.encoding(slot).map(|encoding| encoding.interface)
    }

    /// Whether the connection sends commands, and is answered by notifications.
    pub(crate) fn has_commands(&self, slot: u32) -> bool {
        self.interface(slot).is_some_and(Interface::has_commands)
    }

    pub(crate) fn backlog_bytes(&self) -> usize {
        self.backlog_bytes
    }

    /// What write queues hold besides the backlog, in bytes.
    pub(crate) fn certain_bytes(&self) -> usize {
        self.certain_bytes
    }

    /// What the write queues hold of the connections that are open, in bytes.
    pub(crate) fn backlogs(&self) -> impl Iterator<Item = (ConnectionId, usize)> {
        let open = self.slots.iter().zip(0..).filter(|(connection, _)| connection.state == State::Open);
        open.map(|(connection, slot)| {
            let queue = connection.behind.as_ref().map(|behind| &behind.queue);
            let bytes = queue.map_or(0, |queue| queue.bytes() + queue.certain_bytes());
            (ConnectionId { slot, generation: connection.generation }, bytes)
        })
    }

    pub(crate) fn messages_skipped(&self) -> u64 {
        self.messages_skipped
    }

    /// How many of the connections are event streams.
    pub(crate) fn event_streams(&self) -> usize {
        self.event_streams
    }

    /// The replies that wait to be written to the connection, in bytes.
    pub(crate) fn reply_bytes(&self, id: ConnectionId) -> usize {
        let Some(connection) = self.slot(id) else { return 0 };
        let in_palette = connection.pieces.iter().map(|piece| match *piece {
            Piece::Reply(from, to, _) => (to - from) as usize,
            Piece::Log(..) => 0,
        });
        in_palette.sum::<usize>() + connection.behind.as_ref().map_or(0, |behind| behind.queue.reply_bytes())
    }

    /// Gives the connection the range of its encoding's log.
    #[inline]
    pub(crate) fn give(&mut self, slot: u32, start: u32, end: u32) -> Given {
        let span = &mut self.spans[slot as usize];
        if span.stamp == self.stamp {
            if span.end == end {
                return Given::Twice;
            }
            if span.end != start {
                if span.start < span.end {
                    let piece = Piece::Log(span.start, span.end);
                    self.add_piece(slot, piece);
                }
                self.spans[slot as usize].start = start;
            }
            self.spans[slot as usize].end = end;
            return Given::Taken;
        }
        if span.stamp == BEHIND {
            return Given::Behind;
        }
        *span = Span { start, end, stamp: self.stamp };
        self.touched.push(slot);
        Given::Taken
    }

    /// Whether the last range that the connection was given ends here.
    pub(crate) fn was_given(&self, slot: u32, end: u32) -> bool {
        let span = self.spans[slot as usize];
        span.stamp == self.stamp && span.end == end
    }

    fn add_piece(&mut self, slot: u32, piece: Piece) {
        let pieces = &mut self.slots[slot as usize].pieces;
        if pieces.capacity() == 0 {
            *pieces = self.spare_pieces.pop().unwrap_or_default();
        }
        pieces.push(piece);
    }

    /// Gives the connection something of its own, behind everything that it has.
    pub(crate) fn reply(
        &mut self,
        slot: u32,
        kind: ReplyKind,
        write: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) {
        let (start, end) = self.palette.reply(write);
        if let Some(behind) = &mut self.slots[slot as usize].behind {
            let before = behind.queue.certain_bytes();
            behind.queue.push_reply(self.palette.replies(start, end), kind);
            self.certain_bytes += behind.queue.certain_bytes() - before;
            self.schedule(slot);
            return;
        }
        let span = self.spans[slot as usize];
        if span.stamp != self.stamp {
            self.touched.push(slot);
        } else if span.start < span.end {
            self.add_piece(slot, Piece::Log(span.start, span.end));
        }
        self.spans[slot as usize] = Span { start: 0, end: 0, stamp: self.stamp };
        self.add_piece(slot, Piece::Reply(start, end, kind));
    }

    /// A notification for the connection alone. One that speaks HTTP or raw has none, nor has one that is to be closed.
    pub(crate) fn notify(&mut self, slot: u32, notification: &Notification<'_>) {
        if self.state(slot) != State::Open {
            return;
        }
        if let Some(encoding) = self.encoding(slot).filter(|encoding| encoding.interface != Interface::Raw) {
            let kind = match notification {
                Notification::Subscribed { .. } | Notification::Unsubscribed { .. } => ReplyKind::Boundary,
                _ => ReplyKind::Plain,
            };
            // One with a context of its own has it as it is: it is written here, in front of messages that are queued already
            // and not yet compressed, and goes out behind them.
            self.reply(slot, kind, |encoder, out| encoder.notification(encoding, notification, out));
        }
    }

    /// What the connection has when it is behind, which it is from here on.
    pub(crate) fn behind(&mut self, slot: u32) -> &mut Behind {
        let behind = self.slots[slot as usize].behind.get_or_insert_default();
        self.spans[slot as usize].stamp = BEHIND;
        behind
    }

    /// Works on the connection's write queue, if it has one.
    pub(crate) fn with_queue<R>(&mut self, slot: u32, work: impl FnOnce(&mut WriteQueue) -> R) -> Option<R> {
        let queue = &mut self.slots[slot as usize].behind.as_mut()?.queue;
        let (bytes, certain, skips) = (queue.bytes(), queue.certain_bytes(), queue.skips());
        let result = work(queue);
        self.certain_bytes = self.certain_bytes + queue.certain_bytes() - certain;
        self.backlog_bytes = self.backlog_bytes + queue.bytes() - bytes;
        self.messages_skipped += queue.skips() - skips;
        Some(result)
    }

    /// Puts a connection that is behind on the list of those that have something to do.
    pub(crate) fn schedule(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind
            && !behind.scheduled
            && behind.has_something_to_do()
        {
            behind.scheduled = true;
            self.ready.push_back(slot);
        }
    }

    /// Has a connection that waits for a snapshot have its turn when [`Self::recall`] says so.
    pub(crate) fn postpone(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind
            && !behind.scheduled
            && !behind.snapshots.is_empty()
        {
            behind.scheduled = true;
            self.postponed.push(slot);
        }
    }

    /// Puts those that were postponed on the list of those that have something to do.
    pub(crate) fn recall(&mut self) {
        self.ready.extend(self.postponed.drain(..));
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

    /// Takes away what the connection has not written, but for the rest of a frame that was begun, and replies in front of
    /// the first message.
    pub(crate) fn drop_backlog(&mut self, slot: u32) {
        for piece in self.take_pieces(slot) {
            let Piece::Reply(start, end, kind) = piece else { break };
            let reply = self.palette.replies(start, end).to_vec();
            self.behind(slot);
            self.with_queue(slot, |queue| queue.push_reply(&reply, kind));
        }
        self.with_queue(slot, WriteQueue::drop_messages);
        self.schedule(slot);
    }

    /// The connection reads nothing more from homes.
    pub(crate) fn stop_reading(&mut self, slot: u32) {
        if let Some(behind) = &mut self.slots[slot as usize].behind {
            (behind.catching_up, behind.snapshots) = (CatchingUp::default(), Snapshots::default());
        }
    }

    /// The connection is to be closed: what it has not been sent is let go, and nothing more is given to it but a close
    /// frame.
    pub(crate) fn doom(&mut self, slot: u32) {
        self.drop_backlog(slot);
        self.stop_reading(slot);
        self.slots[slot as usize].state = State::Doomed;
    }

    pub(crate) fn state(&self, slot: u32) -> State {
        self.slots[slot as usize].state
    }

    /// Whether nothing waits to be written to the connection.
    pub(crate) fn is_flushed(&self, slot: u32) -> bool {
        match &self.slots[slot as usize].behind {
            Some(behind) => behind.queue.is_empty(),
            None => self.spans[slot as usize].stamp != self.stamp,
        }
    }

    /// Whether a close frame may still be queued.
    pub(crate) fn may_close(&self, id: ConnectionId) -> bool {
        self.slot(id).is_some_and(|connection| connection.state != State::Closing)
    }

    /// Nothing may follow what the connection has.
    pub(crate) fn seal(&mut self, slot: u32) {
        self.slots[slot as usize].state = State::Closing;
    }

    /// Changes with each new palette.
    pub(crate) fn palette_stamp(&self) -> u32 {
        self.stamp
    }

    pub(crate) fn has_output(&self) -> bool {
        // What somebody has a span or pieces of is in the palette.
        !self.palette.is_empty() || !self.ready.is_empty() || !self.postponed.is_empty()
    }

    /// The next connection that has something in the palette.
    pub(crate) fn next_touched(&mut self) -> Option<u32> {
        loop {
            while let Some(slot) = self.flushing.pop() {
                if self.spans[slot as usize].stamp == self.stamp {
                    return Some(slot);
                }
            }
            if self.touched.is_empty() {
                self.next_palette();
                return None;
            }
            self.flushing.extend(self.touched.drain(..).rev());
        }
    }

    /// Whether one that is behind has its turn in front of those that have something in the palette: a hot topic may always
    /// bring more of that.
    pub(crate) fn is_turn_of_ready(&mut self) -> bool {
        self.turns_since_ready += 1;
        self.turns_since_ready > TURNS_BEFORE_READY && !self.ready.is_empty()
    }

    /// The next connection that is behind and has something to do.
    pub(crate) fn next_ready(&mut self) -> Option<u32> {
        self.turns_since_ready = 0;
        self.take_ready(VecDeque::pop_front)
    }

    /// The connection that was scheduled last, ahead of all others.
    pub(crate) fn last_ready(&mut self) -> Option<u32> {
        self.take_ready(VecDeque::pop_back)
    }

    fn take_ready(&mut self, next: fn(&mut VecDeque<u32>) -> Option<u32>) -> Option<u32> {
        while let Some(slot) = next(&mut self.ready) {
            if let Some(behind) = &mut self.slots[slot as usize].behind
                && std::mem::take(&mut behind.scheduled)
                && behind.has_something_to_do()
            {
                return Some(slot);
            }
        }
        None
    }

    /// Everything in the palette was written or moved: its logs are empty, and so is every span.
    fn next_palette(&mut self) {
        self.palette.clear();
        self.stamp = (self.stamp + 1) % BEHIND;
        if self.stamp == 0 {
            // Once in four billion: stamps of the round before must not be taken for this one's.
            self.spans
                .iter_mut()
                .filter(|span| span.stamp != BEHIND)
                .for_each(|span| *span = Span::default());
            self.stamp = 1;
        }
    }

    /// What the connection has to write next, in one piece.
    pub(crate) fn output(&mut self, slot: u32) -> &[u8] {
        let Connection { encoding, behind, pieces, .. } = &self.slots[slot as usize];
        let Span { start, end, .. } = self.spans[slot as usize];
        match (behind, encoding, pieces.as_slice()) {
            (None, Some(id), []) => self.palette.bytes(*id, start, end),
            (None, _, [Piece::Reply(from, to, _)]) if start == end => self.palette.replies(*from, *to),
            (None, ..) => self.gather(slot),
            (Some(behind), ..) => {
                let encoding = encoding.map(|id| self.palette.encoding(id));
                let (queue, written) = (&behind.queue, &mut self.written);
                let (own, at_once) = match self.contexts.get_mut(&slot) {
                    // What it had in the palette goes out at once, as it does to those that share.
                    Some(own) if !queue.lags() => (own, FULL_BYTES),
                    Some(own) => (own, WRITE_BYTES),
                    None => (&mut None, WRITE_BYTES),
                };
                self.palette.encoder.through(own, |encoder| queue.write(encoder, encoding, at_once, written));
                &written.bytes
            }
        }
    }

    /// The pieces and the span, copied together: faster than a vectored write of many small parts.
    fn gather(&mut self, slot: u32) -> &[u8] {
        self.written.bytes.clear();
        let connection = &self.slots[slot as usize];
        let Span { start, end, .. } = self.spans[slot as usize];
        for piece in connection.pieces.iter().chain([&Piece::Log(start, end)]) {
            let bytes = match *piece {
                Piece::Reply(from, to, _) => self.palette.replies(from, to),
                Piece::Log(from, to) if from < to => {
                    self.palette.bytes(connection.encoding.expect("only subscribers have spans"), from, to)
                }
                Piece::Log(..) => &[],
            };
            self.written.bytes.extend_from_slice(bytes);
        }
        &self.written.bytes
    }

    /// How many bytes the connection has in the palette.
    pub(crate) fn in_palette(&self, slot: u32) -> usize {
        let Span { start, end, .. } = self.spans[slot as usize];
        let in_pieces = |piece: &Piece| match *piece {
            Piece::Log(from, to) | Piece::Reply(from, to, _) => (to - from) as usize,
        };
        self.slots[slot as usize].pieces.iter().map(in_pieces).sum::<usize>() + (end - start) as usize
    }

    /// Everything that the connection has in the palette was written.
    pub(crate) fn clear_span(&mut self, slot: u32) {
        self.spans[slot as usize] = Span::default();
        let pieces = &mut self.slots[slot as usize].pieces;
        if !pieces.is_empty() {
            pieces.clear();
            self.spare_pieces.push(std::mem::take(pieces));
        }
    }

    /// Takes what the connection has in the palette out of it, for its write queue.
    pub(crate) fn take_pieces(&mut self, slot: u32) -> SmallVec<[Piece; 4]> {
        let Span { start, end, stamp } = self.spans[slot as usize];
        let mut pieces = SmallVec::new();
        if stamp == self.stamp {
            pieces.extend_from_slice(&self.slots[slot as usize].pieces);
            pieces.push(Piece::Log(start, end));
            self.clear_span(slot);
        }
        pieces
    }

    /// Takes what the socket took off the front of the write queue.
    pub(crate) fn advance(&mut self, slot: u32, bytes: usize) {
        let written = std::mem::take(&mut self.written);
        let is_final = self.keeps_context(slot);
        self.with_queue(slot, |queue| {
            if is_final {
                queue.advance_for_good(&written, bytes);
            } else {
                queue.advance(&written, bytes);
            }
        });
        self.written = written;
        self.written.bytes.shrink_to(4 * WRITE_BYTES);
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
            self.spans[slot as usize] = Span::default();
            return false;
        }
        !behind.queue.is_drained()
    }
}
