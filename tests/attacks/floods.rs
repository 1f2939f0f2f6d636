//! Clients that send more than makes sense.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;

use fanwire::config::Limits;
use fanwire_wire::deflate::Deflater;
use fanwire_wire::frame::OpCode;
use rustls::{ClientConnection, StreamOwned};

use crate::certificate::Certificate;
use crate::process::Process;
use crate::support::{
    Attacker, PATIENCE, Target, close_code, figure, json, masked, next_text, upgrade, wait_until, web_socket,
    while_others_are_served,
};

#[test]
fn a_compression_bomb_is_refused_when_it_outgrows_a_message() {
    let target = Target::start(|_| ());
    let mut bomb = Vec::new();
    Deflater::new(15, false).deflate(&vec![0; 64 << 20], &mut bomb);
    assert!(bomb.len() < 100_000, "64 MiB in {} octets", bomb.len());
    let bomb = masked(OpCode::Binary, true, &bomb);
    while_others_are_served(target.address, || {
        for _ in 0..50 {
            let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
            let mut attacker = Attacker::web_socket(target.address, "/topics/bomb", extension);
            attacker.send_whole(&bomb);
            assert_eq!(close_code(&attacker.rest_octets()), 1009);
        }
    });
}

#[test]
fn a_million_tiny_frames_are_one_message() {
    const FRAMES: usize = 1_000_000;
    let target = Target::start(|_| ());
    let mut subscriber = web_socket(target.address, "tiny");
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::web_socket(target.address, "/topics/tiny?echo=false", "");
        let mut first = masked(OpCode::Text, false, b"x");
        first[0] &= 0x7f;
        attacker.send_whole(&first);
        let mut middle = masked(OpCode::Continuation, false, b"x");
        middle[0] &= 0x7f;
        let middles = middle.repeat(10_000);
        (0..(FRAMES - 2).div_ceil(10_000)).for_each(|part| {
            let count = (FRAMES - 2 - part * 10_000).min(10_000);
            attacker.send_whole(&middles[..count * middle.len()]);
        });
        attacker.send_whole(&masked(OpCode::Continuation, false, b"x"));
        assert_eq!(next_text(&mut subscriber).len(), FRAMES);
    });
}

#[test]
fn a_million_tiny_messages_are_each_routed() {
    const MESSAGES: usize = 1_000_000;
    let target = Target::start(|_| ());
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::web_socket(target.address, "/topics/tiny?echo=false", "");
        let messages = masked(OpCode::Text, false, b"").repeat(10_000);
        (0..MESSAGES / 10_000).for_each(|_| attacker.send_whole(&messages));
        attacker.send_whole(&masked(OpCode::Close, false, &[3, 0xe8]));
        assert_eq!(close_code(&attacker.rest_octets()), 1000);
        // They may still be on their way to another core: each post is one more.
        let mut posts = 1;
        let mut offset = post(&target, "tiny");
        while offset < MESSAGES && posts < 1_000 {
            offset = post(&target, "tiny");
            posts += 1;
        }
        assert_eq!(offset, MESSAGES + posts);
    });
}

