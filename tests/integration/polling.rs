//! Polls: what a topic has since a position, by plain HTTP.

use serde_json::Value;

use crate::raw::with_history;
use crate::support::{HttpClient, HttpResponse, TestBroker};

/// A broker that keeps the last so many messages of each topic, and reads them in pieces of so many bytes.
fn keeping(messages: usize, chunk_bytes: usize) -> TestBroker {
    TestBroker::start_with(|config| {
        with_history(config);
        config.settings.topics[0].settings.history.as_mut().unwrap().messages = messages;
        config.settings.chunk_bytes = chunk_bytes;
    })
}

/// The position to ask from next.
fn position(response: &HttpResponse) -> String {
    format!("{}:{}", response.headers["fanwire-epoch"], response.headers["fanwire-offset"])
}

/// The notifications of an answer: what each is of, and its payload or the end of the gap.
fn told(response: &HttpResponse) -> Vec<(String, Value)> {
    let notifications = response.json();
    let notifications = notifications.as_array().expect("an array");
    notifications
        .iter()
        .map(|it| {
            let kind = it["type"].as_str().unwrap().to_owned();
            let what = if kind == "gap" { it["to"].clone() } else { it["data"].clone() };
            (kind, what)
        })
        .collect()
}

fn messages(texts: &[&str]) -> Vec<(String, Value)> {
    texts.iter().map(|text| ("message".to_owned(), (*text).into())).collect()
}

/// A poll of a client that has this entity tag.
fn conditional(client: &mut HttpClient, path: &str, tag: &str) -> HttpResponse {
    client.request(format!("GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n"))
}

#[test]
fn a_poll_brings_what_follows_the_position_as_the_json_interface_does() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    broker.post("a.b", "one");
    let since = position(&client.get("/topics/a.b"));
    broker.post("a.b", "two");
    broker.post("a.b", "three");
    let answer = client.get(&format!("/topics/a.b?since={since}"));
    assert_eq!((answer.status, &*answer.headers["content-type"]), (200, "application/json"));
    assert_eq!(told(&answer), messages(&["two", "three"]));
    assert_eq!(answer.headers["fanwire-recovered"], "true");
    assert_eq!(answer.headers["cache-control"], "no-store");

    let mut subscriber = broker.web_socket("/v1/ws");
    subscriber.receive_json();
    subscriber.send(r#"{"type":"subscribe","topic":"a.b","since":"earliest"}"#);
    subscriber.receive_json();
    subscriber.receive_json();
    let array = answer.json();
    assert_eq!([subscriber.receive_json(), subscriber.receive_json()], array.as_array().unwrap()[..]);
}

#[test]
fn nothing_new_is_204_with_the_position() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    let unknown = client.get("/topics/never.published?since=earliest");
    assert_eq!((unknown.status, unknown.headers["fanwire-offset"].as_str()), (204, "0"));
    assert!(!unknown.headers.contains_key("content-length"), "{unknown:?}");

    broker.post("a.b", "one");
    let first = client.get("/topics/a.b?since=earliest");
    let again = client.get(&format!("/topics/a.b?since={}", position(&first)));
    assert_eq!((again.status, position(&again)), (204, position(&first)));
    assert_eq!(again.headers["etag"], format!("\"{}\"", position(&first)));
}

#[test]
fn a_poll_makes_no_topic() {
    let broker = TestBroker::start_with(|config| config.settings.max_topics = 2);
    let mut client = broker.http();
    for n in 0..20 {
        assert_eq!(client.get(&format!("/topics/no.n{n}?since=earliest")).status, 204);
    }
    assert_eq!(broker.figure("fanwire_topics{"), 0);
}

#[test]
fn an_entity_tag_that_still_holds_is_304() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    broker.post("a.b", "one");
    for path in ["/topics/a.b", "/topics/a.b?since=earliest", "/topics/a.b?last=1"] {
        let answer = client.get(path);
        let tag = &answer.headers["etag"];
        let unchanged = conditional(&mut client, path, tag);
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0), "{path}");
        assert_eq!(position(&unchanged), position(&answer), "{path}");
        assert_eq!(conditional(&mut client, path, r#""another:1""#).status, 200, "{path}");
    }
}

#[test]
fn one_url_with_the_tag_of_the_last_answer_brings_each_message_once() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    broker.post("a.b", "one");
    let mut tag = client.get("/topics/a.b?since=earliest").headers["etag"].clone();
    for text in ["two", "three"] {
        broker.post("a.b", text);
        let answer = conditional(&mut client, "/topics/a.b?since=earliest", &tag);
        assert_eq!(told(&answer), messages(&[text]));
        tag = answer.headers["etag"].clone();
    }
    assert_eq!(conditional(&mut client, "/topics/a.b", &tag).status, 304, "the latest message has the same");
}

