//! Ratios as dots, their intervals as whiskers, and a line at 1. A hollow dot is inconclusive.

use crate::record::Ratio;

use super::figures;
use super::frame::LABEL_WIDTH;
use super::markup::escape;
use super::scale::{Scale, round_range};
use super::summary;
use super::svg::{Anchor, Drawing, room_for};

const WIDTH: f64 = 480.0;
const RIGHT: f64 = 190.0;
const ROW: f64 = 26.0;
const AXIS: f64 = 24.0;

/// One panel for each metric, each on an axis of its own. `class_of` gives the colour of a series.
pub(super) fn panels(ratios: &[Ratio], class_of: impl Fn(&str) -> String) -> String {
    let mut metrics: Vec<&str> = Vec::new();
    for ratio in ratios {
        if !metrics.contains(&ratio.metric.as_str()) {
            metrics.push(&ratio.metric);
        }
    }
    let panel = |metric: &&str| {
        let rows: Vec<&Ratio> = ratios.iter().filter(|ratio| ratio.metric == **metric).collect();
        let (name, plot) = (escape(summary::metric_title(metric)), panel(metric, &rows, &class_of));
        format!("<figure class=\"half\">\n<figcaption>{name}</figcaption>\n{plot}</figure>\n")
    };
    metrics.iter().map(panel).collect()
}

/// The panel of a metric.
fn panel(metric: &str, rows: &[&Ratio], class_of: &impl Fn(&str) -> String) -> String {
    let height = ROW * rows.len() as f64;
    let left = room_for(rows.iter().map(|ratio| ratio.series.as_str()), WIDTH);
    let scale = Scale::logarithmic(range(rows), (left, WIDTH - RIGHT));
    let describe = |ratio: &&Ratio| format!("{} {}", ratio.series, summary::ratio(ratio).text);
    let description = rows.iter().map(describe).collect::<Vec<_>>().join("; ");
    let mut drawing = Drawing::new((WIDTH, height + AXIS), &format!("Ratios of {metric}"), &description);
    for tick in scale.ticks(LABEL_WIDTH) {
        let x = scale.place(tick);
        drawing.line((x, 0.0), (x, height), "grid");
        drawing.text(
            (x, height + 17.0),
            Anchor::Middle,
            "tick",
            &figures::round(&figures::significant(tick)),
        );
    }
    drawing.line((scale.place(1.0), 0.0), (scale.place(1.0), height), "one");
    for (row, ratio) in rows.iter().enumerate() {
        whisker(&mut drawing, ROW * (row as f64 + 0.5), ratio, &scale, &class_of(&ratio.series));
    }
    drawing.finish()
}

/// An axis on which all intervals lie, and 1 not at its end.
fn range(rows: &[&Ratio]) -> (f64, f64) {
    let ends = rows.iter().flat_map(|ratio| {
        let (low, high) = ratio.interval.unwrap_or((ratio.median, ratio.median));
        [ratio.median, low, high]
    });
    round_range(ends.chain([0.9, 1.1])).expect("0.9 and 1.1 are positive")
}

/// One ratio.
fn whisker(drawing: &mut Drawing, y: f64, ratio: &Ratio, scale: &Scale, class: &str) {
    let text = summary::ratio(ratio).text;
    let (tone, dot) = if ratio.is_inconclusive() { ("value faint", "hollow") } else { ("value", "dot") };
    drawing.text((scale.start() - 12.0, y + 4.5), Anchor::End, "row", &ratio.series);
    if let Some((low, high)) = ratio.interval {
        let (low, high) = (scale.place(low), scale.place(high));
        drawing.line((low, y), (high, y), &format!("whisker {class}"));
        for end in [low, high] {
            drawing.line((end, y - 5.0), (end, y + 5.0), &format!("whisker end {class}"));
        }
    }
    let hint = format!("{}, {}: {text}", ratio.series, ratio.metric);
    drawing.dot((scale.place(ratio.median), y), 4.0, &format!("{dot} {class}"), &hint);
    drawing.text((WIDTH - RIGHT + 12.0, y + 4.5), Anchor::Start, tone, &text);
}
