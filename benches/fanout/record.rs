//! What a run leaves behind: every figure, the tables, and the machine.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::chart;
use crate::sample::{Sample, Samples};

/// Writes `rounds.csv`, `summary.md`, `machine.md` and, where it can be drawn, `cpu.svg` to `folder`, which is made.
pub(crate) fn write(folder: &Path, samples: &Samples, summary: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("rounds.csv"), csv(samples))?;
    fs::write(folder.join("summary.md"), summary)?;
    if let Some(picture) = chart::draw(samples) {
        fs::write(folder.join("cpu.svg"), picture)?;
    }
    fs::write(folder.join("machine.md"), machine())
}

fn csv(samples: &Samples) -> String {
    let mut text = "round,slice,workload,target,metric,value\n".to_owned();
    for Sample { moment: (round, slice), workload, target, metric, value } in &samples.0 {
        let _ = writeln!(text, "{round},{slice},\"{workload}\",\"{target}\",{},{value}", metric.name());
    }
    text
}

fn machine() -> String {
    let cpu = first_line_of("/proc/cpuinfo", "model name");
    let memory = first_line_of("/proc/meminfo", "MemTotal");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Not what this thread may run on, which is one of them.
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let revision = said_by("git", &["describe", "--always", "--dirty"]);
    let rust = said_by("rustc", &["--version"]);
    let (node, nats, nginx) =
        (said_by("node", &["--version"]), said_by("nats-server", &["--version"]), said_by("nginx", &["-v"]));
    let command: Vec<String> = std::env::args().skip(1).collect();
    format!(
        "# The machine\n\n| | |\n|---|---|\n| CPU | {cpu}, {cores} cores |\n| memory | {memory} |\n\
         | kernel | Linux {} |\n| Rust | {rust} |\n| Fanwire | {revision} |\n| Node | {node} |\n| NATS | {nats} |\n\
         | nginx | {nginx} |\n| arguments | {} |\n\n\
         Bun, Node ws and tokio-tungstenite are of the versions that their lock files in `benches/peers` name.\n",
        kernel.trim(),
        command.join(" ")
    )
}

/// What follows the colon.
fn first_line_of(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).and_then(|line| line.split_once(':'));
    line.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new(program).args(arguments).env("PATH", format!("{path}:/usr/sbin")).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| {
            let said = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&said).trim().to_owned()
        },
    )
}
