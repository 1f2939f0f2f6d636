//! What all cores share, besides the mailboxes: none of it changes while the broker runs, but for its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

use crate::auth::Auth;
use crate::config::Timeouts;
use crate::metrics::Metrics;
use crate::origin::Origins;

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
    /// Whether the demo pages and endpoints are there.
    pub(crate) demo: bool,
    /// Who clients are.
    pub(crate) auth: Auth,
    /// Of which pages requests are taken besides the broker's own.
    pub(crate) origins: Origins,
    /// How long what is waited for.
    pub(crate) timeouts: Timeouts,
    /// The counters of all cores.
    pub(crate) metrics: Metrics,
    /// Stops it.
    pub(crate) control: Control,
}

/// What the cores of a broker tell one another besides messages, and how they are stopped.
pub(crate) struct Control {
    stopping: AtomicBool,
    /// A core has said that there are no file descriptors left, and none has found one since.
    out_of_files: AtomicBool,
    wakers: Vec<Arc<Waker>>,
}

impl Control {
    /// The control of the cores that `wakers` wake.
    pub(crate) fn new(wakers: Vec<Arc<Waker>>) -> Self {
        Self { stopping: AtomicBool::new(false), out_of_files: AtomicBool::new(false), wakers }
    }

    /// Whether the cores are to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has every core stop.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for waker in &self.wakers {
            // It fails only when the core's poll has gone, and then there is nothing to stop.
            let _ = waker.wake();
        }
    }

    /// Notes that there are no file descriptors left. `true` for the first to say so.
    pub(crate) fn note_out_of_files(&self) -> bool {
        !self.out_of_files.swap(true, Ordering::Relaxed)
    }

    /// Notes that everyone who waited was accepted. `true` if that was not so before.
    pub(crate) fn note_all_accepted(&self) -> bool {
        self.out_of_files.load(Ordering::Relaxed) && self.out_of_files.swap(false, Ordering::Relaxed)
    }
}
