use std::borrow::Cow;

use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::command::{self, Command, Envelope, Position, Publication, Rejection, Since, Wanted};
use crate::error::{ErrorCode, PayloadError};
use crate::limits::MAX_OFFSET;
use crate::notification::{MessageFields, Notification};
use crate::topic::{Topic, TopicNumber, TopicOrPattern, TopicRef};

fn written(envelope: &Envelope<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_command(envelope, &mut out);
    out
}

fn notified(notification: &Notification<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write_notification(notification, &mut out);
    out
}

fn rejection(message: &[u8]) -> Rejection {
    *parse_command(message).expect_err("no command")
}

/// The layout error of what is no command.
fn layout_error(message: &[u8]) -> LayoutError {
    match rejection(message).error {
        CommandError::Layout(error) => error,
        other => panic!("{message:02x?}: {other:?}"),
    }
}

fn command_of(message: &[u8]) -> Command<'_> {
    parse_command(message).unwrap_or_else(|rejection| panic!("{message:02x?}: {rejection:?}")).command
}

fn topic() -> impl Strategy<Value = String> {
    "[A-Za-z0-9_:@=~-]{1,20}(\\.[A-Za-z0-9_:@=~-]{1,20}){0,3}"
}

fn pattern() -> impl Strategy<Value = String> {
    prop_oneof![
        topic().prop_map(|topic| format!("{topic}.>")),
        topic().prop_map(|topic| format!("*.{topic}"))
    ]
}

fn id() -> impl Strategy<Value = CommandId> {
    let json = prop_oneof![
        any::<u64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f32>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(|number| json!(number).to_string()),
        "[ -~é]{0,20}".prop_map(|text| json!(text).to_string()),
    ];
    json.prop_map(|json| CommandId::parse(&json).expect("an id"))
}

fn since() -> impl Strategy<Value = Since> {
    let position = ("[0-9a-f]{1,64}", 0..MAX_OFFSET)
        .prop_map(|(epoch, offset)| Since::Position(Position { epoch: epoch.into(), offset }));
    prop_oneof![Just(Since::Earliest), position]
}

/// A payload of each kind, as JSON keeps it: without space around it.
fn payload() -> impl Strategy<Value = (PayloadKind, Vec<u8>)> {
    prop_oneof![
        "\\PC{0,40}".prop_map(|text| (PayloadKind::Text, text.into_bytes())),
        ("\\PC{0,20}", any::<i32>(), any::<bool>()).prop_map(|(text, number, is_string)| {
            let value = if is_string { json!(text) } else { json!({ "a": [number, text] }) };
            (PayloadKind::Json, value.to_string().into_bytes())
        }),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(|octets| (PayloadKind::Binary, octets)),
    ]
}

fn command() -> impl Strategy<Value = Command<'static>> {
    let parsed = |text: &str| TopicOrPattern::parse(text).expect("a topic or pattern");
    let target = prop_oneof![topic(), pattern()];
    prop_oneof![
        (topic(), option::of(since()))
            .prop_map(move |(topic, since)| Command::subscribe(parsed(&topic), since)),
        pattern().prop_map(move |pattern| Command::subscribe(parsed(&pattern), None)),
        (topic(), since()).prop_map(|(topic, since)| Command::Recover {
            topic: Topic::parse(&topic).expect("a topic"),
            since
        }),
        target.prop_map(move |target| Command::Unsubscribe { target: parsed(&target) }),
        (topic(), option::of("\\PC{1,30}"), payload(), any::<bool>()).prop_map(
            |(topic, key, (kind, payload), echo)| {
                let publication = Publication::new(TopicRef::parse(topic).expect("a topic"), kind, payload);
                Command::Publish {
                    publication: Publication { key: key.map(Cow::Owned), ..publication },
                    echo,
                }
            }
        ),
        Just(Command::Ping),
        "\\PC{1,30}".prop_map(|name| Command::Hello { name: name.into() }),
    ]
}

