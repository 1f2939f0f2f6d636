//! The report in a terminal.

use loadtest::percentile::Latency;
use loadtest::record::{Connecting, Counts, Record, SlowSubscribers, Spread};
use loadtest::report::{Comparison, Terminal, kaazing, table};
use loadtest::workload::Slow;

use super::samples;

const PLAIN: Terminal = Terminal { width: None, colours: false };

fn at(width: u16) -> Terminal {
    Terminal { width: Some(width), colours: false }
}

#[test]
fn a_wide_terminal_has_all_figures_in_one_row_for_each_series() {
    let mut record = samples::countable();
    record.ratios.truncate(2);
    record.ratios[1].interval = Some((0.9, 1.2));
    let expected = "
valid
compare: 1,000 subscribers · 10 messages/s of 128 B · 1 topic · 10 s measured · 6 repeats

         latency, end to end ··················  bytes per delivered message ······  deliveries ······················  broker ···········
series      p50     p90     p99   p99.9     max  payload  application    TCP     IP  lost  told  doubled  out of order  CPU each       RSS
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
ws       100 µs  100 µs  100 µs  100 µs  100 µs    128 B        130 B  130 B  238 B     0     –        0             0   9.90 µs  2.00 MiB
poll:1s  500 ms  500 ms  500 ms       ∞       ∞    128 B        530 B  530 B  698 B     1     1        0             0   10.0 µs  2.00 MiB

What was lost counts as infinite above; of what was delivered:
         latency of what was delivered ········
series      p50     p90     p99   p99.9     max
───────────────────────────────────────────────
poll:1s  500 ms  500 ms  500 ms  500 ms  500 ms

Medians of the paired ratios of the repeats, with their 95 % intervals (six repeats or more have one):
ratio to ws                   p50                        p99
────────────────────────────────────────────────────────────
poll:1s      5,345× (4,703–5,986)  inconclusive (0.900–1.20)

How far to trust it:
         schedule lag ·  generator
series      p50     p99        CPU
──────────────────────────────────
ws       100 µs  100 µs       20 %
poll:1s  500 ms  500 ms       20 %
";
    assert_eq!(table(&record, PLAIN), expected[1..]);
}

#[test]
fn the_verdict_is_the_first_line_and_each_reason_follows() {
    let text = table(&samples::lossy(), PLAIN);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "INVALID for 2 reasons");
    assert!(lines[1].starts_with("- poll:100ms: The median of the last third is 31 % above"));
    assert!(lines[2].starts_with("- all series: The generator used 92 % of its core"));
    assert_eq!(table(&samples::comparison(), PLAIN).lines().next(), Some("valid"));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for record in [samples::comparison(), samples::lossy(), samples::sweep()] {
        for width in [40, 80, 120] {
            let text = table(&record, at(width));
            let widest = text.lines().max_by_key(|line| line.chars().count()).expect("there are lines");
            assert!(widest.chars().count() <= usize::from(width), "{widest}");
        }
    }
}

#[test]
fn every_width_has_the_same_figures() {
    let figures = |text: &str| {
        let mut words: Vec<String> =
            text.split_whitespace().filter(|word| word.contains("ms")).map(str::to_owned).collect();
        words.sort();
        words.dedup();
        words
    };
    let record = samples::comparison();
    assert_eq!(figures(&table(&record, at(80))), figures(&table(&record, PLAIN)));
}

#[test]
fn what_is_kept_of_a_subscriber_has_no_more_digits_than_it_is_known_to() {
    let mut record = samples::countable();
    record.series.truncate(1);
    record.series[0].merged.subscribers = Spread {
        subscribers: 100,
        p50_of_p99_ns: Some(Latency::Finite(1_234_567)),
        p99_of_p99_ns: Some(Latency::Finite(345_678)),
        max_of_p99_ns: Some(Latency::Infinite),
        max_lost: 7,
    };
    let text = table(&record, PLAIN);
    let last = text.lines().last().expect("a row");
    let words: Vec<&str> = last.split_whitespace().collect();
    assert_eq!(words[5..11], ["1.2", "ms", "350", "µs", "∞", "7"], "{last}");
}

#[test]
fn there_are_colours_only_when_they_are_asked_for() {
    let record = samples::lossy();
    assert!(!table(&record, PLAIN).contains('\u{1b}'));
    assert!(table(&record, Terminal { width: Some(80), colours: true }).contains('\u{1b}'));
}

