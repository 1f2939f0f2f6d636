//! The report in a terminal.

use crate::record::Record;

use super::sheet::Sheet;
use super::text::{Emphasis, Terminal};
use super::{kaazing, summary};

/// The report as text: the verdict first, and each reason against it; then the figures; then the ratios; then
/// what tells how far to trust them; then the famous table, where that was measured.
pub fn table(record: &Record, terminal: Terminal) -> String {
    let mut out = verdict(record, terminal);
    out.push_str(&terminal.wrap(&format!("{}: {}", record.command, summary::asked(record)), 2));
    if let Some(connecting) = &record.connecting {
        section(&mut out, terminal, "", &summary::connecting(connecting));
    }
    section(&mut out, terminal, "", &summary::main(record));
    if record.series.iter().any(|series| series.merged.counts.lost > 0) {
        let note = "What was lost counts as infinite above; of what was delivered:";
        section(&mut out, terminal, note, &summary::delivered_only(record));
    }
    section(&mut out, terminal, summary::SLOW_NOTE, &summary::slow(record));
    for knee in summary::knees(record) {
        out.push('\n');
        out.push_str(&terminal.wrap(&knee, 0));
    }
    let baseline = format!("ratio to {}", summary::baseline(record));
    let note = "Medians of the paired ratios of the repeats, with their 95 % intervals (six repeats or more have one):";
    section(&mut out, terminal, note, &summary::ratios(&baseline, &record.ratios));
    section(&mut out, terminal, "How far to trust it:", &summary::trust(record));
    if let Some(famous) = kaazing::Table::wanted(record) {
        out.push('\n');
        out.push_str(&famous.text(terminal));
    }
    out
}

/// The verdict, and a line for each reason.
pub fn verdict(record: &Record, terminal: Terminal) -> String {
    let emphasis = if record.verdict.is_valid() { Emphasis::Good } else { Emphasis::Bad };
    let mut out = terminal.paint(emphasis, &summary::verdict(record)) + "\n";
    for reason in &record.verdict.reasons {
        let series = reason.series.as_deref().unwrap_or("all series");
        out.push_str(&terminal.wrap(&format!("- {series}: {}", reason.explanation), 2));
    }
    out
}

/// A table under its heading; nothing when it says nothing.
pub(super) fn section(out: &mut String, terminal: Terminal, heading: &str, sheet: &Sheet) {
    if sheet.is_empty() {
        return;
    }
    out.push('\n');
    if !heading.is_empty() {
        out.push_str(&terminal.paint(Emphasis::Heading, terminal.wrap(heading, 0).trim_end()));
        out.push('\n');
    }
    out.push_str(&terminal.sheet(sheet));
}
