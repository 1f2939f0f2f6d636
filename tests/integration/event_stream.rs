//! Server-Sent Events: a topic over a connection that only the broker writes to.

use std::io::{BufRead, Write};

use fanwire::config::Config;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::topic::TopicOrPattern;
use serde_json::Value;

use crate::backpressure::flood;
use crate::raw::with_history;
use crate::support::{HttpClient, HttpResponse, TestBroker};

/// A client of an event stream, as far as the standard goes.
struct EventSource {
    client: HttpClient,
    head: HttpResponse,
    last_event_id: String,
}

impl EventSource {
    fn open(broker: &TestBroker, path: &str) -> Self {
        Self::open_with(broker, path, "")
    }

    fn open_with(broker: &TestBroker, path: &str, further: &str) -> Self {
        let mut client = broker.http();
        client.send(request(path, further));
        let head = client.response_head();
        assert_eq!(head.status, 200, "{head:?}");
        Self { client, head, last_event_id: String::new() }
    }

    /// The same client, on a new connection.
    fn reopen(&mut self, broker: &TestBroker, path: &str) {
        *self = Self::open_with(broker, path, &format!("Last-Event-ID: {}\r\n", self.last_event_id));
    }

    /// What stands up to the next empty line, which an octet stream that ends has not; none at the end.
    fn block(&mut self) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.client.stream().read_line(&mut line).expect("the stream goes on or ends, and is not reset");
            match line.as_str() {
                "" => {
                    assert!(lines.is_empty(), "an event that does not end: {lines:?}");
                    return None;
                }
                "\n" => return Some(lines),
                line => lines.push(line.strip_suffix('\n').expect("a whole line").to_owned()),
            }
        }
    }

    /// The data of the next event.
    fn next_text(&mut self) -> String {
        loop {
            let mut data = Vec::new();
            for line in self.block().expect("the stream goes on") {
                match line.split_once(": ") {
                    Some(("id", id)) => id.clone_into(&mut self.last_event_id),
                    Some(("data", text)) => data.push(text.to_owned()),
                    _ => assert!(line.starts_with(':'), "an unknown field: {line:?}"),
                }
            }
            if !data.is_empty() {
                return data.join("\n");
            }
        }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.next_text()).expect("JSON")
    }

    /// The comments up to the end.
    fn comments_to_the_end(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.block()).flatten().filter(|line| line.starts_with(':')).collect()
    }
}

fn request(path: &str, further: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{further}\r\n")
}

