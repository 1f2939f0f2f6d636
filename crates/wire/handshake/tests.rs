use std::iter;

use proptest::prelude::*;

use super::*;
use crate::error::ResponseError;
use crate::http::parse_request;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The header lines of a good handshake, by name and value.
const GOOD: [(&str, &str); 5] = [
    ("Host", "localhost"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", KEY),
];

fn request_text(line: &str, headers: &[(&str, &str)]) -> String {
    let fields = headers.iter().map(|(name, value)| format!("{name}: {value}"));
    let lines = iter::once(line.to_owned()).chain(fields).collect::<Vec<_>>();
    lines.join("\r\n") + "\r\n\r\n"
}

/// A good handshake with the header `name` left out, and `more` added.
fn changed(name: &str, more: &[(&str, &str)]) -> String {
    let kept = GOOD.into_iter().filter(|(this, _)| *this != name);
    request_text("GET / HTTP/1.1", &kept.chain(more.iter().copied()).collect::<Vec<_>>())
}

fn request(text: &str) -> Request<'_> {
    parse_request(text.as_bytes()).unwrap().unwrap().0
}

fn upgrade(text: &str) -> Upgrade<'_> {
    Upgrade::from_request(&request(text)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn error(text: &str) -> HandshakeError {
    Upgrade::from_request(&request(text)).expect_err(text)
}

fn rejection(error: HandshakeError) -> String {
    let mut out = Vec::new();
    write_rejection(error, &mut out);
    String::from_utf8(out).unwrap()
}

fn response(upgrade: &Upgrade<'_>, protocol: Option<&str>, extra_headers: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    let deflate = upgrade.deflate().map(DeflateParams::without_contexts);
    upgrade.write_response(protocol, deflate, extra_headers, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_key_has_its_accept() {
    let vectors = [
        ("nQUNu5i0IAAsAQ1SJ814+Q==", "8CWk7Sb3eBr5xjSXrWqXILHWrTU="),
        (KEY, ACCEPT),
        ("Iv8io/9s+lYFgZWcXczP8Q==", "hsBlbuDTkk24srzEOTBUlZAlC2g="),
    ];
    for (key, accept) in vectors {
        assert_eq!(accept_key(key).unwrap(), accept.as_bytes());
        let text = changed("Sec-WebSocket-Key", &[("sec-websocket-key", key)]);
        assert!(
            response(&upgrade(&text), None, &[]).contains(&format!("Sec-WebSocket-Accept: {accept}\r\n"))
        );
    }
}

#[test]
fn a_response_says_what_was_chosen() {
    let text = changed("", &[("Sec-WebSocket-Protocol", "fanwire.v1.json")]);
    let expected = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\nSec-WebSocket-Protocol: fanwire.v1.json\r\nFanwire-Offset: 41\r\n\r\n"
    );
    assert_eq!(response(&upgrade(&text), Some("fanwire.v1.json"), &[("Fanwire-Offset", "41")]), expected);
}

#[test]
fn tokens_are_found_in_lists_and_in_any_case() {
    for (name, value) in [
        ("Upgrade", "WebSocket"),
        ("Upgrade", "h2c, websocket"),
        ("Connection", "keep-alive, Upgrade"),
        ("Connection", "upgrade"),
        ("Connection", "UPGRADE , keep-alive"),
    ] {
        let text = changed(name, &[(name, value)]);
        assert!(is_upgrade(&request(&text)));
        upgrade(&text);
    }
    upgrade(&changed("Connection", &[("Connection", "keep-alive"), ("Connection", "Upgrade")]));
}

#[test]
fn several_header_fields_of_offers_join() {
    let text = changed(
        "",
        &[
            ("Sec-WebSocket-Protocol", "a,b"),
            ("Sec-WebSocket-Protocol", "fanwire.v1.raw"),
            ("Sec-WebSocket-Extensions", "x-unknown"),
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ],
    );
    let upgrade = upgrade(&text);
    assert_eq!(upgrade.protocols(), ["a", "b", "fanwire.v1.raw"]);
    assert!(upgrade.offers("b") && upgrade.offers("fanwire.v1.raw"));
    assert!(!upgrade.offers("a,b") && !upgrade.offers("A"));
    assert!(upgrade.deflate().is_some());
    assert!(response(&upgrade, None, &[]).contains("\r\nSec-WebSocket-Extensions: permessage-deflate; "));
}

#[test]
fn a_request_that_opens_no_websocket_is_told_why() {
    let draft =
        [("Sec-WebSocket-Key1", "4 @1  46546xW%0l 1 5"), ("Sec-WebSocket-Key2", "12998 5 Y3 1  .P00")];
    let cases = [
        (request_text("POST / HTTP/1.1", &GOOD), HandshakeError::NotGet),
        (request_text("GET / HTTP/1.0", &GOOD), HandshakeError::Http10),
        (changed("Upgrade", &[]), HandshakeError::NotUpgrade),
        (changed("Upgrade", &[("Upgrade", "h2c")]), HandshakeError::NotUpgrade),
        (changed("Connection", &[]), HandshakeError::NotConnectionUpgrade),
        (changed("Connection", &[("Connection", "close")]), HandshakeError::NotConnectionUpgrade),
        (changed("", &[("Content-Length", "1")]), HandshakeError::Body),
        (changed("", &[("Transfer-Encoding", "chunked")]), HandshakeError::Body),
        (changed("Sec-WebSocket-Key", &draft), HandshakeError::Draft),
        (changed("Sec-WebSocket-Version", &draft[1..]), HandshakeError::Draft),
        (changed("Sec-WebSocket-Version", &[]), HandshakeError::WrongVersion),
        (changed("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", "8")]), HandshakeError::WrongVersion),
        (
            changed("Sec-WebSocket-Version", &[("Sec-WebSocket-Version", "13, 8")]),
            HandshakeError::WrongVersion,
        ),
        (changed("", &[("Sec-WebSocket-Version", "13")]), HandshakeError::WrongVersion),
        (changed("Sec-WebSocket-Key", &[]), HandshakeError::MissingKey),
        (changed("", &[("Sec-WebSocket-Key", KEY)]), HandshakeError::RepeatedKey),
    ];
    for (text, expected) in cases {
        assert_eq!(error(&text), expected, "{text}");
    }
    upgrade(&changed("", &[("Content-Length", "0")]));
}

