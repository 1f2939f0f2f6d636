//! How fast a subscriber reads.

use std::time::{Duration, Instant};

/// What was allowed and not taken is kept for as long, or until it is a byte.
const MOST_KEPT: Duration = Duration::from_millis(100);

const BILLION: u64 = 1_000_000_000;

/// What a subscriber takes from its socket.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// All there is.
    Free,
    /// So many bytes in a second, evenly.
    BytesPerSecond(u64),
    /// Nothing.
    Stopped,
}

/// What a pace allows, by the clock.
pub(crate) struct TokenBucket {
    pace: Pace,
    /// Billionths of a byte.
    tokens: u64,
    filled_at: Instant,
}

impl TokenBucket {
    pub(crate) fn new(pace: Pace) -> Self {
        Self { pace, tokens: 0, filled_at: Instant::now() }
    }

    pub(crate) fn change(&mut self, pace: Pace) {
        *self = Self::new(pace);
    }

    /// How many bytes may be read at `now`.
    pub(crate) fn allows(&mut self, now: Instant) -> usize {
        match self.pace {
            Pace::Free => usize::MAX,
            Pace::Stopped => 0,
            Pace::BytesPerSecond(rate) => {
                let elapsed = now.saturating_duration_since(self.filled_at).min(MOST_KEPT);
                let most = (rate * MOST_KEPT.as_nanos() as u64).max(BILLION);
                self.tokens = (self.tokens + rate * elapsed.as_nanos() as u64).min(most);
                self.filled_at = now;
                (self.tokens / BILLION) as usize
            }
        }
    }

    pub(crate) fn take(&mut self, bytes: usize) {
        if let Pace::BytesPerSecond(_) = self.pace {
            self.tokens -= bytes as u64 * BILLION;
        }
    }
}
