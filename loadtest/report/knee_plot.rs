//! Latency by rate: where the line bends upwards is as much as the broker takes.

use crate::percentile::{Distribution, Latency, Percentile};
use crate::record::{Record, Series};

use super::colours::Colours;
use super::figures;
use super::frame::{Breadth, EndLabel, Frame, LABEL_WIDTH};
use super::scale::{Scale, round_range};
use super::svg::{Anchor, Drawing};

/// A line: a transport's percentile at each rate.
struct Line<'a> {
    transport: &'a str,
    percentile: &'static str,
    points: Vec<(f64, Latency)>,
}

/// The transports that were run at more than one rate; none when there are none.
pub(super) fn plot(record: &Record, colours: &Colours, breadth: Breadth) -> Option<String> {
    let lines = lines(record);
    let points = || lines.iter().flat_map(|line| &line.points);
    let rates = round_range(points().map(|&(rate, _)| rate))?;
    let range = round_range(points().map(|(_, latency)| latency.nanoseconds()))?;

    let names: Vec<String> =
        lines.iter().map(|line| format!("{} {}", line.transport, line.percentile)).collect();
    let frame = Frame::of(breadth, names.iter().map(String::as_str));
    let across = Scale::logarithmic(rates, frame.across());
    let upwards = Scale::logarithmic(range, frame.upwards());
    let mut drawing = frame.drawing("Latency by rate", &description(&lines));
    frame.latency_axis(&mut drawing, &upwards);
    for tick in across.ticks(LABEL_WIDTH) {
        frame.tick(&mut drawing, across.place(tick), &figures::significant(tick));
    }
    frame.caption(&mut drawing, "messages a second");
    let mut labels = Vec::new();
    for (line, name) in lines.iter().zip(&names) {
        let class = colours.transport(line.transport);
        let points: Vec<(f64, f64)> = line
            .points
            .iter()
            .map(|(rate, latency)| (across.place(*rate), upwards.place(latency.nanoseconds())))
            .collect();
        drawing.group("series", |drawing| draw(drawing, line, &points, &class));
        labels.extend(points.last().map(|&end| EndLabel { end, text: name.clone(), class }));
    }
    frame.end_labels(&mut drawing, &labels);
    Some(drawing.finish())
}

/// A line and its points. One that loses messages has no finite latency there, and says so.
fn draw(drawing: &mut Drawing, line: &Line<'_>, points: &[(f64, f64)], class: &str) {
    let weight = if line.percentile == "p50" { "line thin" } else { "line" };
    drawing.polyline(points, &format!("{weight} {class}"));
    for (&(x, y), (rate, latency)) in points.iter().zip(&line.points) {
        let hint = format!(
            "{} at {}: {} {}",
            line.transport,
            figures::rate(*rate),
            line.percentile,
            figures::duration(latency.nanoseconds())
        );
        drawing.dot((x, y), 3.5, &format!("dot {class}"), &hint);
        if *latency == Latency::Infinite {
            drawing.text((x, y - 8.0), Anchor::Middle, &format!("name {class}"), "∞");
        }
    }
}

/// Two lines for each transport with more than one rate.
fn lines(record: &Record) -> Vec<Line<'_>> {
    let mut transports: Vec<&str> = record.series.iter().map(|series| series.transport.as_str()).collect();
    transports.sort_unstable();
    transports.dedup();
    let of = |transport: &'_ str| {
        let mut steps: Vec<&Series> =
            record.series.iter().filter(|series| series.transport == transport).collect();
        steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        steps
    };
    let pairs = [("p99", Percentile::P99), ("p50", Percentile::P50)];
    let lines = transports.into_iter().flat_map(|transport| {
        pairs.map(|(name, percentile)| {
            let point = |series: &&Series| {
                let latency = Distribution::of(&series.merged).percentile(percentile)?;
                Some((series.rate, latency))
            };
            Line { transport, percentile: name, points: of(transport).iter().filter_map(point).collect() }
        })
    });
    lines.filter(|line| line.points.len() > 1).collect()
}

/// The figures, for those who do not see them.
fn description(lines: &[Line<'_>]) -> String {
    let line = |line: &Line<'_>| {
        let points = line.points.iter().map(|(rate, latency)| {
            format!("{} at {}", figures::duration(latency.nanoseconds()), figures::rate(*rate))
        });
        format!("{} {}: {}", line.transport, line.percentile, points.collect::<Vec<_>>().join(", "))
    };
    lines.iter().map(line).collect::<Vec<_>>().join("; ")
}
