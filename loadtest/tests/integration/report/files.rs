//! What the report writes for other programs.

use std::fs;
use std::path::Path;

use loadtest::latencies::histogram;
use loadtest::percentile::Latency;
use loadtest::report::json::{self, ReadError};
use loadtest::report::{Terminal, hgrm, table};

use serde_json::Value;

use super::samples;

#[test]
fn a_record_reports_the_same_when_it_is_read_back() {
    for record in [samples::comparison(), samples::lossy()] {
        let again = json::read(&json::write(&record)).expect("it was written here");
        assert_eq!(table(&again, Terminal::default()), table(&record, Terminal::default()));
        for (series, other) in record.series.iter().zip(&again.series) {
            assert_eq!(series.merged.latencies.end_to_end, other.merged.latencies.end_to_end);
            assert_eq!(series.merged.slices, other.merged.slices);
        }
    }
}

#[test]
fn percentiles_are_read_without_a_histogram_and_say_what_is_infinite() {
    let mut record = samples::countable();
    record.series[1].repeats[0].p99_ns = Some(Latency::Infinite);
    let json: Value = serde_json::from_str(&json::write(&record)).expect("it is JSON");
    let polls = &json["quantiles"]["poll:1s"];
    let (finite, of_service) = (&polls["end_to_end"]["p99_ns"], &polls["service"]["max_ns"]);
    assert!(finite.as_u64().is_some_and(|ns| ns.abs_diff(500_000_000) < 500_000), "{finite}");
    assert_eq!((&polls["end_to_end"]["p99_9_ns"], of_service), (&"Infinity".into(), finite));
    assert_eq!(json["quantiles"]["ws"]["receive_lag"]["p50_ns"], Value::Null);
    assert_eq!(json["series"][1]["repeats"][0]["p99_ns"], "Infinity");
}

#[test]
fn no_number_is_larger_than_a_double_holds_exactly() {
    fn largest(value: &Value) -> u64 {
        match value {
            Value::Number(number) => number.as_u64().unwrap_or(0),
            Value::Array(values) => values.iter().map(largest).max().unwrap_or(0),
            Value::Object(values) => values.values().map(largest).max().unwrap_or(0),
            _ => 0,
        }
    }
    let json: Value = serde_json::from_str(&json::write(&samples::lossy())).expect("it is JSON");
    assert!((1..1 << 53).contains(&largest(&json)));
}

#[test]
fn a_record_of_another_version_is_told_from_one_that_is_broken() {
    let text = json::write(&samples::countable());
    let newer = text.replacen("\"schema_version\": 1", "\"schema_version\": 7", 1);
    assert!(matches!(json::read(&newer), Err(ReadError::OtherVersion { found: 7 })));
    let truncated = &text[..text.len() / 2];
    assert!(matches!(json::read(truncated), Err(ReadError::NotJson(_))));
    assert!(matches!(json::read("{\"schema_version\": 1}"), Err(ReadError::Malformed(_))));
    for other in ["{}", "[]", "7", "{\"schema_version\": \"x\"}"] {
        assert!(matches!(json::read(other), Err(ReadError::NotARecord)), "{other}");
    }
    let twice = text.replace("\"name\": \"poll:1s\"", "\"name\": \"ws\"");
    assert!(matches!(json::read(&twice), Err(ReadError::SameName(name)) if name == "ws"));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("damaged.json");
    fs::write(&file, truncated).expect("the directory can be written");
    let error = json::read_file(&file).expect_err("it is damaged").to_string();
    assert!(error.contains("damaged.json: this is not JSON"), "{error}");
    assert!(matches!(json::read_file(Path::new("/nowhere/A.json")), Err(ReadError::Unreadable { .. })));
}

#[test]
fn an_error_says_what_was_wrong_and_what_to_do() {
    let message = json::read("{\"schema_version\": 2}").expect_err("version 2").to_string();
    assert_eq!(
        message,
        "this record has schema version 2, and this program reads 1: \
         run the measurement again, or read it with the `loadtest` that wrote it"
    );
}

#[test]
fn a_distribution_is_what_the_plotters_read() {
    let mut latencies = histogram();
    for milliseconds in 1..=10 {
        latencies.record(milliseconds * 1_000_000).expect("within the bounds");
    }
    let expected = "
       Value     Percentile TotalCount 1/(1-Percentile)

       1.000 0.000000000000          1           1.00
       1.000 0.100000000000          1           1.11
       2.001 0.200000000000          2           1.25
       4.002 0.300000000000          4           1.43
       4.002 0.400000000000          4           1.67
       5.001 0.500000000000          5           2.00
       6.001 0.550000000000          6           2.22
       7.000 0.600000000000          7           2.50
       7.000 0.650000000000          7           2.86
       8.004 0.700000000000          8           3.33
       8.004 0.750000000000          8           4.00
       8.004 0.775000000000          8           4.44
       9.003 0.800000000000          9           5.00
       9.003 0.825000000000          9           5.71
       9.003 0.850000000000          9           6.67
       9.003 0.875000000000          9           8.00
       9.003 0.887500000000          9           8.89
      10.002 0.900000000000         10          10.00
      10.002 1.000000000000         10
#[Mean    =        5.500, StdDeviation   =        2.872]
#[Max     =       10.002, Total count    =           10]
#[Buckets =           21, SubBuckets     =         2048]
#[Unit    =           ms]
";
    assert_eq!(hgrm::distribution(&latencies), expected[1..]);
}

#[test]
fn each_series_and_kind_has_a_file_and_none_overwrites_another() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hgrm");
    let mut record = samples::countable();
    record.series[0].name = "poll-1s".into();
    let written = hgrm::write_all(&record, &directory).expect("the directory can be written");
    let names: Vec<_> =
        written.iter().map(|path| path.file_name().expect("a file").to_str().expect("ASCII")).collect();
    assert_eq!(
        names,
        [
            "poll-1s.end-to-end.hgrm",
            "poll-1s.service.hgrm",
            "poll-1s.schedule-lag.hgrm",
            "poll-1s.end-to-end-2.hgrm",
            "poll-1s.service-2.hgrm",
            "poll-1s.schedule-lag-2.hgrm",
        ]
    );
    let second = fs::read_to_string(&written[3]).expect("it was written");
    assert!(second.contains("#[Max     =      500.171, Total count    =           99]"), "{second}");
}

#[test]
fn the_lines_of_a_distribution_have_four_numbers_that_rise() {
    let text = hgrm::distribution(&samples::comparison().series[5].merged.latencies.end_to_end);
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    let rows: Vec<Vec<f64>> = lines
        .filter(|words| words.len() == 4)
        .filter_map(|words| words.iter().map(|word| word.parse().ok()).collect())
        .collect();
    assert!(rows.len() > 40, "{}", rows.len());
    for pair in rows.windows(2) {
        assert!((0..4).all(|column| pair[0][column] <= pair[1][column]), "{pair:?}");
    }
}
