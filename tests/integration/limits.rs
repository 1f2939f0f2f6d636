//! What clients may have together, each address of them, and each connection.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

use fanwire::config::{Config, Limits};
use fanwire_wire::frame::{OpCode, write_masked_frame};
use serde_json::json;
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::support::{FOREVER_MS, HttpClient, HttpResponse, PATIENCE, TestBroker, connect_narrow, handshake};

/// A broker that counts this machine's clients like any other.
fn broker_with(limits: Limits) -> TestBroker {
    TestBroker::start_with(|config: &mut Config| {
        config.proxies.trust.clear();
        config.limits = limits;
    })
}

/// What somebody is told who is not let in: whatever it asks for, and if it does not.
fn told(broker: &TestBroker) -> (u16, String, Option<String>) {
    let asking =
        ["GET /topics/a.b HTTP/1.1\r\nHost: localhost\r\n\r\n", &handshake("/v1/ws", ""), "", "GET /hea"];
    let [first, others @ ..] = asking.map(|octets| {
        let mut client = broker.http();
        client.send(octets);
        let response = client.response();
        assert!(client.rest().is_empty(), "nothing follows");
        (response.status, response.code(), response.headers.get("retry-after").cloned())
    });
    assert!(others.iter().all(|other| *other == first), "{first:?}, {others:?}");
    first
}

/// Whether the broker looks at what is asked for on this new connection, rather than that it has too many of them.
fn is_let_in(client: &mut HttpClient) -> bool {
    match client.get("/nothing").status {
        404 => true,
        429 | 503 => false,
        other => panic!("{other}"),
    }
}

/// Connects until somebody is let in, who is given back.
fn connect_when_there_is_room(broker: &TestBroker) -> HttpClient {
    let began = Instant::now();
    loop {
        let mut client = broker.http();
        if is_let_in(&mut client) {
            return client;
        }
        assert!(began.elapsed() < PATIENCE, "nobody is let in any more");
    }
}

#[test]
fn one_connection_too_many_is_told_so_and_let_in_when_another_has_gone() {
    let broker = broker_with(Limits { connections: Some(3), ..Limits::default() });
    let mut subscriber = broker.web_socket("/topics/a.b");
    let mut publisher = broker.web_socket("/topics/a.b?echo=false");
    let mut third = broker.http();
    assert!(is_let_in(&mut third), "three are not too many");
    let expected = (503, "too_many_connections".to_owned(), Some("10".to_owned()));
    assert_eq!(told(&broker), expected);
    publisher.send("still there");
    assert_eq!(subscriber.receive_text(), "still there");
    drop(third);
    connect_when_there_is_room(&broker);
}

#[test]
fn an_address_has_so_many_connections_and_gets_back_what_it_gives_back() {
    let broker = broker_with(Limits { connections_per_address: 3, ..Limits::default() });
    let mut connections: Vec<_> = (0..3).map(|_| broker.http()).collect();
    assert!(connections.iter_mut().all(is_let_in));
    let expected = (429, "too_many_connections_of_address".to_owned(), Some("10".to_owned()));
    assert_eq!(told(&broker), expected);
    connections.pop();
    connect_when_there_is_room(&broker);
}

#[test]
fn an_address_opens_connections_no_faster_than_it_may() {
    let broker = broker_with(Limits { handshakes_per_second_per_address: 5, ..Limits::default() });
    for n in 0..5 {
        assert!(is_let_in(&mut broker.http()), "number {n} is not too many");
    }
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < PATIENCE, "it opens as many as it likes");
        let mut client = broker.http();
        let response = client.get("/nothing");
        if response.status == 429 {
            assert_eq!(
                (response.code().as_str(), &*response.headers["retry-after"]),
                ("too_many_handshakes", "1")
            );
            break;
        }
    }
    connect_when_there_is_room(&broker);
}

/// More than may be told at once why they are not let in.
const PROBES: usize = 50;

