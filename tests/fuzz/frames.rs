//! Messages out of frames: arbitrary octets in both roles, cut anywhere, and what the writers write read back.
#![no_main]

mod heap;
mod pieces;

use std::borrow::Cow;

use arbitrary::Arbitrary;
use fanwire_wire::close::{self, CloseReason};
use fanwire_wire::deflate::{Deflater, Inflater};
use fanwire_wire::error::ProtocolError;
use fanwire_wire::frame::{OpCode, Role, write_frame, write_header, write_masked_frame};
use fanwire_wire::limits::MAX_CONTROL_PAYLOAD_BYTES;
use fanwire_wire::mask::unmask;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};
use libfuzzer_sys::fuzz_target;

use crate::pieces::{Sizes, pieces};

/// What a reader and an inflater hold in any case, in octets: zlib's window and tables, and a reused output buffer.
const FIXED_BYTES: usize = 256 * 1024;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    sizes: Sizes,
    key: [u8; 4],
    /// Role, compression, context takeover, and the bound on messages.
    choices: u8,
    octets: &'a [u8],
}

impl Input<'_> {
    fn role(&self) -> Role {
        if self.choices & 1 == 0 { Role::Server } else { Role::Client }
    }

    fn deflate(&self) -> bool {
        self.choices & 2 != 0
    }

    fn max_message(&self) -> usize {
        [0, 125, 4_096, 1 << 20][usize::from(self.choices >> 3 & 3)]
    }

    fn reader(&self) -> (MessageReader, Inflater) {
        (MessageReader::new(self.role(), self.deflate()), Inflater::new(self.choices & 4 != 0))
    }
}

type Events = Vec<Incoming<'static>>;

fuzz_target!(|input: Input<'_>| {
    let (events, error) = read_whole(&input, input.octets);
    for event in &events {
        assert_valid(event, input.max_message());
    }
    let bound = 4 * (input.octets.len() + input.max_message()) + FIXED_BYTES;
    heap::within(bound, || read_in_pieces(&input, input.octets, &events, error));

    let frames = write(&input, &events);
    let again = read_whole(&input, &frames);
    assert_eq!(again, (events.clone(), None), "what was written is not read back");
    read_in_pieces(&input, &frames, &events, None);
});

/// All that the octets say when they come at once, up to a close frame or an error.
fn read_whole(input: &Input<'_>, octets: &[u8]) -> (Events, Option<ProtocolError>) {
    let (mut reader, mut inflater) = input.reader();
    let (mut octets, mut events) = (octets.to_vec(), Events::new());
    let mut rest = octets.as_mut_slice();
    loop {
        let length = rest.len();
        match reader.read(rest, input.max_message(), &mut inflater) {
            Err(error) => {
                assert!(reader.is_idle(), "it keeps something after an error");
                return (events, Some(error));
            }
            Ok((consumed, None)) => {
                assert_eq!(consumed, length, "octets were left over");
                return (events, None);
            }
            Ok((consumed, Some(event))) => {
                events.push(owned(event));
                if matches!(events.last(), Some(Incoming::Close(_))) {
                    return (events, None);
                }
                rest = &mut rest[consumed..];
            }
        }
    }
}

/// The same octets in pieces say the same.
fn read_in_pieces(input: &Input<'_>, octets: &[u8], events: &Events, error: Option<ProtocolError>) {
    let (mut reader, mut inflater) = input.reader();
    let mut expected = events.iter();
    let mut piece = [0; 256];
    for original in pieces(octets, input.sizes) {
        let mut rest = &mut piece[..original.len()];
        rest.copy_from_slice(original);
        while !rest.is_empty() {
            let length = rest.len();
            match reader.read(rest, input.max_message(), &mut inflater) {
                Err(this) => {
                    assert_eq!((Some(this), expected.next()), (error, None));
                    return;
                }
                Ok((consumed, event)) => {
                    assert!(event.is_some() || consumed == length, "octets were left over");
                    if let Some(event) = event {
                        assert_eq!(Some(&event), expected.next());
                        if matches!(event, Incoming::Close(_)) {
                            return;
                        }
                    }
                    rest = &mut rest[consumed..];
                }
            }
        }
    }
    assert_eq!((None, expected.next()), (error, None));
}

