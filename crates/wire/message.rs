//! One message: the frames that carry it joined, inflated and checked (RFC 6455 §5.4 and §5.5).

mod partial;

use std::borrow::Cow;
use std::mem;

use self::partial::{Partial, PartialMessage};
use crate::close::{self, CloseReason};
use crate::deflate::Inflater;
use crate::error::ProtocolError;
use crate::frame::{FrameHeader, OpCode, Role};
use crate::limits::max_compressed_bytes;
use crate::mask::unmask;
use crate::utf8;

/// Whether a message is text or octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Text, which is known to be UTF-8.
    Text,
    /// Octets.
    Binary,
}

/// What a peer sent: a whole message, or a control frame.
///
/// What came in one piece is borrowed from the input. What was joined from several is owned, so that the reader keeps none of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    /// A message, inflated if it was compressed.
    Message {
        /// What the payload is.
        kind: MessageKind,
        /// The payload; valid UTF-8 if the message is text.
        payload: Cow<'a, [u8]>,
    },
    /// Must be answered with a pong of the same payload, at most 125 octets.
    Ping(Cow<'a, [u8]>),
    /// Needs no answer.
    Pong(Cow<'a, [u8]>),
    /// The peer closes. Nothing that follows counts.
    Close(Option<CloseReason<'a>>),
}

/// Reads the messages of one connection from its octets, which may be cut anywhere.
///
/// Give it what the socket has, again and again until all of it is consumed:
///
/// ```
/// use fanwire_wire::deflate::Inflater;
/// use fanwire_wire::frame::{OpCode, Role, write_frame};
/// use fanwire_wire::message::{Incoming, MessageKind, MessageReader};
///
/// let mut inflater = Inflater::new(false);
/// let mut reader = MessageReader::new(Role::Client, false);
/// let mut octets = Vec::new();
/// write_frame(&mut octets, OpCode::Text, false, b"hello");
/// write_frame(&mut octets, OpCode::Ping, false, b"");
///
/// let (consumed, event) = reader.read(&mut octets, 1024, &mut inflater)?;
/// assert_eq!(event, Some(Incoming::Message { kind: MessageKind::Text, payload: b"hello".into() }));
/// let (_, event) = reader.read(&mut octets[consumed..], 1024, &mut inflater)?;
/// assert_eq!(event, Some(Incoming::Ping(b"".into())));
/// # Ok::<(), fanwire_wire::error::ProtocolError>(())
/// ```
///
/// Between messages it holds no buffer. After an error the connection must be failed (RFC 6455 §7.1.7):
/// what follows has no meaning.
#[derive(Debug)]
pub struct MessageReader {
    role: Role,
    deflate_negotiated: bool,
    /// What came of a frame or message that is not complete; `None` when there is nothing to keep.
    partial: Option<Box<Partial>>,
}

impl MessageReader {
    /// A reader at the beginning of a connection, in our `role`.
    #[must_use]
    pub const fn new(role: Role, deflate_negotiated: bool) -> Self {
        Self { role, deflate_negotiated, partial: None }
    }

    /// Reads from the front of `input` up to the end of the next message or control frame. Returns the octets consumed, all
    /// of them if there was no such end, and what ended there.
    ///
    /// `input` is unmasked in place; octets that were consumed must not be given again. Text is checked as it comes, so that a
    /// message fails at its first bad octet, unless it is compressed. A message is refused as too big when a header announces
    /// more than `max_message` octets, or when it inflates to more; memory grows with what came, never with what was announced.
    ///
    /// `inflater` is used for compressed messages only. It may be shared between connections unless its peers
    /// take their context over.
    pub fn read<'a>(
        &mut self,
        input: &'a mut [u8],
        max_message: usize,
        inflater: &'a mut Inflater,
    ) -> Result<(usize, Option<Incoming<'a>>), ProtocolError> {
        let result = self.read_frames(input, max_message, inflater);
        if result.is_err() {
            self.partial = None;
        }
        result
    }

    fn read_frames<'a>(
        &mut self,
        input: &'a mut [u8],
        max_message: usize,
        inflater: &'a mut Inflater,
    ) -> Result<(usize, Option<Incoming<'a>>), ProtocolError> {
        let mut input = Input { input_len: input.len(), rest: input };
        while !input.rest.is_empty() {
            let Some(mut frame) = self.take_frame(&mut input, max_message)? else { break };
            let piece = frame.take_piece(&mut input);
            if !piece.ends_frame {
                self.partial_mut().frame = Some(frame);
                if piece.payload.is_empty() {
                    // Only the header came: the first piece of the frame is yet to come.
                    break;
                }
            }
            let ended = self.add_piece(&piece)?;
            self.release_if_empty();
            if let Some(ended) = ended {
                return Ok((input.consumed(), Some(ended.into_incoming(max_message, inflater)?)));
            }
        }
        Ok((input.consumed(), None))
    }

    /// Whether everything that was begun has ended. The reader then holds no memory.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// What is kept of a message that is not complete, in octets.
    #[must_use]
    pub fn kept_bytes(&self) -> usize {
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        message.map_or(0, |message| message.payload.capacity())
    }

    /// The frame in progress, or the next one, its header taken from the front of `input`; `None` if the header is not
    /// complete at the end of `input`.
    fn take_frame(
        &mut self,
        input: &mut Input<'_>,
        max_message: usize,
    ) -> Result<Option<FrameProgress>, ProtocolError> {
        if let Some(frame) = self.partial.as_mut().and_then(|partial| partial.frame.take()) {
            return Ok(Some(frame));
        }
        let Some(header) = self.take_header(input)? else { return Ok(None) };
        self.check_header(&header, max_message)?;
        Ok(Some(FrameProgress { header, received: 0 }))
    }

    fn take_header(&mut self, input: &mut Input<'_>) -> Result<Option<FrameHeader>, ProtocolError> {
        let begun = self.partial.as_mut().map(|partial| mem::take(&mut partial.header)).unwrap_or_default();
        if begun.len == 0 {
            let header = FrameHeader::parse(input.rest, self.role, self.deflate_negotiated)?;
            if let Some(header) = header {
                input.take_front(header.header_len);
                return Ok(Some(header));
            }
        }
        // A cut went through the header.
        let joined = begun.join(input.rest);
        let header = FrameHeader::parse(joined.octets(), self.role, self.deflate_negotiated)?;
        let joined_len = header.map_or(joined.octets().len(), |header| header.header_len);
        input.take_front(joined_len - begun.octets().len());
        if header.is_none() {
            self.partial_mut().header = joined;
        }
        Ok(header)
    }

    /// Whether a frame may stand here, and its message may be that large.
    fn check_header(&self, header: &FrameHeader, max_message: usize) -> Result<(), ProtocolError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let message = self.partial.as_ref().and_then(|partial| partial.message.as_ref());
        match (header.opcode, message) {
            (OpCode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            _ => {}
        }
        let compressed = message.map_or(header.compressed, |message| message.compressed);
        let joined = message.map_or(0, |message| message.payload.len() as u64);
        let allowed = if compressed { max_compressed_bytes(max_message) } else { max_message };
        if joined.saturating_add(header.payload_len) > allowed as u64 {
            return Err(ProtocolError::MessageTooBig { limit: max_message });
        }
        Ok(())
    }

    /// Adds the next piece of a frame: the control frame or message that it ends, if it ends one.
    fn add_piece<'a>(&mut self, piece: &Piece<'a>) -> Result<Option<Ended<'a>>, ProtocolError> {
        if piece.header.opcode.is_control() {
            let Some(payload) = self.join_control(piece) else { return Ok(None) };
            return read_control(piece.header.opcode, payload).map(|incoming| Some(Ended::Ready(incoming)));
        }
        if piece.is_whole_message() {
            return read_whole_message(piece).map(Some);
        }
        self.join_message(piece)
    }

    /// Adds a piece of a control frame: the payload of the frame, if it is complete.
    fn join_control<'a>(&mut self, piece: &Piece<'a>) -> Option<Cow<'a, [u8]>> {
        if piece.is_whole_frame() {
            return Some(Cow::Borrowed(piece.payload));
        }
        let partial = self.partial_mut();
        partial.control.extend_from_slice(piece.payload);
        piece.ends_frame.then(|| Cow::Owned(mem::take(&mut partial.control)))
    }

    /// Adds a piece of a message that came in several: the message, if it is complete.
    fn join_message(&mut self, piece: &Piece<'_>) -> Result<Option<Ended<'static>>, ProtocolError> {
        let message = &mut self.partial_mut().message;
        message.get_or_insert_with(|| PartialMessage::new(&piece.header)).push(piece.payload)?;
        if !(piece.ends_frame && piece.header.fin) {
            return Ok(None);
        }
        message.take().map(PartialMessage::end).transpose()
    }

    fn partial_mut(&mut self) -> &mut Partial {
        self.partial.get_or_insert_default()
    }

    fn release_if_empty(&mut self) {
        if self.partial.as_ref().is_some_and(|partial| partial.is_empty()) {
            self.partial = None;
        }
    }
}

