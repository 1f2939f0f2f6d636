//! One frame (RFC 6455 §5.2).
//!
//! ```text
//!   octet 0          octet 1           0, 2 or 8 octets   0 or 4     payload length
//! ┌─┬─┬─┬─┬───────┬─┬───────────────┬──────────────────┬──────────┬────────────────┐
//! │F│R│R│R│       │M│ 0–125: length │ 126: u16         │          │                │
//! │I│S│S│S│opcode │A│ 126, 127:     │ 127: u64         │   mask   │ payload        │
//! │N│1│2│3│       │S│ see right     │ (big-endian)     │          │                │
//! └─┴─┴─┴─┴───────┴─┴───────────────┴──────────────────┴──────────┴────────────────┘
//! ```

use crate::error::ProtocolError;
use crate::limits::{MAX_CONTROL_PAYLOAD_BYTES, MAX_FRAME_HEADER_BYTES};
use crate::mask::unmask;

const FIN: u8 = 0x80;
/// RFC 7692 §6 gives it a meaning: the message is compressed.
const RSV1: u8 = 0x40;
const RSV2_AND_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// In the seven bits of the length: the length is in the next two octets.
const LENGTH_IN_U16: u8 = 126;
/// In the seven bits of the length: the length is in the next eight octets.
const LENGTH_IN_U64: u8 = 127;
/// The largest length that fits the seven bits.
const MAX_SHORT_LENGTH: usize = 125;

/// What a frame is (RFC 6455 §5.2 and §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or is a one-way heartbeat.
    Pong = 0xa,
}

impl OpCode {
    const fn from_bits(bits: u8) -> Result<Self, ProtocolError> {
        match bits {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            reserved => Err(ProtocolError::ReservedOpcode(reserved)),
        }
    }

    /// Whether it is a control frame, which may stand between the fragments of a message (RFC 6455 §5.5).
    #[must_use]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Our role on the connection. A server receives masked frames and sends unmasked ones; a client the reverse
/// (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We took the connection.
    Server,
    /// We opened the connection.
    Client,
}

