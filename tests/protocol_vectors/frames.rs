//! Frames, read by the other side and written again.

use fanwire_wire::close::{CloseCode, CloseReason, write_close};
use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::{FrameHeader, OpCode, Role, write_frame, write_masked_frame};
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};

use crate::page::vectors;

/// A frame as the page describes it.
struct FrameVector {
    sender: Role,
    opcode: OpCode,
    compressed: bool,
    fragmented: bool,
    payload: Vec<u8>,
    /// Of a close.
    close: Option<(CloseCode, String)>,
    octets: Vec<u8>,
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let octet =
        |digits| u8::from_str_radix(digits, 16).unwrap_or_else(|_| panic!("not hexadecimal: {digits}"));
    text.split_whitespace().map(octet).collect()
}

impl FrameVector {
    /// `SENDER KIND [compressed|fragmented] PAYLOAD`, and the octets on the lines below.
    fn parse(vector: &str) -> Self {
        let (description, octets) = vector.split_once('\n').expect("a description and octets");
        let (sender, rest) = description.split_once(' ').expect("who sends it");
        let (kind, rest) = rest.split_once(' ').expect("what it is");
        let flag = |flag| rest.strip_prefix(flag).map(|rest: &str| rest.trim_start());
        let (compressed, fragmented) = (flag("compressed"), flag("fragmented"));
        let content = compressed.or(fragmented).unwrap_or(rest);
        let text =
            |json| serde_json::from_str::<String>(json).unwrap_or_else(|_| panic!("not a string: {json}"));
        let (opcode, payload, close) = match kind {
            "text" => (OpCode::Text, text(content).into_bytes(), None),
            "binary" => (OpCode::Binary, hex(content), None),
            "ping" => (OpCode::Ping, hex(content), None),
            "pong" => (OpCode::Pong, hex(content), None),
            "close" => {
                let (code, reason) = content.split_once(' ').expect("a code and a reason");
                let code = CloseCode::from_wire(code.parse().expect("a number")).expect("a code");
                (OpCode::Close, Vec::new(), Some((code, text(reason))))
            }
            other => panic!("there is no {other}"),
        };
        Self {
            sender: match sender {
                "client" => Role::Client,
                "server" => Role::Server,
                other => panic!("nobody is {other}"),
            },
            opcode,
            compressed: compressed.is_some(),
            fragmented: fragmented.is_some(),
            payload,
            close,
            octets: hex(octets),
        }
    }

    fn assert_is_read(&self) {
        let receiver = match self.sender {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let (mut reader, mut inflater) = (MessageReader::new(receiver, true), Inflater::new(false));
        let mut octets = self.octets.clone();
        let length = octets.len();
        let (consumed, incoming) = reader.read(&mut octets, 1024, &mut inflater).unwrap();
        assert_eq!(consumed, length, "one message is all that there is");
        let payload = self.payload.as_slice().into();
        let expected = match (self.opcode, &self.close) {
            (OpCode::Text, _) => Incoming::Message { kind: MessageKind::Text, payload },
            (OpCode::Binary, _) => Incoming::Message { kind: MessageKind::Binary, payload },
            (OpCode::Ping, _) => Incoming::Ping(payload),
            (OpCode::Pong, _) => Incoming::Pong(payload),
            (_, close) => Incoming::Close(
                close.as_ref().map(|(code, reason)| CloseReason { code: *code, reason: reason.into() }),
            ),
        };
        assert_eq!(incoming, Some(expected));
    }

    /// What a compressor makes of a payload is its own affair, and so is where a client cuts.
    fn assert_is_written(&self) {
        if self.compressed || self.fragmented {
            return;
        }
        let mut written = Vec::new();
        match (&self.close, self.sender) {
            (Some((code, reason)), Role::Server) if !reason.is_empty() => {
                write_close(&mut written, *code, reason);
            }
            (Some((code, reason)), sender) => {
                let payload = [&code.as_u16().to_be_bytes(), reason.as_bytes()].concat();
                self.write(sender, &payload, &mut written);
            }
            (None, sender) => self.write(sender, &self.payload, &mut written),
        }
        assert_eq!(written, self.octets);
    }

    fn write(&self, sender: Role, payload: &[u8], out: &mut Vec<u8>) {
        match sender {
            Role::Server => write_frame(out, self.opcode, false, payload),
            Role::Client => {
                let header = FrameHeader::parse(&self.octets, Role::Server, true).unwrap().expect("a header");
                write_masked_frame(out, header.mask.expect("a client masks"), self.opcode, false, payload);
            }
        }
    }
}

#[test]
fn every_frame_is_read_and_written_octet_for_octet_as_the_page_has_it() {
    for vector in vectors("text frame").into_iter().flat_map(|block| block.split("\n\n")) {
        let frame = FrameVector::parse(vector);
        frame.assert_is_read();
        frame.assert_is_written();
    }
}
