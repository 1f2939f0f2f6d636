//! HTTP and the upgrade: arbitrary octets as a request, as a body and as a response, and both roles against each other.
#![no_main]

mod pieces;

use arbitrary::Arbitrary;
use fanwire_wire::error::{RequestError, ResponseError};
use fanwire_wire::handshake::{ClientHandshake, Upgrade, is_upgrade, write_rejection};
use fanwire_wire::http::{
    BodyDecoder, BodyLength, Method, Request, parse_request, percent_decode, query_parameter, write_error,
};
use libfuzzer_sys::fuzz_target;

use crate::pieces::{Sizes, pieces};

const PROTOCOLS: [&str; 3] = ["fanwire.v1.json", "fanwire.v1.binary", "chat"];
const EPOCH: &str = "Fanwire-Epoch";

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    sizes: Sizes,
    /// How many subprotocols the client offers, which one the server chooses, and whether compression is offered.
    choices: u8,
    key: [u8; 16],
    octets: &'a [u8],
}

impl Input<'_> {
    fn body_limit(&self) -> usize {
        usize::from(self.choices)
    }

    fn offered(&self) -> &'static [&'static str] {
        &PROTOCOLS[..usize::from(self.choices & 3)]
    }

    fn chosen(&self) -> Option<&'static str> {
        self.offered().get(usize::from(self.choices >> 2 & 3)).copied()
    }

    fn client(&self) -> ClientHandshake<'static> {
        let mut client = ClientHandshake::new(self.key, "example.org:8080", "/topics/chat?since=earliest");
        client.protocols = self.offered();
        client.offer_deflate = self.choices & 16 != 0;
        client.headers = &[("Origin", "https://example.org")];
        client
    }
}

fuzz_target!(|input: Input<'_>| {
    as_request(&input);
    as_body(BodyLength::Chunked, input.octets, &input);
    as_chunks(&input);
    as_response(&input);
    both_roles(&input);
});

fn as_request(input: &Input<'_>) {
    let whole = request_summary(input.octets);
    for end in cuts(input.octets, input.sizes) {
        match request_summary(&input.octets[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "the first {end} octets say something else than all of them"),
        }
    }
    let Ok(Some((request, length))) = parse_request(input.octets) else { return };
    assert!(length <= input.octets.len());
    assert!(request.path().starts_with('/') || request.method() == Method::Options && request.path() == "*");
    let _ = percent_decode(request.path());
    let _ = request.query().map(|query| query_parameter(query, "since"));
    let _ = (request.keep_alive(), request.expects_continue());
    as_body(request.body(), &input.octets[length..], input);
    as_upgrade(&request);
}

/// What a request says that another one could say differently.
fn request_summary(octets: &[u8]) -> Result<Option<(usize, String)>, RequestError> {
    parse_request(octets).map(|parsed| parsed.map(|(request, length)| (length, format!("{request:?}"))))
}

fn as_upgrade(request: &Request<'_>) {
    let mut response = Vec::new();
    let upgrade = match Upgrade::from_request(request) {
        Ok(upgrade) => upgrade,
        Err(error) => {
            write_rejection(error, &mut response);
            return assert_whole_response(&response, error.status().code());
        }
    };
    assert!(is_upgrade(request));
    let chosen = upgrade.protocols().first().copied();
    assert!(chosen.is_none_or(|protocol| upgrade.offers(protocol)));
    let epoch = request.query().unwrap_or_default();
    upgrade.write_response(chosen, upgrade.deflate(), &[(EPOCH, epoch)], &mut response);
    assert_whole_response(&response, 101);
    let (mut again, accepted) = (Vec::new(), upgrade.clone().into_accepted());
    accepted.write_response(chosen, accepted.deflate(), &[(EPOCH, epoch)], &mut again);
    assert_eq!(response, again);
}

/// An independent parser reads the head, and finds nothing after the body.
fn assert_whole_response(response: &[u8], code: u16) {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut parsed = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = parsed.parse(response).expect("a response") else {
        panic!("a response that does not end");
    };
    assert_eq!(parsed.code, Some(code));
    let length = parsed.headers.iter().find(|field| field.name == "Content-Length");
    let length =
        length.map_or(0, |field| str::from_utf8(field.value).expect("digits").parse().expect("a number"));
    assert_eq!(response.len() - head, length, "octets of body");
}

