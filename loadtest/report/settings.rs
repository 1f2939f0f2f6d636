//! What was asked for and the machine, as names and values.

use crate::record::{Configuration, Environment, Record};

use super::figures;

/// What was asked for, each setting with its name.
pub(super) fn configuration(record: &Record) -> Vec<(String, String)> {
    let asked = &record.configuration;
    if record.command == "conn" { connecting(asked) } else { publishing(asked) }
}

/// Of connections, over which nothing is published.
fn connecting(asked: &Configuration) -> Vec<(String, String)> {
    named([
        ("broker", broker(asked)),
        ("protocol", asked.protocol.clone()),
        ("connections", figures::count(asked.connections as u64)),
        ("opened", figures::rate(asked.rate)),
        ("kept idle", figures::round(&figures::duration(asked.duration_ns as f64))),
        ("HTTP headers", asked.headers.clone()),
        ("largest TCP segment", largest_segment(asked)),
    ])
}

fn broker(asked: &Configuration) -> String {
    asked.url.clone().unwrap_or_else(|| "started by this program".to_owned())
}

fn largest_segment(asked: &Configuration) -> String {
    asked.mss.map_or_else(|| "as the kernel has it".to_owned(), |mss| format!("{mss} B"))
}

fn publishing(asked: &Configuration) -> Vec<(String, String)> {
    let span = |nanoseconds: u64| figures::round(&figures::duration(nanoseconds as f64));
    named([
        ("broker", broker(asked)),
        ("protocol", asked.protocol.clone()),
        ("subscribers", subscribers(asked)),
        ("messages", format!("{} of {} B", figures::rate(asked.rate), figures::count(asked.size as u64))),
        ("arrival", format!("{}, {} at a time", asked.arrival, asked.burst)),
        ("topics", figures::count(asked.topics as u64)),
        ("publishers", figures::count(asked.publishers as u64)),
        ("measured", span(asked.duration_ns)),
        ("warming up", span(asked.warmup_ns)),
        ("HTTP headers", asked.headers.clone()),
        ("largest TCP segment", largest_segment(asked)),
    ])
}

fn subscribers(asked: &Configuration) -> String {
    let all = figures::count(asked.connections as u64);
    let Some(slow) = asked.slow else { return all };
    let rate = figures::octets(slow.octets_per_second as f64);
    format!("{all}, of which {} read {}/s", figures::count(slow.subscribers as u64), figures::round(&rate))
}

/// The machine, each property with its name.
pub(super) fn environment(machine: &Environment) -> Vec<(String, String)> {
    let list = |cores: &[usize]| match cores {
        [] => "not pinned".to_owned(),
        cores => cores.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut properties = named([
        ("CPU", machine.cpu.clone()),
        ("cores", machine.cores.to_string()),
        ("generator's cores", list(&machine.generator_cores)),
        ("broker's cores", list(&machine.broker_cores)),
        ("memory", figures::octets(machine.memory as f64)),
        ("kernel", machine.kernel.clone()),
        ("loadtest", machine.version.clone()),
        ("open files", figures::count(machine.max_files)),
    ]);
    properties.extend(machine.sysctls.iter().map(|(name, value)| (name.clone(), value.clone())));
    properties
}

/// With names that can be kept.
fn named<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
