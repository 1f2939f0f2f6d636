//! What `--demo` adds.

use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::TestBroker;

#[test]
fn the_pages_are_there() {
    let broker = TestBroker::start_with(|config| config.demo = true);
    let mut client = broker.http();
    for path in ["/", "/demo/chat"] {
        let page = client.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    }
}

#[test]
fn echo_sends_back_what_it_gets_and_closes_with_the_code_it_gets() {
    let broker = TestBroker::start_with(|config| config.demo = true);
    let mut client = broker.web_socket("/demo/echo");
    let long = "x".repeat(300_000);
    for text in ["", "hello", &long] {
        client.send(text);
        assert!(client.receive_text() == text);
    }
    client
        .socket
        .close(Some(tungstenite::protocol::CloseFrame { code: 4321.into(), reason: "bye".into() }))
        .unwrap();
    assert_eq!(u16::from(client.receive_close().code), 4321);
}

#[test]
fn hello_greets_by_name_and_says_goodbye() {
    let broker = TestBroker::start_with(|config| config.demo = true);
    let mut client = broker.web_socket("/demo/hello");
    client.send("My name is John");
    assert_eq!(client.receive_text(), "Hello from server, John!");
    let close = client.receive_close();
    assert_eq!(close.code, CloseCode::Normal);
    assert!(!close.reason.is_empty());
}

#[test]
fn the_chat_can_be_left_and_joined_again() {
    let broker = TestBroker::start_with(|config| config.demo = true);
    broker.post("chat.lobby", "while you were away");
    let mut client = broker.web_socket("/topics/chat.lobby?since=earliest");
    assert_eq!(client.receive_text(), "while you were away");
}
