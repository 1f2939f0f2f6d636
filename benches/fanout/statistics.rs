//! Medians, and how far they can be trusted.

use std::collections::BTreeMap;

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

/// The estimate of a figure by its values in each round; `None` where there is none.
pub(crate) fn estimate(values: &BTreeMap<usize, f64>) -> Option<Estimate> {
    bootstrap(&values.values().copied().collect::<Vec<_>>())
}

/// The estimate of `a / b`, of the rounds that have both: what moved the machine in a round moved both of them.
pub(crate) fn ratio(a: &BTreeMap<usize, f64>, b: &BTreeMap<usize, f64>) -> Option<Estimate> {
    paired(a, b, |a, b| a / b)
}

/// The estimate of `a - b`, of the rounds that have both.
pub(crate) fn difference(a: &BTreeMap<usize, f64>, b: &BTreeMap<usize, f64>) -> Option<Estimate> {
    paired(a, b, |a, b| a - b)
}

fn paired(
    a: &BTreeMap<usize, f64>,
    b: &BTreeMap<usize, f64>,
    combine: impl Fn(f64, f64) -> f64,
) -> Option<Estimate> {
    let pairs = a.iter().filter_map(|(round, a)| Some(combine(*a, *b.get(round)?)));
    bootstrap(&pairs.collect::<Vec<_>>())
}

/// The median, with the middle 95 % of the medians of resampled rounds.
fn bootstrap(values: &[f64]) -> Option<Estimate> {
    let median_of_values = median(&mut values.to_vec())?;
    let mut random = fastrand::Rng::with_seed(0);
    let mut medians: Vec<f64> = (0..RESAMPLINGS)
        .filter_map(|_| {
            let mut resampled: Vec<f64> =
                values.iter().filter_map(|_| random.choice(values)).copied().collect();
            median(&mut resampled)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    let at = |share: usize| medians[(medians.len() - 1) * share / 1_000];
    Some(Estimate { median: median_of_values, low: at(25), high: at(975) })
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
    let series = |values: &[f64]| values.iter().copied().enumerate().collect::<BTreeMap<_, _>>();
    let (noisy, twice) = (series(&[1.0, 9.0, 3.0, 5.0]), series(&[2.0, 18.0, 6.0, 10.0]));
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
    assert_eq!(ratio(&noisy, &BTreeMap::new()), None);
}
