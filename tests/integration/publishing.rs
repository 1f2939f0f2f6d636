//! Publishing on conditions, in batches and together, over real sockets: what the wire and the broker do of it, joined by the
//! server.

use fanwire::config::Config;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::topic::TopicOrPattern;
use serde_json::{Value, json};

use crate::binary::BinaryClient;
use crate::support::{Client, HttpClient, HttpResponse, TestBroker};

/// Topics under `known.` and `game.` know message ids for longer than a test takes; those under `game.` are together.
fn configure(config: &mut Config) {
    let rule = |matches, atomic| TopicRule {
        matches: TopicOrPattern::parse(matches).unwrap(),
        settings: TopicSettings {
            message_ids: Some(MessageIdLimits { max: 1_000, max_age_ms: 24 * 60 * 60 * 1000 }),
            atomic,
            ..TopicSettings::default()
        },
    };
    config.settings.topics.extend([rule("known.>", false), rule("game.>", true)]);
}

fn broker() -> TestBroker {
    TestBroker::start_with(configure)
}

fn json_client(broker: &TestBroker) -> Client {
    let mut client = broker.web_socket("/v1/ws");
    assert_eq!(client.receive_json()["type"], "welcome");
    client
}

fn ask(client: &mut Client, command: &Value) -> Value {
    client.send(command.to_string());
    client.receive_json()
}

fn post(client: &mut HttpClient, path: &str, fields: &str, body: &str) -> HttpResponse {
    let length = body.len();
    client.request(format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n{fields}\r\n{body}"
    ))
}

/// The results of a batch as offsets and codes.
fn outcomes(receipt: &Value) -> Vec<Value> {
    let results = receipt["results"].as_array().unwrap_or_else(|| panic!("no results: {receipt}"));
    let outcome = |result: &Value| result.get("offset").or(result.get("code")).unwrap().clone();
    results.iter().map(outcome).collect()
}

#[test]
fn a_repeat_is_the_first_message_whatever_interface_it_comes_through() {
    let broker = broker();
    let publish = json!({"type": "publish", "id": 1, "topic": "known.a", "message_id": "m-1", "data": 1});
    let mut json = json_client(&broker);
    assert_eq!(ask(&mut json, &publish)["offset"], 1);
    assert_eq!(ask(&mut json, &publish)["offset"], 1);
    let mut binary = BinaryClient::connect(&broker);
    binary.send(&publish);
    assert_eq!(binary.receive()["offset"], 1);
    let mut http = broker.http();
    let repeated = post(&mut http, "/topics/known.a", "Fanwire-Message-Id: m-1\r\n", "1");
    assert_eq!((repeated.status, &repeated.json()["offset"]), (200, &json!(1)));
    let message = json!({"topic": "known.a", "message_id": "m-1", "data": 1});
    let batch = json!({"messages": [message, {"topic": "known.a", "data": 2}, message]}).to_string();
    let answer = post(&mut http, "/v1/publish", "", &batch);
    assert_eq!(outcomes(&answer.json()), [1, 2, 1]);
    assert_eq!(http.get("/topics/known.a").headers["fanwire-offset"], "2");
}

#[test]
fn of_two_that_follow_the_same_message_one_is_told_to_look_again() {
    let broker = broker();
    let expect = |offset: u64| json!({"epoch": broker.epoch(), "offset": offset});
    let follow =
        |offset| json!({"type": "publish", "id": 1, "topic": "a", "data": 1, "expect": expect(offset)});
    let mut json = json_client(&broker);
    assert_eq!(ask(&mut json, &follow(0))["offset"], 1);
    let refused = ask(&mut json, &follow(0));
    assert_eq!((&refused["code"], &refused["command"]), (&json!("moved_on"), &json!("publish")));
    let mut binary = BinaryClient::connect(&broker);
    binary.send(&follow(0));
    assert_eq!(binary.receive()["code"], "moved_on");
    let mut http = broker.http();
    let late = post(&mut http, "/topics/a", &format!("Fanwire-Expect: {}:0\r\n", broker.epoch()), "2");
    assert_eq!((late.status, late.code().as_str()), (412, "moved_on"));
    let next = post(&mut http, "/topics/a", &format!("Fanwire-Expect: {}:1\r\n", broker.epoch()), "2");
    assert_eq!((next.status, &next.json()["offset"]), (200, &json!(2)));
}