fn owned(event: Incoming<'_>) -> Incoming<'static> {
    let payload = |payload: Cow<'_, [u8]>| Cow::Owned(payload.into_owned());
    match event {
        Incoming::Message { kind, payload: octets } => Incoming::Message { kind, payload: payload(octets) },
        Incoming::Ping(octets) => Incoming::Ping(payload(octets)),
        Incoming::Pong(octets) => Incoming::Pong(payload(octets)),
        Incoming::Close(reason) => Incoming::Close(reason.map(CloseReason::into_owned)),
    }
}

fn assert_valid(event: &Incoming<'_>, max_message: usize) {
    match event {
        Incoming::Message { kind, payload } => {
            assert!(payload.len() <= max_message);
            assert!(
                *kind == MessageKind::Binary || str::from_utf8(payload).is_ok(),
                "text that is not UTF-8"
            );
        }
        Incoming::Ping(payload) | Incoming::Pong(payload) => {
            assert!(payload.len() <= MAX_CONTROL_PAYLOAD_BYTES);
        }
        Incoming::Close(_) => {}
    }
}

/// The frames that say `events` to our role: messages in turn whole, compressed, and in fragments with a pong between.
fn write(input: &Input<'_>, events: &Events) -> Vec<u8> {
    let mut writer = Writer { role: input.role(), key: input.key, out: Vec::new() };
    let mut deflater = Deflater::new(15, input.choices & 4 != 0);
    for (number, event) in events.iter().enumerate() {
        match event {
            Incoming::Ping(payload) => writer.frame(OpCode::Ping, false, payload),
            Incoming::Pong(payload) => writer.frame(OpCode::Pong, false, payload),
            Incoming::Close(reason) => writer.frame(OpCode::Close, false, &close_payload(reason.as_ref())),
            Incoming::Message { kind, payload } => {
                let opcode = if *kind == MessageKind::Text { OpCode::Text } else { OpCode::Binary };
                let mut compressed = Vec::new();
                let compress = input.deflate() && number % 4 >= 2;
                if compress {
                    deflater.deflate(payload, &mut compressed);
                }
                let payload = if compress { &compressed } else { &**payload };
                if number % 2 == 0 {
                    writer.frame(opcode, compress, payload);
                } else {
                    writer.fragments(opcode, compress, payload, input.sizes);
                }
            }
        }
    }
    writer.out
}

fn close_payload(reason: Option<&CloseReason<'_>>) -> Vec<u8> {
    let mut payload = Vec::new();
    if let Some(CloseReason { code, reason }) = reason {
        close::write_payload(&mut payload, *code, reason);
    }
    payload
}

/// Our peer, which masks if it is a client.
struct Writer {
    role: Role,
    key: [u8; 4],
    out: Vec<u8>,
}

impl Writer {
    fn frame(&mut self, opcode: OpCode, compressed: bool, payload: &[u8]) {
        match self.role {
            Role::Server => write_masked_frame(&mut self.out, self.key, opcode, compressed, payload),
            Role::Client => write_frame(&mut self.out, opcode, compressed, payload),
        }
    }

    fn fragments(&mut self, first: OpCode, compressed: bool, payload: &[u8], sizes: Sizes) {
        let mask = (self.role == Role::Server).then_some(self.key);
        let mut opcode = first;
        let fragments = pieces(payload, sizes).map(|fragment| (fragment, false)).chain([(&[][..], true)]);
        for (fragment, fin) in fragments {
            let compressed = compressed && opcode == first;
            write_header(&mut self.out, fin, compressed, opcode, mask, fragment.len());
            let start = self.out.len();
            self.out.extend_from_slice(fragment);
            if let Some(key) = mask {
                unmask(key, 0, &mut self.out[start..]);
            }
            opcode = OpCode::Continuation;
        }
    }
}
