//! `docs/PROTOCOL.md` holds: every vector in it is read from there and checked against the wire crate, and its tables
//! of error codes and limits are complete.

mod binary;
mod commands;
mod events;
mod frames;
mod handshakes;
mod notifications;
mod page;

use fanwire_wire::error::ErrorCode;
use fanwire_wire::limits;
use fanwire_wire::topic::{Pattern, Topic};

use page::{lines, table};

#[test]
fn the_table_of_error_codes_has_every_code_and_no_other() {
    let listed: Vec<_> = table("### Error codes").into_iter().map(|row| row[0].trim_matches('`')).collect();
    let codes: Vec<_> = notifications::error_codes().map(ErrorCode::as_str).collect();
    assert_eq!(listed, codes);
    assert_eq!(codes, ErrorCode::ALL.map(ErrorCode::as_str));
}

#[test]
fn the_table_of_limits_has_the_values_that_hold() {
    let limits = [
        ("topic or pattern", limits::MAX_TOPIC_BYTES),
        ("`id` of a command", limits::MAX_COMMAND_ID_BYTES),
        ("token", limits::MAX_TOKEN_BYTES),
        ("`sub` of a token", limits::MAX_IDENTITY_BYTES),
        ("`key`", limits::MAX_KEY_BYTES),
        ("`message_id`", limits::MAX_MESSAGE_ID_BYTES),
        ("`topics` of a subscribe", limits::MAX_LIST_TOPICS),
        ("`messages` of a batch", limits::MAX_BATCH_MESSAGES),
        ("`name` of a hello", limits::MAX_HELLO_NAME_BYTES),
        ("epoch in a position", limits::MAX_EPOCH_BYTES),
        ("offset", limits::MAX_OFFSET as usize),
        ("head of a request", limits::MAX_HEAD_BYTES),
        ("header fields of a request", limits::MAX_HEADERS),
        ("chunk-size line", limits::MAX_CHUNK_LINE_BYTES),
        ("payload of a control frame", limits::MAX_CONTROL_PAYLOAD_BYTES),
        ("reason of a close", limits::MAX_CLOSE_REASON_BYTES),
        ("`wait` of a poll", limits::MAX_POLL_WAIT_MS as usize),
        ("one message, by default", limits::DEFAULT_MAX_MESSAGE_BYTES),
        ("one message, at the operator's most", limits::MAX_MAX_MESSAGE_BYTES),
    ];
    let number = |cell: &str| cell.split(' ').find_map(|word| word.parse().ok());
    let listed: Vec<_> = table("## Limits").into_iter().map(|row| (row[0], number(row[1]))).collect();
    assert_eq!(listed, limits.map(|(what, limit)| (what, Some(limit))));
}

#[test]
fn every_pattern_matches_what_the_page_says() {
    for line in lines("text matches") {
        let [pattern, topic, answer] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("not a pattern, a topic and an answer: {line}")
        };
        let (pattern, topic) = (Pattern::parse(pattern).unwrap(), Topic::parse(topic).unwrap());
        assert_eq!(if pattern.matches(&topic) { "yes" } else { "no" }, answer, "{line}");
    }
}