/// A control frame or message that is complete on the wire.
enum Ended<'a> {
    Ready(Incoming<'a>),
    Compressed { kind: MessageKind, payload: Cow<'a, [u8]> },
}

impl<'a> Ended<'a> {
    fn into_incoming(
        self,
        max_message: usize,
        inflater: &'a mut Inflater,
    ) -> Result<Incoming<'a>, ProtocolError> {
        let (kind, payload) = match self {
            Self::Ready(incoming) => return Ok(incoming),
            Self::Compressed { kind, payload } => (kind, inflater.inflate(&payload, max_message)?),
        };
        if kind == MessageKind::Text {
            utf8::check(&payload)?;
        }
        Ok(Incoming::Message { kind, payload })
    }
}

fn read_control(opcode: OpCode, payload: Cow<'_, [u8]>) -> Result<Incoming<'_>, ProtocolError> {
    match (opcode, payload) {
        (OpCode::Ping, payload) => Ok(Incoming::Ping(payload)),
        (OpCode::Pong, payload) => Ok(Incoming::Pong(payload)),
        (_, Cow::Borrowed(payload)) => Ok(Incoming::Close(close::parse(payload)?)),
        (_, Cow::Owned(payload)) => Ok(Incoming::Close(close::parse(&payload)?.map(CloseReason::into_owned))),
    }
}

fn read_whole_message<'a>(piece: &Piece<'a>) -> Result<Ended<'a>, ProtocolError> {
    let kind = message_kind(piece.header.opcode);
    let payload = Cow::Borrowed(piece.payload);
    if piece.header.compressed {
        return Ok(Ended::Compressed { kind, payload });
    }
    if kind == MessageKind::Text {
        utf8::check(piece.payload)?;
    }
    Ok(Ended::Ready(Incoming::Message { kind, payload }))
}

