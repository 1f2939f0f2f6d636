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
//! | who is let in, how fast it may send, and what all hold together | `guard` |
//! | taking in connections, and what the kernel is told about them | [`listener`] |
//! | the log | [`log`] |
//! | what goes from one core to another | [`mailbox`] |
//! | what is counted | [`metrics`] |
//! | how octets travel | `transport`, `tls` |
//! | files that are read again when they change | [`reload`] |
//! | when connections are to be looked at again, and the time | [`timer`], `clock` |

mod auth;
pub mod broker;
mod clock;
pub mod config;
mod connection;
mod demo;
mod event_loop;
mod guard;
mod http_api;
pub mod listener;
pub mod log;
pub mod mailbox;
pub mod metrics;
pub mod origin;
mod process;
pub mod reload;
mod site;
pub mod timer;
mod tls;
mod transport;

#[cfg(fuzzing)]
pub use auth::fuzzing;
pub use auth::{KeyError, Mint, SigningKey};
pub use process::{check, run};
pub use tls::TlsError;
