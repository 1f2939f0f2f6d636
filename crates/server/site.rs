//! What all cores share, besides the mailboxes: none of it changes while the broker runs, but for its state and
//! what is read from files again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use mio::Waker;

use crate::auth::Auth;
use crate::config::{Contexts, Limits, Listen, Timeouts};
use crate::guard::Guard;
use crate::metrics::Metrics;
use crate::origin::Origins;
use crate::tls::Tls;

/// What every event loop of a broker knows.
pub(crate) struct Site {
    /// How many cores there are.
    pub(crate) cores: usize,
    /// The epoch of this run.
    pub(crate) epoch: Arc<str>,
    /// The bound on one message, in bytes.
    pub(crate) max_message_bytes: usize,
    /// The bound on the subscriptions of one connection.
    pub(crate) max_subscriptions: usize,
    /// Whether clients may negotiate permessage-deflate.
    pub(crate) compression: bool,
    /// Whether connections that negotiate it may have contexts of their own.
    pub(crate) contexts: Contexts,
    /// Where the broker listens, with the ports that were chosen for port 0.
    pub(crate) listening: Vec<Listen>,
    /// How TLS is spoken, where it is.
    pub(crate) tls: Option<Tls>,
    /// Whether the demo pages and endpoints are there.
    pub(crate) demo: bool,
    /// Who clients are.
    pub(crate) auth: Auth,
    /// Of which pages requests are taken besides the broker's own.
    pub(crate) origins: Origins,
    /// Whether requests have to name a host that nobody else can have given this machine: where nobody is asked who it is,
    /// and it is only this machine that may reach the broker.
    pub(crate) checks_hosts: bool,
    /// How long what is waited for.
    pub(crate) timeouts: Timeouts,
    /// How much clients may have.
    pub(crate) limits: Limits,
    /// Who is let in.
    pub(crate) guard: Guard,
    /// The counters of all cores.
    pub(crate) metrics: Metrics,
    /// Stops it.
    pub(crate) control: Control,
}

/// What the cores of a broker tell one another besides messages, and how they are stopped.
pub(crate) struct Control {
    stopping: AtomicBool,
    /// The cores, a bit each, that have found no file descriptor left, and have not accepted everyone since.
    out_of_files: AtomicU64,
    /// How many cores have sent their connections away.
    drained: AtomicUsize,
    wakers: Vec<Arc<Waker>>,
}

impl Control {
    /// The control of the cores that `wakers` wake.
    pub(crate) fn new(wakers: Vec<Arc<Waker>>) -> Self {
        Self {
            stopping: AtomicBool::new(false),
            out_of_files: AtomicU64::new(0),
            drained: AtomicUsize::new(0),
            wakers,
        }
    }

    /// Whether the cores are to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has every core stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake_all();
    }

    /// Notes that a core has sent its connections away. When all have, they are woken to go on.
    pub(crate) fn note_drained(&self) {
        self.drained.fetch_add(1, Ordering::AcqRel);
        if self.are_all_drained() {
            self.wake_all();
        }
    }

    /// Whether every core has sent its connections away.
    pub(crate) fn are_all_drained(&self) -> bool {
        self.drained.load(Ordering::Acquire) == self.wakers.len()
    }

    /// Ends the sleep of every core.
    pub(crate) fn wake_all(&self) {
        for waker in &self.wakers {
            // It fails only when the core's poll has gone, and then there is nothing to stop.
            let _ = waker.wake();
        }
    }

    /// Notes that a core has no file descriptor for who waits. `true` if no other core had none.
    pub(crate) fn note_out_of_files(&self, core: usize) -> bool {
        self.out_of_files.fetch_or(1 << core, Ordering::Relaxed) == 0
    }

    /// Notes that everyone who waited at a core was accepted. `true` if it was the last where somebody did.
    pub(crate) fn note_all_accepted(&self, core: usize) -> bool {
        let own = 1 << core;
        // Hardly ever set: who accepts is not to pay for what all cores share.
        self.out_of_files.load(Ordering::Relaxed) & own != 0
            && self.out_of_files.fetch_and(!own, Ordering::Relaxed) == own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_files_begins_with_the_first_core_and_ends_with_the_last() {
        let control = Control::new(Vec::new());
        assert!(
            control.note_out_of_files(0) && !control.note_out_of_files(63) && !control.note_out_of_files(0)
        );
        assert!(!control.note_all_accepted(1), "nobody waited there");
        assert!(!control.note_all_accepted(0), "somebody waits elsewhere");
        assert!(!control.note_out_of_files(0), "that is no news");
        assert!(!control.note_all_accepted(0) && control.note_all_accepted(63));
        assert!(!control.note_all_accepted(63) && control.note_out_of_files(1));
    }
}
