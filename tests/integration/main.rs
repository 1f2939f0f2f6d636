//! The broker as its clients and operators meet it.

mod backpressure;
mod bad_input;
mod binary;
mod compression;
mod config;
mod demo;
mod event_stream;
mod files;
mod http;
mod identity;
mod json;
mod limits;
mod logs;
mod polling;
mod proxies;
mod publishing;
mod raw;
mod shutdown;
mod support;
mod timeouts;
mod tls;
