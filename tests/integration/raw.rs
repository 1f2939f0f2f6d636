//! The raw interface: each message is a frame, each frame a message.

use std::io::Read;

use fanwire::config::Config;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::frame::{OpCode, write_masked_frame};
use fanwire_wire::topic::TopicOrPattern;
use tungstenite::{Bytes, Message};

use crate::support::{TestBroker, handshake};

/// Keeps a history for every topic.
pub(crate) fn with_history(config: &mut Config) {
    let history = HistoryLimits { messages: 1_000, bytes: 8 << 20, max_age_ms: None };
    let settings = TopicSettings {
        history: Some(history),
        last_value: true,
        overflow: OverflowPolicy::Gap,
        ..TopicSettings::default()
    };
    config.settings.topics.push(TopicRule { matches: TopicOrPattern::parse(">").unwrap(), settings });
}

#[test]
fn a_message_reaches_every_subscriber_and_its_publisher_as_it_was() {
    let broker = TestBroker::start();
    let mut clients: Vec<_> = (0..8).map(|_| broker.web_socket("/topics/chat.lobby")).collect();
    clients[0].send("grüezi");
    clients[0].send(Bytes::from_static(b"\x00\xff"));
    for client in &mut clients {
        assert_eq!(client.receive_text(), "grüezi");
        assert_eq!(client.receive(), Message::Binary(Bytes::from_static(b"\x00\xff")));
    }
}

#[test]
fn a_publisher_that_asks_for_no_echo_gets_only_what_others_publish() {
    let broker = TestBroker::start();
    let mut ann = broker.web_socket("/topics/chat.lobby?echo=false");
    let mut bob = broker.web_socket("/topics/chat.lobby?echo=false");
    ann.send("from ann");
    assert_eq!(bob.receive_text(), "from ann");
    bob.send("from bob");
    assert_eq!(ann.receive_text(), "from bob");
}

#[test]
fn the_handshake_names_the_position_that_the_subscription_begins_after() {
    let broker = TestBroker::start();
    let offset = broker.post("chat.lobby", "before");
    let mut client = broker.web_socket("/topics/chat.lobby");
    assert_eq!(client.header("fanwire-epoch"), Some(broker.epoch()));
    assert_eq!(client.header("fanwire-offset"), Some(offset.to_string().as_str()));
    assert_eq!(broker.post("chat.lobby", "after"), offset + 1);
    assert_eq!(client.receive_text(), "after");
}

#[test]
fn every_subscriber_on_every_core_sees_one_order() {
    let broker = TestBroker::start();
    let mut subscribers: Vec<_> = (0..6).map(|_| broker.web_socket("/topics/chat.lobby")).collect();
    let mut publishers: Vec<_> = (0..4).map(|_| broker.web_socket("/topics/chat.lobby?echo=false")).collect();
    for n in 0..100 {
        for (publisher, client) in publishers.iter_mut().enumerate() {
            client.send(format!("{publisher}:{n}"));
        }
    }
    let first: Vec<_> = (0..400).map(|_| subscribers[0].receive_text()).collect();
    for publisher in 0..4 {
        let own = first.iter().filter(|text| text.starts_with(&format!("{publisher}:")));
        assert!(own.eq((0..100).map(|n| format!("{publisher}:{n}")).collect::<Vec<_>>().iter()));
    }
    for subscriber in &mut subscribers[1..] {
        let order: Vec<_> = (0..400).map(|_| subscriber.receive_text()).collect();
        assert_eq!(order, first);
    }
}

#[test]
fn history_is_replayed_from_where_the_subscriber_says() {
    let broker = TestBroker::start_with(with_history);
    let offsets: Vec<_> = (0..5).map(|n| broker.post("prices.x", &n.to_string())).collect();
    let since = format!("since={}:{}", broker.epoch(), offsets[1]);
    for (query, first) in [(since.as_str(), 2), ("since=earliest", 0), ("last=1", 4)] {
        let mut client = broker.web_socket(&format!("/topics/prices.x?{query}"));
        for n in first..5 {
            assert_eq!(client.receive_text(), n.to_string(), "{query}");
        }
        broker.post("prices.live", "elsewhere");
    }
}

