//! Conversations with servers that are written out by hand, cut at every octet.

mod fanwire_binary;
mod fanwire_json;
mod http;
mod mqtt;
mod nats;
mod web_socket;

use fanwire_wire::close::CloseReason;
use fanwire_wire::deflate::Inflater;
use fanwire_wire::frame::Role;
use fanwire_wire::frame::{OpCode, write_frame};
use fanwire_wire::handshake::accept_key;
use fanwire_wire::message::{Incoming, MessageKind, MessageReader};

use super::*;

/// What was heard, without its borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Noted {
    Payload(String),
    Gap(u64),
}

fn payload(text: &str) -> Noted {
    Noted::Payload(text.to_owned())
}

/// All that a conversation has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    heard: Vec<Noted>,
    /// What the client wrote after its first words.
    out: Vec<u8>,
    is_ready: bool,
    error: Option<ConversationError>,
}

fn peer(transport: &str, protocol: Protocol) -> Peer {
    Peer {
        authority: "127.0.0.1:8080".to_owned(),
        path: protocol.usual_path().to_owned(),
        headers: HeaderProfile::Minimal,
        transport: transport.parse().unwrap(),
        protocol,
    }
}

fn topics(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn subscriber(transport: &str, protocol: Protocol, names: &[&str]) -> Subscriber {
    Subscriber::new(&peer(transport, protocol), &topics(names), 1)
}

fn first_words(subscriber: &mut Subscriber) -> String {
    let mut out = Vec::new();
    subscriber.begin(&mut out);
    String::from_utf8(out).unwrap()
}

/// What a conversation comes to when the server's octets come in these pieces.
fn talk<'p>(mut subscriber: Subscriber, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    first_words(&mut subscriber);
    let (mut heard, mut out, mut error) = (Vec::new(), Vec::new(), None);
    for piece in pieces {
        let outcome = subscriber.read(&mut piece.to_vec(), &mut out, &mut |it| {
            heard.push(match it {
                Heard::Payload(octets) => payload(str::from_utf8(octets).unwrap()),
                Heard::Gap { count } => Noted::Gap(count),
            });
        });
        if let Err(it) = outcome {
            error = Some(it);
            break;
        }
    }
    Outcome { heard, out, is_ready: subscriber.is_ready(), error }
}

/// The same, which must be the same wherever the octets are cut.
fn talk_in_pieces(open: impl Fn() -> Subscriber, server: &[u8]) -> Outcome {
    let whole = talk(open(), [server]);
    for cut in 1..server.len() {
        assert_eq!(talk(open(), [&server[..cut], &server[cut..]]), whole, "cut at {cut}");
    }
    assert_eq!(talk(open(), server.chunks(1)), whole, "octet by octet");
    whole
}

/// That a subscriber is idle behind each of these units, the first of which opens the conversation, and nowhere within one.
fn assert_idle_between(mut subscriber: Subscriber, units: &[Vec<u8>]) {
    first_words(&mut subscriber);
    let mut out = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        subscriber.ask(&mut out);
        for (at, octet) in unit.iter().enumerate() {
            subscriber.read(&mut [*octet], &mut out, &mut |_| ()).unwrap();
            assert_eq!(subscriber.is_idle(), at + 1 == unit.len(), "octet {at} of unit {number}");
        }
    }
}

/// The octets in pieces of these lengths, again and again.
pub(super) fn cut<'o>(octets: &'o [u8], lengths: &[usize]) -> Vec<&'o [u8]> {
    let mut pieces = Vec::new();
    let mut rest = octets;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

/// The response that opens the WebSocket that a request asks for, with more header lines.
fn accept(request: &str, further: &str) -> Vec<u8> {
    let (_, key) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    let accept = accept_key(&key[..24]).unwrap();
    let accept = str::from_utf8(&accept).unwrap();
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{head}Sec-WebSocket-Accept: {accept}\r\n{further}\r\n").into_bytes()
}

/// The same, for the first subscriber of a protocol.
fn accepted(transport: &str, protocol: Protocol, further: &str) -> Vec<u8> {
    accept(&first_words(&mut subscriber(transport, protocol, &["a"])), further)
}

/// Appends a frame of the server.
fn frame(server: &mut Vec<u8>, opcode: OpCode, payload: impl AsRef<[u8]>) {
    write_frame(server, opcode, false, payload.as_ref());
}

/// A frame that a client wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Text(String),
    Binary(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseReason<'static>>),
}

/// The frames that a client wrote.
fn said(out: &[u8]) -> Vec<Said> {
    let mut octets = out.to_vec();
    let mut rest = octets.as_mut_slice();
    let (mut reader, mut inflater) = (MessageReader::new(Role::Server, false), Inflater::new(false));
    let mut said = Vec::new();
    while !rest.is_empty() {
        let (consumed, incoming) = reader.read(rest, MAX_MESSAGE_BYTES, &mut inflater).unwrap();
        said.push(match incoming.expect("whole frames") {
            Incoming::Message { kind: MessageKind::Text, payload } => {
                Said::Text(String::from_utf8(payload.into_owned()).unwrap())
            }
            Incoming::Message { kind: MessageKind::Binary, payload } => Said::Binary(payload.into_owned()),
            Incoming::Pong(payload) => Said::Pong(payload.into_owned()),
            Incoming::Close(reason) => Said::Close(reason.map(CloseReason::into_owned)),
            Incoming::Ping(_) => panic!("a client that pings"),
        });
        rest = &mut rest[consumed..];
    }
    said
}

/// What was said in binary frames, as one stream.
fn said_in_binary(out: &[u8]) -> Vec<u8> {
    let binary = said(out).into_iter().map(|said| match said {
        Said::Binary(payload) => payload,
        other => panic!("not binary: {other:?}"),
    });
    binary.collect::<Vec<_>>().concat()
}

/// A publisher that is ready after these octets, and what it wrote by then.
fn ready_publisher(
    peer: &Peer,
    names: &[&str],
    server: impl Fn(&str) -> Vec<u8>,
) -> (Publisher, String, Vec<u8>) {
    let mut publisher = Publisher::new(peer, &topics(names), 1);
    let (mut request, mut out) = (Vec::new(), Vec::new());
    publisher.begin(&mut request);
    let request = String::from_utf8(request).unwrap();
    assert!(!publisher.is_ready());
    publisher.read(&mut server(&request), &mut out).unwrap();
    assert!(publisher.is_ready());
    (publisher, request, out)
}

/// What one publish writes.
fn published(publisher: &mut Publisher, topic: usize, payload: &str) -> Vec<Said> {
    let mut out = Vec::new();
    publisher.publish(topic, payload.as_bytes(), &mut out);
    said(&out)
}
