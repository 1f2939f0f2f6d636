//! Who a client is while it is connected: said anew, and until a token expires.

use std::time::{SystemTime, UNIX_EPOCH};

use fanwire::config::Config;
use serde_json::{Value, json};

use super::{LATE, alice, bearer, request, sign, start, start_with};
use crate::support::{Client, FOREVER_MS, TestBroker};

/// As long as a timeout may be.
const A_DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A broker that waits for nothing but tokens to expire: no other timer has it look at a connection, and see by the way that
/// its token has.
fn start_without_other_timers(configure: impl FnOnce(&mut Config)) -> TestBroker {
    start_with(|config| {
        (config.timeouts.handshake_ms, config.timeouts.idle_http_ms) = (A_DAY_MS, A_DAY_MS);
        config.timeouts.ping_ms = A_DAY_MS;
        configure(config);
    })
}

/// A token that has expired so many seconds ago: the broker takes clocks to differ by five.
fn expired_since(seconds: f64) -> String {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    sign(&json!({"sub":"alice","exp":now_s - seconds,"fanwire":{"subscribe":[">"]}}))
}

/// A token that holds long enough to connect with, and not much longer.
fn fleeting() -> String {
    expired_since(5.0 - 1.5)
}

fn commands(broker: &TestBroker, token: &str) -> Client {
    let mut client = broker.web_socket_with("/v1/ws", &[("Authorization", &format!("Bearer {token}"))]);
    assert_eq!(client.receive_json()["type"], "welcome");
    client
}

fn say(client: &mut Client, command: &Value) -> Value {
    client.send(command.to_string());
    client.receive_json()
}

#[test]
fn who_says_anew_who_it_is_is_told_who_and_until_when() {
    let broker = start();
    let mut client = commands(&broker, &alice(&["a"], &[]));
    let told = say(&mut client, &json!({"type":"auth","id":1,"token":alice(&["a", "b"], &[])}));
    assert_eq!(told, json!({"type":"authenticated","id":1,"identity":"alice","expires":LATE}));
    assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":"b"}))["type"], "subscribed");
}

#[test]
fn a_token_that_does_not_hold_changes_nothing() {
    let broker = start();
    let mut client = commands(&broker, &alice(&["a"], &[]));
    assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":"a"}))["type"], "subscribed");
    for token in ["x", &expired_since(60.0)] {
        let told = say(&mut client, &json!({"type":"auth","id":1,"token":token}));
        assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("bad_token")), "{told}");
        assert_eq!((&told["command"], &told["id"]), (&json!("auth"), &json!(1)));
    }
    assert_eq!(say(&mut client, &json!({"type":"unsubscribe","id":2,"topic":"a"}))["type"], "unsubscribed");
}

#[test]
fn a_connection_does_not_change_hands() {
    let broker = start();
    let mut client = commands(&broker, &alice(&["a"], &[]));
    let bobs = sign(&json!({"sub":"bob","exp":LATE,"fanwire":{"subscribe":[">"]}}));
    let told = say(&mut client, &json!({"type":"auth","id":1,"token":bobs}));
    assert_eq!((&told["type"], &told["code"]), (&json!("error"), &json!("forbidden")));
    assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":"b"}))["code"], "forbidden");
}

#[test]
fn what_a_new_token_no_longer_covers_ends_and_is_told() {
    let broker = start();
    let mut client = commands(&broker, &alice(&[">"], &[]));
    for topic in ["a", "b"] {
        assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":topic}))["type"], "subscribed");
    }
    let told = say(&mut client, &json!({"type":"auth","id":1,"token":alice(&["a"], &[])}));
    assert_eq!(told["type"], "authenticated");
    let ended = client.receive_json();
    assert_eq!((&ended["code"], &ended["topic"]), (&json!("forbidden"), &json!("b")));
}

