//! The user-space instructions of Fanwire for each delivery, file by file, as callgrind counts them: the same
//! figures on every run, whatever else the machine does.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::client::Client;
use crate::target::{FANWIRE, Running};
use crate::workload::{Burst, ONE, SIXTY_FOUR, Shape};

/// Bursts that are counted, after as many that are not.
const BURSTS: usize = 100;

/// Files below this many instructions for each delivery are not named.
const LEAST_NAMED: f64 = 0.05;

/// Prints the budget with 64 in flight, and with one.
pub(crate) fn count(shape: Shape) {
    for burst in [SIXTY_FOUR, ONE] {
        println!("\n### {}: instructions per delivery\n\n| instructions | file |\n|--:|---|", burst.name);
        let profile = profile(shape, burst);
        let deliveries = (BURSTS * burst.in_flight * shape.fan_out()) as f64;
        for (file, count) in by_file(&profile) {
            let instructions = count / deliveries;
            if instructions >= LEAST_NAMED {
                println!("| {instructions:.2} | `{file}` |");
            }
        }
    }
}

/// What callgrind says of [`BURSTS`] bursts.
fn profile(shape: Shape, burst: Burst) -> String {
    let running = FANWIRE.start_under_callgrind().unwrap_or_else(|error| panic!("valgrind: {error:?}"));
    let mut client = Client::connect(running.address, FANWIRE, shape);
    let publications = client.publications(burst);
    let mut publish = || (0..BURSTS).for_each(|_| client.publish(&publications[0]));
    publish();
    control(&running, "--zero");
    publish();
    control(&running, "--dump");
    // The dump is the second file: the one without a number is written when the program ends.
    let annotated = Command::new("callgrind_annotate")
        .args(["--threshold=100", "--auto=no"])
        .arg(running.folder.join("callgrind.1"))
        .output()
        .expect("callgrind_annotate comes with valgrind");
    assert!(annotated.status.success(), "{}", String::from_utf8_lossy(&annotated.stderr));
    String::from_utf8_lossy(&annotated.stdout).into_owned()
}

fn control(running: &Running, what: &str) {
    // It takes commands between two of its time slices.
    std::thread::sleep(Duration::from_millis(200));
    let pid = running.pid().to_string();
    // They find each other in the folder for temporary files.
    let output = Command::new("callgrind_control").args([what, &pid]).env("TMPDIR", &running.folder).output();
    let output = output.expect("callgrind_control comes with valgrind");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The lines of the table, `1,234 (5.6%)  file:function [object]`, added up by file: most functions are inlined into
/// one, and the file is what tells them apart.
fn by_file(annotated: &str) -> Vec<(String, f64)> {
    let lines: Vec<(f64, &str)> = annotated.lines().filter_map(parse).collect();
    let total = lines.first().map_or(0.0, |(count, _)| *count);
    let mut files: BTreeMap<&str, f64> = BTreeMap::new();
    // The functions that were under way when counting began are given everything once more.
    for (count, file) in lines.iter().skip(1).filter(|(count, _)| *count < total) {
        *files.entry(file).or_default() += count;
    }
    let mut files: Vec<_> = files.into_iter().map(|(file, count)| (file.to_owned(), count)).collect();
    files.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let named: f64 = files.iter().map(|(_, count)| count).sum();
    assert!((named / total - 1.0).abs() < 0.01, "{named} of {total} instructions are some file's");
    files.insert(0, ("all".to_owned(), total));
    files
}

fn parse(line: &str) -> Option<(f64, &str)> {
    let (count, rest) = line.trim_start().split_once(" (")?;
    let count: f64 = count.replace(',', "").parse().ok()?;
    let name = rest.split_once(')')?.1.trim();
    let (file, function) = name.split_once(':').unwrap_or((name, ""));
    // The C library's files are not known by name; its functions are.
    if file.starts_with('.') || file == "???" {
        return Some((count, function.split(' ').next()?));
    }
    // Of another crate's file, what follows the folder that cargo keeps all of them in.
    let of_other_crate = file.split_once("/registry/src/").and_then(|(_, path)| path.split_once('/'));
    let inside = file.find("crates/").or_else(|| file.find("library/")).unwrap_or(0);
    Some((count, of_other_crate.map_or(&file[inside..], |(_, path)| path)))
}
