//! The Fanwire broker: sockets, threads and the clock around the routing core.
//!
//! | what | module |
//! |---|---|
//! | one running broker | [`broker`] |
//! | a process that is one | [`run`] |
//! | one core's event loop, a phase of its turn in each file | `event_loop` |
//! | one accepted socket | `connection` |
//! | who clients are, and of which pages | `auth`, [`origin`] |
//! | what HTTP requests ask for, and what they are answered | `http_api`, `demo` |
//! | what all cores share | `site` |
//! | what the operator decides | [`config`] |
//! | taking in connections, and what the kernel is told about them | [`listener`] |
//! | the log | [`log`] |
//! | what goes from one core to another | [`mailbox`] |
//! | what is counted | [`metrics`] |
//! | when connections are to be looked at again, and the time | [`timer`], `clock` |

mod auth;
pub mod broker;
mod clock;
pub mod config;
mod connection;
mod demo;
mod event_loop;
mod http_api;
pub mod listener;
pub mod log;
pub mod mailbox;
pub mod metrics;
pub mod origin;
mod process;
mod site;
pub mod timer;

pub use auth::{KeyError, Mint, SigningKey};
pub use process::run;
