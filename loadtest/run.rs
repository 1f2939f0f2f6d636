//! One run: its threads, from the first connection to the last message.
//!
//! ```text
//!   this thread      open ─────────────── ready? ─ start ── sleeps ─┬── sleeps ──┬─ join
//!                                           ▲        │           usage        usage
//!   publishers       connect all ───────────┤        ├─ sends every message when it is due ─┴─ stay until all have heard
//!   receivers        connect all, subscribe ┘        └─ hear them, until all have come or the grace has passed
//!                                                       warm-up ───┤ measured ├─── grace
//! ```

use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::sync::mpsc::{self, Receiver as Inbox, Sender, TryRecvError};
use std::thread::{self, Scope, ScopedJoinHandle};

use hdrhistogram::Histogram;

use crate::clock::{Sleeper, now_ns};
use crate::link::Broken;
use crate::live::Live;
use crate::opening::{self, Role, RunError};
use crate::plan::Plan;
use crate::publisher::Publishers;
use crate::receiver::Receiver;
use crate::record::Usage;
use crate::tally::{Part, Tally};
use crate::usage::{self, Family, UsageError, Used};
use crate::workload::Workload;

/// From when all are ready to when it begins: time for all threads to hear of it.
const LEAD_NS: u64 = 20_000_000;

/// How long a thread that is ready listens to its connections at a time: a part of the time that it has to hear of the
/// start.
const LISTENING_NS: u64 = LEAD_NS / 4;

/// What a run has brought.
pub struct Outcome {
    /// What was counted.
    pub tally: Tally,
    /// What the broker used in the measured window, if its process is known.
    pub broker: Option<Usage>,
    /// What the generator used in it.
    pub generator: Usage,
    /// How late the publishers alone were: among the polls of thousands, their lateness would not show.
    pub publish_lag: Histogram<u64>,
    /// Why the first of the connections that broke did so.
    pub first_broken: Option<Broken>,
}

/// Runs a plan with that many receiving threads.
pub fn run(
    plan: &Plan,
    threads: usize,
    broker: Option<&mut Family>,
    live: &Live,
) -> Result<Outcome, RunError> {
    opening::has_files_for(plan.workload.subscribers)?;
    thread::scope(|scope| {
        let mut crew = Crew::hire(scope, plan, threads, live);
        crew.wait_until_ready()?;
        let origin_ns = now_ns() + LEAD_NS;
        crew.start(origin_ns);
        live.begin();
        let (broker, generator) = observe(plan, origin_ns, broker)?;
        let mut parts = crew.join()?.into_iter();
        let Part { mut tally, first_broken } =
            parts.next().expect("the publishers are the first of the crew");
        tally.counts.due = plan.due();
        for (since_window_ns, deliveries) in plan.expectations() {
            tally.expect_over_time(since_window_ns, deliveries);
        }
        let publish_lag = tally.latencies.schedule_lag.clone();
        let mut outcome = Outcome { tally, broker, generator, publish_lag, first_broken };
        parts.for_each(|part| outcome.add(part));
        Ok(outcome)
    })
}

/// What broker and generator use in the measured window.
fn observe(
    plan: &Plan,
    origin_ns: u64,
    mut broker: Option<&mut Family>,
) -> Result<(Option<Usage>, Usage), RunError> {
    let sleeper = Sleeper::exact()?;
    let ahead_ns = look_ahead_ns(&plan.workload);
    let mut look = |at_ns: u64| -> Result<_, UsageError> {
        sleeper.sleep_until(origin_ns + at_ns.saturating_sub(ahead_ns));
        let broker = broker.as_mut().map(|broker| broker.look()).transpose()?;
        Ok((now_ns(), broker, usage::ourselves()?))
    };
    let (begin_ns, broker_before, generator_before) = look(plan.workload.warmup_ns)?;
    let (end_ns, broker_after, generator_after) = look(plan.workload.end_ns())?;
    let used = |before: Used, after: Used| Usage {
        cpu_ns: after.cpu_ns - before.cpu_ns,
        wall_ns: end_ns - begin_ns,
        resident: after.resident_bytes,
    };
    let broker = broker_before.zip(broker_after).map(|(before, after)| used(before, after));
    Ok((broker, used(generator_before, generator_after)))
}

/// How long before the ends of the window it is looked at what was used, in nanoseconds: a look takes a millisecond of the
/// generator's cores, and a message is due at the very beginning. Both looks are moved, so that the time between them stays.
fn look_ahead_ns(workload: &Workload) -> u64 {
    const MOST_NS: u64 = 5_000_000;
    MOST_NS.min((workload.distance_ns() / 2.0) as u64)
}

/// The threads of a run.
struct Crew<'scope> {
    readiness: Inbox<Result<(), RunError>>,
    starts: Vec<Sender<u64>>,
    threads: Vec<ScopedJoinHandle<'scope, Option<io::Result<Part>>>>,
}

