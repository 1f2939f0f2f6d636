//! The binary interface over real sockets, alone and beside the others.

use std::collections::HashMap;
use std::io::BufRead;

use fanwire::config::Config;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::binary::{Received, parse_notification, write_command};
use fanwire_wire::command::{self, CommandId, PayloadKind};
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicOrPattern;
use serde_json::{Value, json};
use tungstenite::{Bytes, Message};

use crate::json::client_subscribes;
use crate::support::{Client, HttpClient, TestBroker, handshake};

const PROTOCOL: (&str, &str) = ("Sec-WebSocket-Protocol", "fanwire.v1.binary");

/// A client that keeps the names of the numbers it is told.
pub(crate) struct BinaryClient {
    client: Client,
    names: HashMap<u32, String>,
}

impl BinaryClient {
    pub(crate) fn connect(broker: &TestBroker) -> Self {
        let client = broker.web_socket_with("/v1/ws", &[PROTOCOL]);
        assert_eq!(client.header("sec-websocket-protocol"), Some("fanwire.v1.binary"));
        let mut client = Self { client, names: HashMap::new() };
        let welcome = client.receive();
        assert_eq!((&welcome["type"], &welcome["epoch"]), (&json!("welcome"), &json!(broker.epoch())));
        client
    }

    fn subscribed(broker: &TestBroker, topic: &str) -> Self {
        let mut client = Self::connect(broker);
        client.send(&json!({"type": "subscribe", "topic": topic}));
        assert_eq!(client.receive()["type"], "subscribed");
        client
    }

    pub(crate) fn send(&mut self, command: &Value) {
        self.send_as_octets(&command.to_string());
    }

    /// Sends the octets of a command that is written here as JSON.
    fn send_as_octets(&mut self, command: &str) {
        let mut octets = Vec::new();
        write_command(&command::parse(command).expect("a command"), &mut octets);
        self.client.send(octets);
    }

    fn receive_octets(&mut self) -> Bytes {
        match self.client.receive() {
            Message::Binary(octets) => octets,
            other => panic!("not binary: {other:?}"),
        }
    }

    /// The next notification, as it would be in JSON; deliveries say by `named` whether they carry their name.
    pub(crate) fn receive(&mut self) -> Value {
        let octets = self.receive_octets();
        let received = parse_notification(&octets).unwrap_or_else(|error| panic!("{error}: {octets:02x?}"));
        let delivery = match received {
            Received::Notification(id, notification) => return self.heard(id.as_ref(), notification),
            Received::Delivery(delivery) => delivery,
        };
        let number = delivery.number.expect("the broker knows it").get();
        let name = delivery.name.map_or_else(|| self.names[&number].clone(), str::to_owned);
        let (encoding, data) = match delivery.kind {
            PayloadKind::Text => ("text", json!(str::from_utf8(delivery.payload).expect("text"))),
            PayloadKind::Json => ("json", serde_json::from_slice(delivery.payload).expect("JSON")),
            PayloadKind::Binary => ("binary", json!(delivery.payload)),
        };
        let (offset, key, named) = (delivery.offset, delivery.key, delivery.name.is_some());
        json!({"type": "message", "topic": name, "offset": offset, "key": key, "named": named, "kind": encoding, "data": data})
    }

    fn heard(&mut self, id: Option<&CommandId>, notification: Notification<'_>) -> Value {
        if let Notification::Subscribed { topic, number: Some(number), .. } = notification {
            self.names.insert(number.get(), topic.to_owned());
        }
        let mut json = Vec::new();
        notification.with_id(id).write_json(&mut json);
        serde_json::from_slice(&json).expect("JSON")
    }
}

