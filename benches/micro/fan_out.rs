//! One topic to so many subscribers: publish, fan out, and flush to sockets that cost nothing.

use criterion::{Criterion, Throughput};

use crate::fixture::{bench_on, crowd, sizes, to_each, topic, turn};

pub(crate) fn bench(criterion: &mut Criterion) {
    let topic = topic("prices.EURUSD");
    for messages in [1, 64] {
        let mut group = criterion.benchmark_group(format!("fan_out_{messages}_per_flush"));
        for subscribers in sizes([1, 100, 10_000, 1_000_000]) {
            group.throughput(Throughput::Elements((subscribers * messages) as u64));
            let make = || crowd(&topic, subscribers);
            bench_on(&mut group, subscribers, make, |shard| {
                assert_eq!(turn(shard, &topic, messages), to_each(subscribers, messages));
            });
        }
    }
}
