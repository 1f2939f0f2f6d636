//! Round after round, everything in an order that chance gives.

use std::time::Instant;

use crate::plan::{Group, Session, Step};
use crate::sample::{Moment, Sample, Samples};
use crate::session::{Figure, Open, Sizes};
use crate::target::{PEERS, PEERS_COMPRESSED, PEERS_OVER_TLS, StartError, Target, pin_client};

/// A peer that is not installed, and what is missing.
pub(crate) type Absent = (Target, String);

/// The peers that are not installed. What is absent is said, not passed over; what is there has to work.
pub(crate) fn absent() -> Vec<Absent> {
    let absent = |&peer: &Target| match peer.start() {
        Ok(_) => None,
        Err(StartError::Absent(why)) => Some((peer, why)),
        Err(StartError::Broken(why)) => panic!("{}: {why}", peer.name),
    };
    PEERS.iter().chain(PEERS_OVER_TLS).chain(PEERS_COMPRESSED).filter_map(absent).collect()
}

/// Measures `groups` in every round, and calls `after_round` with what there is.
pub(crate) fn run(
    mut groups: Vec<Group>,
    sizes: Sizes,
    seed: u64,
    mut after_round: impl FnMut(&Samples),
) -> Samples {
    pin_client();
    let mut run = Run {
        sizes,
        samples: Samples::default(),
        random: fastrand::Rng::with_seed(seed),
        begun: Instant::now(),
        done: 0,
        all: sizes.rounds * groups.iter().map(|group| group.sessions.len()).sum::<usize>(),
    };
    for round in 0..sizes.rounds {
        run.random.shuffle(&mut groups);
        for group in &groups {
            run.measure(group, round);
        }
        after_round(&run.samples);
    }
    run.samples
}

struct Run {
    sizes: Sizes,
    samples: Samples,
    random: fastrand::Rng,
    begun: Instant,
    /// Sessions, of `all`.
    done: usize,
    all: usize,
}

impl Run {
    fn measure(&mut self, group: &Group, round: usize) {
        // In an order that chance gives here too: who is opened when decides where its sockets are in memory.
        let mut sessions = group.sessions.clone();
        self.random.shuffle(&mut sessions);
        if group.takes_turns {
            let open = self.open(&sessions, round);
            self.take_turns(open, round);
            return;
        }
        for session in sessions {
            let open = self.open(&[session], round);
            self.take_turns(open, round);
        }
    }

    fn open(&mut self, sessions: &[Session], round: usize) -> Vec<Open> {
        let open = |session: &Session| {
            self.progress(session, round);
            Open::new(session, self.sizes)
        };
        sessions.iter().map(open).collect()
    }

    /// In each slice every session takes each step that it has, the step of one next to that of the others.
    fn take_turns(&mut self, mut sessions: Vec<Open>, round: usize) {
        let mut steps: Vec<Step> = Vec::new();
        for step in sessions.iter().flat_map(|open| &open.session.steps) {
            if !steps.contains(step) {
                steps.push(*step);
            }
        }
        for slice in 0..self.sizes.slices {
            for &step in steps.iter().filter(|step| slice == 0 || !step.is_once()) {
                self.random.shuffle(&mut sessions);
                for open in sessions.iter_mut().filter(|open| open.session.steps.contains(&step)) {
                    let figures = open.measure(step, self.sizes);
                    self.take(figures, (round, slice));
                }
            }
        }
        for open in &sessions {
            self.take(open.conclude(), (round, 0));
        }
    }

    fn take(&mut self, figures: Vec<Figure>, moment: Moment) {
        self.samples.0.extend(figures.into_iter().map(|(workload, target, metric, value)| Sample {
            moment,
            workload,
            target,
            metric,
            value,
        }));
    }

    fn progress(&mut self, session: &Session, round: usize) {
        let left = (self.all - self.done) as f64 / self.done.max(1) as f64;
        let minutes = (self.begun.elapsed().as_secs_f64() * left / 60.0).ceil();
        let left = if self.done == 0 { String::new() } else { format!(", {minutes:.0} min left") };
        let more = if session.steps.len() > 1 { ", …" } else { "" };
        let what = session.steps.first().map_or("", |step| step.name());
        eprintln!(
            "{} of {}, round {}{left}: {}: {what}{more}",
            self.done,
            self.all,
            round + 1,
            session.target.name
        );
        self.done += 1;
    }
}
