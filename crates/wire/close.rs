//! The closing handshake's codes and payload (RFC 6455 §5.5.1 and §7.4).

use std::borrow::Cow;
use std::fmt;

use crate::error::ProtocolError;
use crate::frame::{self, OpCode};
use crate::limits::{MAX_CLOSE_REASON_BYTES, MAX_CONTROL_PAYLOAD_BYTES};
use crate::utf8;

/// A close code (RFC 6455 §7.4.1, and the IANA registry of WebSocket close codes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose of the connection was fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a broker that shuts down, a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// The peer sent a kind of data that this endpoint does not take.
    pub const UNSUPPORTED: Self = Self(1003);
    /// The peer sent a payload that does not fit its kind, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer broke a policy of this endpoint.
    pub const POLICY: Self = Self(1008);
    /// The peer sent a message that is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// This endpoint failed.
    pub const INTERNAL: Self = Self(1011);
    /// The service restarts; the peer may reconnect.
    pub const RESTART: Self = Self(1012);
    /// The service is overloaded, or the peer too slow for it; the peer may reconnect later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The client's token has expired. RFC 6455 §7.4.2 leaves such codes to applications; this one is made like HTTP's 401.
    pub const TOKEN_EXPIRED: Self = Self(4401);

    /// The code of a number that came in a close frame; [`ProtocolError::BadCloseCode`] if it must not be sent.
    ///
    /// These are all below 1000, 1004–1006 and 1015 (which RFC 6455 §7.4.1 reserves), those up to 2999 that
    /// nobody has registered, and all above 4999.
    pub const fn from_wire(number: u16) -> Result<Self, ProtocolError> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Ok(Self(number)),
            _ => Err(ProtocolError::BadCloseCode(number)),
        }
    }

    /// The number that stands on the wire.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why the peer closes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason<'a> {
    /// The code.
    pub code: CloseCode,
    /// A text for logs, often empty; at most 123 octets.
    pub reason: Cow<'a, str>,
}

impl CloseReason<'_> {
    /// The same, borrowed from nothing.
    #[must_use]
    pub fn into_owned(self) -> CloseReason<'static> {
        CloseReason { code: self.code, reason: Cow::Owned(self.reason.into_owned()) }
    }
}

/// Reads the payload of a close frame: `None` if it is empty, as the peer may leave it.
///
/// [`ProtocolError::BadClosePayload`] if it is too short for a code, [`ProtocolError::BadCloseCode`] or
/// [`ProtocolError::BadUtf8`] if what it says is wrong.
pub fn parse(payload: &[u8]) -> Result<Option<CloseReason<'_>>, ProtocolError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let (number, reason) = payload.split_first_chunk().ok_or(ProtocolError::BadClosePayload)?;
    let code = CloseCode::from_wire(u16::from_be_bytes(*number))?;
    let reason = Cow::Borrowed(utf8::check(reason)?);
    Ok(Some(CloseReason { code, reason }))
}

/// Appends the payload of a close frame. A reason of more than 123 octets is cut between characters.
pub fn write_payload(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(MAX_CLOSE_REASON_BYTES)];
    out.extend_from_slice(&code.as_u16().to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Appends a whole unmasked close frame, as a server sends it. A reason of more than 123 octets is cut
/// between characters.
pub fn write_close(out: &mut Vec<u8>, code: CloseCode, reason: &str) {
    let mut payload = Vec::with_capacity(MAX_CONTROL_PAYLOAD_BYTES);
    write_payload(&mut payload, code, reason);
    frame::write_frame(out, OpCode::Close, false, &payload);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_empty_payload_has_no_reason_and_a_single_octet_is_refused() {
        assert_eq!(parse(b""), Ok(None));
        assert_eq!(parse(b"\x03"), Err(ProtocolError::BadClosePayload));
    }

    #[test]
    fn only_codes_that_may_be_sent_are_taken() {
        let taken: Vec<u16> = (0..=u16::MAX).filter(|&code| CloseCode::from_wire(code).is_ok()).collect();
        let allowed: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(taken, allowed);
        assert_eq!(parse(&[0x03, 0xee]), Err(ProtocolError::BadCloseCode(1006)));
    }

    #[test]
    fn every_code_that_we_send_may_be_sent() {
        use CloseCode as Code;
        let sent = [
            (Code::NORMAL, 1000),
            (Code::GOING_AWAY, 1001),
            (Code::PROTOCOL_ERROR, 1002),
            (Code::UNSUPPORTED, 1003),
            (Code::INVALID_PAYLOAD, 1007),
            (Code::POLICY, 1008),
            (Code::TOO_BIG, 1009),
            (Code::INTERNAL, 1011),
            (Code::RESTART, 1012),
            (Code::TRY_AGAIN_LATER, 1013),
            (Code::TOKEN_EXPIRED, 4401),
        ];
        for (code, number) in sent {
            assert_eq!(Code::from_wire(number), Ok(code));
        }
    }

    #[test]
    fn a_reason_that_is_not_text_is_refused() {
        assert_eq!(parse(b"\x03\xe8\xce\xba\xe1"), Err(ProtocolError::BadUtf8));
    }

    proptest! {
        #[test]
        fn a_reason_is_read_back_or_cut_between_characters(reason in "\\PC{0,140}") {
            let mut out = Vec::new();
            write_close(&mut out, CloseCode::GOING_AWAY, &reason);
            prop_assert_eq!(out[0], 0x88);
            prop_assert_eq!(usize::from(out[1]), out.len() - 2);
            prop_assert!(out[1] <= 125);

            let close = parse(&out[2..]).unwrap().unwrap();
            prop_assert_eq!(close.code, CloseCode::GOING_AWAY);
            prop_assert!(reason.starts_with(&*close.reason));
            let longest = reason.char_indices().map(|(at, c)| at + c.len_utf8()).filter(|&end| end <= 123).max();
            prop_assert_eq!(close.reason.len(), longest.unwrap_or(0));
        }
    }
}
