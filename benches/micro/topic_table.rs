//! Publishes to one of many topics, with nobody listening: a row is found, or made.

use std::cell::LazyCell;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use fanwire_broker::Shard;
use fanwire_wire::topic::Topic;

use crate::fixture::{bench_on, publish, shard, sizes, topic};

/// Topics are published to in leaps of this prime, so that one row does not bring the next into the cache.
const LEAP: usize = 7_919;

pub(crate) fn bench(criterion: &mut Criterion) {
    bench_rows_made(criterion);
    bench_rows_found(criterion);
}

/// The first publish to each of so many topics.
fn bench_rows_made(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("topic_rows_made");
    for topics in sizes([1, 1_000, 1_000_000]) {
        group.throughput(Throughput::Elements(topics as u64));
        let names = LazyCell::new(|| names(topics));
        group.bench_function(BenchmarkId::from_parameter(topics), |bencher| {
            let publish_all = |shard: &mut Shard| {
                for topic in &*names {
                    publish(shard, topic);
                }
                assert_eq!(shard.counters().topics, topics as u64);
            };
            bencher.iter_batched_ref(|| shard(0, 1), publish_all, BatchSize::LargeInput);
        });
    }
}

/// A publish to one of so many topics that were published to before.
fn bench_rows_found(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("topic_rows_found");
    group.throughput(Throughput::Elements(1));
    for topics in sizes([1, 1_000, 1_000_000]) {
        let make = || {
            let mut shard = shard(0, 1);
            let names = names(topics);
            for topic in &names {
                publish(&mut shard, topic);
            }
            (shard, names, 0)
        };
        bench_on(&mut group, topics, make, |(shard, names, published)| {
            publish(shard, &names[*published * LEAP % topics]);
            *published += 1;
            let counters = shard.counters();
            assert_eq!(counters.topics, topics as u64);
            assert_eq!(counters.messages_published, (topics + *published) as u64);
        });
    }
}

fn names(count: usize) -> Vec<Topic> {
    (0..count).map(|n| topic(&format!("device.d{n}.temperature"))).collect()
}