#[test]
fn columns_that_no_series_has_are_left_out() {
    let mut record = samples::countable();
    assert!(["CPU each", "RSS", "application"].iter().all(|column| table(&record, PLAIN).contains(column)));
    for series in &mut record.series {
        series.merged.broker = None;
        series.merged.bytes.deliveries = 0;
    }
    assert!(["CPU each", "RSS", "application"].iter().all(|column| !table(&record, PLAIN).contains(column)));
}

#[test]
fn of_slow_subscribers_it_is_said_how_many_they_are_and_what_became_of_every_message() {
    let mut record = samples::countable();
    record.series.truncate(1);
    record.configuration.slow = Some(Slow { subscribers: 10, octets_per_second: 51_200 });
    let mut slow = SlowSubscribers { subscribers: 60, ..SlowSubscribers::default() };
    slow.counts =
        Counts { expected: 1_000, delivered: 200, lost: 800, told: 650, broken: 3, ..Counts::default() };
    slow.ages.record_n(2_000_000_000, 200).expect("within the bounds");
    record.series[0].merged.slow = Some(slow);
    let text = table(&record, PLAIN);
    assert!(text.contains("1,000 subscribers, 10 of them slow (50 KiB/s) · "), "{text}");
    let row = text.lines().find(|line| line.starts_with("ws") && line.contains("1,000")).expect("a row");
    assert_eq!(
        row.split_whitespace().skip(1).take(6).collect::<Vec<_>>(),
        ["60", "3", "1,000", "200", "650", "150"]
    );
    let headers = "series all cut off expected delivered told neither p50 p99 max";
    assert!(text.lines().any(|line| line.split_whitespace().eq(headers.split(' '))), "{text}");
}

#[test]
fn connecting_has_a_table_of_its_own() {
    let mut record: Record = samples::record("conn", samples::countable().series);
    (record.series, record.ratios) = (Vec::new(), Vec::new());
    record.connecting = Some(Connecting {
        wanted: 1_000,
        opened: 998,
        failed: 2,
        lost: 0,
        per_second: 12_345.0,
        p50_ns: 1_230_000,
        p99_ns: 4_560_000,
        max_ns: 7_890_000,
        lag_p99_ns: 56_000,
        idle_bytes_each: Some(1_536.0),
        cpu_ns_each: None,
        storm_ns: Some(2_000_000_000),
    });
    let expected = "
valid
conn: 1,000 connections · 10/s due

connections               measured
──────────────────────────────────
wanted                       1,000
opened                         998
refused                          2
connected                 12,345/s
until subscribed, p50      1.23 ms
until subscribed, p99      4.56 ms
until subscribed, max      7.89 ms
begun late, p99            56.0 µs
broker memory, each idle   1,536 B
all again after a cut       2.00 s
";
    assert_eq!(table(&record, PLAIN), expected[1..]);
}

#[test]
fn what_differs_between_two_records_is_said_before_the_ratios() {
    let (first, mut second) = (samples::countable(), samples::countable());
    (second.configuration.rate, second.environment.kernel) = (20.0, "6.13.0".into());
    second.environment.sysctls.insert("net.ipv4.tcp_rmem".into(), "4096".into());
    second.series.remove(1);
    let text = compared(&first, &second).text(PLAIN);
    let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("warning: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: They differ in messages: 10/s of 128 B in the first, 20/s of 128 B in the second.",
            "warning: They differ in kernel: 6.12.8 in the first, 6.13.0 in the second.",
            "warning: They differ in net.ipv4.tcp_rmem: nothing in the first, 4096 in the second.",
            "warning: Only the first record has poll:1s.",
        ]
    );
}

fn compared(first: &Record, second: &Record) -> Comparison {
    Comparison::of(first, second).expect("they have series in common")
}

#[test]
fn a_record_compared_with_itself_is_inconclusive_or_the_same_throughout() {
    let record = samples::comparison();
    let comparison = compared(&record, &record);
    assert_eq!((comparison.ratios.len(), comparison.warnings.len()), (24, 0));
    assert!(comparison.ratios.iter().all(loadtest::record::Ratio::is_inconclusive));
    let text = comparison.text(PLAIN);
    // Octets are the same in every repeat.
    let matches = ["inconclusive (", "the same (1.00–1.00)"].map(|word| text.matches(word).count());
    assert_eq!(matches, [18, 6], "{text}");
}

