//! A socket without a kernel, and the reader at its other end.

use std::collections::VecDeque;

use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::Role;
use fanwire_wire::message::{Incoming, MessageReader};

const MAX_MESSAGE_BYTES: usize = 64 * 1024;

pub struct Socket {
    window: usize,
    unread: VecDeque<u8>,
    /// It took nothing, and has to say when it takes something again.
    pub full: bool,
    line: String,
    /// What has come of an event that has not come whole.
    event: Vec<u8>,
    /// What comes is not a line.
    frames_began: bool,
    reader: Option<MessageReader>,
    inflater: Inflater,
    /// A close frame came.
    pub closed: bool,
}

/// How much of a line has come.
pub enum Line {
    Begun,
    Whole(u64),
    /// There is a frame where it would be.
    None,
}

impl Socket {
    pub fn new(window: usize) -> Self {
        Self {
            window,
            unread: VecDeque::new(),
            full: false,
            line: String::new(),
            event: Vec::new(),
            frames_began: false,
            reader: None,
            inflater: Inflater::new(false),
            closed: false,
        }
    }

    pub fn upgrade(&mut self, deflate: bool, keeps_context: bool) {
        self.reader = Some(MessageReader::new(Role::Client, deflate));
        self.inflater = Inflater::new(keeps_context);
    }

    /// How many of `bytes` it takes.
    pub fn write(&mut self, bytes: &[u8], at_most: usize) -> usize {
        let taken = self.window.saturating_sub(self.unread.len()).min(at_most).min(bytes.len());
        self.unread.extend(&bytes[..taken]);
        self.full = taken == 0;
        taken
    }

    pub fn is_drained(&self) -> bool {
        self.unread.is_empty()
    }

    /// Reads the number that stands on a line in front of the first frame.
    pub fn read_line(&mut self) -> Line {
        while !self.frames_began
            && let Some(byte) = self.unread.pop_front()
        {
            match byte {
                b'0'..=b'9' => self.line.push(char::from(byte)),
                b'\n' => return Line::Whole(self.line.parse().expect("a number")),
                _ => {
                    assert!(self.line.is_empty(), "a torn line");
                    self.unread.push_front(byte);
                    self.frames_began = true;
                }
            }
        }
        if self.frames_began { Line::None } else { Line::Begun }
    }

    /// The messages in the next so many octets.
    pub fn read(&mut self, bytes: usize) -> Vec<Vec<u8>> {
        let mut octets: Vec<u8> = self.unread.drain(..bytes.min(self.unread.len())).collect();
        let (mut rest, mut messages) = (octets.as_mut_slice(), Vec::new());
        let Some(reader) = &mut self.reader else {
            assert!(rest.is_empty(), "something for a connection that asked for nothing");
            return messages;
        };
        while !rest.is_empty() {
            assert!(!self.closed, "something follows the close frame");
            let read = reader.read(rest, MAX_MESSAGE_BYTES, &mut self.inflater);
            let (consumed, event) = read.expect("frames, one after the other");
            match event {
                None => {}
                Some(Incoming::Close(_)) => self.closed = true,
                Some(Incoming::Message { payload, .. }) => messages.push(payload.into_owned()),
                Some(other) => panic!("nobody sends {other:?}"),
            }
            rest = &mut rest[consumed..];
        }
        messages
    }

    /// The events that end in the next so many octets, without the empty line. A comment is a stream's last word.
    pub fn read_events(&mut self, bytes: usize) -> Vec<String> {
        let mut events = Vec::new();
        for octet in self.unread.drain(..bytes.min(self.unread.len())) {
            assert!(!self.closed, "something follows the end");
            self.event.push(octet);
            if let Some(event) = self.event.strip_suffix(b"\n\n") {
                self.closed = event.starts_with(b":");
                if !self.closed {
                    events.push(String::from_utf8(event.to_vec()).expect("text"));
                }
                self.event.clear();
            }
        }
        events
    }

    /// Nothing more is to come: no frame or event was torn.
    pub fn assert_whole(&self) {
        assert!(self.event.is_empty(), "an event that does not end");
        assert!(self.reader.as_ref().is_none_or(MessageReader::is_idle), "a frame that does not end");
    }
}
