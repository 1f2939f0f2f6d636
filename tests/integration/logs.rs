//! What the log says of connections: where their clients are, and who.

use std::collections::HashMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::identity::{LATE, alice, bearer, sign};
use crate::support::{Client, HttpClient, Process, TemporaryFile, handshake};

const SECRET: &str = "a secret that only the tests know";

/// A broker that asks for tokens, and writes down what becomes of connections.
fn start(name: &str, further: &str) -> Process {
    let text = format!(
        "log = {{ format = \"json\", level = \"fanwire=debug\" }}\n{further}\n\
         auth = {{ keys = [{{ algorithm = \"HS256\", secret = \"{SECRET}\" }}] }}\n"
    );
    let file = TemporaryFile::new(name, &text);
    Process::start(&["--config", file.path()])
}

/// The next line with this message. Everything that the log has is JSON.
fn line(process: &mut Process, message: &str) -> HashMap<String, Value> {
    let line = process.next_line_with(&format!("\"message\":\"{message}"));
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))
}

/// Where it says that the client is, and who.
fn whom(line: &HashMap<String, Value>) -> (&str, &Value) {
    (line["peer"].as_str().unwrap(), line.get("identity").unwrap_or(&Value::Null))
}

#[test]
fn each_line_about_a_connection_says_where_its_client_is_and_who() {
    let mut process = start("log-direct", "");
    let authorization = format!("Bearer {}", alice(&["a"], &[]));
    let mut client = Client::open(process.address, "/v1/ws", &[("Authorization", &authorization)]);
    let address = client.socket.get_ref().local_addr().unwrap().to_string();
    let alice_there = (address.as_str(), &json!("alice"));
    assert_eq!(whom(&line(&mut process, "connected")), alice_there);
    client.receive_json();
    client.send(json!({"type":"auth","token":alice(&["b"], &[])}).to_string());
    assert_eq!(whom(&line(&mut process, "authenticated")), alice_there);
    drop(client);
    let end = line(&mut process, "disconnected");
    assert_eq!((whom(&end), &end["reason"]), (alice_there, &json!("reset")));

    let mut stream = HttpClient::connect(process.address);
    let address = stream.stream().get_ref().local_addr().unwrap().to_string();
    let accept = bearer(&alice(&["a"], &[])) + "Accept: text/event-stream\r\n";
    stream.send(format!("GET /topics/a HTTP/1.1\r\nHost: localhost\r\n{accept}\r\n"));
    assert_eq!(stream.response_head().status, 200);
    assert_eq!(whom(&line(&mut process, "streaming")), (address.as_str(), &json!("alice")));
    drop(stream);
    assert_eq!(whom(&line(&mut process, "disconnected")), (address.as_str(), &json!("alice")));
}

#[test]
fn each_request_is_written_down_with_who_asks_and_without_what_may_be_a_token() {
    let mut process = start("log-requests", "");
    let mut client = HttpClient::connect(process.address);
    let address = client.stream().get_ref().local_addr().unwrap().to_string();
    let token = alice(&["a"], &["b"]);
    assert_eq!(client.get("/healthz").status, 200);
    assert_eq!(client.get(&format!("/topics/a?access_token={token}")).status, 404);
    let post =
        format!("POST /topics/b HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: 0\r\n\r\n", bearer(&token));
    assert_eq!(client.request(post).status, 200);
    let by_alice = json!("alice");
    for (method, path, identity) in
        [("GET", "/healthz", &Value::Null), ("GET", "/topics/a", &by_alice), ("POST", "/topics/b", &by_alice)]
    {
        let asked = line(&mut process, "asked");
        let status = if path == "/topics/a" { 404 } else { 200 };
        assert_eq!(line(&mut process, "answered")["status"], status, "{path}");
        assert_eq!(
            (whom(&asked), &asked["method"], &asked["path"]),
            ((&*address, identity), &json!(method), &json!(path))
        );
    }
    assert_eq!(client.get(&format!("/topics/a..b?access_token={token}")).status, 400);
    let answered = line(&mut process, "answered");
    assert_eq!((&answered["status"], &answered["code"]), (&json!(400), &json!("bad_topic")));
    process.signal("-TERM");
    assert!(!process.rest_of_log().contains(&token));
}