#[test]
fn the_position_of_a_topic_without_a_message_can_be_asked_for_and_expected() {
    let broker = broker();
    let mut http = broker.http();
    let nothing = http.get("/topics/untouched");
    assert_eq!(nothing.status, 404);
    let position = format!("{}:{}", nothing.headers["fanwire-epoch"], nothing.headers["fanwire-offset"]);
    let expect = format!("Fanwire-Expect: {position}\r\n");
    assert_eq!(post(&mut http, "/topics/untouched", &expect, "first").status, 200);
    assert_eq!(post(&mut http, "/topics/untouched", &expect, "second").status, 412);
}

#[test]
fn a_key_over_http_is_the_messages() {
    let broker = broker();
    let mut json = json_client(&broker);
    assert_eq!(ask(&mut json, &json!({"type": "subscribe", "topic": "a"}))["type"], "subscribed");
    assert_eq!(post(&mut broker.http(), "/topics/a", "Fanwire-Key: player 1, käse\r\n", "x").status, 200);
    assert_eq!(json.receive_json()["key"], "player 1, käse");
}

#[test]
fn a_batch_over_all_cores_is_answered_once_in_its_order() {
    let broker = broker();
    let topic = |n: usize| format!("spread.n{n}");
    let mut messages: Vec<Value> = (0..50).map(|n| json!({"topic": topic(n), "data": n})).collect();
    messages.push(json!({"topic": "not a topic", "data": 0}));
    messages.extend((0..50).map(|n| json!({"topic": topic(n), "data": n})));
    let mut json = json_client(&broker);
    let receipt = ask(&mut json, &json!({"type": "publish_batch", "id": "b", "messages": messages}));
    assert_eq!((&receipt["type"], &receipt["id"]), (&json!("published_batch"), &json!("b")));
    assert_eq!(receipt["epoch"], broker.epoch());
    let each = |offset: u64| vec![json!(offset); 50];
    assert_eq!(outcomes(&receipt), [each(1), vec![json!("bad_topic")], each(2)].concat());

    messages.remove(50);
    let mut binary = BinaryClient::connect(&broker);
    binary.send(&json!({"type": "publish_batch", "id": 7, "messages": messages}));
    assert_eq!(outcomes(&binary.receive()), [each(3), each(4)].concat());

    let mut http = broker.http();
    let answer = post(&mut http, "/v1/publish", "", &json!({"messages": messages}).to_string());
    assert_eq!((answer.status, &answer.json()["epoch"]), (200, &json!(broker.epoch())));
    assert_eq!(outcomes(&answer.json()), [each(5), each(6)].concat());
}

#[test]
fn an_atomic_batch_is_published_whole_or_not_at_all() {
    let broker = broker();
    let mut json = json_client(&broker);
    let batch = |messages: Value| json!({"type": "publish_batch", "atomic": true, "messages": messages});
    let moves = json!([{"topic": "game.a", "data": 1}, {"topic": "game.b", "data": 2}]);
    assert_eq!(outcomes(&ask(&mut json, &batch(moves.clone()))), [1, 1]);
    let stale = json!([
        {"topic": "game.a", "data": 3},
        {"topic": "game.b", "data": 4, "expect": {"epoch": broker.epoch(), "offset": 0}},
    ]);
    assert_eq!(outcomes(&ask(&mut json, &batch(stale.clone()))), ["aborted", "moved_on"]);
    let mut http = broker.http();
    let refused = post(&mut http, "/v1/publish", "", &batch(stale).to_string());
    assert_eq!((refused.status, outcomes(&refused.json())), (200, vec![json!("aborted"), json!("moved_on")]));
    assert_eq!(outcomes(&post(&mut http, "/v1/publish", "", &batch(moves).to_string()).json()), [2, 2]);
    assert_eq!(http.get("/topics/game.b").text(), "2");
}

