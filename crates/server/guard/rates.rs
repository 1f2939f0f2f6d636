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
    /// Until when it owes, or has owed last.
    owed_until_ms: u64,
    /// Since when it has owed, but for short pauses.
    over_since_ms: u64,
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

/// Who has owed nothing for so long, in milliseconds, begins anew. One that always has more to send than it may owes nothing for
/// moments only: a timer brings it back a little late.
const CALM_MS: u64 = 1_000;

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
        let account = Account { commands, bytes, owed_until_ms: now_ms, over_since_ms: now_ms };
        let slot = slot as usize;
        if self.accounts.len() <= slot {
            self.accounts.resize(slot + 1, account);
        }
        self.accounts[slot] = account;
    }

    /// Notes what a read brought.
    pub(crate) fn spend(&mut self, slot: u32, spent: Spent, now_ms: u64) -> Standing {
        let [of_commands, of_bytes] = self.rates();
        let Some(account) = self.accounts.get_mut(slot as usize) else { return Standing::Within };
        let over_commands = account.commands.spend(of_commands, spent.commands, now_ms);
        let over_bytes = account.bytes.spend(of_bytes, spent.bytes, now_ms);
        if over_commands || over_bytes {
            if now_ms > account.owed_until_ms + CALM_MS {
                account.over_since_ms = now_ms;
            }
            let until_ms = account.commands.solvent_at_ms(of_commands);
            account.owed_until_ms = until_ms.max(account.bytes.solvent_at_ms(of_bytes));
        }
        self.standing(slot, now_ms)
    }

    /// How the connection stands now.
    pub(crate) fn standing(&self, slot: u32, now_ms: u64) -> Standing {
        let Some(account) = self.accounts.get(slot as usize) else { return Standing::Within };
        if account.owed_until_ms <= now_ms {
            return Standing::Within;
        }
        let hopeless_at_ms = account.over_since_ms + self.patience_ms;
        if hopeless_at_ms > now_ms {
            return Standing::Over { look_again_ms: account.owed_until_ms.min(hopeless_at_ms) };
        }
        let [of_commands, _] = self.rates();
        let is_over_commands = account.commands.solvent_at_ms(of_commands) > now_ms;
        Standing::Hopeless(if is_over_commands { Kind::Commands } else { Kind::Bytes })
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

    fn spent(commands: u64, bytes: u64) -> Spent {
        Spent { commands, bytes }
    }

    #[test]
    fn without_rates_nothing_is_too_much_and_nothing_is_kept() {
        let mut rates = rates(None, None);
        assert_eq!(rates.spend(3, spent(u64::MAX, u64::MAX), 0), Standing::Within);
        assert_eq!(rates.accounts.capacity(), 0);
    }

    #[test]
    fn a_connection_over_a_rate_is_not_read_until_it_has_paid() {
        for mut rates in [rates(Some(10), None), rates(None, Some(10)), rates(Some(10), Some(1_000_000))] {
            assert_eq!(rates.spend(3, spent(10, 10), 0), Standing::Within, "a second's worth at once");
            assert_eq!(rates.spend(3, spent(5, 5), 0), Standing::Over { look_again_ms: 500 });
            assert_eq!(rates.standing(3, 499), Standing::Over { look_again_ms: 500 });
            assert_eq!(rates.standing(3, 500), Standing::Within);
        }
    }

    #[test]
    fn who_stays_over_a_rate_is_hopeless_after_a_while_and_who_pauses_is_not() {
        let mut rates = rates(Some(10), None);
        for (now, look_again_ms) in [(0, 3_000), (2_999, 5_000), (4_999, 5_000)] {
            assert_eq!(rates.spend(3, spent(40, 0), now), Standing::Over { look_again_ms }, "at {now}");
        }
        assert_eq!(rates.standing(3, 5_000), Standing::Hopeless(Kind::Commands));
        assert_eq!(rates.spend(3, spent(0, 0), 60_000), Standing::Within);
        assert_eq!(rates.spend(3, spent(40, 0), 61_000), Standing::Over { look_again_ms: 64_000 });
    }

    #[test]
    fn who_owes_again_and_again_is_hopeless_however_late_it_is_read_and_who_is_calm_in_between_is_not() {
        for (pause, is_hopeless) in [(CALM_MS, true), (CALM_MS + 1, false)] {
            let mut rates = rates(Some(10), None);
            let mut now = 0;
            let mut standing = rates.spend(3, spent(20, 0), now);
            while now < 20_000
                && let Standing::Over { look_again_ms } = standing
            {
                now = look_again_ms + pause;
                standing = rates.spend(3, spent(20, 0), now);
            }
            assert_eq!(standing == Standing::Hopeless(Kind::Commands), is_hopeless, "a pause of {pause} ms");
        }
    }

    #[test]
    fn one_read_that_takes_longer_to_pay_back_than_is_put_up_with_is_hopeless() {
        let mut rates = rates(None, Some(10));
        assert_eq!(rates.spend(3, spent(0, 1_000), 0), Standing::Over { look_again_ms: 5_000 });
        assert_eq!(rates.standing(3, 5_000), Standing::Hopeless(Kind::Bytes));
    }

    #[test]
    fn a_new_connection_in_the_slot_owes_nothing() {
        let mut rates = rates(None, Some(10));
        assert_ne!(rates.spend(3, spent(0, 1_000), 0), Standing::Within);
        rates.open(3, 1);
        assert_eq!(rates.standing(3, 1), Standing::Within);
        assert_eq!(rates.spend(3, spent(0, 10), 1), Standing::Within);
    }
}