/// The command in JSON, as a client would write it.
fn json_of(Envelope { id, command }: &Envelope<'_>) -> String {
    let mut fields = vec![format!("\"type\":\"{}\"", command.name())];
    fields.extend(id.iter().map(|id| format!("\"id\":{}", id.as_json())));
    let mut field = |name: &str, value: Value| fields.push(format!("\"{name}\":{value}"));
    let position = |since: &Since| match since {
        Since::Earliest => json!("earliest"),
        Since::Position(Position { epoch, offset }) => json!({ "epoch": epoch, "offset": offset }),
    };
    match command {
        Command::Subscribe { wanted, .. } => {
            let Wanted { target, since } = &wanted[0];
            field("topic", target.as_str().into());
            field("since", since.as_ref().map_or(Value::Null, position));
        }
        Command::Recover { topic, since } => {
            field("topic", topic.as_str().into());
            field("since", position(since));
        }
        Command::Unsubscribe { target } => field("topic", target.as_str().into()),
        Command::Publish { publication, echo } => {
            let Publication { topic, key, kind, payload, .. } = publication;
            let fields = MessageFields {
                topic: topic.as_str(),
                offset: 1,
                skipped: 0,
                is_snapshot: false,
                time_ms: 1,
                key: key.as_deref(),
                kind: *kind,
                payload,
            };
            let mut message = Vec::new();
            Notification::Message(fields).write_json(&mut message);
            let message = String::from_utf8(message).expect("JSON");
            let id = id.as_ref().map_or(String::new(), |id| format!("\"id\":{},", id.as_json()));
            return message.replacen(
                "{\"type\":\"message\",",
                &format!("{{\"type\":\"publish\",{id}\"echo\":{echo},"),
                1,
            );
        }
        Command::Ping | Command::PublishBatch { .. } => {}
        Command::Hello { name } => field("name", name.as_ref().into()),
    }
    format!("{{{}}}", fields.join(","))
}

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

    /// Whatever is cut off, nothing but what ends with text or payload is still a command.
    #[test]
    fn a_command_that_is_cut_is_refused_wherever_it_is_cut(id in option::of(id()), command in command()) {
        let octets = written(&Envelope { id: id.clone(), command: command.clone() });
        for end in 0..octets.len() {
            match (parse_command(&octets[..end]), &command) {
                (Ok(shorter), Command::Publish { .. } | Command::Hello { .. }) => {
                    prop_assert_eq!(shorter.id, id.clone());
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
            Command::Publish { .. } | Command::Hello { .. } => {}
            _ => prop_assert_eq!(layout_error(&octets), LayoutError::Trailing { octets: more }),
        }
    }

    #[test]
    fn whatever_comes_is_a_command_or_is_refused(
        octets in proptest::collection::vec(any::<u8>(), 0..60), first in 0_u8..6, flags in 0_u8..16,
    ) {
        for message in [&octets[..], &[&[first, flags], &octets[..]].concat()] {
            match parse_command(message) {
                Ok(envelope) => {
                    let again = written(&envelope);
                    prop_assert_eq!(parse_command(&again), Ok(envelope));
                }
                Err(rejection) => prop_assert!(!rejection.error.to_string().is_empty()),
            }
        }
    }

    #[test]
    fn every_delivery_is_read_as_it_was_written(
        number in any::<u32>(), name in option::of(topic()), offset in 0..MAX_OFFSET,
        key in option::of("\\PC{1,30}"), (kind, payload) in payload(),
        skipped in prop_oneof![Just(0), any::<u64>()], is_snapshot in any::<bool>(),
    ) {
        let number = TopicNumber::new(if name.is_some() { number } else { number.max(1) });
        let (name, key) = (name.as_deref(), key.as_deref());
        let delivery = Delivery { number, name, offset, skipped, is_snapshot, key, kind, payload: &payload };
        let mut out = Vec::new();
        delivery.write(&mut out);
        prop_assert_eq!(parse_notification(&out), Ok(Received::Delivery(delivery)));
        if name.is_none() && key.is_none() && skipped == 0 {
            prop_assert_eq!(out.len(), DELIVERY_HEADER_BYTES + payload.len());
        }
        for end in 0..out.len() - payload.len() {
            prop_assert!(parse_notification(&out[..end]).is_err());
        }
    }

    #[test]
    fn every_notification_is_read_as_it_was_written(
        id in option::of(id()), topic in topic(), epoch in "[0-9a-f]{16}", offset in option::of(0..MAX_OFFSET),
        number in any::<u32>(), recovered in option::of(any::<bool>()), text in "\\PC{0,60}",
        command in option::of(Just("publish")), named in any::<bool>(), code in 0..ErrorCode::ALL.len(),
        sizes in any::<(usize, usize)>(),
    ) {
        let (topic, epoch, id) = (&*topic, &*epoch, id.as_ref());
        let number = offset.and_then(|_| TopicNumber::new(number));
        let (from, code) = (offset.unwrap_or(7), ErrorCode::ALL[code]);
        for notification in [
            Notification::Welcome { epoch, max_message: sizes.0, max_subscriptions: sizes.1 },
            Notification::Subscribed { id, topic, epoch, offset, number, recovered },
            Notification::Unsubscribed { id, topic },
            Notification::Published { id, topic, epoch, offset: from },
            Notification::Gap { topic, from, to: MAX_OFFSET - 1, count: MAX_OFFSET - from },
            Notification::Pong { id },
            Notification::Hello { id, message: &text },
            Notification::Error { id, command, topic: named.then_some(topic), code, message: &text },
        ] {
            let octets = notified(&notification);
            let Ok(Received::Notification(read_id, read)) = parse_notification(&octets) else {
                panic!("{notification:?}: {:?}", parse_notification(&octets))
            };
            prop_assert_eq!(read.with_id(read_id.as_ref()), notification);
            let ends_with_text = matches!(notification, Notification::Hello { .. } | Notification::Error { .. });
            for end in (0..octets.len()).filter(|_| !ends_with_text) {
                prop_assert!(parse_notification(&octets[..end]).is_err(), "{} of {:?}", end, notification);
            }
            prop_assert!(ends_with_text || parse_notification(&[&octets[..], b"x"].concat()).is_err());
        }
    }

    #[test]
    fn whatever_comes_is_a_notification_or_is_refused(
        octets in proptest::collection::vec(any::<u8>(), 0..60), first in 0_u8..10, flags in 0_u8..32,
    ) {
        for message in [&octets[..], &[&[first, flags], &octets[..]].concat()] {
            if let Err(error) = parse_notification(message) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_delivery_without_name_and_key_has_twelve_octets_of_header() {
    let number = TopicNumber::new(0x0102_0304);
    let delivery = Delivery {
        number,
        name: None,
        offset: 0x11_2233_4455_6677,
        skipped: 0,
        is_snapshot: false,
        key: None,
        kind: PayloadKind::Json,
        payload: b"[]",
    };
    let mut out = Vec::new();
    delivery.write(&mut out);
    assert_eq!(out, b"\xa0\x11\x22\x33\x44\x55\x66\x77\x01\x02\x03\x04[]");
}

#[test]
fn a_message_is_written_with_its_name() {
    let fields = MessageFields {
        topic: "a.b",
        offset: 7,
        skipped: 0,
        is_snapshot: false,
        time_ms: 9,
        key: Some("k"),
        kind: PayloadKind::Text,
        payload: b"hi",
    };
    let octets = notified(&Notification::Message(fields));
    assert_eq!(octets, b"\x83\0\0\0\0\0\0\x07\0\0\0\0\x03a.b\x01khi");
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

    for notification in [&b"\x40\x00"[..], b"\x04\x04", b"\xe0", b"\x90", b"\x09\x00\x04oops"] {
        assert!(parse_notification(notification).is_err(), "{notification:02x?}");
    }
    assert_eq!(parse_notification(b"\x90\0\0\0\0\0\0\x01\0\0\0\x01"), Err(LayoutError::UnknownFlags(0x10)));
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
