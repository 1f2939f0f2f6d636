//! Waiting for another thread without a lost wake.

use std::fmt;

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering, fence};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Tells those who change something which of up to 64 waiters are to be woken for it.
///
/// What changes is outside: a lane that a batch came into, or that has room again. It is read and written
/// atomically by both sides, with any ordering. The promise: a waiter whom [`wait`](Self::wait) lets wait is
/// named by the [`ring`](Self::ring) of the next change, and by no other ring until it waits again.
///
/// ```text
///        waiter                       changer
///   1    waiting |= me                change
///   2    ── fence ──                  ── fence ──
///   3    look for the change          waiting.swap(none): wake those
/// ```
///
/// Of two sequentially consistent fences one comes first. If it is the waiter's, the changer reads that the
/// waiter waits; if it is the changer's, the waiter sees the change. The fences alone do this, so the rest
/// is relaxed: `tests/loom.rs` fails if either fence or the look is left out.
pub struct Doorbell {
    /// Bit `n` is set while waiter `n` waits.
    waiting: AtomicU64,
}

impl Doorbell {
    /// A doorbell at which nobody waits.
    #[must_use]
    pub fn new() -> Self {
        Self { waiting: AtomicU64::new(0) }
    }

    /// Has `waiter` (below 64) wait, unless the change has come already, and tells which: after `true` the next
    /// change rings for it.
    ///
    /// `look` tells whether the change has come, and may take what it finds. It is called after the waiter
    /// has been noted, because a change between an earlier look and the note would ring for nobody.
    pub fn wait(&self, waiter: usize, look: impl FnOnce() -> bool) -> bool {
        self.waiting.fetch_or(1 << waiter, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let came = look();
        if came {
            self.leave(waiter);
        }
        !came
    }

    /// Ends the wait of `waiter`, whatever ended it, so that nobody pays for waking it.
    pub fn leave(&self, waiter: usize) {
        self.waiting.fetch_and(!(1 << waiter), Ordering::Relaxed);
    }

    /// After a change: those who wait for it, and now wait no more.
    #[must_use = "a waiter that is not woken waits for ever"]
    pub fn ring(&self) -> Waiters {
        fence(Ordering::SeqCst);
        // Nearly always nobody waits, and a read leaves the cache line where it is.
        if self.waiting.load(Ordering::Relaxed) == 0 {
            return Waiters(0);
        }
        Waiters(self.waiting.swap(0, Ordering::Relaxed))
    }
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Doorbell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Doorbell({:#x})", self.waiting.load(Ordering::Relaxed))
    }
}

/// The waiters that a ring is for, in ascending order; each is to be woken once.
#[derive(Clone, Debug)]
pub struct Waiters(u64);

impl Iterator for Waiters {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let waiter = self.0.trailing_zeros();
        self.0 &= self.0.checked_sub(1)?;
        Some(waiter as usize)
    }
}
