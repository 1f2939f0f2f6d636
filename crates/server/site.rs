//! What all cores share, besides the mailboxes: none of it changes while the broker runs, but for its state and
//! what is read from files again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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
    /// A core has said that there are no file descriptors left, and none has found one since.
    out_of_files: AtomicBool,
    /// How many cores have sent their connections away.
    drained: AtomicUsize,
    wakers: Vec<Arc<Waker>>,
}

impl Control {
    /// The control of the cores that `wakers` wake.
    pub(crate) fn new(wakers: Vec<Arc<Waker>>) -> Self {
        Self {
            stopping: AtomicBool::new(false),
            out_of_files: AtomicBool::new(false),
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

    /// Notes that there are no file descriptors left. `true` for the first to say so.
    pub(crate) fn note_out_of_files(&self) -> bool {
        !self.out_of_files.swap(true, Ordering::Relaxed)
    }

    /// Notes that everyone who waited was accepted. `true` if that was not so before.
    pub(crate) fn note_all_accepted(&self) -> bool {
        self.out_of_files.load(Ordering::Relaxed) && self.out_of_files.swap(false, Ordering::Relaxed)
    }
}
