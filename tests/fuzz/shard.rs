//! Any sequence of calls that keeps the shard's contract: connections of every kind on one to four cores, whose lanes are
//! queues in memory, whose sockets take what they are let take, and whose clock jumps.
//!
//! Checked after every call: what connections hear parses; of each topic, what is delivered, skipped and in gaps is what
//! was published, each once and in order, and only a `subscribed` goes back; what is live follows a snapshot at once;
//! nothing unpublished is heard, and nothing of one id twice; the backlog is bounded. Checked at the end, when everything
//! has come to rest: every question was answered, nothing is left over, no snapshot was behind what is known, no tick was
//! torn, and the shutdown ends.
#![no_main]

#[path = "shard/asking.rs"]
mod asking;
#[path = "../simulation/binary.rs"]
mod binary;
#[path = "shard/broker.rs"]
mod broker;
#[path = "shard/heard.rs"]
mod heard;
#[path = "shard/json.rs"]
mod json;
#[path = "shard/operation.rs"]
mod operation;
#[path = "shard/peer.rs"]
mod peer;
#[path = "shard/publishing.rs"]
mod publishing;
#[path = "shard/settings.rs"]
mod settings;
#[path = "shard/snapshot.rs"]
mod snapshot;
#[path = "shard/socket.rs"]
mod socket;
#[path = "../simulation/together.rs"]
mod together;
#[path = "shard/truth.rs"]
mod truth;
#[path = "../simulation/values.rs"]
mod values;
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