#[test]
fn a_long_history_is_replayed_whole_on_every_core() {
    let broker = TestBroker::start_with(with_history);
    let mut publisher = broker.web_socket("/topics/prices.x?echo=false");
    let texts: Vec<_> = (0..100).map(|n| format!("{n}").repeat(5_000)).collect();
    for text in &texts {
        publisher.send(text.as_str());
    }
    let mut subscribers: Vec<_> =
        (0..8).map(|_| broker.web_socket("/topics/prices.x?since=earliest")).collect();
    for subscriber in &mut subscribers {
        assert!(texts.iter().all(|text| subscriber.receive_text() == *text));
    }
}

#[test]
fn a_position_that_is_no_longer_held_is_gone() {
    let broker = TestBroker::start_with(with_history);
    broker.post("prices.x", "1");
    let request = handshake("/topics/prices.x?since=0123456789abcdef:1", "");
    let response = broker.http().request(request);
    assert_eq!((response.status, response.code().as_str()), (410, "gone"));
    assert_eq!(response.headers["fanwire-epoch"], broker.epoch());
}

#[test]
fn frames_that_come_with_the_handshake_are_published() {
    let broker = TestBroker::start();
    let mut subscriber = broker.web_socket("/topics/chat.lobby");
    let mut octets = handshake("/topics/chat.lobby?echo=false", "").into_bytes();
    write_masked_frame(&mut octets, [1, 2, 3, 4], OpCode::Text, false, b"eager");
    let mut eager = broker.http();
    assert_eq!(eager.request(octets).status, 101);
    assert_eq!(subscriber.receive_text(), "eager");
}

#[test]
fn a_message_in_many_fragments_and_reads_is_one_message() {
    let broker = TestBroker::start();
    let mut subscriber = broker.web_socket("/topics/chat.lobby");
    let text = "0123456789".repeat(50_000);
    let mut publisher = broker.web_socket("/topics/chat.lobby?echo=false");
    publisher.send(text.as_str());
    assert!(subscriber.receive_text() == text);
}

#[test]
fn the_raw_subprotocol_is_chosen_and_others_are_ignored() {
    let broker = TestBroker::start();
    for (offered, chosen) in [("chat, fanwire.v1.raw", Some("fanwire.v1.raw")), ("chat", None)] {
        let further = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let response = broker.http().request(handshake("/topics/chat.lobby", &further));
        assert_eq!(response.status, 101);
        assert_eq!(response.headers.get("sec-websocket-protocol").map(String::as_str), chosen);
    }
}

#[test]
fn a_query_that_makes_no_sense_is_refused() {
    let broker = TestBroker::start();
    for (query, code) in [
        ("echo=maybe", "bad_query"),
        ("last=-1", "bad_query"),
        ("since=yesterday", "bad_since"),
        ("since=earliest&last=1", "bad_query"),
    ] {
        let response = broker.http().request(handshake(&format!("/topics/a.b?{query}"), ""));
        assert_eq!((response.status, response.code().as_str()), (400, code), "{query}");
    }
}

#[test]
fn payloads_are_compressed_from_the_size_on_that_the_operator_says() {
    let broker = TestBroker::start_with(|config| config.settings.deflate_above_bytes = 100);
    let mut client = broker.http();
    let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    assert_eq!(client.request(handshake("/topics/a.b", extension)).status, 101);
    for (size, first) in [(99, 0x81), (100, 0xc1), (99, 0x81)] {
        broker.post("a.b", &"x".repeat(size));
        let mut head = [0; 2];
        client.stream().read_exact(&mut head).unwrap();
        assert_eq!(head[0], first, "{size} bytes");
        client.stream().read_exact(&mut vec![0; usize::from(head[1])]).unwrap();
    }
}
