//! Thresholds over whole records.

use loadtest::record::Record;
use loadtest::threshold::{Failure, Threshold};

use super::samples;

fn failures(record: &Record, threshold: &str) -> Vec<Failure> {
    threshold.parse::<Threshold>().expect("a threshold").check(record)
}

#[test]
fn what_is_kept_fails_nothing() {
    let record = samples::countable();
    for threshold in [
        "ws.p99<101us",
        "ws.max<=1ms",
        "ws.mean>=99us",
        "poll:1s.p99<=501ms",
        "ws.lost<=0",
        "poll:1s.lost<2",
        "ws.doubled<1",
        "ws.disordered<=0",
        "ws.bytes<239B",
        "ws.cpu<10us",
        "ws.rss<=2MiB",
        "ws.rate>=1",
    ] {
        assert_eq!(failures(&record, threshold), [], "{threshold}");
    }
}

#[test]
fn what_is_not_kept_says_what_it_was() {
    let record = samples::countable();
    for (threshold, message) in [
        ("ws.p50<100us", "ws.p50<100us failed: it was 100 µs"),
        ("poll:1s.lost<=0", "poll:1s.lost<=0 failed: it was 1"),
        ("ws.bytes<238B", "ws.bytes<238B failed: it was 238 B"),
        ("ws.rss<1MiB", "ws.rss<1MiB failed: it was 2.00 MiB"),
        ("ws.rate>1", "ws.rate>1 failed: it was 1"),
    ] {
        let messages: Vec<String> = failures(&record, threshold).iter().map(ToString::to_string).collect();
        assert_eq!(messages, [message]);
    }
}

#[test]
fn a_percentile_that_falls_into_the_losses_keeps_no_upper_limit() {
    let record = samples::countable();
    for threshold in ["poll:1s.p99.9<600s", "poll:1s.max<600s", "poll:1s.mean<600s"] {
        let [Failure::Missed { found, .. }] = &failures(&record, threshold)[..] else {
            panic!("{threshold} is kept")
        };
        assert_eq!(found, "∞");
    }
    assert_eq!(failures(&record, "poll:1s.p99<600s"), []);
}

#[test]
fn what_took_longer_than_a_histogram_holds_is_infinite_too() {
    let mut record = samples::countable();
    let counts = &mut record.series[1].merged.counts;
    (counts.delivered, counts.lost) = (100, 0);
    assert_eq!(failures(&record, "poll:1s.max<600s").len(), 1);
    assert_eq!(failures(&record, "poll:1s.p99<600s"), []);
}

#[test]
fn an_unknown_series_lists_those_that_there_are() {
    let failures = failures(&samples::countable(), "sse.p99<5ms");
    assert_eq!(failures[0].to_string(), "sse.p99<5ms failed: there is no such series, only ws, poll:1s");
}

#[test]
fn what_was_not_measured_is_not_kept() {
    let mut record = samples::countable();
    record.series[0].merged.broker = None;
    let [Failure::NotMeasured { .. }] = failures(&record, "ws.cpu<1s")[..] else { panic!("it is kept") };
}
