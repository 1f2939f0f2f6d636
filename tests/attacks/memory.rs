//! The memory budgets reached.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use fanwire::config::{Certificates, Config, Limits, TlsConfig};
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::frame::OpCode;
use fanwire_wire::topic::TopicOrPattern;
use socket2::{Domain, Socket, Type};
use tungstenite::Message;

use crate::certificate::Certificate;
use crate::support::{
    Attacker, PATIENCE, Target, close_code, figure, figure_with, files, is_well, json, masked, next_text,
    upgrade, wait_until, web_socket, while_others_are_served,
};

const MIB: u64 = 1 << 20;

/// Posts 100 KB on a topic; the answer.
fn post(client: &mut Attacker, topic: &str) -> String {
    let head = "Host: localhost\r\nContent-Type: text/plain\r\nContent-Length: 100000";
    let request = format!("POST /topics/{topic} HTTP/1.1\r\n{head}\r\n\r\n{}", "x".repeat(100_000));
    client.send_whole(request.as_bytes());
    let mut answer = Vec::new();
    while !answer.ends_with(b"}\n") {
        let mut octet = [0];
        client.0.read_exact(&mut octet).expect("the broker answers");
        answer.extend(octet);
    }
    String::from_utf8(answer).expect("text")
}

fn is_taken(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
}

#[test]
fn a_full_memory_budget_costs_newcomers_and_new_topics_and_nobody_who_is_there() {
    let limits = Limits { memory: Some(8 * MIB), history_memory: Some(8 * MIB), ..Limits::default() };
    let target = Target::start(|config| config.limits = limits);
    let mut subscriber = web_socket(target.address, "there");
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::connect(target.address);
        let taken = (0..500).filter(|n| is_taken(&post(&mut attacker, &format!("big.{n}")))).count();
        assert!((60..90).contains(&taken), "{taken} topics of 100 KB in 8 MiB");
        let mut newcomer = Attacker::connect(target.address);
        let told = newcomer.rest();
        assert!(told.starts_with("HTTP/1.1 503 ") && told.contains("short_of_memory"), "{told}");
        subscriber.send(Message::text("still there")).unwrap();
        assert_eq!(next_text(&mut subscriber), "still there");
    });
}

#[test]
fn last_values_at_the_budget_of_histories_cost_new_topics_and_not_newcomers() {
    let target =
        Target::start(|config| config.limits = Limits { memory: Some(8 * MIB), ..Limits::default() });
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::connect(target.address);
        let taken = (0..500).filter(|n| is_taken(&post(&mut attacker, &format!("big.{n}")))).count();
        assert!((30..45).contains(&taken), "{taken} topics of 100 KB in half of 8 MiB");
        assert!(is_well(target.address), "newcomers are let in");
    });
}

