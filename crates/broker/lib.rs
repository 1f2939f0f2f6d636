//! The routing core of Fanwire, without I/O.
//!
//! A [`Shard`] is one core's state machine: what comes in goes to its `handle_*` functions, what wants
//! to go out comes from its `poll_*` functions. It opens no socket, reads no clock and starts no thread, so that a
//! simulation can run many of them through any interleaving.
//!
//! ```text
//!   command ─► shard ─ requests ─► home: topic_table (offset, history, cores)
//!                                    │
//!   socket ◄─ palette / write_queue ◄┴─ deliveries ─ subscriptions (who, here)
//! ```
//!
//! | noun | module |
//! |---|---|
//! | one core's state, and the contract | [`shard`] |
//! | which core a topic is at home on | `homes` |
//! | what crosses between cores | [`lanes`], `outbox` |
//! | the topics of a home | [`topic_table`], [`history`], [`last_values`], [`message_ids`], [`patterns`], `waiters` |
//! | who on a core listens | `subscriptions`, `catch_up`, `snapshots` |
//! | many messages in one command | [`batches`] |
//! | one message, or several together, and its octets | [`message`], `tick`, [`encoder`], `palette` |
//! | what a connection has to write | `connections`, `write_queue`, `conflation`, [`overflow`] |
//! | who a client is, and what it may do | [`permissions`] |
//! | what an operator decides | [`settings`] |
#![forbid(unsafe_code)]

pub mod batches;
mod catch_up;
mod conflation;
mod connections;
pub mod encoder;
pub mod history;
mod homes;
pub mod lanes;
pub mod last_values;
pub mod message;
pub mod message_ids;
mod outbox;
pub mod overflow;
mod palette;
pub mod patterns;
pub mod permissions;
pub mod pressure;
pub mod settings;
pub mod shard;
mod snapshots;
mod subscriptions;
mod tick;
pub mod topic_table;
mod waiters;
mod write_queue;

#[cfg(test)]
mod test_support;

pub use connections::Flushed;
pub use encoder::{Encoding, Interface};
pub use lanes::{ConnectionId, Delivery, Request, Start};
pub use message::{Draft, Message};
pub use permissions::Permissions;
pub use pressure::{Pressure, Pressures};
pub use settings::Settings;
pub use shard::{Backlog, Counters, Event, Identity, Now, Shard};