#[test]
fn twice_the_latency_is_a_ratio_of_two() {
    let (first, mut second) = (samples::comparison(), samples::comparison());
    for repeat in second.series.iter_mut().flat_map(|series| &mut series.repeats) {
        let Some(Latency::Finite(p99_ns)) = &mut repeat.p99_ns else { panic!("it is finite") };
        *p99_ns *= 2;
    }
    let comparison = compared(&first, &second);
    for ratio in comparison.ratios.iter().filter(|ratio| ratio.metric == "p99") {
        assert!((ratio.median - 2.0).abs() < 1e-6 && !ratio.is_inconclusive(), "{ratio:?}");
    }
}

#[test]
fn two_records_stand_beside_each_other_with_their_ratio_also_where_it_has_no_interval() {
    let [first, second] = [100_000, 136_000].map(|p99_ns| {
        let mut record = samples::countable();
        record.series.truncate(1);
        let series = &mut record.series[0];
        series.repeats.truncate(2);
        for repeat in &mut series.repeats {
            (repeat.p50_ns, repeat.p99_ns) = (None, Some(Latency::Finite(p99_ns)));
            (repeat.ip_bytes_per_delivery, repeat.cpu_ns_per_delivery) = (Some(1_028.0), None);
        }
        record
    });
    let text = compared(&first, &second).text(PLAIN);
    let expected = "
        p99 ································  bytes ······························
series   first  second                 ratio    first   second                ratio
───────────────────────────────────────────────────────────────────────────────────
ws      100 µs  136 µs  1.36× (no interval)  1,028 B  1,028 B  1.00× (no interval)
";
    assert!(squeezed(&text).ends_with(&squeezed(expected)), "{text}");
    assert!(text.contains("six repeats of each"), "{text}");
}

/// Every run of blanks, lines and dots as one blank.
fn squeezed(text: &str) -> String {
    text.split(|letter: char| letter.is_whitespace() || "─·".contains(letter))
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn connecting(p99_ns: u64, storm_ns: Option<u64>) -> Record {
    let mut record = samples::record("conn", Vec::new());
    record.connecting =
        Some(Connecting { wanted: 10, opened: 10, p99_ns, storm_ns, ..Connecting::default() });
    record
}

#[test]
fn connecting_is_compared_with_connecting() {
    let comparison = compared(&connecting(2_000_000, None), &connecting(3_000_000, Some(1_000_000_000)));
    let text = comparison.text(PLAIN);
    let rows: Vec<String> = text.lines().map(squeezed).collect();
    for row in [
        "opened 10 10 1.00×",
        "until subscribed, p99 2.00 ms 3.00 ms 1.50×",
        "all again after a cut – 1.00 s –",
    ] {
        assert!(rows.iter().any(|found| found == row), "{row} is not in {text}");
    }
    assert!(comparison.html().contains("until subscribed, p99"));
}

#[test]
fn records_that_have_nothing_in_common_are_not_compared() {
    let conn = connecting(1, None);
    for (first, second, message) in [
        (samples::countable(), conn.clone(), "the first record has ws, poll:1s, the second connecting"),
        (conn, samples::sweep(), "the first record has connecting, the second ws@1, "),
    ] {
        let error = Comparison::of(&first, &second).expect_err("they have nothing in common").to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn a_report_of_the_famous_comparison_has_the_famous_table() {
    let mut record = samples::countable();
    assert!(!table(&record, PLAIN).contains("Mbit/s"));
    record.configuration.headers = "kaazing".into();
    assert!(table(&record, PLAIN).contains("\nMbit/s (of 2^20 bits), for one message a second\n"));
}

#[test]
fn the_famous_table_stands_beside_what_is_measured_and_marks_what_is_extrapolated() {
    let mut record = samples::countable();
    for series in &mut record.series {
        series.merged.counts.expected = 60_000;
    }
    let expected = "
Mbit/s (of 2^20 bits), for one message a second
One message a second for each client. The famous figures count headers alone;
measured is what the application adds to the payload, and all that IP carries:
payload, headers of every layer, acknowledgements.

           famous ···········  headers, measured   all of IP, measured
clients    polling  WebSocket  polling  WebSocket   polling  WebSocket
──────────────────────────────────────────────────────────────────────
1,000          6.6      0.015     3.07     0.0153      5.33       1.82
10,000 *        66      0.153     30.7      0.153      53.3       18.2
100,000 *      665      1.526      307       1.53       533        182
* extrapolated from the 1,000 clients that were connected.
";
    let text = kaazing::Table::of(&record).expect("it has both series").text(at(80));
    assert_eq!(text, expected[1..]);
}

#[test]
fn the_famous_table_needs_both_series() {
    let mut record = samples::countable();
    record.series.pop();
    assert_eq!(kaazing::Table::of(&record), None);
}
