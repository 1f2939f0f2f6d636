//! What the core's connections have been given and not yet written: frames back to back, one log per encoding.
//!
//! ```text
//!  raw      │ frame 41 │ frame 42 │ frame 43 │             one message is encoded once per encoding …
//!  json     │ frame 41   │ frame 42   │ frame 43   │
//!                        └──── span of a connection ───┘   … and a connection is given a range of its log
//!  replies  │ published │ pong │                           what is for one connection alone
//! ```
//!
//! Logs are emptied when everything in them was written or moved to write queues. They are capped, so that they
//! stay in the processor's cache.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::encoder::{Encoder, Encoding, Naming};
use crate::message::{DeliveredAs, Message};
use crate::tick::Tick;

/// The logs together are full at this many bytes: the caches of today's cores are 1 to 2 MiB.
pub(crate) const FULL_BYTES: usize = 1024 * 1024;

/// Names an encoding within one core.
pub(crate) type EncodingId = u8;

/// The logs of one core.
#[derive(Debug)]
pub(crate) struct Palette {
    logs: Vec<Log>,
    replies: Vec<u8>,
    pub(crate) encoder: Encoder,
}

#[derive(Debug)]
struct Log {
    encoding: Encoding,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
}

/// A frame in a log, which begins where the one before it ends.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) end: u32,
    pub(crate) content: Content,
}

/// What is in a frame.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Message(Arc<Message>, Naming),
    /// Several messages, in frames of their own, which are one here.
    Tick(Arc<Tick>),
}

impl Palette {
    /// Without logs.
    pub(crate) fn new(encoder: Encoder) -> Self {
        Self { logs: Vec::new(), replies: Vec::new(), encoder }
    }

    /// The number of `encoding`, which gets one when it is new.
    pub(crate) fn id_of(&mut self, encoding: Encoding) -> EncodingId {
        let id = self.logs.iter().position(|log| log.encoding == encoding).unwrap_or_else(|| {
            self.logs.push(Log { encoding, bytes: Vec::new(), frames: Vec::new() });
            self.logs.len() - 1
        });
        EncodingId::try_from(id)
            .expect("three interfaces with eight compressions each, and one without, are 25 encodings")
    }

    pub(crate) fn encoding(&self, id: EncodingId) -> Encoding {
        self.logs[usize::from(id)].encoding
    }

    /// Appends the message's frame to a log.
    pub(crate) fn append(&mut self, id: EncodingId, message: &Arc<Message>, naming: Naming) {
        let log = &mut self.logs[usize::from(id)];
        self.encoder.message(log.encoding, message, naming, DeliveredAs::NEXT, &mut log.bytes);
        let content = Content::Message(message.clone(), naming);
        log.frames.push(Frame { end: log.bytes.len() as u32, content });
    }

    /// Appends a tick to a log; its range.
    pub(crate) fn append_tick(&mut self, id: EncodingId, tick: &Arc<Tick>) -> Range<u32> {
        let log = &mut self.logs[usize::from(id)];
        let start = log.bytes.len() as u32;
        self.encoder.tick(log.encoding, tick, &mut log.bytes);
        let end = log.bytes.len() as u32;
        log.frames.push(Frame { end, content: Content::Tick(tick.clone()) });
        start..end
    }

    /// Appends the messages of a range of a log once more, with another naming.
    pub(crate) fn append_again(&mut self, id: EncodingId, range: Range<u32>, naming: Naming) {
        let frames = self.frames(id, range.start, range.end);
        let contents: SmallVec<[Content; 8]> = frames.iter().map(|frame| frame.content.clone()).collect();
        for content in contents {
            if let Content::Message(message, _) = content {
                self.append(id, &message, naming);
            }
        }
    }

    /// Where a log ends.
    pub(crate) fn end(&self, id: EncodingId) -> u32 {
        self.logs[usize::from(id)].bytes.len() as u32
    }

    /// A range of a log.
    pub(crate) fn bytes(&self, id: EncodingId, start: u32, end: u32) -> &[u8] {
        &self.logs[usize::from(id)].bytes[start as usize..end as usize]
    }

    /// The frames of a log that end within `start..=end`, past `start`.
    pub(crate) fn frames(&self, id: EncodingId, start: u32, end: u32) -> &[Frame] {
        let frames = &self.logs[usize::from(id)].frames;
        let first = frames.partition_point(|frame| frame.end <= start);
        let last = frames.partition_point(|frame| frame.end <= end);
        &frames[first..last]
    }

    /// What is left of the frame that `at` is in the middle of; empty where a frame begins.
    pub(crate) fn rest_of_frame(&self, id: EncodingId, at: u32) -> &[u8] {
        let frames = &self.logs[usize::from(id)].frames;
        let next = frames.partition_point(|frame| frame.end <= at);
        let begins_at = next.checked_sub(1).map_or(0, |before| frames[before].end);
        match frames.get(next) {
            Some(frame) if begins_at < at => self.bytes(id, at, frame.end),
            _ => &[],
        }
    }

    /// Appends something that is for one connection alone, as `write` writes it, and returns its range.
    pub(crate) fn reply(&mut self, write: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> (u32, u32) {
        let start = self.replies.len() as u32;
        write(&mut self.encoder, &mut self.replies);
        (start, self.replies.len() as u32)
    }

    /// A range of the replies.
    pub(crate) fn replies(&self, start: u32, end: u32) -> &[u8] {
        &self.replies[start as usize..end as usize]
    }

    /// Whether no more should go in before a flush.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= FULL_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn len(&self) -> usize {
        self.logs.iter().map(|log| log.bytes.len()).sum::<usize>() + self.replies.len()
    }

    /// Empties every log, and gives back the memory that a burst took.
    pub(crate) fn clear(&mut self) {
        for log in &mut self.logs {
            log.frames.clear();
            log.bytes.clear();
            log.bytes.shrink_to(FULL_BYTES);
        }
        self.replies.clear();
        self.replies.shrink_to(FULL_BYTES);
    }
}
