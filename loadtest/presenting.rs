//! What comes of a record: files, a table, and how the process ends.

use std::error::Error;
use std::fmt;
use std::fs;
use std::io::{self, IsTerminal, Write, stderr, stdout};
use std::path::{Path, PathBuf};

use crate::cli::{Exit, Output};
use crate::interruption;
use crate::record::Record;
use crate::report::{self, Terminal, hgrm, json};
use crate::threshold::Threshold;

/// A file that cannot be written.
#[derive(Debug)]
pub struct WriteError {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write {}: {}", self.path.display(), self.error)
    }
}

impl Error for WriteError {}

/// Makes sure that what is wanted can be written, before anything is measured for it.
pub fn prepare(output: &Output) -> Result<(), WriteError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| WriteError { path, error }
    };
    for path in [&output.json, &output.html].into_iter().flatten() {
        interruption::create(path).map_err(at(path))?;
    }
    output.hgrm.iter().try_for_each(|folder| fs::create_dir_all(folder).map_err(at(folder)))
}

/// Shows a record, writes what is wanted of it, and says how the process ends.
pub fn present(record: &Record, output: &Output) -> Result<Exit, WriteError> {
    let terminal = terminal();
    say(&if output.quiet { report::verdict(record, terminal) } else { report::table(record, terminal) });
    write_files(record, output)?;
    if let (Some(path), false) = (&output.html, output.quiet) {
        say(&format!("\nThe report, with plots: {}\n", path.display()));
    }
    Ok(judge(record, &output.thresholds))
}

fn write_files(record: &Record, output: &Output) -> Result<(), WriteError> {
    if let Some(path) = &output.json {
        write(path, &json::write(record))?;
    }
    if let Some(folder) = &output.hgrm {
        hgrm::write_all(record, folder).map_err(|error| WriteError { path: folder.clone(), error })?;
    }
    if let Some(path) = &output.html {
        write(path, &report::html(record))?;
    }
    Ok(())
}

/// Writes a file.
pub fn write(path: &Path, text: &str) -> Result<(), WriteError> {
    fs::write(path, text).map_err(|error| WriteError { path: path.to_owned(), error })
}

/// How the process ends: what cannot be trusted can hold no threshold either.
fn judge(record: &Record, thresholds: &[Threshold]) -> Exit {
    let failures: Vec<_> = thresholds.iter().flat_map(|threshold| threshold.check(record)).collect();
    for failure in &failures {
        say(&format!("{failure}\n"));
    }
    match (record.verdict.is_valid(), failures.is_empty()) {
        (false, _) => Exit::Invalid,
        (true, false) => Exit::ThresholdFailed,
        (true, true) => Exit::Success,
    }
}

/// Whoever reads it may have seen enough: a closed pipe is no failure.
pub fn say(text: &str) {
    let _ = stdout().write_all(text.as_bytes());
}

/// What is not of the result. There may be nobody to hear it.
pub fn warn(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// What standard output is.
pub fn terminal() -> Terminal {
    let shows_colours = stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // The width of the terminal, if it is one and knows it.
    let width = comfy_table::Table::new().width().filter(|&width| width > 0);
    Terminal { width, colours: shows_colours }
}