#[test]
fn a_subscriber_gets_an_atomic_batch_with_nothing_between_its_messages() {
    let broker = broker();
    let mut follower = json_client(&broker);
    follower.send(json!({"type": "subscribe", "topic": "game.>"}).to_string());
    assert_eq!(follower.receive_json()["type"], "subscribed");
    let topics: Vec<String> = (0..10).map(|n| format!("game.n{n}")).collect();
    let messages: Vec<Value> = topics.iter().map(|topic| json!({"topic": topic, "data": 0})).collect();
    let batch = json!({"type": "publish_batch", "atomic": true, "messages": messages}).to_string();
    let mut publishers = [json_client(&broker), json_client(&broker), json_client(&broker)];
    for publisher in &mut publishers {
        (0..20).for_each(|_| publisher.send(batch.clone()));
    }
    let mut heard = Vec::new();
    while heard.len() < 3 * 20 * topics.len() {
        let message = follower.receive_json();
        heard.extend(message["topic"].as_str().map(str::to_owned));
    }
    assert!(heard.chunks(topics.len()).all(|tick| tick == topics), "batches are mixed");
}

/// What is wrong with these, and the connection lives.
#[test]
fn a_publish_that_is_wrong_is_told_what_is_wrong_and_the_connection_lives() {
    let broker = broker();
    let long = "k".repeat(129);
    let many: Vec<Value> = (0..1_001).map(|_| json!({"topic": "a", "data": 0})).collect();
    let mut json = json_client(&broker);
    let mut binary = BinaryClient::connect(&broker);
    let publish = |field: &str, value: Value| {
        let mut command = json!({"type": "publish", "id": 1, "topic": "a", "data": 0});
        command[field] = value;
        command
    };
    for (command, code) in [
        (publish("key", json!(long)), "bad_command"),
        (publish("message_id", json!(long)), "bad_command"),
        (publish("message_id", json!("")), "bad_command"),
        (publish("expect", json!("earliest")), "bad_command"),
        (publish("expect", json!({"epoch": "e", "offset": -1})), "bad_command"),
        (json!({"type": "publish_batch", "id": 1, "messages": []}), "bad_command"),
        (json!({"type": "publish_batch", "id": 1}), "bad_command"),
        (json!({"type": "publish_batch", "id": 1, "messages": many}), "batch_too_large"),
    ] {
        let refused = ask(&mut json, &command);
        assert_eq!((&refused["id"], &refused["code"]), (&json!(1), &json!(code)), "{command}");
        assert!(refused["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    let apart = json!({"type": "publish_batch", "id": 1, "atomic": true, "messages": [
        {"topic": "game.a", "data": 0}, {"topic": "known.a", "data": 0},
    ]});
    assert_eq!(ask(&mut json, &apart)["code"], "not_together");
    binary.send(&apart);
    assert_eq!(binary.receive()["code"], "not_together");
    assert_eq!(ask(&mut json, &json!({"type": "ping"}))["type"], "pong");
    binary.send(&json!({"type": "ping"}));
    assert_eq!(binary.receive()["type"], "pong");

    let mut http = broker.http();
    for (fields, code) in [
        (format!("Fanwire-Key: {long}\r\n"), "bad_command"),
        ("Fanwire-Key: \r\n".to_owned(), "bad_command"),
        ("Fanwire-Key: a\r\nfanwire-key: b\r\n".to_owned(), "bad_command"),
        (format!("Fanwire-Message-Id: {long}\r\n"), "bad_command"),
        ("Fanwire-Expect: 41\r\n".to_owned(), "bad_command"),
        (format!("Fanwire-Expect: {}:x\r\n", broker.epoch()), "bad_command"),
    ] {
        let refused = post(&mut http, "/topics/a", &fields, "the body comes all the same");
        assert_eq!((refused.status, refused.code().as_str()), (400, code), "{fields}");
    }
    for (body, status, code) in [
        ("nope".to_owned(), 400, "bad_json"),
        ("[]".to_owned(), 400, "bad_command"),
        ("{}".to_owned(), 400, "bad_command"),
        (json!({"messages": {}}).to_string(), 400, "bad_command"),
        (json!({"messages": many}).to_string(), 413, "batch_too_large"),
        (apart.to_string(), 400, "not_together"),
    ] {
        let refused = post(&mut http, "/v1/publish", "", &body);
        assert_eq!((refused.status, refused.code().as_str()), (status, code), "{body:.40}");
    }
    assert_eq!(post(&mut http, "/topics/a", "", "x").json()["offset"], 1, "nothing was published before");
}

