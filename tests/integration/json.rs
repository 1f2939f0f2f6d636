//! The JSON interface over a real socket. What each command does is the broker crate's to test.

use fanwire_wire::frame::{OpCode, write_masked_frame};
use serde_json::json;
use tungstenite::Bytes;

use crate::support::{TestBroker, handshake};

#[test]
fn a_client_is_welcomed_subscribes_publishes_and_gets_its_receipts_and_messages() {
    let broker = TestBroker::start();
    let mut client = broker.web_socket("/v1/ws");
    let welcome = client.receive_json();
    assert_eq!((&welcome["type"], &welcome["epoch"]), (&json!("welcome"), &json!(broker.epoch())));
    assert_eq!(welcome["limits"]["max_message"], 1_048_576);

    client.send(r#"{"type":"subscribe","id":1,"topic":"prices.EURUSD"}"#);
    let subscribed = client.receive_json();
    assert_eq!((&subscribed["type"], &subscribed["id"]), (&json!("subscribed"), &json!(1)));

    client.send(r#"{"type":"publish","id":2,"topic":"prices.EURUSD","data":{"bid":1.0831}}"#);
    let published = client.receive_json();
    assert_eq!((&published["type"], &published["id"]), (&json!("published"), &json!(2)));
    let message = client.receive_json();
    assert_eq!((&message["type"], &message["data"]), (&json!("message"), &json!({"bid": 1.0831})));
    assert_eq!(message["offset"], published["offset"]);
}

#[test]
fn raw_http_and_json_clients_share_a_topic() {
    let broker = TestBroker::start();
    let mut json = broker.web_socket("/v1/ws");
    client_subscribes(&mut json, "chat.lobby");
    let mut raw = broker.web_socket("/topics/chat.lobby");
    raw.send("from raw");
    assert_eq!(json.receive_json()["data"], "from raw");
    broker.post("chat.lobby", "from http");
    assert_eq!(json.receive_json()["data"], "from http");
    json.send(r#"{"type":"publish","topic":"chat.lobby","data":"from json","echo":false}"#);
    let received: Vec<_> = (0..3).map(|_| raw.receive_text()).collect();
    assert_eq!(received, ["from raw", "from http", "from json"]);
}

pub(crate) fn client_subscribes(client: &mut crate::support::Client, topic: &str) {
    assert_eq!(client.receive_json()["type"], "welcome");
    client.send(json!({"type": "subscribe", "id": 1, "topic": topic}).to_string());
    assert_eq!(client.receive_json()["type"], "subscribed");
}

#[test]
fn commands_that_come_with_the_handshake_are_answered() {
    let broker = TestBroker::start();
    let mut octets = handshake("/v1/ws", "").into_bytes();
    write_masked_frame(&mut octets, [1, 2, 3, 4], OpCode::Text, false, br#"{"type":"ping"}"#);
    write_masked_frame(&mut octets, [1, 2, 3, 4], OpCode::Close, false, b"");
    let mut eager = broker.http();
    assert_eq!(eager.request(octets).status, 101);
    let answers = String::from_utf8_lossy(&eager.rest()).into_owned();
    assert!(answers.contains(r#"{"type":"pong"}"#), "{answers}");
}

#[test]
fn a_burst_that_is_many_times_larger_for_its_subscribers_arrives_whole() {
    const MESSAGES: usize = 8_000;
    let topic = "t".repeat(255);
    let broker = TestBroker::start_with(|config| config.settings.backlog_bytes = 64 << 20);
    let mut subscribers: Vec<_> = (0..6).map(|_| broker.web_socket("/v1/ws")).collect();
    for subscriber in &mut subscribers {
        client_subscribes(subscriber, &topic);
    }
    let mut publisher = broker.http();
    assert_eq!(publisher.request(handshake(&format!("/topics/{topic}?echo=false"), "")).status, 101);
    let mut frame = Vec::new();
    write_masked_frame(&mut frame, [1, 2, 3, 4], OpCode::Text, false, b"x");
    publisher.send(frame.repeat(MESSAGES));
    for subscriber in &mut subscribers {
        for offset in 1..=MESSAGES {
            assert_eq!(subscriber.receive_json()["offset"], offset);
        }
    }
}

#[test]
fn more_frames_than_a_turn_has_time_for_are_carried_out_in_order_and_before_the_end_of_the_connection() {
    const MESSAGES: usize = 30_000;
    let broker = TestBroker::start_with(|config| config.settings.backlog_bytes = 64 << 20);
    let mut subscriber = broker.web_socket("/v1/ws");
    client_subscribes(&mut subscriber, "numbers");
    // The first of them come with the handshake.
    let mut octets = handshake("/topics/numbers?echo=false", "").into_bytes();
    for number in 0..MESSAGES {
        let text = number.to_string();
        write_masked_frame(&mut octets, [1, 2, 3, 4], OpCode::Text, false, text.as_bytes());
    }
    let mut publisher = broker.http();
    publisher.send(octets);
    publisher.half_close();
    for number in 0..MESSAGES {
        assert_eq!(subscriber.receive_json()["data"], number.to_string());
    }
}

#[test]
fn commands_that_are_none_are_answered_and_cost_nothing_else() {
    let broker = TestBroker::start();
    let mut client = broker.web_socket("/v1/ws");
    client.receive_json();
    for (command, code) in [
        ("{", "bad_json"),
        ("[]", "bad_command"),
        (r#"{"type":"dance","id":7}"#, "unknown_command"),
        (r#"{"type":"subscribe","id":7,"topic":"a..b"}"#, "bad_topic"),
        (r#"{"type":"unsubscribe","id":7,"topic":"a.b"}"#, "not_subscribed"),
    ] {
        client.send(command);
        let error = client.receive_json();
        assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{command}");
        let has_id = command.contains("\"id\"");
        assert_eq!(error.get("id"), has_id.then_some(&json!(7)), "{command}");
    }
    client.send(Bytes::from_static(b"{}"));
    assert_eq!(client.receive_json()["code"], "binary_unsupported");
    client.send(r#"{"type":"hello","name":"yuan"}"#);
    assert_eq!(client.receive_json()["message"], "hello yuan");
}

#[test]
fn the_json_subprotocol_is_chosen_none_is_fine_and_unknown_ones_are_refused() {
    let broker = TestBroker::start();
    for (further, chosen) in
        [("Sec-WebSocket-Protocol: x, fanwire.v1.json\r\n", Some("fanwire.v1.json")), ("", None)]
    {
        let response = broker.http().request(handshake("/v1/ws", further));
        assert_eq!(response.status, 101);
        assert_eq!(response.headers.get("sec-websocket-protocol").map(String::as_str), chosen);
    }
    let response = broker.http().request(handshake("/v1/ws", "Sec-WebSocket-Protocol: mqtt\r\n"));
    assert_eq!(response.status, 400);
    assert!(response.text().contains("fanwire.v1.json"));
}
