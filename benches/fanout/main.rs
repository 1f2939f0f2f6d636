//! Fanwire beside the least that any broker has to do, and beside other brokers.
//!
//! ```text
//! benches/peers/install                                        the other brokers
//! cargo bench --bench fanout                                   10 interleaved rounds of everything
//! cargo bench --bench fanout -- --only 'in flight' --rounds 3  some of it
//! ```
//!
//! Each target runs in a process of its own on core 0, and one client on core 1 drives it: it publishes a burst, waits
//! until every subscriber has all of it, and publishes the next. The client does the least a client can do: it
//! counts deliveries. CPU is what the kernel says that the target's threads used. `docs/BENCHMARKS.md` has the method.

#![allow(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
#![allow(clippy::cast_sign_loss, reason = "times are not negative")]

#[path = "../../tests/certificate/mod.rs"]
mod certificate;
mod chart;
mod client;
mod dialect;
mod feed;
mod floor;
mod goals;
mod instructions;
mod latency;
mod placement;
mod plan;
mod record;
mod report;
mod rounds;
mod sample;
mod session;
mod slow_readers;
mod statistics;
mod target;
mod wire;
mod workload;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use plan::Group;
use sample::Samples;
use session::Sizes;
use workload::ONE_TOPIC;

/// Measures Fanwire beside a program that does nothing but send, and beside other brokers.
#[derive(Parser)]
#[command(
    bin_name = "cargo bench --bench fanout --",
    after_help = "Examples:\n  \
        cargo bench --bench fanout                                        all of it, 10 rounds\n  \
        cargo bench --bench fanout -- --rounds 3 --only 'one topic, 64'   the workloads with this in their name\n  \
        cargo bench --bench fanout -- --record benches/record/mine        keep the figures\n  \
        cargo bench --bench fanout -- instructions                        a budget, file by file"
)]
struct Arguments {
    /// Rounds; six at least for a verdict
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), default_value_t = if cfg!(debug_assertions) { 1 } else { 10 })]
    rounds: u16,
    /// Measure the workloads whose name contains this; may be repeated
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Measure the targets whose name contains one of these
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',')]
    targets: Vec<String>,
    /// Slices of a round; in each, targets take turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), default_value_t = if cfg!(debug_assertions) { 1 } else { 3 })]
    slices: u16,
    /// The length of a target's turn
    #[arg(long, value_name = "MILLISECONDS", default_value_t = if cfg!(debug_assertions) { 20 } else { 100 })]
    slice_ms: u64,
    /// Write every figure, the tables and the machine to this folder
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
    /// Fail when a peer is not installed
    #[arg(long)]
    need_peers: bool,
    /// Decides the order of the targets
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Given by cargo
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    program: Option<Program>,
}

#[derive(Subcommand)]
enum Program {
    /// Count Fanwire's instructions for each delivery, with valgrind's callgrind
    Instructions,
    /// Be a floor on this port
    #[command(hide = true)]
    Floor {
        port: u16,
        /// Send once for each turn
        #[arg(long)]
        batched: bool,
        /// With this certificate and this key
        #[arg(long, num_args = 2)]
        tls: Vec<PathBuf>,
    },
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.program {
        Some(Program::Floor { port, batched, tls }) => floor::run(port, batched, &tls),
        Some(Program::Instructions) => instructions::count(ONE_TOPIC),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) {
    statistics::check();
    rlimit::increase_nofile_limit(u64::MAX).expect("a process may use the files that it is allowed");
    let sizes = Sizes {
        rounds: arguments.rounds.into(),
        slices: arguments.slices.into(),
        slice: Duration::from_millis(arguments.slice_ms),
        // A debug build, as `cargo test --benches` makes it, only sees to it that every answer is right.
        is_small: cfg!(debug_assertions),
    };
    let absent = rounds::absent();
    assert!(absent.is_empty() || !arguments.need_peers, "not every peer is there: {absent:?}");
    let groups: Vec<Group> = plan::all().into_iter().map(|group| arguments.wanted(group, &absent)).collect();
    if groups.iter().all(|group| group.sessions.is_empty()) {
        eprintln!("nothing is called that; the workloads and targets are:\n{}", plan::names());
        std::process::exit(2);
    }
    let summarise = |samples: &Samples| heading(arguments, &absent) + &report::tables(samples);
    let samples = rounds::run(groups, sizes, arguments.seed, |samples| {
        if let Some(folder) = &arguments.record {
            record::write(folder, samples, &summarise(samples)).expect("a folder that can be written to");
        }
    });
    println!("{}", summarise(&samples));
}

impl Arguments {
    /// What is asked for of a group, and here.
    fn wanted(&self, mut group: Group, absent: &[rounds::Absent]) -> Group {
        for session in &mut group.sessions {
            session.steps.retain(|step| is_wanted(&self.only, step.name()));
        }
        group.sessions.retain(|session| {
            let is_absent = absent.iter().any(|(target, _)| *target == session.target);
            !is_absent && is_wanted(&self.targets, session.target.name) && !session.steps.is_empty()
        });
        group
    }
}

/// Whether the name contains one of these, or nothing is wanted in particular.
fn is_wanted(texts: &[String], name: &str) -> bool {
    texts.is_empty() || texts.iter().any(|text| name.contains(text))
}

fn heading(arguments: &Arguments, absent: &[rounds::Absent]) -> String {
    let mut text = format!(
        "# Fan-out\n\n{} interleaved rounds of {} slices of {} ms, seed {}. Medians, ratios of the same slice, and their \
         paired bootstrap 95 % intervals.\n",
        arguments.rounds, arguments.slices, arguments.slice_ms, arguments.seed
    );
    if cfg!(debug_assertions) {
        text += "\nThis is a debug build with few subscribers: answers are checked, and the figures mean nothing.\n";
    }
    for (target, why) in absent {
        let _ = writeln!(text, "\n**{} is absent**: {why}", target.name);
    }
    text
}
