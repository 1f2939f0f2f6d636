//! Clients that send more than makes sense.

use std::net::Shutdown;

use fanwire::config::Limits;
use fanwire_wire::deflate::Deflater;
use fanwire_wire::frame::OpCode;

use crate::support::{
    Attacker, Target, close_code, json, masked, next_text, web_socket, while_others_are_served,
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
fn command_until(
    attacker: &mut tungstenite::WebSocket<std::net::TcpStream>,
    commands: &[String],
    text: &str,
) -> usize {
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
        let (mut attacker, _) = json(&target);
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
        let (mut attacker, _) = json(&target);
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
