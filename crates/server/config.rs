//! What the operator decides.
//!
//! ```text
//!   flags ──► Flags ──┐
//!                     ├──► resolve ──► Config, which holds; or the ConfigError that says why it cannot
//!   file ───► File ───┘
//! ```
//!
//! Flags win over the file, and the file over the defaults. `docs/fanwire.example.toml` explains every key.

mod auth;
mod error;
mod file;
mod flags;
mod limits;
mod network;
mod resolve;
mod subject;
mod tls;
mod units;
mod written;

use std::ffi::OsString;
use std::fmt::{self, Display as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use clap::Parser;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::settings::{MaxAge, Settings, TopicRule};
use tracing_subscriber::filter::{LevelFilter, Targets};

pub use auth::{
    Algorithm, AuthConfig, BadSecret, CertifiedClient, KeyConfig, KeySource, MetricsAccess, Secret,
};
pub use error::{AuthProblem, ConfigError, Origin, Place, Problem};
pub use limits::{Limits, Proxies, ProxyProtocol};
pub use network::Network;
pub use subject::Subject;
pub(crate) use subject::{NAMES as ATTRIBUTE_NAMES, escaped};
pub use tls::{CertificateFiles, Certificates, ClientCa, TlsConfig};
pub use units::{BadValue, Contexts, Listen};
use written::texts;

use crate::auth::Mint;
use crate::mailbox::MAX_CORES;
use crate::origin::Origins;
use file::Source;
use flags::{Action, CommandLine, Flags, TokenFlags};
pub(crate) use units::Period;
use units::{Compression, Overflow, Size};

/// A configuration that holds: every value is in its range, and no two contradict each other.
///
/// Displayed, it is a configuration file that says the same.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that the operator has by this name")]
pub struct Config {
    /// Where to listen. Without keys a broker lets anybody in who reaches it, so that loopback addresses are the only ones,
    /// unless it is to be open.
    pub listen: Vec<Listen>,
    /// How TLS is spoken, at the addresses where it is.
    pub tls: Option<TlsConfig>,
    /// Event loops, each on a thread of its own: 1 to 64.
    pub cores: usize,
    /// Whether each event loop is pinned to its core.
    pub pin: bool,
    /// Whether clients may negotiate permessage-deflate.
    pub compression: bool,
    /// What connections that negotiate it are compressed with.
    pub contexts: Contexts,
    /// Whether the demo pages and endpoints are served.
    pub demo: bool,
    /// Whether it may be open to others than this machine and ask nobody who it is.
    pub insecure_open: bool,
    /// How it is told who clients are.
    pub auth: AuthConfig,
    /// Of which pages requests are taken besides its own.
    pub origins: Origins,
    /// How long what is waited for.
    pub timeouts: Timeouts,
    /// How much clients may have, together and each address of them.
    pub limits: Limits,
    /// Whose word is taken for who the client is.
    pub proxies: Proxies,
    /// What is logged, and how.
    pub log: LogConfig,
    /// What holds for topics and messages.
    pub settings: Settings,
}

/// How long the broker waits for what. A timer is late by up to 200 milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a whole request, from its first byte or from the start of the connection, in milliseconds.
    pub handshake_ms: u64,
    /// Silence after which a WebSocket peer is sent a ping, or an event stream a heartbeat, in milliseconds.
    pub ping_ms: u64,
    /// Pings in a row that may stay without an answer.
    pub unanswered_pings: u32,
    /// For the peer's part of a close, and again whenever it has read some more of a last answer over HTTP, in milliseconds.
    pub close_ms: u64,
    /// For the next request of an HTTP connection that is kept alive, in milliseconds.
    pub idle_http_ms: u64,
    /// Over which connections are sent away when the broker stops, in milliseconds. What is left after
    /// [`Self::close_ms`] more, or twice the drain, is cut off.
    pub drain_ms: u64,
}

/// More than a timer is late, in milliseconds.
const LATE_MS: u64 = 1_000;

impl Timeouts {
    /// How long a peer may acknowledge nothing before the kernel resets it: longer than it may leave pings without an
    /// answer, so that where the broker can tell, it does. The kernel is for those that it does not read, and does not ping.
    pub fn patience(&self) -> Duration {
        Duration::from_millis((self.ping_ms + LATE_MS) * (u64::from(self.unanswered_pings) + 1))
    }
}

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// The events that are written, by target and level.
    pub level: Targets,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object.
    Json,
}

/// What the process was started for.
#[derive(Debug)]
pub enum Invocation {
    /// To run a broker.
    Run(Box<Config>),
    /// To say which configuration would hold: displayed, it is a file.
    Check(Box<Config>),
    /// To sign a token.
    Token(Box<Mint>),
}

impl Default for Config {
    /// What holds when the operator says nothing.
    fn default() -> Self {
        Self {
            listen: vec![Listen { address: (Ipv4Addr::LOCALHOST, 8080).into(), tls: false }],
            tls: None,
            cores: present_cores().min(MAX_CORES),
            pin: false,
            compression: true,
            contexts: Contexts::Shared,
            demo: false,
            insecure_open: false,
            auth: AuthConfig::default(),
            origins: Origins::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            proxies: Proxies::default(),
            log: LogConfig { format: LogFormat::Text, level: Targets::new().with_default(LevelFilter::INFO) },
            settings: Settings::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake_ms: 10_000,
            // Below the 30 to 60 seconds after which proxies and routers forget a silent connection.
            ping_ms: 25_000,
            unanswered_pings: 2,
            close_ms: 5_000,
            idle_http_ms: 60_000,
            drain_ms: 10_000,
        }
    }
}

/// The cores that the process may use.
fn present_cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

