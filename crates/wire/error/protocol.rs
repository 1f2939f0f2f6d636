//! Frames that break the protocol.

use std::error::Error;
use std::fmt;

use crate::close::CloseCode;

/// What a peer's frames did wrong: the connection must be failed (RFC 6455 §7.1.7) with
/// [`ProtocolError::close_code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// RSV1, RSV2 or RSV3 set without an extension that gives it a meaning there (RFC 6455 §5.2,
    /// RFC 7692 §6).
    ReservedBits,
    /// An opcode that RFC 6455 §5.2 reserves.
    ReservedOpcode(u8),
    /// A client sent a frame without a mask (RFC 6455 §5.1).
    UnmaskedFrame,
    /// A server sent a frame with a mask (RFC 6455 §5.1).
    MaskedFrame,
    /// A control frame without FIN (RFC 6455 §5.5).
    FragmentedControl,
    /// A control frame of more than 125 octets (RFC 6455 §5.5).
    LongControl,
    /// A payload length in more octets than it needs (RFC 6455 §5.2).
    NonMinimalLength,
    /// A payload length whose most significant bit is set (RFC 6455 §5.2).
    LengthTooLarge,
    /// A continuation frame with no message to continue (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A new message before the fragmented one was complete (RFC 6455 §5.4).
    ExpectedContinuation,
    /// Text, or the reason of a close, that is not UTF-8 (RFC 6455 §8.1).
    BadUtf8,
    /// A close payload of a single octet, too short for a code (RFC 6455 §5.5.1).
    BadClosePayload,
    /// A close code that must not be sent (RFC 6455 §7.4).
    BadCloseCode(u16),
    /// A message of more octets than this side takes.
    MessageTooBig {
        /// The most octets that this side takes.
        limit: usize,
    },
    /// A message that inflates to many times what came.
    InflatesTooMuch {
        /// To how many times as much it may.
        max_ratio: usize,
    },
    /// Compressed data that is not DEFLATE (RFC 7692 §7.2.2).
    BadDeflate,
}

impl ProtocolError {
    /// The code that the closing handshake tells the peer (RFC 6455 §7.4.1).
    #[must_use]
    pub const fn close_code(&self) -> CloseCode {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::UnmaskedFrame
            | Self::MaskedFrame
            | Self::FragmentedControl
            | Self::LongControl
            | Self::NonMinimalLength
            | Self::LengthTooLarge
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::BadClosePayload
            | Self::BadCloseCode(_) => CloseCode::PROTOCOL_ERROR,
            Self::BadUtf8 | Self::BadDeflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig { .. } | Self::InflatesTooMuch { .. } => CloseCode::TOO_BIG,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBits => f.write_str("a reserved bit is set"),
            Self::ReservedOpcode(opcode) => write!(f, "opcode {opcode:#x} is reserved"),
            Self::UnmaskedFrame => f.write_str("a client's frame must be masked"),
            Self::MaskedFrame => f.write_str("a server's frame must not be masked"),
            Self::FragmentedControl => f.write_str("a control frame must not be fragmented"),
            Self::LongControl => f.write_str("a control frame carries at most 125 octets"),
            Self::NonMinimalLength => f.write_str("the payload length takes more octets than it needs"),
            Self::LengthTooLarge => f.write_str("the payload length has its highest bit set"),
            Self::UnexpectedContinuation => f.write_str("a continuation without a message to continue"),
            Self::ExpectedContinuation => f.write_str("a new message before the last one was complete"),
            Self::BadUtf8 => f.write_str("text is not UTF-8"),
            Self::BadClosePayload => f.write_str("a close payload of one octet"),
            Self::BadCloseCode(code) => write!(f, "close code {code} must not be sent"),
            Self::MessageTooBig { limit } => write!(f, "the message is larger than {limit} octets"),
            Self::InflatesTooMuch { max_ratio } => {
                write!(f, "the message inflates to more than {max_ratio} times what it took compressed")
            }
            Self::BadDeflate => f.write_str("compressed data is damaged"),
        }
    }
}

impl Error for ProtocolError {}
