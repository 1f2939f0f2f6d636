//! Two records, one beside the other.

use std::error::Error;
use std::fmt;

use crate::ratios::{METRICS, to_another, typical};
use crate::record::{Connecting, Ratio, Record, Series};

use super::sheet::Sheet;
use super::table::section;
use super::text::{Emphasis, Terminal};
use super::{figures, html, settings, summary};

/// How a second record compares with a first.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What the first and the second are: a line each.
    pub sides: [String; 2],
    /// What both have measured.
    pub figures: Vec<Pair>,
    /// For each series that both have, the second's median divided by the first's.
    pub ratios: Vec<Ratio>,
    /// What both have measured of connecting, if they have.
    pub connecting: Option<[Connecting; 2]>,
    /// What makes them hard to compare: a sentence each.
    pub warnings: Vec<String>,
}

/// A figure of a series in both records: the median of its repeats.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The series.
    pub series: String,
    /// What it is: one of [`METRICS`].
    pub metric: &'static str,
    /// In the first record and in the second, in nanoseconds or octets; none where a repeat has none.
    pub values: [Option<f64>; 2],
}

/// Two records that have nothing in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomparable {
    /// What the first and the second have.
    there: [String; 2],
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second] = &self.there;
        write!(
            f,
            "there is nothing to compare: the first record has {first}, the second {second}; give two of the same command"
        )
    }
}

impl Error for Incomparable {}

impl Comparison {
    /// Compares two records, which must have a series in common, or both have measured connecting. The same two give the same
    /// intervals.
    pub fn of(first: &Record, second: &Record) -> Result<Self, Incomparable> {
        let seed = first.configuration.seed ^ second.configuration.seed.rotate_left(32);
        let in_common: Vec<(&Series, &Series)> =
            first.series.iter().filter_map(|series| Some((series, named(second, &series.name)?))).collect();
        let connecting = first.connecting.zip(second.connecting).map(|(one, other)| [one, other]);
        if in_common.is_empty() && connecting.is_none() {
            return Err(Incomparable { there: [first, second].map(what_there_is) });
        }
        let mut warnings = differences(first, second);
        warnings.extend(lonely("first", first, second).into_iter().chain(lonely("second", second, first)));
        let (mut pairs, mut ratios) = (Vec::new(), Vec::new());
        for (series, other) in in_common {
            pairs.extend(METRICS.map(|(metric, figure)| Pair {
                series: series.name.clone(),
                metric,
                values: [series, other].map(|series| typical(series, figure)),
            }));
            compare(series, other, seed, &mut ratios, &mut warnings);
        }
        let sides = [side("first", first), side("second", second)];
        Ok(Self { sides, figures: pairs, ratios, connecting, warnings })
    }

    /// As text: what is compared, what to beware of, then both figures with their ratio.
    pub fn text(&self, terminal: Terminal) -> String {
        let mut out: String = self.sides.iter().map(|side| terminal.wrap(side, 2)).collect();
        for warning in &self.warnings {
            let line = terminal.wrap(&format!("warning: {warning}"), 2);
            out.push_str(&terminal.paint(Emphasis::Bad, line.trim_end()));
            out.push('\n');
        }
        section(&mut out, terminal, NOTE, &self.sheet());
        section(&mut out, terminal, CONNECTING_NOTE, &self.connecting_sheet());
        out
    }

    /// The series that both have, with both figures and the second divided by the first.
    pub(super) fn sheet(&self) -> Sheet {
        summary::pairs(&self.figures, &self.ratios)
    }

    /// What both have measured of connecting; empty if they have not.
    pub(super) fn connecting_sheet(&self) -> Sheet {
        self.connecting.as_ref().map_or_else(|| Sheet::new("", []), summary::connecting_pair)
    }

    /// As one page, readable without a network.
    pub fn html(&self) -> String {
        html::of_two(self)
    }
}

/// What the table of two records is.
pub(super) const NOTE: &str = "Both, as medians of their repeats, and the second divided by the first, with 95 % intervals over the \
    repeats; these take six repeats of each:";

/// What the table of two records of connecting is.
pub(super) const CONNECTING_NOTE: &str =
    "Of one run each, so that nothing says how much of a difference is chance:";

fn named<'r>(record: &'r Record, name: &str) -> Option<&'r Series> {
    record.series.iter().find(|series| series.name == name)
}

/// What a record has measured, for a sentence.
fn what_there_is(record: &Record) -> String {
    let names: Vec<&str> = record.series.iter().map(|series| series.name.as_str()).collect();
    match (names.as_slice(), &record.connecting) {
        ([], Some(_)) => "connecting".to_owned(),
        ([], None) => "nothing".to_owned(),
        (names, _) => names.join(", "),
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
        all.extend(settings::configuration(record));
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
    let missing = |series: &&Series| named(other, &series.name).is_none();
    let names: Vec<&str> = record.series.iter().filter(missing).map(|series| series.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("Only the {which} record has {}.", names.join(", ")))
}

/// The value of a setting.
fn value<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a String> {
    settings.iter().find(|(other, _)| other == name).map(|(_, value)| value)
}