#[test]
fn a_batch_is_not_named_as_a_message_is() {
    let broker = broker();
    let body = json!({"messages": [{"topic": "known.a", "data": 1}]}).to_string();
    let mut http = broker.http();
    for field in ["Fanwire-Key: a", "Fanwire-Message-Id: m-1", "Fanwire-Expect: e:1"] {
        let refused = post(&mut http, "/v1/publish", &format!("{field}\r\n"), &body);
        assert_eq!((refused.status, refused.code().as_str()), (400, "bad_command"), "{field}");
    }
    assert_eq!(
        outcomes(&post(&mut http, "/v1/publish", "", &body).json()),
        [1],
        "nothing was published before"
    );
}

#[test]
fn a_code_comes_with_the_same_sentence_over_http_and_web_socket() {
    let broker = broker();
    let messages = json!([{"topic": "game.a", "data": 1}, {"topic": "known.a", "data": 1}]);
    let batch = json!({"type": "publish_batch", "atomic": true, "messages": messages});
    let expecting =
        json!({"type": "publish", "topic": "known.a", "data": 1, "expect": {"epoch": "e", "offset": 1}});
    let (mut json, mut http) = (json_client(&broker), broker.http());
    for (command, path, field) in
        [(batch, "/v1/publish", ""), (expecting, "/topics/known.a", "Fanwire-Expect: e:1\r\n")]
    {
        let told = ask(&mut json, &command);
        let error = &post(&mut http, path, field, &command.to_string()).json()["error"];
        assert_eq!((&error["code"], &error["message"]), (&told["code"], &told["message"]));
        assert!(told["message"].is_string(), "{told}");
    }
}

#[test]
fn a_batch_may_be_as_large_as_a_message_and_no_larger() {
    let broker = broker();
    let batch = |bytes: usize| json!({"messages": [{"topic": "a", "data": "x".repeat(bytes)}]}).to_string();
    let overhead = batch(0).len();
    let mut http = broker.http();
    assert_eq!(post(&mut http, "/v1/publish", "", &batch(1_048_576 - overhead)).status, 200);
    let refused = post(&mut http, "/v1/publish", "", &batch(1_048_577 - overhead));
    assert_eq!((refused.status, refused.code().as_str()), (413, "message_too_big"));
}

#[test]
fn the_path_of_batches_takes_nothing_else() {
    let broker = broker();
    let mut http = broker.http();
    for (method, status) in [("GET", 405), ("HEAD", 405), ("DELETE", 405), ("OPTIONS", 204)] {
        http.send(format!("{method} /v1/publish HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let response = if method == "HEAD" { http.response_head() } else { http.response() };
        assert_eq!(
            (response.status, response.headers["allow"].as_str()),
            (status, "POST, OPTIONS"),
            "{method}"
        );
    }
}

#[test]
fn a_client_that_leaves_before_its_batch_is_answered_leaves_nothing_behind() {
    let broker = broker();
    let messages: Vec<Value> = (0..1_000).map(|n| json!({"topic": format!("t{n}"), "data": 0})).collect();
    let batch = json!({"type": "publish_batch", "messages": messages}).to_string();
    for _ in 0..5 {
        let mut leaver = json_client(&broker);
        (0..5).for_each(|_| leaver.send(batch.clone()));
    }
    broker.wait_for_figure("fanwire_connections{", 1);
    assert_eq!(ask(&mut json_client(&broker), &json!({"type": "ping"}))["type"], "pong");
}
