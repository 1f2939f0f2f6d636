//! `compare` and `pubsub`: series that are measured side by side.

use std::path::PathBuf;
use std::time::SystemTime;

use fanwire::listener::raise_file_limit;

use super::CommandError;
use crate::campaign::{Campaign, Entry};
use crate::cli::{self, Compare, Exit, Output, Pubsub};
use crate::presenting::{prepare, present};
use crate::progress::Progress;
use crate::record::Record;
use crate::recording::Asked;
use crate::session::Session;
use crate::transport::Transport;
use crate::workload::Workload;

/// Where a comparison's page is written if nothing else is said.
const PAGE: &str = "loadtest.html";

/// One workload over several transports.
pub(super) fn compare(request: &Compare) -> Result<Exit, CommandError> {
    let entry = |&transport: &Transport| Entry {
        name: transport.to_string(),
        transport,
        workload: request.workload.clone(),
    };
    let asked = asked(request.arguments(), &request.server, &request.workload, request.measuring);
    let entries = request.transports.iter().map(entry).collect();
    let mut output = request.output.clone();
    output.html.get_or_insert_with(|| PathBuf::from(PAGE));
    let record = measure(asked, entries, &output)?;
    Ok(present(&record, &output)?)
}

/// One workload over one transport.
pub(super) fn pubsub(request: &Pubsub) -> Result<Exit, CommandError> {
    let Pubsub { workload, transport, server, measuring, output } = request;
    let entry = Entry { name: transport.to_string(), transport: *transport, workload: workload.clone() };
    let record = measure(asked(request.arguments(), server, workload, *measuring), vec![entry], output)?;
    Ok(present(&record, output)?)
}

pub(super) fn asked<'a>(
    arguments: Vec<String>,
    server: &'a cli::Server,
    workload: &'a Workload,
    measuring: cli::Measuring,
) -> Asked<'a> {
    Asked { arguments, server, workload, measuring, started: SystemTime::now() }
}

fn measure(asked: Asked<'_>, entries: Vec<Entry>, output: &Output) -> Result<Record, CommandError> {
    prepare(output)?;
    raise_file_limit()?;
    let transports: Vec<_> = entries.iter().map(|entry| entry.transport).collect();
    let session = Session::new(asked.server, &transports)?;
    let cli::Measuring { repeats, seed } = asked.measuring;
    let progress = Progress::new(repeats * entries.len(), output.quiet);
    let results = Campaign { entries, repeats, seed }.run(&session, &progress)?;
    Ok(asked.record(&session, results))
}
