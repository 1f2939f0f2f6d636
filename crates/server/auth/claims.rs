//! What tokens claim, once it is known that a key has signed it.

use std::time::Duration;

use fanwire_broker::permissions::{Grants, Permissions};
use fanwire_wire::limits::MAX_IDENTITY_BYTES;
use fanwire_wire::topic::TopicOrPattern;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::token::{TokenError, object};

/// What a token says of its client.
#[derive(Debug, PartialEq)]
pub(crate) struct Claims {
    /// Who it is, and what it may do.
    pub(crate) permissions: Permissions,
    /// Whether it may read the figures.
    pub(crate) metrics: bool,
    /// The `exp`, in milliseconds since 1970.
    pub(crate) expires_ms: u64,
}

/// What the operator expects of tokens, besides that they are signed.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// Who may have issued them; anybody, if empty.
    pub(crate) issuers: Vec<String>,
    /// For whom they may be; for anybody, if empty.
    pub(crate) audiences: Vec<String>,
    /// What clocks may differ by, in milliseconds.
    pub(crate) leeway_ms: u64,
}

/// The claims as they stand in a token.
#[derive(Deserialize)]
struct Written<'a> {
    sub: Option<String>,
    iss: Option<String>,
    aud: Option<OneOrSeveral>,
    /// Seconds since 1970, perhaps with a fraction (RFC 7519 §2, `NumericDate`).
    exp: Option<f64>,
    nbf: Option<f64>,
    #[serde(borrow)]
    fanwire: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrSeveral {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WrittenGrants {
    subscribe: Vec<String>,
    publish: Vec<String>,
    metrics: bool,
}

impl Policy {
    /// What the octets of claims say, if it is as the operator expects and holds now.
    pub(super) fn check(&self, claims: &[u8], now_ms: u64) -> Result<Claims, TokenError> {
        let written: Written<'_> = object(claims).ok_or(TokenError::BadClaims)?;
        let expires_ms = milliseconds(written.exp.ok_or(TokenError::MissingClaim("exp"))?);
        if now_ms >= expires_ms.saturating_add(self.leeway_ms) {
            return Err(TokenError::Expired);
        }
        if written.nbf.is_some_and(|nbf| now_ms.saturating_add(self.leeway_ms) < milliseconds(nbf)) {
            return Err(TokenError::NotYetValid);
        }
        self.check_issuer(written.iss.as_deref())?;
        self.check_audience(written.aud.as_ref())?;
        let identity = checked_subject(written.sub.ok_or(TokenError::MissingClaim("sub"))?)?;
        let granted =
            written.fanwire.map_or(Some(WrittenGrants::default()), |json| object(json.get().as_bytes()));
        let WrittenGrants { subscribe, publish, metrics } = granted.ok_or(TokenError::BadClaims)?;
        let permissions = Permissions {
            identity: Some(identity),
            subscribe: grants(&subscribe)?,
            publish: grants(&publish)?,
        };
        Ok(Claims { permissions, metrics, expires_ms })
    }

    fn check_issuer(&self, issuer: Option<&str>) -> Result<(), TokenError> {
        if self.issuers.is_empty() {
            return Ok(());
        }
        let issuer = issuer.ok_or(TokenError::MissingClaim("iss"))?;
        let is_known = self.issuers.iter().any(|known| known == issuer);
        if is_known { Ok(()) } else { Err(TokenError::WrongIssuer) }
    }

    fn check_audience(&self, audience: Option<&OneOrSeveral>) -> Result<(), TokenError> {
        if self.audiences.is_empty() {
            return Ok(());
        }
        let is_ours = match audience.ok_or(TokenError::MissingClaim("aud"))? {
            OneOrSeveral::One(one) => self.audiences.contains(one),
            OneOrSeveral::Several(several) => several.iter().any(|one| self.audiences.contains(one)),
        };
        if is_ours { Ok(()) } else { Err(TokenError::WrongAudience) }
    }
}

/// What a date is in milliseconds. One before 1970 is 1970, and one that no clock will show is for ever.
fn milliseconds(seconds: f64) -> u64 {
    let out_of_range = if seconds < 0.0 { 0 } else { u64::MAX };
    Duration::try_from_secs_f64(seconds).map_or(out_of_range, |since| since.as_millis() as u64)
}

/// It stands in log lines and in what others see, so it must not be able to pretend to be more than a name.
fn checked_subject(subject: String) -> Result<Box<str>, TokenError> {
    let is_good = (1..=MAX_IDENTITY_BYTES).contains(&subject.len()) && !subject.contains(char::is_control);
    if is_good { Ok(subject.into()) } else { Err(TokenError::BadSubject) }
}

fn grants(texts: &[String]) -> Result<Grants, TokenError> {
    let granted = texts.iter().map(|text| TopicOrPattern::parse(text));
    granted.collect::<Result<_, _>>().map_err(|_| TokenError::BadGrant)
}
