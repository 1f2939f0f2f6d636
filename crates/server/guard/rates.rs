//! How fast the connections of one core may send.
//!
//! ```text
//!   read ──► spend ──► within the rate: read on
//!                 └──► over it: not read until the debt is paid ──► over it again … for `patience`: closed
//! ```
//!
//! Looked at once for each read. Without rates nothing is kept.

use super::bucket::{Bucket, Rate};
use crate::config::Limits;

/// The accounts of one core's connections, by slot.
#[derive(Debug)]
pub(crate) struct Rates {
    commands: Option<Rate>,
    bytes: Option<Rate>,
    patience_ms: u64,
    accounts: Vec<Account>,
}

/// What one connection has sent.
#[derive(Clone, Copy, Debug)]
struct Account {
    commands: Bucket,
    bytes: Bucket,
    /// Since when it has always had more to send than it may.
    over_since_ms: Option<u64>,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) commands: u64,
    pub(crate) bytes: u64,
}

/// A rate that connections have to keep to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Commands, messages and control frames, and HTTP requests.
    Commands,
    /// Bytes, as they come from the socket.
    Bytes,
}

impl Kind {
    /// Its key in the configuration.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Commands => "limits.commands_per_second",
            Self::Bytes => "limits.bytes_per_second",
        }
    }
}

/// How a connection stands after a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may be read on.
    Within,
    /// It is not to be read for a while.
    Over {
        /// When that ends, or our patience.
        look_again_ms: u64,
    },
    /// It has been over this rate for as long as is put up with.
    Hopeless(Kind),
}

