//! Publishes in JSON that want a receipt, from the text of the command to the frame of the `published`.

use criterion::{Criterion, Throughput};
use fanwire_broker::{Now, Shard};
use fanwire_wire::command;
use fanwire_wire::frame::header_len;

use crate::fixture::{PUBLISHER, Written, bench_on, flush, flush_with, shard};

const PUBLISH: &str =
    r#"{"type":"publish","id":2,"topic":"prices.EURUSD","key":"EURUSD","data":{"bid":1.0831}}"#;
const PUBLISHED: &str =
    r#"{"type":"published","id":2,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":1}"#;

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("receipts_per_flush");
    for commands in [1, 64] {
        group.throughput(Throughput::Elements(commands as u64));
        bench_on(&mut group, commands, publisher, |shard| {
            shard.begin_turn(Now::default());
            (0..commands).for_each(|_| publish(shard));
            // The offset, and so the receipt, only grows.
            let least = commands * (header_len(PUBLISHED.len()) + PUBLISHED.len());
            let Written { writes, bytes } = flush(shard);
            assert!(writes == 1 && bytes >= least, "{bytes} bytes for {commands} receipts");
        });
    }
}

fn publisher() -> Shard {
    let mut shard = shard(0, 1);
    publish(&mut shard);
    flush_with(&mut shard, |bytes| assert!(bytes.ends_with(PUBLISHED.as_bytes())));
    shard
}

fn publish(shard: &mut Shard) {
    shard.handle_command(PUBLISHER, command::parse(PUBLISH).expect("a good command"));
}
