//! What each client address has of the broker, shared by all cores.
//!
//! Touched when a connection comes and when it goes, and at no other time: so a lock for each of a few parts is
//! enough, and no core ever waits for one while it serves.

use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ahash::{HashMap, RandomState};

use super::Refusal;
use super::bucket::{Bucket, Rate};

/// A client, as far as its address tells: an IPv4 address, or the /64 of an IPv6 one, since a host has as many of
/// these as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client(u64);

impl Client {
    /// The client with this address.
    pub(crate) fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(u64::from(address.to_bits()).max(MIN_CLIENT)),
            // Below that nothing is routed but the host's own ::1: 0::/8 is reserved (RFC 4291 §2.4).
            IpAddr::V6(address) => Self(((address.to_bits() >> 64) as u64).max(1 << 32)),
        }
    }

    /// A number that says the same.
    pub(super) const fn to_bits(self) -> u64 {
        self.0
    }

    /// See [`Self::to_bits`].
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

/// Nobody comes from 0.0.0.0/8 (RFC 1122 §3.2.1.3), so that these numbers are free to say something else.
const MIN_CLIENT: u64 = 256;

/// Parts of the table, each with a lock of its own.
const PARTS: usize = 16;

/// The addresses that have something, or had within the last second.
#[derive(Debug)]
pub(super) struct Addresses {
    parts: [Mutex<Part>; PARTS],
    hasher: RandomState,
    most_connections: usize,
    handshakes: Rate,
}

/// A part of the table.
#[derive(Debug, Default)]
struct Part {
    accounts: HashMap<Client, Account>,
    /// When so many are there, those are looked for that have nothing left.
    sweep_at: usize,
}

/// What one address has.
#[derive(Debug)]
struct Account {
    connections: usize,
    handshakes: Bucket,
}

/// Below this a part is not worth sweeping.
const MIN_SWEEP: usize = 64;

impl Addresses {
    pub(super) fn new(most_connections: usize, handshakes: Rate) -> Self {
        let parts = std::array::from_fn(|_| Mutex::default());
        Self { parts, hasher: RandomState::new(), most_connections, handshakes }
    }

    /// Counts a new connection of the client, unless it has too many, or too many too fast.
    pub(super) fn admit(&self, client: Client, now_ms: u64) -> Result<(), Refusal> {
        let rate = self.handshakes;
        let mut part = self.part_of(client);
        part.sweep_if_due(rate, now_ms);
        let new = || Account { connections: 0, handshakes: Bucket::full(rate, now_ms) };
        let account = part.accounts.entry(client).or_insert_with(new);
        // Who has too many pays for trying, too.
        if !account.handshakes.take(rate, now_ms) {
            return Err(Refusal::TooFast);
        }
        if account.connections >= self.most_connections {
            return Err(Refusal::TooManyOfAddress);
        }
        account.connections += 1;
        Ok(())
    }

    /// A connection of the client has gone. What it spent is remembered until the next sweep.
    pub(super) fn release(&self, client: Client) {
        if let Some(account) = self.part_of(client).accounts.get_mut(&client) {
            account.connections -= 1;
        }
    }

    fn part_of(&self, client: Client) -> MutexGuard<'_, Part> {
        let index = self.hasher.hash_one(client) as usize % PARTS;
        // Nothing in here can panic half-way.
        self.parts[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.parts.iter().map(|part| part.lock().unwrap().accounts.len()).sum()
    }
}

impl Part {
    /// Forgets who has nothing and owes nothing, each time that the part has doubled: so it is no larger than twice those
    /// who have something, and nobody pays for more than a few steps of it.
    fn sweep_if_due(&mut self, rate: Rate, now_ms: u64) {
        if self.accounts.len() < self.sweep_at.max(MIN_SWEEP) {
            return;
        }
        self.accounts
            .retain(|_, account| account.connections > 0 || !account.handshakes.is_full(rate, now_ms));
        self.sweep_at = 2 * self.accounts.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::at(address.parse().unwrap())
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_a_mapped_one_its_ipv4_address() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:2"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
        assert_ne!(client("::1"), client("127.0.0.1"));
        assert!([client("::1"), client("0.0.0.0")].iter().all(|client| client.to_bits() >= MIN_CLIENT));
    }

    #[test]
    fn each_address_has_its_own_connections_and_gets_back_what_it_gives_back() {
        let addresses = Addresses::new(2, Rate::per_second(100));
        let (one, other) = (client("192.0.2.1"), client("192.0.2.2"));
        assert_eq!(
            [one; 3].map(|client| addresses.admit(client, 0)),
            [Ok(()), Ok(()), Err(Refusal::TooManyOfAddress)]
        );
        assert_eq!(addresses.admit(other, 0), Ok(()));
        addresses.release(one);
        assert_eq!(addresses.admit(one, 0), Ok(()));
    }

    #[test]
    fn who_comes_too_fast_is_refused_until_time_has_passed_even_if_nothing_stays_open() {
        let addresses = Addresses::new(9, Rate::per_second(2));
        let one = client("192.0.2.1");
        for _ in 0..2 {
            assert_eq!(addresses.admit(one, 0), Ok(()));
            addresses.release(one);
        }
        assert_eq!(addresses.admit(one, 499), Err(Refusal::TooFast));
        assert_eq!(addresses.admit(one, 500), Ok(()));
    }

    #[test]
    fn addresses_that_have_nothing_left_are_forgotten_and_others_are_not() {
        let addresses = Addresses::new(1, Rate::per_second(10));
        let stays = client("198.51.100.1");
        addresses.admit(stays, 0).unwrap();
        for n in 0..100_000_u64 {
            let passes = Client(n << 32);
            addresses.admit(passes, n).unwrap();
            addresses.release(passes);
        }
        assert!(addresses.len() < PARTS * MIN_SWEEP * 2, "{} are kept", addresses.len());
        assert_eq!(addresses.admit(stays, 100_000), Err(Refusal::TooManyOfAddress));
    }
}
