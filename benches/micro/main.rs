//! What the parts of the broker cost, one by one, without a socket; and what a subscription costs in memory.
//!
//! ```text
//! cargo bench --bench micro                     every time
//! cargo bench --bench micro -- fan_out          those whose name contains it; see also --help
//! cargo bench --bench micro -- memory           bytes per subscription
//! cargo test --benches                          every bench once and small, to see that its answer is right
//! ```
//!
//! One file is one theme. Every bench checks its answer: before it is timed, or as it is where that costs next to
//! nothing.

mod codec;
mod commands;
mod fan_out;
mod fixture;
mod hand_over;
mod memory;
mod patterns;
mod reach;
mod receipts;
mod topic_table;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["memory"] => memory::print_table(),
        ["memory", shape] => memory::print_row(shape),
        [] if fixture::RUNS_ONCE => {
            memory::print_table();
            time();
        }
        _ => time(),
    }
}

fn time() {
    // The largest take a second to set up and a tenth to run: with more samples, nobody would wait for the end.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    codec::bench(&mut criterion);
    commands::bench(&mut criterion);
    topic_table::bench(&mut criterion);
    patterns::bench(&mut criterion);
    fan_out::bench(&mut criterion);
    reach::bench(&mut criterion);
    receipts::bench(&mut criterion);
    hand_over::bench(&mut criterion);
    criterion.final_summary();
}
