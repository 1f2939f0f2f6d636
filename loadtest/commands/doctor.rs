//! `doctor`: what this machine allows, and what the generator itself takes.

use super::CommandError;
use crate::cli::{Doctor, Exit, Server};
use crate::doctor::{Cost, Diagnosis, Health};
use crate::live::Live;
use crate::plan::Plan;
use crate::presenting::say;
use crate::run::run;
use crate::session::Session;
use crate::transport::{HeaderProfile, Protocol, Transport};
use crate::workload::{Arrival, Shape, Workload};

/// Deliveries a second that the cost is measured with: busy, and far from the limit of any machine.
const DELIVERIES_PER_SECOND: usize = 20_000;
const SUBSCRIBERS: usize = 100;
const BURST: usize = 16;
const PUSH: Transport = Transport::WebSocket { deflate: false };

/// Looks at this machine, and measures what the generator takes of it.
pub(super) fn doctor(request: &Doctor) -> Result<Exit, CommandError> {
    let mut diagnosis = Diagnosis::of(request);
    let server = Server {
        url: None,
        pid: None,
        protocol: Protocol::Raw,
        headers: HeaderProfile::Minimal,
        mss: None,
        sources: None,
    };
    let session = Session::new(&server, &[PUSH])?;
    let (single_ns, in_burst_ns) = (cost_ns(&session, 1)?, cost_ns(&session, BURST)?);
    diagnosis.cost = Some(Cost { single_ns, in_burst_ns, burst: BURST });
    say(&format!("{diagnosis}\n"));
    Ok(if diagnosis.worst() == Health::Problem { Exit::Error } else { Exit::Success })
}

/// What a delivery takes of the generator's cores, with a broker of ours, in nanoseconds.
fn cost_ns(session: &Session<'_>, burst: usize) -> Result<f64, CommandError> {
    let workload = workload(burst);
    let mut running = session.start(&workload, PUSH)?;
    let plan = Plan::new(workload, running.server.clone(), 0, 0);
    let outcome = run(&plan, session.threads(), running.family.as_mut(), &Live::default())?;
    Ok(outcome.generator.cpu_ns as f64 / outcome.tally.counts.delivered.max(1) as f64)
}

fn workload(burst: usize) -> Workload {
    Workload {
        subscribers: SUBSCRIBERS,
        shape: Shape::Feeds { topics: 1, publishers: 1 },
        rate: (DELIVERIES_PER_SECOND / SUBSCRIBERS * burst) as f64,
        duration_ns: 2_000_000_000,
        warmup_ns: 500_000_000,
        size: 128,
        arrival: Arrival::Constant,
        burst,
        slow: None,
    }
}
