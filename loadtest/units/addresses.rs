//! Ranges of addresses.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::BadValue;

/// Addresses to connect from: `127.0.0.1-127.0.0.10`, `127.0.0.0/24`, or one address.
///
/// Of a network in IPv4, the addresses of the network itself and of its broadcast are left out: nobody can connect
/// from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceAddresses {
    first: IpAddr,
    last: IpAddr,
}

impl SourceAddresses {
    /// The addresses from `first` to `last`, if they are in order and of one family.
    pub fn new(first: IpAddr, last: IpAddr) -> Option<Self> {
        let is_range = first.is_ipv4() == last.is_ipv4() && first <= last;
        is_range.then_some(Self { first, last })
    }

    /// How many there are: at least one.
    pub fn count(&self) -> u128 {
        (number(self.last) - number(self.first)).saturating_add(1)
    }

    /// Each in turn, and from the first again, for ever.
    pub fn rotate(self) -> Addresses {
        Addresses { range: self, next: self.first }
    }

    fn of_network(address: IpAddr, prefix: u32) -> Option<Self> {
        let bits: u32 = if address.is_ipv4() { 32 } else { 128 };
        let host_bits = bits.checked_sub(prefix)?;
        let hosts = 1_u128.checked_shl(host_bits).unwrap_or(0).wrapping_sub(1);
        let network = number(address) & !hosts;
        let has_broadcast = address.is_ipv4() && host_bits > 1;
        let margin = u128::from(has_broadcast);
        Some(Self { first: like(address, network + margin), last: like(address, (network | hosts) - margin) })
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of that number in the family of another.
fn like(other: IpAddr, number: u128) -> IpAddr {
    match other {
        IpAddr::V4(_) => IpAddr::V4((number as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

/// See [`SourceAddresses::rotate`].
#[derive(Clone, Debug)]
pub struct Addresses {
    range: SourceAddresses,
    next: IpAddr,
}

impl Iterator for Addresses {
    type Item = IpAddr;

    fn next(&mut self) -> Option<IpAddr> {
        let address = self.next;
        let is_last = address == self.range.last;
        self.next = if is_last { self.range.first } else { like(address, number(address) + 1) };
        Some(address)
    }
}

impl FromStr for SourceAddresses {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let range = if let Some((first, last)) = text.split_once('-') {
            first.parse().ok().zip(last.parse().ok()).and_then(|(first, last)| Self::new(first, last))
        } else if let Some((address, prefix)) = text.split_once('/') {
            address
                .parse()
                .ok()
                .zip(prefix.parse().ok())
                .and_then(|(address, prefix)| Self::of_network(address, prefix))
        } else {
            text.parse().ok().and_then(|address| Self::new(address, address))
        };
        range.ok_or_else(|| {
            BadValue::new(text, "an address or a range of them, such as 127.0.0.1-127.0.0.10 or 127.0.0.0/24")
        })
    }
}

impl fmt::Display for SourceAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return self.first.fmt(f);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}
