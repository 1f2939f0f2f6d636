use proptest::prelude::*;
use serde_json::{Value, json};
use smallvec::smallvec;

use super::*;
use crate::error::{ErrorCode, TopicError};
use crate::limits::{
    MAX_BATCH_MESSAGES, MAX_COMMAND_ID_BYTES, MAX_EPOCH_BYTES, MAX_LIST_TOPICS, MAX_OFFSET, MAX_TOKEN_BYTES,
};
use crate::topic::TopicRef;

mod lists;

fn command(text: &str) -> Command<'_> {
    parse(text).unwrap_or_else(|rejection| panic!("{text}: {rejection:?}")).command
}

fn rejection(text: &str) -> Rejection {
    *parse(text).expect_err(text)
}

fn position_at(epoch: &str, offset: u64) -> Since {
    Since::Position(Position { epoch: epoch.into(), offset })
}

fn publication(kind: PayloadKind, payload: &'static str) -> Publication<'static> {
    Publication::new(TopicRef::parse("prices.EURUSD").unwrap(), kind, payload.as_bytes())
}

fn wanted(target: &str, since: Option<Since>) -> Wanted {
    Wanted { target: TopicOrPattern::parse(target).unwrap(), since }
}

/// Kind and payload of a publish with these fields.
fn published(fields: &str) -> (PayloadKind, Vec<u8>) {
    match command(&format!(r#"{{"type":"publish","topic":"t",{fields}}}"#)) {
        Command::Publish { publication, .. } => (publication.kind, publication.payload.into_owned()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_documented_command_is_understood() {
    let topic = Topic::parse("prices.EURUSD").unwrap();
    let since = position_at("9f3c01d27ab45e88", 41);
    let cases = [
        (
            r#"{"type":"subscribe","id":1,"topic":"prices.EURUSD","since":{"epoch":"9f3c01d27ab45e88","offset":41}}"#,
            Command::subscribe(TopicOrPattern::Topic(topic.clone()), Some(since.clone())),
        ),
        (
            r#"{"type":"subscribe","topic":"prices.EURUSD","since":"earliest"}"#,
            Command::subscribe(TopicOrPattern::Topic(topic.clone()), Some(Since::Earliest)),
        ),
        (
            r#"{"type":"subscribe","topic":"prices.>"}"#,
            Command::subscribe(TopicOrPattern::parse("prices.>").unwrap(), None),
        ),
        (
            r#"{"type":"publish","id":2,"topic":"prices.EURUSD","key":"EURUSD","data":{"bid":1.0831}}"#,
            Command::Publish {
                publication: Publication {
                    key: Some("EURUSD".into()),
                    ..publication(PayloadKind::Json, r#"{"bid":1.0831}"#)
                },
                echo: true,
            },
        ),
        (
            r#"{"type":"publish","topic":"prices.EURUSD","data":"hi","echo":false}"#,
            Command::Publish { publication: publication(PayloadKind::Text, "hi"), echo: false },
        ),
        (
            r#"{"type":"recover","id":3,"topic":"prices.EURUSD","since":{"epoch":"9f3c01d27ab45e88","offset":41}}"#,
            Command::Recover { topic: topic.clone(), since },
        ),
        (
            r#"{"type":"unsubscribe","id":4,"topic":"prices.EURUSD"}"#,
            Command::Unsubscribe { target: TopicOrPattern::Topic(topic) },
        ),
        (
            r#"{"type":"subscribe","topics":[{"topic":"a","since":"earliest"},{"topic":"b.>"}],"overflow":"conflate"}"#,
            Command::Subscribe {
                wanted: smallvec![wanted("a", Some(Since::Earliest)), wanted("b.>", None)],
                overflow: Some(OverflowPolicy::Conflate),
                snapshot: false,
            },
        ),
        (
            r#"{"type":"subscribe","topic":"b.>","overflow":"disconnect","snapshot":true}"#,
            Command::Subscribe {
                wanted: smallvec![wanted("b.>", None)],
                overflow: Some(OverflowPolicy::Disconnect),
                snapshot: true,
            },
        ),
        (
            r#"{"type":"publish","topic":"prices.EURUSD","data":"hi","message_id":"m-1","expect":{"epoch":"e","offset":0}}"#,
            Command::Publish {
                publication: Publication {
                    message_id: Some("m-1".into()),
                    expect: Some(Position { epoch: "e".into(), offset: 0 }),
                    ..publication(PayloadKind::Text, "hi")
                },
                echo: true,
            },
        ),
        (
            r#"{"type":"publish_batch","messages":[{"topic":"prices.EURUSD","data":1},{"topic":"prices.EURUSD","data":"hi"}],"atomic":true,"echo":false}"#,
            Command::PublishBatch {
                messages: vec![
                    Ok(publication(PayloadKind::Json, "1")),
                    Ok(publication(PayloadKind::Text, "hi")),
                ],
                atomic: true,
                echo: false,
            },
        ),
        (r#"{"type":"ping","id":5}"#, Command::Ping),
        (r#"{"type":"auth","token":"e30.e30.AA"}"#, Command::Auth { token: Token("e30.e30.AA".into()) }),
        (r#"{"type":"hello","name":"yuan"}"#, Command::Hello { name: "yuan".into() }),
    ];
    for (text, expected) in cases {
        assert_eq!(command(text), expected);
        assert!(PARSERS.iter().any(|(name, _)| *name == expected.name()));
    }
}

#[test]
fn data_and_encoding_decide_the_kind() {
    let cases = [
        (r#""data":"hi""#, PayloadKind::Text, &b"hi"[..]),
        (r#""data":"\u00e9\n\ud83d\ude00""#, PayloadKind::Text, "é\n😀".as_bytes()),
        (r#""data": [1, 2] "#, PayloadKind::Json, b"[1, 2]"),
        (r#""data":null"#, PayloadKind::Json, b"null"),
        (r#""data":"hi","encoding":"json""#, PayloadKind::Json, br#""hi""#),
        (r#""data":1,"encoding":null"#, PayloadKind::Json, b"1"),
        (r#""encoding":"base64","data":"AP8QAQ==""#, PayloadKind::Binary, &[0, 255, 16, 1]),
        (r#""encoding":"base64","data":"""#, PayloadKind::Binary, b""),
    ];
    for (fields, kind, payload) in cases {
        assert_eq!(published(fields), (kind, payload.to_vec()), "{fields}");
    }
}

#[test]
fn a_publish_without_escapes_borrows_its_payload() {
    let text = r#"{"type":"publish","topic":"t","key":"k","data":"payload"}"#;
    let Command::Publish { publication: Publication { key, payload, .. }, .. } = command(text) else {
        panic!()
    };
    assert!(matches!(key, Some(Cow::Borrowed(_))));
    assert!(matches!(payload, Cow::Borrowed(_)));
}

#[test]
fn escapes_in_names_and_topics_are_decoded() {
    let escaped = command(r#"{"t\u0079pe":"\u0073ubscribe","topic":"prices.\u003e"}"#);
    assert_eq!(escaped, Command::subscribe(TopicOrPattern::parse("prices.>").unwrap(), None));
}

#[test]
fn an_id_is_echoed_exactly_as_it_came() {
    for id in ["1", "-0.5e+3", "12345678901234567890123", r#""a\u0062\"c""#, r#""""#] {
        let text = format!(r#"{{"id":{id},"type":"ping"}}"#);
        assert_eq!(parse(&text).unwrap().id.unwrap().as_json(), id);
        assert_eq!(CommandId::parse(id).unwrap().as_json(), id);
    }
    assert_eq!(parse(r#"{"id":null,"type":"ping"}"#).unwrap().id, None);
}

#[test]
fn an_id_that_is_no_short_string_or_number_is_refused() {
    let long = format!("\"{}\"", "x".repeat(MAX_COMMAND_ID_BYTES - 1));
    for id in ["{}", "[1]", "true", long.as_str()] {
        assert_eq!(rejection(&format!(r#"{{"type":"ping","id":{id}}}"#)).error, CommandError::BadId);
        assert_eq!(CommandId::parse(id), Err(CommandError::BadId));
    }
    assert_eq!(CommandId::parse("1,\"x\":2"), Err(CommandError::BadId));
    assert!(CommandId::parse(&long.replacen('x', "", 1)).is_ok());
}

#[test]
fn a_rejection_knows_all_that_could_be_read() {
    let rejected = rejection(r#"{"type":"publish","id":7,"topic":"chat.lobby"}"#);
    assert_eq!(rejected.id.unwrap().as_json(), "7");
    assert_eq!(rejected.command, Some("publish"));
    assert_eq!(rejected.topic.unwrap().as_str(), "chat.lobby");
    assert_eq!(rejected.error, CommandError::MissingField("data"));

    let cut_off = rejection(r#"{"type":"publish","id":7,"topic":"chat.lobby","data":{"#);
    assert_eq!(cut_off.id.unwrap().as_json(), "7");
    assert_eq!(cut_off.command, Some("publish"));
    assert_eq!(cut_off.error.code(), ErrorCode::BadJson);

    let unknown = rejection(r#"{"type":"publsh","id":"x","topic":"a..b"}"#);
    assert_eq!((unknown.command, unknown.topic), (None, None));
    assert_eq!(unknown.error, CommandError::UnknownCommand { name: "publsh".into() });
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    for text in
        ["", " ", "{", "{}}", r#"{"type":"ping"} x"#, r#"{"type":}"#, r#"{type:"ping"}"#, "{\"a\":\"\n\"}"]
    {
        assert_eq!(rejection(text).error.code(), ErrorCode::BadJson, "{text}");
    }
    for text in ["1", "null", "\"ping\"", "[]", r#"["ping"]"#] {
        assert_eq!(rejection(text).error, CommandError::NotObject, "{text}");
    }
}

#[test]
fn a_wrong_field_is_named() {
    let bad = |text: &str| match rejection(text).error {
        CommandError::BadField { field, .. }
        | CommandError::BadLength { field, .. }
        | CommandError::BadList { field, .. }
        | CommandError::MissingField(field)
        | CommandError::DuplicateField(field) => field,
        other => panic!("{text}: {other:?}"),
    };
    let long = "x".repeat(129);
    let endless = "x".repeat(MAX_TOKEN_BYTES + 1);
    let cases = [
        ("{}", "type"),
        (r#"{"type":null}"#, "type"),
        (r#"{"type":7}"#, "type"),
        (r#"{"type":"ping","type":"ping"}"#, "type"),
        (r#"{"type":"subscribe"}"#, "topic"),
        (r#"{"type":"subscribe","topic":["a"]}"#, "topic"),
        (r#"{"type":"recover","topic":"a"}"#, "since"),
        (r#"{"type":"publish","topic":"a"}"#, "data"),
        (r#"{"type":"publish","topic":"a","data":1,"key":1}"#, "key"),
        (r#"{"type":"publish","topic":"a","data":1,"key":""}"#, "key"),
        (&format!(r#"{{"type":"publish","topic":"a","data":1,"key":"{long}"}}"#), "key"),
        (r#"{"type":"publish","topic":"a","data":1,"message_id":7}"#, "message_id"),
        (r#"{"type":"publish","topic":"a","data":1,"message_id":""}"#, "message_id"),
        (&format!(r#"{{"type":"publish","topic":"a","data":1,"message_id":"{long}"}}"#), "message_id"),
        (r#"{"type":"publish","topic":"a","data":1,"expect":"earliest"}"#, "expect"),
        (r#"{"type":"publish","topic":"a","data":1,"expect":{"epoch":"","offset":1}}"#, "expect"),
        (r#"{"type":"publish","topic":"a","data":1,"expect":{"epoch":"e"}}"#, "expect"),
        (r#"{"type":"subscribe","topic":"a","overflow":"drop"}"#, "overflow"),
        (r#"{"type":"subscribe","topic":"a","overflow":1}"#, "overflow"),
        (r#"{"type":"subscribe","topic":"a","snapshot":1}"#, "snapshot"),
        (r#"{"type":"subscribe","topics":"a"}"#, "topics"),
        (r#"{"type":"subscribe","topics":[]}"#, "topics"),
        (r#"{"type":"subscribe","topics":[{"topic":"a"}],"topic":"a"}"#, "topic"),
        (r#"{"type":"subscribe","topics":[{"topic":"a"}],"since":"earliest"}"#, "since"),
        (r#"{"type":"publish_batch"}"#, "messages"),
        (r#"{"type":"publish_batch","messages":null}"#, "messages"),
        (r#"{"type":"publish_batch","messages":{}}"#, "messages"),
        (r#"{"type":"publish_batch","messages":[]}"#, "messages"),
        (r#"{"type":"publish_batch","messages":[1],"atomic":1}"#, "atomic"),
        (r#"{"type":"publish_batch","messages":[1],"echo":1}"#, "echo"),
        (r#"{"type":"publish","topic":"a","data":1,"echo":"no"}"#, "echo"),
        (r#"{"type":"publish","topic":"a","data":1,"echo":0}"#, "echo"),
        (r#"{"type":"publish","topic":"a","data":"AA==","encoding":"base65"}"#, "encoding"),
        (r#"{"type":"publish","topic":"a","data":"AA==","encoding":7}"#, "encoding"),
        (r#"{"type":"publish","topic":"a","data":"AA=","encoding":"base64"}"#, "data"),
        (r#"{"type":"publish","topic":"a","data":[1],"encoding":"base64"}"#, "data"),
        (r#"{"type":"publish","topic":"a","data":"\ud800"}"#, "data"),
        (r#"{"type":"auth"}"#, "token"),
        (r#"{"type":"auth","token":""}"#, "token"),
        (r#"{"type":"auth","token":{}}"#, "token"),
        (&format!(r#"{{"type":"auth","token":"{endless}"}}"#), "token"),
        (r#"{"type":"hello"}"#, "name"),
        (r#"{"type":"hello","name":""}"#, "name"),
        (&format!(r#"{{"type":"hello","name":"{long}"}}"#), "name"),
    ];
    for (text, field) in cases {
        assert_eq!(bad(text), field, "{text}");
    }
}

#[test]
fn a_bad_topic_is_told_what_is_wrong_with_it() {
    for kind in ["subscribe", "unsubscribe", "publish", "recover"] {
        let rejected = rejection(&format!(r#"{{"type":"{kind}","topic":"a b","data":1}}"#));
        assert_eq!(
            rejected.error,
            CommandError::BadTopic(TopicError::BadCharacter { at: 1, character: ' ' })
        );
        assert_eq!(rejected.error.code(), ErrorCode::BadTopic);
    }
    let pattern = rejection(r#"{"type":"publish","topic":"a.>","data":1}"#);
    assert_eq!(pattern.error, CommandError::BadTopic(TopicError::UnexpectedWildcard { at: 2 }));
}

#[test]
fn a_position_is_checked_in_both_of_its_forms() {
    assert_eq!(parse_since("earliest"), Ok(Since::Earliest));
    assert_eq!(parse_since("9f3c:41"), Ok(position_at("9f3c", 41)));
    assert_eq!(parse_since("a:b:9007199254740991"), Ok(position_at("a:b", MAX_OFFSET - 1)));
    for text in
        ["", "latest", "9f3c", ":1", "9f3c:", "9f3c:-1", "9f3c:+1", "9f3c:9007199254740992", "9f3c:1.0"]
    {
        assert_eq!(parse_since(text), Err(CommandError::BadSince), "{text}");
    }
    let long = "e".repeat(MAX_EPOCH_BYTES + 1);
    let bad = [
        "\"latest\"".to_owned(),
        "1".to_owned(),
        r#"["9f3c",1]"#.to_owned(),
        r#"{"epoch":"9f3c"}"#.to_owned(),
        r#"{"epoch":1,"offset":1}"#.to_owned(),
        r#"{"epoch":"","offset":1}"#.to_owned(),
        r#"{"epoch":"9f3c","offset":"1"}"#.to_owned(),
        r#"{"epoch":"9f3c","offset":-1}"#.to_owned(),
        r#"{"epoch":"9f3c","offset":9007199254740992}"#.to_owned(),
        format!(r#"{{"epoch":"{long}","offset":1}}"#),
    ];
    for since in bad {
        let text = format!(r#"{{"type":"subscribe","topic":"a","since":{since}}}"#);
        assert_eq!(rejection(&text).error, CommandError::BadSince, "{since}");
    }
}

#[test]
fn a_position_needs_one_topic() {
    let rejected = rejection(r#"{"type":"subscribe","topic":"a.*","since":"earliest"}"#);
    assert_eq!(rejected.error, CommandError::SinceWithPattern);
    assert_eq!(rejected.error.code(), ErrorCode::BadSince);
}

#[test]
fn fields_of_a_newer_client_are_skipped() {
    assert_eq!(command(r#"{"trace":{"type":"publish"},"type":"ping","trace":[]}"#), Command::Ping);
}

#[test]
fn nesting_of_any_depth_costs_no_stack() {
    let depth = 1_000_000;
    let nested = "[".repeat(depth) + &"]".repeat(depth);
    for field in ["data", "id", "since", "expect", "other"] {
        let text = format!(r#"{{"type":"publish","topic":"a","{field}":{nested}}}"#);
        assert_eq!(parse(&text).is_ok(), field == "data", "{field}");
        assert!(parse(&text[..depth]).is_err());
    }
    for (kind, field) in [("subscribe", "topics"), ("publish_batch", "messages")] {
        let text = format!(r#"{{"type":"{kind}","{field}":{nested}}}"#);
        assert_eq!(parse(&text).is_ok(), kind == "publish_batch", "{field}");
    }
    for text in [nested, "{\"a\":".repeat(depth)] {
        assert!(parse(&text).is_err());
    }
}

#[test]
fn an_unknown_type_is_quoted_shortened() {
    let rejected = rejection(&format!(r#"{{"type":"{}"}}"#, "é".repeat(1000)));
    assert!(rejected.error.to_string().len() < 250);
}

proptest! {
    #[test]
    fn any_json_value_is_published_as_what_it_is(text in any::<String>(), number in any::<i64>(), as_text: bool) {
        let data = if as_text { json!(text) } else { json!({ text.as_str(): [number, null, text.as_str()] }) };
        let command_text = json!({ "type": "publish", "topic": "t", "data": data }).to_string();
        let Command::Publish { publication: Publication { kind, payload, .. }, .. } = command(&command_text) else { panic!() };
        prop_assert_eq!(check_payload(kind, &payload), Ok(()));
        if as_text {
            prop_assert_eq!((kind, &*payload), (PayloadKind::Text, text.as_bytes()));
        } else {
            prop_assert_eq!(kind, PayloadKind::Json);
            prop_assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), data);
        }
    }

    #[test]
    fn no_text_panics_or_goes_without_an_explanation(
        text in "(\\{|\\}|\\[|\\]|:|,|\"(type|id|topic|data|ping|publish|a)\"|1|null|\\\\|é){0,16}",
    ) {
        if let Err(rejection) = parse(&text) {
            prop_assert!(!rejection.error.to_string().is_empty());
        }
    }
}
