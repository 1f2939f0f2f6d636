//! Latency by percentile. Each step to the right leaves out nine of ten of what was slower: 90 %, 99 %, 99.9
//! %.

use crate::percentile::{Distribution, Latency, Percentile};
use crate::record::Series;

use super::colours::Colours;
use super::figures;
use super::frame::{Breadth, EndLabel, Frame};
use super::scale::{Scale, round_range};
use super::svg::{Anchor, Drawing};

/// Where the curves begin, as a share: the few messages that are much faster than all others, such as those
/// that came just before a poll, would take most of the room.
const START: f64 = 0.25;

/// Points of a curve: more than a screen shows.
const POINTS: u32 = 240;

/// A curve: how many nines (2 is 99 %), and the latency there.
type Curve = Vec<(f64, Latency)>;

/// The curves of some series, with what each is called; none when there is nothing to draw.
pub(super) fn plot(series: &[(String, &Series)], colours: &Colours, breadth: Breadth) -> Option<String> {
    let all: Vec<Distribution> = series.iter().map(|(_, series)| Distribution::of(&series.merged)).collect();
    let curves: Vec<Curve> = all.iter().map(curve).collect();
    let latencies = curves.iter().flatten().map(|(_, latency)| latency.nanoseconds());
    let range = round_range(latencies)?;
    let nines = curves.iter().filter_map(|curve| curve.last()).map(|&(nines, _)| nines).fold(1.0, f64::max);

    let frame = Frame::of(breadth, series.iter().map(|(name, _)| name.as_str()));
    let across = Scale::linear((nines_of(START), nines), frame.across());
    let upwards = Scale::logarithmic(range, frame.upwards());
    let mut drawing = frame.drawing("Latency by percentile", &description(series, &all));
    frame.latency_axis(&mut drawing, &upwards);
    percentile_axis(&frame, &mut drawing, &across, nines, breadth);

    let mut labels = Vec::new();
    for (((name, series), curve), distribution) in series.iter().zip(&curves).zip(&all) {
        let class = colours.transport(&series.transport);
        let point =
            |&(nines, latency): &(f64, Latency)| (across.place(nines), upwards.place(latency.nanoseconds()));
        let finite = curve.iter().take_while(|(_, latency)| *latency != Latency::Infinite);
        let finite: Vec<(f64, f64)> = finite.map(point).collect();
        let lossy = finite.len() < curve.len();
        drawing.group("series", |drawing| {
            drawing.polyline(&finite, &format!("line {class}"));
            marks(drawing, name, distribution, &class, point);
            if let Some(&last) = finite.last().filter(|_| lossy) {
                leave(drawing, last, frame.top, &class);
            }
        });
        let end = finite.last().map(|&(x, y)| if lossy { (x, frame.top) } else { (x, y) });
        labels.extend(end.map(|end| EndLabel { end, text: name.clone(), class }));
    }
    frame.end_labels(&mut drawing, &labels);
    Some(drawing.finish())
}

/// The points of a curve, up to the slowest.
fn curve(distribution: &Distribution) -> Curve {
    let total = distribution.total();
    let (start, end) = (nines_of(START), (total as f64).log10());
    let at = |point: u32| {
        let nines = start + (end - start) * f64::from(point) / f64::from(POINTS);
        let rank = (total as f64 * (1.0 - 10_f64.powf(-nines))).ceil() as u64;
        let rank = if point == POINTS { total } else { rank.max(1) };
        distribution.at_rank(rank).map(|latency| (nines, latency))
    };
    (0..=POINTS).filter_map(at).collect()
}

/// How many nines a share has: 0.99 has 2.
fn nines_of(share: f64) -> f64 {
    -(1.0 - share).log10()
}

/// The named percentiles that are finite and have a place of their own on the curve, to point at.
fn marks(
    drawing: &mut Drawing,
    name: &str,
    distribution: &Distribution,
    class: &str,
    place: impl Fn(&(f64, Latency)) -> (f64, f64),
) {
    for (percentile_name, percentile) in Percentile::NAMED {
        let nines = nines_of(percentile.share());
        let latency = distribution.percentile(percentile).filter(|latency| *latency != Latency::Infinite);
        let has_place = nines <= (distribution.total() as f64).log10();
        if let Some(latency) = latency.filter(|_| has_place) {
            let hint = format!("{name}: {percentile_name} {}", figures::duration(latency.nanoseconds()));
            drawing.dot(place(&(nines, latency)), 3.5, &format!("dot {class}"), &hint);
        }
    }
}

/// Where the losses begin, the curve leaves for infinity.
fn leave(drawing: &mut Drawing, (x, y): (f64, f64), top: f64, class: &str) {
    drawing.line((x, y), (x, top), &format!("line lost {class}"));
    drawing.text((x, top - 6.0), Anchor::Middle, &format!("name {class}"), "∞");
}

/// 50 %, 90 %, 99 %, … On a narrow plot only every second of many nines has room for its name.
fn percentile_axis(frame: &Frame, drawing: &mut Drawing, scale: &Scale, nines: f64, breadth: Breadth) {
    let crowded = breadth == Breadth::Narrow && nines > 4.0;
    frame.tick(drawing, scale.place(nines_of(0.5)), if crowded { "" } else { "50 %" });
    for count in 1..=nines as usize {
        let text = match count {
            _ if crowded && count.is_multiple_of(2) => String::new(),
            1 => "90 %".to_owned(),
            2 => "99 %".to_owned(),
            _ => format!("99.{} %", "9".repeat(count - 2)),
        };
        frame.tick(drawing, scale.place(count as f64), &text);
    }
    frame.caption(drawing, "of the messages are not slower");
}

/// The figures, for those who do not see them.
fn description(series: &[(String, &Series)], all: &[Distribution]) -> String {
    let text = |percentile, distribution: &Distribution| {
        let latency = distribution.percentile(percentile);
        latency.map_or_else(|| "none".to_owned(), |latency| figures::duration(latency.nanoseconds()))
    };
    let each = series.iter().zip(all).map(|((name, _), distribution)| {
        let [p50, p99] = [Percentile::P50, Percentile::P99].map(|percentile| text(percentile, distribution));
        format!("{name}: p50 {p50}, p99 {p99}")
    });
    each.collect::<Vec<_>>().join("; ")
}
