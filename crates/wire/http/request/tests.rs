use proptest::prelude::*;

use super::*;

fn request(text: &str) -> Request<'_> {
    let (request, length) =
        parse_request(text.as_bytes()).unwrap().unwrap_or_else(|| panic!("incomplete: {text}"));
    assert_eq!(length, text.len());
    request
}

/// A GET with these header lines beside its `Host`.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n")
}

fn error(text: &str) -> RequestError {
    parse_request(text.as_bytes()).expect_err(text)
}

#[test]
fn a_request_is_split_into_its_parts() {
    let text =
        "POST /topics/a%2Eb?x=1&y HTTP/1.1\r\nhOsT: localhost:8080\r\nAccept: a\r\nACCEPT:  b \r\n\r\n";
    let request = request(text);
    assert_eq!((request.method(), request.version()), (Method::Post, Version::Http11));
    assert_eq!((request.path(), request.query()), ("/topics/a%2Eb", Some("x=1&y")));
    assert_eq!(request.header("host"), Some("localhost:8080"));
    assert_eq!(request.headers().all("Accept").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(request.header("Cookie"), None);
    assert_eq!(request.body(), BodyLength::None);
}

#[test]
fn a_head_that_is_cut_off_anywhere_asks_for_more() {
    let text = get("Content-Length: 5\r\n");
    for end in 0..text.len() {
        assert!(parse_request(&text.as_bytes()[..end]).unwrap().is_none(), "{end}");
    }
    let (_, length) = parse_request(format!("{text}hello").as_bytes()).unwrap().unwrap();
    assert_eq!(length, text.len());
}

#[test]
fn every_form_of_target_leads_to_a_path() {
    let cases = [
        ("/", "/", None),
        ("/a?", "/a", Some("")),
        ("/a?b?c", "/a", Some("b?c")),
        ("http://host:80/a/b?c", "/a/b", Some("c")),
        ("HTTP://host", "/", None),
        ("http://host?c", "/", Some("c")),
    ];
    for (target, path, query) in cases {
        let text = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let request = request(&text);
        assert_eq!((request.path(), request.query()), (path, query), "{target}");
    }
    assert_eq!(request("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").path(), "*");
    for target in ["*", "a", "host:80", "/a#b", "ftp://host/a", "://host/a", "a?b=://host/c"] {
        assert_eq!(
            error(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")),
            RequestError::BadTarget,
            "{target}"
        );
    }
}

#[test]
fn what_is_not_http_1_is_told_apart() {
    assert_eq!(error("\x16\x03\x01"), RequestError::TlsHandshake);
    assert_eq!(error("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), RequestError::BadVersion);
    assert_eq!(error("GET / HTTP/1.1 \r\n"), RequestError::BadLineEnd);
    for text in ["GET /\r\n", "\0", "G@T / HTTP/1.1\r\n", "GET  HTTP/1.1\r\n", "GET /\r /"] {
        assert_eq!(error(text), RequestError::BadRequestLine, "{text:?}");
    }
}

#[test]
fn lines_that_another_parser_could_read_otherwise_are_refused() {
    let cases = [
        ("X: a\r\n b\r\n", RequestError::BadHeaderName),
        ("X: a\r\n\tb\r\n", RequestError::BadHeaderName),
        ("X : a\r\n", RequestError::BadHeaderName),
        (": a\r\n", RequestError::BadHeaderName),
        ("X\r\n", RequestError::BadHeaderName),
        ("X: a\rY: b\r\n", RequestError::BadHeaderValue),
        ("X: a\0b\r\n", RequestError::BadHeaderValue),
        ("\rX: a\r\n", RequestError::BadLineEnd),
        ("X: a\n", RequestError::BadLineEnd),
        ("X: a\nY: b\r\n", RequestError::BadLineEnd),
        ("\n", RequestError::BadLineEnd),
    ];
    for (lines, expected) in cases {
        assert_eq!(error(&get(lines)), expected, "{lines:?}");
    }
    assert_eq!(error("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), RequestError::BadHeaderName);
    for text in ["\nGET / HTTP/1.1\r\n", "GET / HTTP/1.1\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\n\n"]
    {
        assert_eq!(error(text), RequestError::BadLineEnd, "{text:?}");
    }
}

#[test]
fn lines_of_a_body_end_as_they_like() {
    let head = get("Content-Length: 2\r\n");
    let (_, length) = parse_request(format!("{head}\n\n").as_bytes()).unwrap().unwrap();
    assert_eq!(length, head.len());
}

#[test]
fn a_body_has_one_length() {
    let cases = [
        ("", BodyLength::None),
        ("Content-Length: 0\r\n", BodyLength::Length(0)),
        ("Content-Length: 18446744073709551615\r\n", BodyLength::Length(u64::MAX)),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", BodyLength::Length(5)),
        ("Content-Length: 5, 05\r\n", BodyLength::Length(5)),
        ("Transfer-Encoding: Chunked\r\n", BodyLength::Chunked),
    ];
    for (lines, expected) in cases {
        assert_eq!(request(&get(lines)).body(), expected, "{lines:?}");
    }
}

#[test]
fn a_body_of_two_lengths_or_none_is_refused() {
    let cases = [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", RequestError::ConflictingLength),
        ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", RequestError::ConflictingLength),
        ("Transfer-Encoding: \u{e9}\r\nContent-Length: 0\r\n", RequestError::ConflictingLength),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", RequestError::ConflictingLength),
        ("Content-Length: 5, 6\r\n", RequestError::ConflictingLength),
        ("Content-Length: 5,\r\n", RequestError::BadContentLength),
        ("Content-Length: \r\n", RequestError::BadContentLength),
        ("Content-Length: +5\r\n", RequestError::BadContentLength),
        ("Content-Length: -5\r\n", RequestError::BadContentLength),
        ("Content-Length: 5 5\r\n", RequestError::BadContentLength),
        ("Content-Length: 0x5\r\n", RequestError::BadContentLength),
        ("Content-Length: 18446744073709551616\r\n", RequestError::BadContentLength),
        ("Content-Length: \u{e9}\r\n", RequestError::BadContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", RequestError::UnknownTransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", RequestError::UnknownTransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
            RequestError::UnknownTransferEncoding,
        ),
        ("Transfer-Encoding: xchunked\r\n", RequestError::UnknownTransferEncoding),
        ("Transfer-Encoding:\r\n", RequestError::UnknownTransferEncoding),
    ];
    for (lines, expected) in cases {
        assert_eq!(error(&get(lines)), expected, "{lines:?}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(error(old), RequestError::TransferEncodingInHttp10);
}

#[test]
fn a_request_names_one_host() {
    assert_eq!(error("GET / HTTP/1.1\r\n\r\n"), RequestError::BadHost);
    assert_eq!(error(&get("Host: other\r\n")), RequestError::BadHost);
    assert_eq!(request("GET / HTTP/1.0\r\n\r\n").version(), Version::Http10);
}

#[test]
fn a_connection_lives_as_long_as_its_client_wants() {
    assert!(request(&get("")).keep_alive());
    assert!(!request(&get("Connection: Upgrade, CLOSE\r\n")).keep_alive());
    assert!(!request("GET / HTTP/1.0\r\n\r\n").keep_alive());
    assert!(request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").keep_alive());
}

#[test]
fn only_one_expectation_is_known() {
    assert!(request(&get("Expect: 100-Continue\r\n")).expects_continue());
    assert!(!request(&get("")).expects_continue());
    assert!(!request("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue());
    assert_eq!(error(&get("Expect: 200-ok\r\n")), RequestError::UnknownExpectation);
}

#[test]
fn a_head_is_bounded_in_octets_and_in_fields() {
    let empty = get("X: \r\n").len();
    let largest = get(&format!("X: {}\r\n", "x".repeat(MAX_HEAD_BYTES - empty)));
    assert_eq!(request(&largest).header("X").unwrap().len(), MAX_HEAD_BYTES - empty);
    let larger = get(&format!("X: {}\r\n", "x".repeat(MAX_HEAD_BYTES - empty + 1)));
    assert_eq!(error(&larger), RequestError::HeadTooLarge { limit: MAX_HEAD_BYTES });
    assert!(parse_request(&larger.as_bytes()[..MAX_HEAD_BYTES - 1]).unwrap().is_none());
    assert_eq!(error(&larger[..MAX_HEAD_BYTES]), RequestError::HeadTooLarge { limit: MAX_HEAD_BYTES });
    assert_eq!(
        error(&format!("\r\nGET /{}", "x".repeat(MAX_HEAD_BYTES))),
        RequestError::TargetTooLong { limit: MAX_HEAD_BYTES }
    );

    assert!(request(&get(&"X: y\r\n".repeat(MAX_HEADERS - 1))).keep_alive());
    assert_eq!(error(&get(&"X: y\r\n".repeat(MAX_HEADERS))), RequestError::TooManyHeaders);
}

proptest! {
    #[test]
    fn octets_that_came_later_never_change_what_was_read(
        text in "GET /[a-z?#%]{0,4} HTTP/1.1\r\n((Host|Content-Length|Expect|X): [a5 ,\r\n\t]{0,3}\r?\n){0,4}\r\n[a-z\r\n]{0,9}",
        end in 0_usize..80,
    ) {
        let part = text.as_bytes().get(..end).unwrap_or(text.as_bytes());
        let whole = parse_request(text.as_bytes()).map(|request| request.map(|(_, length)| length));
        match parse_request(part) {
            Ok(None) => {}
            Ok(Some((_, length))) => prop_assert_eq!(whole, Ok(Some(length))),
            Err(error) => prop_assert_eq!(whole, Err(error)),
        }
    }

    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_request(&octets);
    }
}
