//! Tokens: JWTs (RFC 7519), signed in the compact form (RFC 7515 §7.1).
//!
//! ```text
//!   header . claims . signature
//!     │        │          └─ must be one that the key makes, by the key's own algorithm
//!     │        └─ are looked at behind that
//!     └─ names the key, and the algorithm that the key must have
//! ```

use std::error::Error;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire_wire::limits::MAX_TOKEN_BYTES;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claims::{Claims, Policy};
use super::keys::KeyRing;
use crate::config::Algorithm;

/// Which check a token fails. None of them says anything of the token that its sender does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// More than [`MAX_TOKEN_BYTES`].
    TooLong,
    /// Not three parts in base64url, or a header that is none.
    Malformed,
    /// The header has `crit`, and nothing that could be critical is understood here (RFC 7515 §4.1.11).
    Critical,
    /// `alg` is none that is taken, such as `none`.
    UnknownAlgorithm,
    /// The key has another algorithm than `alg`.
    WrongAlgorithm,
    /// No key has this `kid`, or no key has this `alg`.
    UnknownKey,
    /// There are no keys: clients are known by their certificates.
    NoKeys,
    /// The key has not signed this.
    BadSignature,
    /// A claim is not of its type.
    BadClaims,
    /// A claim that must be there is not.
    MissingClaim(&'static str),
    /// `sub` is empty, too long, or has control characters.
    BadSubject,
    /// Something is granted that is neither a topic nor a pattern.
    BadGrant,
    /// It was good until some time ago.
    Expired,
    /// It will be good.
    NotYetValid,
    /// Issued by somebody else than the operator has named.
    WrongIssuer,
    /// Issued for somebody else.
    WrongAudience,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => return write!(f, "the token has more than {MAX_TOKEN_BYTES} octets"),
            Self::MissingClaim(name) => return write!(f, "the token has no {name}"),
            Self::Malformed => "the token is not a signed JWT",
            Self::Critical => "the token has crit in its header, which is not understood here",
            Self::UnknownAlgorithm => "the token has an alg other than HS256, RS256, ES256 and EdDSA",
            Self::WrongAlgorithm => "the token has another alg than the key that its kid names",
            Self::UnknownKey => "the token is signed with a key that is not known here",
            Self::NoKeys => "this broker has no keys that tokens could be signed with, and takes none",
            Self::BadSignature => "the token has a signature that its key did not make",
            Self::BadClaims => "the token has a claim that is not of its type",
            Self::BadSubject => "the token has a sub that is not 1 to 255 octets without control characters",
            Self::BadGrant => "the token grants something that is neither a topic nor a pattern",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::WrongIssuer => "the token is from another iss than the broker expects",
            Self::WrongAudience => "the token is for another aud than the broker",
        })
    }
}

impl Error for TokenError {}

/// What the header of a token says. That the other fields of RFC 7515 would name keys, or where they are, is why they are
/// not looked at: keys come from the operator.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// What a token claims, if one of the keys has signed it and it holds at this time, in milliseconds since 1970.
pub(crate) fn verify(
    token: &str,
    keys: &KeyRing,
    policy: &Policy,
    now_ms: u64,
) -> Result<Claims, TokenError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::TooLong);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
    check_signature(&decoded(header)?, signed, signature, keys)?;
    policy.check(&decoded(claims)?, now_ms)
}

fn check_signature(header: &[u8], signed: &str, signature: &str, keys: &KeyRing) -> Result<(), TokenError> {
    let header: Header = object(header).ok_or(TokenError::Malformed)?;
    if header.crit.is_some() {
        return Err(TokenError::Critical);
    }
    let algorithm = Algorithm::of_name(&header.alg).ok_or(TokenError::UnknownAlgorithm)?;
    let mut candidates = keys.candidates(header.kid.as_deref(), algorithm)?;
    let is_signed = candidates.any(|key| key.has_signed(signed.as_bytes(), signature));
    if is_signed { Ok(()) } else { Err(TokenError::BadSignature) }
}

/// What stands in a JSON object (RFC 7515 §5.2, RFC 7519 §7.2): a list of the same values in the order of the fields is none,
/// though serde would take it.
pub(super) fn object<'a, T: Deserialize<'a>>(octets: &'a [u8]) -> Option<T> {
    let is_object = octets.trim_ascii_start().starts_with(b"{");
    is_object.then(|| serde_json::from_slice(octets).ok())?
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}
