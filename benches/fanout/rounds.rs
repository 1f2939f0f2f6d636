//! Round after round, every session in an order that chance gives.

use std::time::Instant;

use crate::sample::{Sample, Samples};
use crate::session::{Session, Sizes};
use crate::target::{PEERS, Target, pin};

/// A peer that is not here, and why.
pub(crate) type Absent = (Target, String);

/// The peers that do not start. What is absent is said, not passed over.
pub(crate) fn absent() -> Vec<Absent> {
    PEERS.iter().filter_map(|&peer| Some((peer, peer.start().err()?))).collect()
}

/// Measures `sessions` in each of `rounds` rounds.
pub(crate) fn run(mut sessions: Vec<Session>, rounds: usize, sizes: Sizes, seed: u64) -> Samples {
    pin(1);
    let (mut samples, mut random) = (Samples::default(), fastrand::Rng::with_seed(seed));
    let (begun, all) = (Instant::now(), rounds * sessions.len());
    for round in 0..rounds {
        random.shuffle(&mut sessions);
        for (number, session) in sessions.iter().enumerate() {
            let done = round * sessions.len() + number;
            progress(begun, done, all, round, session);
            let running =
                session.target.start().unwrap_or_else(|error| panic!("{}: {error}", session.target.name));
            let figures = session.run(&running, sizes);
            samples.0.extend(figures.into_iter().map(|(workload, target, metric, value)| Sample {
                round,
                workload,
                target,
                metric,
                value,
            }));
        }
    }
    samples
}

fn progress(begun: Instant, done: usize, all: usize, round: usize, session: &Session) {
    let left = begun.elapsed().as_secs_f64() / (done.max(1) as f64) * ((all - done) as f64);
    let left = if done == 0 { String::new() } else { format!(", {:.0} min left", (left / 60.0).ceil()) };
    let workloads = session.workloads();
    let more = if workloads.len() > 1 { ", …" } else { "" };
    eprintln!("{done} of {all}, round {}{left}: {}: {}{more}", round + 1, session.target.name, workloads[0]);
}
