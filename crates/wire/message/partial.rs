//! What a reader keeps while something is not complete.

use std::borrow::Cow;

use super::{Ended, FrameProgress, Incoming, MessageKind, message_kind};
use crate::error::ProtocolError;
use crate::frame::FrameHeader;
use crate::limits::MAX_FRAME_HEADER_BYTES;
use crate::utf8::Utf8Validator;

/// What a reader keeps while a frame or message is not complete.
#[derive(Debug, Default)]
pub(super) struct Partial {
    pub(super) header: PartialHeader,
    pub(super) frame: Option<FrameProgress>,
    /// What came of the control frame in progress.
    pub(super) control: Vec<u8>,
    pub(super) message: Option<PartialMessage>,
}

impl Partial {
    pub(super) fn is_empty(&self) -> bool {
        self.header.len == 0 && self.frame.is_none() && self.message.is_none()
    }
}

/// The first octets of a header.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PartialHeader {
    octets: [u8; MAX_FRAME_HEADER_BYTES],
    pub(super) len: u8,
}

impl PartialHeader {
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }

    /// These octets, and as many more as a header may have.
    pub(super) fn join(mut self, more: &[u8]) -> Self {
        let room = &mut self.octets[usize::from(self.len)..];
        let taken = room.len().min(more.len());
        room[..taken].copy_from_slice(&more[..taken]);
        self.len += taken as u8;
        self
    }
}

/// What came of a message: unmasked, and checked so far if it is text and not compressed.
#[derive(Debug)]
pub(super) struct PartialMessage {
    pub(super) kind: MessageKind,
    pub(super) compressed: bool,
    utf8: Utf8Validator,
    pub(super) payload: Vec<u8>,
}

impl PartialMessage {
    pub(super) fn new(first: &FrameHeader) -> Self {
        Self {
            kind: message_kind(first.opcode),
            compressed: first.compressed,
            utf8: Utf8Validator::default(),
            payload: Vec::new(),
        }
    }

    fn is_checked_as_it_comes(&self) -> bool {
        self.kind == MessageKind::Text && !self.compressed
    }

    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        if self.is_checked_as_it_comes() {
            self.utf8.push(piece)?;
        }
        self.payload.extend_from_slice(piece);
        Ok(())
    }

    pub(super) fn end(self) -> Result<Ended<'static>, ProtocolError> {
        if self.is_checked_as_it_comes() {
            self.utf8.finish()?;
        }
        let Self { kind, compressed, payload, .. } = self;
        let payload = Cow::Owned(payload);
        Ok(if compressed {
            Ended::Compressed { kind, payload }
        } else {
            Ended::Ready(Incoming::Message { kind, payload })
        })
    }
}
