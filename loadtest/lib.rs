//! The load generator: WebSocket push measured against HTTP polling.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts and times become figures: none is negative, and 52 bits are enough for any of them"
)]

pub mod bootstrap;
pub mod bytes;
pub mod campaign;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod conversation;
pub mod doctor;
pub mod environment;
pub mod interruption;
pub mod latencies;
pub mod ledger;
pub mod link;
pub mod live;
pub mod opening;
pub mod payload;
pub mod percentile;
pub mod plan;
pub mod presenting;
pub mod progress;
pub mod publisher;
pub mod ratios;
pub mod receiver;
pub mod record;
pub mod recording;
pub mod report;
pub mod run;
pub mod schedule;
pub mod session;
pub mod socket;
pub mod tally;
pub mod target;
pub mod threshold;
pub mod transport;
pub mod units;
pub mod usage;
pub mod verdict;
pub mod workload;
