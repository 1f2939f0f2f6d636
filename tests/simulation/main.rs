//! The promise, under chance: many cores, mailboxes, slow and dying clients, jumping clocks. Every run is decided by
//! its seed; a failure names it, and `FANWIRE_SEED=N cargo test --test simulation` runs that one again.
//!
//! `FANWIRE_SEEDS=N` runs another number of seeds than 1,000.

mod binary;
mod client;
mod core;
mod follower;
mod publishers;
mod random;
mod socket;
mod together;
mod truth;
mod values;
mod watcher;
mod world;

use std::panic;

const SEEDS: u64 = 1_000;
const STEPS: usize = 1_500;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn every_subscriber_gets_every_message_in_order_or_is_told() {
    for_each_seed("every_subscriber", |seed| world::World::new(seed).run(STEPS));
}

/// Runs what the test with this name does with the seed that was asked for, or with many.
fn for_each_seed(test: &str, run: impl Fn(u64) + panic::RefUnwindSafe) {
    if let Some(seed) = number("FANWIRE_SEED") {
        return run(seed);
    }
    for seed in 0..number("FANWIRE_SEEDS").unwrap_or(SEEDS) {
        if let Err(failure) = panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed} failed: FANWIRE_SEED={seed} cargo test --test simulation {test}");
            panic::resume_unwind(failure);
        }
    }
}
