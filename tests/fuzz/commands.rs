//! Commands, topics, positions and payloads out of arbitrary text and octets, and the notifications that they lead to.
#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fanwire_wire::binary::{Received, parse_command, parse_notification, write_command, write_notification};
use fanwire_wire::command::{
    self, Command, CommandId, Envelope, PayloadKind, Position, Publication, Rejection, Since, Wanted,
    check_payload, kind_of_content_type,
};
use fanwire_wire::limits::{
    MAX_BATCH_MESSAGES, MAX_COMMAND_ID_BYTES, MAX_EPOCH_BYTES, MAX_KEY_BYTES, MAX_LIST_TOPICS,
    MAX_MESSAGE_ID_BYTES, MAX_OFFSET, MAX_PATTERN_TOKENS, MAX_TOKEN_BYTES, MAX_TOPIC_BYTES,
};
use fanwire_wire::notification::{MessageFields, Notification, write_json_string};
use fanwire_wire::topic::{Pattern, Topic, TopicOrPattern, TopicRef};
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

fuzz_target!(|octets: &[u8]| {
    in_octets(octets);
    if let Ok(text) = str::from_utf8(octets) {
        in_text(text);
    }
});

fn in_text(text: &str) {
    match command::parse(text) {
        Ok(envelope) => understood(text, &envelope),
        Err(rejection) => refused(&rejection),
    }
    position(text);
    payload(text);
    let (first, second) = text.split_once('\n').unwrap_or((text, text));
    topics(first, second);
}

