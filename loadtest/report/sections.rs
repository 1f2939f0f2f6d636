//! The parts of the page that have tables and plots. Each is empty when the record has nothing for it.

use crate::record::Record;

use super::colours::Colours;
use super::frame::Breadth;
use super::markup::{elements, escape, joined, table};
use super::sheet::Sheet;
use super::{
    figures, grid_plot, kaazing, knee_plot, layers_plot, percentile_plot, ratio_plot, summary, time_plot,
};

/// As many small plots are shown without being asked for.
const UNFOLDED: usize = 8;

/// The figures.
pub(super) fn tables(record: &Record, colours: &Colours) -> String {
    let connecting = record.connecting.as_ref().map(summary::connecting);
    let connecting = connecting.map_or_else(String::new, |found| sheet("Connecting", &found, colours));
    let lost =
        sheet("Of what was delivered, leaving out what was lost", &summary::delivered_only(record), colours);
    let note = "Latency counts from when a message was due. What was lost counts as infinite.";
    let main = sheet("Each series, all repeats together", &summary::main(record), colours);
    let slow = sheet(summary::SLOW_NOTE, &summary::slow(record), colours);
    section("Figures", if main.is_empty() { "" } else { note }, "", &(connecting + &main + &lost + &slow))
}

/// The famous table, when it was asked for.
pub(super) fn famous(record: &Record) -> String {
    let Some(famous) = kaazing::Table::wanted(record) else { return String::new() };
    let caption = "Mbit/s, of 2^20 bits, for one message a second";
    let notes = elements("p", "note", famous.notes().iter().map(String::as_str));
    let body = table(caption, &famous.sheet(), |_| None) + &notes;
    section("The famous table, and what is measured here", kaazing::EXPLANATION, "", &body)
}

/// The knee.
pub(super) fn knee(record: &Record, colours: &Colours) -> String {
    let both = |breadth| knee_plot::plot(record, colours, breadth);
    let found = elements("p", "note", summary::knees(record).iter().map(String::as_str));
    let plots = both_breadths(both);
    if plots.is_empty() {
        return section("As much as the broker takes", "", "", &found);
    }
    let note = "Where a line bends upwards is as much as the broker takes.";
    section("Latency by rate", note, "", &(plots + &found))
}

/// Poll interval × message rate.
pub(super) fn grids(record: &Record) -> String {
    let note = "The darker, the more; on a logarithmic scale.";
    section("Poll interval × message rate", note, "plots", &grid_plot::grids(record))
}

/// The ratios, as dots and as figures.
pub(super) fn ratios(record: &Record, colours: &Colours) -> String {
    let class_of = |name: &str| colours.series(name).unwrap_or_else(|| "c7".to_owned());
    let heading = format!("Ratios to {}", summary::baseline(record));
    let note = "Medians of the paired repeats, with their 95 % intervals. Hollow dots are inconclusive: \
                their interval spans 1, or there is none as there are fewer than six repeats.";
    section(&heading, note, "plots", &ratio_plot::panels(&record.ratios, class_of))
}

/// The curves: all in one plot, or one for each transport when they have several series.
pub(super) fn percentiles(record: &Record, colours: &Colours) -> String {
    let note = "Each step to the right leaves out nine of ten of the slower messages.";
    let mut transports: Vec<&str> = record.series.iter().map(|series| series.transport.as_str()).collect();
    transports.sort_unstable();
    transports.dedup();
    if transports.len() == record.series.len() {
        let named: Vec<_> = record.series.iter().map(|series| (series.name.clone(), series)).collect();
        let both = |breadth| percentile_plot::plot(&named, colours, breadth);
        return section("Latency by percentile", note, "", &both_breadths(both));
    }
    let plot = |transport: &&str| {
        let steps = record.series.iter().filter(|series| series.transport == **transport);
        let named: Vec<_> = steps.map(|series| (figures::rate(series.rate), series)).collect();
        let plot = percentile_plot::plot(&named, colours, Breadth::Narrow)?;
        Some(format!(
            "<figure class=\"half\">\n<figcaption>{}</figcaption>\n{plot}</figure>\n",
            escape(transport)
        ))
    };
    section("Latency by percentile", note, "plots", &joined(transports.iter().filter_map(plot)))
}

/// Latency over time; folded away where there are many steps of a sweep.
pub(super) fn time(record: &Record, colours: &Colours) -> String {
    let note = "The median, and above it the 99th percentile, of the messages that were due at each time. \
                All on the same axes.";
    let panels = time_plot::panels(record, colours);
    let count = record.series.len();
    if count <= UNFOLDED || panels.is_empty() {
        return section("Latency over time", note, "panels", &panels);
    }
    let folded = format!(
        "<details>\n<summary>Show all {count}</summary>\n<div class=\"panels\">\n{panels}</div>\n</details>\n"
    );
    section("Latency over time", note, "", &folded)
}

/// The layers of octets.
pub(super) fn layers(record: &Record) -> String {
    let Some((amounts, shares)) = layers_plot::amounts(record).zip(layers_plot::shares(record)) else {
        return String::new();
    };
    let part = |(layer, part): (usize, &&str)| format!("<li><i class=\"chip l{layer}\"></i>{part}</li>");
    let key = joined(layers_plot::PARTS.iter().enumerate().map(part));
    let compressed = "* The payload was compressed: its part is all that the application wrote.";
    let note = layers_plot::has_compressed(record).then_some(compressed);
    let body = format!(
        "<ul class=\"key\">{key}</ul>\n<div class=\"plots\">\n\
         <figure class=\"half\">\n<figcaption>Bytes for each delivered message</figcaption>\n{amounts}</figure>\n\
         <figure class=\"half\">\n<figcaption>What they are made of</figcaption>\n{shares}</figure>\n</div>\n{}",
        elements("p", "note", note.into_iter())
    );
    section("Bytes on the wire", "Both ways, of all subscribers' connections. Linear, from zero.", "", &body)
}

/// How far to trust it.
pub(super) fn trust(record: &Record, colours: &Colours) -> String {
    let note = "The generator's own error, and how the subscribers fared one beside the other.";
    let table = sheet("The generator and its subscribers", &summary::trust(record), colours);
    section("How far to trust it", note, "", &table)
}

/// A part of the page; nothing when it has no body.
pub(super) fn section(heading: &str, note: &str, class: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let note = if note.is_empty() { String::new() } else { format!("<p>{}</p>\n", escape(note)) };
    let body =
        if class.is_empty() { body.to_owned() } else { format!("<div class=\"{class}\">\n{body}</div>\n") };
    format!("<section>\n<h2>{}</h2>\n{note}{body}</section>\n", escape(heading))
}

/// A plot for a page and one for a phone, of which the style shows one.
fn both_breadths(plot: impl Fn(Breadth) -> Option<String>) -> String {
    let figure = |(breadth, class)| {
        plot(breadth).map(|drawing| format!("<figure class=\"{class}\">\n{drawing}</figure>\n"))
    };
    joined([(Breadth::Wide, "wide"), (Breadth::Narrow, "narrow")].into_iter().filter_map(figure))
}

/// A table with the colours of the series; nothing when it says nothing.
fn sheet(caption: &str, sheet: &Sheet, colours: &Colours) -> String {
    if sheet.is_empty() { String::new() } else { table(caption, sheet, |name| colours.series(name)) }
}
