//! Several series, measured side by side: each repeat runs all of them, in an order that chance gives.

use crate::live::Live;
use crate::opening::RunError;
use crate::percentile::Percentile;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::ratios;
use crate::record::{Ratio, Reason, Repeat, Series, Usage};
use crate::run::{Outcome, run};
use crate::session::{Running, Session, SessionError};
use crate::tally::Tally;
use crate::target::Ended;
use crate::transport::Transport;
use crate::verdict::{Evidence, judge};
use crate::workload::Workload;

/// One series that is to be measured.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// How messages reach the subscribers.
    pub transport: Transport,
    /// What is to be done.
    pub workload: Workload,
}

/// What is to be measured.
pub struct Campaign {
    /// The series; the first one is what the others are compared with.
    pub entries: Vec<Entry>,
    /// How often each is run.
    pub repeats: usize,
    /// What everything that is left to chance is drawn from.
    pub seed: u64,
}

/// What was measured.
#[derive(Default)]
pub struct Results {
    /// The series, in the order of the entries.
    pub series: Vec<Series>,
    /// Each of them against the first.
    pub ratios: Vec<Ratio>,
    /// Why this cannot be trusted, if so.
    pub reasons: Vec<Reason>,
}

/// Why nothing was measured.
#[derive(Debug)]
pub enum CampaignError {
    /// There is no server to measure.
    Session(SessionError),
    /// The broker of ours has ended in the middle of a run.
    Ended {
        /// Of which series.
        series: String,
        /// How, and with which last words.
        ended: Ended,
    },
    /// A run did not begin.
    Open {
        /// Of which series.
        series: String,
        /// Why.
        error: RunError,
    },
}

/// What the repeats of one entry have brought so far.
struct Gathered {
    tally: Tally,
    broker: Option<Usage>,
    generator: Usage,
    repeats: Vec<Repeat>,
    evidence: Evidence,
}

impl Campaign {
    /// Measures everything, each run with a server of its own, where it is ours.
    pub fn run(&self, session: &Session<'_>, progress: &Progress) -> Result<Results, CampaignError> {
        let mut gathered: Vec<_> = self.entries.iter().map(Gathered::new).collect();
        let mut exhausted = None;
        for (order, (repeat, number)) in self.order().into_iter().enumerate() {
            let entry = &self.entries[number];
            let running = session.start(&entry.workload, entry.transport).map_err(CampaignError::Session)?;
            let Running { mut target, server, mut family } = running;
            // All series of a repeat have the same schedule.
            let plan =
                Plan::new(entry.workload.clone(), server, self.seed.wrapping_add(repeat as u64), order);
            let live = Live::default();
            let work = || run(&plan, session.threads(), family.as_mut(), &live);
            let outcome = progress.during(&entry.name, &live, work);
            // A broker of ours that has ended says why, and better than its connections do.
            target.check().map_err(|ended| CampaignError::Ended { series: entry.name.clone(), ended })?;
            match outcome {
                Ok(outcome) => gathered[number].add(&outcome, repeat, order),
                Err(error) => {
                    let named = |error| CampaignError::Open { series: entry.name.clone(), error };
                    exhausted = Some(error.into_reason(Some(&entry.name)).map_err(named)?);
                    break;
                }
            }
        }
        progress.clear();
        let mut results = self.results(gathered, session.threads());
        results.reasons.extend(exhausted);
        Ok(results)
    }

    /// Which entry is run in which repeat, in time.
    fn order(&self) -> Vec<(usize, usize)> {
        let mut rng = fastrand::Rng::with_seed(self.seed);
        let mut order = Vec::new();
        for repeat in 0..self.repeats {
            let mut entries: Vec<_> = (0..self.entries.len()).collect();
            rng.shuffle(&mut entries);
            order.extend(entries.into_iter().map(|entry| (repeat, entry)));
        }
        order
    }

    fn results(&self, gathered: Vec<Gathered>, generator_cores: usize) -> Results {
        let mut results = Results::default();
        let measured = |(_, gathered): &(&Entry, Gathered)| !gathered.repeats.is_empty();
        for (entry, gathered) in self.entries.iter().zip(gathered).filter(measured) {
            let (series, evidence) = gathered.series(entry, generator_cores);
            results.reasons.extend(judge(&series, &evidence));
            results.series.push(series);
        }
        results.ratios = ratios::to_the_first(&results.series, self.seed);
        results
    }
}

impl Gathered {
    fn new(entry: &Entry) -> Self {
        let tally = Tally::new(entry.workload.duration_ns);
        Self {
            tally: match entry.transport {
                Transport::Poll { period } => tally.of_polls(period.ns()),
                Transport::WebSocket { .. } | Transport::EventStream | Transport::LongPoll => tally,
            },
            broker: None,
            generator: Usage::default(),
            repeats: Vec::new(),
            evidence: Evidence::default(),
        }
    }

    fn add(&mut self, outcome: &Outcome, repeat: usize, order: usize) {
        let Outcome { tally, broker, generator, publish_lag, first_broken } = outcome;
        let end_to_end = tally.end_to_end();
        let per = |amount: u64, deliveries: u64| (deliveries > 0).then(|| amount as f64 / deliveries as f64);
        self.repeats.push(Repeat {
            repeat,
            order,
            p50_ns: end_to_end.percentile(Percentile::P50),
            p99_ns: end_to_end.percentile(Percentile::P99),
            ip_bytes_per_delivery: per(tally.bytes.ip, tally.bytes.deliveries),
            cpu_ns_per_delivery: broker.and_then(|usage| per(usage.cpu_ns, tally.counts.delivered)),
        });
        self.tally.add(tally);
        self.generator.add(generator);
        if let Some(usage) = broker {
            self.broker.get_or_insert_default().add(usage);
        }
        let evidence = &mut self.evidence;
        evidence.busy = evidence.busy.max(generator.cpu_ns as f64 / generator.wall_ns as f64);
        evidence.sent = evidence.sent.min(tally.counts.sent as f64 / tally.counts.due.max(1) as f64);
        evidence.publish_lag.add(publish_lag).expect("all have the same bounds");
        let first_broken = first_broken.as_ref().map(ToString::to_string);
        evidence.first_broken = evidence.first_broken.take().or(first_broken);
    }

    fn series(self, entry: &Entry, generator_cores: usize) -> (Series, Evidence) {
        let series = Series {
            name: entry.name.clone(),
            transport: entry.transport.to_string(),
            rate: entry.workload.rate,
            connections: entry.workload.subscribers,
            size: entry.workload.size,
            merged: self.tally.measured(self.broker, self.generator, generator_cores),
            repeats: self.repeats,
        };
        (series, self.evidence)
    }
}

impl std::fmt::Display for CampaignError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Session(error) => error.fmt(f),
            Self::Ended { series, ended } => write!(f, "{series}: {ended}"),
            Self::Open { series, error } => write!(f, "{series}: {error}"),
        }
    }
}

impl std::error::Error for CampaignError {}