#[test]
fn a_client_subscribes_publishes_and_gets_its_receipts_and_messages() {
    let broker = TestBroker::start();
    let mut client = BinaryClient::connect(&broker);
    client.send(&json!({"type": "subscribe", "id": 1, "topic": "prices.EURUSD"}));
    let subscribed = client.receive();
    assert_eq!(
        (&subscribed["type"], &subscribed["id"], &subscribed["offset"]),
        (&json!("subscribed"), &json!(1), &json!(0))
    );

    client.send(&json!({"type": "publish", "id": "q-2", "topic": "prices.EURUSD", "key": "EURUSD", "data": {"bid": 1.0831}}));
    let published = client.receive();
    assert_eq!(
        (&published["type"], &published["id"], &published["offset"]),
        (&json!("published"), &json!("q-2"), &json!(1))
    );
    assert_eq!(published["epoch"], broker.epoch());
    let message = client.receive();
    let expected = json!({"type": "message", "topic": "prices.EURUSD", "offset": 1, "key": "EURUSD", "named": false, "kind": "json", "data": {"bid": 1.0831}});
    assert_eq!(message, expected);

    client.send(&json!({"type": "publish", "topic": "prices.EURUSD", "data": "mine", "echo": false}));
    client.send(&json!({"type": "ping", "id": 3}));
    client.send(&json!({"type": "hello", "name": "yuan"}));
    client.send(&json!({"type": "unsubscribe", "id": 4, "topic": "prices.EURUSD"}));
    assert_eq!(client.receive(), json!({"type": "pong", "id": 3}));
    assert_eq!(client.receive(), json!({"type": "hello", "message": "hello yuan"}));
    assert_eq!(client.receive(), json!({"type": "unsubscribed", "id": 4, "topic": "prices.EURUSD"}));
}

#[test]
fn a_delivery_on_a_topic_has_twelve_octets_in_front_of_its_payload() {
    let broker = TestBroker::start();
    let mut client = BinaryClient::subscribed(&broker, "chat.lobby");
    broker.post("chat.lobby", "hello");
    let octets = client.receive_octets();
    assert_eq!((octets.len(), &octets[12..]), (12 + 5, &b"hello"[..]));
}

#[test]
fn a_pattern_brings_the_names_of_its_topics() {
    let broker = TestBroker::start();
    let mut client = BinaryClient::subscribed(&broker, "chat.>");
    let mut both = BinaryClient::subscribed(&broker, "chat.lobby");
    both.send(&json!({"type": "subscribe", "topic": "chat.*"}));
    assert_eq!(both.receive()["type"], "subscribed");
    for (topic, named) in [("chat.lobby", false), ("chat.kitchen", true)] {
        broker.post(topic, "hi");
        let message = client.receive();
        assert_eq!((&message["topic"], &message["named"]), (&json!(topic), &json!(true)));
        let message = both.receive();
        assert_eq!((&message["topic"], &message["named"]), (&json!(topic), &json!(named)));
    }
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was_and_is_told_what_is_gone() {
    let broker = TestBroker::start_with(keeps_three);
    (1..=5).for_each(|n| assert_eq!(broker.post("news.swiss", &format!("news {n}")), n));
    let mut client = BinaryClient::connect(&broker);
    let since = |offset| json!({"epoch": broker.epoch(), "offset": offset});
    client.send(&json!({"type": "subscribe", "topic": "news.swiss", "since": since(3)}));
    assert_eq!(client.receive()["recovered"], true);
    assert_eq!(
        [client.receive(), client.receive()].map(|message| message["data"].clone()),
        ["news 4", "news 5"]
    );

    client.send(&json!({"type": "recover", "topic": "news.swiss", "since": since(1)}));
    let subscribed = client.receive();
    assert_eq!((&subscribed["offset"], &subscribed["recovered"]), (&json!(1), &json!(false)));
    assert_eq!(
        client.receive(),
        json!({"type": "gap", "topic": "news.swiss", "from": 2, "to": 2, "count": 1})
    );
    let offsets: Vec<_> = (0..3).map(|_| client.receive()["offset"].clone()).collect();
    assert_eq!(offsets, [3, 4, 5]);

    client.send(&json!({"type": "recover", "topic": "news.swiss", "since": "earliest"}));
    assert_eq!(client.receive()["offset"], 2);
}

fn keeps_three(config: &mut Config) {
    let history = Some(HistoryLimits { messages: 3, bytes: usize::MAX, max_age_ms: None });
    let settings = TopicSettings {
        history,
        last_value: true,
        overflow: OverflowPolicy::Gap,
        ..TopicSettings::default()
    };
    config.settings.topics.push(TopicRule { matches: TopicOrPattern::parse(">").unwrap(), settings });
}

/// What a message is to each who reads it.
struct Crossing<'a> {
    /// Of the payload.
    kind: &'a str,
    /// The payload as the binary interface shows it here.
    data: Value,
    /// Its octets.
    payload: &'a [u8],
    content_type: &'a str,
}

