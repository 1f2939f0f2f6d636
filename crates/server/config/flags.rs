//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::LogFormat;
use super::units::{Address, Count, Level, Period, Size, Switch};

const EXAMPLES: &str = "\
Examples:
  fanwire --demo                                  try it: open http://127.0.0.1:8080/
  fanwire --listen 0.0.0.0:8080 --insecure-open   serve other machines, whoever is on them
  fanwire --config /etc/fanwire.toml              history and overflow policies are set in the file
  fanwire check --config /etc/fanwire.toml        what would hold?

Sizes are written 1000, 64KiB, 1MiB; lengths of time 500ms, 10s, 10m. Flags win over the file.
Keys, timeouts and the rules for topics are set in the file only: docs/fanwire.example.toml has every key.";

/// A pub/sub broker over WebSocket for real-time feeds: every subscriber gets every message of a topic in order,
/// or is told exactly which ones it did not get.
#[derive(Debug, Parser)]
#[command(name = "fanwire", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) action: Option<Action>,
    #[command(flatten)]
    pub(super) flags: Flags,
}

#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Print the configuration that would hold, as a file, and exit: 0 if it is good, 2 if it is not
    Check(Flags),
}

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Read the configuration from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Listen on this address; may be repeated [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Vec<Address>,
    /// Run so many event loops, one per core, at most 64 [default: one for each core of the machine]
    #[arg(long, value_name = "N")]
    pub(super) cores: Option<Count>,
    /// Pin each event loop to its core
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) pin: Option<Switch>,
    /// Refuse messages larger than this [default: 1MiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) max_message: Option<Size>,
    /// Queue at most this much for a connection that does not keep up [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    pub(super) backlog: Option<Size>,
    /// Keep at most so many topics [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(super) max_topics: Option<Count>,
    /// Let a connection have at most so many subscriptions [default: 10000]
    #[arg(long, value_name = "N")]
    pub(super) max_subscriptions: Option<Count>,
    /// Let clients negotiate permessage-deflate [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) compression: Option<Switch>,
    /// When told to stop, take at most this long to flush and say goodbye [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub(super) drain: Option<Period>,
    /// Serve the demo pages and endpoints
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) demo: Option<Switch>,
    /// Let anybody who reaches an address publish and subscribe to everything there; without it, and without keys in the
    /// file, only loopback addresses are listened on
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) insecure_open: Option<Switch>,
    /// Write the log as text or json [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,
    /// Write log events of this level and above, or by target: warn,fanwire=debug [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(super) log_level: Option<Level>,
}
