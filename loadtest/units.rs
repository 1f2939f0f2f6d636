//! Values as people write them, on the command line and in reports. Each is printed in the shortest form that is read
//! back as the very same value.

mod addresses;
mod decimal;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

pub use addresses::{Addresses, SourceAddresses};
use decimal::{Scale, Unit};

/// A text that is not a value of its kind. Whoever wrote it is to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadValue {
    given: String,
    expected: &'static str,
}

impl BadValue {
    /// `given` is not `expected`, which names the kind with its article, and examples.
    pub fn new(given: &str, expected: &'static str) -> Self {
        Self { given: given.to_owned(), expected }
    }
}

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.given, self.expected)
    }
}

impl Error for BadValue {}

/// How many of something: `20`, `1k` (1,000), `2.5k`, `1M`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

const COUNTS: Scale = Scale {
    units: &[
        Unit { name: "M", factor: 1_000_000 },
        Unit { name: "k", factor: 1_000 },
        Unit { name: "", factor: 1 },
    ],
    zero: "0",
};

impl FromStr for Count {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        COUNTS
            .parse(text)
            .map(Self)
            .ok_or_else(|| BadValue::new(text, "a whole number such as 20, 1k or 2.5k"))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        COUNTS.write(self.0, f)
    }
}

/// How many of something a second: `0.5`, `100`, `1k` (1,000), `2.5k`, `1M`. Exact to a thousandth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    thousandths: u64,
}

const RATES: Scale = Scale {
    units: &[
        Unit { name: "M", factor: 1_000_000_000 },
        Unit { name: "k", factor: 1_000_000 },
        Unit { name: "", factor: 1_000 },
    ],
    zero: "0",
};

impl Rate {
    /// So many in a thousand seconds, which is what a rate is exact to.
    pub const fn from_thousandths(thousandths: u64) -> Self {
        Self { thousandths }
    }

    /// A second.
    #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 messages a second")]
    pub fn per_second(self) -> f64 {
        self.thousandths as f64 / 1_000.0
    }

    /// How many come in `period`, rounded up.
    pub fn within(self, period: Period) -> u64 {
        const NS_TIMES_THOUSAND: u128 = 1_000_000_000_000;
        let product = u128::from(self.thousandths) * u128::from(period.ns());
        u64::try_from(product.div_ceil(NS_TIMES_THOUSAND)).unwrap_or(u64::MAX)
    }
}

impl FromStr for Rate {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::new(text, "a rate in messages a second such as 0.5, 100, 1k or 2.5k");
        RATES.parse(text).map(Self::from_thousandths).ok_or_else(bad)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        RATES.write(self.thousandths, f)
    }
}

/// A length of time: `500us`, `100ms`, `1.5s`, `2m`, `1h`. It needs a unit: a bare number is a mistake waiting to be
/// found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period {
    ns: u64,
}

const PERIODS: Scale = Scale {
    units: &[
        Unit { name: "h", factor: 3_600_000_000_000 },
        Unit { name: "m", factor: 60_000_000_000 },
        Unit { name: "s", factor: 1_000_000_000 },
        Unit { name: "ms", factor: 1_000_000 },
        Unit { name: "us", factor: 1_000 },
        Unit { name: "ns", factor: 1 },
    ],
    zero: "0s",
};

impl Period {
    /// So many nanoseconds.
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// So many milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self { ns: ms * 1_000_000 }
    }

    /// So many seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self { ns: secs * 1_000_000_000 }
    }

    /// In nanoseconds.
    pub const fn ns(self) -> u64 {
        self.ns
    }
}

impl FromStr for Period {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad =
            || BadValue::new(text, "a length of time with its unit, such as 500us, 100ms, 1.5s, 2m or 1h");
        PERIODS.parse(text).map(Self::from_ns).ok_or_else(bad)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PERIODS.write(self.ns, f)
    }
}

/// A number of octets: `20`, `128B`, `1kB` (1,000), `1KiB` (1,024), `1MB`, `1MiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

const SIZES: Scale = Scale {
    units: &[
        Unit { name: "GiB", factor: 1 << 30 },
        Unit { name: "GB", factor: 1_000_000_000 },
        Unit { name: "MiB", factor: 1 << 20 },
        Unit { name: "MB", factor: 1_000_000 },
        Unit { name: "KiB", factor: 1 << 10 },
        Unit { name: "kB", factor: 1_000 },
        Unit { name: "", factor: 1 },
        Unit { name: "B", factor: 1 },
    ],
    zero: "0",
};

impl FromStr for Size {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::new(text, "a size in octets such as 20, 128B, 1kB (1000) or 1KiB (1024)");
        SIZES.parse(text).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SIZES.write(self.0, f)
    }
}

/// The largest segment that TCP is to send and to ask for, in octets; 1,460 is what Ethernet and IPv4 leave. Options
/// of a segment are taken from it: with time stamps, 12 octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mss(u32);

impl Mss {
    /// The smallest and the largest that Linux takes for `TCP_MAXSEG`: `TCP_MIN_MSS` and `MAX_TCP_WINDOW`.
    const RANGE: std::ops::RangeInclusive<u32> = 88..=32_767;

    /// So many octets, if the kernel takes them.
    pub fn new(octets: u32) -> Option<Self> {
        Self::RANGE.contains(&octets).then_some(Self(octets))
    }

    /// In octets.
    pub const fn octets(self) -> u32 {
        self.0
    }
}

impl FromStr for Mss {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = || BadValue::new(text, "a segment size from 88 to 32767 octets such as 1460");
        let Size(octets) = text.parse().map_err(|_| bad())?;
        u32::try_from(octets).ok().and_then(Self::new).ok_or_else(bad)
    }
}

impl fmt::Display for Mss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests;
