//! Until when it is known who clients are.

use std::collections::HashMap;

use crate::auth::Expiry;

/// The clients of one core whose tokens will expire, by slot. Others have none, and cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Sessions(HashMap<u32, Session>);

#[derive(Clone, Copy, Debug)]
struct Session {
    /// On the monotonic clock: a token that was good for an hour is so however the wall clock is set meanwhile.
    ends_at_ms: u64,
    /// The token has expired, the client was told, and may send another until then.
    in_grace: bool,
}

/// What the time has come for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// The token has expired.
    Expired,
    /// So has the time to send another.
    GraceOver,
}

impl Sessions {
    /// The client in the slot has a token until then, or none that expires.
    pub(crate) fn begin(&mut self, slot: u32, expiry: Option<Expiry>, (monotonic_ms, wall_ms): (u64, u64)) {
        match expiry {
            None => self.end(slot),
            Some(Expiry { at_ms, .. }) => {
                let ends_at_ms = monotonic_ms.saturating_add(at_ms.saturating_sub(wall_ms));
                self.0.insert(slot, Session { ends_at_ms, in_grace: false });
            }
        }
    }

    /// The client was told, and may send another token until then.
    pub(crate) fn begin_grace(&mut self, slot: u32, ends_at_ms: u64) {
        self.0.insert(slot, Session { ends_at_ms, in_grace: true });
    }

    /// The client has gone, or is anonymous.
    pub(crate) fn end(&mut self, slot: u32) {
        self.0.remove(&slot);
    }

    /// When something is due, on the monotonic clock.
    pub(crate) fn deadline_ms(&self, slot: u32) -> Option<u64> {
        self.0.get(&slot).map(|session| session.ends_at_ms)
    }

    /// What is due now.
    pub(crate) fn due(&self, slot: u32, monotonic_ms: u64) -> Option<Due> {
        let session = self.0.get(&slot).filter(|session| session.ends_at_ms <= monotonic_ms)?;
        Some(if session.in_grace { Due::GraceOver } else { Due::Expired })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(at_ms: u64) -> Expiry {
        Expiry { claimed_s: at_ms / 1000, at_ms }
    }

    #[test]
    fn a_token_is_good_for_as_long_as_it_was_whatever_the_clock_says_later() {
        let mut sessions = Sessions::default();
        sessions.begin(7, Some(until(1_000_500)), (50, 1_000_000));
        assert_eq!((sessions.due(7, 549), sessions.due(7, 550)), (None, Some(Due::Expired)));
        assert_eq!((sessions.deadline_ms(7), sessions.deadline_ms(8)), (Some(550), None));
    }

    #[test]
    fn who_was_told_has_its_grace_and_no_more() {
        let mut sessions = Sessions::default();
        sessions.begin(7, Some(until(1_000)), (0, 2_000));
        assert_eq!(sessions.due(7, 0), Some(Due::Expired));
        sessions.begin_grace(7, 100);
        assert_eq!((sessions.due(7, 99), sessions.due(7, 100)), (None, Some(Due::GraceOver)));
        sessions.begin(7, Some(until(3_000)), (60, 2_000));
        assert_eq!((sessions.due(7, 1_059), sessions.due(7, 1_060)), (None, Some(Due::Expired)));
    }

    #[test]
    fn who_has_no_token_has_nothing_that_expires() {
        let mut sessions = Sessions::default();
        sessions.begin(7, Some(until(1_000)), (0, 0));
        sessions.begin(7, None, (0, 0));
        assert_eq!(sessions.due(7, u64::MAX), None);
        sessions.begin(7, Some(until(u64::MAX)), (1, 0));
        assert_eq!(sessions.due(7, u64::MAX - 1), None);
    }
}
