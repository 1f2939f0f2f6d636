use super::*;

const WELCOME: &str = r#"{"type":"welcome","epoch":"177a0ec9cc5b2d4c","limits":{"max_message":1048576}}"#;

fn json() -> Subscriber {
    subscriber("ws", Protocol::FanwireJson, &["a", "b"])
}

fn server(notifications: &[&str]) -> Vec<u8> {
    let mut server = accepted("ws", Protocol::FanwireJson, "Sec-WebSocket-Protocol: fanwire.v1.json\r\n");
    for notification in notifications {
        frame(&mut server, OpCode::Text, notification);
    }
    server
}

#[test]
fn a_subscriber_waits_for_the_welcome_and_is_ready_with_the_last_receipt() {
    let subscribed_b = r#"{"type":"subscribed","id":2,"topic":"b","epoch":"e","offset":0}"#;
    let subscribed_a = r#"{"type":"subscribed","id":1,"topic":"a","epoch":"e","offset":0}"#;
    let greeted = talk_in_pieces(json, &server(&[WELCOME]));
    let commands =
        [r#"{"type":"subscribe","id":1,"topic":"a"}"#, r#"{"type":"subscribe","id":2,"topic":"b"}"#];
    assert_eq!(said(&greeted.out), commands.map(|command| Said::Text(command.to_owned())));
    assert!(!greeted.is_ready);
    assert!(!talk_in_pieces(json, &server(&[WELCOME, subscribed_b])).is_ready);
    let someone_elses = r#"{"type":"subscribed","topic":"c","epoch":"e","offset":0}"#;
    assert!(!talk(json(), [&server(&[WELCOME, subscribed_b, someone_elses])[..]]).is_ready);
    assert!(talk_in_pieces(json, &server(&[WELCOME, subscribed_b, subscribed_a])).is_ready);
}

#[test]
fn messages_gaps_and_what_was_skipped_are_heard_in_order() {
    let outcome = talk_in_pieces(
        json,
        &server(&[
            WELCOME,
            r#"{"type":"message","topic":"a","offset":1,"time":1795300114346,"data":"plain"}"#,
            r#"{"type":"gap","topic":"a","from":2,"to":41,"count":40}"#,
            r#"{"type":"message","topic":"a","offset":58,"skipped":12,"data":"newest"}"#,
            r#"{"type":"skipped","topic":"a","offset":60,"count":2}"#,
            r#"{"type":"news","of":["a","later","version"]}"#,
            r#"{"data":"in any order","new":1,"type":"message"}"#,
        ]),
    );
    let expected = [
        payload("plain"),
        Noted::Gap(40),
        Noted::Gap(12),
        payload("newest"),
        Noted::Gap(2),
        payload("in any order"),
    ];
    assert_eq!(outcome.heard, expected);
    assert_eq!(outcome.error, None);
}

#[test]
fn a_payload_of_any_kind_is_heard_as_it_was_published() {
    let cases = [
        (r#""data":"say \"hi\" \u00fc""#, "say \"hi\" ü"),
        (r#""data":{"bid":1.0831}"#, r#"{"bid":1.0831}"#),
        (r#""encoding":"json","data":"quoted""#, r#""quoted""#),
        (r#""encoding":"base64","data":"aGVsbG8=""#, "hello"),
        (r#""data":null"#, "null"),
        (r#""data":"""#, ""),
    ];
    for (fields, text) in cases {
        let message = format!(r#"{{"type":"message","topic":"a","offset":7,{fields}}}"#);
        assert_eq!(talk(json(), [&server(&[WELCOME, &message])[..]]).heard, [payload(text)], "{fields}");
    }
}

#[test]
fn an_error_is_told_with_its_code_and_message() {
    let error = r#"{"type":"error","id":1,"command":"subscribe","topic":"a","code":"too_many_subscriptions","message":"at \"most\" 1"}"#;
    let outcome = talk_in_pieces(json, &server(&[WELCOME, error]));
    let said = "too_many_subscriptions: at \"most\" 1".to_owned();
    assert_eq!(outcome.error, Some(ConversationError::Denied { said }));
}

#[test]
fn what_is_no_notification_is_told_as_nonsense() {
    for message in [
        "hello",
        "[]",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":"gap"}"#,
        r#"{"type":"message","encoding":"base64","data":"!"}"#,
        r#"{"type":"message","encoding":"rot13","data":"uryyb"}"#,
    ] {
        let outcome = talk(json(), [&server(&[WELCOME, message])[..]]);
        assert!(matches!(outcome.error, Some(ConversationError::Nonsense { .. })), "{message}: {outcome:?}");
    }
}

#[test]
fn a_publisher_is_ready_when_welcomed_and_publishes_without_an_id() {
    let welcome = |request: &str| {
        let mut server = accept(request, "Sec-WebSocket-Protocol: fanwire.v1.json\r\n");
        frame(&mut server, OpCode::Text, WELCOME);
        server
    };
    let peer = peer("poll:1s", Protocol::FanwireJson);
    let (mut publisher, request, out) = ready_publisher(&peer, &["a", "b"], welcome);
    assert!(request.starts_with("GET /v1/ws HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Protocol: fanwire.v1.json\r\n"), "{request}");
    assert!(out.is_empty());
    let command = r#"{"type":"publish","topic":"b","data":"hello"}"#;
    assert_eq!(published(&mut publisher, 1, "hello"), [Said::Text(command.to_owned())]);
}

#[test]
fn a_server_that_does_not_take_the_subprotocol_does_not_speak_it() {
    let json = || subscriber("ws", Protocol::FanwireJson, &["a"]);
    let outcome = talk_in_pieces(json, &accepted("ws", Protocol::FanwireJson, ""));
    assert_eq!(outcome.error, Some(ConversationError::NotSpoken { subprotocol: "fanwire.v1.json" }));
}
