//! How series compare, metric by metric.

use crate::bootstrap::{Estimate, median, paired_ratio, unpaired_ratio};
use crate::percentile::Latency;
use crate::record::{Ratio, Repeat, Series};

/// What is taken of a repeat; none when it was not measured.
pub type Figure = fn(&Repeat) -> Option<f64>;

/// What is compared, by the name that its ratio has.
pub const METRICS: [(&str, Figure); 4] = [
    ("p50", |repeat| repeat.p50_ns.map(Latency::nanoseconds)),
    ("p99", |repeat| repeat.p99_ns.map(Latency::nanoseconds)),
    ("bytes", |repeat| repeat.ip_bytes_per_delivery),
    ("cpu", |repeat| repeat.cpu_ns_per_delivery),
];

/// Each series against the first one, repeat by repeat.
pub fn to_the_first(series: &[Series], seed: u64) -> Vec<Ratio> {
    let Some((baseline, others)) = series.split_first() else { return Vec::new() };
    let of = |one: &Series, (metric, figure): (&str, Figure)| {
        let (values, of_baseline) = figures(one, figure).zip(figures(baseline, figure))?;
        let pairs: Vec<_> = values.into_iter().zip(of_baseline).collect();
        Some(ratio(&one.name, metric, paired_ratio(&pairs, seed)?))
    };
    others.iter().flat_map(|one| METRICS.into_iter().filter_map(move |metric| of(one, metric))).collect()
}

/// A series of another record against the one of the same name: their repeats have nothing in common but that.
pub fn to_another(first: &Series, second: &Series, metric: (&str, Figure), seed: u64) -> Option<Ratio> {
    let (name, figure) = metric;
    let (baseline, values) = figures(first, figure).zip(figures(second, figure))?;
    Some(ratio(&first.name, name, unpaired_ratio(&values, &baseline, seed)?))
}

/// What a ratio to another record is of: the median of the repeats, which may be infinite.
pub fn typical(series: &Series, figure: Figure) -> Option<f64> {
    figures(series, figure).filter(|values| !values.is_empty()).map(median)
}

/// Of all repeats; none if one of them has it not: what the others have is not what was measured.
fn figures(series: &Series, figure: Figure) -> Option<Vec<f64>> {
    series.repeats.iter().map(figure).collect()
}

fn ratio(series: &str, metric: &str, estimate: Estimate) -> Ratio {
    let Estimate { median, interval } = estimate;
    Ratio { series: series.to_owned(), metric: metric.to_owned(), median, interval }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Usage;
    use crate::tally::Tally;

    fn series(name: &str, p99s: &[Latency]) -> Series {
        let repeat = |&p99: &Latency| Repeat {
            p50_ns: Some(Latency::Finite(1_000)),
            p99_ns: Some(p99),
            ip_bytes_per_delivery: Some(100.0),
            ..Repeat::default()
        };
        Series {
            name: name.to_owned(),
            transport: name.to_owned(),
            rate: 1.0,
            connections: 1,
            size: 20,
            merged: Tally::new(1).measured(None, Usage::default(), 1),
            repeats: p99s.iter().map(repeat).collect(),
        }
    }

    fn metrics(ratios: &[Ratio]) -> Vec<&str> {
        ratios.iter().map(|ratio| ratio.metric.as_str()).collect()
    }

    #[test]
    fn one_infinite_repeat_leaves_no_ratio_of_its_metric() {
        let finite = [Latency::Finite(9_000); 7];
        let mut once_infinite = finite;
        once_infinite[3] = Latency::Infinite;
        let [ws, sse, lossy] = [("ws", finite), ("sse", finite), ("lossy", once_infinite)]
            .map(|(name, p99s)| series(name, &p99s));
        assert_eq!(metrics(&to_the_first(&[ws.clone(), sse.clone()], 1)), ["p50", "p99", "bytes"]);
        assert_eq!(metrics(&to_the_first(&[ws.clone(), lossy.clone()], 1)), ["p50", "bytes"]);
        assert_eq!(metrics(&to_the_first(&[lossy.clone(), ws.clone()], 1)), ["p50", "bytes"]);
        assert!(to_another(&ws, &sse, METRICS[1], 1).is_some());
        assert_eq!(to_another(&ws, &lossy, METRICS[1], 1), None);
        assert_eq!(to_another(&lossy, &ws, METRICS[1], 1), None);
    }

    #[test]
    fn without_a_delivery_there_is_no_figure_for_each_and_no_ratio() {
        let (ws, mut mute) = (series("ws", &[Latency::Infinite; 7]), series("mute", &[Latency::Infinite; 7]));
        mute.repeats[0].ip_bytes_per_delivery = None;
        assert_eq!(metrics(&to_the_first(&[ws, mute], 1)), ["p50"]);
    }
}
