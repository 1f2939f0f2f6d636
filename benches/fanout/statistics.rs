//! Medians, and how far they can be trusted.

use std::collections::BTreeMap;

use crate::sample::Series;

/// Resamplings behind an interval.
const RESAMPLINGS: usize = 5_000;

/// A figure and the interval that holds it in 95 of 100 runs like this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// What an estimate says of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The interval spans the bound.
    Inconclusive,
}

/// The estimate of `a / b`, of the moments that have both: what moved the machine then moved both of them.
pub(crate) fn ratio(a: &Series, b: &Series) -> Option<Estimate> {
    estimate(&paired(a, b, |a, b| a / b))
}

/// The estimate of `a - b`, of the moments that have both.
pub(crate) fn difference(a: &Series, b: &Series) -> Option<Estimate> {
    estimate(&paired(a, b, |a, b| a - b))
}

fn paired(a: &Series, b: &Series, combine: impl Fn(f64, f64) -> f64) -> Series {
    a.iter().filter_map(|(moment, a)| Some((*moment, combine(*a, *b.get(moment)?)))).collect()
}

/// The estimate of a figure: the median of the rounds, with the middle 95 % of the medians of resampled rounds. A round
/// counts as the median of its slices, which are too near to each other to count for themselves. `None` where there is
/// no value.
pub(crate) fn estimate(values: &Series) -> Option<Estimate> {
    let mut rounds: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for ((round, _), value) in values {
        rounds.entry(*round).or_default().push(*value);
    }
    let rounds: Vec<f64> = rounds.values_mut().filter_map(|slices| median(slices)).collect();
    let median_of_rounds = median(&mut rounds.clone())?;
    let mut random = fastrand::Rng::with_seed(0);
    let mut resample = || {
        let resampled = rounds.iter().filter_map(|_| random.choice(&rounds).copied());
        median(&mut resampled.collect::<Vec<_>>())
    };
    let mut medians: Vec<f64> = (0..RESAMPLINGS).filter_map(|_| resample()).collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: usize| medians[(medians.len() - 1) * share / 1_000];
    Some(Estimate { median: median_of_rounds, low: at(25), high: at(975) })
}

/// The median; of an even number of values, the middle of the two in the middle.
fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

impl Estimate {
    pub(crate) fn is_at_least(&self, bound: f64) -> Verdict {
        verdict(self.low >= bound, self.high < bound)
    }

    pub(crate) fn is_at_most(&self, bound: f64) -> Verdict {
        verdict(self.high <= bound, self.low > bound)
    }
}

fn verdict(met: bool, missed: bool) -> Verdict {
    match (met, missed) {
        (true, _) => Verdict::Met,
        (_, true) => Verdict::Missed,
        _ => Verdict::Inconclusive,
    }
}

/// Checks the statistics against values whose answer is known: a harness has no unit tests of its own.
pub(crate) fn check() {
    let series =
        |values: &[f64]| values.iter().enumerate().map(|(round, value)| ((round, 0), *value)).collect();
    let (noisy, twice): (Series, Series) = (series(&[1.0, 9.0, 3.0, 5.0]), series(&[2.0, 18.0, 6.0, 10.0]));
    assert_eq!(
        ratio(&twice, &noisy),
        Some(Estimate { median: 2.0, low: 2.0, high: 2.0 }),
        "pairs cancel noise"
    );
    let spread = estimate(&noisy).expect("four values");
    assert!(
        (spread.median - 4.0).abs() < f64::EPSILON && spread.low < 3.0 && spread.high > 5.0,
        "{spread:?}"
    );
    assert_eq!(spread.is_at_least(4.0), Verdict::Inconclusive);
    assert_eq!((spread.is_at_least(0.5), spread.is_at_most(0.5)), (Verdict::Met, Verdict::Missed));
    assert_eq!(ratio(&noisy, &Series::new()), None);
    let slices: Series = [((0, 0), 1.0), ((0, 1), 2.0), ((0, 2), 9.0)].into();
    assert_eq!(
        estimate(&slices),
        Some(Estimate { median: 2.0, low: 2.0, high: 2.0 }),
        "one round is one value"
    );
}