#[test]
fn a_key_that_is_not_16_octets_of_base64_is_refused() {
    let bad = [
        "",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25j",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25jZQ==dGhl",
        "dGhlIHNhbXBsZSBub25j*Q==",
        "dGhlIHNhbXBsZSB1b25j-_==",
        "\u{e9}GhlIHNhbXBsZSBub25jZ==",
    ];
    for key in bad {
        let text = changed("Sec-WebSocket-Key", &[("Sec-WebSocket-Key", key)]);
        assert_eq!(error(&text), HandshakeError::BadKey, "{key}");
    }
    assert!(accept_key("dGhlIHNhbXBsZSBub25jZR==").is_ok(), "bits that mean nothing may be set");
}

#[test]
fn a_draft_is_recognised_as_an_upgrade_and_told_what_to_use() {
    let text = request_text("GET / HTTP/1.1", &[("Host", "h"), ("Sec-WebSocket-Key1", "1 2")]);
    assert!(is_upgrade(&request(&text)));
    let answer = rejection(error(&text));
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("\r\nSec-WebSocket-Version: 13\r\n"), "{answer}");
    assert!(answer.contains("use a client that speaks RFC 6455"), "{answer}");
    assert!(!is_upgrade(&request("GET / HTTP/1.1\r\nHost: h\r\n\r\n")));
}

