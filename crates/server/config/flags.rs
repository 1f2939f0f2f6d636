//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use super::LogFormat;
use super::auth::Algorithm;
use super::units::{
    Compression, Contexts, Count, FilePath, Level, Listen, Match, Name, Period, Size, Switch,
};
use crate::origin::AllowedOrigin;

/// No line is longer than the 80 columns of the narrowest usual terminal: a longer one is wrapped in the middle of a command.
const EXAMPLES: &str = "\
Examples:
  Try it: open http://127.0.0.1:8080/
    fanwire --demo
  Serve other machines, whoever is on them:
    fanwire --listen 0.0.0.0:8080 --insecure-open
  Speak wss:// and https://, with a certificate to try it with:
    fanwire --listen tls://127.0.0.1:8443 --tls-self-signed
  Keep histories and say what becomes of slow readers, which the file does:
    fanwire --config /etc/fanwire.toml
  Look what would hold:
    fanwire check --config /etc/fanwire.toml
  Make a token to try it with:
    fanwire token --config fanwire.toml --subject alice --subscribe 'prices.>'

Sizes are written 1000, 64KiB, 1MiB; lengths of time 500ms, 10s, 10m. Flags win
over the file. Keys, timeouts, client certificates and the rules for topics are
set in the file only: docs/fanwire.example.toml has every key.";

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
    /// Print a token for trying out, signed with a key of the configuration or of a file, and exit
    Token(TokenFlags),
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("signed_with").args(["config", "key_file"]).required(true))]
pub(super) struct TokenFlags {
    /// Sign with the first secret of this configuration, for the first issuer and audience in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "key_id"])]
    pub(super) config: Option<PathBuf>,
    /// Sign with this key: a secret, or a private key in PEM
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// What the key is for [default: HS256]
    #[arg(long, value_name = "HS256|RS256|ES256|EdDSA")]
    pub(super) algorithm: Option<Algorithm>,
    /// Name the key, as kid
    #[arg(long, value_name = "ID")]
    pub(super) key_id: Option<Name>,
    /// Who the client is
    #[arg(long, value_name = "NAME")]
    pub(super) subject: Name,
    /// Let it read this topic or pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(super) subscribe: Vec<Match>,
    /// Let it publish to this topic or pattern; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub(super) publish: Vec<Match>,
    /// Let it read /metrics
    #[arg(long)]
    pub(super) metrics: bool,
    /// How long it holds
    #[arg(long, value_name = "TIME", default_value = "1h")]
    pub(super) ttl: Period,
    /// Who issues it (iss)
    #[arg(long, value_name = "NAME")]
    pub(super) issuer: Option<Name>,
    /// For whom it is (aud)
    #[arg(long, value_name = "NAME")]
    pub(super) audience: Option<Name>,
}

#[derive(Debug, Default, Args)]
pub(super) struct Flags {
    /// Read the configuration from a TOML file
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Listen on ADDR (over TLS with tls:// in front); may be repeated [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Vec<Listen>,
    /// The PEM file of the certificate for tls:// addresses, with its chain
    #[arg(long, value_name = "FILE")]
    pub(super) tls_cert: Option<FilePath>,
    /// The PEM file of the certificate's key
    #[arg(long, value_name = "FILE")]
    pub(super) tls_key: Option<FilePath>,
    /// Make a certificate of its own for tls:// addresses, to try TLS out: no client trusts it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) tls_self_signed: Option<Switch>,
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
    /// Let clients subscribe to at most so many patterns [default: 100000]
    #[arg(long, value_name = "N")]
    pub(super) max_patterns: Option<Count>,
    /// Let a connection have at most so many subscriptions [default: 10000]
    #[arg(long, value_name = "N")]
    pub(super) max_subscriptions: Option<Count>,
    /// Let clients negotiate permessage-deflate: off, on, or from which size of payload on it is used [default: on]
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub(super) compression: Option<Compression>,
    /// Compress with contexts that are shared by all, or with each connection's own [default: shared]
    #[arg(long, value_name = "WHICH")]
    pub(super) contexts: Option<Contexts>,
    /// When told to stop, send connections away one after the other, for at most this long [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub(super) drain: Option<Period>,
    /// Serve the demo pages and endpoints
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) demo: Option<Switch>,
    /// Let web pages of this origin use the broker, besides those that it serves itself; may be repeated
    #[arg(long, value_name = "https://HOST")]
    pub(super) allow_origin: Vec<AllowedOrigin>,
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
