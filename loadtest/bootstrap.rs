//! How far a ratio can be trusted: the 95 % interval of a percentile bootstrap.

use fastrand::Rng;

/// Resamples that an interval is made from: enough for its third digit to stand still.
const RESAMPLES: usize = 10_000;

/// Values below which there is no interval. The resampled medians of few values are these values again, and where their
/// interval should end there is no value left: of two series that are the same, 24 of 100 would be called different with three
/// repeats, 14 with four, 8 with five. With six it is 6, about the 5 that the interval promises.
pub const FEWEST: usize = 6;

/// A median, and where 95 % of the resampled medians lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The median.
    pub median: f64,
    /// The interval; none of fewer than [`FEWEST`] values.
    pub interval: Option<(f64, f64)>,
}

/// The median ratio of pairs that were measured side by side: each is (of the one, of the baseline). None without pairs, or if
/// the ratio of one is no positive number.
pub fn paired_ratio(pairs: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    paired_ratio_of(RESAMPLES, pairs, seed)
}

/// The ratio of the medians of two samples that were measured apart. None if one of them is empty, or if one of the values is
/// no positive number.
pub fn unpaired_ratio(sample: &[f64], baseline: &[f64], seed: u64) -> Option<Estimate> {
    unpaired_ratio_of(RESAMPLES, sample, baseline, seed)
}

fn paired_ratio_of(resamples: usize, pairs: &[(f64, f64)], seed: u64) -> Option<Estimate> {
    let ratios: Vec<f64> = pairs.iter().map(|(one, baseline)| one / baseline).collect();
    let mut rng = Rng::with_seed(seed);
    let again = || median(resample(&ratios, &mut rng));
    are_positive(&ratios).then(|| Estimate {
        median: median(ratios.clone()),
        interval: (ratios.len() >= FEWEST).then(|| interval(resamples, again)),
    })
}

fn unpaired_ratio_of(resamples: usize, sample: &[f64], baseline: &[f64], seed: u64) -> Option<Estimate> {
    let mut rng = Rng::with_seed(seed);
    let again = || median(resample(sample, &mut rng)) / median(resample(baseline, &mut rng));
    (are_positive(sample) && are_positive(baseline)).then(|| Estimate {
        median: median(sample.to_vec()) / median(baseline.to_vec()),
        interval: (sample.len().min(baseline.len()) >= FEWEST).then(|| interval(resamples, again)),
    })
}

/// Where 95 % of what is drawn again and again lie.
fn interval(resamples: usize, draw: impl FnMut() -> f64) -> (f64, f64) {
    let mut drawn: Vec<f64> = std::iter::repeat_with(draw).take(resamples).collect();
    drawn.sort_unstable_by(f64::total_cmp);
    (drawn[resamples / 40], drawn[resamples - 1 - resamples / 40])
}

/// As many of the values, each drawn from all of them.
fn resample(values: &[f64], rng: &mut Rng) -> Vec<f64> {
    values.iter().map(|_| values[rng.usize(..values.len())]).collect()
}

/// Whether there are values, and all of them are positive numbers.
fn are_positive(values: &[f64]) -> bool {
    !values.is_empty() && values.iter().all(|value| value.is_finite() && *value > 0.0)
}

/// The middle one, or the mean of the two in the middle. There must be one.
pub fn median(mut values: Vec<f64>) -> f64 {
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

    const TRIALS: usize = 100;
    const FEWER_RESAMPLES: usize = 4_000;

    /// How often an interval leaves out the truth, for all numbers of repeats and for series that are the same (then it is called
    /// conclusive, and is not) and that are not.
    fn assert_honest(bootstrap: impl Fn(&[f64], &[f64], u64) -> Option<Estimate>) {
        // The 6 of 100 that six repeats have, and three standard deviations of as many trials.
        let bearable = TRIALS * 6 / 100 + 3 * 3;
        let mut rng = Rng::with_seed(3);
        let mut noise = |middle: f64| middle * (1.0 + 0.2 * (rng.f64() + rng.f64() + rng.f64() - 1.5));
        for (repeats, truth) in
            [FEWEST, 10, 15].into_iter().flat_map(|repeats| [(repeats, 1.0), (repeats, 2.0)])
        {
            let leaves_out = |seed: &usize| {
                let [sample, baseline] =
                    [truth, 1.0].map(|middle| (0..repeats).map(|_| noise(middle)).collect::<Vec<_>>());
                let estimate = bootstrap(&sample, &baseline, *seed as u64).expect("all are positive");
                let (low, high) = estimate.interval.expect("there are enough repeats");
                !(low..=high).contains(&truth)
            };
            let missed = (0..TRIALS).filter(leaves_out).count();
            assert!(
                missed <= bearable,
                "{truth} is left out {missed} times of {TRIALS} with {repeats} repeats"
            );
        }
    }

    fn pairs(sample: &[f64], baseline: &[f64]) -> Vec<(f64, f64)> {
        sample.iter().copied().zip(baseline.iter().copied()).collect()
    }

    #[test]
    fn an_interval_of_pairs_leaves_out_the_truth_no_more_often_than_it_says() {
        assert_honest(|sample, baseline, seed| {
            paired_ratio_of(FEWER_RESAMPLES, &pairs(sample, baseline), seed)
        });
    }

    #[test]
    fn an_interval_of_samples_apart_leaves_out_the_truth_no_more_often_than_it_says() {
        assert_honest(|sample, baseline, seed| unpaired_ratio_of(FEWER_RESAMPLES, sample, baseline, seed));
    }

    #[test]
    fn what_moves_both_of_a_pair_does_not_move_the_ratio() {
        let pairs = [2.0, 200.0, 0.2, 4.0, 6.0, 20.0].map(|value| (value, value / 2.0));
        let Estimate { median, interval } = paired_ratio(&pairs, 1).expect("positive");
        let (low, high) = interval.expect("six pairs");
        assert!([median, low, high].iter().all(|ratio| (ratio - 2.0).abs() < 1e-9));
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let (sample, baseline) = ([5.0, 6.0, 7.0, 8.0, 9.0, 10.0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(unpaired_ratio(&sample, &baseline, 3), unpaired_ratio(&sample, &baseline, 3));
        let (low, high) = unpaired_ratio(&baseline, &baseline, 3).unwrap().interval.unwrap();
        assert!(low < 1.0 && 1.0 < high);
    }

    #[test]
    fn fewer_than_six_repeats_have_no_interval() {
        for repeats in 1..FEWEST {
            let (pairs, sample) = (vec![(1.0, 2.0); repeats], vec![2.0; repeats]);
            let enough = vec![4.0; FEWEST];
            let expected = Some(Estimate { median: 0.5, interval: None });
            assert_eq!(paired_ratio(&pairs, 1), expected);
            assert_eq!(unpaired_ratio(&sample, &enough, 1), expected);
            assert_eq!(unpaired_ratio(&enough, &sample, 1).unwrap().interval, None);
        }
    }

    #[test]
    fn one_value_that_is_no_positive_number_leaves_no_ratio() {
        let good = vec![1.0; FEWEST];
        assert_eq!(paired_ratio(&[], 1), None);
        assert_eq!((unpaired_ratio(&[], &good, 1), unpaired_ratio(&good, &[], 1)), (None, None));
        for bad in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            let mut spoilt = good.clone();
            spoilt[2] = bad;
            for (one, other) in [(&good, &spoilt), (&spoilt, &good)] {
                assert_eq!(unpaired_ratio(one, other, 1), None, "{bad}");
                assert_eq!(paired_ratio(&pairs(one, other), 1), None, "{bad}");
            }
        }
    }
}
