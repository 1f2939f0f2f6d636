//! The report as a page.

use std::fs;
use std::path::Path;

use loadtest::record::{Knee, Record};
use loadtest::report::{Comparison, html};

use super::samples;

/// The pages of all samples. They are left in the directory for temporary files of the tests, to be looked
/// at.
fn pages() -> Vec<(&'static str, String)> {
    let mut famous = samples::comparison();
    famous.configuration.headers = "kaazing".into();
    let pages = vec![
        ("comparison", html(&famous)),
        ("lossy", html(&samples::lossy())),
        ("sweep", html(&samples::sweep())),
        ("two", compared(&samples::lossy(), &samples::comparison()).html()),
    ];
    for (name, page) in &pages {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html"));
        fs::write(path, page).expect("the directory can be written");
    }
    pages
}

fn compared(first: &Record, second: &Record) -> Comparison {
    Comparison::of(first, second).expect("they have series in common")
}

/// The names of the elements that are opened and closed, in order; those that close have a slash.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    let whole = page.split('<').skip(1).map(|rest| rest.split('>').next().expect("there is a first part"));
    whole.filter(|tag| !tag.ends_with('/') && !tag.starts_with('!'))
}

#[test]
fn a_page_needs_nothing_but_itself() {
    for (name, page) in pages() {
        for reference in ["http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link"] {
            assert!(!page.contains(reference), "{name} has {reference}");
        }
    }
}

#[test]
fn every_element_is_closed_where_it_should_be() {
    for (name, page) in pages() {
        let mut open = Vec::new();
        for tag in tags(&page) {
            let element = tag.split_whitespace().next().expect("a tag has a name");
            match element.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "{name}"),
                None if element == "meta" => {}
                None => open.push(element),
            }
        }
        assert!(open.is_empty(), "{name}: {open:?}");
    }
}

#[test]
fn names_are_never_taken_for_markup() {
    let hostile = "<img src=x onerror=\"alert('&')\">";
    let mut record = samples::comparison();
    record.command = hostile.into();
    record.configuration.arguments = vec![hostile.into()];
    record.environment.cpu = hostile.into();
    record.environment.sysctls.insert(hostile.into(), hostile.into());
    (record.series[0].name, record.series[1].transport) = (hostile.into(), hostile.into());
    for ratio in &mut record.ratios {
        (ratio.series, ratio.metric) = (hostile.into(), hostile.into());
    }
    let mut other = record.clone();
    other.environment.kernel = hostile.into();
    for page in [html(&record), html(&samples::sweep()), compared(&record, &other).html()] {
        assert!(!page.contains("<img") && !page.contains("onerror=\""));
    }
    assert!(html(&record).contains("&lt;img src=x onerror=&quot;alert(&#39;&amp;&#39;)&quot;&gt;"));
}

#[test]
fn every_series_is_in_the_table_and_in_every_plot() {
    let record = samples::comparison();
    let page = html(&record);
    for series in &record.series {
        assert!(page.contains(&format!("</i>{}</th>", series.name)), "{} in the table", series.name);
        assert!(page.contains(&format!("class=\"name c{}\">{}</text>", colour(&series.name), series.name)));
        assert!(page.contains(&format!("aria-label=\"Latency of {} over time\"", series.name)));
        assert!(page.contains(&format!("<title>{}, payload: ", series.name)));
    }
}

/// The colour that a transport has in every report.
fn colour(transport: &str) -> usize {
    let all = ["ws", "ws-deflate", "sse", "longpoll", "poll:100ms", "poll:1s"];
    all.iter().position(|name| *name == transport).expect("it is one of them")
}

#[test]
fn the_verdict_is_before_all_figures() {
    for (record, verdict) in [
        (samples::comparison(), "<strong>Valid</strong>"),
        (samples::lossy(), "<strong>INVALID for 2 reasons</strong>"),
    ] {
        let page = html(&record);
        let place = page.find(verdict).expect("it has a verdict");
        assert!(place < page.find("<table").expect("it has a table"));
    }
}

