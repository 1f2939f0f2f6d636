//! Latency over time: a small plot for each series, all on the same axes, so that they can be compared.

use crate::percentile::Latency;
use crate::record::{Record, Series, Slice};

use super::colours::Colours;
use super::figures;
use super::frame::Frame;
use super::markup::escape;
use super::scale::{Scale, round_range};
use super::svg::{Anchor, Drawing};

/// One panel for each series that has slices.
pub(super) fn panels(record: &Record, colours: &Colours) -> String {
    let slices = || record.series.iter().flat_map(|series| &series.merged.slices);
    let latencies =
        slices().flat_map(|slice| [slice.p50_ns, slice.p99_ns]).flatten().map(Latency::nanoseconds);
    let Some(range) = round_range(latencies) else { return String::new() };
    let end_ns =
        slices().map(|slice| slice.at_ns).max().unwrap_or(0).max(record.configuration.duration_ns).max(1);
    let panels = record.series.iter().filter(|series| !series.merged.slices.is_empty());
    panels.map(|series| panel(series, colours, range, end_ns as f64)).collect()
}

/// The panel of a series, with its name and what is typical above it.
fn panel(series: &Series, colours: &Colours, range: (f64, f64), end_ns: f64) -> String {
    let frame = Frame::panel();
    let class = colours.transport(&series.transport);
    let across = Scale::linear((0.0, end_ns), frame.across());
    let upwards = Scale::logarithmic(range, frame.upwards());
    let title = format!("Latency of {} over time", series.name);
    let mut drawing = frame.drawing(&title, &description(&series.merged.slices));

    frame.latency_axis(&mut drawing, &upwards);
    let (bottom, (left, right)) = (frame.upwards().0, frame.across());
    drawing.text((left, bottom + 17.0), Anchor::Start, "tick", "0 s");
    drawing.text((right, bottom + 17.0), Anchor::End, "tick", &figures::round(&figures::duration(end_ns)));
    drawing.line((left, bottom), (right, bottom), "base");
    let place = |slice: &Slice, latency: Latency| {
        (across.place(slice.at_ns as f64), upwards.place(latency.nanoseconds()))
    };
    for run in runs(&series.merged.slices) {
        draw(&mut drawing, run, place, &class);
    }
    format!(
        "<figure class=\"panel\">\n<figcaption><i class=\"chip {class}\"></i>{} \
         <span class=\"muted\">p50 to p99</span></figcaption>\n{}</figure>\n",
        escape(&series.name),
        drawing.finish(),
    )
}

/// The median, the 99th percentile, and what lies between them. Where one of them falls into the losses, its line ends; where
/// the 99th percentile does, `∞` stands above. What stands alone between parts in which nothing was due is a dot, as a line would not
/// show.
fn draw(drawing: &mut Drawing, run: &[Slice], place: impl Fn(&Slice, Latency) -> (f64, f64), class: &str) {
    let points = |part: &[Slice], of: Quantile| -> Vec<(f64, f64)> {
        part.iter().filter_map(|slice| of(slice).map(|latency| place(slice, latency))).collect()
    };
    let mut around = points(run, P50);
    around.extend(points(run, P99).into_iter().rev());
    drawing.polygon(&around, &format!("band {class}"));
    for (of, weight) in [(P50, "line"), (P99, "line thin")] {
        for part in finite_parts(run, of) {
            match points(part, of).as_slice() {
                [alone] => drawing.dot(*alone, ALONE, &format!("dot {class}"), &hint(&part[0])),
                line => drawing.polyline(line, &format!("{weight} {class}")),
            }
        }
    }
    for part in infinite_parts(run) {
        let top = points(part, P99);
        drawing.polyline(&top, &format!("line lost {class}"));
        if let (Some((left, y)), Some((right, _))) = (top.first(), top.last()) {
            drawing.text(
                (f64::midpoint(*left, *right), y - 3.0),
                Anchor::Middle,
                &format!("name {class}"),
                "∞",
            );
        }
    }
}

/// The radius of a dot.
const ALONE: f64 = 3.0;

/// What a dot shows, in figures.
fn hint(slice: &Slice) -> String {
    let figure = |latency: Option<Latency>| {
        latency.map_or_else(String::new, |latency| figures::duration(latency.nanoseconds()))
    };
    format!("p50 {}, p99 {}", figure(slice.p50_ns), figure(slice.p99_ns))
}

/// What is drawn of a slice.
type Quantile = fn(&Slice) -> Option<Latency>;

const P50: Quantile = |slice| slice.p50_ns;
const P99: Quantile = |slice| slice.p99_ns;

/// Slices one after the other in which something was due. What is between two runs stays empty in the plot.
fn runs(slices: &[Slice]) -> impl Iterator<Item = &[Slice]> {
    slices.split(|slice| slice.expected == 0).filter(|run| !run.is_empty())
}

/// Slices one after the other that have a finite figure.
fn finite_parts(run: &[Slice], of: Quantile) -> impl Iterator<Item = &[Slice]> {
    run.split(move |slice| is_infinite(slice, of)).filter(|part| !part.is_empty())
}

/// Slices one after the other whose 99th percentile falls into the losses.
fn infinite_parts(run: &[Slice]) -> impl Iterator<Item = &[Slice]> {
    run.split(|slice| !is_infinite(slice, P99)).filter(|part| !part.is_empty())
}

fn is_infinite(slice: &Slice, of: Quantile) -> bool {
    of(slice) == Some(Latency::Infinite)
}

/// What the lines are, and where they end, for those who do not see them.
fn description(slices: &[Slice]) -> String {
    let lines = "A line for the median, and above it one for the 99th percentile";
    match slices.iter().filter(|slice| is_infinite(slice, P99)).count() {
        0 => lines.to_owned(),
        lossy => format!("{lines}, which is infinite in {lossy} of {} parts", slices.len()),
    }
}
