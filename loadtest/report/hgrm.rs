//! Percentile distributions as the plotters of `HdrHistogram` read them.
//!
//! Four columns, and a footer of lines that begin with `#` (`HdrHistogram`, `outputPercentileDistribution`).
//! Values are in milliseconds, which the last line says. A distribution is that of what was delivered: the
//! format has no way to write infinity.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use hdrhistogram::Histogram;

use crate::record::{Latencies, Record};

/// Nanoseconds in the unit of the files.
const UNIT_NS: f64 = 1e6;

/// Lines for each halving of the distance to 100 %: what `HdrHistogram` writes.
const TICKS_PER_HALVING: u32 = 5;

/// Writes one file for each series and kind of latency that has values, and says which. The directory is made
/// if it is not there.
pub fn write_all(record: &Record, directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    let mut written = Vec::new();
    for series in &record.series {
        for (kind, histogram) in kinds(&series.merged.latencies) {
            if histogram.is_empty() {
                continue;
            }
            let path = unused(directory, &format!("{}.{kind}", file_name(&series.name)), &written);
            fs::write(&path, distribution(histogram))?;
            written.push(path);
        }
    }
    Ok(written)
}

/// One distribution.
pub fn distribution(histogram: &Histogram<u64>) -> String {
    let mut out =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut below = 0;
    for tick in histogram.iter_quantiles(TICKS_PER_HALVING) {
        below += tick.count_since_last_iteration();
        let value = tick.value_iterated_to() as f64 / UNIT_NS;
        let quantile = tick.quantile_iterated_to();
        let inverse =
            if quantile < 1.0 { format!(" {:14.2}", 1.0 / (1.0 - quantile)) } else { String::new() };
        let _ = writeln!(out, "{value:12.3} {quantile:14.12} {below:10}{inverse}");
    }
    footer(&mut out, histogram);
    out
}

/// What stands behind the lines.
fn footer(out: &mut String, histogram: &Histogram<u64>) {
    let (mean, deviation) = (histogram.mean() / UNIT_NS, histogram.stdev() / UNIT_NS);
    let (max, total) = (histogram.max() as f64 / UNIT_NS, histogram.len());
    let (buckets, sub_buckets) =
        (histogram.buckets(), (2 * 10_u64.pow(histogram.sigfig().into())).next_power_of_two());
    let _ = writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]");
    let _ = writeln!(out, "#[Max     = {max:12.3}, Total count    = {total:12}]");
    let _ = writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub_buckets:12}]");
    let _ = writeln!(out, "#[Unit    = {:>12}]", "ms");
}

/// The latencies, by what their files are called.
fn kinds(latencies: &Latencies) -> [(&'static str, &Histogram<u64>); 4] {
    [
        ("end-to-end", &latencies.end_to_end),
        ("service", &latencies.service),
        ("schedule-lag", &latencies.schedule_lag),
        ("receive-lag", &latencies.receive_lag),
    ]
}

/// A series' name as part of a file's, on any file system: `poll-100ms`.
fn file_name(series: &str) -> String {
    let safe = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '@' | '+');
    series.chars().map(|letter| if safe(letter) { letter } else { '-' }).collect()
}

/// A path that none of the others has: names that differ in what a file's cannot have must not overwrite each
/// other.
fn unused(directory: &Path, stem: &str, written: &[PathBuf]) -> PathBuf {
    let numbered = (2..).map(|number| format!("{stem}-{number}.hgrm"));
    let mut candidates =
        [format!("{stem}.hgrm")].into_iter().chain(numbered).map(|name| directory.join(name));
    candidates.find(|path| !written.contains(path)).expect("numbers do not end")
}
