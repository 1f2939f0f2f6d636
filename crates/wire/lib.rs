//! The wire of Fanwire, without I/O.
//!
//! Bytes in, borrowed values out; values in, bytes out. Nothing here knows of a socket, a clock or a thread,
//! so that every path can be tested and fuzzed as a function.
//!
//! | from the outside in | module |
//! |---|---|
//! | HTTP/1.1 requests, bodies and responses | [`http`] |
//! | the upgrade to WebSocket, both roles (RFC 6455 §4) | [`handshake`] |
//! | whom a proxy speaks for | [`proxy`] |
//! | one frame (RFC 6455 §5) and its mask | [`frame`], [`mask`] |
//! | one message: fragments joined, inflated, checked | [`message`], [`deflate`], [`utf8`] |
//! | the closing handshake's codes (RFC 6455 §7.4) | [`close`] |
//! | Server-Sent Events | [`event_stream`] |
//! | what a message says to the broker, and what the broker says | [`topic`], [`command`], [`notification`] |
//! | the same in octets | [`binary`] |
//! | what can be wrong, and who is to blame | [`error`] |
//! | every bound | [`limits`] |
#![forbid(unsafe_code)]

pub mod binary;
pub mod close;
pub mod command;
pub mod deflate;
pub mod error;
pub mod event_stream;
pub mod frame;
pub mod handshake;
pub mod http;
pub mod limits;
pub mod mask;
pub mod message;
pub mod notification;
pub mod proxy;
pub mod topic;
pub mod utf8;
