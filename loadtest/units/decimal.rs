//! Decimal numbers with a unit, exactly: no floating point is between what was written and what is meant.

use std::fmt;

/// A unit, and how many of the base unit it is.
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) factor: u64,
}

/// The units of one kind of value.
pub(super) struct Scale {
    /// From the largest to the smallest; of equal ones, the one that is printed comes first.
    pub(super) units: &'static [Unit],
    /// What zero is printed as, which every unit would do for.
    pub(super) zero: &'static str,
}

/// More digits than this after the point are no slip of the pen, but no value either.
const MAX_DECIMALS: usize = 18;

impl Scale {
    /// The amount in base units, if it is a whole number of them.
    pub(super) fn parse(&self, text: &str) -> Option<u64> {
        let is_unit = |c: char| !c.is_ascii_digit() && c != '.';
        let (number, name) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
        let factor: u128 = self.units.iter().find(|unit| unit.name == name)?.factor.into();
        let (whole, decimals) = match number.split_once('.') {
            Some((_, decimals)) if decimals.is_empty() || decimals.len() > MAX_DECIMALS => return None,
            Some((whole, decimals)) => (whole, decimals),
            None => (number, "0"),
        };
        // Only digits are left, except for a second point, and for what is too large: neither is a number here.
        let whole = u128::from(whole.parse::<u64>().ok()?) * factor;
        let part = u128::from(decimals.parse::<u64>().ok()?) * factor;
        let denominator = 10_u128.pow(decimals.len() as u32);
        if !part.is_multiple_of(denominator) {
            return None;
        }
        u64::try_from(whole + part / denominator).ok()
    }

    /// The shortest form in a unit that it is at least one of; if there are several, in the largest unit.
    pub(super) fn write(&self, amount: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if amount == 0 {
            return f.write_str(self.zero);
        }
        let fitting = self.units.iter().filter(|unit| unit.factor <= amount);
        let shortest = fitting.filter_map(|unit| written(amount, unit)).min_by_key(String::len);
        let smallest = || self.units.last().and_then(|unit| written(amount, unit));
        f.write_str(&shortest.or_else(smallest).expect("the smallest unit has few decimals"))
    }
}

fn written(amount: u64, unit: &Unit) -> Option<String> {
    let factor = u128::from(unit.factor);
    let mut text = (amount / unit.factor).to_string();
    let mut rest = u128::from(amount % unit.factor);
    let point = text.len();
    while rest != 0 {
        if text.len() == point {
            text.push('.');
        }
        if text.len() > point + MAX_DECIMALS {
            return None;
        }
        rest *= 10;
        text.push(char::from(b'0' + (rest / factor) as u8));
        rest %= factor;
    }
    text.push_str(unit.name);
    Some(text)
}
