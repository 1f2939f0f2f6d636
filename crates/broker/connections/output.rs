//! What a connection writes next, and what its socket took of that.

use ahash::HashMap;
use fanwire_wire::deflate::Deflater;

use super::spans::Piece;
use super::{Connection, Connections};
use crate::encoder::{Encoder, Encoding};
use crate::palette::FULL_BYTES;
use crate::write_queue::{WriteQueue, Written};

/// How much of a write queue is encoded for one write, in bytes: what a socket with `TCP_NOTSENT_LOWAT` takes at a time,
/// a few times over.
const WRITE_BYTES: usize = 64 * 1024;

/// What is left after a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Nothing.
    Empty,
    /// Something, and the socket may take it: `poll_flush` names the connection again.
    More,
    /// Something, and the socket is full: `handle_writable` must be called when it no longer is.
    Blocked,
}

/// What writing needs beside what is to be written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// What the last [`Connections::output`] gathered or encoded.
    written: Written,
    /// The compressors of those that have one of their own, by slot.
    contexts: HashMap<u32, Option<Deflater>>,
}

impl Writer {
    /// The front of a write queue, which may have a context of its own.
    fn encode(
        &mut self,
        slot: u32,
        queue: &WriteQueue,
        encoder: &mut Encoder,
        encoding: Option<Encoding>,
    ) -> &[u8] {
        let (own, at_once) = match self.contexts.get_mut(&slot) {
            // What it had in the palette goes out at once, as it does to those that share.
            Some(own) if !queue.lags() => (own, FULL_BYTES),
            Some(own) => (own, WRITE_BYTES),
            None => (&mut None, WRITE_BYTES),
        };
        encoder.through(own, |encoder| queue.write(encoder, encoding, at_once, &mut self.written));
        &self.written.bytes
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, slot: u32) {
        self.contexts.remove(&slot);
    }
}

impl Connections {
    /// What is written to the connection from here on is compressed with a context of its own.
    pub(crate) fn keep_context(&mut self, slot: u32, window_bits: u8) {
        self.writer.contexts.insert(slot, Some(Deflater::new(window_bits, true)));
    }

    /// Whether the connection has one.
    pub(crate) fn keeps_context(&self, slot: u32) -> bool {
        !self.writer.contexts.is_empty() && self.writer.contexts.contains_key(&slot)
    }

    pub(crate) fn has_output(&self) -> bool {
        // What somebody has a span or pieces of is in the palette.
        !self.palette.is_empty() || !self.turns.is_empty()
    }

    /// Whether nothing waits to be written to the connection.
    pub(crate) fn is_flushed(&self, slot: u32) -> bool {
        match &self.slots[slot as usize].behind {
            Some(behind) => behind.queue.is_empty(),
            None => !self.spans.has_any(slot),
        }
    }

    /// The next connection that has something in the palette, which is emptied where there is none.
    pub(crate) fn next_touched(&mut self) -> Option<u32> {
        if let Some(slot) = self.spans.next() {
            return Some(slot);
        }
        self.palette.clear();
        self.spans.begin_palette();
        None
    }

    /// What the connection has to write next, in one piece.
    pub(crate) fn output(&mut self, slot: u32) -> &[u8] {
        let Connection { encoding, behind, .. } = &self.slots[slot as usize];
        if let Some(behind) = behind {
            let encoding = encoding.map(|id| self.palette.encoding(id));
            return self.writer.encode(slot, &behind.queue, &mut self.palette.encoder, encoding);
        }
        match (*encoding, self.spans.of(slot)) {
            (Some(id), ([], Piece::Log(start, end))) => self.palette.bytes(id, start, end),
            (_, ([Piece::Reply(from, to, _)], Piece::Log(start, end))) if start == end => {
                self.palette.replies(*from, *to)
            }
            _ => self.gather(slot),
        }
    }

    /// The pieces and the span, copied together: faster than a vectored write of many small parts.
    fn gather(&mut self, slot: u32) -> &[u8] {
        let gathered = &mut self.writer.written.bytes;
        gathered.clear();
        let encoding = self.slots[slot as usize].encoding;
        let (pieces, span) = self.spans.of(slot);
        for piece in pieces.iter().chain([&span]) {
            gathered.extend_from_slice(match *piece {
                Piece::Reply(from, to, _) => self.palette.replies(from, to),
                Piece::Log(from, to) if from < to => {
                    self.palette.bytes(encoding.expect("only subscribers have spans"), from, to)
                }
                Piece::Log(..) => &[],
            });
        }
        gathered
    }

    /// Takes what the socket took off the front of the write queue.
    pub(crate) fn advance(&mut self, slot: u32, bytes: usize) {
        let written = std::mem::take(&mut self.writer.written);
        let is_final = self.keeps_context(slot);
        self.with_queue(slot, |queue| {
            if is_final {
                queue.advance_for_good(&written, bytes);
            } else {
                queue.advance(&written, bytes);
            }
        });
        self.writer.written = written;
        self.writer.written.bytes.shrink_to(4 * WRITE_BYTES);
    }
}
