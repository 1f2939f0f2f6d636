//! What values may be, each by itself, and how long the timeouts that nobody has changed are patient.

use super::*;

#[test]
fn a_value_out_of_range_is_told_the_range() {
    let cases = [
        ("cores = 0", "test.toml:1: cores: 0 is not between 1 and 64"),
        ("cores = 65", "test.toml:1: cores: 65 is not between 1 and 64"),
        ("max_message = 1000", "test.toml:1: max_message: 1000B is not between 1KiB and 64MiB"),
        ("max_message = \"65MiB\"", "test.toml:1: max_message: 65MiB is not between 1KiB and 64MiB"),
        ("backlog = \"3KiB\"", "test.toml:1: backlog: 3KiB is not between 4KiB and 1GiB"),
        ("max_topics = 0", "test.toml:1: max_topics: 0 is not between 1 and 4294967295"),
        ("max_subscriptions = 0", "test.toml:1: max_subscriptions: 0 is not between 1 and 4294967295"),
        ("drain = \"2h\"", "test.toml:1: drain: 2h is not between 0ms and 1h"),
        ("[timeouts]\nping = \"50ms\"", "test.toml:2: timeouts.ping: 50ms is not between 100ms and 1d"),
        ("[timeouts]\nclose = \"2d\"", "test.toml:2: timeouts.close: 2d is not between 100ms and 1d"),
        (
            "[timeouts]\nhandshake = \"0s\"",
            "test.toml:2: timeouts.handshake: 0ms is not between 100ms and 1d",
        ),
        (
            "[timeouts]\nidle_http = \"0s\"",
            "test.toml:2: timeouts.idle_http: 0ms is not between 100ms and 1d",
        ),
        (
            "[timeouts]\nunanswered_pings = 0",
            "test.toml:2: timeouts.unanswered_pings: 0 is not between 1 and 20",
        ),
        ("limits.connections = 0", "test.toml:1: limits.connections: 0 is not between 1 and 4294967295"),
        (
            "limits.connections_per_address = 0",
            "test.toml:1: limits.connections_per_address: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.handshakes_per_second_per_address = 0",
            "test.toml:1: limits.handshakes_per_second_per_address: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.commands_per_second = 0",
            "test.toml:1: limits.commands_per_second: 0 is not between 1 and 4294967295",
        ),
        (
            "limits.bytes_per_second = 1023",
            "test.toml:1: limits.bytes_per_second: 1023B is not between 1KiB and 1024GiB",
        ),
        ("limits.memory = 1", "test.toml:1: limits.memory: 1B is not between 1MiB and 1024GiB"),
        (
            "limits.history_memory = 1",
            "test.toml:1: limits.history_memory: 1B is not between 1MiB and 1024GiB",
        ),
        (
            "limits.context_memory = 1",
            "test.toml:1: limits.context_memory: 1B is not between 1MiB and 1024GiB",
        ),
        (
            "limits.backlog_memory = 1",
            "test.toml:1: limits.backlog_memory: 1B is not between 1MiB and 1024GiB",
        ),
        ("limits.header_bytes = 1", "test.toml:1: limits.header_bytes: 1B is not between 1KiB and 16KiB"),
        ("limits.batch = 1001", "test.toml:1: limits.batch: 1001 is not between 1 and 1000"),
        ("limits.inflated_ratio = 9", "test.toml:1: limits.inflated_ratio: 9 is not between 10 and 1100"),
        ("limits.patience = \"0s\"", "test.toml:1: limits.patience: 0ms is not between 100ms and 1d"),
        (
            "[[topics]]\nmatch = \"a\"\nhistory.messages = 0",
            "test.toml:3: history.messages: 0 is not between 1 and 1000000000",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nhistory.max_age = \"0s\"",
            "test.toml:3: history.max_age: 0ms is not between 100ms and 365d",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nkeys.max = 0",
            "test.toml:3: keys.max: 0 is not between 1 and 4294967295",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nkeys = { bytes = 1 }",
            "test.toml:3: keys.bytes: 1B is not between 1KiB and 1024GiB",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmessage_ids = { max = 0 }",
            "test.toml:3: message_ids.max: 0 is not between 1 and 4294967295",
        ),
        (
            "[[topics]]\nmatch = \"a\"\nmessage_ids = { max_age = \"1ms\" }",
            "test.toml:3: message_ids.max_age: 1ms is not between 100ms and 365d",
        ),
    ];
    for (file, expected) in cases {
        assert_eq!(complaint(file), expected, "{file}");
    }
    let error = config(&["--cores", "65"], "cores = 1").unwrap_err();
    assert_eq!(error.to_string(), "--cores: 65 is not between 1 and 64");
}

#[test]
fn the_kernels_patience_lasts_longer_than_the_pings_that_may_stay_unanswered() {
    assert_eq!(Timeouts::default().patience(), Duration::from_secs(78));
}
