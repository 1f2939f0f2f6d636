//! Poll interval × message rate, as a table whose cells are the darker the larger their figure: it is read
//! aloud, copied and searched as any table.

use crate::percentile::{Distribution, Percentile};
use crate::record::{Measured, Record, Series};
use crate::units::Period;

use super::figures;
use super::markup::escape;
use super::quantities::{PerDelivery, poll_period};

/// A figure of a cell: as it is compared and as it is printed.
type Figure = (f64, String);

/// What a grid shows, and how it is found.
type Grid = (&'static str, fn(&Measured) -> Option<Figure>);

const GRIDS: [Grid; 2] =
    [("Median latency", median), ("Bytes per delivered message, with IP headers", octets)];

/// The grids of a record that has more than one poll interval, and more than one rate.
pub(super) fn grids(record: &Record) -> String {
    let mut transports: Vec<(Option<Period>, &str)> = record
        .series
        .iter()
        .map(|series| (poll_period(&series.transport), series.transport.as_str()))
        .collect();
    transports.sort_unstable();
    transports.dedup();
    let mut rates: Vec<f64> = record.series.iter().map(|series| series.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let intervals = transports.iter().filter(|(period, _)| period.is_some()).count();
    if intervals < 2 || rates.len() < 2 {
        return String::new();
    }
    let names: Vec<&str> = transports.iter().map(|(_, name)| *name).collect();
    GRIDS.map(|(caption, figure)| grid(caption, record, &names, &rates, figure)).concat()
}

fn median(measured: &Measured) -> Option<Figure> {
    let latency = Distribution::of(measured).percentile(Percentile::P50)?.nanoseconds();
    Some((latency, figures::duration(latency)))
}

fn octets(measured: &Measured) -> Option<Figure> {
    let each = PerDelivery::of(&measured.bytes)?;
    Some((each.ip, figures::octets(each.ip)))
}

/// One grid: a row for each transport, a column for each rate.
fn grid(
    caption: &str,
    record: &Record,
    transports: &[&str],
    rates: &[f64],
    figure: fn(&Measured) -> Option<Figure>,
) -> String {
    let all = record.series.iter().filter_map(|series| figure(&series.merged)).map(|(value, _)| value);
    let (low, high) = all
        .filter(|value| value.is_finite() && *value > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    let headers: Vec<String> =
        rates.iter().map(|rate| format!("<th scope=\"col\">{}</th>", figures::rate(*rate))).collect();
    let headers = headers.concat();
    let row = |transport: &&str| {
        let at = |rate: &f64| {
            let same = |series: &&Series| {
                series.transport == **transport && (series.rate - rate).abs() < f64::EPSILON
            };
            cell(record.series.iter().find(same).and_then(|series| figure(&series.merged)), low, high)
        };
        let cells: String = rates.iter().map(at).collect();
        format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(transport))
    };
    let rows: String = transports.iter().map(row).collect();
    format!(
        "<div class=\"half scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\">\n\
         <table class=\"heat\">\n<caption>{caption}</caption>\n\
         <thead><tr><th scope=\"col\">transport</th>{headers}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

/// A cell, with how much of the colour it has: the logarithm of its figure between the least and the most.
fn cell(figure: Option<Figure>, low: f64, high: f64) -> String {
    let Some((value, text)) = figure else { return "<td class=\"faint\">–</td>".to_owned() };
    let share = if high > low { ((value / low).ln() / (high / low).ln()).clamp(0.0, 1.0) } else { 0.5 };
    format!("<td style=\"--heat:{:.0}%\">{text}</td>", share * 100.0)
}
