//! Latency over time: a small plot for each series, all on the same axes, so that they can be compared.

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
    let latencies = slices().flat_map(|slice| [slice.p50_ns as f64, slice.p99_ns as f64]);
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
    let runs = runs(&series.merged.slices);
    let title = format!("Latency of {} over time", series.name);
    let mut drawing =
        frame.drawing(&title, "A line for the median, and above it one for the 99th percentile");

    frame.latency_axis(&mut drawing, &upwards);
    let (bottom, (left, right)) = (frame.upwards().0, frame.across());
    drawing.text((left, bottom + 17.0), Anchor::Start, "tick", "0 s");
    drawing.text((right, bottom + 17.0), Anchor::End, "tick", &figures::round(&figures::duration(end_ns)));
    drawing.line((left, bottom), (right, bottom), "base");
    for run in runs {
        let line = |of: fn(&Slice) -> u64| -> Vec<(f64, f64)> {
            let point = |slice: &Slice| (across.place(slice.at_ns as f64), upwards.place(of(slice) as f64));
            run.iter().map(point).collect()
        };
        band(&mut drawing, &line(|slice| slice.p50_ns), &line(|slice| slice.p99_ns), &class);
    }
    format!(
        "<figure class=\"panel\">\n<figcaption><i class=\"chip {class}\"></i>{} \
         <span class=\"muted\">p50 to p99</span></figcaption>\n{}</figure>\n",
        escape(&series.name),
        drawing.finish(),
    )
}

/// The median, the 99th percentile, and what lies between them.
fn band(drawing: &mut Drawing, p50: &[(f64, f64)], p99: &[(f64, f64)], class: &str) {
    let around: Vec<(f64, f64)> = p50.iter().chain(p99.iter().rev()).copied().collect();
    drawing.polygon(&around, &format!("band {class}"));
    drawing.polyline(p50, &format!("line {class}"));
    drawing.polyline(p99, &format!("line thin {class}"));
}

/// Slices one after the other in which something was delivered. What is between two runs stays empty in the
/// plot.
fn runs(slices: &[Slice]) -> impl Iterator<Item = &[Slice]> {
    slices.split(|slice| slice.delivered == 0).filter(|run| !run.is_empty())
}
