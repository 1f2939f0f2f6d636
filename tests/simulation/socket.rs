//! A virtual socket: what the kernel takes, what the wire lets through, and the frames, events or lines in that.

use std::collections::VecDeque;

use fanwire_wire::deflate::Inflater;

/// What was agreed on for the messages that come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    /// By a compressor with this window, which others share.
    Shared(u8),
    /// By one with this window, which the connection has for itself: one message that is lost, doubled or out of its place, and
    /// what follows makes no sense.
    Own(u8),
}

/// A kernel's send buffer and the wire behind it.
pub(crate) struct Socket {
    pub(crate) window: usize,
    unread: VecDeque<u8>,
    received: Vec<u8>,
    /// What compressed frames are inflated by, if there may be any.
    inflater: Option<Inflater>,
    /// The core was told that it is full, and waits to be told that it is not.
    pub(crate) full: bool,
    pub(crate) open: bool,
}

impl Compression {
    pub(crate) fn shared_window_bits(self) -> Option<u8> {
        match self {
            Self::Shared(bits) => Some(bits),
            Self::None | Self::Own(_) => None,
        }
    }
}

impl Socket {
    pub(crate) fn new(window: usize, compression: Compression) -> Self {
        let inflater = match compression {
            Compression::None => None,
            Compression::Shared(_) => Some(Inflater::new(false)),
            Compression::Own(_) => Some(Inflater::new(true)),
        };
        Self { window, unread: VecDeque::new(), received: Vec::new(), inflater, full: false, open: true }
    }

    /// What the kernel takes of `bytes`, when chance allows it `at_most`.
    pub(crate) fn write(&mut self, bytes: &[u8], at_most: usize) -> usize {
        let room = self.window.saturating_sub(self.unread.len()).min(at_most);
        let taken = room.min(bytes.len());
        self.unread.extend(&bytes[..taken]);
        self.full = taken == 0;
        taken
    }

    pub(crate) fn read(&mut self, at_most: usize) {
        let bytes = at_most.min(self.unread.len());
        self.received.extend(self.unread.drain(..bytes));
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.unread.is_empty()
    }

    /// The payload of the next whole frame that was read.
    pub(crate) fn next_frame(&mut self) -> Option<Vec<u8>> {
        let (&length, rest) = self.received.get(1..)?.split_first()?;
        let (length, header) = match length {
            126 => (usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?)), 4),
            short => (usize::from(short), 2),
        };
        if self.received.len() < header + length {
            return None;
        }
        let frame: Vec<u8> = self.received.drain(..header + length).collect();
        let payload = &frame[header..];
        match frame[0] {
            0x81 | 0x82 => {}
            0x88 => self.open = false,
            0xc1 | 0xc2 => return Some(self.inflated(payload)),
            other => panic!("a torn frame begins with {other:#x}"),
        }
        Some(payload.to_vec())
    }

    fn inflated(&mut self, payload: &[u8]) -> Vec<u8> {
        let inflater = self.inflater.as_mut().expect("nobody has agreed on compression");
        inflater.inflate(payload, usize::MAX).expect("what was compressed").into_owned()
    }

    /// A connection whose subscription was refused is closed without a line.
    pub(crate) fn begins_with_frame(&self) -> bool {
        self.received.first().is_some_and(|octet| *octet >= 0x80)
    }

    /// What stands up to the next empty line, without that.
    pub(crate) fn next_event(&mut self) -> Option<String> {
        let end = self.received.windows(2).position(|octets| octets == b"\n\n")?;
        let event: Vec<u8> = self.received.drain(..end + 2).take(end).collect();
        Some(String::from_utf8(event).expect("text"))
    }

    pub(crate) fn next_line(&mut self) -> Option<String> {
        let end =
            self.received.iter().take_while(|octet| **octet < 0x80).position(|octet| *octet == b'\n')?;
        String::from_utf8(self.received.drain(..=end).collect()).ok()
    }
}
