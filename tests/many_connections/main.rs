//! What very many connections take. The broker is the real binary, in a process of its own with a limit on files of its own.
//!
//! `cargo test --release --test many_connections -- --nocapture --test-threads 1` says how much memory that is.

mod broker;
#[path = "../certificate/mod.rs"]
mod certificate;
mod idle;
mod slow;
