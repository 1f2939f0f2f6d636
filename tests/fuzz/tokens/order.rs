//! Tokens that are made to order, of which it is known beforehand whether they hold.
#![expect(clippy::cast_precision_loss, reason = "dates are far below 2^52 milliseconds, or for ever")]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire_wire::limits::{MAX_IDENTITY_BYTES, MAX_TOKEN_BYTES};
use fanwire_wire::topic::TopicOrPattern;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Map, Value, json};

use crate::issuer::{ISSUERS, Issuer};
use crate::keys::RSA_PUBLIC;
use crate::{AUDIENCES, ISSUER, LEEWAY_MS, NOW_S};

/// What a token is to be.
#[derive(Arbitrary, Debug)]
pub struct Order<'a> {
    signer: Signer,
    algorithm: Name,
    id: Id,
    is_critical: bool,
    expires: Option<Date>,
    holds_from: Option<Date>,
    subject: Option<&'a str>,
    issuer: Option<bool>,
    audience: Audience,
    subscribe: Option<Vec<Grant<'a>>>,
    publish: Option<Vec<Grant<'a>>>,
    metrics: Option<bool>,
    /// Changes the character at this place when all is signed.
    changed: Option<u16>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Signer {
    /// Who is asked, by its place among the issuers.
    Issuer(u8),
    /// Somebody with a secret that nobody knows here.
    Stranger,
    /// Somebody for whom a public key, which everybody knows, is a secret.
    PublicKeyAsSecret,
    Nobody,
}

/// What the header says of the algorithm.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Name {
    /// That of who signs.
    Own,
    /// Another issuer's.
    Of(u8),
    None,
    Unknown,
}

/// What the header says of the key.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Id {
    Absent,
    Own,
    Of(u8),
    Unknown,
}

/// A date, from now on.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Date {
    Seconds(i8),
    HalfSeconds(i8),
    Past,
    Never,
    Text,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Audience {
    Absent,
    One,
    Several,
    Other,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Grant<'a> {
    Everything,
    Topic,
    Pattern,
    System,
    Text(&'a str),
}

fn issuer(place: u8) -> &'static Issuer {
    &ISSUERS[usize::from(place) % ISSUERS.len()]
}