fn as_body(length: BodyLength, octets: &[u8], input: &Input<'_>) {
    let limit = input.body_limit();
    let (Ok(mut whole), Ok(mut cut)) = (BodyDecoder::new(length, limit), BodyDecoder::new(length, limit))
    else {
        return assert!(matches!(length, BodyLength::Length(length) if length > limit as u64));
    };
    let mut out = Vec::new();
    let taken = whole.decode(octets, &mut out);
    assert!(out.len() <= limit);
    assert!(taken.is_err() || whole.is_done() || taken == Ok(octets.len()), "octets were left over");

    let (mut cut_out, mut cut_taken) = (Vec::new(), Ok(0));
    for piece in pieces(octets, input.sizes) {
        let Ok(before) = cut_taken else { break };
        cut_taken = cut.decode(piece, &mut cut_out).map(|more| before + more);
    }
    assert_eq!((cut_taken, cut_out, cut.is_done()), (taken, out, whole.is_done()));
}

/// Chunks of any sizes are the body that they were made of, and end where they end.
fn as_chunks(input: &Input<'_>) {
    const NEXT: &[u8] = b"GET / HTTP/1.1\r\n";
    let mut chunked = Vec::new();
    for piece in pieces(input.octets, input.sizes) {
        chunked.extend_from_slice(format!("{:x};n=\"v\"\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    if chunked.len() > 8_000 {
        return;
    }
    chunked.extend_from_slice(b"0\r\nTrailer: x\r\n\r\n");
    let end = chunked.len();
    chunked.extend_from_slice(NEXT);
    let mut decoder =
        BodyDecoder::new(BodyLength::Chunked, input.octets.len()).expect("nothing is announced");
    let mut out = Vec::new();
    assert_eq!(decoder.decode(&chunked, &mut out), Ok(end));
    assert!(decoder.is_done());
    assert_eq!(out, input.octets);
}

fn as_response(input: &Input<'_>) {
    let client = input.client();
    let whole = response_summary(&client, input.octets);
    for end in cuts(input.octets, input.sizes) {
        match response_summary(&client, &input.octets[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "the first {end} octets say something else than all of them"),
        }
    }
    if let Ok(Some(accepted)) = client.check_response(input.octets) {
        assert!(accepted.length <= input.octets.len());
        assert!(accepted.protocol.is_none_or(|protocol| client.protocols.contains(&protocol)));
        assert!(accepted.deflate.is_none() || client.offer_deflate);
    }
}

fn response_summary(client: &ClientHandshake<'_>, octets: &[u8]) -> Result<Option<String>, ResponseError> {
    client.check_response(octets).map(|accepted| accepted.map(|accepted| format!("{accepted:?}")))
}

/// What the client writes, the server takes; what the server answers, the client takes.
fn both_roles(input: &Input<'_>) {
    let client = input.client();
    let mut octets = Vec::new();
    client.write_request(&mut octets);
    let (request, length) = parse_request(&octets).expect("a request").expect("a whole one");
    assert_eq!(length, octets.len());
    let upgrade = Upgrade::from_request(&request).expect("an upgrade");
    assert_eq!(upgrade.protocols(), client.protocols);
    assert_eq!(upgrade.deflate().is_some(), client.offer_deflate);

    let value = String::from_utf8_lossy(input.octets);
    let value = &value[..value.floor_char_boundary(1_000)];
    let mut response = Vec::new();
    upgrade.write_response(input.chosen(), upgrade.deflate(), &[(EPOCH, value)], &mut response);
    let length = response.len();
    response.extend_from_slice(b"\x81\x00");
    let accepted = client.check_response(&response).expect("an acceptance").expect("a whole one");
    assert_eq!(accepted.length, length);
    assert_eq!(accepted.protocol, input.chosen());
    assert_eq!(accepted.deflate, upgrade.deflate());
    let sent = value.replace(|character: char| character.is_ascii_control(), " ");
    assert_eq!(accepted.headers.first(EPOCH).map(str::trim_ascii), Some(sent.trim_ascii()));

    let mut refusal = Vec::new();
    write_error(&mut refusal, fanwire_wire::http::Status::Forbidden, &[("X", value)], value);
    assert_whole_response(&refusal, 403);
    assert_eq!(client.check_response(&refusal).err(), Some(ResponseError::Refused { status: 403 }));
}

/// Where [`pieces`] cuts `octets`, their end included.
fn cuts(octets: &[u8], sizes: Sizes) -> impl Iterator<Item = usize> {
    pieces(octets, sizes).scan(0, |end, piece| {
        *end += piece.len();
        Some(*end)
    })
}