/// Publishes over HTTP; the offset.
fn post(target: &Target, topic: &str) -> usize {
    let mut client = Attacker::connect(target.address);
    let head =
        format!("POST /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1");
    client.send_whole(format!("{head}\r\n\r\nx").as_bytes());
    let answer = client.rest();
    let offset = answer.split_once("\"offset\":").and_then(|(_, rest)| rest.split_once('}'));
    offset.and_then(|(offset, _)| offset.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

#[test]
fn ping_floods_from_clients_that_read_no_pong_stop_in_their_own_sockets() {
    let target = Target::start(|_| ());
    let pings = masked(OpCode::Ping, false, &[7; 125]).repeat(100);
    while_others_are_served(target.address, || {
        let mut attackers: Vec<_> =
            (0..20).map(|_| Attacker::web_socket(target.address, "/v1/ws", "")).collect();
        // Each gets as far as its own buffers go; the broker keeps 256 KiB of pongs for it and reads no more.
        for attacker in &mut attackers {
            for _ in 0..2_000 {
                if attacker.send_some(&pings) < pings.len() {
                    break;
                }
            }
        }
    });
    target.wait_until_well();
}

/// As much as a socket takes that nobody reads, in bytes.
const ROOM_BYTES: usize = 30_000;

/// What a turn may do at most in front of its last read: see `BYTES_OF_COMMAND` of `event_loop/effort.rs`.
const AT_ONCE: u64 = 4_096;

/// The same of tokens.
const TOKENS_AT_ONCE: u64 = 64;

/// How many turns a broker takes from when it hears of all these clients at once, until `until` returns.
fn turns_of<C>(
    process: &Process,
    count: usize,
    connect: impl Fn(SocketAddr) -> C,
    say: impl Fn(C) -> Option<C>,
    until: impl Fn(SocketAddr, Vec<C>),
) -> u64 {
    let address = process.address;
    let clients: Vec<_> = (0..count).map(|_| connect(address)).collect();
    let before = figure(address, "fanwire_turns_total");
    let clients = process.while_stopped(|| clients.into_iter().filter_map(say).collect());
    until(address, clients);
    figure(address, "fanwire_turns_total") - before
}

/// However much comes at once: what is published meanwhile is delivered between two turns.
#[test]
fn a_turn_does_a_bounded_number_of_things_however_little_they_are() {
    const CLIENTS: usize = 100;
    let pong = masked(OpCode::Pong, false, b"");
    let close = masked(OpCode::Close, false, &[3, 0xe8]);
    let token = masked(OpCode::Text, false, br#"{"type":"auth","token":"nobody's"}"#);
    for (frames, things, at_once) in [
        (pong.repeat(ROOM_BYTES / pong.len()), (ROOM_BYTES / pong.len()) as u64, AT_ONCE),
        (token.repeat(500), 500, TOKENS_AT_ONCE),
    ] {
        assert!(frames.len() <= ROOM_BYTES);
        let octets = [frames, close.clone()].concat();
        let say = |mut client: Attacker| {
            client.send_whole(&octets);
            Some(client)
        };
        let all_are_closed = |_, clients: Vec<Attacker>| {
            for mut client in clients {
                assert_eq!(close_code(&client.rest_octets()), 1000);
            }
        };
        let connect = |address| Attacker::web_socket(address, "/v1/ws", "");
        let turns = turns_of(&Process::start(""), CLIENTS, connect, say, all_are_closed);
        let least = CLIENTS as u64 * things / (at_once + things);
        assert!(turns >= least, "{turns} turns, and not {least}, for {CLIENTS} times {things}");
    }
}

/// Whether many do it or one.
#[test]
fn a_turn_inflates_a_bounded_number_of_octets() {
    const MESSAGE_BYTES: usize = 60_000;
    /// What a turn does at most of one read before its last message.
    const AT_ONCE_BYTES: usize = 256 * 1024;
    let mut deflated = Vec::new();
    Deflater::new(15, false).deflate("x".repeat(MESSAGE_BYTES).as_bytes(), &mut deflated);
    let message = masked(OpCode::Text, true, &deflated);
    let count = ROOM_BYTES / message.len();
    let octets = [message.repeat(count), masked(OpCode::Close, false, &[3, 0xe8])].concat();
    let connect = |address| {
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        Attacker::web_socket(address, "/topics/large?echo=false", extension)
    };
    let say = |mut attacker: Attacker| {
        attacker.send_whole(&octets);
        Some(attacker)
    };
    let all_were_published = |address, attackers: Vec<Attacker>| {
        for mut attacker in attackers {
            assert_eq!(close_code(&attacker.rest_octets()), 1000);
        }
        assert_eq!(figure(address, "fanwire_received_messages_total"), count as u64, "each in its turn");
    };
    let turns = turns_of(&Process::start(""), 1, connect, say, all_were_published);
    let least = (count * MESSAGE_BYTES / (AT_ONCE_BYTES + MESSAGE_BYTES)) as u64;
    assert!(turns >= least, "{turns} turns, and not {least}, for {count} messages");
}

/// Whether they are sent, or no more than their heads are asked for.
#[test]
fn a_turn_makes_answers_of_a_bounded_number_of_octets() {
    const CLIENTS: u64 = 20;
    const REQUESTS: u64 = 300;
    /// What a turn does at most, with its last read.
    const AT_ONCE_BYTES: u64 = (1024 + 256) * 1024;
    let octets = "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(REQUESTS as usize);
    let say = |mut attacker: Attacker| {
        attacker.send_whole(octets.as_bytes());
        // What it has asked for is answered all the same.
        attacker.0.shutdown(Shutdown::Write).expect("a socket");
        Some(attacker)
    };
    let all_are_answered = |_, attackers: Vec<Attacker>| {
        for mut attacker in attackers {
            assert_eq!(attacker.rest().matches("HTTP/1.1 200 ").count() as u64, REQUESTS);
        }
    };
    let process = Process::start("");
    let turns = turns_of(&process, CLIENTS as usize, Attacker::connect, say, all_are_answered);
    let mut reader = Attacker::connect(process.address);
    reader.send_whole(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let page_bytes = reader.rest().len() as u64;
    let least = CLIENTS * REQUESTS * page_bytes / (AT_ONCE_BYTES + page_bytes);
    assert!(
        turns >= least,
        "{turns} turns, and not {least}, for {CLIENTS} times {REQUESTS} pages of figures"
    );
}

/// However little is in them.
#[test]
fn a_turn_opens_a_bounded_number_of_tls_records() {
    const CLIENTS: usize = 400;
    let certificate = Certificate::write(Path::new(env!("CARGO_TARGET_TMPDIR")), "records");
    let (process, tls_address) = Process::start_tls(&certificate);
    let connect = |_| {
        let socket = TcpStream::connect(tls_address).expect("the kernel accepts");
        socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut client = certificate.speak(socket);
        upgrade(&mut client, "/topics/records", "");
        client
    };
    let frames =
        [masked(OpCode::Pong, false, &[7; 125]).repeat(8), masked(OpCode::Ping, false, b"")].concat();
    let records = frames.len() as u64;
    let say = |mut client: StreamOwned<ClientConnection, TcpStream>| {
        for octet in frames.chunks(1) {
            client.conn.writer().write_all(octet).expect("there is room");
        }
        client.flush().expect("there is room");
        Some(client)
    };
    let all_are_answered = |_, clients: Vec<StreamOwned<ClientConnection, TcpStream>>| {
        for mut client in clients {
            client.read_exact(&mut [0; 2]).expect("a pong");
        }
    };
    let turns = turns_of(&process, CLIENTS, connect, say, all_are_answered);
    let least = CLIENTS as u64 * records / (AT_ONCE + records);
    assert!(turns >= least, "{turns} turns, and not {least}, for {CLIENTS} times {records} records");
}

#[test]
fn a_turn_ends_a_bounded_number_of_subscriptions_of_those_who_leave() {
    const CLIENTS: usize = 50;
    const TOPICS: u64 = 4_000;
    let topics: Vec<_> = (0..TOPICS).map(|n| format!(r#"{{"topic":"{n}"}}"#)).collect();
    let list = format!(r#"{{"type":"subscribe","topics":[{}]}}"#, topics.join(","));
    let connect = |address| {
        let (mut client, _) = json(address);
        client.send(tungstenite::Message::text(list.as_str())).expect("the broker reads");
        (0..TOPICS).for_each(|_| assert!(next_text(&mut client).contains("subscribed")));
        client
    };
    let all_are_gone = |address, _| {
        wait_until("all are gone", || figure(address, "fanwire_subscriptions") == 0);
    };
    let turns = turns_of(&Process::start(""), CLIENTS, connect, |_leaves| None, all_are_gone);
    let least = CLIENTS as u64 * TOPICS / (AT_ONCE + TOPICS);
    assert!(turns >= least, "{turns} turns, and not {least}, for {CLIENTS} times {TOPICS}");
}

#[test]
fn close_frames_of_64_kib_break_the_protocol() {
    let target = Target::start(|_| ());
    let mut close = vec![0x88, 0xfe, 0xff, 0xff, 1, 2, 3, 4];
    close.resize(8 + 65_535, b'x');
    while_others_are_served(target.address, || {
        for _ in 0..200 {
            let mut attacker = Attacker::web_socket(target.address, "/topics/closing", "");
            attacker.send_whole(&close);
            assert_eq!(close_code(&attacker.rest_octets()), 1002);
        }
    });
}

/// A command on a connection of the JSON interface, until an answer with this text in it has come.
fn command_until(attacker: &mut tungstenite::WebSocket<TcpStream>, commands: &[String], text: &str) -> usize {
    for command in commands {
        attacker.send(tungstenite::Message::text(command.as_str())).expect("the broker reads");
    }
    let mut found = 0;
    let mut answers = 0;
    while answers < commands.len() {
        let answer = next_text(attacker);
        answers += usize::from(answer.contains("\"id\""));
        found += usize::from(answer.contains(text));
    }
    found
}

#[test]
fn subscribe_storms_are_answered_one_by_one_and_end_at_the_bound() {
    let target = Target::start(|config| config.settings.max_subscriptions = 500);
    while_others_are_served(target.address, || {
        let (mut attacker, _) = json(target.address);
        for _ in 0..10 {
            let subscribe = |n| format!(r#"{{"type":"subscribe","id":{n},"topic":"storm.{n}"}}"#);
            let unsubscribe = |n| format!(r#"{{"type":"unsubscribe","id":{n},"topic":"storm.{n}"}}"#);
            let refused = command_until(
                &mut attacker,
                &(0..600).map(subscribe).collect::<Vec<_>>(),
                "too_many_subscriptions",
            );
            assert_eq!(refused, 100);
            let ended =
                command_until(&mut attacker, &(0..500).map(unsubscribe).collect::<Vec<_>>(), "unsubscribed");
            assert_eq!(ended, 500);
        }
    });
}

#[test]
fn topic_name_floods_end_at_the_bound_and_topics_that_are_there_go_on() {
    let target = Target::start(|config| config.settings.max_topics = 1_000);
    while_others_are_served(target.address, || {
        let (mut attacker, _) = json(target.address);
        let publish = |n| format!(r#"{{"type":"publish","id":{n},"topic":"flood.{n}","data":1}}"#);
        let mut refused = 0;
        for part in 0..20 {
            let commands: Vec<_> = (part * 500..(part + 1) * 500).map(publish).collect();
            refused += command_until(&mut attacker, &commands, "too_many_topics");
        }
        assert!((8_900..9_500).contains(&refused), "{refused} of 10,000 are refused");
    });
}

#[test]
fn pattern_floods_end_at_the_bound() {
    let target = Target::start(|config| config.settings.max_patterns = 200);
    while_others_are_served(target.address, || {
        let (mut attacker, _) = json(target.address);
        let subscribe = |n| format!(r#"{{"type":"subscribe","id":{n},"topic":"flood.{n}.*"}}"#);
        let commands: Vec<_> = (0..1_000).map(subscribe).collect();
        let refused = command_until(&mut attacker, &commands, "too_many_patterns");
        let allowed = 200 / 2;
        assert_eq!(refused, 1_000 - allowed, "the share of one of two cores");
    });
}

#[test]
fn a_publisher_a_hundred_times_too_fast_waits_and_is_closed() {
    let target = Target::start(|config| {
        // More than those that behave well send: they wait for every message to come back.
        config.limits = Limits { bytes_per_second: Some(1 << 20), patience_ms: 500, ..Limits::default() };
    });
    let messages = masked(OpCode::Text, false, &[b'x'; 1_000]).repeat(1_000);
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::web_socket(target.address, "/topics/fast?echo=false", "");
        let mut sender = Attacker(attacker.0.try_clone().expect("a socket"));
        let flood =
            std::thread::spawn(move || (0..100).take_while(|_| sender.send(&messages).is_ok()).count());
        assert_eq!(close_code(&attacker.rest_octets()), 1008);
        // What it still sends finds nobody.
        let _ = attacker.0.shutdown(Shutdown::Both);
        assert!(flood.join().expect("it sends") < 100, "it is ended before it is through");
    });
}

#[test]
fn readers_that_never_read_cost_a_bounded_backlog_and_are_let_go() {
    let target = Target::start(|_| ());
    while_others_are_served(target.address, || {
        let mut sleepers: Vec<_> =
            (0..50).map(|_| Attacker::web_socket(target.address, "/topics/loud", "")).collect();
        let mut publisher = Attacker::web_socket(target.address, "/topics/loud?echo=false", "");
        let message = masked(OpCode::Binary, false, &vec![7; 100_000]);
        // More than the kernel and the broker together hold for one of them.
        (0..150).for_each(|_| publisher.send_whole(&message));
        for sleeper in &mut sleepers {
            let heard = sleeper.rest_octets();
            assert!(heard.len() < 150 * 100_000, "it was let go in the middle");
        }
    });
}
