//! The promise through real sockets and kernel buffers: a thousand subscribers, of whom many are slow, and some stop
//! reading or go in the middle of a frame. Whoever stays gets every message in order, or is told which ones it did not
//! get: delivered + skipped + gapped = published.

mod account;
mod bucket;
#[path = "../certificate/mod.rs"]
mod certificate;
mod client;
mod feed;
mod subscriber;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fanwire::broker::Broker;
use fanwire::config::{CertificateFiles, Certificates, Config, TlsConfig};
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::topic::TopicOrPattern;

use self::account::Sum;
use self::bucket::Pace;
use self::certificate::Certificate;
use self::feed::Feed;
use self::subscriber::{Fate, Subscriber};
use self::wire::Door;

/// Messages of each topic: for a subscriber of three topics, several times what a backlog and the kernel's buffers hold.
const ROUNDS: u64 = 200;

/// Everything takes a few seconds. Waiting this long is a failure.
const PATIENCE: Duration = Duration::from_mins(4);

/// How often a subscriber that is read from slowly is looked at.
const TICK: Duration = Duration::from_millis(10);

const BACKLOG_BYTES: usize = 64 * 1024;

/// A timeout that does not come.
const NEVER_MS: u64 = 3_600_000;

fn config(certificate: Option<&Certificate>) -> Config {
    let listen = if certificate.is_some() { "tls://127.0.0.1:0" } else { "127.0.0.1:0" };
    let mut config = Config { cores: 2, listen: vec![listen.parse().unwrap()], ..Config::default() };
    config.tls = certificate.map(|Certificate { cert, key, .. }| TlsConfig {
        certificates: Certificates::Files(vec![CertificateFiles { cert: cert.clone(), key: key.clone() }]),
        clients: None,
    });
    config.settings.backlog_bytes = BACKLOG_BYTES;
    config.settings.topics = vec![
        rule("history.*", OverflowPolicy::Gap, Some(50)),
        rule("gap.*", OverflowPolicy::Gap, None),
        rule("conflate.*", OverflowPolicy::Conflate, None),
        rule("strict.*", OverflowPolicy::Disconnect, None),
    ];
    // Nobody here answers pings.
    config.timeouts.ping_ms = NEVER_MS;
    // Who does not read finds its close frame when it does.
    config.timeouts.close_ms = NEVER_MS;
    config
}

fn rule(matches: &str, overflow: OverflowPolicy, messages: Option<usize>) -> TopicRule {
    let history = messages.map(|messages| HistoryLimits { messages, bytes: usize::MAX, max_age_ms: None });
    TopicRule {
        matches: TopicOrPattern::parse(matches).unwrap(),
        settings: TopicSettings { history, last_value: false, overflow, ..TopicSettings::default() },
    }
}

/// Who reads how: four in ten as fast as they can.
fn pace(number: usize) -> Pace {
    match number % 10 {
        0..4 => Pace::Free,
        4 | 5 => Pace::BytesPerSecond(50_000),
        6 => Pace::BytesPerSecond(5_000),
        7 => Pace::BytesPerSecond(1),
        _ => Pace::Stopped,
    }
}

fn fate(number: usize) -> Fate {
    if number % 10 == 9 { Fate::ResetInMidFrame } else { Fate::Stays }
}

/// One topic of each policy. A slow subscriber of a strict topic is disconnected, so only one in a hundred has one.
fn topics(number: usize) -> Vec<String> {
    let policies = ["history", "gap", "conflate", "strict"];
    let count = if number % 100 == 8 { 4 } else { 3 };
    policies[..count].iter().map(|policy| format!("{policy}.{}", number % feed::TOPICS_OF_A_POLICY)).collect()
}

#[test]
fn a_thousand_subscribers_get_every_message_or_are_told() {
    everybody_gets_every_message_or_is_told(1_000, None);
}

/// Fewer, because the clients' share of the cryptography is this test's to do.
#[test]
fn three_hundred_subscribers_over_tls_get_every_message_or_are_told() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    everybody_gets_every_message_or_is_told(300, Some(Certificate::write(directory, "feeds")));
}

fn everybody_gets_every_message_or_is_told(subscribers: usize, certificate: Option<Certificate>) {
    let broker = Broker::start(config(certificate.as_ref())).expect("a broker starts");
    let door = Door { address: broker.addresses()[0], certificate: certificate.map(Arc::new) };
    let mut subscribers: Vec<Subscriber> = (0..subscribers)
        .map(|number| Subscriber::connect(&door, number, &topics(number), pace(number), fate(number)))
        .collect();
    run_until(&mut subscribers, "everybody subscribes", Subscriber::is_subscribed);
    let feed = std::thread::spawn(move || Feed::connect(&door).publish(ROUNDS));
    run_until(&mut subscribers, "the feed ends", |_| feed.is_finished());
    let published = feed.join().expect("the feed ends well");
    subscribers.iter_mut().for_each(Subscriber::read_freely);
    run_until(&mut subscribers, "everybody comes to the end", |subscriber| subscriber.has_all_of(&published));

    let mut sums = Sum::default();
    for subscriber in &subscribers {
        sums += subscriber.sum(&published);
    }
    println!("{sums:?}");
    assert!(sums.is_worth_it(), "nobody was slow: {sums:?}");
    broker.stopper().stop();
    broker.join().expect("every core ends well");
}

/// Lets everybody read at its pace until `is_done` is so of all who are still there.
fn run_until(subscribers: &mut [Subscriber], what: &str, is_done: impl Fn(&Subscriber) -> bool) {
    let began = Instant::now();
    loop {
        let now = Instant::now();
        for subscriber in subscribers.iter_mut() {
            subscriber.turn(now);
        }
        let waiting =
            subscribers.iter().filter(|subscriber| subscriber.is_there() && !is_done(subscriber)).count();
        if waiting == 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not so for {waiting} subscribers");
        std::thread::sleep(TICK.saturating_sub(now.elapsed()));
    }
}
