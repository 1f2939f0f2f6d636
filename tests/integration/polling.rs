//! Polls: what a topic has since a position, by plain HTTP.

use fanwire::config::Config;
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
    client.request(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tag}\r\n\r\n"))
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
        for name in ["etag", "cache-control", "vary"] {
            assert_eq!(unchanged.headers.get(name), answer.headers.get(name), "{path}");
        }
        assert_eq!(position(&unchanged), position(&answer), "{path}");
        assert_eq!(conditional(&mut client, path, r#""another:1""#).status, 200, "{path}");
    }
}

#[test]
fn an_entity_tag_hides_nothing_that_was_not_told() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    for text in ["one", "two", "three"] {
        broker.post("a.b", text);
    }
    let epoch = broker.epoch();
    let list = format!(r#""{epoch}:1", "{epoch}:3""#);
    for tags in ["*", &list] {
        for wait in ["", "&wait=60s"] {
            let answer = conditional(&mut client, &format!("/topics/a.b?since={epoch}:1{wait}"), tags);
            assert_eq!(answer.status, 200, "{tags} {wait}");
            assert_eq!(told(&answer), messages(&["two", "three"]), "{tags} {wait}");
        }
        let nothing_new = conditional(&mut client, &format!("/topics/a.b?since={epoch}:3"), tags);
        assert_eq!(nothing_new.status, 304, "{tags}");
    }
    let other = format!(r#""{epoch}:1", "{epoch}:2""#);
    let unknown = conditional(&mut client, &format!("/topics/a.b?since={epoch}:3"), &other);
    assert_eq!(unknown.status, 204, "it has nothing that the topic has now");
}

#[test]
fn an_entity_tag_hides_no_message_that_was_waited_for() {
    let broker = keeping(10, 64 << 10);
    let list = format!(r#""{0}:1", "{0}:0""#, broker.epoch());
    let mut clients = ["*", &list].map(|tags| {
        let mut client = broker.http();
        client.send(format!(
            "GET /topics/a.b?wait=60s HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: {tags}\r\n\r\n"
        ));
        client
    });
    broker.wait_for_figure("fanwire_polls{", 2);
    broker.post("a.b", "one");
    for client in &mut clients {
        let answer = client.response();
        assert_eq!((answer.status, told(&answer)), (200, messages(&["one"])));
    }
}

#[test]
fn a_cache_may_keep_the_latest_message_and_has_to_ask_each_time() {
    let broker = keeping(10, 64 << 10);
    broker.post("a.b", "one");
    let latest = broker.http().get("/topics/a.b");
    assert_eq!((&*latest.headers["cache-control"], &*latest.headers["vary"]), ("no-cache", "Accept"));
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
            "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
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
    client.send("HEAD /topics/a.b?since=earliest HTTP/1.1\r\nHost: localhost\r\n\r\n");
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
        ("wait=30", "bad_query", "500ms"),
        ("since=earliest&wait=61s", "bad_query", "up to 1m"),
    ] {
        let answer = client.get(&format!("/topics/a.b?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, code), "{query}");
        assert!(answer.text().contains(says), "{query}: {}", answer.text());
    }
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Clients that have sent this, when all of their polls wait.
fn waiting(broker: &TestBroker, path: &str, count: u64) -> Vec<HttpClient> {
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = broker.http();
            client.send(request(path));
            client
        })
        .collect();
    broker.wait_for_figure("fanwire_polls{", count);
    clients
}

/// Keeps nothing, so that a topic that nobody waits at is forgotten.
fn keep_nothing(config: &mut Config) {
    with_history(config);
    let settings = &mut config.settings.topics[0].settings;
    (settings.history, settings.last_value) = (None, false);
}

#[test]
fn a_poll_that_waits_is_answered_by_the_next_message() {
    for configure in [with_history, keep_nothing] {
        let broker = TestBroker::start_with(configure);
        let mut clients = waiting(&broker, "/topics/a.b?wait=60s", 20);
        let offset = broker.post("a.b", "news").to_string();
        for client in &mut clients {
            let answer = client.response();
            assert_eq!((answer.status, told(&answer)), (200, messages(&["news"])));
            assert_eq!(answer.headers["fanwire-offset"], offset);
            assert!(!answer.headers.contains_key("fanwire-recovered"), "no position was asked for");
        }
        broker.wait_for_figure("fanwire_polls{", 0);
    }
}

#[test]
fn a_poll_does_not_wait_where_there_is_something_to_tell() {
    let broker = keeping(1, 64 << 10);
    let mut client = broker.http();
    let answer = client.get("/topics/a.b?since=another:3&wait=60s");
    assert_eq!((answer.status, &*answer.headers["fanwire-recovered"]), (204, "false"));
    broker.post("a.b", "one");
    assert_eq!(told(&client.get("/topics/a.b?last=1&wait=60s")), messages(&["one"]));
    assert_eq!(client.get(&format!("/topics/a.b?since={}:1&wait=0s", broker.epoch())).status, 204);
}

#[test]
fn a_poll_that_waits_in_vain_is_told_where_it_is() {
    let broker = keeping(10, 64 << 10);
    let mut client = broker.http();
    broker.post("a.b", "one");
    let answer = client.get("/topics/a.b?wait=200ms");
    assert_eq!((answer.status, position(&answer)), (204, format!("{}:1", broker.epoch())));
    let again = client.get(&format!("/topics/a.b?since={}&wait=200ms", position(&answer)));
    assert_eq!((again.status, &*again.headers["fanwire-recovered"]), (204, "true"));
    assert_eq!(conditional(&mut client, "/topics/a.b?wait=200ms", &answer.headers["etag"]).status, 304);
    broker.wait_for_figure("fanwire_polls{", 0);
}

#[test]
fn one_url_and_the_tag_of_the_last_answer_bring_each_message_once() {
    let broker = TestBroker::start_with(with_history);
    let publisher = std::thread::spawn({
        let mut client = broker.http();
        move || {
            for n in 0..300 {
                let (text, length) = (n.to_string(), n.to_string().len());
                let head = format!(
                    "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n"
                );
                assert_eq!(client.request(head + &text).status, 200);
            }
        }
    });
    let mut clients: Vec<_> =
        (0..3).map(|_| (broker.http(), format!("\"{}:0\"", broker.epoch()), Vec::new())).collect();
    while clients.iter().any(|(.., heard)| heard.len() < 300) {
        for (client, tag, heard) in clients.iter_mut().filter(|(.., heard)| heard.len() < 300) {
            let answer = conditional(client, "/topics/a.b?wait=60s", tag);
            answer.headers["etag"].clone_into(tag);
            heard.extend(told(&answer));
        }
    }
    let texts: Vec<_> = (0..300).map(|n: u32| n.to_string()).collect();
    let expected = messages(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(clients.into_iter().all(|(.., heard)| heard == expected));
    publisher.join().unwrap();
}

#[test]
fn clients_that_leave_while_they_wait_leave_nothing_behind() {
    let broker = TestBroker::start_with(keep_nothing);
    let clients = waiting(&broker, "/topics/a.b?wait=60s", 20);
    broker.wait_for_figure("fanwire_topics{", 1);
    drop(clients);
    broker.wait_for_figure("fanwire_polls{", 0);
    broker.wait_for_figure("fanwire_topics{", 0);
}

#[test]
fn a_client_that_ends_its_side_is_not_waited_with() {
    let broker = TestBroker::start();
    let mut clients = waiting(&broker, "/topics/a.b?wait=60s", 1);
    clients[0].half_close();
    assert_eq!(clients[0].response().status, 204);
    assert!(clients[0].rest().is_empty());

    let mut client = broker.http();
    client.send(request("/topics/a.b?wait=60s").repeat(3));
    client.half_close();
    (0..3).for_each(|_| assert_eq!(client.response().status, 204));
    assert!(client.rest().is_empty());
}

#[test]
fn requests_behind_a_poll_that_waits_are_answered_behind_it() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send(request("/healthz") + &request("/topics/a.b?wait=60s") + &request("/healthz").repeat(100));
    assert_eq!(client.response().text(), "ok\n");
    broker.wait_for_figure("fanwire_polls{", 1);
    broker.post("a.b", "news");
    assert_eq!(told(&client.response()), messages(&["news"]));
    (0..100).for_each(|_| assert_eq!(client.response().text(), "ok\n"));
}

#[test]
fn a_poll_may_wait_longer_than_a_request_may_take() {
    let broker = TestBroker::start_with(|config| {
        (config.timeouts.handshake_ms, config.timeouts.idle_http_ms) = (100, 100);
    });
    assert_eq!(broker.http().get("/topics/a.b?wait=1s").status, 204);
}

#[test]
fn polls_that_wait_are_answered_when_the_broker_stops() {
    let broker = TestBroker::start();
    let mut answered = waiting(&broker, "/topics/a.b?wait=60s", 5);
    broker.post("a.b", "news");
    broker.wait_for_figure("fanwire_polls{", 0);
    let mut waiting = waiting(&broker, "/topics/a.b?wait=60s", 5);
    broker.begin_stop();
    for client in &mut answered {
        assert_eq!(told(&client.response()), messages(&["news"]));
    }
    for client in &mut waiting {
        let answer = client.response();
        assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
        assert_eq!(answer.headers["connection"], "close");
        assert!(client.rest().is_empty());
    }
    drop((answered, waiting));
    broker.join();
}