#[test]
fn histories_at_their_budget_let_the_oldest_go_which_who_asks_for_it_is_told() {
    let history = HistoryLimits { messages: usize::MAX, bytes: usize::MAX, max_age_ms: None };
    let settings = TopicSettings { history: Some(history), last_value: false, ..TopicSettings::default() };
    let matches = TopicOrPattern::parse("kept").expect("a topic");
    let target = Target::start(|config| {
        config.settings.topics = vec![TopicRule { matches, settings }];
        config.limits = Limits { history_memory: Some(2 * MIB), ..Limits::default() };
    });
    while_others_are_served(target.address, || {
        let mut attacker = Attacker::connect(target.address);
        let answers: Vec<_> = (0..40).map(|_| post(&mut attacker, "kept")).collect();
        assert!(answers.iter().all(|answer| is_taken(answer)), "a topic that is there goes on");
        wait_until("the oldest is let go", || figure(target.address, "fanwire_kept_bytes") < 2 * MIB);

        let (mut late, epoch) = json(target.address);
        let since = format!(r#"{{"epoch":"{epoch}","offset":0}}"#);
        late.send(Message::text(format!(r#"{{"type":"subscribe","topic":"kept","since":{since}}}"#)))
            .unwrap();
        assert!(next_text(&mut late).contains(r#""recovered":false"#));
        let gap = next_text(&mut late);
        assert!(gap.starts_with(r#"{"type":"gap","topic":"kept","from":1,"#), "{gap}");
    });
}

#[test]
fn backlogs_at_their_budget_cost_those_that_do_not_read_and_nobody_else() {
    const SLEEPERS: u64 = 8;
    let target = Target::start(|config| {
        // One alone may have more than all together.
        config.settings.backlog_bytes = 1 << 30;
        config.limits = Limits { memory: Some(16 << 30), backlog_memory: Some(4 * MIB), ..Limits::default() };
    });
    while_others_are_served(target.address, || {
        let _sleepers: Vec<_> =
            (0..SLEEPERS).map(|_| Attacker::web_socket(target.address, "/topics/loud", "")).collect();
        let mut publisher = Attacker::web_socket(target.address, "/topics/loud?echo=false", "");
        let message = masked(OpCode::Binary, false, &vec![7; 100_000]);
        wait_until("those that do not read are let go", || {
            publisher.send_whole(&message);
            figure_with(target.address, "fanwire_disconnects_total", "short_of_memory") == SLEEPERS
        });
        assert!(figure(target.address, "fanwire_backlog_bytes") < 4 * MIB);
    });
}

/// A socket that has room for little.
fn narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    socket.connect(&address.into()).expect("the kernel accepts");
    socket.into()
}

/// Has subscribers let go that have read the head of their answer and read no more, for one message: each holds the rest of it,
/// which was begun, so that it goes only with its connection.
fn have_let_go(target: &Target, message_bytes: usize, sleeper: impl Fn() -> Box<dyn Read>) {
    const SLEEPERS: usize = 64;
    while_others_are_served(target.address, || {
        let _sleepers: Vec<_> = (0..SLEEPERS).map(|_| sleeper()).collect();
        let mut publisher = Attacker::web_socket(target.address, "/topics/loud?echo=false", "");
        publisher.send_whole(&masked(OpCode::Binary, false, &vec![7; message_bytes]));
        let let_go = || figure_with(target.address, "fanwire_disconnects_total", "short_of_memory");
        wait_until("those that hold the most are let go", || let_go() > 0);
        wait_until("the rest has room", || figure(target.address, "fanwire_backlog_bytes") < MIB);
        assert!(is_well(target.address), "newcomers are let in");
    });
}

/// A broker whose backlogs may be 1 MiB together, and which waits long for those whom it closes.
fn patient_target(configure: impl FnOnce(&mut Config)) -> Target {
    Target::start(|config| {
        config.timeouts.close_ms = 600_000;
        config.limits = Limits { memory: Some(16 << 30), backlog_memory: Some(MIB), ..Limits::default() };
        configure(config);
    })
}

#[test]
fn readers_that_never_read_the_rest_of_a_long_message_do_not_hold_it_until_they_have_closed() {
    let target = patient_target(|_| {});
    have_let_go(&target, 1_000_000, || {
        let mut socket = narrow(target.address);
        upgrade(&mut socket, "/topics/loud", "");
        Box::new(socket)
    });
}

/// What the socket of such a reader does not take is sealed already, so that no write queue has it.
#[test]
fn readers_over_tls_that_never_read_are_seen_in_the_budget_of_backlogs() {
    let certificate = Certificate::write(Path::new(env!("CARGO_TARGET_TMPDIR")), "sleepers");
    let target = patient_target(|config| {
        config.listen.push("tls://127.0.0.1:0".parse().unwrap());
        let certificates = Certificates::Files(vec![files(&certificate)]);
        config.tls = Some(TlsConfig { certificates, clients: None });
    });
    have_let_go(&target, 60_000, || {
        let mut socket = certificate.speak(narrow(target.tls_address()));
        upgrade(&mut socket, "/topics/loud", "");
        Box::new(socket)
    });
}

#[test]
fn a_subscriber_that_is_closed_for_its_backlog_is_told_so_when_it_reads_on() {
    // One alone may have more than all together.
    let target = patient_target(|config| config.settings.backlog_bytes = 1 << 30);
    let subscriptions = || figure(target.address, "fanwire_subscriptions");
    let mut sleeper = Attacker(narrow(target.address));
    upgrade(&mut sleeper.0, "/topics/loud", "");
    let mut publisher = Attacker::web_socket(target.address, "/topics/loud", "");
    wait_until("both are there", || subscriptions() == 2);
    while subscriptions() == 2 {
        publisher.send_whole(&masked(OpCode::Binary, false, &[7; 1_000]).repeat(10));
        publisher.0.read_exact(&mut [0; 10 * 1_004]).expect("its own messages");
    }
    assert_eq!(close_code(&sleeper.rest_octets()), 1013);
}
