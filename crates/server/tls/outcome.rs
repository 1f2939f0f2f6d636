//! What comes of a handshake, and of what follows it.

use std::fmt;

use rustls::Error;

use super::stream::{MAX_INCOMING_BYTES, MAX_UNSENT_BYTES};
use super::unfit::why_unfit;

/// Why a connection cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TlsFailure {
    /// The client speaks HTTP without TLS.
    PlainHttp,
    /// A handshake message is longer than any that we expect.
    TooLong,
    /// The client makes TLS answer it, and reads no answer.
    Unread,
    /// The client's certificate has no subject, or one that cannot be read.
    BadSubject,
    /// What came breaks the protocol, or is refused.
    Protocol(Error),
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainHttp => f.write_str("the client speaks HTTP without TLS"),
            Self::TooLong => write!(f, "a handshake message is longer than {MAX_INCOMING_BYTES} bytes"),
            Self::Unread => {
                write!(f, "the client has not read {MAX_UNSENT_BYTES} bytes of what it made TLS answer")
            }
            Self::BadSubject => {
                f.write_str("the client's certificate has no subject that it could be known by")
            }
            Self::Protocol(error) => match why_unfit(error) {
                Some(why) => write!(f, "the client's certificate {why}"),
                None => error.fmt(f),
            },
        }
    }
}

/// What came of a handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handshake {
    /// TLS 1.3, rather than 1.2.
    pub(crate) is_1_3: bool,
    /// It went on from an earlier one.
    pub(crate) is_resumed: bool,
}