#[test]
fn what_is_no_request_is_written_down_with_what_is_wrong_with_it() {
    let mut process = start("log-nonsense", "");
    let hello = "\u{16}\u{3}\u{1}\u{0}\u{0}";
    let old = handshake("/v1/ws", &bearer(&alice(&["a"], &[]))).replace("Version: 13", "Version: 8");
    for (nonsense, why) in [
        (hello, "this port speaks plain HTTP, and this is TLS"),
        ("nonsense\r\n\r\n", "the request line is not"),
        (&old, "Sec-WebSocket-Version"),
    ] {
        let mut client = HttpClient::connect(process.address);
        let address = client.stream().get_ref().local_addr().unwrap().to_string();
        client.send(nonsense);
        let refused = line(&mut process, "refused: ");
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused:?}");
        assert_eq!(whom(&refused).0, address);
    }
}

#[test]
fn who_is_refused_is_named_by_its_address_and_its_token_is_not_written_down() {
    let mut process = start("log-refused", "");
    let expired = sign(&json!({"sub":"alice","exp":1}));
    let connect = |process: &Process| {
        let mut client = HttpClient::connect(process.address);
        let address = client.stream().get_ref().local_addr().unwrap().to_string();
        (client, address)
    };
    let (mut client, address) = connect(&process);
    assert_eq!(client.get(&format!("/topics/a?access_token={expired}")).status, 401);
    let refused = line(&mut process, "refused: the token has expired");
    assert_eq!((whom(&refused), &refused["path"]), ((address.as_str(), &Value::Null), &json!("/topics/a")));
    let (mut client, address) = connect(&process);
    let strange = "GET /topics/a HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example.com\r\n\r\n";
    assert_eq!(client.request(strange).status, 403);
    let refused = line(&mut process, "refused: a page of another origin");
    assert_eq!(whom(&refused), (address.as_str(), &Value::Null));
    process.signal("-TERM");
    assert!(!process.rest_of_log().contains(&expired));
}

#[test]
fn a_client_behind_a_trusted_proxy_is_where_the_proxy_says() {
    let mut process = start("log-forwarded", "limits.connections_per_address = 1");
    let authorization = format!("Bearer {}", alice(&["a"], &[]));
    let headers = [("Authorization", &*authorization), ("X-Forwarded-For", "203.0.113.9, 192.0.2.1")];
    let client = Client::open(process.address, "/v1/ws", &headers);
    assert_eq!(whom(&line(&mut process, "connected")), ("192.0.2.1", &json!("alice")));
    let mut refused = HttpClient::connect(process.address);
    let proxy = refused.stream().get_ref().local_addr().unwrap().to_string();
    refused.send(handshake("/v1/ws", &(bearer(&alice(&[], &["a"])) + "X-Forwarded-For: 192.0.2.1\r\n")));
    assert_eq!(refused.response().status, 429);
    assert_eq!(line(&mut process, "connections are refused")["peer"], "192.0.2.1");
    drop(refused);
    assert_eq!(whom(&line(&mut process, "disconnected")).0, proxy, "it has not become the client's");
    drop(client);
    assert_eq!(whom(&line(&mut process, "disconnected")), ("192.0.2.1", &json!("alice")));

    let mut each = HttpClient::connect(process.address);
    for address in ["192.0.2.7", "2001:db8::7"] {
        let request =
            format!("GET /topics/a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {address}\r\n\r\n");
        assert_eq!(each.request(request).status, 401);
        assert_eq!(whom(&line(&mut process, "refused")).0, address, "each request is somebody's");
    }
}

#[test]
fn a_client_that_is_no_proxy_does_not_say_where_it_is() {
    let mut process = start("log-untrusted", "proxies.trust = []");
    let mut client = HttpClient::connect(process.address);
    let address = client.stream().get_ref().local_addr().unwrap().to_string();
    client.send(handshake("/v1/ws", &(bearer(&alice(&["a"], &[])) + "X-Forwarded-For: 192.0.2.1\r\n")));
    assert_eq!(client.response_head().status, 101);
    assert_eq!(whom(&line(&mut process, "connected")).0, address);
}