impl Config {
    /// What the process's arguments, the first of which is its name, and the file that they may name ask for.
    pub fn from_args<A>(args: impl IntoIterator<Item = A>) -> Result<Invocation, ConfigError>
    where
        A: Into<OsString> + Clone,
    {
        let CommandLine { action, flags } = CommandLine::try_parse_from(args).map_err(ConfigError::Usage)?;
        match action {
            None => Self::from_flags(flags).map(Invocation::Run),
            Some(Action::Check(flags)) => Self::from_flags(flags).map(Invocation::Check),
            Some(Action::Token(flags)) => Self::mint(flags).map(Box::new).map(Invocation::Token),
        }
    }

    fn compression(&self) -> Compression {
        if self.compression {
            Compression::Above(self.settings.deflate_above_bytes)
        } else {
            Compression::Off
        }
    }

    /// The addresses that others than this machine may reach, and where nobody is asked who it is.
    pub(crate) fn exposed_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        resolve::exposed_addresses(&self.listen, &self.auth, self.tls.as_ref())
    }

    /// The token that the flags ask for, to be signed with their key or the configuration's.
    fn mint(flags: TokenFlags) -> Result<Mint, ConfigError> {
        let auth = match &flags.config {
            Some(path) => {
                let flags = Flags { config: Some(path.clone()), ..Flags::default() };
                Some(Self::from_flags(flags)?.auth)
            }
            None => None,
        };
        resolve::mint(flags, auth)
    }

    fn from_flags(mut flags: Flags) -> Result<Box<Self>, ConfigError> {
        let source = match flags.config.take() {
            Some(path) => Source::read(path)?,
            None => Source::default(),
        };
        resolve::resolve(flags, source.parse()?, &source).map(Box::new)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(&[], f)
    }
}

impl Config {
    /// The same file, where comments say what the limits come out as that it leaves open.
    pub(crate) fn annotated(&self, left_open: &[String]) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write(left_open, f))
    }

    fn write(&self, left_open: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listen = {}", texts(&self.listen))?;
        writeln!(f, "cores = {}", self.cores)?;
        writeln!(f, "pin = {}", self.pin)?;
        writeln!(f, "max_message = \"{}\"", Size(self.settings.max_message_bytes))?;
        writeln!(f, "backlog = \"{}\"", Size(self.settings.backlog_bytes))?;
        writeln!(f, "max_topics = {}", self.settings.max_topics)?;
        writeln!(f, "max_patterns = {}", self.settings.max_patterns)?;
        writeln!(f, "max_subscriptions = {}", self.settings.max_subscriptions)?;
        writeln!(f, "compression = \"{}\"", self.compression())?;
        writeln!(f, "contexts = \"{}\"", self.contexts)?;
        writeln!(f, "drain = \"{}\"", Period(self.timeouts.drain_ms))?;
        writeln!(f, "demo = {}", self.demo)?;
        writeln!(f, "insecure_open = {}", self.insecure_open)?;
        writeln!(f, "\n[origins]\nallow = {}", texts(self.origins.iter()))?;
        self.auth.fmt(f)?;
        self.timeouts.fmt(f)?;
        self.limits.write(left_open, f)?;
        self.proxies.fmt(f)?;
        self.log.fmt(f)?;
        self.tls.as_ref().map_or(Ok(()), |tls| tls.fmt(f))?;
        self.settings.topics.iter().try_for_each(|rule| write_rule(rule, f))
    }
}

impl fmt::Display for Timeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[timeouts]")?;
        writeln!(f, "handshake = \"{}\"", Period(self.handshake_ms))?;
        writeln!(f, "ping = \"{}\"", Period(self.ping_ms))?;
        writeln!(f, "unanswered_pings = {}", self.unanswered_pings)?;
        writeln!(f, "close = \"{}\"", Period(self.close_ms))?;
        writeln!(f, "idle_http = \"{}\"", Period(self.idle_http_ms))
    }
}

impl fmt::Display for LogConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[log]")?;
        writeln!(f, "format = \"{}\"", self.format)?;
        writeln!(f, "level = \"{}\"", self.level)
    }
}

fn write_rule(rule: &TopicRule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "\n[[topics]]")?;
    writeln!(f, "match = \"{}\"", rule.matches)?;
    if let Some(HistoryLimits { messages, bytes, max_age_ms }) = rule.settings.history {
        write!(f, "history = {{ messages = {messages}, bytes = \"{}\"", Size(bytes))?;
        if let Some(max_age_ms) = max_age_ms {
            write!(f, ", max_age = \"{}\"", Period(max_age_ms))?;
        }
        writeln!(f, " }}")?;
    }
    writeln!(f, "last_value = {}", rule.settings.last_value)?;
    if let Some(KeyLimits { max, bytes }) = rule.settings.keys {
        writeln!(f, "keys = {{ max = {max}, bytes = \"{}\" }}", Size(bytes))?;
    }
    if let Some(MessageIdLimits { max, max_age_ms }) = rule.settings.message_ids {
        writeln!(f, "message_ids = {{ max = {max}, max_age = \"{}\" }}", Period(max_age_ms))?;
    }
    if rule.settings.atomic {
        writeln!(f, "atomic = true")?;
    }
    writeln!(f, "overflow = \"{}\"", Overflow(rule.settings.overflow))?;
    if !rule.settings.allow.is_empty() {
        writeln!(f, "allow = {}", texts(rule.settings.allow.iter().copied().map(Overflow)))?;
    }
    match rule.settings.max_age {
        Some(MaxAge { ms, newest }) => {
            writeln!(f, "max_age = \"{}\"\nmax_age_newest = {newest}", Period(ms))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