#[test]
fn a_curve_leaves_for_infinity_where_the_losses_begin() {
    assert!(html(&samples::lossy()).contains("line lost c4"));
    assert!(!html(&samples::comparison()).contains("line lost"));
}

#[test]
fn over_time_what_was_lost_is_a_gap_with_the_sign_of_infinity_above() {
    let panel = |record: &Record, series: &str| {
        let page = html(record);
        let panel =
            page.split("<figure class=\"panel\">").find(|panel| panel.contains(&format!("</i>{series} ")));
        panel.expect("each series has a panel").to_owned()
    };
    let lossy = panel(&samples::lossy(), "poll:100ms");
    assert_eq!(lossy.matches('∞').count(), 2);
    assert!(lossy.contains("which is infinite in 4 of 60 parts"));
    // The median is infinite in one part, and the 99th percentile in two.
    assert_eq!((lossy.matches("\"line c4\"").count(), lossy.matches("\"line thin c4\"").count()), (2, 3));
    let whole = panel(&samples::comparison(), "poll:100ms");
    assert_eq!((whole.matches('∞').count(), whole.matches("\"line c4\"").count()), (0, 1));
}

#[test]
fn what_stands_alone_over_time_is_a_dot() {
    let mut record = samples::comparison();
    let dots = |record: &Record| html(record).matches("class=\"dot c4\"><title>p50 ").count();
    assert_eq!(dots(&record), 0);
    // One message a second, in a window of ten.
    for (number, slice) in record.series[4].merged.slices.iter_mut().enumerate() {
        slice.expected = if number % 6 == 0 { slice.expected } else { 0 };
    }
    assert_eq!(dots(&record), 2 * 10);
}

#[test]
fn only_a_sweep_has_a_knee_and_a_grid() {
    let sections = ["<h2>Latency by rate</h2>", "<h2>Poll interval × message rate</h2>"];
    let has = |record: &Record| sections.map(|section| html(record).contains(section));
    assert_eq!((has(&samples::sweep()), has(&samples::comparison())), ([true; 2], [false; 2]));
}

#[test]
fn rates_without_poll_intervals_have_a_knee_and_no_grid() {
    let mut record = samples::sweep();
    record.series.retain(|series| matches!(series.transport.as_str(), "ws" | "poll:1s"));
    let page = html(&record);
    assert!(page.contains("<h2>Latency by rate</h2>") && !page.contains("class=\"heat\""));
}

#[test]
fn one_rate_alone_has_no_line_over_rates() {
    let mut record = samples::sweep();
    record.series.retain(|series| series.name == "ws@1");
    record.knees.push(Knee {
        transport: "ws".into(),
        carried: None,
        not_carried: None,
        explanation: "the run itself was not valid".into(),
    });
    let page = html(&record);
    assert!(page.contains("The knee of ws is not found") && !page.contains("Latency by rate"));
}

#[test]
fn a_record_of_nothing_is_a_page_without_plots() {
    let mut record = samples::countable();
    (record.series, record.ratios) = (Vec::new(), Vec::new());
    let page = html(&record);
    assert!(page.contains("<h2>Configuration</h2>") && !page.contains("<svg") && !page.contains("NaN"));
}

#[test]
fn a_series_that_lost_everything_is_infinite_and_breaks_no_plot() {
    let mut record = samples::countable();
    let measured = &mut record.series[1].merged;
    measured.latencies.end_to_end.reset();
    (measured.counts.delivered, measured.counts.lost) = (0, 100);
    measured.bytes = loadtest::record::Layers::default();
    let page = html(&record);
    assert!(page.contains("<td class=\"bad first\">∞</td>"));
    assert!(["NaN", "\"inf", ",inf", " inf,"].iter().all(|number| !page.contains(number)));
}
