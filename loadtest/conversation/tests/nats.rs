//! By the client protocol of NATS, <https://docs.nats.io/reference/reference-protocols/nats-protocol>.

use super::*;

const INFO: &str = "INFO {\"server_id\":\"N\",\"version\":\"2.9.10\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n";

fn nats() -> Subscriber {
    subscriber("ws", Protocol::Nats, &["a", "b.c"])
}

/// What a server says in one frame.
fn server(said: &str) -> Vec<u8> {
    let mut server = accepted("ws", Protocol::Nats, "");
    frame(&mut server, OpCode::Binary, said);
    server
}

#[test]
fn a_subscriber_answers_the_greeting_and_is_ready_with_the_pong() {
    let outcome = talk_in_pieces(nats, &server(INFO));
    let text = String::from_utf8(said_in_binary(&outcome.out)).unwrap();
    let (connect, rest) = text.split_once("\r\n").unwrap();
    let options: serde_json::Value = serde_json::from_str(connect.strip_prefix("CONNECT ").unwrap()).unwrap();
    assert_eq!((&options["verbose"], &options["pedantic"]), (&false.into(), &false.into()));
    assert_eq!(rest, "SUB a 0\r\nSUB b.c 1\r\nPING\r\n");
    assert!(!outcome.is_ready);
    assert!(talk_in_pieces(nats, &server(&format!("{INFO}PONG\r\n"))).is_ready);
}

#[test]
fn messages_are_heard_however_the_stream_is_cut_over_frames() {
    let stream = format!(
        "{INFO}PONG\r\nMSG a 0 11\r\nHello World\r\nMSG b.c 1 reply.to 4\r\n\r\n\r\n\r\nmsg\ta 0 0\r\n\r\n+OK\r\n{INFO}MSG a 0 1\r\nx\r\n"
    );
    let expected = [payload("Hello World"), payload("\r\n\r\n"), payload(""), payload("x")];
    let outcome = talk_in_pieces(nats, &server(&stream));
    assert_eq!(outcome.heard, expected);
    assert!(outcome.is_ready, "a later INFO changes nothing");
    for step in [1, 2, 3, 7, 50] {
        let mut server = accepted("ws", Protocol::Nats, "");
        for piece in stream.as_bytes().chunks(step) {
            frame(&mut server, OpCode::Binary, piece);
        }
        let outcome = talk(nats(), [&server[..]]);
        assert_eq!((&outcome.heard[..], outcome.error), (&expected[..], None), "frames of {step}");
    }
}

#[test]
fn a_ping_is_answered() {
    let outcome = talk_in_pieces(nats, &server(&format!("{INFO}PONG\r\nPING\r\n")));
    assert!(said_in_binary(&outcome.out).ends_with(b"PING\r\nPONG\r\n"));
}

#[test]
fn an_error_is_told_in_the_servers_words() {
    let outcome = talk_in_pieces(nats, &server(&format!("{INFO}-ERR 'Authorization Violation'\r\n")));
    let said = "'Authorization Violation'".to_owned();
    assert_eq!(outcome.error, Some(ConversationError::Denied { said }));
}

#[test]
fn what_is_no_operation_is_told_as_nonsense() {
    let too_big = format!("{INFO}MSG a 0 {}\r\n", MAX_MESSAGE_BYTES + 1);
    for stream in [
        "PONG\r\n",
        "INFO {}\n",
        "HELLO\r\n",
        "\r\n",
        "INFO {}\r\nMSG a 0 x\r\n",
        "INFO {}\r\nMSG a 0 -1\r\n",
        "INFO {}\r\nMSG\r\n",
        "INFO {}\r\nMSG a 0 2\r\nabcd",
        "INFO {}\r\nMSG a 0 99999999999999999999\r\n",
        &too_big,
        &"x".repeat(64 * 1024),
    ] {
        let outcome = talk(nats(), [&server(stream)[..]]);
        assert!(
            matches!(outcome.error, Some(ConversationError::Nonsense { .. })),
            "{stream:.40}: {outcome:?}"
        );
    }
}

#[test]
fn a_publisher_subscribes_to_nothing_and_publishes_with_the_length() {
    let greeting = |request: &str| {
        let mut server = accept(request, "");
        frame(&mut server, OpCode::Binary, format!("{INFO}PONG\r\n"));
        server
    };
    let (mut publisher, request, out) = ready_publisher(&peer("ws", Protocol::Nats), &["a", "b"], greeting);
    assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
    assert!(!String::from_utf8(said_in_binary(&out)).unwrap().contains("SUB"));
    assert_eq!(published(&mut publisher, 1, "hello"), [Said::Binary(b"PUB b 5\r\nhello\r\n".to_vec())]);
}

#[test]
fn a_subscriber_is_idle_between_operations_however_they_are_cut_over_frames() {
    let cut_in_two = |operation: &str| {
        let (begin, end) = operation.split_at(9);
        let mut frames = Vec::new();
        frame(&mut frames, OpCode::Binary, begin);
        frame(&mut frames, OpCode::Binary, end);
        frames
    };
    let units = [
        accepted("ws", Protocol::Nats, ""),
        cut_in_two(INFO),
        cut_in_two("MSG a 0 11\r\nHello World\r\n"),
        cut_in_two("MSG a 0 1\r\nx\r\n"),
    ];
    assert_idle_between(nats(), &units);
}
