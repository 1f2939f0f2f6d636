//! Whichever way a client asks, it may do what its token says and nothing else.

use serde_json::{Value, json};

use super::{alice, ask, bearer, request, start, start_with};
use crate::support::{Client, HttpResponse, TestBroker, handshake};

/// A broker with a message on `open.a`, `open.b` and `closed`, and a token that may read and write below `open`.
struct Fixture {
    broker: TestBroker,
    token: String,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { broker: start(), token: alice(&["open.*"], &["open.*"]) };
        let admin = bearer(&alice(&[">"], &[">"]));
        for topic in ["open.a", "open.b", "closed"] {
            let path = format!("/topics/{topic}");
            assert_eq!(ask(&fixture.broker, request("POST", &path, &admin, "0")).status, 200);
        }
        fixture
    }

    fn ask(&self, method: &str, path: &str, further: &str, body: &str) -> HttpResponse {
        ask(&self.broker, request(method, path, &(bearer(&self.token) + further), body))
    }

    /// How many messages the topics have taken.
    fn published(&self) -> u64 {
        let admin = bearer(&alice(&[">"], &[]));
        let offset = |topic: &str| {
            let response = ask(&self.broker, request("GET", &format!("/topics/{topic}"), &admin, ""));
            response.headers["fanwire-offset"].parse::<u64>().unwrap()
        };
        ["open.a", "open.b", "closed"].into_iter().map(offset).sum()
    }

    fn commands(&self) -> Client {
        let mut client =
            self.broker.web_socket_with("/v1/ws", &[("Authorization", &format!("Bearer {}", self.token))]);
        assert_eq!(client.receive_json()["type"], "welcome");
        client
    }
}

fn assert_forbidden(response: &HttpResponse, message: &str) {
    assert_eq!((response.status, response.code().as_str()), (403, "forbidden"), "{response:?}");
    assert_eq!(response.json()["error"]["message"], message);
}

#[test]
fn reading_over_http_is_for_who_may_subscribe() {
    let fixture = Fixture::new();
    for query in ["", "?since=earliest", "?last=1", "?wait=1s", "?since=earliest&wait=1s"] {
        let response = fixture.ask("GET", &format!("/topics/closed{query}"), "", "");
        assert_forbidden(&response, "alice may not subscribe to closed");
    }
    for query in ["", "?since=earliest", "?last=1"] {
        assert_eq!(fixture.ask("GET", &format!("/topics/open.a{query}"), "", "").status, 200, "{query}");
    }
}

#[test]
fn an_event_stream_is_for_who_may_subscribe() {
    let fixture = Fixture::new();
    let response = fixture.ask("GET", "/topics/closed", "Accept: text/event-stream\r\n", "");
    assert_forbidden(&response, "alice may not subscribe to closed");
    let mut client = fixture.broker.http();
    let further = bearer(&fixture.token) + "Accept: text/event-stream\r\n";
    client.send(request("GET", "/topics/open.a", &further, ""));
    let head = client.response_head();
    assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
}

#[test]
fn publishing_over_http_is_for_who_may_publish() {
    let fixture = Fixture::new();
    let before = fixture.published();
    let response = fixture.ask("POST", "/topics/closed", "", "x");
    assert_forbidden(&response, "alice may not publish to closed");
    assert_eq!(fixture.published(), before);
    assert_eq!(fixture.ask("POST", "/topics/open.a", "", "x").status, 200);
}

#[test]
fn each_message_of_a_batch_over_http_is_looked_at() {
    let fixture = Fixture::new();
    let messages: Vec<_> = ["open.a", "closed", "open.b"].map(|topic| json!({"topic":topic,"data":1})).into();
    let before = fixture.published();
    let response = fixture.ask("POST", "/v1/publish", "", &json!({"messages":messages}).to_string());
    let codes: Vec<Value> =
        response.json()["results"].as_array().unwrap().iter().map(|result| result["code"].clone()).collect();
    assert_eq!(codes, [Value::Null, "forbidden".into(), Value::Null]);
    assert_eq!(fixture.published(), before + 2);
}

#[test]
fn a_raw_connection_is_for_who_may_subscribe_and_closed_when_it_publishes_and_may_not() {
    let mut fixture = Fixture::new();
    let response = ask(&fixture.broker, handshake("/topics/closed", &bearer(&fixture.token)));
    assert_forbidden(&response, "alice may not subscribe to closed");
    fixture.token = alice(&["closed"], &["open.*"]);
    let authorization = format!("Bearer {}", fixture.token);
    let mut client = fixture.broker.web_socket_with("/topics/closed", &[("Authorization", &authorization)]);
    let before = fixture.published();
    client.send("not for everybody");
    let close = client.receive_close();
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1008, "forbidden"));
    assert_eq!(fixture.published(), before);
}