/// A rate that nobody exceeds, for those that are not limited.
const NO_RATE: u64 = u64::MAX;

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            commands: limits.commands_per_second.map(Rate::per_second),
            bytes: limits.bytes_per_second.map(Rate::per_second),
            patience_ms: limits.patience_ms,
            accounts: Vec::new(),
        }
    }

    /// Opens the account of a new connection.
    pub(crate) fn open(&mut self, slot: u32, now_ms: u64) {
        if self.commands.is_none() && self.bytes.is_none() {
            return;
        }
        let [commands, bytes] = self.rates().map(|rate| Bucket::full(rate, now_ms));
        let account = Account { commands, bytes, over_since_ms: None };
        let slot = slot as usize;
        if self.accounts.len() <= slot {
            self.accounts.resize(slot + 1, account);
        }
        self.accounts[slot] = account;
    }

    /// Notes what a read brought, and whether that `was_all` that the client had sent.
    pub(crate) fn spend(&mut self, slot: u32, spent: Spent, was_all: bool, now_ms: u64) -> Standing {
        let [of_commands, of_bytes] = self.rates();
        let Some(account) = self.accounts.get_mut(slot as usize) else { return Standing::Within };
        let over_commands = account.commands.spend(of_commands, spent.commands, now_ms);
        let over_bytes = account.bytes.spend(of_bytes, spent.bytes, now_ms);
        if over_commands || over_bytes {
            account.over_since_ms.get_or_insert(now_ms);
        } else if was_all {
            // One that has more to send than it may is within the rate now and then, too: when it was read late.
            account.over_since_ms = None;
        }
        self.standing(slot, now_ms)
    }

    /// How the connection stands now.
    pub(crate) fn standing(&self, slot: u32, now_ms: u64) -> Standing {
        let Some(account) = self.accounts.get(slot as usize) else { return Standing::Within };
        let until_ms = self.solvent_at_ms(account);
        if until_ms <= now_ms {
            return Standing::Within;
        }
        let hopeless_at_ms = account.over_since_ms.unwrap_or(now_ms) + self.patience_ms;
        if hopeless_at_ms > now_ms {
            return Standing::Over { look_again_ms: until_ms.min(hopeless_at_ms) };
        }
        let [of_commands, _] = self.rates();
        let is_over_commands = account.commands.solvent_at_ms(of_commands) > now_ms;
        Standing::Hopeless(if is_over_commands { Kind::Commands } else { Kind::Bytes })
    }

    /// When a connection has paid back all that it owes.
    fn solvent_at_ms(&self, Account { commands, bytes, .. }: &Account) -> u64 {
        let [of_commands, of_bytes] = self.rates();
        commands.solvent_at_ms(of_commands).max(bytes.solvent_at_ms(of_bytes))
    }

    fn rates(&self) -> [Rate; 2] {
        [self.commands, self.bytes].map(|rate| rate.unwrap_or(Rate::per_second(NO_RATE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(commands: Option<u64>, bytes: Option<u64>) -> Rates {
        let limits = Limits {
            commands_per_second: commands,
            bytes_per_second: bytes,
            patience_ms: 5_000,
            ..Limits::default()
        };
        let mut rates = Rates::new(&limits);
        rates.open(3, 0);
        rates
    }

    const ALL: bool = true;
    const PART: bool = false;

    fn spent(commands: u64, bytes: u64) -> Spent {
        Spent { commands, bytes }
    }

    #[test]
    fn without_rates_nothing_is_too_much_and_nothing_is_kept() {
        let mut rates = rates(None, None);
        assert_eq!(rates.spend(3, spent(u64::MAX, u64::MAX), ALL, 0), Standing::Within);
        assert_eq!(rates.accounts.capacity(), 0);
    }

    #[test]
    fn a_connection_over_a_rate_is_not_read_until_it_has_paid() {
        for mut rates in [rates(Some(10), None), rates(None, Some(10)), rates(Some(10), Some(1_000_000))] {
            assert_eq!(rates.spend(3, spent(10, 10), ALL, 0), Standing::Within, "a second's worth at once");
            assert_eq!(rates.spend(3, spent(5, 5), ALL, 0), Standing::Over { look_again_ms: 500 });
            assert_eq!(rates.standing(3, 499), Standing::Over { look_again_ms: 500 });
            assert_eq!(rates.standing(3, 500), Standing::Within);
        }
    }

    #[test]
    fn who_stays_over_a_rate_is_hopeless_after_a_while_and_who_pauses_is_not() {
        let mut rates = rates(Some(10), None);
        for (now, look_again_ms) in [(0, 3_000), (2_999, 5_000), (4_999, 5_000)] {
            assert_eq!(rates.spend(3, spent(40, 0), ALL, now), Standing::Over { look_again_ms }, "at {now}");
        }
        assert_eq!(rates.standing(3, 5_000), Standing::Hopeless(Kind::Commands));
        assert_eq!(rates.spend(3, spent(0, 0), ALL, 60_000), Standing::Within);
        assert_eq!(rates.spend(3, spent(40, 0), ALL, 61_000), Standing::Over { look_again_ms: 64_000 });
    }

    #[test]
    fn who_always_has_more_to_send_is_hopeless_even_if_it_is_read_so_late_that_it_has_paid() {
        let mut rates = rates(Some(10), None);
        assert_ne!(rates.spend(3, spent(20, 0), PART, 0), Standing::Within);
        assert_eq!(rates.spend(3, spent(5, 0), PART, 4_000), Standing::Within, "it paid and more");
        assert_eq!(rates.spend(3, spent(20, 0), PART, 5_000), Standing::Hopeless(Kind::Commands));
        assert_eq!(rates.spend(3, spent(0, 0), ALL, 60_000), Standing::Within);
        assert_ne!(rates.spend(3, spent(20, 0), PART, 61_000), Standing::Hopeless(Kind::Commands));
    }

    #[test]
    fn one_read_that_takes_longer_to_pay_back_than_is_put_up_with_is_hopeless() {
        let mut rates = rates(None, Some(10));
        assert_eq!(rates.spend(3, spent(0, 1_000), ALL, 0), Standing::Over { look_again_ms: 5_000 });
        assert_eq!(rates.standing(3, 5_000), Standing::Hopeless(Kind::Bytes));
    }

    #[test]
    fn a_new_connection_in_the_slot_owes_nothing() {
        let mut rates = rates(None, Some(10));
        assert_ne!(rates.spend(3, spent(0, 1_000), ALL, 0), Standing::Within);
        rates.open(3, 1);
        assert_eq!(rates.standing(3, 1), Standing::Within);
        assert_eq!(rates.spend(3, spent(0, 10), ALL, 1), Standing::Within);
    }
}
