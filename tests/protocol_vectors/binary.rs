//! Commands and notifications in octets: each is, field by field, what stands above it in JSON.

use std::collections::BTreeSet;

use fanwire_wire::binary::{
    Delivery, Received, parse_command, parse_notification, write_command, write_notification,
};
use fanwire_wire::command;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::{MessageFields, Notification};
use fanwire_wire::topic::{TopicNumber, TopicOrPattern};

use crate::commands::COMMANDS;
use crate::frames::hex;
use crate::notifications::{Fields, NOTIFICATION_TYPES, json_of, notified};
use crate::page::vectors;

/// The cases of the blocks of one kind: the lines of each, of which an empty one stands in between.
fn cases(info: &str) -> Vec<&'static str> {
    vectors(info).into_iter().flat_map(|block| block.trim_end().split("\n\n")).collect()
}

/// What stands above the octets, and they.
fn above_octets(case: &str) -> (&str, Vec<u8>) {
    let (json, octets) = case.split_once('\n').unwrap_or_else(|| panic!("no octets: {case}"));
    (json, hex(octets))
}

#[test]
fn every_command_is_in_octets_what_it_is_in_json() {
    let mut names = BTreeSet::new();
    for case in cases("hex command") {
        let (json, octets) = above_octets(case);
        let envelope = command::parse(json).unwrap_or_else(|rejection| panic!("{json}: {rejection:?}"));
        names.insert(envelope.command.name());
        let mut written = Vec::new();
        write_command(&envelope, &mut written);
        assert_eq!(written, octets, "{json}");
        assert_eq!(parse_command(&octets), Ok(envelope), "{json}");
    }
    assert_eq!(names, BTreeSet::from(COMMANDS));
}

/// What octets say and JSON does not: `number N`, and `and the name` where a delivery has that too.
#[derive(Clone, Copy)]
struct Numbered {
    number: Option<TopicNumber>,
    has_name: bool,
}

/// Takes the line that says it off the front of what stands below the JSON.
fn numbered(below: &str) -> (Numbered, &str) {
    let Some((line, octets)) = below.strip_prefix("number ").and_then(|rest| rest.split_once('\n')) else {
        return (Numbered { number: None, has_name: false }, below);
    };
    let (number, has_name) = match line.strip_suffix(" and the name") {
        Some(number) => (number, true),
        None => (line, false),
    };
    (Numbered { number: Some(number.parse().expect("a number")), has_name }, octets)
}

fn delivery<'a>(fields: &MessageFields<'a>, Numbered { number, has_name }: Numbered) -> Delivery<'a> {
    let MessageFields { topic, offset, skipped, is_snapshot, key, kind, payload, time_ms: _ } = *fields;
    Delivery { number, name: has_name.then_some(topic), offset, skipped, is_snapshot, key, kind, payload }
}

fn check(notification: &Notification<'_>, numbered: Numbered, octets: &[u8]) {
    let mut written = Vec::new();
    let read = parse_notification(octets).unwrap_or_else(|error| panic!("{error}: {notification:?}"));
    match (*notification, read) {
        (Notification::Message(fields), Received::Delivery(read)) => {
            delivery(&fields, numbered).write(&mut written);
            assert_eq!(read, delivery(&fields, numbered));
        }
        (told, Received::Notification(id, read)) => {
            let told = match told {
                Notification::Subscribed { id, topic, epoch, offset, recovered, number: _ } => {
                    let number = numbered.number;
                    Notification::Subscribed { id, topic, epoch, offset, number, recovered }
                }
                told => told,
            };
            write_notification(&told, &mut written);
            assert_eq!(read.with_id(id.as_ref()), told);
        }
        (told, read) => panic!("{told:?} is not {read:?}"),
    }
    assert_eq!(written, octets, "{notification:?}");
}

#[test]
fn every_notification_is_in_octets_what_it_is_in_json() {
    let mut types = BTreeSet::new();
    for case in cases("hex notification") {
        let (json, below) = case.split_once('\n').unwrap_or_else(|| panic!("no octets: {case}"));
        let (numbered, octets) = numbered(below);
        let fields: Fields<'_> = serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        let of = notified(&fields, |notification| {
            assert_eq!(json_of(notification), json);
            check(notification, numbered, &hex(octets));
            notification.name()
        });
        types.insert(of.unwrap_or_else(|| panic!("a field is missing or unknown: {json}")));
    }
    assert_eq!(types, BTreeSet::from(NOTIFICATION_TYPES));
}

#[test]
fn every_refused_command_is_answered_as_the_page_has_it() {
    let mut codes = BTreeSet::new();
    for case in cases("hex refused") {
        let (octets, answer) = case.rsplit_once('\n').unwrap_or_else(|| panic!("no answer: {case}"));
        let rejection = parse_command(&hex(octets)).expect_err(octets);
        codes.insert(rejection.error.code().as_str());
        let error = Notification::Error {
            id: rejection.id.as_ref(),
            command: rejection.command,
            topic: rejection.topic.as_ref().map(TopicOrPattern::as_str),
            code: rejection.error.code(),
            message: &rejection.error.to_string(),
        };
        assert_eq!(json_of(&error), answer, "{octets}");
    }
    let octets_can_be_wrong_in = [
        ErrorCode::BadCommand,
        ErrorCode::UnknownCommand,
        ErrorCode::BadTopic,
        ErrorCode::BadSince,
        ErrorCode::BadPayload,
    ];
    assert_eq!(codes, octets_can_be_wrong_in.map(ErrorCode::as_str).into());
}