fn post(broker: &TestBroker, content_type: &str, body: &[u8]) {
    let mut client = broker.http();
    let length = body.len();
    client.send(format!(
        "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    ));
    assert_eq!(client.request(body).status, 200);
}

#[test]
fn a_stream_begins_with_the_receipt_and_brings_what_the_json_interface_does() {
    let broker = TestBroker::start();
    let mut source = EventSource::open(&broker, "/topics/a.b");
    let mut subscriber = broker.web_socket("/v1/ws");
    subscriber.receive_json();
    subscriber.send(r#"{"type":"subscribe","topic":"a.b"}"#);
    assert_eq!(source.next_text(), subscriber.receive_text());
    assert_eq!(source.last_event_id, format!("{}:0", broker.epoch()));
    for (name, value) in [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        ("x-accel-buffering", "no"),
        ("connection", "close"),
        ("fanwire-epoch", broker.epoch()),
        ("fanwire-offset", "0"),
    ] {
        assert_eq!(source.head.headers[name], value, "{name}");
    }
    assert!(!source.head.headers.contains_key("content-length"));

    post(&broker, "text/plain", "käse\r\n".as_bytes());
    post(&broker, "application/json", br#"{"bid":1.0831}"#);
    post(&broker, "application/json", br#""quoted""#);
    post(&broker, "image/png", b"\x89PNG\n");
    for offset in 1..=4 {
        assert_eq!(source.next_text(), subscriber.receive_text());
        assert_eq!(source.last_event_id, format!("{}:{offset}", broker.epoch()));
    }
}

#[test]
fn line_breaks_within_json_cannot_break_an_event() {
    let broker = TestBroker::start();
    let mut source = EventSource::open(&broker, "/topics/a.b");
    source.next();
    let bodies = ["{\"a\":\r1}", "{\"a\":\n1}", "{\"a\":\r\n1}", "{\r\r\n\"a\":1\n\n}", "{\"a\":1\n\r}\r\n"];
    for (offset, body) in (1..).zip(bodies) {
        post(&broker, "application/json", body.as_bytes());
        let event = source.next();
        assert_eq!((&event["offset"], &event["data"]["a"]), (&offset.into(), &1.into()), "{body:?}");
    }
    assert_eq!(source.last_event_id, format!("{}:5", broker.epoch()));
}

#[test]
fn a_client_that_comes_back_loses_and_doubles_nothing() {
    let broker = TestBroker::start_with(with_history);
    let path = format!("/topics/a.b?since={}:0", broker.epoch());
    let mut source = EventSource::open(&broker, &path);
    source.next();
    let mut published = 0;
    let mut heard = Vec::new();
    for _ in 0..10 {
        for _ in 0..7 {
            published += 1;
            broker.post("a.b", &published.to_string());
        }
        (0..3).for_each(|_| heard.push(source.next()));
        // Its query says where it began, and its header where it is.
        source.reopen(&broker, &path);
        assert_eq!(source.next()["recovered"], true);
    }
    while heard.len() < published {
        heard.push(source.next());
    }
    let texts: Vec<_> =
        heard.iter().map(|event| event["data"].as_str().unwrap().parse::<usize>().unwrap()).collect();
    assert!(texts.into_iter().eq(1..=published));
}

#[test]
fn the_query_says_where_a_stream_starts() {
    let broker = TestBroker::start_with(with_history);
    for text in ["one", "two", "three"] {
        broker.post("a.b", text);
    }
    let position = format!("since={}:1", broker.epoch());
    for (query, expected) in [
        ("since=earliest", &["one", "two", "three"][..]),
        (&position, &["two", "three"]),
        ("last=1", &["three"]),
    ] {
        let mut source = EventSource::open(&broker, &format!("/topics/a.b?{query}"));
        assert_eq!(source.next()["recovered"], true, "{query}");
        for text in expected {
            assert_eq!(source.next()["data"], *text, "{query}");
        }
    }
}

#[test]
fn what_is_no_longer_held_is_told_between_the_receipt_and_the_rest() {
    let broker = TestBroker::start_with(|config| {
        with_history(config);
        config.settings.topics[0].settings.history.as_mut().unwrap().messages = 2;
    });
    for text in ["one", "two", "three", "four"] {
        broker.post("a.b", text);
    }
    let mut source = EventSource::open(&broker, &format!("/topics/a.b?since={}:1", broker.epoch()));
    let receipt = source.next();
    assert_eq!((&receipt["offset"], &receipt["recovered"]), (&1.into(), &false.into()));
    assert_eq!(source.next_text(), r#"{"type":"gap","topic":"a.b","from":2,"to":2,"count":1}"#);
    assert_eq!(
        source.last_event_id,
        format!("{}:2", broker.epoch()),
        "a client that comes back is not told twice"
    );
    assert_eq!((&source.next()["data"], &source.next()["data"]), (&"three".into(), &"four".into()));
}

#[test]
fn a_client_of_another_run_is_told_so_and_gets_what_this_one_has() {
    let broker = TestBroker::start_with(with_history);
    broker.post("a.b", "one");
    let mut source = EventSource::open_with(&broker, "/topics/a.b", "Last-Event-ID: another:9\r\n");
    assert_eq!(source.next()["recovered"], false);
    assert_eq!(source.next()["data"], "one");
}

#[test]
fn a_slow_reader_is_told_exactly_what_it_did_not_get() {
    let broker = TestBroker::start();
    let mut slow = EventSource::open(&broker, "/topics/a.b");
    slow.next();
    let last_offset = flood(&broker, "a.b");
    let (mut expected, mut gaps) = (1, 0);
    while expected <= last_offset {
        let event = slow.next();
        let is_gap = event["type"] == "gap";
        let (from, to) = if is_gap { ("from", "to") } else { ("offset", "offset") };
        assert_eq!(event[from], expected, "every offset is delivered or told, in order");
        expected = event[to].as_u64().unwrap() + 1;
        assert_eq!(slow.last_event_id, format!("{}:{}", broker.epoch(), expected - 1));
        gaps += u64::from(is_gap);
    }
    assert!(gaps > 0, "the flood was no flood");
}

#[test]
fn a_slow_reader_of_a_topic_with_history_gets_everything() {
    let broker = TestBroker::start_with(|config| {
        with_history(config);
        config.settings.topics[0].settings.history.as_mut().unwrap().bytes = 128 << 20;
    });
    let mut slow = EventSource::open(&broker, "/topics/a.b");
    slow.next();
    let last_offset = flood(&broker, "a.b");
    for offset in 1..=last_offset {
        assert_eq!(slow.next()["offset"], offset);
    }
}

/// Lets nobody miss a message.
fn strict(config: &mut Config) {
    let settings = TopicSettings {
        history: None,
        last_value: false,
        overflow: OverflowPolicy::Disconnect,
        ..TopicSettings::default()
    };
    config.settings.topics.push(TopicRule { matches: TopicOrPattern::parse(">").unwrap(), settings });
}

#[test]
fn a_slow_reader_that_may_not_miss_anything_is_let_go_with_a_reason() {
    let broker = TestBroker::start_with(strict);
    let mut slow = EventSource::open(&broker, "/topics/a.b");
    flood(&broker, "a.b");
    let comments = slow.comments_to_the_end();
    assert!(comments.concat().starts_with(": too slow for a.b"), "{comments:?}");
}

#[test]
fn a_quiet_stream_has_a_heartbeat_and_stays() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 100);
    let mut source = EventSource::open(&broker, "/topics/a.b");
    source.next();
    for _ in 0..6 {
        assert_eq!(source.block(), Some(vec![":".to_owned()]));
    }
    broker.post("a.b", "alive");
    assert_eq!(source.next()["data"], "alive");
}

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 200);
    let _stuck = EventSource::open(&broker, "/topics/a.b");
    broker.wait_for_figure("fanwire_event_streams{", 1);
    flood(&broker, "a.b");
    broker.wait_for_figure("fanwire_event_streams{", 0);
    assert_eq!(broker.disconnects("ping_timeout"), 1);
}

#[test]
fn a_client_that_talks_and_takes_nothing_is_let_go() {
    let broker = TestBroker::start_with(|config| config.timeouts.ping_ms = 200);
    let mut stuck = EventSource::open(&broker, "/topics/a.b");
    broker.wait_for_figure("fanwire_event_streams{", 1);
    flood(&broker, "a.b");
    while broker.figure("fanwire_event_streams{") > 0 {
        // Until it is let go, when this is refused.
        _ = stuck.client.stream().get_mut().write_all(b"still here");
    }
    assert_eq!(broker.disconnects("ping_timeout"), 1);
}

#[test]
fn a_client_that_leaves_leaves_nothing_behind() {
    let broker = TestBroker::start_with(strict);
    let sources: Vec<_> = (0..20).map(|_| EventSource::open(&broker, "/topics/a.b")).collect();
    broker.wait_for_figure("fanwire_event_streams{", 20);
    drop(sources);
    for name in ["fanwire_event_streams{", "fanwire_subscriptions{", "fanwire_topics{"] {
        broker.wait_for_figure(name, 0);
    }
}

#[test]
fn what_a_client_sends_behind_its_request_is_thrown_away() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send(request("/topics/a.b", "") + "GET /healthz HTTP/1.1\r\n");
    let head = client.response_head();
    let mut source = EventSource { client, head, last_event_id: String::new() };
    source.next();
    for n in 0..100 {
        source.client.stream().get_mut().write_all(&[b'x'; 10_000]).unwrap();
        broker.post("a.b", &n.to_string());
        assert_eq!(source.next()["data"], n.to_string());
    }
}

#[test]
fn a_stream_ends_with_the_broker_behind_everything_that_was_published() {
    let broker = TestBroker::start();
    let mut source = EventSource::open(&broker, "/topics/a.b");
    source.next();
    for n in 0..100 {
        broker.post("a.b", &n.to_string());
    }
    broker.begin_stop();
    for n in 0..100 {
        assert_eq!(source.next()["data"], n.to_string());
    }
    let comments = source.comments_to_the_end();
    assert!(matches!(&*comments, [told] if told.starts_with(": retry_after_ms=")), "{comments:?}");
    drop(source);
    broker.join();
}

#[test]
fn a_start_that_makes_no_sense_is_refused() {
    let broker = TestBroker::start();
    let ahead = format!("Last-Event-ID: {}:9\r\n", broker.epoch());
    for (path, further, code, says) in [
        ("/topics/a.b?since=9", "", "bad_since", "since must be"),
        ("/topics/a.b", "Last-Event-ID: 9\r\n", "bad_since", "Last-Event-ID must be"),
        ("/topics/a.b", "Last-Event-ID: earliest\r\n", "bad_since", "Last-Event-ID must be"),
        ("/topics/a.b", ahead.as_str(), "bad_since", "not been published yet"),
        ("/topics/a.b?last=some", "", "bad_query", "last must be"),
        ("/topics/a..b", "", "bad_topic", "octet"),
    ] {
        let answer = broker.http().request(request(path, further));
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{path} {further}");
        assert!(answer.text().contains(says), "{path} {further}: {}", answer.text());
    }
}

#[test]
fn the_head_of_a_stream_can_be_asked_for_without_it() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send("HEAD /topics/a.b HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n");
    let head = client.response_head();
    assert_eq!((head.status, &*head.headers["content-type"]), (200, "text/event-stream"));
    assert_eq!(client.get("/healthz").text(), "ok\n");
    assert_eq!(broker.figure("fanwire_event_streams{"), 0);
}