/// Every way in.
fn publish(broker: &TestBroker, way: &str, topic: &str, crossing: &Crossing<'_>) {
    let Crossing { kind, payload, content_type, .. } = crossing;
    let text = || String::from_utf8(payload.to_vec()).expect("text");
    let data = |binary: &str| match *kind {
        "text" => format!(r#""data":{}"#, json!(text())),
        "json" => format!(r#""data":{},"encoding":"json""#, text()),
        _ => format!(r#""data":"{binary}","encoding":"base64""#),
    };
    let command = format!(r#"{{"type":"publish","id":1,"topic":"{topic}",{}}}"#, data("AP8QAQ=="));
    match way {
        "raw" => {
            let mut raw = broker.web_socket(&format!("/topics/{topic}"));
            raw.send(if *kind == "text" { Message::text(text()) } else { Message::binary(payload.to_vec()) });
            raw.receive();
        }
        "json" => {
            let mut client = broker.web_socket("/v1/ws");
            client.receive();
            client.send(command);
            assert_eq!(client.receive_json()["type"], "published");
        }
        "binary" => {
            let mut client = BinaryClient::connect(broker);
            client.send_as_octets(&command);
            assert_eq!(client.receive()["type"], "published");
        }
        _ => {
            let head = format!(
                "POST /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
                payload.len()
            );
            assert_eq!(broker.http().request([head.as_bytes(), payload].concat()).status, 200);
        }
    }
}

#[test]
fn every_kind_of_payload_survives_every_crossing() {
    let crossings = [
        Crossing {
            kind: "text",
            data: json!("{\"é\n"),
            payload: "{\"é\n".as_bytes(),
            content_type: "text/plain; charset=utf-8",
        },
        Crossing {
            kind: "json",
            data: json!("quoted"),
            payload: b"\"quoted\"",
            content_type: "application/json",
        },
        Crossing {
            kind: "json",
            data: json!({"a": [1, null]}),
            payload: b"{\"a\": [1,null]}",
            content_type: "application/json",
        },
        Crossing {
            kind: "binary",
            data: json!([0, 255, 16, 1]),
            payload: &[0, 255, 16, 1],
            content_type: "application/octet-stream",
        },
    ];
    let broker = TestBroker::start();
    let topic = "a.b";
    let mut binary = BinaryClient::subscribed(&broker, topic);
    let mut json = broker.web_socket("/v1/ws");
    client_subscribes(&mut json, topic);
    let mut raw = broker.web_socket("/topics/a.b");
    let mut stream = event_stream(&broker, topic);
    for crossing in &crossings {
        for way in ["raw", "json", "binary", "http"] {
            if way == "raw" && crossing.kind == "json" {
                continue;
            }
            publish(&broker, way, topic, crossing);
            let context = format!("{} by {way}", crossing.kind);
            let heard = binary.receive();
            assert_eq!(
                (&heard["kind"], &heard["data"]),
                (&json!(crossing.kind), &crossing.data),
                "{context}"
            );
            let (said, streamed) = (json.receive_json(), stream.next());
            let encoding = match crossing.kind {
                "binary" => json!("base64"),
                "json" if crossing.data.is_string() => json!("json"),
                _ => Value::Null,
            };
            let data = if crossing.kind == "binary" { json!("AP8QAQ==") } else { crossing.data.clone() };
            for said in [said, streamed] {
                assert_eq!((&said["encoding"], &said["data"]), (&encoding, &data), "{context}");
            }
            let expected = if crossing.kind == "binary" {
                Message::binary(crossing.payload.to_vec())
            } else {
                Message::text(str::from_utf8(crossing.payload).expect("text"))
            };
            assert_eq!(raw.receive(), expected, "{context}");
            let latest = broker.http().get("/topics/a.b");
            assert_eq!(
                (&*latest.headers["content-type"], &*latest.body),
                (crossing.content_type, crossing.payload),
                "{context}"
            );
        }
    }
}

/// The notifications of an event stream.
struct Events(HttpClient);

fn event_stream(broker: &TestBroker, topic: &str) -> Events {
    let mut client = broker.http();
    client.send(format!(
        "GET /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
    ));
    assert_eq!(client.response_head().status, 200);
    let mut events = Events(client);
    assert_eq!(events.next()["type"], "subscribed");
    events
}

impl Events {
    fn next(&mut self) -> Value {
        let mut data = String::new();
        loop {
            let mut line = String::new();
            self.0.stream().read_line(&mut line).expect("an event comes");
            match (line.trim_end(), line.strip_prefix("data: ")) {
                ("", _) => return serde_json::from_str(&data).expect("JSON"),
                (_, Some(more)) => data.push_str(more),
                _ => {}
            }
        }
    }
}

#[test]
fn what_is_no_command_is_told_so_and_costs_nothing_else() {
    let broker = TestBroker::start();
    let mut client = BinaryClient::connect(&broker);
    let cases: [(&[u8], ErrorCode); 9] = [
        (b"", ErrorCode::BadCommand),
        (b"\x01", ErrorCode::BadCommand),
        (b"\x7f\x00", ErrorCode::UnknownCommand),
        (b"\x04\x80", ErrorCode::BadCommand),
        (b"\x03\x00\xff", ErrorCode::BadCommand),
        (b"\x80\x01t\xff", ErrorCode::BadPayload),
        (b"\xa0\x01t{", ErrorCode::BadPayload),
        (b"\x80\x04a..b", ErrorCode::BadTopic),
        (b"\x02\x08\x01t\xff\xff\xff\xff\xff\xff\xff\xff\x01e", ErrorCode::BadSince),
    ];
    for (octets, code) in cases {
        client.client.send(octets.to_vec());
        let error = client.receive();
        assert_eq!(
            (&error["type"], &error["code"]),
            (&json!("error"), &json!(code.as_str())),
            "{octets:02x?}"
        );
    }
    client.client.send(r#"{"type":"ping"}"#);
    assert_eq!(client.receive()["code"], "text_unsupported");
    client.send(&json!({"type": "unsubscribe", "id": 7, "topic": "a.b"}));
    let error = client.receive();
    let expected = [json!(7), json!("unsubscribe"), json!("a.b"), json!("not_subscribed")];
    assert_eq!(["id", "command", "topic", "code"].map(|name| error[name].clone()), expected);
    client.send(&json!({"type": "ping"}));
    assert_eq!(client.receive(), json!({"type": "pong"}));
}

#[test]
fn the_first_subprotocol_that_is_spoken_is_chosen() {
    let broker = TestBroker::start();
    for (offered, chosen) in [
        ("fanwire.v1.binary, fanwire.v1.json", "fanwire.v1.binary"),
        ("chat, fanwire.v1.json, fanwire.v1.binary", "fanwire.v1.json"),
        ("fanwire.v2.binary, fanwire.v1.binary", "fanwire.v1.binary"),
    ] {
        let head = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let response = broker.http().request(handshake("/v1/ws", &head));
        assert_eq!(
            (response.status, &*response.headers["sec-websocket-protocol"]),
            (101, chosen),
            "{offered}"
        );
    }
    let refused = broker.http().request(handshake("/v1/ws", "Sec-WebSocket-Protocol: fanwire.v2.binary\r\n"));
    assert_eq!((refused.status, refused.code()), (400, "unknown_subprotocol".to_owned()));
    assert!(refused.text().contains("fanwire.v1.binary"), "{}", refused.text());
}