impl Order<'_> {
    /// The token.
    pub fn token(&self) -> String {
        let parts = [self.header(), self.claims()].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = parts.join(".");
        let token = format!("{message}.{}", self.signature(&message));
        self.changed_at(&token).map_or(token.clone(), |place| {
            let (before, after) = (&token[..place], &token[place + 1..]);
            let other = if token[place..].starts_with('A') { 'B' } else { 'A' };
            format!("{before}{other}{after}")
        })
    }

    /// Whether the token holds.
    pub fn holds(&self, token: &str) -> bool {
        let is_short = token.len() <= MAX_TOKEN_BYTES;
        is_short && self.changed.is_none() && self.is_signed() && self.is_good_now() && self.is_understood()
    }

    fn changed_at(&self, token: &str) -> Option<usize> {
        self.changed.map(|place| usize::from(place) % token.len())
    }

    fn own_issuer(&self) -> Option<&'static Issuer> {
        match self.signer {
            Signer::Issuer(place) => Some(issuer(place)),
            Signer::Stranger | Signer::PublicKeyAsSecret | Signer::Nobody => None,
        }
    }

    fn header(&self) -> Value {
        let mut header = Map::new();
        header.insert("alg".to_owned(), self.algorithm().into());
        if let Some(id) = self.id() {
            header.insert("kid".to_owned(), id.into());
        }
        if self.is_critical {
            header.insert("crit".to_owned(), json!(["exp"]));
        }
        header.into()
    }

    fn algorithm(&self) -> &'static str {
        match self.algorithm {
            Name::Own => self.own_issuer().map_or("HS256", Issuer::name),
            Name::Of(place) => issuer(place).name(),
            Name::None => "none",
            Name::Unknown => "HS512",
        }
    }

    fn id(&self) -> Option<&'static str> {
        match self.id {
            Id::Absent => None,
            Id::Own => self.own_issuer().map_or(Some("rsa"), |issuer| issuer.id),
            Id::Of(place) => issuer(place).id,
            Id::Unknown => Some("unknown"),
        }
    }

    fn signature(&self, message: &str) -> String {
        let with_secret = |secret: &[u8]| {
            let key = EncodingKey::from_secret(secret);
            crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a secret signs")
        };
        match self.signer {
            Signer::Issuer(place) => issuer(place).sign(message),
            Signer::Stranger => with_secret(b"a secret that nobody knows here.."),
            Signer::PublicKeyAsSecret => with_secret(RSA_PUBLIC.as_bytes()),
            Signer::Nobody => String::new(),
        }
    }

    /// Whether it is an issuer that has signed, by the algorithm and with the key that the header says, if it says one.
    fn is_signed(&self) -> bool {
        let Some(own) = self.own_issuer() else { return false };
        let is_meant = match self.id() {
            None => true,
            Some("unknown") => own.id.is_none(),
            id => own.id == id,
        };
        is_meant && self.algorithm() == own.name() && !self.is_critical
    }

    fn claims(&self) -> Value {
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                claims.insert(name.to_owned(), value);
            }
        };
        claim("exp", self.expires.map(Date::as_claim));
        claim("nbf", self.holds_from.map(Date::as_claim));
        claim("sub", self.subject.map(Value::from));
        claim("iss", self.issuer.map(|is_ours| Value::from(if is_ours { ISSUER } else { "somebody" })));
        claim("aud", self.audience.as_claim());
        let grants = |grants: &Vec<Grant<'_>>| grants.iter().map(Grant::text).collect::<Vec<_>>();
        let mut granted = Map::new();
        for (name, value) in [
            ("subscribe", self.subscribe.as_ref().map(|list| json!(grants(list)))),
            ("publish", self.publish.as_ref().map(|list| json!(grants(list)))),
            ("metrics", self.metrics.map(Value::from)),
        ] {
            if let Some(value) = value {
                granted.insert(name.to_owned(), value);
            }
        }
        claim("fanwire", (!granted.is_empty()).then(|| granted.into()));
        claims.into()
    }

    fn is_good_now(&self) -> bool {
        let leeway_s = LEEWAY_MS as f64 / 1000.0;
        let ends_later =
            self.expires.and_then(Date::in_seconds).is_some_and(|ends_s| ends_s + leeway_s > 0.0);
        let has_begun = match self.holds_from.map(Date::in_seconds) {
            None => true,
            Some(None) => false,
            Some(Some(begins_s)) => begins_s <= leeway_s,
        };
        ends_later && has_begun
    }

    /// Whether it says for whom and by whom it is, and everything that it grants can be granted.
    fn is_understood(&self) -> bool {
        let names_somebody = self.subject.is_some_and(|subject| {
            (1..=MAX_IDENTITY_BYTES).contains(&subject.len()) && !subject.contains(char::is_control)
        });
        let is_ours = self.issuer == Some(true) && matches!(self.audience, Audience::One | Audience::Several);
        let mut grants = self.subscribe.iter().chain(&self.publish).flatten();
        names_somebody && is_ours && grants.all(|grant| TopicOrPattern::parse(&grant.text()).is_ok())
    }
}

impl Date {
    fn as_claim(self) -> Value {
        match self {
            Self::Text => "tomorrow".into(),
            Self::Never => json!(1e300),
            Self::Past => json!(-1.5),
            Self::Seconds(seconds) => json!(NOW_S.saturating_add_signed(seconds.into())),
            Self::HalfSeconds(_) => json!(NOW_S as f64 + self.in_seconds().unwrap_or_default()),
        }
    }

    /// From now on, if it is a date.
    fn in_seconds(self) -> Option<f64> {
        match self {
            Self::Text => None,
            Self::Never => Some(f64::INFINITY),
            Self::Past => Some(f64::NEG_INFINITY),
            Self::Seconds(seconds) => Some(seconds.into()),
            Self::HalfSeconds(halves) => Some(f64::from(halves) / 2.0),
        }
    }
}

impl Audience {
    fn as_claim(self) -> Option<Value> {
        match self {
            Self::Absent => None,
            Self::One => Some(AUDIENCES[0].into()),
            Self::Several => Some(json!(["somewhere", AUDIENCES[1]])),
            Self::Other => Some("somewhere".into()),
        }
    }
}

impl Grant<'_> {
    fn text(&self) -> String {
        let text = match self {
            Self::Everything => ">",
            Self::Topic => "prices.EURUSD",
            Self::Pattern => "prices.*.>",
            Self::System => "$SYS.>",
            Self::Text(text) => text,
        };
        text.to_owned()
    }
}
