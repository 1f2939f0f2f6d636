use fanwire_wire::close::{CloseCode, write_close};
use fanwire_wire::deflate::Deflater;
use fanwire_wire::error::{ProtocolError, ResponseError};
use fanwire_wire::frame::write_header;

use super::*;

const OFFER_TAKEN: &str = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

fn raw() -> Subscriber {
    subscriber("ws", Protocol::Raw, &["a"])
}

fn compressed() -> Subscriber {
    subscriber("ws-deflate", Protocol::Raw, &["a"])
}

#[test]
fn a_raw_subscriber_asks_for_its_topic_and_nothing_that_a_tutorial_server_does_not_know() {
    let request = first_words(&mut raw());
    assert!(
        request.starts_with("GET /topics/a HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\n"),
        "{request}"
    );
    assert!(!request.contains("Sec-WebSocket-Protocol") && !request.contains("Extensions"), "{request}");
    let other = Subscriber::new(&peer("ws", Protocol::Raw), &topics(&["a"]), 2);
    assert_ne!(first_words(&mut { other }), request, "another seed, another key");
}

#[test]
fn text_binary_and_fragments_are_heard_and_pings_answered() {
    let mut server = accepted("ws", Protocol::Raw, "Fanwire-Offset: 0\r\n");
    frame(&mut server, OpCode::Text, "one");
    frame(&mut server, OpCode::Ping, "are you there");
    write_header(&mut server, false, false, OpCode::Text, None, 2);
    server.extend_from_slice(b"tw");
    frame(&mut server, OpCode::Pong, "");
    frame(&mut server, OpCode::Continuation, "o");
    frame(&mut server, OpCode::Binary, "three");
    frame(&mut server, OpCode::Text, "x".repeat(300));
    let outcome = talk_in_pieces(raw, &server);
    assert_eq!(outcome.heard, [payload("one"), payload("two"), payload("three"), payload(&"x".repeat(300))]);
    assert_eq!(said(&outcome.out), [Said::Pong(b"are you there".to_vec())]);
    assert_eq!((outcome.is_ready, outcome.error), (true, None));
}

#[test]
fn a_message_that_comes_whole_is_given_as_it_came() {
    let json = br#"{"type":"message","topic":"a","offset":7,"data":"hello"}"#;
    let cases: [(Protocol, &str, &[u8], &[u8]); 4] = [
        (Protocol::Raw, "", b"hello", b"before"),
        (
            Protocol::FanwireJson,
            "Sec-WebSocket-Protocol: fanwire.v1.json\r\n",
            json,
            b"{\"type\":\"welcome\"}",
        ),
        (Protocol::Nats, "", b"MSG a 0 5\r\nhello\r\n", b"INFO {}\r\n"),
        (Protocol::Mqtt, "Sec-WebSocket-Protocol: mqtt\r\n", b"\x30\x08\0\x01ahello", b"\x20\x02\0\0"),
    ];
    for (protocol, subprotocol, message, greeting) in cases {
        let mut server = accepted("ws", protocol, subprotocol);
        frame(&mut server, OpCode::Binary, greeting);
        let mut subscriber = subscriber("ws", protocol, &["a"]);
        subscriber.read(&mut server, &mut Vec::new(), &mut |_| ()).unwrap();

        let mut input = Vec::new();
        frame(&mut input, OpCode::Text, message);
        let octets = input.as_ptr_range();
        let mut heard = 0;
        let mut on_heard = |it: Heard<'_>| {
            let Heard::Payload(payload) = it else { panic!("{it:?}") };
            assert!(payload == b"hello" && octets.contains(&payload.as_ptr()), "{protocol}");
            heard += 1;
        };
        subscriber.read(&mut input, &mut Vec::new(), &mut on_heard).unwrap();
        assert_eq!(heard, 1, "{protocol}");
    }
}

#[test]
fn a_subscriber_is_not_ready_before_the_response_is_whole() {
    let server = accepted("ws", Protocol::Raw, "");
    assert!(talk_in_pieces(raw, &server).is_ready);
    assert!(!talk_in_pieces(raw, &server[..server.len() - 1]).is_ready);
}

