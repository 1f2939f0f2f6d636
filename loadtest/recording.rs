//! From what was measured to a record of it.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::campaign::Results;
use crate::cli;
use crate::environment::environment;
use crate::record::{Configuration, Record, SCHEMA_VERSION, Verdict};
use crate::session::Session;
use crate::units::Mss;
use crate::workload::{Arrival, Shape, Workload};

/// What was asked for, as a record keeps it.
pub struct Asked<'a> {
    /// The command line that gives the same run again, the subcommand first.
    pub arguments: Vec<String>,
    /// With whom.
    pub server: &'a cli::Server,
    /// What was to be done.
    pub workload: &'a Workload,
    /// How often, and from which seed.
    pub measuring: cli::Measuring,
    /// When it began.
    pub started: SystemTime,
}

impl Asked<'_> {
    /// The record of it.
    pub fn record(self, session: &Session<'_>, results: Results) -> Record {
        let since_epoch = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        Record {
            schema_version: SCHEMA_VERSION,
            command: self.arguments.first().cloned().unwrap_or_default(),
            started_unix_ms: since_epoch.as_millis() as u64,
            environment: environment(&session.cores),
            configuration: self.configuration(),
            verdict: Verdict { reasons: results.reasons },
            series: results.series,
            ratios: results.ratios,
            knees: Vec::new(),
            connecting: None,
        }
    }

    fn configuration(self) -> Configuration {
        let Self { arguments, server, workload, measuring, .. } = self;
        Configuration {
            arguments,
            url: server.url.as_ref().map(ToString::to_string),
            protocol: server.protocol.to_string(),
            connections: workload.subscribers,
            rate: workload.rate,
            duration_ns: workload.duration_ns,
            warmup_ns: workload.warmup_ns,
            size: workload.size,
            topics: workload.topics(),
            publishers: match workload.shape {
                Shape::Feeds { publishers, .. } => publishers,
                Shape::Rooms(_) => workload.subscribers,
            },
            arrival: match workload.arrival {
                Arrival::Constant => "constant",
                Arrival::Poisson => "poisson",
            }
            .to_owned(),
            burst: workload.burst,
            headers: server.headers.to_string(),
            mss: server.mss.map(Mss::octets),
            repeats: measuring.repeats,
            seed: measuring.seed,
            slow: workload.slow,
        }
    }
}
