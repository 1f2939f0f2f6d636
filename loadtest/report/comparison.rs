//! Two records, one beside the other.

use crate::ratios::{METRICS, to_another};
use crate::record::{Ratio, Record, Series};

use super::table::section;
use super::text::{Emphasis, Terminal};
use super::{figures, html, settings, summary};

/// How a second record compares with a first.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What the first and the second are: a line each.
    pub sides: [String; 2],
    /// For each series that both have, the second's median divided by the first's.
    pub ratios: Vec<Ratio>,
    /// What makes them hard to compare: a sentence each.
    pub warnings: Vec<String>,
}

impl Comparison {
    /// Compares two records. The same two give the same intervals.
    pub fn of(first: &Record, second: &Record) -> Self {
        let seed = first.configuration.seed ^ second.configuration.seed.rotate_left(32);
        let mut warnings = differences(first, second);
        warnings.extend(lonely("first", first, second).into_iter().chain(lonely("second", second, first)));
        let mut ratios = Vec::new();
        for series in &first.series {
            if let Some(other) = second.series.iter().find(|other| other.name == series.name) {
                compare(series, other, seed, &mut ratios, &mut warnings);
            }
        }
        Self { sides: [side("first", first), side("second", second)], ratios, warnings }
    }

    /// As text: what is compared, what to beware of, then the ratios.
    pub fn text(&self, terminal: Terminal) -> String {
        let mut out: String = self.sides.iter().map(|side| terminal.wrap(side, 2)).collect();
        for warning in &self.warnings {
            let line = terminal.wrap(&format!("warning: {warning}"), 2);
            out.push_str(&terminal.paint(Emphasis::Bad, line.trim_end()));
            out.push('\n');
        }
        let heading =
            "The second divided by the first, with 95 % intervals over their repeats (six or more have one):";
        section(&mut out, terminal, heading, &summary::ratios("series", &self.ratios));
        out
    }

    /// As one page, readable without a network.
    pub fn html(&self) -> String {
        html::of_two(self)
    }
}

/// The ratios of one series. What neither has measured needs no warning.
fn compare(first: &Series, second: &Series, seed: u64, ratios: &mut Vec<Ratio>, warnings: &mut Vec<String>) {
    for metric in METRICS {
        let (name, figure) = metric;
        let is_measured = |series: &Series| series.repeats.iter().any(|repeat| figure(repeat).is_some());
        match to_another(first, second, metric, seed) {
            Some(ratio) => ratios.push(ratio),
            None if is_measured(first) || is_measured(second) => {
                warnings.push(format!("{}: {name} has no finite value in a repeat.", first.name));
            }
            None => {}
        }
    }
}

/// What a record is, in a line.
fn side(which: &str, record: &Record) -> String {
    let (moment, verdict) = (figures::moment(record.started_unix_ms), summary::verdict(record));
    format!("{which}: {moment}, {}, {verdict}: {}", record.command, summary::asked(record))
}

/// What differs between the records besides what was measured. The seed may: repeats are of chance anyway.
fn differences(first: &Record, second: &Record) -> Vec<String> {
    let mut found = Vec::new();
    for (which, record) in [("first", first), ("second", second)] {
        if !record.verdict.is_valid() {
            found.push(format!("The {which} record is invalid."));
        }
    }
    let settings = |record: &Record| {
        let mut all = vec![("command".to_owned(), record.command.clone())];
        all.extend(settings::configuration(&record.configuration));
        all.extend(settings::environment(&record.environment));
        all
    };
    let (first, second) = (settings(first), settings(second));
    let missing = "nothing".to_owned();
    let names = first.iter().chain(second.iter().filter(|(name, _)| value(&first, name).is_none()));
    for (name, _) in names {
        let [a, b] = [&first, &second].map(|all| value(all, name).unwrap_or(&missing));
        if a != b {
            found.push(format!("They differ in {name}: {a} in the first, {b} in the second."));
        }
    }
    found
}

/// The series that only one of the records has.
fn lonely(which: &str, record: &Record, other: &Record) -> Option<String> {
    let missing = |series: &&Series| other.series.iter().all(|other| other.name != series.name);
    let names: Vec<&str> = record.series.iter().filter(missing).map(|series| series.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("Only the {which} record has {}.", names.join(", ")))
}

/// The value of a setting.
fn value<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a String> {
    settings.iter().find(|(other, _)| other == name).map(|(_, value)| value)
}