impl<'scope> Crew<'scope> {
    fn hire<'env>(
        scope: &'scope Scope<'scope, 'env>,
        plan: &'env Plan,
        threads: usize,
        live: &'env Live,
    ) -> Self {
        let (ready, readiness) = mpsc::channel();
        let mut crew = Self { readiness, starts: Vec::new(), threads: Vec::new() };
        // Each receiver has one end for as long as it hears, and nothing goes through: publishers wait for the last to end.
        let (hearing, all) = mpsc::channel::<Infallible>();
        let publish = move |publishers: Publishers<'env>, origin_ns| {
            publishers.run(origin_ns, || all.try_recv() == Err(TryRecvError::Disconnected))
        };
        crew.add(scope, ready.clone(), move || Publishers::open(plan), publish);
        for share in shares(plan.workload.subscribers, threads) {
            let hearing = hearing.clone();
            let receive = move |receiver: Receiver<'env>, origin_ns| {
                let part = receiver.run(origin_ns, live);
                drop(hearing);
                part
            };
            crew.add(scope, ready.clone(), move || Receiver::open(plan, share), receive);
        }
        crew
    }

    /// A thread that opens something, says whether it could, and works with it from the start on.
    fn add<'env, O: Role>(
        &mut self,
        scope: &'scope Scope<'scope, 'env>,
        ready: Sender<Result<(), RunError>>,
        open: impl FnOnce() -> Result<O, RunError> + Send + 'scope,
        work: impl FnOnce(O, u64) -> io::Result<Part> + Send + 'scope,
    ) {
        let (start, started) = mpsc::channel();
        self.starts.push(start);
        self.threads.push(scope.spawn(move || {
            let (opened, verdict) = match open() {
                Ok(opened) => (Some(opened), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // Nobody waits any more once one could not open.
            let _ = ready.send(verdict);
            // Whoever waits for all verdicts has to see that no more will come, if another thread panics before its own.
            drop(ready);
            let mut opened = opened?;
            let origin_ns = match wait_for_start(&mut opened, &started) {
                Ok(origin_ns) => origin_ns?,
                Err(error) => return Some(Err(error)),
            };
            Some(work(opened, origin_ns))
        }));
    }

    fn wait_until_ready(&mut self) -> Result<(), RunError> {
        // It ends when each thread has said something, or cannot any more.
        let ready: Result<Vec<()>, RunError> = self.readiness.iter().collect();
        let error = match ready {
            Ok(ready) if ready.len() == self.threads.len() => return Ok(()),
            Ok(_) => RunError::Panicked,
            Err(error) => error,
        };
        // Those that are ready, or will be, hear that it does not begin.
        self.starts.clear();
        for thread in self.threads.drain(..) {
            // It has said why it panicked, if it has.
            let _ = thread.join();
        }
        Err(error)
    }

    fn start(&self, origin_ns: u64) {
        for start in &self.starts {
            // One that has ended meanwhile says why when it is joined.
            let _ = start.send(origin_ns);
        }
    }

    fn join(self) -> Result<Vec<Part>, RunError> {
        // All are waited for before any of them is an error.
        let ended: Vec<_> = self.threads.into_iter().map(ScopedJoinHandle::join).collect();
        let parts = ended.into_iter().map(|ended| match ended {
            Ok(part) => Ok(part.transpose()?),
            Err(_) => Err(RunError::Panicked),
        });
        parts.filter_map(Result::transpose).collect()
    }
}

/// When it begins; none if it does not. Others may take long to open their connections: those that stand are not left
/// alone meanwhile.
fn wait_for_start(role: &mut impl Role, started: &Inbox<u64>) -> io::Result<Option<u64>> {
    loop {
        match started.try_recv() {
            Ok(origin_ns) => return Ok(Some(origin_ns)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => role.listen(now_ns() + LISTENING_NS, &mut |_, _| ())?,
        }
    }
}

impl Outcome {
    fn add(&mut self, part: Part) {
        self.tally.add(&part.tally);
        self.first_broken = self.first_broken.take().or(part.first_broken);
    }
}

/// Parts of about the same size.
fn shares(subscribers: usize, threads: usize) -> impl Iterator<Item = Range<usize>> {
    (0..threads).map(move |number| number * subscribers / threads..(number + 1) * subscribers / threads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::opening::Settled;
    use crate::socket::Connector;

    /// Nothing to open, and nothing to listen to.
    struct Nobody;

    impl Role for Nobody {
        fn begin(&mut self, _: &mut Connector) -> Result<(), RunError> {
            Ok(())
        }

        fn listen(&mut self, _: u64, _: &mut dyn FnMut(usize, Settled)) -> io::Result<()> {
            thread::yield_now();
            Ok(())
        }

        fn take_first_broken(&mut self) -> Option<Broken> {
            None
        }
    }

    /// A part that nothing is in.
    fn part() -> Part {
        Part { tally: Tally::new(1), first_broken: None }
    }

    #[test]
    fn a_run_does_not_begin_when_a_thread_panics_while_it_opens() {
        let outcome: Result<(), RunError> = thread::scope(|scope| {
            let (ready, readiness) = mpsc::channel();
            let mut crew = Crew { readiness, starts: Vec::new(), threads: Vec::new() };
            crew.add(scope, ready.clone(), || Ok(Nobody), |_, _| Ok(part()));
            crew.add(
                scope,
                ready,
                || -> Result<Nobody, RunError> { panic!("as it should") },
                |_, _| Ok(part()),
            );
            crew.wait_until_ready()
        });
        assert!(matches!(outcome, Err(RunError::Panicked)), "{outcome:?}");
    }

    #[test]
    fn a_thread_that_panics_while_it_works_is_an_error() {
        let outcome: Result<(), RunError> = thread::scope(|scope| {
            let (ready, readiness) = mpsc::channel();
            let mut crew = Crew { readiness, starts: Vec::new(), threads: Vec::new() };
            crew.add(scope, ready, || Ok(Nobody), |_, _| panic!("as it should"));
            crew.wait_until_ready()?;
            crew.start(0);
            crew.join().map(drop)
        });
        assert!(matches!(outcome, Err(RunError::Panicked)), "{outcome:?}");
    }

    #[test]
    fn every_subscriber_is_in_one_share() {
        for (subscribers, threads) in [(1, 1), (10, 3), (3, 4), (19_000, 7)] {
            let all: Vec<_> = shares(subscribers, threads).flatten().collect();
            assert!(all.into_iter().eq(0..subscribers));
        }
    }
}
