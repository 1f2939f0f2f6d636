//! Values as an operator writes them, the same in flags and in the file.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use fanwire_broker::overflow::OverflowPolicy;
use fanwire_wire::limits::MIN_DEFLATE_PAYLOAD_BYTES;
use fanwire_wire::topic::TopicOrPattern;
use tracing_subscriber::filter::{LevelFilter, Targets};

use super::{LogFormat, MetricsAccess, ProxyProtocol};

/// A text that is not a value of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    given: String,
    expected: Cow<'static, str>,
}

impl BadValue {
    pub(crate) fn new(given: &str, expected: impl Into<Cow<'static, str>>) -> Self {
        Self { given: given.to_owned(), expected: expected.into() }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.given, self.expected)
    }
}

impl Error for BadValue {}

/// Has each variant of a type read from its word, and written as it.
macro_rules! words {
    ($type:ty, $expected:literal, $($word:literal => $variant:ident),+) => {
        impl FromStr for $type {
            type Err = BadValue;

            fn from_str(text: &str) -> Result<Self, BadValue> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(BadValue::new(text, $expected)),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $word,)+
                })
            }
        }
    };
}

words!(Contexts, "shared or own", "shared" => Shared, "own" => Own);
words!(ClientCertificates, "optional or required", "optional" => Optional, "required" => Required);
words!(LogFormat, "a log format: text or json", "text" => Text, "json" => Json);
words!(MetricsAccess, "token or open", "token" => Token, "open" => Open);
words!(
    ProxyProtocol,
    "how a proxy says who the client is: x-forwarded-for or proxy",
    "x-forwarded-for" => XForwardedFor,
    "proxy" => Proxy
);

/// A number of bytes: `1000`, `1000B`, `64KiB`, `1MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) usize);

const SIZE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl FromStr for Size {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let with_unit = if text.ends_with(|c: char| c.is_ascii_digit()) { &format!("{text}B") } else { text };
        quantity(with_unit, &SIZE_UNITS)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| BadValue::new(text, "a size such as 1000, 64KiB, 1MiB or 1GiB"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(self.0 as u64, &SIZE_UNITS, f)
    }
}

/// A length of time in milliseconds: `500ms`, `10s`, `10m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Period(pub(crate) u64);

const PERIOD_UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl FromStr for Period {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        quantity(text, &PERIOD_UNITS)
            .map(Self)
            .ok_or_else(|| BadValue::new(text, "a length of time such as 500ms, 10s, 10m, 12h or 7d"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quantity(self.0, &PERIOD_UNITS, f)
    }
}

/// A whole number followed by a unit, multiplied out; `None` if it is something else, or too large.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes an amount in the largest of the units (which descend to 1) that leaves a whole number.
fn write_quantity(amount: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let fits = |(_, factor): &&(&str, u64)| *factor == 1 || (amount != 0 && amount.is_multiple_of(*factor));
    let (name, factor) = units.iter().find(fits).expect("the last unit is 1");
    write!(f, "{}{name}", amount / factor)
}

/// How many of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Count(pub(super) usize);

impl FromStr for Count {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| BadValue::new(text, "a whole number"))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug)]
pub(super) struct Switch(pub(super) bool);

impl FromStr for Switch {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| BadValue::new(text, "true or false"))
    }
}

/// Whether clients may negotiate permessage-deflate, and from which size of payload on it is used, in bytes: `off`, `on`,
/// or the size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Off,
    Above(usize),
}

impl FromStr for Compression {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text {
            "off" | "false" => Ok(Self::Off),
            "on" | "true" => Ok(Self::Above(MIN_DEFLATE_PAYLOAD_BYTES)),
            size => size.parse().map(|Size(bytes)| Self::Above(bytes)).map_err(|_| {
                BadValue::new(text, "off, on, or the size of payload to begin at, such as 1KiB")
            }),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Above(MIN_DEFLATE_PAYLOAD_BYTES) => f.write_str("on"),
            Self::Above(bytes) => Size(*bytes).fmt(f),
        }
    }
}

/// What connections that negotiate permessage-deflate are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contexts {
    /// With what all of a core share: each message is compressed once, and on its own.
    Shared,
    /// Each with its own, which refers to what was sent before, as far as there is memory for it.
    Own,
}

/// An address to listen on: `127.0.0.1:8080`, or `tls://127.0.0.1:8443` where TLS is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

const TLS_SCHEME: &str = "tls://";