#[test]
fn a_rejection_says_what_to_do_next() {
    let wrong_version = rejection(HandshakeError::WrongVersion);
    assert!(wrong_version.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{wrong_version}");
    assert!(
        wrong_version
            .contains("\r\nSec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    );
    let not_get = rejection(HandshakeError::NotGet);
    assert!(not_get.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n"), "{not_get}");
    let bad_key = rejection(HandshakeError::BadKey);
    assert!(bad_key.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{bad_key}");
    assert!(bad_key.contains("Connection: close\r\n"), "{bad_key}");
}

#[test]
fn client_and_server_agree() {
    let mut handshake = ClientHandshake::new(*b"the sample nonce", "localhost:8080", "/v1/ws?a=b");
    handshake.protocols = &["fanwire.v1.binary", "fanwire.v1.json"];
    handshake.offer_deflate = true;
    handshake.headers = &[("Authorization", "Bearer x")];
    let mut text = Vec::new();
    handshake.write_request(&mut text);
    let (request, length) = parse_request(&text).unwrap().unwrap();
    assert_eq!((length, request.path(), request.query()), (text.len(), "/v1/ws", Some("a=b")));
    assert_eq!(request.header("Sec-WebSocket-Key"), Some(KEY));
    assert_eq!(request.header("Authorization"), Some("Bearer x"));

    let upgrade = Upgrade::from_request(&request).unwrap();
    let mut answer = response(&upgrade, Some("fanwire.v1.json"), &[("Fanwire-Epoch", "9f3c")]);
    let head = answer.len();
    answer.push_str("frames");
    for end in 0..head {
        assert!(handshake.check_response(&answer.as_bytes()[..end]).unwrap().is_none());
    }
    let accepted = handshake.check_response(answer.as_bytes()).unwrap().unwrap();
    assert_eq!((accepted.length, accepted.protocol), (head, Some("fanwire.v1.json")));
    assert_eq!(accepted.headers.first("fanwire-epoch"), Some("9f3c"));
    assert!(accepted.deflate.is_some());
}

#[test]
fn a_client_takes_nothing_that_it_did_not_ask_for() {
    let handshake = ClientHandshake::new(*b"the sample nonce", "localhost", "/");
    let upgraded = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    let accept = format!("Sec-WebSocket-Accept: {ACCEPT}\r\n");
    let cases = [
        ("SSH-2.0-OpenSSH\r\n".to_owned(), ResponseError::Malformed),
        ("HTTP/1.1 401 Unauthorized\r\n\r\n".to_owned(), ResponseError::Refused { status: 401 }),
        (format!("HTTP/1.1 101 X\r\nUpgrade: websocket\r\n{accept}\r\n"), ResponseError::NotUpgrade),
        (format!("{upgraded}\r\n"), ResponseError::WrongAccept),
        (format!("{upgraded}Sec-WebSocket-Accept: x\r\n\r\n"), ResponseError::WrongAccept),
        (format!("{upgraded}{accept}Sec-WebSocket-Protocol: a\r\n\r\n"), ResponseError::UnofferedProtocol),
        (
            format!("{upgraded}{accept}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
            ResponseError::UnofferedExtension,
        ),
        (format!("{upgraded}X: {}", "x".repeat(crate::limits::MAX_HEAD_BYTES)), ResponseError::HeadTooLarge),
        (format!("{upgraded}{}", "X: y\r\n".repeat(crate::limits::MAX_HEADERS)), ResponseError::HeadTooLarge),
    ];
    for (answer, expected) in cases {
        assert_eq!(handshake.check_response(answer.as_bytes()).err(), Some(expected), "{answer}");
    }
    assert!(handshake.check_response(format!("{upgraded}{accept}\r\n").as_bytes()).unwrap().is_some());
}

proptest! {
    #[test]
    fn every_client_key_is_accepted(key: [u8; KEY_BYTES]) {
        let handshake = ClientHandshake::new(key, "h", "/");
        let mut text = Vec::new();
        handshake.write_request(&mut text);
        let (request, _) = parse_request(&text).unwrap().unwrap();
        let mut answer = Vec::new();
        Upgrade::from_request(&request).unwrap().write_response(None, None, &[], &mut answer);
        prop_assert!(handshake.check_response(&answer).unwrap().is_some());
    }
}
