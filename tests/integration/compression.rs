//! permessage-deflate with contexts that belong to one connection (RFC 7692 §7.1.1).

use std::io::Read;

use fanwire::config::{Config, Contexts};
use fanwire_wire::deflate::{DeflateParams, Deflater, Inflater};
use fanwire_wire::frame::{FrameHeader, OpCode, Role, write_masked_frame};

use crate::support::{HttpClient, TestBroker, handshake};

/// What resembles itself, as feeds do.
const TEXT: &str =
    r#"{"symbol":"EURUSD","bid":1.08312,"ask":1.08314,"time":1795291200123,"venue":"LD4","state":"open"}"#;

/// A client that compresses and inflates as was agreed on.
struct Compressing {
    client: HttpClient,
    deflater: Deflater,
    inflater: Inflater,
    /// What the broker answered to the offer.
    answer: String,
}

impl Compressing {
    fn connect(broker: &TestBroker, path: &str, offer: &str) -> Self {
        let mut client = broker.http();
        let field = format!("Sec-WebSocket-Extensions: {offer}\r\n");
        let response = client.request(handshake(path, &field));
        assert_eq!(response.status, 101, "{response:?}");
        let answer = response.headers["sec-websocket-extensions"].clone();
        let agreed = DeflateParams::from_response(&answer).expect("an answer to the offer");
        let deflater = Deflater::new(agreed.client_window_bits(), !agreed.client_no_context_takeover);
        let inflater = Inflater::new(!agreed.server_no_context_takeover);
        Self { client, deflater, inflater, answer }
    }

    /// Sends the text compressed; how many octets that took.
    fn send(&mut self, text: &str) -> usize {
        let (mut compressed, mut frame) = (Vec::new(), Vec::new());
        self.deflater.deflate(text.as_bytes(), &mut compressed);
        write_masked_frame(&mut frame, [1, 2, 3, 4], OpCode::Text, true, &compressed);
        self.client.send(&frame);
        compressed.len()
    }

    /// The next message, and how many octets it took.
    fn receive(&mut self) -> (String, usize) {
        let mut head = Vec::new();
        let header = loop {
            let mut octet = [0];
            self.client.stream().read_exact(&mut octet).expect("a frame comes");
            head.push(octet[0]);
            if let Some(header) = FrameHeader::parse(&head, Role::Client, true).expect("a frame") {
                break header;
            }
        };
        let mut payload = vec![0; header.payload_len as usize];
        self.client.stream().read_exact(&mut payload).expect("all of it comes");
        assert!(header.compressed, "it is large enough");
        let text = self.inflater.inflate(&payload, 1 << 20).expect("it can be inflated");
        (String::from_utf8(text.into_owned()).expect("text"), payload.len())
    }
}

fn own_contexts(config: &mut Config) {
    config.contexts = Contexts::Own;
    config.demo = true;
}

#[test]
fn contexts_are_shared_unless_the_operator_says_otherwise() {
    let broker = TestBroker::start();
    let client = Compressing::connect(&broker, "/topics/a", "permessage-deflate");
    assert_eq!(client.answer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    assert_eq!((broker.figure("fanwire_contexts{"), broker.figure("fanwire_contexts_bytes")), (0, 0));
}

#[test]
fn each_side_takes_its_context_over_where_the_offer_lets_it() {
    let broker = TestBroker::start_with(own_contexts);
    for (offer, parameters, deflates, inflates) in [
        ("permessage-deflate", "", true, true),
        ("permessage-deflate; server_no_context_takeover", "; server_no_context_takeover", false, true),
        ("permessage-deflate; client_no_context_takeover", "; client_no_context_takeover", true, false),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9", true, true),
    ] {
        let mut client = Compressing::connect(&broker, "/topics/a", offer);
        assert_eq!(client.answer, format!("permessage-deflate{parameters}"));
        let sent: Vec<usize> = (0..20).map(|_| client.send(TEXT)).collect();
        assert_eq!(sent[19] * 3 < sent[0], inflates, "{offer}: {sent:?}");
        let received: Vec<(String, usize)> = (0..20).map(|_| client.receive()).collect();
        assert!(received.iter().all(|(text, _)| text == TEXT), "{offer}");
        assert_eq!(received[19].1 * 3 < received[0].1, deflates, "{offer}: {received:?}");
    }
}

#[test]
fn the_echo_inflates_with_the_context_and_makes_none() {
    let broker = TestBroker::start_with(own_contexts);
    let mut client = Compressing::connect(&broker, "/demo/echo", "permessage-deflate");
    assert_eq!(client.answer, "permessage-deflate; server_no_context_takeover");
    for _ in 0..3 {
        client.send(TEXT);
        assert_eq!(client.receive().0, TEXT);
    }
}

#[test]
fn who_finds_no_room_for_contexts_shares_and_what_goes_makes_room() {
    const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let broker = TestBroker::start_with(|config| {
        own_contexts(config);
        config.limits.context_memory = Some(500 * 1024);
    });
    let mut first = Compressing::connect(&broker, "/topics/a", "permessage-deflate");
    assert_eq!(first.answer, "permessage-deflate");
    broker.wait_for_figure("fanwire_contexts{", 1);
    assert_eq!(broker.figure("fanwire_contexts_bytes"), 420 * 1024);

    let mut second = Compressing::connect(&broker, "/topics/a", "permessage-deflate");
    assert_eq!(second.answer, BOTH);
    broker.wait_for_figure("fanwire_context_refusals_total", 1);
    for client in [&mut first, &mut second] {
        client.send(TEXT);
    }
    for client in [&mut first, &mut second] {
        assert_eq!([client.receive().0, client.receive().0], [TEXT, TEXT]);
    }

    drop(first);
    broker.wait_for_figure("fanwire_contexts_bytes", 0);
    let third = Compressing::connect(&broker, "/topics/a", "permessage-deflate");
    assert_eq!(third.answer, "permessage-deflate");
}

#[test]
fn compression_that_is_off_has_no_contexts() {
    let broker = TestBroker::start_with(|config| {
        own_contexts(config);
        config.compression = false;
    });
    let response =
        broker.http().request(handshake("/topics/a", "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    assert_eq!((response.status, response.headers.get("sec-websocket-extensions")), (101, None));
}
