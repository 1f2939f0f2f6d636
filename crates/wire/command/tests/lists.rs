//! Lists of topics, and batches of messages.

use super::*;

#[test]
fn a_snapshot_begins_nowhere_else() {
    for fields in
        [r#""topic":"a","since":"earliest""#, r#""topics":[{"topic":"b"},{"topic":"a","since":"earliest"}]"#]
    {
        let rejected = rejection(&format!(r#"{{"type":"subscribe","snapshot":true,{fields}}}"#));
        assert_eq!(rejected.error.code(), ErrorCode::BadSince, "{fields}");
    }
    let rejected = rejection(r#"{"type":"subscribe","topic":"a","since":"earliest","snapshot":true}"#);
    assert_eq!(rejected.error, CommandError::SinceWithSnapshot);
}

#[test]
fn a_bad_topic_of_a_list_is_told_by_its_place() {
    let bad = [
        ("{}", ErrorCode::BadCommand),
        ("1", ErrorCode::BadCommand),
        (r#"{"topic":"a b"}"#, ErrorCode::BadTopic),
    ];
    for (element, code) in bad {
        let rejected = rejection(&format!(r#"{{"type":"subscribe","topics":[{{"topic":"a"}},{element}]}}"#));
        assert_eq!(rejected.error.code(), code);
        assert!(
            matches!(rejected.error, CommandError::InList { field: "topics", index: 1, .. }),
            "{rejected:?}"
        );
        assert!(rejected.error.to_string().starts_with("topics[1]: "), "{}", rejected.error);
    }
}

#[test]
fn a_list_has_a_bound() {
    let list = |length: usize| {
        let elements = vec![r#"{"topic":"a"}"#; length].join(",");
        format!(r#"{{"type":"subscribe","topics":[{elements}]}}"#)
    };
    let Command::Subscribe { wanted, .. } = command(&list(MAX_LIST_TOPICS)) else { panic!() };
    assert_eq!(wanted.len(), MAX_LIST_TOPICS);
    assert_eq!(rejection(&list(MAX_LIST_TOPICS + 1)).error, BAD_LIST);
}

#[test]
fn a_bad_message_of_a_batch_leaves_the_others_as_they_are() {
    let text = r#"{"type":"publish_batch","messages":[{"topic":"a","data":"hi"},{"topic":"a b","data":1},{"topic":"a"},
        7,{"topic":"a","data":1,"data":2},{"topic":"a","data":1,"key":""},{"topic":"b","data":"ho"}]}"#;
    let Command::PublishBatch { messages, .. } = command(text) else { panic!() };
    let errors = [
        None,
        Some(CommandError::BadTopic(TopicError::BadCharacter { at: 1, character: ' ' })),
        Some(CommandError::MissingField("data")),
        Some(CommandError::BadElement),
        Some(CommandError::DuplicateField("data")),
        Some(CommandError::BadLength { field: "key", limit: 128 }),
        None,
    ];
    let told: Vec<_> = messages.iter().map(|message| message.as_ref().err().cloned()).collect();
    assert_eq!(told, errors);
    let Some(Ok(Publication { payload, .. })) = messages.last() else { panic!() };
    assert!(matches!(payload, Cow::Borrowed(b"ho")), "copied");
}

#[test]
fn a_batch_has_a_bound() {
    let batch = |length: usize| {
        let elements = vec![r#"{"topic":"a","data":1}"#; length].join(",");
        format!(r#"{{"type":"publish_batch","id":7,"messages":[{elements}]}}"#)
    };
    assert!(matches!(
        command(&batch(MAX_BATCH_MESSAGES)),
        Command::PublishBatch { messages, .. } if messages.len() == MAX_BATCH_MESSAGES
    ));
    let rejected = rejection(&batch(MAX_BATCH_MESSAGES + 1));
    assert_eq!((rejected.error.code(), rejected.id), (ErrorCode::BatchTooLarge, Some(7.into())));
}

#[test]
fn a_batch_that_is_no_command_among_others_needs_no_type() {
    let fields = r#""messages":[{"topic":"a","data":"hi"},{"topic":"a b","data":1}],"atomic":true}"#;
    let (batch, command) = (format!("{{{fields}"), format!(r#"{{"type":"publish_batch",{fields}"#));
    let (messages, atomic) = parse_batch(&batch).unwrap();
    assert_eq!(parse(&command).unwrap().command, Command::PublishBatch { messages, atomic, echo: true });
    let refused = |text: &str| parse_batch(text).unwrap_err().code();
    assert_eq!(refused("nope"), ErrorCode::BadJson);
    assert_eq!(refused("{}"), ErrorCode::BadCommand);
    assert_eq!(parse_batch("[]").unwrap_err(), CommandError::NotBatch);
}

#[test]
fn what_stands_beside_a_list_does_not_stand_in_it_nor_the_other_way_round() {
    let field_of = |error: CommandError| match error {
        CommandError::InList { error, .. } => *error,
        other => other,
    };
    let misplaced = |error: CommandError, name: &str| matches!(field_of(error), CommandError::BadField { field, expected } if field == name && expected.starts_with("left out"));
    for (name, value) in [("overflow", r#""gap""#), ("snapshot", "true")] {
        let text = format!(r#"{{"type":"subscribe","topics":[{{"topic":"a","{name}":{value}}}]}}"#);
        assert!(misplaced(rejection(&text).error, name), "{text}");
    }
    for (name, value) in [("echo", "false"), ("atomic", "true")] {
        let text = format!(r#"{{"messages":[{{"topic":"a","data":1,"{name}":{value}}}]}}"#);
        let (messages, _) = parse_batch(&text).unwrap();
        assert!(misplaced(messages[0].clone().unwrap_err(), name), "{text}");
    }
    for name in ["topic", "key", "message_id", "expect", "data", "encoding"] {
        let fields = format!(r#""{name}":"m","messages":[{{"topic":"a","data":1}}]}}"#);
        assert!(misplaced(parse_batch(&format!("{{{fields}")).unwrap_err(), name), "{fields}");
        let rejected = rejection(&format!(r#"{{"type":"publish_batch",{fields}"#));
        assert!(misplaced(rejected.error, name), "{fields}");
    }
}
