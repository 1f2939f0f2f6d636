//! Opening connections, of whichever role: as fast as they can be opened, or at times that do not depend on how that goes.

use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::{MAX_OPENING, PATIENCE, RunError};
use crate::clock::now_ns;
use crate::latencies::histogram;
use crate::link::Broken;
use crate::socket::Connector;

/// How long a role listens to its connections at a time while nothing else is due.
const LISTENING_NS: u64 = 100_000_000;

/// How connections are opened.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// How many may be on their way at once.
    pub at_once: usize,
    /// How many are due in a second; none: each as soon as there is room for it.
    pub per_second: Option<f64>,
    /// How long those that are on their way are waited for while none of them gets anywhere.
    pub patience: Duration,
}

/// How connections were opened.
#[derive(Clone, Debug)]
pub struct Opened {
    /// From when a connection was due to when it was ready, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// From when a connection was due to when it was begun, in nanoseconds: how late the generator itself was.
    pub lags: Histogram<u64>,
    /// Connections that were refused, broke, or did not come about in time.
    pub failed: u64,
    /// From when the first was due to when the last stood, in nanoseconds.
    pub took_ns: u64,
}

/// What became of a connection that was on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It stands.
    Ready,
    /// It was refused, or broke.
    Failed,
}

/// One side of the conversations: all subscribers of a thread, or all publishers.
pub(crate) trait Role {
    /// Begins the next connection.
    fn begin(&mut self, connector: &mut Connector) -> Result<(), RunError>;

    /// Serves the connections that something happens to, until then at the latest, and says what becomes of those that
    /// were on their way, by their numbers from 0.
    fn listen(&mut self, until_ns: u64, on_settled: &mut dyn FnMut(usize, Settled)) -> io::Result<()>;

    /// Why the first of the connections that broke did so.
    fn take_first_broken(&mut self) -> Option<Broken>;
}

impl Default for Opening {
    /// All as soon as the queue of a listening socket takes them.
    fn default() -> Self {
        Self { at_once: MAX_OPENING, per_second: None, patience: PATIENCE }
    }
}

/// Opens all connections of a role; that one of them does not come about is an error.
pub(crate) fn open_all(
    role: &mut impl Role,
    connector: &mut Connector,
    wanted: usize,
) -> Result<(), RunError> {
    let opened = open(role, connector, wanted, Opening::default())?;
    match role.take_first_broken() {
        Some(broken) => Err(broken.into()),
        None if opened.failed > 0 => {
            Err(RunError::Stalled { ready: wanted - opened.failed as usize, wanted })
        }
        None => Ok(()),
    }
}

/// Why none of the connections stands that were wanted.
pub(crate) fn none_stands(role: &mut impl Role, wanted: usize) -> RunError {
    role.take_first_broken().map_or(RunError::Stalled { ready: 0, wanted }, RunError::from)
}

/// Opens connections until each is ready or has failed, or none has for too long. Those that fail are counted; only what
/// this machine itself has no more of ends it.
pub(crate) fn open(
    role: &mut impl Role,
    connector: &mut Connector,
    wanted: usize,
    opening: Opening,
) -> Result<Opened, RunError> {
    let mut progress = Progress::new(opening);
    while progress.settled < wanted && !progress.is_stalled() {
        while progress.begun() < wanted && progress.has_room() {
            progress.begin();
            role.begin(connector)?;
        }
        let until_ns = progress.listening_ends_ns(wanted);
        role.listen(until_ns, &mut |number, settled| progress.settle(number, settled))?;
    }
    Ok(progress.end(wanted))
}

/// Connections on their way.
struct Progress {
    opening: Opening,
    first_due_ns: u64,
    /// When each connection that was begun was due.
    dues_ns: Vec<u64>,
    /// Those that have failed or become ready.
    settled: usize,
    /// When one last did.
    settled_ns: u64,
    opened: Opened,
}

impl Progress {
    fn new(opening: Opening) -> Self {
        let now_ns = now_ns();
        let opened = Opened { latencies: histogram(), lags: histogram(), failed: 0, took_ns: 0 };
        Self { opening, first_due_ns: now_ns, dues_ns: Vec::new(), settled: 0, settled_ns: now_ns, opened }
    }

    fn begun(&self) -> usize {
        self.dues_ns.len()
    }

    /// When the next connection is due: now, if nothing else is said.
    fn next_due_ns(&self) -> u64 {
        match self.opening.per_second {
            Some(per_second) => self.first_due_ns + (self.begun() as f64 * 1e9 / per_second) as u64,
            None => now_ns(),
        }
    }

