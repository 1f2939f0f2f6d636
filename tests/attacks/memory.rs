//! The memory budget reached.

use fanwire::config::Limits;

use crate::support::{Attacker, Target, next_text, web_socket, while_others_are_served};

/// Posts 100 KB on a topic of its own; the status.
fn post(client: &mut Attacker, topic: usize) -> u16 {
    use std::io::Read;
    let head = "Host: x\r\nContent-Type: text/plain\r\nContent-Length: 100000";
    let request = format!("POST /topics/big.{topic} HTTP/1.1\r\n{head}\r\n\r\n{}", "x".repeat(100_000));
    client.send_whole(request.as_bytes());
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") {
        let mut octet = [0];
        client.0.read_exact(&mut octet).expect("the broker answers");
        answer.extend(octet);
    }
    let status =
        answer.get("HTTP/1.1 ".len()..).and_then(|rest| str::from_utf8(rest.get(..3)?).ok()?.parse().ok());
    status.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)))
}

#[test]
fn a_full_memory_budget_costs_newcomers_and_new_topics_and_nobody_who_is_there() {
    let target =
        Target::start(|config| config.limits = Limits { memory: Some(8 << 20), ..Limits::default() });
    let mut subscriber = web_socket(target.address, "there");
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::connect(target.address);
        let taken = (0..500).filter(|topic| post(&mut attacker, *topic) == 200).count();
        assert!((60..90).contains(&taken), "{taken} topics of 100 KB in 8 MiB");
        let mut newcomer = Attacker::connect(target.address);
        let told = newcomer.rest();
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("short_of_memory"), "{told}");
        subscriber.send(tungstenite::Message::text("still there")).unwrap();
        assert_eq!(next_text(&mut subscriber), "still there");
    });
}