#[test]
fn who_looks_after_the_broker_is_answered_when_nobody_is_let_in() {
    let often = Limits { handshakes_per_second_per_address: 10_000, ..Limits::default() };
    let everybody = Limits { connections: Some(1), ..often.clone() };
    let of_address = Limits { connections_per_address: 1, ..often };
    for (limits, refused) in [(everybody, 503), (of_address, 429)] {
        let broker = broker_with(limits);
        let mut only = broker.http();
        assert!(is_let_in(&mut only));
        for path in ["/healthz", "/readyz", "/metrics"] {
            for _ in 0..PROBES {
                let mut probe = broker.http();
                let twice = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(2);
                assert_eq!(probe.request(twice).status, 200, "{path}");
                assert!(probe.rest().is_empty(), "that is all that it is let in for");
            }
        }
        for request in [
            "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "GET /healthz/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "POST /topics/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx",
        ] {
            assert_eq!(broker.http().request(request).status, refused, "{request}");
        }
        assert_eq!(only.get("/topics/a").status, 404, "nothing was published");
    }
}

#[test]
fn the_figures_are_for_whoever_may_read_them_when_nobody_is_let_in_too() {
    let broker = TestBroker::start_with(|config| {
        config.auth.keys = vec![crate::identity::hs256()];
        config.limits.connections = Some(1);
    });
    let mut only = broker.http();
    assert_eq!(only.get("/healthz").status, 200);
    let ask = |further: &str| {
        broker.http().request(format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{further}\r\n")).status
    };
    let token = crate::identity::sign(&json!({"sub":"m","exp":4_000_000_000_u64,"fanwire":{"metrics":true}}));
    assert_eq!([ask(""), ask(&crate::identity::bearer(&token))], [401, 200]);
}

#[test]
fn a_flood_of_connections_that_are_not_let_in_leaves_those_that_are_alone() {
    let broker = broker_with(Limits { connections: Some(2), ..Limits::default() });
    let mut subscriber = broker.web_socket("/topics/a.b");
    let mut publisher = broker.web_socket("/topics/a.b?echo=false");
    // Nobody here closes: those that are told take what places there are for it, the others are closed at once.
    let refused: Vec<TcpStream> = (0..500).map(|_| TcpStream::connect(broker.address).unwrap()).collect();
    for n in 0..100 {
        publisher.send(n.to_string());
        assert_eq!(subscriber.receive_text(), n.to_string());
    }
    for mut stream in refused {
        // What it is told, the end, or a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    drop(publisher);
    connect_when_there_is_room(&broker);
}

fn pings(count: usize, size: usize) -> Vec<u8> {
    let mut octets = Vec::new();
    for _ in 0..count {
        write_masked_frame(&mut octets, [1, 2, 3, 4], OpCode::Ping, false, &vec![7; size]);
    }
    octets
}

/// A raw connection to a broker with these limits.
fn raw(broker: &TestBroker) -> HttpClient {
    let mut client = broker.http();
    assert_eq!(client.request(handshake("/topics/a.b", "")).status, 101);
    client
}

#[test]
fn who_sends_faster_than_it_may_waits_and_loses_nothing() {
    // A few reads' worth, sent at once: so it is paused, and time alone brings it back.
    const PINGS: usize = 2_000;
    let commands = Limits { commands_per_second: Some(1_000), ..Limits::default() };
    let bytes = Limits { bytes_per_second: Some(100_000), ..Limits::default() };
    for limits in [commands, bytes] {
        let broker = broker_with(Limits { patience_ms: FOREVER_MS, ..limits });
        let mut client = raw(&broker);
        let mut pongs = vec![0; 102 * PINGS];
        let mut writer = client.stream().get_ref().try_clone().unwrap();
        let sender = std::thread::spawn(move || writer.write_all(&pings(PINGS, 100)));
        client.stream().read_exact(&mut pongs).unwrap();
        sender.join().unwrap().unwrap();
        assert!(pongs.chunks(102).all(|pong| pong[..2] == [0x8a, 100]));
        assert!(broker.figure("fanwire_throttled_reads_total") > 0);
    }
}

#[test]
fn who_keeps_to_the_rates_is_never_made_to_wait() {
    let broker = broker_with(Limits {
        commands_per_second: Some(1_000),
        bytes_per_second: Some(1 << 20),
        ..Limits::default()
    });
    let mut client = raw(&broker);
    client.send(pings(999, 100));
    client.stream().read_exact(&mut vec![0; 102 * 999]).unwrap();
    assert_eq!(broker.figure("fanwire_throttled_reads_total"), 0);
}

#[test]
fn who_stays_over_a_rate_is_closed_and_told_which() {
    let limits = [
        (
            Limits { commands_per_second: Some(10), ..Limits::default() },
            "over limits.commands_per_second for 100ms",
        ),
        (
            Limits { bytes_per_second: Some(1_024), ..Limits::default() },
            "over limits.bytes_per_second for 100ms",
        ),
    ];
    for (limits, reason) in limits {
        let broker = broker_with(Limits { patience_ms: 100, ..limits });
        let mut subscriber = broker.web_socket("/v1/ws");
        crate::json::client_subscribes(&mut subscriber, "quiet");
        let mut flooder = broker.web_socket("/topics/a.b?echo=false");
        let mut writer = flooder.socket.get_ref().try_clone().unwrap();
        // It ends when the broker closes the connection.
        let flood = std::thread::spawn(move || while writer.write_all(&pings(50, 100)).is_ok() {});
        let close = loop {
            match flooder.socket.read() {
                Ok(Message::Close(frame)) => break frame.unwrap(),
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!((close.code, close.reason.as_str()), (CloseCode::Policy, reason));
        flooder.socket.get_ref().shutdown(Shutdown::Both).unwrap();
        flood.join().unwrap();
        let began = Instant::now();
        while broker.disconnects("over_rate") != 1 {
            assert!(began.elapsed() < PATIENCE, "it is not counted");
        }
        broker.post("quiet", "x");
        assert_eq!(subscriber.receive_json()["data"], "x", "others are not bothered");
    }
}

#[test]
fn what_is_asked_for_in_one_command_counts_each_for_itself() {
    let topics: Vec<_> = (0..1_000).map(|n| format!("{{\"topic\":\"t.{n}\"}}")).collect();
    let messages = vec![r#"{"topic":"a","data":1}"#; 1_000];
    for list in [
        format!(r#"{{"type":"subscribe","topics":[{}]}}"#, topics.join(",")),
        format!(r#"{{"type":"publish_batch","messages":[{}]}}"#, messages.join(",")),
    ] {
        // A thousand of them take a hundred seconds to pay back, and one is within the rate.
        let limits = Limits { commands_per_second: Some(10), patience_ms: 300, ..Limits::default() };
        let broker = broker_with(limits);
        let mut client = broker.web_socket("/v1/ws");
        client.send(list);
        let close = loop {
            if let Message::Close(frame) = client.receive() {
                break frame.expect("the broker gives a reason");
            }
        };
        assert_eq!(close.code, CloseCode::Policy);
    }
}

#[test]
fn a_batch_over_http_is_as_many_commands_as_it_has_messages() {
    let broker = broker_with(Limits { commands_per_second: Some(10), patience_ms: 300, ..Limits::default() });
    let messages = vec![r#"{"topic":"a","data":1}"#; 1_000].join(",");
    let body = format!(r#"{{"messages":[{messages}]}}"#);
    let mut client = broker.http();
    client.send(format!(
        "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(client.response().status, 200);
    let last = client.response();
    assert_eq!((last.status, last.code().as_str()), (429, "over_rate"));
}

#[test]
fn an_http_client_that_stays_over_a_rate_is_told_too() {
    let broker = broker_with(Limits { commands_per_second: Some(5), patience_ms: 100, ..Limits::default() });
    let mut client = broker.http();
    let mut writer = client.stream().get_ref().try_clone().unwrap();
    let flood = std::thread::spawn(move || {
        let requests = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(20);
        while writer.write_all(requests.as_bytes()).is_ok() {}
    });
    let last = loop {
        let response = client.response();
        if response.status != 200 {
            break response;
        }
    };
    assert_eq!((last.status, last.code().as_str()), (429, "over_rate"));
    client.stream().get_ref().shutdown(Shutdown::Both).unwrap();
    flood.join().unwrap();
}

#[test]
fn who_is_over_a_rate_is_told_so_behind_the_answer_to_what_was_carried_out() {
    let limits = Limits { commands_per_second: Some(1), patience_ms: 0, ..Limits::default() };
    let broker = broker_with(limits);
    // The home of some of the topics is another core than the connection's.
    for number in 0..16 {
        let request =
            format!("POST /topics/over.{number} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n1");
        let mut client = broker.http();
        client.send(request.repeat(2));
        let statuses = [(); 3].map(|()| client.response().status);
        assert_eq!(statuses, [200, 200, 429], "on topic {number}");
        assert!(client.rest().is_empty());
    }
}

/// Publishes 100 KB on a topic; what that is answered.
fn publish_much(client: &mut HttpClient, topic: &str) -> HttpResponse {
    let body = "x".repeat(100_000);
    let head = "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: 100000";
    client.request(format!("POST /topics/{topic} HTTP/1.1\r\n{head}\r\n\r\n{body}"))
}

#[test]
fn short_of_memory_it_takes_nobody_new_then_no_new_topic_and_serves_on() {
    let broker =
        broker_with(Limits { memory: Some(4 << 20), history_memory: Some(4 << 20), ..Limits::default() });
    let mut publisher = broker.http();
    let mut subscriber = broker.web_socket("/topics/small");
    assert_eq!(publish_much(&mut publisher, "t.0").status, 200);
    // A core may not have seen yet what another one holds.
    let mut refused = 0;
    let filled = (1..1_000).find(|n| {
        let status = publish_much(&mut publisher, &format!("t.{n}")).status;
        refused += usize::from(status != 200);
        status == 503 && broker.http().get("/topics/t.0").code() == "short_of_memory"
    });
    let filled = filled.expect("the budget is a bound");
    assert!((35..=45).contains(&filled), "{filled} topics of 100 KB in 4 MiB, {refused} refused");
    let response = publish_much(&mut publisher, "t.new");
    assert_eq!((response.code().as_str(), &*response.headers["retry-after"]), ("unavailable", "1"));
    assert_eq!(publish_much(&mut publisher, "t.0").status, 200, "a topic that is there goes on");
    subscriber.send("small");
    assert_eq!(subscriber.receive_text(), "small", "and so does everybody who is there");
    assert_eq!(broker.http().get("/healthz").status, 200, "it is short of memory, and well");
}

#[test]
fn frames_that_do_not_come_whole_count_wherever_they_begin() {
    // Where one core is the home of all topics, nothing has a connection read once more after its upgrade.
    let broker = TestBroker::start_with(|config| {
        config.cores = 1;
        config.limits.memory = Some(1 << 20);
    });
    // The head of a message of 1 MiB, and 15,000 bytes of it.
    let begun = [&[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0][..], &[7; 15_000]].concat();
    let mut clients = Vec::new();
    let refused = (0..100).find_map(|_| {
        let mut client = broker.http();
        client.send([handshake("/topics/a.b", "").as_bytes(), &begun].concat());
        let response = client.response_head();
        clients.push(client);
        (response.status != 101).then_some(response.status)
    });
    assert_eq!(refused, Some(503), "{} of 15 KB fit into 1 MiB", clients.len());
}

#[test]
fn messages_that_do_not_become_whole_are_given_up_when_memory_is_exhausted() {
    const BODY_BYTES: usize = 900_000;
    let broker = TestBroker::start_with(|config| {
        config.cores = 1;
        config.limits.memory = Some(4 << 20);
    });
    let mut subscriber = broker.web_socket("/topics/small");
    let mut figures = broker.http();
    // All are there before nobody new is let in. Half of them publish over HTTP.
    let mut holders: Vec<_> = (0..8).map(|n| if n % 2 == 0 { raw(&broker) } else { broker.http() }).collect();
    let frame = &[0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0][..];
    let head = b"POST /topics/a.b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048576\r\n\r\n";
    for (n, holder) in holders.iter_mut().enumerate() {
        let begun = [if n % 2 == 0 { frame } else { head }, &vec![7; BODY_BYTES]].concat();
        // It may be over in the middle of it.
        let _ = holder.stream().get_mut().write_all(&begun);
    }
    let began = Instant::now();
    let reason = "reason=\"short_of_memory\"";
    while figures.figure_with("fanwire_disconnects_total", reason) == 0 {
        assert!(began.elapsed() < PATIENCE, "they keep what they hold");
    }
    subscriber.send("small");
    assert_eq!(subscriber.receive_text(), "small", "who holds nothing is not bothered");
    drop(holders);
    connect_when_there_is_room(&broker);
}

#[test]
fn short_of_memory_histories_let_go_of_their_older_half_and_what_is_let_go_is_told() {
    let broker = TestBroker::start_with(|config| {
        crate::raw::with_history(config);
        let history = config.settings.topics[0].settings.history.as_mut().unwrap();
        (history.messages, history.bytes) = (100_000, 64 << 20);
        config.limits.memory = Some(4 << 20);
    });
    let mut publisher = broker.web_socket("/topics/a.b?echo=false");
    let mut reader = broker.http();
    let text = "x".repeat(10_000);
    for _ in 0..2_000 {
        publisher.send(text.as_str());
    }
    let epoch = broker.epoch().to_owned();
    let began = Instant::now();
    // 20 MB were published: all of it comes, and nothing of it is held for long.
    loop {
        let response = reader.get(&format!("/topics/a.b?since={epoch}:0"));
        let first = &response.json()[0];
        let told = if first["type"] == "gap" { first["to"].as_u64().unwrap() } else { 0 };
        if told > 1_000 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{told} are told to be gone");
    }
}

#[test]
fn answers_that_memory_is_too_short_for_are_cut_off_and_nothing_stands_in_for_their_rest() {
    const BODY_BYTES: usize = 900_000;
    // Of two cores, the first to close its own would leave memory enough for the other's.
    let broker = TestBroker::start_with(|config| {
        config.cores = 1;
        config.limits.memory = Some(2 << 20);
    });
    let connections = ["keep-alive", "close"];
    // All are there before nobody new is let in.
    let mut readers = connections.map(|_| connect_narrow(broker.address));
    let mut figures = broker.http();
    broker.post("large", &"x".repeat(BODY_BYTES));
    for (reader, connection) in readers.iter_mut().zip(connections) {
        let head =
            format!("GET /topics/large HTTP/1.1\r\nHost: localhost\r\nConnection: {connection}\r\n\r\n");
        reader.write_all(head.as_bytes()).unwrap();
    }
    let began = Instant::now();
    while figures.figure_with("fanwire_connections{", "") > 1 {
        assert!(began.elapsed() < PATIENCE, "they are not cut off");
    }
    for (mut reader, connection) in readers.into_iter().zip(connections) {
        let mut answer = Vec::new();
        // It may be the end or a reset.
        let _ = reader.read_to_end(&mut answer);
        assert!(answer.len() < BODY_BYTES, "{} bytes have come", answer.len());
        assert!(answer.is_empty() || answer.ends_with(b"x"), "{connection}: {:?}", answer.last());
    }
}

#[test]
fn a_head_and_a_batch_are_no_larger_than_the_operator_says() {
    let broker = broker_with(Limits { header_bytes: 1_024, batch: 2, ..Limits::default() });
    let head = |length: usize| {
        format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(length - 47))
    };
    assert_eq!(broker.http().request(head(1_024)).status, 200);
    let response = broker.http().request(head(1_025));
    assert_eq!(response.status, 431);
    assert!(response.text().contains("more than 1024 octets"), "{response:?}");

    let batch = |count: usize| {
        let messages = vec![r#"{"topic":"a.b","data":1}"#; count].join(",");
        format!("{{\"type\":\"publish_batch\",\"id\":1,\"messages\":[{messages}]}}")
    };
    let mut client = broker.web_socket("/v1/ws");
    client.receive_json();
    for (count, kind) in [(2, "published_batch"), (3, "error")] {
        client.send(batch(count));
        let answer = client.receive_json();
        assert_eq!(answer["type"], kind, "{answer}");
        let body = batch(count).replace("\"type\":\"publish_batch\",\"id\":1,", "");
        let request = format!(
            "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = broker.http().request(request);
        assert_eq!(response.status, if kind == "error" { 413 } else { 200 }, "{response:?}");
    }
}