    fn has_room(&self) -> bool {
        self.begun() - self.settled < self.opening.at_once && self.next_due_ns() <= now_ns()
    }

    fn begin(&mut self) {
        let due_ns = self.next_due_ns();
        self.dues_ns.push(due_ns);
        // Nobody waits as long as the histogram's end.
        let _ = self.opened.lags.record(now_ns().saturating_sub(due_ns));
    }

    /// Until when connections may be listened to: the next one may be due before.
    fn listening_ends_ns(&self, wanted: usize) -> u64 {
        let ends_ns = now_ns() + LISTENING_NS;
        let is_paced = self.opening.per_second.is_some() && self.begun() < wanted;
        if is_paced { ends_ns.min(self.next_due_ns()) } else { ends_ns }
    }

    fn settle(&mut self, number: usize, settled: Settled) {
        self.settled += 1;
        self.settled_ns = now_ns();
        match settled {
            // Patience ends long before the histogram does.
            Settled::Ready => {
                let _ = self.opened.latencies.record(self.settled_ns - self.dues_ns[number]);
            }
            Settled::Failed => self.opened.failed += 1,
        }
    }

    /// Whether nothing has come of those that are on their way for too long. That something happens is not enough: a server
    /// may say a little now and then for ever.
    fn is_stalled(&self) -> bool {
        let is_waiting = self.begun() > self.settled;
        let since_ns = self.settled_ns.max(*self.dues_ns.last().unwrap_or(&0));
        is_waiting && u128::from(now_ns().saturating_sub(since_ns)) > self.opening.patience.as_nanos()
    }

    /// Those that are still on their way will not come.
    fn end(mut self, wanted: usize) -> Opened {
        self.opened.failed += (wanted - self.settled) as u64;
        self.opened.took_ns = self.settled_ns - self.first_due_ns;
        self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connections that are made of nothing.
    #[derive(Default)]
    struct Scripted {
        begun: usize,
        settled: usize,
        most_at_once: usize,
        /// What becomes of the next ones, one at a time.
        fates: Vec<Settled>,
    }

    impl Role for Scripted {
        fn begin(&mut self, _: &mut Connector) -> Result<(), RunError> {
            self.begun += 1;
            self.most_at_once = self.most_at_once.max(self.begun - self.settled);
            Ok(())
        }

        fn listen(&mut self, _: u64, on_settled: &mut dyn FnMut(usize, Settled)) -> io::Result<()> {
            if self.settled < self.begun && !self.fates.is_empty() {
                on_settled(self.settled, self.fates.remove(0));
                self.settled += 1;
            }
            Ok(())
        }

        fn take_first_broken(&mut self) -> Option<Broken> {
            None
        }
    }

    fn opened(role: &mut Scripted, wanted: usize, opening: Opening) -> Opened {
        let mut connector = Connector::new(([127, 0, 0, 1], 1).into(), None, None);
        open(role, &mut connector, wanted, opening).expect("nothing is exhausted")
    }

    #[test]
    fn no_more_are_on_their_way_at_once_than_may_be() {
        let fates = [[Settled::Ready; 5], [Settled::Failed; 5]].concat();
        let mut role = Scripted { fates, ..Scripted::default() };
        let opened = opened(&mut role, 10, Opening { at_once: 3, ..Opening::default() });
        assert_eq!((role.begun, role.most_at_once), (10, 3));
        assert_eq!((opened.failed, opened.latencies.len(), opened.lags.len()), (5, 5, 10));
    }

    /// This one returns at once from listening, again and again, as one does to which something happens all the time.
    #[test]
    fn events_from_which_nothing_follows_do_not_renew_the_patience() {
        let mut role = Scripted { fates: vec![Settled::Ready; 2], ..Scripted::default() };
        let patience = Duration::from_millis(20);
        let opened = opened(&mut role, 5, Opening { patience, ..Opening::default() });
        assert_eq!((opened.failed, opened.latencies.len()), (3, 2));
    }

    #[test]
    fn connections_that_are_paced_are_begun_when_they_are_due() {
        let mut role = Scripted { fates: vec![Settled::Ready; 5], ..Scripted::default() };
        let begun_ns = now_ns();
        let opened = opened(&mut role, 5, Opening { per_second: Some(1_000.0), ..Opening::default() });
        assert!(now_ns() - begun_ns >= 4_000_000);
        assert_eq!(opened.failed, 0);
    }
}
