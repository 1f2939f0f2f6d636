//! The time, as the shards are told it.

use std::time::{Duration, Instant, SystemTime};

use fanwire_broker::shard::Now;

/// A clock that starts with the broker and is the same on every core. Each turn of an event loop reads it once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
}

impl Clock {
    /// Starts at 0.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Now {
        // A wall clock set to before 1970 says 1970.
        let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or(Duration::ZERO);
        Now { monotonic_ms: self.started.elapsed().as_millis() as u64, wall_ms: wall.as_millis() as u64 }
    }
}