#[test]
fn who_came_without_a_token_may_become_somebody() {
    let broker = start_with(|config| {
        config.auth.anonymous = Some((*fanwire_broker::Permissions::everything()).clone());
    });
    let mut client = broker.web_socket("/v1/ws");
    assert_eq!(client.receive_json()["type"], "welcome");
    let told = say(&mut client, &json!({"type":"auth","token":alice(&["a"], &[])}));
    assert_eq!((&told["identity"], &told["type"]), (&json!("alice"), &json!("authenticated")));
    assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":"b"}))["code"], "forbidden");
}

#[test]
fn a_broker_without_keys_takes_no_token() {
    let broker = TestBroker::start();
    let mut client = broker.web_socket("/v1/ws");
    assert_eq!(client.receive_json()["type"], "welcome");
    let told = say(&mut client, &json!({"type":"auth","token":alice(&["a"], &[])}));
    assert_eq!(told["code"], "bad_token");
}

#[test]
fn a_client_whose_token_expires_is_told_and_closed_if_it_sends_no_other() {
    let broker = start_without_other_timers(|config| config.auth.grace_ms = 1);
    let mut client = commands(&broker, &fleeting());
    assert_eq!(client.receive_json(), json!({"type":"expired","grace_ms":1}));
    let close = client.receive_close();
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "token expired"));
    drop(client);
    while broker.disconnects("token_expired") == 0 {}
}

#[test]
fn a_client_that_sends_another_token_in_time_goes_on() {
    let broker = start_without_other_timers(|config| config.auth.grace_ms = FOREVER_MS);
    let mut client = commands(&broker, &fleeting());
    assert_eq!(say(&mut client, &json!({"type":"subscribe","topic":"a"}))["type"], "subscribed");
    assert_eq!(client.receive_json()["type"], "expired");
    let told = say(&mut client, &json!({"type":"publish","topic":"a","data":1}));
    assert_eq!(told["message"], "alice may not publish to a", "meanwhile it is who it was");
    let told = say(&mut client, &json!({"type":"auth","token":alice(&["a"], &["a"])}));
    assert_eq!(told["type"], "authenticated");
    let told = say(&mut client, &json!({"type":"publish","topic":"a","data":1}));
    assert_eq!(told["type"], "message", "its subscription has gone on");
}

#[test]
fn the_time_of_the_token_that_came_last_is_the_one_that_counts() {
    let broker = start_without_other_timers(|config| config.auth.grace_ms = FOREVER_MS);
    let mut client = commands(&broker, &alice(&["a"], &[]));
    assert_eq!(say(&mut client, &json!({"type":"auth","token":fleeting()}))["type"], "authenticated");
    assert_eq!(client.receive_json()["type"], "expired");
    assert_eq!(say(&mut client, &json!({"type":"auth","token":fleeting()}))["type"], "authenticated");
    assert_eq!(client.receive_json()["type"], "expired");
}

#[test]
fn who_cannot_send_another_token_is_closed_when_its_own_expires() {
    let broker = start_without_other_timers(|config| config.auth.grace_ms = FOREVER_MS);
    let authorization = format!("Bearer {}", fleeting());
    let mut client = broker.web_socket_with("/topics/a", &[("Authorization", &authorization)]);
    let close = client.receive_close();
    assert_eq!((u16::from(close.code), close.reason.as_str()), (4401, "token expired"));

    let mut stream = broker.http();
    stream.send(request("GET", "/topics/a", &(bearer(&fleeting()) + "Accept: text/event-stream\r\n"), ""));
    assert_eq!(stream.response_head().status, 200);
    let rest = String::from_utf8(stream.rest()).unwrap();
    assert!(rest.ends_with(": token expired\n\n"), "{rest}");
}

#[test]
fn a_poll_does_not_wait_longer_than_the_token_holds() {
    let broker = start_without_other_timers(|_| ());
    let mut client = broker.http();
    let response = client.request(request("GET", "/topics/a?wait=60s", &bearer(&fleeting()), ""));
    assert_eq!(response.status, 204);
    let response = client.request(request("GET", "/topics/a", &bearer(&expired_since(6.0)), ""));
    assert_eq!(response.status, 401);
}
