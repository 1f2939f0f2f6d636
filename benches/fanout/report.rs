//! Tables of medians and ratios, as Markdown.

use std::fmt::Write;

use crate::goals;
use crate::plan::{self, Step};
use crate::sample::{Metric, Of, Samples};
use crate::statistics::{Estimate, Verdict, estimate, ratio};
use crate::target::Target;

/// A table for each workload, then one of the goals.
pub(crate) fn tables(samples: &Samples) -> String {
    let mut text = String::new();
    let plan = plan::all();
    let sessions = || plan.iter().flat_map(|group| &group.sessions);
    let order: Vec<_> = sessions().map(|session| session.target.name).collect();
    let mut steps: Vec<Step> = Vec::new();
    for step in sessions().flat_map(|session| &session.steps) {
        if !steps.contains(step) {
            steps.push(*step);
        }
    }
    for step in steps {
        for metric in samples.metrics(step.name()) {
            table(&mut text, samples, &order, step, metric);
        }
    }
    if !cfg!(debug_assertions) {
        goals_table(&mut text, samples);
    }
    text
}

fn table(text: &mut String, samples: &Samples, order: &[&str], step: Step, metric: Metric) {
    let (workload, floor, fanwire): (_, Target, Target) = (step.name(), step.floor(), step.fanwire());
    let series = |target| samples.series(Of { workload, target, metric });
    let _ = writeln!(text, "\n### {workload}: {}\n", metric.name());
    let _ = writeln!(text, "| target | median | 95 % interval | x floor | 95 % interval | x Fanwire |");
    let _ = writeln!(text, "|---|--:|--:|--:|--:|--:|");
    for target in samples.targets(workload, metric, order) {
        let Some(Estimate { median, low, high, .. }) = estimate(&series(target)) else { continue };
        let times_floor = ratio(&series(target), &series(floor.name));
        let times_fanwire = ratio(&series(target), &series(fanwire.name));
        let _ = writeln!(
            text,
            "| {target} | {} | {}–{} | {} | {} | {} |",
            figure(median),
            figure(low),
            figure(high),
            times_floor.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median)),
            times_floor.map_or_else(String::new, interval),
            times_fanwire.map_or_else(String::new, |ratio| format!("{:.2}", ratio.median)),
        );
    }
}

fn goals_table(text: &mut String, samples: &Samples) {
    let _ = writeln!(text, "\n### Goals\n\n| goal | bound | measured | 95 % interval | verdict |");
    let _ = writeln!(text, "|---|--:|--:|--:|---|");
    for goal in goals::all() {
        let Some(outcome) = goal.outcome(samples) else {
            let _ = writeln!(text, "| {} | | | | not measured |", goal.name);
            continue;
        };
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {} | {} |",
            goal.name,
            outcome.bound,
            outcome.estimate.median,
            interval(outcome.estimate),
            match outcome.verdict {
                Verdict::Met => "met",
                Verdict::Missed => "**missed**",
                Verdict::Inconclusive => "*inconclusive*",
            }
        );
    }
}

fn interval(estimate: Estimate) -> String {
    format!("{:.2}–{:.2}", estimate.low, estimate.high)
}

/// Three or four digits of it.
fn figure(value: f64) -> String {
    if value >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}
