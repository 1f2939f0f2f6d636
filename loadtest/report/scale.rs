//! From values to places in a drawing.

use super::figures;

/// An axis: values from `low` to `high` lie between two places in the drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    kind: Kind,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

/// How values lie on an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The same difference is the same distance.
    Linear,
    /// The same factor is the same distance.
    Logarithmic,
}

impl Scale {
    /// A linear axis.
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { kind: Kind::Linear, low, high, from, to }
    }

    /// A logarithmic axis, of positive values.
    pub(super) fn logarithmic((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { kind: Kind::Logarithmic, low, high, from, to }
    }

    /// Where it starts in the drawing.
    pub(super) fn start(&self) -> f64 {
        self.from
    }

    /// Where a value is. What lies beyond the ends is at them, infinity too.
    pub(super) fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let share = match self.kind {
            Kind::Linear => (value - self.low) / (self.high - self.low),
            Kind::Logarithmic => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        self.from + share * (self.to - self.from)
    }

    /// Values for ticks of a logarithmic axis, at least `gap` apart in the drawing: powers of ten, with their
    /// twos and fives where these have room, or only every second of them where they have not.
    pub(super) fn ticks(&self, gap: f64) -> Vec<f64> {
        let decade = (self.to - self.from).abs() / (self.high / self.low).log10();
        let kept = |&(power, digit, value): &(i32, u8, f64)| {
            let has_room = match digit {
                1 => decade >= gap || power.rem_euclid(2) == 0,
                _ => decade * 2_f64.log10() >= gap,
            };
            has_room && value >= self.low * 0.999 && value <= self.high * 1.001
        };
        steps(self.low, self.high).filter(kept).map(|(_, _, value)| value).collect()
    }
}

/// A range for a logarithmic axis that has these positive values in it, and round ends: 1, 2 or 5 times a
/// power of ten, at least two apart. What is not finite or not positive does not count; none when nothing
/// counts.
pub(super) fn round_range(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let usable = |value: &f64| value.is_finite() && *value > 0.0;
    let (low, high) = values
        .into_iter()
        .filter(usable)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    if high == 0.0 {
        return None;
    }
    let below = steps(low, low).filter(|&(_, _, step)| step <= low * 1.000_001).last()?.2;
    let above =
        steps(high, high * 2.5).find(|&(_, _, step)| step >= high * 0.999_999 && step > below * 1.5)?.2;
    Some((below, above))
}

/// A latency at a tick.
pub(super) fn latency_label(nanoseconds: f64) -> String {
    figures::round(&figures::duration(nanoseconds))
}

/// Places at least `gap` apart and within the bounds, in the order of those that were wished for, and near
/// them.
pub(super) fn spread(wishes: &[f64], gap: f64, (top, bottom): (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by(|&a, &b| wishes[a].total_cmp(&wishes[b]));
    let mut places = wishes.to_vec();
    let mut next = top;
    for &index in &order {
        places[index] = places[index].max(next);
        next = places[index] + gap;
    }
    let mut limit = bottom;
    for &index in order.iter().rev() {
        places[index] = places[index].min(limit);
        limit = places[index] - gap;
    }
    places
}

/// 1, 2 and 5 times the powers of ten around two positive values: which power, which digit, and the value.
fn steps(low: f64, high: f64) -> impl Iterator<Item = (i32, u8, f64)> {
    let (first, last) = (low.log10().floor() as i32 - 1, high.log10().ceil() as i32 + 1);
    let of = |power| [1, 2, 5].map(|digit| (power, digit, f64::from(digit) * 10_f64.powi(power)));
    (first..=last).flat_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn a_factor_is_a_distance_on_a_logarithmic_axis_and_infinity_its_end() {
        let scale = Scale::logarithmic((1e3, 1e6), (300.0, 0.0));
        for (value, place) in [(1e3, 300.0), (1e4, 200.0), (1e6, 0.0), (f64::INFINITY, 0.0), (1.0, 300.0)] {
            assert!(near(scale.place(value), place), "{value}");
        }
        assert!(near(Scale::linear((0.0, 4.0), (100.0, 500.0)).place(1.0), 200.0));
    }

    #[test]
    fn ranges_have_round_ends_around_the_values() {
        let cases = [((130.0, 990.0), (100.0, 1e3)), ((2e5, 2e5), (2e5, 5e5)), ((0.9, 1.4), (0.5, 2.0))];
        for ((low, high), (below, above)) in cases {
            let range = round_range([high, low, f64::INFINITY, 0.0]).expect("two of them count");
            assert!(near(range.0 / below, 1.0) && near(range.1 / above, 1.0), "{range:?}");
        }
        assert_eq!(round_range([0.0, f64::INFINITY, f64::NAN]), None);
    }

    #[test]
    fn an_axis_has_as_many_ticks_as_have_room() {
        let ticks = |length| Scale::logarithmic((1.0, 1e4), (0.0, length)).ticks(30.0).len();
        assert_eq!((ticks(400.0), ticks(120.0), ticks(100.0)), (13, 5, 3));
    }

    #[test]
    fn labels_keep_their_order_their_distance_and_their_bounds() {
        assert_eq!(spread(&[50.0, 10.0, 52.0], 15.0, (0.0, 100.0)), [50.0, 10.0, 65.0]);
        assert_eq!(spread(&[99.0, 98.0, 97.0], 15.0, (0.0, 100.0)), [100.0, 85.0, 70.0]);
    }
}
