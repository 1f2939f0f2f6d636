use std::borrow::Cow;

use proptest::option;
use proptest::prelude::*;

use super::samples::{command, id, json_of};
use super::{command_of, layout_error, rejection, written};
use crate::binary::parse_command;
use crate::command::{
    self, BAD_BATCH, BAD_EXPECT, BAD_LIST, BAD_OVERFLOW, Command, CommandId, Envelope, Publication, Rejection,
};
use crate::error::{CommandError, ErrorCode, LayoutError, PayloadError, TopicError};
use crate::limits::{MAX_BATCH_MESSAGES, MAX_LIST_TOPICS};
use crate::topic::TopicOrPattern;

proptest! {
    #[test]
    fn every_command_is_read_as_it_was_written(id in option::of(id()), command in command()) {
        let envelope = Envelope { id, command };
        let octets = written(&envelope);
        prop_assert_eq!(parse_command(&octets), Ok(envelope));
    }

    #[test]
    fn json_and_octets_are_the_same_commands(id in option::of(id()), command in command()) {
        let envelope = Envelope { id, command };
        let (json, octets) = (json_of(&envelope), written(&envelope));
        prop_assert_eq!(command::parse(&json).map_err(|rejection| rejection.error), Ok(envelope));
        prop_assert_eq!(command::parse(&json), parse_command(&octets));
    }

    /// Whatever is cut off, nothing but what ends with text, a payload or messages is still a command.
    #[test]
    fn a_command_that_is_cut_is_refused_wherever_it_is_cut(id in option::of(id()), command in command()) {
        let octets = written(&Envelope { id: id.clone(), command: command.clone() });
        for end in 0..octets.len() {
            match (parse_command(&octets[..end]), &command) {
                (Ok(shorter), Command::Publish { .. } | Command::Auth { .. } | Command::Hello { .. }) => {
                    prop_assert_eq!(shorter.id, id.clone());
                }
                (Ok(Envelope { command: Command::PublishBatch { messages: shorter, .. }, .. }), Command::PublishBatch { messages, .. }) => {
                    prop_assert!(shorter.len() < messages.len() && messages.starts_with(&shorter));
                }
                (Ok(shorter), _) => prop_assert!(false, "{} of {octets:02x?}: {shorter:?}", end),
                (Err(rejection), _) => {
                    prop_assert!(!rejection.error.to_string().is_empty());
                    prop_assert!(rejection.id.is_none() || rejection.id == id);
                }
            }
        }
    }

    #[test]
    fn octets_behind_the_end_are_refused(id in option::of(id()), command in command(), more in 1_usize..9) {
        let mut octets = written(&Envelope { id, command: command.clone() });
        octets.extend(vec![0; more]);
        match command {
            Command::Publish { .. }
            | Command::PublishBatch { .. }
            | Command::Auth { .. }
            | Command::Hello { .. } => {}
            _ => prop_assert_eq!(layout_error(&octets), LayoutError::Trailing { octets: more }),
        }
    }

    #[test]
    fn whatever_comes_is_a_command_or_is_refused(
        octets in proptest::collection::vec(any::<u8>(), 0..60), first in 0_u8..16, flags in any::<u8>(),
    ) {
        for message in [&octets[..], &[&[first, flags], &octets[..]].concat()] {
            match parse_command(message) {
                // What could not be read of a batch cannot be written.
                Ok(Envelope { command: Command::PublishBatch { messages, .. }, .. })
                    if messages.iter().any(Result::is_err) => {}
                Ok(envelope) => {
                    let again = written(&envelope);
                    prop_assert_eq!(parse_command(&again), Ok(envelope));
                }
                Err(rejection) => prop_assert!(!rejection.error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn what_is_not_known_is_refused_and_its_id_is_read() {
    let seven = Some(CommandId::from(7));
    let id = 7_u64.to_be_bytes();
    let with_id = |head: &[u8], rest: &[u8]| [head, &id, rest].concat();

    let unknown_type = rejection(&with_id(&[0x7f, 0x01], b"whatever"));
    assert_eq!((unknown_type.id, unknown_type.command), (seven.clone(), None));
    assert_eq!(unknown_type.error, CommandError::Layout(LayoutError::UnknownType(0x7f)));
    assert_eq!(unknown_type.error.code(), ErrorCode::UnknownCommand);

    let unknown_flag = rejection(&with_id(&[0x03, 0x41], b"\x01t"));
    assert_eq!((unknown_flag.id, unknown_flag.command), (seven.clone(), Some("unsubscribe")));
    assert_eq!(unknown_flag.error, CommandError::Layout(LayoutError::UnknownFlags(0x40)));
    assert_eq!(unknown_flag.error.code(), ErrorCode::BadCommand);

    assert_eq!(rejection(&with_id(&[0xe1], b"\x01t")).error, CommandError::Layout(LayoutError::UnknownKind));
    assert_eq!(
        rejection(&with_id(&[0x91, 0x07], b"\x01t")).error,
        CommandError::Layout(LayoutError::UnknownFlags(0x04))
    );
}

#[test]
fn every_wrong_command_is_told_what_is_wrong_with_it() {
    let truncated = |field| CommandError::Layout(LayoutError::Truncated { field });
    let long_key = [&b"\x84\x01t\x81"[..], &[b'k'; 129]].concat();
    let cases: [(&[u8], CommandError); 21] = [
        (b"", truncated("type")),
        (b"\x01", truncated("flags")),
        (b"\x04\x01\0\0", truncated("id")),
        (b"\x04\x02\x05\"a\"", truncated("id")),
        (b"\x04\x02\x03abc", CommandError::BadId),
        (b"\x04\x02\x02[]", CommandError::BadId),
        (b"\x04\x03", CommandError::BadId),
        (b"\x04\x02\x03\"\xff\"", CommandError::Layout(LayoutError::NotUtf8 { field: "id" })),
        (b"\x03\0\x09short", truncated("topic")),
        (b"\x03\0\x02\xc3(", CommandError::Layout(LayoutError::NotUtf8 { field: "topic" })),
        (b"\x02\0\x01t", CommandError::MissingField("since")),
        (b"\x02\x0c\x01t", CommandError::BadSince),
        (b"\x01\x08\x01t\0\0\0", truncated("since")),
        (b"\x01\x08\x01t\0\x20\0\0\0\0\0\0\x01e", CommandError::BadSince),
        (b"\x01\x08\x01t\0\0\0\0\0\0\0\x07\0", CommandError::BadSince),
        (b"\x01\x04\x01*", CommandError::SinceWithPattern),
        (b"\x05\0", CommandError::BadLength { field: "name", limit: 128 }),
        (b"\x84\x01t\0", CommandError::BadLength { field: "key", limit: 128 }),
        (&long_key, CommandError::BadLength { field: "key", limit: 128 }),
        (b"\x80\x01t\xff", CommandError::BadPayload(PayloadError::NotUtf8 { at: 0 })),
        (b"\x04\0more", CommandError::Layout(LayoutError::Trailing { octets: 4 })),
    ];
    for (message, error) in cases {
        assert_eq!(rejection(message).error, error, "{message:02x?}");
    }
    assert_eq!(rejection(b"\xa0\x01t{").error.code(), ErrorCode::BadPayload);
    assert_eq!(rejection(b"\x80\x06chat.*").error.code(), ErrorCode::BadTopic);
}

#[test]
fn what_could_be_read_of_a_wrong_command_is_kept() {
    let Rejection { id, command, topic, error } = rejection(b"\xa2\x03\"x\"\x01t{");
    assert_eq!(error.code(), ErrorCode::BadPayload);
    assert_eq!((id, command), (Some(CommandId::parse("\"x\"").unwrap()), Some("publish")));
    assert_eq!(topic.as_ref().map(TopicOrPattern::as_str), Some("t"));
    let Rejection { command, topic, .. } = rejection(b"\x80\x06chat.*hi");
    assert_eq!((command, topic), (Some("publish"), Some(TopicOrPattern::parse("chat.*").unwrap())));
}

#[test]
fn a_publish_borrows_its_payload() {
    let message = b"\xc0\x01t\xff\0";
    let Command::Publish { publication, .. } = command_of(message) else { panic!("no publish") };
    let Cow::Borrowed(payload) = publication.payload else { panic!("copied") };
    assert_eq!(payload.as_ptr(), message[3..].as_ptr());
}

#[test]
fn a_list_that_is_wrong_is_refused_whole() {
    let truncated = |field| LayoutError::Truncated { field };
    let bad_topic = TopicError::BadCharacter { at: 0, character: '!' };
    let element = |index, error: CommandError| error.within("topics", index);
    let two = |second: &[u8]| [b"\x01\x40\0\0\0\x02\0\x01a", second].concat();
    let cases: [(&[u8], CommandError); 10] = [
        (b"\x01\x40\0\0", truncated("topics").into()),
        (b"\x01\x40\0\0\0\0", BAD_LIST),
        (b"\x01\x40\0\0\x27\x11", BAD_LIST),
        (b"\x01\x40\xff\xff\xff\xff", BAD_LIST),
        (b"\x01\x44\0\0\0\x01\0\x01a", LayoutError::UnknownFlags(0x04).into()),
        (&two(b""), element(1, truncated("since").into())),
        (&two(b"\0\x01!"), element(1, bad_topic.into())),
        (&two(b"\x03\x01b"), element(1, CommandError::BadSince)),
        (&two(b"\x01\x01*"), element(1, CommandError::SinceWithPattern)),
        (&two(b"\0\x01bc"), LayoutError::Trailing { octets: 1 }.into()),
    ];
    for (message, error) in cases {
        assert_eq!(rejection(message).error, error, "{message:02x?}");
    }
    assert_eq!(MAX_LIST_TOPICS, 0x2710, "the third case has one more");
}

#[test]
fn what_a_subscribe_asks_for_beside_its_topic_is_checked() {
    assert_eq!(rejection(b"\x01\x10\x03\x01t").error, BAD_OVERFLOW);
    assert_eq!(rejection(b"\x01\x10").error, LayoutError::Truncated { field: "overflow" }.into());
    assert_eq!(rejection(b"\x01\x24\x01t").error, CommandError::SinceWithSnapshot);
    assert_eq!(rejection(b"\x01\x60\0\0\0\x01\x01\x01t").error.code(), ErrorCode::BadSince);
}

#[test]
fn what_a_publish_says_beside_its_payload_is_checked() {
    let bad_message_id = CommandError::BadLength { field: "message_id", limit: 128 };
    let long = [&b"\x90\x01\x01t\x81"[..], &[b'm'; 129]].concat();
    let cases: [(&[u8], CommandError); 8] = [
        (b"\x90", LayoutError::Truncated { field: "flags" }.into()),
        (b"\x90\x04\x01t", LayoutError::UnknownFlags(0x04).into()),
        (b"\x90\x01\x01t\0", bad_message_id.clone()),
        (&long, bad_message_id),
        (b"\x90\x02\x01t\0\0", LayoutError::Truncated { field: "expect" }.into()),
        (b"\x90\x02\x01t\0\0\0\0\0\0\0\x07", LayoutError::Truncated { field: "expect" }.into()),
        (b"\x90\x02\x01t\0\0\0\0\0\0\0\x07\0", BAD_EXPECT),
        (b"\x90\x02\x01t\0\x20\0\0\0\0\0\0\x01e", BAD_EXPECT),
    ];
    for (message, error) in cases {
        assert_eq!(rejection(message).error, error, "{message:02x?}");
    }
    let longest = &long[..long.len() - 1];
    let longest = [&longest[..4], b"\x80", &longest[5..]].concat();
    assert!(matches!(command_of(&longest), Command::Publish { .. }));
}

/// What is read of a batch of these messages.
fn messages_of(octets: &[u8]) -> Vec<Result<Publication<'_>, CommandError>> {
    match command_of(octets) {
        Command::PublishBatch { messages, .. } => messages,
        other => panic!("{other:?}"),
    }
}

fn batch(messages: &[&[u8]]) -> Vec<u8> {
    let with_length = |message: &&[u8]| [&(message.len() as u32).to_be_bytes(), *message].concat();
    [vec![0x0a, 0], messages.iter().flat_map(with_length).collect()].concat()
}

#[test]
fn a_bad_message_of_a_batch_leaves_the_others_as_they_are() {
    let octets = batch(&[
        b"\x80\x01ahi",
        b"\x80\x01!",
        b"",
        b"\x04\0",
        b"\x81\0\0\0\0\0\0\0\x07\x01a",
        b"\x88\x01a",
        b"\x90\x04\x01a",
        b"\xa0\x01a{",
        b"\xc0\x01b\xff",
    ]);
    let messages = messages_of(&octets);
    let codes: Vec<_> =
        messages.iter().map(|message| message.as_ref().err().map(CommandError::code)).collect();
    let (bad_command, bad_topic) = (Some(ErrorCode::BadCommand), Some(ErrorCode::BadTopic));
    assert_eq!(
        codes,
        [
            None,
            bad_topic,
            bad_command,
            bad_command,
            bad_command,
            bad_command,
            bad_command,
            Some(ErrorCode::BadPayload),
            None
        ]
    );
    assert_eq!(messages[3], Err(LayoutError::NotPublish.into()));
    let Some(Ok(Publication { payload: Cow::Borrowed(payload), .. })) = messages.last() else {
        panic!("copied, or refused")
    };
    assert_eq!(payload.as_ptr(), octets[octets.len() - 1..].as_ptr());
}

#[test]
fn a_batch_that_is_wrong_is_refused_whole() {
    let truncated = CommandError::from(LayoutError::Truncated { field: "messages" });
    assert_eq!(rejection(b"\x0a\0").error, BAD_BATCH);
    assert_eq!(rejection(b"\x0a\x10\0").error, LayoutError::UnknownFlags(0x10).into());
    assert_eq!(rejection(b"\x0a\0\0\0\0").error, truncated);
    assert_eq!(rejection(b"\x0a\0\0\0\0\x04\x80\x01a").error, truncated);
    assert_eq!(rejection(b"\x0a\0\xff\xff\xff\xff\x80\x01a").error, truncated);

    let most = vec![&b"\x80\x01a"[..]; MAX_BATCH_MESSAGES];
    assert_eq!(messages_of(&batch(&most)).len(), MAX_BATCH_MESSAGES);
    let one_more = [&most[..], &[b"\x80\x01a"]].concat();
    assert_eq!(rejection(&batch(&one_more)).error, CommandError::BatchTooLarge { limit: MAX_BATCH_MESSAGES });
}

#[test]
fn whoever_writes_a_list_of_one_writes_no_list() {
    let one = Command::subscribe(TopicOrPattern::parse("a").expect("a topic"), None);
    assert_eq!(parse_command(b"\x01\x40\0\0\0\x01\0\x01a").map(|envelope| envelope.command), Ok(one.clone()));
    assert_eq!(written(&Envelope { id: None, command: one }), b"\x01\0\x01a");
}
