//! A publish costs by the subscribers that it reaches, and by nothing else: the same publish to the same hundred,
//! alone and in a broker that is full of what it does not reach.

use criterion::{Criterion, Throughput};
use fanwire_broker::{Interface, Shard};
use fanwire_wire::command::{Command, Envelope};
use fanwire_wire::topic::{Topic, TopicOrPattern};

use crate::fixture::{
    LARGEST, bench_on, connect, connection, crowd, flush, publish, subscribe, to_each, topic, turn,
};
use crate::patterns::unmatched_patterns;

const REACHED: usize = 100;

/// Of connections that are not reached: a topic of theirs has as many as this.
const CONNECTIONS_PER_TOPIC: usize = 1_000;

/// Fills a shard with what the publish does not reach.
type Fill = fn(&mut Shard);

pub(crate) fn bench(criterion: &mut Criterion) {
    let topic = topic("room.lobby.typing");
    let beside: [(&str, Fill); 4] = [
        ("alone", |_| {}),
        ("1000000_topics", fill_with_topics),
        ("1000000_connections", fill_with_connections),
        ("10000_patterns", fill_with_patterns),
    ];
    let mut group = criterion.benchmark_group("reach_100");
    group.throughput(Throughput::Elements(REACHED as u64));
    for (name, fill) in beside {
        let make = || {
            let mut shard = crowd(&topic, REACHED);
            fill(&mut shard);
            shard
        };
        bench_on(&mut group, name, make, |shard| {
            assert_eq!(turn(shard, &topic, 1), to_each(REACHED, 1));
        });
    }
}

fn other_topic(number: usize) -> Topic {
    topic(&format!("room.r{number}.moves"))
}

fn fill_with_topics(shard: &mut Shard) {
    (0..LARGEST).for_each(|number| publish(shard, &other_topic(number)));
    assert_eq!(shard.counters().topics, 1 + LARGEST as u64);
}

fn fill_with_connections(shard: &mut Shard) {
    let slots = 1 + REACHED..1 + REACHED + LARGEST;
    subscribe(shard, slots, |slot| other_topic(slot / CONNECTIONS_PER_TOPIC));
    assert_eq!(shard.counters().subscriptions, (REACHED + LARGEST) as u64);
}

/// Each pattern has a connection of its own.
fn fill_with_patterns(shard: &mut Shard) {
    let patterns = 10_000.min(LARGEST);
    for (number, pattern) in unmatched_patterns(patterns).enumerate() {
        let id = connection(1 + REACHED + number);
        connect(shard, id, Interface::Json);
        let command = Command::subscribe(TopicOrPattern::Pattern(pattern), None);
        shard.handle_command(id, Envelope { id: None, command });
    }
    assert_eq!(flush(shard).writes, patterns);
    assert_eq!(shard.counters().subscriptions, (REACHED + patterns) as u64);
}