#[test]
fn a_command_is_for_who_may_give_it() {
    let fixture = Fixture::new();
    let mut client = fixture.commands();
    for (command, message) in [
        (json!({"type":"subscribe","topic":"closed"}), "alice may not subscribe to closed"),
        (json!({"type":"subscribe","topic":">"}), "alice may not subscribe to >"),
        (json!({"type":"subscribe","topic":"open.>"}), "alice may not subscribe to open.>"),
        (json!({"type":"subscribe","topics":[{"topic":"closed"}]}), "alice may not subscribe to closed"),
        (
            json!({"type":"subscribe","topic":"closed","since":"earliest"}),
            "alice may not subscribe to closed",
        ),
        (json!({"type":"subscribe","topic":"closed","snapshot":true}), "alice may not subscribe to closed"),
        (json!({"type":"recover","topic":"closed","since":"earliest"}), "alice may not subscribe to closed"),
        (json!({"type":"publish","topic":"closed","data":1}), "alice may not publish to closed"),
    ] {
        client.send(command.to_string());
        let told = client.receive_json();
        assert_eq!((&told["code"], &told["message"]), (&json!("forbidden"), &json!(message)), "{command}");
    }
    client.send(json!({"type":"subscribe","topic":"open.*"}).to_string());
    assert_eq!(client.receive_json()["type"], "subscribed");
    client.send(json!({"type":"publish","topic":"open.c","data":1}).to_string());
    assert_eq!(client.receive_json()["topic"], "open.c");
}

#[test]
fn what_an_anonymous_client_may_is_the_operators_to_say() {
    let grants =
        |text: &str| [fanwire_wire::topic::TopicOrPattern::parse(text).unwrap()].into_iter().collect();
    let broker = start_with(|config| {
        config.auth.anonymous = Some(fanwire_broker::Permissions {
            subscribe: grants("open.*"),
            ..fanwire_broker::Permissions::default()
        });
    });
    assert_eq!(ask(&broker, request("GET", "/topics/open.a", "", "")).status, 404);
    let refused = ask(&broker, request("GET", "/topics/closed", "", ""));
    assert_forbidden(&refused, "an anonymous client may not subscribe to closed");
    let refused = ask(&broker, request("POST", "/topics/open.a", "", "x"));
    assert_forbidden(&refused, "an anonymous client may not publish to open.a");
    let mut client = broker.web_socket("/v1/ws");
    assert_eq!(client.receive_json()["type"], "welcome");
    client.send(json!({"type":"subscribe","topic":">"}).to_string());
    assert_eq!(client.receive_json()["code"], "forbidden");
}

#[test]
fn each_request_of_a_connection_speaks_for_itself() {
    let fixture = Fixture::new();
    let mut client = fixture.broker.http();
    let mut get = |path: &str, token: &str| client.request(request("GET", path, token, "")).status;
    let admin = bearer(&alice(&["closed"], &[]));
    assert_eq!(get("/topics/closed", &admin), 200);
    assert_eq!(get("/topics/closed", ""), 401, "the connection is nobody's");
    assert_eq!(get("/topics/closed", &bearer(&fixture.token)), 403);
    assert_eq!(get("/topics/closed", &admin), 200);
}

#[test]
fn requests_that_come_together_are_each_their_own() {
    let fixture = Fixture::new();
    let mut client = fixture.broker.http();
    let admin = bearer(&alice(&["closed"], &[]));
    let [own, strange] = [admin.as_str(), ""].map(|further| request("GET", "/topics/closed", further, ""));
    client.send([own.as_str(), &strange, &own, &strange].concat());
    let statuses: Vec<_> = (0..4).map(|_| client.response().status).collect();
    assert_eq!(statuses, [200, 401, 200, 401]);
}

#[test]
fn a_token_that_does_not_hold_is_the_last_of_its_connection() {
    let fixture = Fixture::new();
    let mut client = fixture.broker.http();
    let forged = format!("{}A", fixture.token);
    let [good, bad] =
        [&fixture.token, &forged].map(|token| request("GET", "/topics/open.a", &bearer(token), ""));
    client.send([good.as_str(), &bad, &bad, &good].concat());
    assert_eq!(client.response().status, 200);
    let refused = client.response();
    assert_eq!((refused.status, refused.headers["connection"].as_str()), (401, "close"));
    assert!(client.rest().is_empty(), "who tries one after the other opens a connection for each");
}

#[test]
fn no_way_to_write_a_path_reaches_a_topic_that_is_not_granted() {
    let fixture = Fixture::new();
    for path in [
        "/topics/open.a/../closed",
        "/topics/open.a%2f..%2fclosed",
        "/topics/%2e%2e/closed",
        "/topics//closed",
        "/topics/./closed",
        "/topics/open.a;/closed",
        "/topics/closed%00open.a",
        "/topics/closed%2500",
        "/topics/closed%0d%0aX:%20y",
        "/topics/open.*",
        "/topics/%3e",
        "/topics/*",
        "/topics/open.a%2cclosed",
        "/TOPICS/closed",
        "//topics/closed",
        "/v1/../topics/closed",
        "/healthz/../topics/closed",
        "/healthz%2f..%2ftopics%2fclosed",
        "/topics/clo%25sed",
        "/topics/closed%c0%ae",
        "/topics/clos\u{e9}d",
    ] {
        for method in ["GET", "POST"] {
            let response = fixture.ask(method, path, "", "x");
            assert!([400, 404].contains(&response.status), "{method} {path}: {response:?}");
        }
    }
    for path in [
        "/topics/%63losed",
        "/topics/%63%6C%6f%73%65%64",
        "http://open.a/topics/closed",
        "/topics/closed?x=/topics/open.a",
    ] {
        let response = fixture.ask("GET", path, "", "");
        assert_forbidden(&response, "alice may not subscribe to closed");
    }
    assert_eq!(
        fixture.ask("GET", "/topics/open%2Ea", "", "").status,
        200,
        "an escape is the character it stands for"
    );
}