/// The header of a received frame, valid for our role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether the frame is the last of its message.
    pub fin: bool,
    /// Whether the message that begins here is compressed (RSV1, RFC 7692 §6). Never set on a continuation.
    pub compressed: bool,
    /// What the frame is.
    pub opcode: OpCode,
    /// The key that the payload is masked with.
    pub mask: Option<[u8; 4]>,
    /// Octets of payload that the header announces; below 2^63.
    pub payload_len: u64,
    /// Octets of the header itself.
    pub header_len: usize,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`; `None` if more octets are needed.
    ///
    /// A header that is wrong is refused as soon as the octet or length that makes it so has come.
    pub fn parse(bytes: &[u8], role: Role, deflate_negotiated: bool) -> Result<Option<Self>, ProtocolError> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let opcode = OpCode::from_bits(first & OPCODE)?;
        let fin = first & FIN != 0;
        let compressed = first & RSV1 != 0;
        check_first_octet(first, opcode, deflate_negotiated)?;

        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        check_second_octet(second, opcode, role)?;

        let Some((payload_len, rest)) = parse_length(second & LENGTH, rest)? else { return Ok(None) };
        let (mask, rest) = match (role, rest.split_first_chunk()) {
            (Role::Client, _) => (None, rest),
            (Role::Server, Some((key, rest))) => (Some(*key), rest),
            (Role::Server, None) => return Ok(None),
        };
        let header_len = bytes.len() - rest.len();
        Ok(Some(Self { fin, compressed, opcode, mask, payload_len, header_len }))
    }
}

fn check_first_octet(first: u8, opcode: OpCode, deflate_negotiated: bool) -> Result<(), ProtocolError> {
    let begins_message = matches!(opcode, OpCode::Text | OpCode::Binary);
    let rsv1_has_meaning = deflate_negotiated && begins_message;
    if first & RSV2_AND_RSV3 != 0 || (first & RSV1 != 0 && !rsv1_has_meaning) {
        return Err(ProtocolError::ReservedBits);
    }
    if opcode.is_control() && first & FIN == 0 {
        return Err(ProtocolError::FragmentedControl);
    }
    Ok(())
}

fn check_second_octet(second: u8, opcode: OpCode, role: Role) -> Result<(), ProtocolError> {
    let masked = second & MASKED != 0;
    match role {
        Role::Server if !masked => return Err(ProtocolError::UnmaskedFrame),
        Role::Client if masked => return Err(ProtocolError::MaskedFrame),
        _ => {}
    }
    if opcode.is_control() && usize::from(second & LENGTH) > MAX_CONTROL_PAYLOAD_BYTES {
        return Err(ProtocolError::LongControl);
    }
    Ok(())
}

/// The length of the payload, and what follows it; `None` if more octets are needed.
fn parse_length(seven_bits: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, ProtocolError> {
    let (length, least, rest) = match seven_bits {
        LENGTH_IN_U16 => {
            let Some((octets, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from(u16::from_be_bytes(*octets)), u64::from(LENGTH_IN_U16), rest)
        }
        LENGTH_IN_U64 => {
            let Some((octets, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (u64::from_be_bytes(*octets), u64::from(u16::MAX) + 1, rest)
        }
        short => return Ok(Some((u64::from(short), rest))),
    };
    if length < least {
        return Err(ProtocolError::NonMinimalLength);
    }
    if length > i64::MAX as u64 {
        return Err(ProtocolError::LengthTooLarge);
    }
    Ok(Some((length, rest)))
}

/// Octets of the header of an unmasked frame with `payload_len` octets of payload.
#[must_use]
pub const fn header_len(payload_len: usize) -> usize {
    if payload_len <= MAX_SHORT_LENGTH {
        2
    } else if payload_len <= u16::MAX as usize {
        4
    } else {
        10
    }
}

/// Appends a header. The payload that follows it, of `payload_len` octets, must be masked with `mask` if there is one.
pub fn write_header(
    out: &mut Vec<u8>,
    fin: bool,
    compressed: bool,
    opcode: OpCode,
    mask: Option<[u8; 4]>,
    payload_len: usize,
) {
    let mut header = [0; MAX_FRAME_HEADER_BYTES];
    header[0] = opcode as u8 | if fin { FIN } else { 0 } | if compressed { RSV1 } else { 0 };

    let mut len = header_len(payload_len);
    header[1] = match len {
        2 => payload_len as u8,
        4 => LENGTH_IN_U16,
        _ => LENGTH_IN_U64,
    };
    match len {
        2 => {}
        4 => header[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes()),
        _ => header[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes()),
    }
    if let Some(key) = mask {
        header[1] |= MASKED;
        header[len..len + key.len()].copy_from_slice(&key);
        len += key.len();
    }
    out.extend_from_slice(&header[..len]);
}

/// Appends a whole message, or a control frame, in one unmasked frame, as a server sends it.
pub fn write_frame(out: &mut Vec<u8>, opcode: OpCode, compressed: bool, payload: &[u8]) {
    out.reserve(MAX_FRAME_HEADER_BYTES + payload.len());
    write_header(out, true, compressed, opcode, None, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a whole message, or a control frame, in one frame masked with `key`, as a client sends it.
///
/// The key must be unpredictable to whoever chose the payload (RFC 6455 §5.3 and §10.3).
pub fn write_masked_frame(out: &mut Vec<u8>, key: [u8; 4], opcode: OpCode, compressed: bool, payload: &[u8]) {
    out.reserve(MAX_FRAME_HEADER_BYTES + payload.len());
    write_header(out, true, compressed, opcode, Some(key), payload.len());
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(key, 0, &mut out[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn parse(bytes: &[u8], role: Role) -> Result<Option<FrameHeader>, ProtocolError> {
        FrameHeader::parse(bytes, role, true)
    }

    #[test]
    fn the_examples_of_the_rfc_are_written_as_they_stand_there() {
        let mut out = Vec::new();
        write_frame(&mut out, OpCode::Text, false, b"Hello");
        assert_eq!(out, [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);

        out.clear();
        write_masked_frame(&mut out, KEY, OpCode::Text, false, b"Hello");
        assert_eq!(out, [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]);

        out.clear();
        write_header(&mut out, false, false, OpCode::Text, None, 3);
        write_header(&mut out, true, false, OpCode::Binary, None, 256);
        write_header(&mut out, true, false, OpCode::Binary, None, 65536);
        assert_eq!(out, [0x01, 0x03, 0x82, 0x7e, 0x01, 0x00, 0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_wrong_header_is_refused_at_the_octet_that_makes_it_wrong() {
        use ProtocolError::{
            FragmentedControl, LengthTooLarge, LongControl, MaskedFrame, NonMinimalLength, ReservedBits,
            ReservedOpcode, UnmaskedFrame,
        };
        let cases: [(&[u8], Role, ProtocolError); 14] = [
            (&[0xa1], Role::Server, ReservedBits),
            (&[0x91], Role::Server, ReservedBits),
            (&[0xc0], Role::Server, ReservedBits),
            (&[0xc9], Role::Server, ReservedBits),
            (&[0x83], Role::Server, ReservedOpcode(3)),
            (&[0x8f], Role::Server, ReservedOpcode(15)),
            (&[0x09], Role::Server, FragmentedControl),
            (&[0x81, 0x05], Role::Server, UnmaskedFrame),
            (&[0x81, 0x85], Role::Client, MaskedFrame),
            (&[0x89, 0xfe], Role::Server, LongControl),
            (&[0x81, 0xfe, 0, 125], Role::Server, NonMinimalLength),
            (&[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Role::Client, NonMinimalLength),
            (&[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1], Role::Client, NonMinimalLength),
            (&[0x81, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 0], Role::Client, LengthTooLarge),
        ];
        for (bytes, role, error) in cases {
            assert_eq!(parse(bytes, role), Err(error), "{bytes:02x?}");
            assert_eq!(parse(&bytes[..bytes.len() - 1], role), Ok(None), "{bytes:02x?}");
        }
    }

    #[test]
    fn rsv1_is_reserved_unless_compression_was_negotiated() {
        let bytes = [0xc1, 0x00];
        assert_eq!(FrameHeader::parse(&bytes, Role::Client, false), Err(ProtocolError::ReservedBits));
        let header = FrameHeader::parse(&bytes, Role::Client, true);
        assert!(matches!(header, Ok(Some(FrameHeader { compressed: true, .. }))));
    }

    fn opcodes() -> impl Strategy<Value = OpCode> {
        prop_oneof![Just(OpCode::Continuation), Just(OpCode::Text), Just(OpCode::Binary)]
    }

    proptest! {
        #[test]
        fn a_written_header_is_read_back_whole_and_never_early(
            fin: bool,
            opcode in opcodes(),
            mask: Option<[u8; 4]>,
            payload_len in prop_oneof![0_usize..130, 65_530_usize..65_540, any::<u32>().prop_map(|n| n as usize)],
        ) {
            let compressed = fin && opcode != OpCode::Continuation;
            let mut bytes = Vec::new();
            write_header(&mut bytes, fin, compressed, opcode, mask, payload_len);
            let masked_len = header_len(payload_len) + mask.map_or(0, |key| key.len());
            prop_assert_eq!(bytes.len(), masked_len);

            let role = if mask.is_some() { Role::Server } else { Role::Client };
            for end in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..end], role), Ok(None));
            }
            bytes.push(0xff);
            let payload_len = payload_len as u64;
            let header = FrameHeader { fin, compressed, opcode, mask, payload_len, header_len: masked_len };
            prop_assert_eq!(parse(&bytes, role), Ok(Some(header)));
        }
    }
}