#[test]
fn what_is_no_longer_held_is_told_as_a_gap_in_front() {
    let broker = keeping(2, 64 << 10);
    for text in ["one", "two", "three", "four"] {
        broker.post("a.b", text);
    }
    let answer = broker.http().get(&format!("/topics/a.b?since={}:0", broker.epoch()));
    assert_eq!(answer.headers["fanwire-recovered"], "false");
    let gap = &answer.json()[0];
    assert_eq!((&gap["from"], &gap["to"], &gap["count"]), (&1.into(), &2.into(), &2.into()));
    assert_eq!(told(&answer)[1..], messages(&["three", "four"]));
}

#[test]
fn a_gap_with_nothing_behind_it_is_told_and_gone_past() {
    let broker = TestBroker::start_with(|config| {
        with_history(config);
        let settings = &mut config.settings.topics[0].settings;
        settings.last_value = false;
        settings.history.as_mut().unwrap().max_age_ms = Some(100);
    });
    broker.post("a.b", "one");
    let mut client = broker.http();
    let answer = loop {
        let answer = client.get(&format!("/topics/a.b?since={}:0", broker.epoch()));
        if told(&answer)[0].0 == "gap" {
            break answer;
        }
    };
    assert_eq!(told(&answer), [("gap".to_owned(), 1.into())]);
    assert_eq!(client.get(&format!("/topics/a.b?since={}", position(&answer))).status, 204);
}

#[test]
fn polls_in_small_pieces_lose_and_double_nothing() {
    let broker = keeping(1_000, 700);
    let texts: Vec<_> = (0..50).map(|n| n.to_string()).collect();
    for text in &texts {
        broker.post("a.b", text);
    }
    let mut client = broker.http();
    let (mut heard, mut path) = (Vec::new(), "/topics/a.b?since=earliest".to_owned());
    loop {
        let answer = client.get(&path);
        if answer.status == 204 {
            break;
        }
        assert!(told(&answer).len() < 10, "a piece is small");
        heard.extend(told(&answer));
        path = format!("/topics/a.b?since={}", position(&answer));
    }
    assert_eq!(heard, messages(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn the_last_messages_can_be_asked_for() {
    let broker = keeping(10, 64 << 10);
    for text in ["one", "two", "three"] {
        broker.post("a.b", text);
    }
    assert_eq!(told(&broker.http().get("/topics/a.b?last=2")), messages(&["two", "three"]));
}

#[test]
fn a_position_of_another_run_brings_all_that_this_one_has_and_says_so() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    let empty = client.get("/topics/a.b?since=another:9");
    assert_eq!((empty.status, empty.headers["fanwire-recovered"].as_str()), (204, "false"));
    assert_eq!(position(&empty), format!("{}:0", broker.epoch()));
    broker.post("a.b", "one");
    let answer = client.get("/topics/a.b?since=another:9");
    assert_eq!(told(&answer), messages(&["one"]));
    assert_eq!(answer.headers["fanwire-recovered"], "false");
}

#[test]
fn every_kind_of_payload_is_told_without_a_loss() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    for (content_type, body) in [
        ("text/plain", "\"käse\"\n"),
        ("application/json", "{ \"bid\" :\r\n1.0 }"),
        ("image/png", "\u{89}PNG"),
    ] {
        let length = body.len();
        client.request(format!(
            "POST /topics/a.b HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
    }
    let answer = client.get("/topics/a.b?since=earliest");
    assert!(answer.text().contains("\"data\":{ \"bid\" :\r\n1.0 }"), "JSON as it is: {}", answer.text());
    let notifications = answer.json();
    assert_eq!(notifications[0]["data"], "\"käse\"\n");
    assert_eq!(
        (&notifications[2]["encoding"], &notifications[2]["data"]),
        (&"base64".into(), &"wolQTkc=".into())
    );
}

#[test]
fn a_head_of_a_poll_is_its_answer_without_the_messages() {
    let broker = keeping(10, 64 << 10);
    let offset = broker.post("a.b", "one");
    let mut client = broker.http();
    client.send("HEAD /topics/a.b?since=earliest HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = client.response_head();
    assert_eq!((head.status, &head.headers["fanwire-offset"]), (200, &offset.to_string()));
    assert_eq!(client.get("/healthz").text(), "ok\n", "a body of HEAD would stand in front");
}

#[test]
fn a_poll_that_makes_no_sense_is_refused_with_what_to_do() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    let ahead = format!("since={}:9", broker.epoch());
    for (query, code, says) in [
        ("since=9", "bad_since", "EPOCH:OFFSET"),
        ("since=", "bad_since", "EPOCH:OFFSET"),
        (&*ahead, "bad_since", "not been published yet"),
        ("last=some", "bad_query", "last"),
        ("last=1&since=earliest", "bad_query", "use one"),
        ("since=%", "bad_request", "hexadecimal"),
    ] {
        let answer = client.get(&format!("/topics/a.b?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
        assert!(answer.text().contains(says), "{query}: {}", answer.text());
    }
}
