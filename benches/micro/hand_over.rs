//! A publisher on one core, and the topic's home and its subscriber on the other: what the hop costs.
//!
//! Both shards are driven by one thread, and batches are moved by hand: the mailbox and the wake are not in it.

use criterion::{Criterion, Throughput};
use fanwire_broker::{Now, Shard};
use fanwire_wire::topic::Topic;

use crate::fixture::{PUBLISHER, Written, bench_on, flush, publish, shard, subscribe, to_each, topic};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hand_over_per_turn");
    for messages in [1, 64] {
        group.throughput(Throughput::Elements(messages as u64));
        bench_on(&mut group, messages, Cores::new, |cores| {
            assert_eq!(cores.turn(messages), to_each(1, messages));
        });
    }
}

struct Cores {
    publishers: Shard,
    home: Shard,
    topic: Topic,
}

impl Cores {
    fn new() -> Self {
        let (mut publishers, mut home) = (shard(0, 2), shard(1, 2));
        let topic = topic_away_from(&mut publishers);
        subscribe(&mut home, 1..2, |_| topic.clone());
        Self { publishers, home, topic }
    }

    fn turn(&mut self, messages: usize) -> Written {
        self.publishers.begin_turn(Now::default());
        (0..messages).for_each(|_| publish(&mut self.publishers, &self.topic));
        let batch = self.publishers.poll_requests(1).expect("what was published");

        self.home.begin_turn(Now::default());
        for request in batch {
            self.home.handle_request(0, request);
        }
        assert!(self.home.poll_deliveries(0).is_none(), "nobody there wants a receipt");
        flush(&mut self.home)
    }
}

/// A topic whose home is the other core: there it is asked for.
fn topic_away_from(shard: &mut Shard) -> Topic {
    let mut candidates = (0..).map(|number| topic(&format!("prices.p{number}")));
    candidates
        .find(|topic| {
            shard.latest(PUBLISHER, topic.clone());
            shard.poll_event().is_none() && shard.poll_requests(1).is_some()
        })
        .expect("one of endlessly many")
}
