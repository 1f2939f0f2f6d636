//! Two records, one beside the other.

use crate::record::{Ratio, Record, Repeat, Series};

use super::table::section;
use super::text::{Emphasis, Terminal};
use super::{figures, html, settings, summary};

/// Resamples of the bootstrap: enough for the third digit of a 95 % interval to stand still.
const RESAMPLES: usize = 10_000;

/// What is taken of a repeat, by the name of the metric.
type Metric = (&'static str, fn(&Repeat) -> Option<f64>);

const METRICS: [Metric; 4] = [
    ("p50", |repeat| finite(repeat.p50_ns)),
    ("p99", |repeat| finite(repeat.p99_ns)),
    ("bytes", |repeat| Some(repeat.ip_bytes_per_delivery)),
    ("cpu", |repeat| repeat.cpu_ns_per_delivery),
];

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
        let heading = "The second divided by the first, with 95 % intervals over their repeats:";
        section(&mut out, terminal, heading, &summary::ratios("series", &self.ratios));
        out
    }

    /// As one page, readable without a network.
    pub fn html(&self) -> String {
        html::of_two(self)
    }
}

/// The ratio of the medians of two independent samples, `second` to `first`, and the 95 % interval of its
/// bootstrap: none for fewer than three values on a side. None at all where the ratio would not be a positive
/// number.
pub fn unpaired_ratio(first: &[f64], second: &[f64], seed: u64) -> Option<(f64, Option<(f64, f64)>)> {
    let usable =
        |values: &[f64]| !values.is_empty() && values.iter().all(|value| value.is_finite() && *value > 0.0);
    if !usable(first) || !usable(second) {
        return None;
    }
    let ratio = median(&mut second.to_vec()) / median(&mut first.to_vec());
    if first.len().min(second.len()) < 3 {
        return Some((ratio, None));
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let mut resample = |values: &[f64]| {
        let mut drawn: Vec<f64> = values.iter().map(|_| values[random.usize(..values.len())]).collect();
        median(&mut drawn)
    };
    let mut ratios: Vec<f64> = (0..RESAMPLES).map(|_| resample(second) / resample(first)).collect();
    ratios.sort_by(f64::total_cmp);
    Some((ratio, Some((ratios[RESAMPLES / 40], ratios[RESAMPLES - 1 - RESAMPLES / 40]))))
}

/// The middle one, or the mean of the two in the middle. There is at least one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

/// A latency; none where it falls into the losses.
fn finite(nanoseconds: u64) -> Option<f64> {
    (nanoseconds != u64::MAX).then_some(nanoseconds as f64)
}

/// The ratios of one series. What neither has measured needs no warning.
fn compare(first: &Series, second: &Series, seed: u64, ratios: &mut Vec<Ratio>, warnings: &mut Vec<String>) {
    for (metric, of) in METRICS {
        let values = |series: &Series| series.repeats.iter().map(of).collect::<Option<Vec<f64>>>();
        let ratio = values(first).zip(values(second)).and_then(|(a, b)| unpaired_ratio(&a, &b, seed));
        let measured = |series: &Series| series.repeats.iter().any(|repeat| of(repeat).is_some());
        match ratio {
            Some((median, interval)) => {
                ratios.push(Ratio {
                    series: first.name.clone(),
                    metric: metric.to_owned(),
                    median,
                    interval,
                });
            }
            None if measured(first) || measured(second) => {
                warnings.push(format!("{}: {metric} has no finite value in a repeat.", first.name));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_do_not_overlap_have_an_interval_that_does_not_span_1() {
        let (ratio, interval) =
            unpaired_ratio(&[10.0, 11.0, 12.0, 10.5, 11.5], &[20.0, 22.0, 24.0, 21.0, 23.0], 7)
                .expect("positive");
        assert!((ratio - 2.0).abs() < 1e-9);
        let (low, high) = interval.expect("five repeats");
        assert!(1.6 < low && low <= ratio && ratio <= high && high < 2.4, "{low} {high}");
    }

    #[test]
    fn the_same_sample_twice_spans_1_and_the_same_seed_gives_the_same_interval() {
        let values = [10.0, 14.0, 9.0, 12.0];
        let once = unpaired_ratio(&values, &values, 3).expect("positive");
        let (low, high) = once.1.expect("four repeats");
        assert!(low < 1.0 && 1.0 < high);
        assert_eq!(Some(once), unpaired_ratio(&values, &values, 3));
    }

    #[test]
    fn two_repeats_have_no_interval_and_what_is_no_number_no_ratio() {
        assert_eq!(unpaired_ratio(&[1.0, 3.0], &[4.0, 4.0, 4.0], 1), Some((2.0, None)));
        for bad in [&[] as &[f64], &[0.0], &[f64::INFINITY], &[f64::NAN], &[-1.0]] {
            assert_eq!(unpaired_ratio(bad, &[1.0], 1), None);
            assert_eq!(unpaired_ratio(&[1.0], bad, 1), None);
        }
    }
}