fn message_kind(first_opcode: OpCode) -> MessageKind {
    if first_opcode == OpCode::Text { MessageKind::Text } else { MessageKind::Binary }
}

/// What a read was given.
struct Input<'a> {
    input_len: usize,
    /// What is not consumed.
    rest: &'a mut [u8],
}

impl<'a> Input<'a> {
    fn take_front(&mut self, len: usize) -> &'a mut [u8] {
        let (front, rest) = mem::take(&mut self.rest).split_at_mut(len);
        self.rest = rest;
        front
    }

    fn consumed(&self) -> usize {
        self.input_len - self.rest.len()
    }
}

/// What came of a frame whose header is complete.
#[derive(Clone, Copy, Debug)]
struct FrameProgress {
    header: FrameHeader,
    /// Octets of payload that came before.
    received: u64,
}

impl FrameProgress {
    fn remaining(&self) -> u64 {
        self.header.payload_len - self.received
    }

    /// Takes what `input` has of this frame's payload, and unmasks it.
    fn take_piece<'a>(&mut self, input: &mut Input<'a>) -> Piece<'a> {
        let available = input.rest.len();
        let len = usize::try_from(self.remaining()).map_or(available, |remaining| remaining.min(available));
        let payload = input.take_front(len);
        if let Some(key) = self.header.mask {
            unmask(key, self.received as usize, payload);
        }
        let begins_frame = self.received == 0;
        self.received += len as u64;
        Piece { header: self.header, begins_frame, ends_frame: self.remaining() == 0, payload }
    }
}

/// A piece of a frame's payload, unmasked.
struct Piece<'a> {
    header: FrameHeader,
    begins_frame: bool,
    ends_frame: bool,
    payload: &'a [u8],
}

impl Piece<'_> {
    fn is_whole_frame(&self) -> bool {
        self.begins_frame && self.ends_frame
    }

    fn is_whole_message(&self) -> bool {
        self.is_whole_frame() && self.header.fin && self.header.opcode != OpCode::Continuation
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{write_frame, write_header};

    fn capacity(reader: &MessageReader) -> usize {
        let message = reader.partial.as_ref().and_then(|partial| partial.message.as_ref());
        message.map_or(0, |message| message.payload.capacity())
    }

    #[test]
    fn a_reader_is_small_and_an_idle_one_holds_no_buffer() {
        assert!(size_of::<MessageReader>() <= 24);

        let mut inflater = Inflater::new(false);
        let mut reader = MessageReader::new(Role::Client, false);
        let mut octets = Vec::new();
        let payload = vec![7; 1 << 20];
        write_frame(&mut octets, OpCode::Binary, false, &payload);
        let (head, tail) = octets.split_at_mut(1_000);

        assert_eq!(reader.read(head, 1 << 20, &mut inflater), Ok((1_000, None)));
        assert!(!reader.is_idle());
        let (_, event) = reader.read(tail, 1 << 20, &mut inflater).unwrap();
        assert_eq!(event, Some(Incoming::Message { kind: MessageKind::Binary, payload: payload.into() }));
        assert!(reader.is_idle());
    }

    #[test]
    fn memory_grows_with_what_came_and_not_with_what_was_announced() {
        let mut inflater = Inflater::new(false);
        let mut reader = MessageReader::new(Role::Client, false);
        let mut octets = Vec::new();
        write_header(&mut octets, true, false, OpCode::Binary, None, 1 << 20);
        octets.extend_from_slice(&[7; 100]);
        reader.read(&mut octets, 1 << 20, &mut inflater).unwrap();

        let mut came = 100;
        assert!(capacity(&reader) <= 2 * came);
        while came < 100_000 {
            reader.read(&mut [7; 1_000], 1 << 20, &mut inflater).unwrap();
            came += 1_000;
            assert!(capacity(&reader) <= 2 * came, "{} octets held of {came}", capacity(&reader));
        }
    }

    #[test]
    fn a_message_that_came_in_one_piece_is_borrowed_from_the_input() {
        let mut inflater = Inflater::new(false);
        let mut reader = MessageReader::new(Role::Client, false);
        let mut octets = Vec::new();
        write_frame(&mut octets, OpCode::Text, false, b"hello");
        let (_, event) = reader.read(&mut octets, 5, &mut inflater).unwrap();
        assert!(matches!(event, Some(Incoming::Message { payload: Cow::Borrowed(b"hello"), .. })));
    }
}
