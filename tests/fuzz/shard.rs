//! Any sequence of calls that keeps the shard's contract: connections of every kind on one to four cores, whose lanes are
//! queues in memory, whose sockets take what they are let take, and whose clock jumps.
//!
//! Checked after every call: what connections hear parses; each topic's offsets increase, and only a `subscribed` takes
//! them back; what is missing between them is told, without a hole; nothing unpublished is heard; the backlog is
//! bounded. Checked at the end, when everything has come to rest: every question was answered, nothing is left over,
//! and the shutdown ends.
#![no_main]

#[path = "shard/asking.rs"]
mod asking;
#[path = "../simulation/binary.rs"]
mod binary;
#[path = "shard/broker.rs"]
mod broker;
#[path = "shard/operation.rs"]
mod operation;
#[path = "shard/peer.rs"]
mod peer;
#[path = "shard/settings.rs"]
mod settings;
#[path = "shard/socket.rs"]
mod socket;
#[path = "shard/truth.rs"]
mod truth;
#[path = "shard/working.rs"]
mod working;

use libfuzzer_sys::fuzz_target;

use crate::broker::Broker;
use crate::operation::Scenario;

fuzz_target!(|scenario: Scenario| {
    let mut broker = Broker::new(scenario.cores, scenario.hash_key, scenario.octets);
    for operation in scenario.operations {
        broker.operate(operation);
        broker.assert_bounded();
    }
    broker.end();
});