#[test]
fn compressed_messages_are_inflated_and_others_taken_as_they_are() {
    let text = "tick ".repeat(20);
    let mut server = accepted("ws-deflate", Protocol::Raw, OFFER_TAKEN);
    let mut octets = Vec::new();
    Deflater::new(15, false).deflate(text.as_bytes(), &mut octets);
    write_frame(&mut server, OpCode::Text, true, &octets);
    frame(&mut server, OpCode::Text, "short");
    let outcome = talk_in_pieces(compressed, &server);
    assert_eq!(outcome.heard, [payload(&text), payload("short")]);
}

#[test]
fn a_server_that_compresses_in_context_has_an_inflater_of_its_own() {
    let mut server =
        accepted("ws-deflate", Protocol::Raw, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
    let mut deflater = Deflater::new(15, true);
    let texts: Vec<_> =
        (0..3).map(|n| format!("a message whose context is the message before {n}")).collect();
    for text in &texts {
        let mut octets = Vec::new();
        deflater.deflate(text.as_bytes(), &mut octets);
        write_frame(&mut server, OpCode::Text, true, &octets);
    }
    let outcome = talk_in_pieces(compressed, &server);
    assert_eq!(outcome.heard, texts.iter().map(|text| payload(text)).collect::<Vec<_>>());
}

#[test]
fn a_server_that_does_not_compress_is_not_measured_as_one_that_does() {
    let outcome = talk_in_pieces(compressed, &accepted("ws-deflate", Protocol::Raw, ""));
    assert_eq!((outcome.error, outcome.is_ready), (Some(ConversationError::NotCompressed), false));
}

#[test]
fn a_close_is_answered_and_told_with_code_and_reason() {
    let mut server = accepted("ws", Protocol::Raw, "");
    write_close(&mut server, CloseCode::TRY_AGAIN_LATER, "too slow for a: 9 bytes of backlog");
    let outcome = talk_in_pieces(raw, &server);
    let error = outcome.error.unwrap();
    assert_eq!(
        error.to_string(),
        "the server closed the conversation with code 1013: too slow for a: 9 bytes of backlog"
    );
    let answer = CloseReason { code: CloseCode::TRY_AGAIN_LATER, reason: "".into() };
    assert_eq!(said(&outcome.out), [Said::Close(Some(answer))]);

    let mut server = accepted("ws", Protocol::Raw, "");
    frame(&mut server, OpCode::Close, "");
    let outcome = talk_in_pieces(raw, &server);
    assert_eq!(outcome.error, Some(ConversationError::Closed { code: None, reason: String::new() }));
    assert_eq!(said(&outcome.out), [Said::Close(None)]);
}

#[test]
fn bad_frames_are_the_servers_fault_and_it_is_told() {
    let cases: [(&[u8], ProtocolError); 4] = [
        (&[0x81, 0x82, 1, 2, 3, 4, 0, 0], ProtocolError::MaskedFrame),
        (&[0x83, 0x00], ProtocolError::ReservedOpcode(3)),
        (&[0x81, 0x01, 0xff], ProtocolError::BadUtf8),
        (&[0x82, 0x7f, 0, 0, 0, 0, 1, 0, 0, 1], ProtocolError::MessageTooBig { limit: MAX_MESSAGE_BYTES }),
    ];
    for (octets, error) in cases {
        let mut server = accepted("ws", Protocol::Raw, "");
        server.extend_from_slice(octets);
        let outcome = talk_in_pieces(raw, &server);
        assert_eq!(outcome.error, Some(ConversationError::Frames(error)));
        let [Said::Close(Some(reason))] = &said(&outcome.out)[..] else { panic!("{outcome:?}") };
        assert_eq!(reason.code, error.close_code());
    }
}

#[test]
fn a_refused_upgrade_is_told_with_what_the_server_says() {
    let server = b"HTTP/1.1 410 Gone\r\nContent-Length: 26\r\nConnection: close\r\n\r\n{\"error\":{\"code\":\"gone\"}}\n";
    let outcome = talk_in_pieces(raw, server);
    let said = "{\"error\":{\"code\":\"gone\"}}".to_owned();
    assert_eq!(outcome.error, Some(ConversationError::Refused { status: 410, said }));

    // Without a length, the body lasts as long as the connection.
    let mut refused = raw();
    first_words(&mut refused);
    let mut server = b"HTTP/1.1 404 Not Found\r\n\r\nno such path".to_vec();
    refused.read(&mut server, &mut Vec::new(), &mut |_| ()).unwrap();
    assert_eq!(refused.end(), ConversationError::Refused { status: 404, said: "no such path".to_owned() });
}

#[test]
fn a_response_that_opens_no_web_socket_is_told_as_such() {
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: 8CWk7Sb3eBr5xjSXrWqXILHWrTU=\r\n\r\n";
    let outcome = talk_in_pieces(raw, wrong.as_bytes());
    assert_eq!(outcome.error, Some(ConversationError::Upgrade(ResponseError::WrongAccept)));
    let outcome = talk(raw(), [&b"SSH-2.0-OpenSSH_9.2\r\n"[..]]);
    assert_eq!(outcome.error, Some(ConversationError::Upgrade(ResponseError::Malformed)));
}

#[test]
fn the_end_of_a_connection_tells_whether_it_ever_was_ready() {
    let mut early = raw();
    first_words(&mut early);
    assert_eq!(early.end(), ConversationError::Ended { ready: false });
    early.read(&mut accepted("ws", Protocol::Raw, ""), &mut Vec::new(), &mut |_| ()).unwrap();
    assert_eq!(early.end(), ConversationError::Ended { ready: true });
}

#[test]
fn a_raw_publisher_asks_for_no_echo_and_ignores_one() {
    let mut peer = peer("sse", Protocol::Raw);
    let (mut publisher, request, _) = ready_publisher(&peer, &["a"], |request| accept(request, ""));
    assert!(request.starts_with("GET /topics/a?echo=false HTTP/1.1\r\n"), "{request}");
    assert_eq!(published(&mut publisher, 0, "hello"), [Said::Text("hello".to_owned())]);
    let mut echo = Vec::new();
    frame(&mut echo, OpCode::Text, "hello");
    assert_eq!(publisher.read(&mut echo, &mut Vec::new()), Ok(()));

    peer.path = "/broadcast?room=1".to_owned();
    let (_, request, _) = ready_publisher(&peer, &["a"], |request| accept(request, ""));
    assert!(request.starts_with("GET /broadcast?room=1&echo=false HTTP/1.1\r\n"), "{request}");
}

#[test]
fn a_publisher_does_not_compress_whatever_its_subscribers_do() {
    let (_, request, _) =
        ready_publisher(&peer("ws-deflate", Protocol::Raw), &["a"], |request| accept(request, ""));
    assert!(!request.contains("Extensions"), "{request}");
}

#[test]
fn a_browsers_upgrade_has_an_origin() {
    let mut peer = peer("ws-deflate", Protocol::Raw);
    peer.headers = HeaderProfile::Browser;
    let request = first_words(&mut Subscriber::new(&peer, &topics(&["a"]), 1));
    assert!(request.contains("\r\nOrigin: http://127.0.0.1:8080\r\n"), "{request}");
    assert!(request.contains("\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"));
}

#[test]
fn a_web_socket_is_idle_between_messages() {
    let mut message = Vec::new();
    write_header(&mut message, false, false, OpCode::Text, None, 2);
    message.extend_from_slice(b"tw");
    frame(&mut message, OpCode::Continuation, "o".repeat(300));
    let mut ping = Vec::new();
    frame(&mut ping, OpCode::Ping, "are you there");
    assert_idle_between(raw(), &[accepted("ws", Protocol::Raw, ""), message.clone(), ping, message]);
}
