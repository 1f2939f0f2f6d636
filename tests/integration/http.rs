//! Plain HTTP: publish, the latest message, and what operators ask.

use crate::support::TestBroker;

fn post(topic: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_published_message_is_the_topics_latest_with_its_position_and_type() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    for (topic, content_type, body) in [
        ("a.text", "text/plain; charset=utf-8", "käse"),
        ("a.page", "text/html", "<p>"),
        ("a.json", "application/json", r#"{"bid":1.0831}"#),
        ("a.problem", "application/problem+json", "{}"),
        ("a.binary", "application/octet-stream", "\0\u{1}"),
        ("a.image", "image/png", "\u{89}PNG"),
    ] {
        let published = client.request(post(topic, content_type, body));
        assert_eq!(published.status, 200);
        assert_eq!(published.json()["epoch"], broker.epoch());

        let latest = client.get(&format!("/topics/{topic}"));
        assert_eq!(latest.status, 200);
        assert_eq!(latest.body, body.as_bytes());
        assert_eq!(latest.headers["content-type"], content_type);
        assert_eq!(latest.headers["fanwire-epoch"], broker.epoch());
        assert_eq!(latest.headers["fanwire-offset"], published.json()["offset"].to_string());
    }
}

#[test]
fn a_topic_name_may_be_percent_encoded() {
    let broker = TestBroker::start();
    let offset = broker.post("user%3A7", "hi");
    assert_eq!(broker.http().get("/topics/user:7").headers["fanwire-offset"], offset.to_string());
}

#[test]
fn a_topic_without_a_message_and_an_unknown_path_are_not_found() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    for path in ["/topics/nothing.here", "/nowhere", "/demo/chat", "/"] {
        let response = client.get(path);
        assert_eq!((response.status, response.code().as_str()), (404, "not_found"), "{path}");
    }
}

#[test]
fn head_is_answered_like_get_without_the_body() {
    let broker = TestBroker::start();
    broker.post("a.b", "hello");
    let mut client = broker.http();
    client.send("HEAD /topics/a.b HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = client.response_head();
    assert_eq!(head.status, 200);
    assert_eq!(head.headers["content-length"], "5");
    assert_eq!(client.get("/topics/a.b").text(), "hello", "the body of HEAD would stand in front");
}

#[test]
fn options_and_wrong_methods_name_what_is_allowed() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    let topic = "GET, HEAD, POST, OPTIONS";
    for (method, path, status, allow) in [
        ("OPTIONS", "/topics/a.b", 204, topic),
        ("OPTIONS", "*", 204, topic),
        ("OPTIONS", "/healthz", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS", "/v1/ws", 204, "GET, OPTIONS"),
        ("DELETE", "/topics/a.b", 405, topic),
        ("POST", "/metrics", 405, "GET, HEAD, OPTIONS"),
    ] {
        let response = client.request(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.headers["allow"], allow, "{method} {path}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    let mut requests = String::new();
    for n in 0..200 {
        requests.push_str(&post("a.b", "text/plain", &n.to_string()));
        requests
            .push_str("GET /topics/a.b HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    client.send(requests);
    for n in 0..200 {
        assert_eq!(client.response().status, 200);
        assert_eq!(client.response().text(), n.to_string());
        assert_eq!(client.response().text(), "ok\n");
    }
}

#[test]
fn a_chunked_body_is_published() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send(
        "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nfan\r\n",
    );
    assert_eq!(client.request("4\r\nwire\r\n0\r\n\r\n").status, 200);
    assert_eq!(client.get("/topics/a.b").text(), "fanwire");
}

#[test]
fn a_body_that_is_held_back_is_asked_for_once() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    client.send(
        "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.response().status, 100);
    client.send("bo");
    assert_eq!(client.request("dy").status, 200);
    assert_eq!(client.get("/topics/a.b").text(), "body");
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    let broker = TestBroker::start();
    for further in [
        "Content-Length: 1048577\r\nExpect: 100-continue\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n100001\r\n",
    ] {
        let mut client = broker.http();
        let response = client.request(format!("POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\n{further}"));
        assert_eq!((response.status, response.code().as_str()), (413, "message_too_big"));
        client.half_close();
        assert!(client.rest().is_empty());
    }
}

#[test]
fn a_large_body_survives_however_it_is_cut() {
    let broker = TestBroker::start();
    let body = "0123456789abcdef".repeat(65_536);
    broker.post("a.b", &body);
    assert!(broker.http().get("/topics/a.b").text() == body);
}

#[test]
fn an_old_client_that_ends_its_side_gets_its_answer_and_the_end() {
    let broker = TestBroker::start();
    broker.post("a.b", "hello");
    let mut client = broker.http();
    client.send("GET /topics/a.b HTTP/1.0\r\n\r\n");
    client.half_close();
    let response = client.response();
    assert_eq!((response.status, response.text()), (200, "hello"));
    assert_eq!(response.headers["connection"], "close");
    assert!(client.rest().is_empty());
}

#[test]
fn a_payload_that_is_not_of_its_kind_is_refused_and_the_connection_goes_on() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    let response = client.request(post("a.b", "application/json", "{\"bid\":"));
    assert_eq!((response.status, response.code().as_str()), (400, "bad_payload"));
    client.send(
        "POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n",
    );
    assert_eq!(client.request(b"\xff").status, 400);
    assert_eq!(client.get("/topics/a.b").status, 404);
}

#[test]
fn operators_see_health_readiness_and_counters() {
    let broker = TestBroker::start();
    let mut client = broker.http();
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get("/readyz").status, 200);
    let metrics = client.get("/metrics");
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("fanwire_connections{"), "{}", metrics.text());
}
