//! Medians, and how far they can be trusted.

use std::collections::BTreeMap;

use crate::sample::Series;

/// Fewer rounds than this have no interval that could be trusted.
const LEAST_ROUNDS: usize = 6;

/// Resamplings behind an interval.
const RESAMPLINGS: usize = 5_000;

/// A figure and the interval that holds it in 95 of 100 runs like this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    rounds: usize,
}

/// What an estimate says of a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    /// The interval spans the bound, or there are too few rounds for one.
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
    Some(Estimate { median: median_of_rounds, low: at(25), high: at(975), rounds: rounds.len() })
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
        self.verdict(self.low >= bound, self.high < bound)
    }

    pub(crate) fn is_at_most(&self, bound: f64) -> Verdict {
        self.verdict(self.high <= bound, self.low > bound)
    }

    fn verdict(&self, met: bool, missed: bool) -> Verdict {
        match (met, missed) {
            _ if self.rounds < LEAST_ROUNDS => Verdict::Inconclusive,
            (true, _) => Verdict::Met,
            (_, true) => Verdict::Missed,
            _ => Verdict::Inconclusive,
        }
    }
}

/// Checks the statistics against values whose answer is known: a harness has no unit tests of its own.
pub(crate) fn check() {
    let series =
        |values: &[f64]| values.iter().enumerate().map(|(round, value)| ((round, 0), *value)).collect();
    let noisy: Series = series(&[1.0, 9.0, 3.0, 5.0, 2.0, 8.0]);
    let twice: Series = noisy.iter().map(|(moment, value)| (*moment, 2.0 * value)).collect();
    let (spread, cancelled) = (estimate(&noisy).expect("values"), ratio(&twice, &noisy).expect("pairs"));
    let all_of = |estimate: &Estimate| [estimate.low, estimate.median, estimate.high];
    assert!(all_of(&cancelled).iter().all(|value| (value - 2.0).abs() < 1e-9), "pairs cancel noise");
    assert!((spread.median - 4.0).abs() < 1e-9 && spread.low < 3.0 && spread.high > 5.0, "{spread:?}");
    assert_eq!(spread.is_at_least(4.0), Verdict::Inconclusive);
    assert_eq!((spread.is_at_least(0.5), spread.is_at_most(0.5)), (Verdict::Met, Verdict::Missed));
    assert!(ratio(&noisy, &Series::new()).is_none());
    let slices: Series = [((0, 0), 1.0), ((0, 1), 2.0), ((0, 2), 9.0)].into();
    let one_round = estimate(&slices).expect("values");
    assert!(all_of(&one_round).iter().all(|value| (value - 2.0).abs() < 1e-9), "one round is one value");
    assert_eq!(one_round.is_at_least(0.5), Verdict::Inconclusive, "and proves nothing");
}
