//! Deliveries per second to 1,000 subscribers of one topic: Fanwire beside a program that does nothing but `send()`.
//!
//! ```text
//! cargo bench --bench fanout                    10 interleaved rounds
//! cargo bench --bench fanout -- --rounds 3      fewer
//! ```
//!
//! Each target runs in a process of its own on core 0, and one client on core 1 drives it: it publishes a burst, waits
//! until every subscriber has all of it, and publishes the next. The client does the least a client can do: it
//! counts octets. CPU is what the kernel says that the target's threads used.

#![allow(clippy::cast_precision_loss, reason = "figures are printed with three digits")]

mod client;
mod floor;
mod target;

use std::time::Duration;

use target::Target;

const SUBSCRIBERS: usize = 1_000;
const PAYLOAD_BYTES: usize = 128;
const BURSTS: [usize; 3] = [1, 16, 64];
const MEASURED: Duration = Duration::from_secs(2);

/// What one target did in one round.
#[derive(Clone, Copy)]
struct Sample {
    deliveries_per_second: f64,
    cpu_ns_per_delivery: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["floor", how] => floor::run(how == "batched"),
        ["--rounds", rounds] => compare(rounds.parse().expect("--rounds takes a number"), MEASURED),
        // `cargo test --benches` runs every bench once, to see that it still works.
        [] if cfg!(debug_assertions) => compare(1, Duration::from_millis(50)),
        [] => compare(10, MEASURED),
        _ => panic!("usage: cargo bench --bench fanout [-- --rounds N]"),
    }
}

/// Runs every target once per round, in an order that changes, and prints the medians.
fn compare(rounds: usize, measured: Duration) {
    let mut samples = vec![vec![Vec::new(); BURSTS.len()]; Target::ALL.len()];
    for round in 0..rounds {
        for turn in 0..Target::ALL.len() {
            let number = (round + turn) % Target::ALL.len();
            let mut running = Target::ALL[number].start();
            let mut subscribers = client::Client::connect(running.address(), SUBSCRIBERS);
            for (burst, samples) in BURSTS.iter().zip(&mut samples[number]) {
                samples.push(subscribers.measure(&mut running, *burst, PAYLOAD_BYTES, measured));
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    report(&samples);
}

fn report(samples: &[Vec<Vec<Sample>>]) {
    println!(
        "{SUBSCRIBERS} subscribers, {PAYLOAD_BYTES}-byte messages; medians, and the middle half of the rounds"
    );
    println!("| in flight | target | deliveries/s | × floor | CPU ns/delivery | × floor |");
    println!("|---|---|---|---|---|---|");
    for (index, burst) in BURSTS.iter().enumerate() {
        let of = |target: usize| Summary::of(&samples[target][index]);
        // One send per message is the floor of single messages, one send per read that of bursts.
        let floor = of(usize::from(*burst > 1));
        for (number, target) in Target::ALL.iter().enumerate() {
            let Summary { rate, cpu } = of(number);
            let (times_rate, times_cpu) = (rate[1] / floor.rate[1], cpu[1] / floor.cpu[1]);
            print!(
                "| {burst} | {} | {:.0} ({:.0}–{:.0}) | {times_rate:.2} ",
                target.name(),
                rate[1],
                rate[0],
                rate[2]
            );
            println!("| {:.0} ({:.0}–{:.0}) | {times_cpu:.2} |", cpu[1], cpu[0], cpu[2]);
        }
    }
}

/// Quartiles of both figures.
struct Summary {
    rate: [f64; 3],
    cpu: [f64; 3],
}

impl Summary {
    fn of(samples: &[Sample]) -> Self {
        Self {
            rate: quartiles(samples.iter().map(|sample| sample.deliveries_per_second)),
            cpu: quartiles(samples.iter().map(|sample| sample.cpu_ns_per_delivery)),
        }
    }
}

fn quartiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[(values.len() - 1) * quarter / 4])
}
