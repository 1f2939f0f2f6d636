//! The report as one page: no network, no script, light and dark.

use crate::record::{Reason, Record};

use super::colours::Colours;
use super::comparison::{CONNECTING_NOTE, Comparison};
use super::markup::{definitions, elements, escape, joined, table};
use super::method::METHOD;
use super::sections::{famous, grids, knee, layers, percentiles, ratios, section, tables, time, trust};
use super::sheet::Sheet;
use super::{figures, ratio_plot, settings, summary};

/// How the page looks.
const STYLE: &str = include_str!("style.css");

/// The page of a record, readable without a network.
pub fn html(record: &Record) -> String {
    let colours = Colours::of(record);
    let body = [
        header(record),
        tables(record, &colours),
        famous(record),
        knee(record, &colours),
        grids(record),
        ratios(record, &colours),
        percentiles(record, &colours),
        time(record, &colours),
        layers(record),
        trust(record, &colours),
        section("Configuration", "", "", &configuration(record)),
        section("Environment", "", "", &definitions(&settings::environment(&record.environment))),
        section("Method", "", "method", &elements("p", "", METHOD.into_iter())),
    ];
    page(&title(record), &body.concat())
}

/// The page of two records.
pub(super) fn of_two(comparison: &Comparison) -> String {
    let note = "Medians over the repeats, and the second divided by the first with the 95 % interval of a bootstrap. Where the \
                interval spans 1, or where there is none as there are fewer than six repeats of one, nothing can be said.";
    let drawn = |sheet: Sheet| {
        if sheet.is_empty() {
            String::new()
        } else {
            table("The first run, and the second", &sheet, |_| None)
        }
    };
    let (figures, connecting) = (drawn(comparison.sheet()), drawn(comparison.connecting_sheet()));
    let plots = ratio_plot::panels(&comparison.ratios, |_| "c0".to_owned());
    let body = [
        header_of_two(comparison),
        section("Both runs", note, "", &figures),
        section("Connecting", CONNECTING_NOTE, "", &connecting),
        section("Ratios and their intervals", "Hollow dots are inconclusive.", "plots", &plots),
    ];
    page("Two runs compared", &body.concat())
}

/// What is compared, and what to beware of.
fn header_of_two(comparison: &Comparison) -> String {
    let sides = elements("p", "workload", comparison.sides.iter().map(String::as_str));
    let warnings = elements("li", "", comparison.warnings.iter().map(String::as_str));
    let beware = if warnings.is_empty() {
        String::new()
    } else {
        format!(
            "<div class=\"verdict invalid\"><strong>Compare with care</strong>\n\
             <ul>\n{warnings}</ul></div>\n"
        )
    };
    format!(
        "<header>\n<p class=\"kind\">Fanwire load test</p>\n<h1>Two runs compared</h1>\n{sides}{beware}</header>\n"
    )
}

/// A whole page.
fn page(title: &str, body: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · Fanwire load test</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
}

/// What the page is about.
fn title(record: &Record) -> String {
    let polls = record.series.iter().any(|series| series.transport.contains("poll"));
    match record.command.as_str() {
        "compare" if polls => "WebSocket push against HTTP polling".to_owned(),
        "conn" => "Connecting".to_owned(),
        "sweep" => "How much the broker takes".to_owned(),
        "pubsub" => "Publish and subscribe".to_owned(),
        command => command.to_owned(),
    }
}

/// Title, workload and verdict.
fn header(record: &Record) -> String {
    let reason = |reason: &Reason| {
        let series = reason.series.as_deref().unwrap_or("all series");
        format!("<li><b>{}</b>: {}</li>\n", escape(series), escape(&reason.explanation))
    };
    let reasons = joined(record.verdict.reasons.iter().map(reason));
    let (class, explanation) = if record.verdict.is_valid() {
        ("verdict", "The run can be trusted, within what is said below.".to_owned())
    } else {
        ("verdict invalid", format!("<ul>\n{reasons}</ul>"))
    };
    format!(
        "<header>\n<p class=\"kind\">Fanwire load test · {} · {}</p>\n<h1>{}</h1>\n<p class=\"workload\">{}</p>\n\
         <div class=\"{class}\"><strong>{}</strong> {explanation}</div>\n</header>\n",
        escape(&record.command),
        figures::moment(record.started_unix_ms),
        escape(&title(record)),
        escape(&summary::asked(record)),
        capitalised(&summary::verdict(record)),
    )
}

/// What was asked for, with what gives the same run.
fn configuration(record: &Record) -> String {
    let asked = &record.configuration;
    let command_line = escape(&format!("loadtest {}", asked.arguments.join(" ")));
    let mut pairs = settings::configuration(record);
    if record.connecting.is_none() {
        pairs.push(("repeats".to_owned(), asked.repeats.to_string()));
        pairs.push(("seed".to_owned(), asked.seed.to_string()));
    }
    format!("<p class=\"command\"><code>{command_line}</code></p>\n{}", definitions(&pairs))
}

/// With a capital letter in front.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
