use proptest::prelude::*;

use super::*;
use crate::conversation::tests::cut;

/// A response as a naive reader has it: its status and body, and whether the body ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Whole {
    status: u16,
    body: Vec<u8>,
    has_ended: bool,
}

/// All responses in these octets, from the whole of them and with no care for what is malformed.
fn naive_read(octets: &[u8]) -> Vec<Whole> {
    let mut responses = Vec::new();
    let mut rest = octets;
    while !rest.is_empty() {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        let head = str::from_utf8(&rest[..end]).unwrap().to_ascii_lowercase();
        rest = &rest[end + 4..];
        let status = head[9..12].parse().unwrap();
        if (100..200).contains(&status) {
            continue;
        }
        let length =
            head.split("content-length: ").nth(1).map(|rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = Vec::new();
        let mut has_ended = true;
        if status == 204 {
        } else if head.contains("transfer-encoding: chunked") {
            loop {
                let line = rest.windows(2).position(|window| window == b"\r\n").unwrap();
                let size = str::from_utf8(&rest[..line]).unwrap().split(';').next().unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                body.extend_from_slice(&rest[line + 2..line + 2 + size]);
                rest = &rest[line + 2 + size + 2..];
                if size == 0 {
                    break;
                }
            }
        } else if let Some(length) = length {
            body.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
        } else {
            body.extend_from_slice(rest);
            rest = &[];
            has_ended = false;
        }
        responses.push(Whole { status, body, has_ended });
    }
    responses
}

/// The same by the reader, when the octets come in these pieces.
fn read_pieces<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Result<Vec<Whole>, BadResponse> {
    let mut reader = ResponseReader::default();
    let mut responses: Vec<Whole> = Vec::new();
    for mut piece in pieces {
        while let Some(part) = reader.read(&mut piece)? {
            match part {
                Part::Head(head) => {
                    responses.push(Whole { status: head.status, body: Vec::new(), has_ended: false });
                }
                Part::Body(octets) => {
                    assert!(!octets.is_empty());
                    responses.last_mut().unwrap().body.extend_from_slice(octets);
                }
                Part::End => responses.last_mut().unwrap().has_ended = true,
            }
        }
        assert!(piece.is_empty(), "everything is taken");
    }
    Ok(responses)
}

/// How a body is framed.
#[derive(Clone, Debug)]
enum Framing {
    Empty204,
    Length,
    Chunked { chunk: usize, extension: bool },
    Interim,
}

fn framings() -> impl Strategy<Value = Framing> {
    prop_oneof![
        Just(Framing::Empty204),
        Just(Framing::Length),
        (1..40_usize, any::<bool>()).prop_map(|(chunk, extension)| Framing::Chunked { chunk, extension }),
        Just(Framing::Interim),
    ]
}

fn write(framing: &Framing, body: &[u8], out: &mut Vec<u8>) {
    match framing {
        Framing::Empty204 => out.extend_from_slice(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
        Framing::Interim => out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
        Framing::Length => {
            out.extend_from_slice(
                format!("HTTP/1.1 200 OK\r\ncontent-LENGTH: {}\r\n\r\n", body.len()).as_bytes(),
            );
            out.extend_from_slice(body);
        }
        Framing::Chunked { chunk, extension } => {
            out.extend_from_slice(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: Chunked\r\n\r\n");
            let extension = if *extension { ";a=b" } else { "" };
            for piece in body.chunks(*chunk) {
                out.extend_from_slice(format!("{:X}{extension}\r\n", piece.len()).as_bytes());
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0\r\n\r\n");
        }
    }
}

proptest! {
    #[test]
    fn responses_in_pieces_are_what_a_naive_reader_makes_of_the_whole(
        responses in proptest::collection::vec((framings(), proptest::collection::vec(any::<u8>(), 0..90)), 0..5),
        until_close in proptest::option::of(proptest::collection::vec(any::<u8>(), 1..50)),
        cuts in proptest::collection::vec(1..60_usize, 1..8),
    ) {
        let mut octets = Vec::new();
        for (framing, body) in &responses {
            write(framing, body, &mut octets);
        }
        if let Some(body) = until_close {
            octets.extend_from_slice(b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n");
            octets.extend_from_slice(&body);
        }
        let naive = naive_read(&octets);
        prop_assert_eq!(read_pieces(cut(&octets, &cuts)).unwrap(), naive.clone());
        prop_assert_eq!(read_pieces([octets.as_slice()]).unwrap(), naive);
    }

    #[test]
    fn damaged_responses_are_judged_alike_however_they_are_cut(
        octets in "(HTTP/1\\.[01] (200|204|100) |\r\n|Content-Length: |Transfer-Encoding: chunked|[0-9a-f]|:|x){0,30}",
        step in 1..20_usize,
    ) {
        let in_pieces = read_pieces(octets.as_bytes().chunks(step));
        prop_assert_eq!(in_pieces.is_ok(), read_pieces([octets.as_bytes()]).is_ok());
    }
}

fn head_of(lines: &str) -> ResponseHead {
    let octets = format!("HTTP/1.1 200 OK\r\n{lines}\r\n");
    match ResponseReader::default().read(&mut octets.as_bytes()) {
        Ok(Some(Part::Head(head))) => head,
        other => panic!("no head: {other:?}"),
    }
}

#[test]
fn a_head_says_what_is_needed_of_it() {
    let head =
        head_of("fanwire-epoch: 9f3c\r\nFANWIRE-OFFSET: 41\r\nContent-Type: a/b\r\nContent-Length: 0, 0\r\n");
    assert_eq!(head.position.as_deref(), Some("9f3c:41"));
    assert_eq!((head.status, head.content_type.as_str(), head.is_last), (200, "a/b", false));
    assert_eq!(head.octets, 101);
    assert!(head_of("Content-Length: 0\r\nConnection: x, Close\r\n").is_last);
    assert!(head_of("").is_last, "the body lasts as long as the connection");
}

#[test]
fn a_position_that_could_not_stand_in_a_request_is_none() {
    for epoch in ["", "a b", "a&b", "a/b", "é", &"x".repeat(MAX_EPOCH_BYTES + 1)] {
        assert_eq!(
            head_of(&format!("Fanwire-Epoch: {epoch}\r\nFanwire-Offset: 1\r\n")).position,
            None,
            "{epoch}"
        );
    }
    for offset in ["", "-1", "x", "18446744073709551616"] {
        assert_eq!(
            head_of(&format!("Fanwire-Epoch: e\r\nFanwire-Offset: {offset}\r\n")).position,
            None,
            "{offset}"
        );
    }
    assert_eq!(head_of("Fanwire-Epoch: e\r\n").position, None);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let cases = [
        ("HTTP/2 200 OK\r\n\r\n", BadResponse::Malformed),
        ("hello", BadResponse::Malformed),
        ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", BadResponse::Malformed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", BadResponse::BadLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", BadResponse::BadLength),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", BadResponse::BadLength),
        ("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n", BadResponse::BadLength),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            BadResponse::BadLength,
        ),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", BadResponse::UnknownTransferEncoding),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
            BadResponse::UnknownTransferEncoding,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n", BadResponse::Encoded),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx", BadResponse::BadChunk),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab", BadResponse::BadChunk),
    ];
    for (octets, error) in cases {
        assert_eq!(read_pieces([octets.as_bytes()]), Err(error), "{octets}");
    }
}

#[test]
fn a_head_is_bounded_however_it_comes() {
    let head = |length: usize| format!("HTTP/1.1 204 No Content\r\nX: {}\r\n\r\n", "x".repeat(length - 32));
    let largest = head(MAX_HEAD_BYTES);
    let too_large = head(MAX_HEAD_BYTES + 1);
    assert_eq!(largest.len(), MAX_HEAD_BYTES);
    for step in [1_000, MAX_HEAD_BYTES - 1, MAX_HEAD_BYTES, usize::MAX] {
        assert!(read_pieces(largest.as_bytes().chunks(step)).unwrap()[0].has_ended);
        assert_eq!(read_pieces(too_large.as_bytes().chunks(step)), Err(BadResponse::HeadTooLarge), "{step}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(read_pieces([many.as_bytes()]), Err(BadResponse::HeadTooLarge));
}

#[test]
fn a_stream_of_chunks_has_no_end_to_its_length() {
    let mut reader = ResponseReader::default();
    let mut head = &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..];
    assert!(matches!(reader.read(&mut head), Ok(Some(Part::Head(_)))));
    let mut line = &b"8000000000000000\r\n"[..];
    assert_eq!(reader.read(&mut line), Ok(None));
    let mut data = &b"data"[..];
    assert_eq!(reader.read(&mut data), Ok(Some(Part::Body(b"data"))));
}