impl FromStr for Listen {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let (tls, address) = text.strip_prefix(TLS_SCHEME).map_or((false, text), |address| (true, address));
        address.parse().map(|address| Self { address, tls }).map_err(|_| {
            BadValue::new(text, "an address such as 127.0.0.1:8080, [::1]:8080 or tls://127.0.0.1:8443")
        })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { TLS_SCHEME } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

/// The path of a file, from the directory that the broker is started in.
#[derive(Clone, Debug)]
pub(super) struct FilePath(pub(super) PathBuf);

impl FromStr for FilePath {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() { Err(BadValue::new(text, "the path of a file")) } else { Ok(Self(text.into())) }
    }
}

/// Whether clients show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificates {
    /// They may.
    Optional,
    /// They must.
    Required,
}

/// Which log events are written.
#[derive(Clone, Debug)]
pub(super) struct Level(pub(super) Targets);

impl FromStr for Level {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || {
            BadValue::new(
                text,
                "a log level (off, error, warn, info, debug, trace), or a list such as warn,fanwire=debug",
            )
        };
        // `Targets` would take a misspelt level for a target, and no level for the lowest.
        let names_a_level = |part: &str| {
            let level = part.rsplit('=').next().unwrap_or_default();
            !level.is_empty() && level.parse::<LevelFilter>().is_ok()
        };
        if !text.split(',').all(names_a_level) {
            return Err(bad());
        }
        text.parse().map(Self).map_err(|_| bad())
    }
}

/// What it costs a subscriber that it does not keep up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overflow(pub(super) OverflowPolicy);

impl FromStr for Overflow {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let policy = OverflowPolicy::parse(text).map(Self);
        policy.ok_or_else(|| BadValue::new(text, "an overflow policy: gap, conflate or disconnect"))
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// What a rule is for.
#[derive(Clone, Debug)]
pub(super) struct Match(pub(super) TopicOrPattern);

impl FromStr for Match {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = |error| BadValue::new(text, format!("a topic or pattern: {error}"));
        TopicOrPattern::parse(text).map(Self).map_err(bad)
    }
}

/// A text that means something to somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) String);

impl FromStr for Name {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text.is_empty() {
            return Err(BadValue::new(text, "a text with something in it"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a cookie (RFC 6265 §4.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookie(pub(super) String);

impl FromStr for Cookie {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let is_name_byte = |byte: u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte);
        if text.is_empty() || !text.bytes().all(is_name_byte) {
            return Err(BadValue::new(text, "the name of a cookie"));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A secret as it was written. It shows nowhere.
pub(super) struct WrittenSecret(pub(super) String);

impl FromStr for WrittenSecret {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for WrittenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenSecret(not shown)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_whole_numbers_of_binary_units() {
        for (text, bytes) in
            [("0", 0), ("1000", 1000), ("7B", 7), ("64KiB", 65_536), ("1MiB", 1 << 20), ("2GiB", 2 << 30)]
        {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in [
            "",
            "MiB",
            "1MB",
            "1mib",
            "1.5MiB",
            "-1",
            " 1KiB",
            "1 KiB",
            "99999999999999999999",
            "17179869184GiB",
        ] {
            let error = text.parse::<Size>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{text:?} is not a size such as")), "{error}");
        }
    }

    #[test]
    fn periods_have_a_unit() {
        for (text, ms) in
            [("500ms", 500), ("10s", 10_000), ("10m", 600_000), ("12h", 43_200_000), ("7d", 604_800_000)]
        {
            assert_eq!(text.parse(), Ok(Period(ms)), "{text}");
        }
        for text in ["", "10", "s", "1.5s", "10 s", "10sec", "-1s", "99999999999999999d"] {
            assert!(text.parse::<Period>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_misspelt_log_level_is_not_taken_for_a_target() {
        for text in ["info", "off", "warn,fanwire=debug", "fanwire::event_loop=trace"] {
            assert!(text.parse::<Level>().is_ok(), "{text}");
        }
        for text in ["", "inof", "warn,fanwire", "fanwire=", "info,,warn"] {
            assert!(text.parse::<Level>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn sizes_and_periods_are_read_as_they_are_written(amount: u64, shift in 0..64_u32) {
            let amount = amount >> shift;
            prop_assert_eq!(Size(amount as usize).to_string().parse(), Ok(Size(amount as usize)));
            prop_assert_eq!(Period(amount).to_string().parse(), Ok(Period(amount)));
        }
    }
}
