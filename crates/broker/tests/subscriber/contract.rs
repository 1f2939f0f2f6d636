//! What went wrong once, and must not again, each as the smallest sequence of calls.

mod bounds;
mod catching_up;
mod closing;
mod turns;

use bytes::Bytes;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::TopicSettings;
use fanwire_broker::shard::Event;
use fanwire_broker::{Flushed, Interface, Settings, Shard, Start};
use fanwire_wire::command::PayloadKind;
use fanwire_wire::topic::Topic;

use super::{SUBSCRIBER, publish_draft, rule, shard_with};

/// One core with a publisher and a subscriber.
fn shard(interface: Interface, backlog_bytes: usize) -> Shard {
    shard_with(settings(backlog_bytes), interface)
}

/// `kept.>` keeps three messages, `strict.>` lets nobody miss one.
fn settings(backlog_bytes: usize) -> Settings {
    let history = Some(HistoryLimits { messages: 3, bytes: usize::MAX, max_age_ms: None });
    let settings = TopicSettings {
        history,
        last_value: true,
        overflow: OverflowPolicy::Gap,
        ..TopicSettings::default()
    };
    let kept = rule("kept.>", settings);
    let settings = TopicSettings {
        history: None,
        last_value: false,
        overflow: OverflowPolicy::Disconnect,
        ..TopicSettings::default()
    };
    let strict = rule("strict.>", settings);
    Settings { topics: vec![kept, strict], backlog_bytes, ..Settings::default() }
}

fn subscribe(shard: &mut Shard, topic: &str) {
    shard.subscribe(SUBSCRIBER, Topic::parse(topic).unwrap(), Start::Now);
    assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
}

/// The subscriber's event stream, as the server begins it.
fn begin_stream(shard: &mut Shard, topic: &str, start: Start) {
    let topic = Topic::parse(topic).unwrap();
    shard.subscribe(SUBSCRIBER, topic.clone(), start);
    let Some(Event::Subscribed { placement, .. }) = shard.poll_event() else { panic!("no answer") };
    shard.reply(SUBSCRIBER, b"head\n");
    shard.begin_stream(SUBSCRIBER, &topic, placement);
}

fn publish(shard: &mut Shard, topic: &str, byte: u8, bytes: usize) {
    publish_draft(shard, topic, None, PayloadKind::Binary, Bytes::from(vec![byte; bytes]));
}

/// Everything that the subscriber is written, at most `at_once` bytes a time.
fn flush(shard: &mut Shard, at_once: usize) -> Vec<u8> {
    let mut written = Vec::new();
    while let Some(id) = shard.poll_flush() {
        let taken = shard.output(id).len().min(at_once);
        if id == SUBSCRIBER {
            written.extend_from_slice(&shard.output(id)[..taken]);
        }
        shard.wrote(id, taken);
    }
    written
}

/// One write of which the socket takes nothing.
fn block(shard: &mut Shard) {
    assert_eq!(shard.poll_flush(), Some(SUBSCRIBER));
    assert_eq!(shard.wrote(SUBSCRIBER, 0), Flushed::Blocked);
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
