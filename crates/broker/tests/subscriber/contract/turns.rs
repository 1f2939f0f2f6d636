//! Who is flushed, in which order, and that nobody is forgotten.

use fanwire_broker::shard::Event;
use fanwire_broker::{ConnectionId, Encoding, Flushed, Interface, Permissions, Shard, Start};
use fanwire_wire::topic::Topic;

use super::{flush, publish, shard, subscribe};

#[test]
fn who_was_given_something_first_is_flushed_first() {
    let mut shard = shard(Interface::Raw, 100_000);
    let ids = [10, 11, 12].map(|slot| ConnectionId { slot, generation: 0 });
    for id in ids {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Raw, deflate_window_bits: None });
        shard.subscribe(id, Topic::parse("news").unwrap(), Start::Now);
        assert!(matches!(shard.poll_event(), Some(Event::Subscribed { .. })));
    }
    let flush_one = |shard: &mut Shard| {
        let id = shard.poll_flush()?;
        let bytes = shard.output(id).len();
        assert_eq!(shard.wrote(id, bytes), Flushed::Empty);
        Some(id)
    };
    publish(&mut shard, "news", 1, 100);
    let first = flush_one(&mut shard).unwrap();
    publish(&mut shard, "news", 2, 100);
    let rest: Vec<_> = std::iter::from_fn(|| flush_one(&mut shard)).collect();
    assert_eq!(rest.len(), 3);
    assert_eq!(rest[2], first, "the others were given the first message before it was given the second");
}

#[test]
fn each_subscriber_of_a_topic_is_served_first_in_its_turn() {
    let mut shard = shard(Interface::Raw, 100_000);
    let interfaces = [Interface::Json, Interface::Raw, Interface::Raw, Interface::Json, Interface::Binary];
    let ids: Vec<_> = (10..15).map(|slot| ConnectionId { slot, generation: 0 }).collect();
    for (&id, interface) in ids.iter().zip(interfaces) {
        shard.connect(id);
        shard.permit(id, Permissions::everything());
        shard.upgrade(id, Encoding { interface, deflate_window_bits: None });
        shard.subscribe(id, Topic::parse("news").unwrap(), Start::Now);
    }
    flush(&mut shard, usize::MAX);
    let mut orders = Vec::new();
    for n in 0..10 {
        publish(&mut shard, "news", n, 10);
        let mut order = Vec::new();
        while let Some(id) = shard.poll_flush() {
            order.push(id);
            let bytes = shard.output(id).len();
            shard.wrote(id, bytes);
        }
        orders.push(order);
    }
    for place in 0..5 {
        for id in &ids {
            let times = orders.iter().filter(|order| order[place] == *id).count();
            assert_eq!(times, 2, "{id:?} is number {place} as often as the others");
        }
    }
}

#[test]
fn a_full_palette_is_work_until_it_is_emptied() {
    let mut shard = shard(Interface::Raw, 100_000);
    subscribe(&mut shard, "news");
    publish(&mut shard, "news", 1, 1024 * 1024);
    assert!(!shard.may_read());
    let id = shard.poll_flush().unwrap();
    let bytes = shard.output(id).len();
    assert_eq!(shard.wrote(id, bytes), Flushed::Empty);
    assert!(shard.may_read() || shard.has_output(), "nothing else would ever make room");
}
