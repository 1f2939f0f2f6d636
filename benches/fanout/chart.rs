//! The CPU of each target beside the floor's, as a picture.

use std::fmt::Write;

use crate::sample::{Metric, Of, Samples};
use crate::statistics::{Estimate, ratio};
use crate::target::{BATCHED_FLOOR, FANWIRE, FLOOR, PEERS, Target};
use crate::workload::{Burst, ONE, SIXTEEN, SIXTY_FOUR};

const WIDTH: f64 = 760.0;
const BAR_HEIGHT: f64 = 20.0;
const LABELS_WIDTH: f64 = 150.0;
const PANEL_GAP: f64 = 50.0;

/// The axis doubles from tick to tick, from half the floor's CPU on.
const LEAST: f64 = 0.5;
const TICKS: [f64; 8] = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// An SVG with a panel for each number of messages in flight; `None` where one of them was not measured.
pub(crate) fn draw(samples: &Samples) -> Option<String> {
    let (mut body, mut top) = (String::new(), 10.0);
    for (burst, floor) in [(ONE, FLOOR), (SIXTEEN, BATCHED_FLOOR), (SIXTY_FOUR, BATCHED_FLOOR)] {
        let bars = bars(samples, burst, floor);
        if bars.is_empty() {
            return None;
        }
        top = panel(&mut body, top, burst.name, &bars);
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{body}</svg>\n"
    ))
}

/// The ratio of each target, the least first.
fn bars(samples: &Samples, burst: Burst, floor: Target) -> Vec<(Target, Estimate)> {
    let series = |target: Target| {
        samples.series(Of { workload: burst.name, target: target.name, metric: Metric::CpuNsPerDelivery })
    };
    let targets = [floor, FANWIRE].into_iter().chain(PEERS.iter().copied());
    let mut bars: Vec<_> =
        targets.filter_map(|target| Some((target, ratio(&series(target), &series(floor))?))).collect();
    bars.sort_by(|(_, a), (_, b)| a.median.total_cmp(&b.median));
    bars
}

/// Draws from `top` on, and returns where the next panel begins.
fn panel(body: &mut String, top: f64, title: &str, bars: &[(Target, Estimate)]) -> f64 {
    let (first, bottom) = (top + 24.0, top + 24.0 + BAR_HEIGHT * bars.len() as f64);
    let _ = writeln!(
        body,
        "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{title}: CPU per delivery, × the floor's</text>",
        top + 12.0
    );
    for tick in TICKS {
        let x = x_of(tick);
        let _ = writeln!(
            body,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first}\" y2=\"{bottom}\" stroke=\"#dddddd\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\" fill=\"#666666\">{tick}</text>",
            bottom + 14.0
        );
    }
    for (row, (target, estimate)) in bars.iter().enumerate() {
        bar(body, first + BAR_HEIGHT * row as f64, *target, *estimate);
    }
    bottom + PANEL_GAP
}

/// A bar as long as the median, and a line as long as the interval.
fn bar(body: &mut String, y: f64, target: Target, Estimate { median, low, high, .. }: Estimate) {
    let fill = match target {
        FANWIRE => "#0b7a75",
        FLOOR | BATCHED_FLOOR => "#999999",
        _ => "#b8c4d6",
    };
    let (from, to, middle) = (x_of(LEAST), x_of(median), y + BAR_HEIGHT / 2.0);
    let _ = writeln!(
        body,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{from:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{fill}\"/>\
         <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"#333333\"/>\
         <text x=\"{:.1}\" y=\"{}\">{median:.2}</text>",
        LABELS_WIDTH - 8.0,
        middle + 4.0,
        target.name,
        y + 3.0,
        to - from,
        BAR_HEIGHT - 6.0,
        x_of(low),
        x_of(high),
        x_of(high).max(to) + 6.0,
        middle + 4.0,
    );
}

fn x_of(ratio: f64) -> f64 {
    let doublings = (ratio.max(LEAST) / LEAST).log2();
    LABELS_WIDTH + doublings * (WIDTH - LABELS_WIDTH - 60.0) / (TICKS.len() - 1) as f64
}
