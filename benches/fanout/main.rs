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

mod client;
mod dialect;
mod floor;
mod goals;
mod instructions;
mod latency;
mod placement;
mod record;
mod report;
mod rounds;
mod sample;
mod session;
mod statistics;
mod target;
mod workload;

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use session::{Session, Sizes};
use workload::ONE_TOPIC;

/// Measures Fanwire beside a program that does nothing but send, and beside other brokers.
#[derive(Parser)]
#[command(
    name = "cargo bench --bench fanout --",
    after_help = "Examples:\n  \
        cargo bench --bench fanout                                        all of it, 10 rounds\n  \
        cargo bench --bench fanout -- --rounds 3 --only 'one topic, 64'   the workloads with this in their name\n  \
        cargo bench --bench fanout -- --record benches/record/mine        keep the figures\n  \
        cargo bench --bench fanout -- instructions                        a budget, file by file"
)]
struct Arguments {
    /// Rounds; each measures every target once
    #[arg(long, value_name = "N", default_value_t = if cfg!(debug_assertions) { 1 } else { 10 })]
    rounds: usize,
    /// Measure the workloads whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Measure the targets whose name contains one of these
    #[arg(long, value_name = "TEXT,…", value_delimiter = ',')]
    targets: Vec<String>,
    /// Measure each workload for so long in each round
    #[arg(long, value_name = "MILLISECONDS", default_value_t = if cfg!(debug_assertions) { 30 } else { 500 })]
    measured_ms: u64,
    /// Write every figure, the tables and the machine to this folder
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
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
    /// Be a floor: `single` or `batched`, on this port
    #[command(hide = true)]
    Floor { how: String, port: u16 },
}

fn main() {
    let arguments = Arguments::parse();
    match arguments.program {
        Some(Program::Floor { how, port }) => floor::run(port, how == "batched"),
        Some(Program::Instructions) => instructions::count(ONE_TOPIC),
        None => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) {
    statistics::check();
    // A debug build, as `cargo test --benches` makes it, only sees to it that every answer is right.
    let is_small = cfg!(debug_assertions);
    let sizes = Sizes { measured: Duration::from_millis(arguments.measured_ms), is_small };
    let absent = rounds::absent();
    let is_wanted = |session: &Session| {
        let is_absent = absent.iter().any(|(target, _)| *target == session.target);
        let (name, named) = (session.target.name, &arguments.targets);
        !is_absent
            && (named.is_empty() || named.iter().any(|text| name.contains(text)))
            && session.workloads().iter().any(|name| name.contains(&arguments.only))
    };
    let sessions: Vec<Session> = session::all().into_iter().filter(is_wanted).collect();
    let order: Vec<_> = session::all().iter().map(|session| session.target.name).collect();
    let samples = rounds::run(sessions, arguments.rounds, sizes, arguments.seed);
    let mut summary = heading(arguments, &absent);
    summary += &report::tables(&samples, &order);
    println!("{summary}");
    if let Some(folder) = &arguments.record {
        record::write(folder, &samples, &summary).expect("a folder that can be written to");
    }
}

fn heading(arguments: &Arguments, absent: &[rounds::Absent]) -> String {
    let mut text = format!(
        "# Fan-out\n\n{} interleaved rounds, seed {}. Medians, ratios of the same round, and their paired bootstrap \
         95 % intervals.\n",
        arguments.rounds, arguments.seed
    );
    for (target, why) in absent {
        let _ = writeln!(text, "\n**{} is absent**: {why}", target.name);
    }
    text
}