#[test]
fn a_client_behind_a_proxy_header_is_where_the_header_says() {
    let mut process = start("log-header", "proxies.protocol = \"proxy\"");
    let mut client = HttpClient::connect(process.address);
    client.send("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n");
    let token = sign(&json!({"sub":"alice","exp":LATE,"fanwire":{"subscribe":["a"]}}));
    client.send(handshake("/v1/ws", &bearer(&token)));
    assert_eq!(client.response_head().status, 101);
    assert_eq!(whom(&line(&mut process, "connected")), ("192.0.2.1", &json!("alice")));
    drop(client);
    assert_eq!(whom(&line(&mut process, "disconnected")), ("192.0.2.1", &json!("alice")));

    let mut nonsense = HttpClient::connect(process.address);
    let address = nonsense.stream().get_ref().local_addr().unwrap().to_string();
    nonsense.send("nonsense that is no header\r\n");
    assert_eq!(whom(&line(&mut process, "a trusted proxy sent no good header")).0, address);
}

#[test]
fn a_start_that_fails_says_why_whatever_the_log_leaves_out() {
    let running = Process::start(&[]);
    let keys = TemporaryFile::new(
        "no-key-file",
        "auth.keys = [{ algorithm = \"HS256\", secret_file = \"/nowhere\" }]\n",
    );
    let taken = ["--listen", &running.address.to_string()];
    let unreadable = ["--listen", "127.0.0.1:0", "--config", keys.path()];
    for level in ["off", "fanwire=off", "warn,fanwire::process=off"] {
        for (arguments, complaint, code) in
            [(&taken[..], "another process", 1), (&unreadable[..], "/nowhere", 2)]
        {
            let log = ["--log-level", level, "--log-format", "json"];
            let mut process = Process::spawn(&[arguments, &log].concat());
            let said: HashMap<String, Value> = serde_json::from_str(&process.rest_of_log()).unwrap();
            assert!(said["message"].as_str().unwrap().contains(complaint), "{said:?}");
            assert_eq!(process.exit_code(), Some(code));
        }
    }
}

#[test]
fn limits_beyond_what_the_machine_has_are_named_at_the_start_and_by_a_check() {
    let said_of = |name, limits: &str| {
        let file = TemporaryFile::new(name, &format!("limits = {{ {limits} }}\n"));
        let mut process = Process::spawn(&["--listen", "127.0.0.1:0", "--config", file.path()]);
        let lines: Vec<_> = std::iter::repeat_with(|| process.next_line_with(""))
            .take_while(|line| !line.contains("listening on"))
            .collect();
        let mut check = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let checked = check.args(["check", "--config", file.path()]).output().unwrap();
        assert_eq!(checked.status.code(), Some(0));
        [lines.concat(), String::from_utf8(checked.stderr).unwrap()]
    };
    for beyond in said_of("limits-beyond", "connections = 1000000, memory = \"1024GiB\"") {
        for warning in ["less room than limits.connections asks for", "limits.memory is more than there is"] {
            assert_eq!(beyond.matches(warning).count(), 1, "{beyond}");
        }
    }
    for within in said_of("limits-within", "connections = 10, memory = \"64MiB\"") {
        assert!(!within.contains("WARN"), "{within}");
    }
}

#[test]
fn a_shortage_of_memory_is_written_down_with_its_levels_and_so_is_its_end() {
    let limits = "limits = { memory = \"1MiB\", history_memory = \"1MiB\" }\n";
    let file = TemporaryFile::new("shortage", &format!("log.format = \"json\"\n{limits}"));
    let mut process = Process::start(&["--config", file.path()]);
    let mut client = HttpClient::connect(process.address);
    let mut post_to_all = |payload: &str| {
        for topic in 0..9 {
            let head = format!("Host: localhost\r\nContent-Length: {}", payload.len());
            let request = format!("POST /topics/t{topic} HTTP/1.1\r\n{head}\r\n\r\n{payload}");
            assert_eq!(client.request(request).status, 200);
        }
    };
    post_to_all(&"x".repeat(95_000));
    let short = line(&mut process, "memory is short");
    let levels = ["everything", "backlogs"].map(|of| short[of].as_u64().unwrap());
    assert_eq!(levels, [1, 0], "last values are more than 80 %: {short:?}");
    post_to_all("x");
    line(&mut process, "memory is not short any more");
}

#[test]
fn whoever_asks_for_files_to_be_read_again_where_there_are_none_is_told() {
    let mut process = Process::start(&[]);
    process.signal("-HUP");
    process.next_line_with("nothing is read again: no certificates or keys are in files");
}
