//! What connections that keep up have in the palette, and in which order they are written to.
//!
//! Runs that follow one another in the log of a connection's encoding are one *span*, whatever their number. What comes in
//! between, a reply or the run of another topic, cuts it: then what it had so far is a *piece* in front of the next span.

use std::num::NonZeroU32;

use smallvec::SmallVec;

use crate::write_queue::ReplyKind;

/// Spans and pieces, by slot.
#[derive(Debug)]
pub(crate) struct Spans {
    /// Apart from the rest, so that a fan-out touches 16 bytes a subscriber.
    by_slot: Vec<Span>,
    /// What some connections have in front of their spans. A connection without has none here, so that an idle one holds no
    /// vector, and nobody looks for what is not there.
    pieces: Vec<Vec<Piece>>,
    /// Those of the vectors that are not in use.
    spare: Vec<InFront>,
    /// Spans with another stamp are of an earlier palette: empty.
    stamp: u32,
    /// The slots that have a span or pieces, in the order in which they got them.
    touched: Vec<u32>,
    /// Those whose turn it is, the next one last: to take from there costs half of what a `VecDeque`'s front does.
    flushing: Vec<u32>,
}

/// A range of the log of the connection's encoding.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    end: u32,
    stamp: u32,
    pieces: Option<InFront>,
}

/// Which of the vectors has the pieces in front of a span.
#[derive(Clone, Copy, Debug)]
struct InFront(NonZeroU32);

impl InFront {
    /// The one that comes behind so many.
    fn after(count: usize) -> Self {
        Self(NonZeroU32::MIN.saturating_add(count as u32))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
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

    fn len(&self) -> usize {
        let (Self::Log(from, to) | Self::Reply(from, to, _)) = self;
        (to - from) as usize
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

impl Spans {
    /// Nobody's.
    pub(super) fn new() -> Self {
        Self {
            by_slot: Vec::new(),
            pieces: Vec::new(),
            spare: Vec::new(),
            stamp: Span::default().stamp + 1,
            touched: Vec::new(),
            flushing: Vec::new(),
        }
    }

    /// There may be connections in this many slots.
    pub(super) fn make_room(&mut self, slots: usize) {
        self.by_slot.resize(slots, Span::default());
    }

    /// Gives the connection the range of its encoding's log.
    #[inline]
    pub(crate) fn give(&mut self, slot: u32, start: u32, end: u32) -> Given {
        let span = &mut self.by_slot[slot as usize];
        if span.stamp == self.stamp {
            if span.end == end {
                return Given::Twice;
            }
            if span.end != start {
                if span.start < span.end {
                    let piece = Piece::Log(span.start, span.end);
                    self.add_piece(slot, piece);
                }
                self.by_slot[slot as usize].start = start;
            }
            self.by_slot[slot as usize].end = end;
            return Given::Taken;
        }
        if span.stamp == BEHIND {
            return Given::Behind;
        }
        debug_assert!(span.pieces.is_none(), "they went with its last span");
        *span = Span { start, end, stamp: self.stamp, pieces: None };
        self.touched.push(slot);
        Given::Taken
    }

    /// Whether the last range that the connection was given ends here.
    pub(crate) fn was_given(&self, slot: u32, end: u32) -> bool {
        let span = self.by_slot[slot as usize];
        span.stamp == self.stamp && span.end == end
    }

    /// Gives the connection a range of the replies, behind everything that it has.
    pub(super) fn give_reply(&mut self, slot: u32, (start, end): (u32, u32), kind: ReplyKind) {
        let span = self.by_slot[slot as usize];
        if span.stamp != self.stamp {
            self.touched.push(slot);
        } else if span.start < span.end {
            self.add_piece(slot, Piece::Log(span.start, span.end));
        }
        self.by_slot[slot as usize] =
            Span { start: 0, end: 0, stamp: self.stamp, ..self.by_slot[slot as usize] };
        self.add_piece(slot, Piece::Reply(start, end, kind));
    }

    fn add_piece(&mut self, slot: u32, piece: Piece) {
        let in_front = *self.by_slot[slot as usize].pieces.get_or_insert_with(|| {
            self.spare.pop().unwrap_or_else(|| {
                self.pieces.push(Vec::new());
                InFront::after(self.pieces.len() - 1)
            })
        });
        self.pieces[in_front.index()].push(piece);
    }

    /// What the connection has in front of its span, and that, which may be empty.
    pub(super) fn of(&self, slot: u32) -> (&[Piece], Piece) {
        let Span { start, end, pieces, .. } = self.by_slot[slot as usize];
        let pieces = pieces.map_or(&[][..], |in_front| &self.pieces[in_front.index()]);
        (pieces, Piece::Log(start, end))
    }

    /// Whether the connection has anything in the palette.
    pub(super) fn has_any(&self, slot: u32) -> bool {
        self.by_slot[slot as usize].stamp == self.stamp
    }

    /// How many bytes the connection has in the palette.
    pub(crate) fn bytes(&self, slot: u32) -> usize {
        let (pieces, span) = self.of(slot);
        pieces.iter().map(Piece::len).sum::<usize>() + span.len()
    }

    /// How many bytes of that are replies.
    pub(super) fn reply_bytes(&self, slot: u32) -> usize {
        let (pieces, _) = self.of(slot);
        let replies = pieces.iter().filter(|piece| matches!(piece, Piece::Reply(..)));
        replies.map(Piece::len).sum()
    }

    /// The connection has nothing in the palette any more, and is given what comes from here on.
    pub(crate) fn clear(&mut self, slot: u32) {
        if let Some(in_front) = std::mem::take(&mut self.by_slot[slot as usize]).pieces {
            self.pieces[in_front.index()].clear();
            self.spare.push(in_front);
        }
    }

    /// Takes what the connection has in the palette out of it, for its write queue.
    pub(crate) fn take(&mut self, slot: u32) -> SmallVec<[Piece; 4]> {
        let mut pieces = SmallVec::new();
        if self.has_any(slot) {
            let (in_front, span) = self.of(slot);
            pieces.extend_from_slice(in_front);
            pieces.push(span);
            self.clear(slot);
        }
        pieces
    }

    /// The connection, which has nothing in the palette, is given nothing more until it is [cleared](Self::clear).
    pub(super) fn leave_out(&mut self, slot: u32) {
        self.by_slot[slot as usize].stamp = BEHIND;
    }

    /// The next connection that has something in the palette.
    pub(super) fn next(&mut self) -> Option<u32> {
        loop {
            while let Some(slot) = self.flushing.pop() {
                if self.has_any(slot) {
                    return Some(slot);
                }
            }
            if self.touched.is_empty() {
                return None;
            }
            self.flushing.extend(self.touched.drain(..).rev());
        }
    }

    /// Changes with each new palette.
    pub(crate) fn palette_stamp(&self) -> u32 {
        self.stamp
    }

    /// Everything in the palette was written or moved: from here on every span is empty.
    pub(super) fn begin_palette(&mut self) {
        self.stamp = (self.stamp + 1) % BEHIND;
        if self.stamp == 0 {
            // Once in four billion: stamps of the round before must not be taken for this one's.
            self.by_slot
                .iter_mut()
                .filter(|span| span.stamp != BEHIND)
                .for_each(|span| *span = Span::default());
            self.stamp = 1;
        }
    }
}