fn in_octets(octets: &[u8]) {
    match parse_command(octets) {
        Ok(envelope) => {
            the_same_in_octets(&envelope);
            valid(&envelope.command);
            for Publication { topic, key, kind, payload, .. } in publications(&envelope.command) {
                assert_eq!(check_payload(*kind, payload), Ok(()));
                delivered(&MessageFields { key: key.as_deref(), ..fields(topic.as_str(), *kind, payload) });
            }
        }
        Err(rejection) => refused(&rejection),
    }
    match parse_notification(octets) {
        Ok(Received::Delivery(delivery)) => {
            let mut out = Vec::new();
            delivery.write(&mut out);
            assert_eq!(out, octets, "there is one way to write a delivery");
        }
        Ok(Received::Notification(id, notification)) => {
            let notification = notification.with_id(id.as_ref());
            json(&notification);
            heard(&notification);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The messages that a command publishes.
fn publications<'c, 'a>(command: &'c Command<'a>) -> Vec<&'c Publication<'a>> {
    match command {
        Command::Publish { publication, .. } => vec![publication],
        Command::PublishBatch { messages, .. } => messages.iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// Bounds and exclusions hold, whoever read the command.
fn valid(command: &Command<'_>) {
    match command {
        Command::Subscribe { wanted, snapshot, .. } => {
            assert!((1..=MAX_LIST_TOPICS).contains(&wanted.len()));
            for Wanted { target, since } in wanted {
                assert!(since.is_none() || !snapshot && matches!(target, TopicOrPattern::Topic(_)));
                since.iter().for_each(valid_since);
            }
        }
        Command::Recover { since, .. } => valid_since(since),
        Command::PublishBatch { messages, .. } => {
            assert!((1..=MAX_BATCH_MESSAGES).contains(&messages.len()));
            let wrong = messages.iter().filter_map(|message| message.as_ref().err());
            wrong.for_each(|error| assert!(!error.to_string().is_empty()));
        }
        _ => {}
    }
    for Publication { key, message_id, expect, .. } in publications(command) {
        assert!(key.iter().all(|key| (1..=MAX_KEY_BYTES).contains(&key.len())));
        assert!(message_id.iter().all(|name| (1..=MAX_MESSAGE_ID_BYTES).contains(&name.len())));
        expect.iter().for_each(valid_position);
    }
}

/// What is written in octets is read as what it was. What could not be read of a batch cannot be written.
fn the_same_in_octets(envelope: &Envelope<'_>) {
    if let Command::PublishBatch { messages, .. } = &envelope.command
        && messages.iter().any(Result::is_err)
    {
        return;
    }
    let mut octets = Vec::new();
    write_command(envelope, &mut octets);
    assert_eq!(parse_command(&octets).as_ref(), Ok(envelope));
}

/// What is told in octets is heard as what it was.
fn heard(notification: &Notification<'_>) {
    let mut octets = Vec::new();
    write_notification(notification, &mut octets);
    match parse_notification(&octets) {
        Ok(Received::Notification(id, heard)) => assert_eq!(heard.with_id(id.as_ref()), *notification),
        other => panic!("{notification:?} is heard as {other:?}"),
    }
}

/// A publish or a delivery, as serde reads it.
#[derive(Deserialize)]
struct Published<'a> {
    topic: String,
    key: Option<String>,
    message_id: Option<String>,
    encoding: Option<String>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// A batch, as serde reads it.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

fn understood(text: &str, envelope: &Envelope<'_>) {
    assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "a command that is not JSON");
    envelope.id.iter().for_each(valid_id);
    the_same_in_octets(envelope);
    valid(&envelope.command);
    match &envelope.command {
        Command::Publish { publication, .. } => said(text, publication),
        Command::PublishBatch { messages, .. } => {
            let batch: Batch<'_> = serde_json::from_str(text).expect("a batch");
            assert_eq!(batch.messages.len(), messages.len());
            let both = batch.messages.iter().zip(messages);
            both.for_each(|(text, read)| read.iter().for_each(|publication| said(text.get(), publication)));
        }
        Command::Auth { token } => {
            assert!((1..=MAX_TOKEN_BYTES).contains(&token.0.len()));
            let expires = token.0.len() as u64;
            heard(&Notification::Authenticated { id: envelope.id.as_ref(), identity: &token.0, expires });
        }
        Command::Hello { name } => {
            let message = format!("hello {name}");
            json(&Notification::Hello { id: envelope.id.as_ref(), message: &message });
        }
        Command::Subscribe { .. } | Command::Recover { .. } | Command::Unsubscribe { .. } | Command::Ping => {
        }
    }
}

/// What is published is what was said, by the definition of it.
fn said(text: &str, publication: &Publication<'_>) {
    let Publication { topic, key, message_id, kind, payload, .. } = publication;
    let said: Published<'_> = serde_json::from_str(text).expect("a publish");
    assert_eq!((topic.as_str(), key.as_deref()), (said.topic.as_str(), said.key.as_deref()));
    assert_eq!(message_id.as_deref(), said.message_id.as_deref());
    assert_eq!(decoded(&said), (*kind, payload.to_vec()));
    delivered(&MessageFields { key: key.as_deref(), ..fields(topic.as_str(), *kind, payload) });
}

fn refused(rejection: &Rejection) {
    rejection.id.iter().for_each(valid_id);
    let message = rejection.error.to_string();
    assert!(!message.is_empty());
    let error = Notification::Error {
        id: rejection.id.as_ref(),
        command: rejection.command,
        topic: rejection.topic.as_ref().map(TopicOrPattern::as_str),
        code: rejection.error.code(),
        message: &message,
    };
    json(&error);
    heard(&error);
}

fn valid_id(id: &CommandId) {
    assert!(id.as_json().len() <= MAX_COMMAND_ID_BYTES);
    assert_eq!(CommandId::parse(id.as_json()).as_ref(), Ok(id));
    json(&Notification::Pong { id: Some(id) });
}

/// The notification as text, which is JSON.
fn json(notification: &Notification<'_>) -> String {
    let mut out = Vec::new();
    notification.write_json(&mut out);
    let text = String::from_utf8(out).expect("text");
    if let Err(error) = serde_json::from_str::<IgnoredAny>(&text) {
        panic!("{error} in {text}");
    }
    text
}

fn fields<'a>(topic: &'a str, kind: PayloadKind, payload: &'a [u8]) -> MessageFields<'a> {
    MessageFields { topic, offset: 1, skipped: 0, is_snapshot: false, time_ms: 2, key: None, kind, payload }
}

/// What subscribers are told is what was published, and a publish of that is the same again.
fn delivered(fields: &MessageFields<'_>) {
    let text = json(&Notification::Message(*fields));
    let heard: Published<'_> = serde_json::from_str(&text).expect("a message");
    assert_eq!((heard.topic.as_str(), heard.key.as_deref()), (fields.topic, fields.key));
    let expected = match fields.kind {
        PayloadKind::Json => fields.payload.trim_ascii(),
        PayloadKind::Text | PayloadKind::Binary => fields.payload,
    };
    assert_eq!(decoded(&heard), (fields.kind, expected.to_vec()));

    let again = text.replacen(r#"{"type":"message""#, r#"{"type":"publish""#, 1);
    let envelope = command::parse(&again).expect("a message is a publish by another name");
    let Command::Publish { publication, .. } = envelope.command else { panic!("{again}") };
    let Publication { topic, key, kind, payload, .. } = publication;
    assert_eq!((topic.as_str(), key.as_deref()), (fields.topic, fields.key));
    assert_eq!((kind, &*payload), (fields.kind, expected));
}

/// `data` and `encoding` by their definition.
fn decoded(said: &Published<'_>) -> (PayloadKind, Vec<u8>) {
    let data = said.data.get();
    let string = || serde_json::from_str::<String>(data).expect("a string");
    match said.encoding.as_deref() {
        Some("base64") => (PayloadKind::Binary, STANDARD.decode(string()).expect("base64")),
        None if data.starts_with('"') => (PayloadKind::Text, string().into_bytes()),
        None | Some("json") => (PayloadKind::Json, data.into()),
        Some(other) => panic!("an encoding that does not exist: {other}"),
    }
}

fn valid_since(since: &Since) {
    if let Since::Position(position) = since {
        valid_position(position);
    }
}

fn valid_position(position: &Position) {
    assert!((1..=MAX_EPOCH_BYTES).contains(&position.epoch.len()) && position.offset < MAX_OFFSET);
}

/// A position is the same in a query parameter and in a command.
fn position(text: &str) {
    let Ok(since) = command::parse_since(text) else { return };
    valid_since(&since);
    let json = match &since {
        Since::Earliest => r#""earliest""#.to_owned(),
        Since::Position(position) => {
            let written = format!("{}:{}", position.epoch, position.offset);
            assert_eq!(command::parse_since(&written).as_ref(), Ok(&since));
            let mut epoch = Vec::new();
            write_json_string(&mut epoch, position.epoch.as_bytes());
            let epoch = String::from_utf8(epoch).expect("text");
            format!(r#"{{"epoch":{epoch},"offset":{}}}"#, position.offset)
        }
    };
    let text = format!(r#"{{"type":"recover","topic":"t","since":{json}}}"#);
    let Command::Recover { since: said, .. } = command::parse(&text).expect("a recover").command else {
        panic!("{text}")
    };
    assert_eq!(said, since);
}

/// A payload that passes its check arrives as it was, whatever kind it is published as.
fn payload(text: &str) {
    let _ = kind_of_content_type(Some(text));
    for kind in [PayloadKind::Text, PayloadKind::Json, PayloadKind::Binary] {
        if check_payload(kind, text.as_bytes()).is_ok() {
            delivered(&fields("t", kind, text.as_bytes()));
        } else {
            assert_eq!(kind, PayloadKind::Json, "anything is binary, and what was text is text");
        }
    }
    let mut quoted = Vec::new();
    write_json_string(&mut quoted, text.as_bytes());
    assert_eq!(serde_json::from_slice::<String>(&quoted).expect("a JSON string"), text);
}

fn topics(first: &str, second: &str) {
    for text in [first, second] {
        let (is_topic, is_pattern) = naive_kind(text);
        assert_eq!(Topic::parse(text).is_ok(), is_topic, "{text:?}");
        assert_eq!(TopicRef::parse(text).is_ok(), is_topic, "{text:?}");
        assert_eq!(Pattern::parse(text).is_ok(), is_pattern, "{text:?}");
        match TopicOrPattern::parse(text) {
            Ok(target) => {
                assert!(is_topic || is_pattern);
                assert_eq!(target.as_str(), text);
            }
            Err(error) => assert!(!(is_topic || is_pattern || error.to_string().is_empty())),
        }
    }
    if let (Ok(target), Ok(topic)) = (TopicOrPattern::parse(first), Topic::parse(second)) {
        let wanted: Vec<&str> = first.split('.').collect();
        let tokens: Vec<&str> = second.split('.').collect();
        let matches = target.matches(&topic);
        assert_eq!(matches, naive_matches(&wanted, &tokens), "{first} {second}");
    }
}

/// Whether `text` is a topic, and whether it is a pattern, as the protocol defines them.
fn naive_kind(text: &str) -> (bool, bool) {
    let tokens: Vec<&str> = text.split('.').collect();
    let is_literal = |token: &&str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_:@=~-".contains(&byte);
        !token.is_empty() && token.bytes().all(allowed)
    };
    let is_token = |(at, token): (usize, &&str)| {
        is_literal(token) || *token == "*" || *token == ">" && at + 1 == tokens.len()
    };
    let valid = text.len() <= MAX_TOPIC_BYTES && tokens.iter().enumerate().all(is_token);
    let is_topic = tokens.iter().all(is_literal);
    (valid && is_topic, valid && !is_topic && tokens.len() <= MAX_PATTERN_TOKENS)
}

/// The definition of a match, by recursion over tokens.
fn naive_matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([">"], [_, ..]) | ([], []) => true,
        ([wanted, pattern @ ..], [token, topic @ ..]) => {
            (*wanted == "*" || wanted == token) && naive_matches(pattern, topic)
        }
        _ => false,
    }
}
