//! How far a ratio can be trusted: the 95 % interval of a percentile bootstrap.

use fastrand::Rng;

/// Resamples that an interval is made from.
const RESAMPLES: usize = 10_000;

/// Pairs below which an interval would say nothing: of two, every second resample is one pair alone.
const FEWEST: usize = 3;

/// A median, and where 95 % of the resampled medians lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval; none of fewer than three values.
    pub interval: Option<(f64, f64)>,
}

/// The median ratio of pairs that were measured side by side: each is (of the one, of the baseline). None without a pair that
/// has a ratio.
pub fn paired_ratio(pairs: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    let mut ratios: Vec<f64> =
        pairs.iter().map(|(one, baseline)| one / baseline).filter(|ratio| ratio.is_finite()).collect();
    if ratios.is_empty() {
        return None;
    }
    let mut rng = Rng::with_seed(seed);
    let interval = (ratios.len() >= FEWEST).then(|| {
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                median(&mut (0..ratios.len()).map(|_| ratios[rng.usize(..ratios.len())]).collect::<Vec<_>>())
            })
            .collect();
        medians.sort_unstable_by(f64::total_cmp);
        (medians[RESAMPLES / 40], medians[RESAMPLES - 1 - RESAMPLES / 40])
    });
    Some(Estimate { median: median(&mut ratios), interval })
}

/// The median, which puts the values in order. There must be one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut rng = Rng::with_seed(3);
        let mut noise = || 1.0 + 0.2 * (rng.f64() + rng.f64() + rng.f64() - 1.5);
        let held = (0..200)
            .filter(|&seed| {
                let pairs: Vec<_> = (0..15).map(|_| (2.0 * noise(), 1.0)).collect();
                let (low, high) = paired_ratio(&pairs, seed).unwrap().interval.unwrap();
                (low..high).contains(&2.0)
            })
            .count();
        assert!((175..=200).contains(&held), "{held} of 200 intervals hold it");
    }

    #[test]
    fn what_moves_both_of_a_pair_does_not_move_the_ratio() {
        let pairs = [(2.0, 1.0), (200.0, 100.0), (0.2, 0.1)];
        assert_eq!(paired_ratio(&pairs, 1), Some(Estimate { median: 2.0, interval: Some((2.0, 2.0)) }));
    }

    #[test]
    fn few_pairs_have_no_interval_and_none_no_ratio() {
        assert_eq!(
            paired_ratio(&[(1.0, 2.0), (1.5, 2.0)], 1),
            Some(Estimate { median: 0.625, interval: None })
        );
        assert_eq!(paired_ratio(&[], 1), None);
        assert_eq!(paired_ratio(&[(1.0, 0.0)], 1), None);
    }
}
