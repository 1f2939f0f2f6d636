//! How much of everything clients may have, and whose word is taken for who they are.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use fanwire_wire::limits::{MAX_BATCH_MESSAGES, MAX_HEAD_BYTES};

use super::network::Network;
use super::units::{Period, Size};
use super::written::texts;

/// How much clients may have together, and each address of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections, of all kinds; `None` is what the limit on open files leaves.
    pub connections: Option<usize>,
    /// Open connections of one address. An IPv6 client has a whole /64, which counts as one.
    pub connections_per_address: usize,
    /// New connections of one address in a second, and as many at once.
    pub handshakes_per_second_per_address: u64,
    /// Commands of one connection in a second, and as many at once; `None` is as many as it can send.
    pub commands_per_second: Option<u64>,
    /// Bytes from one connection in a second, and as many at once; `None` is as many as it can send.
    pub bytes_per_second: Option<u64>,
    /// What the broker may hold, in bytes; `None` is three quarters of the machine's memory, or of its container's.
    pub memory: Option<u64>,
    /// What histories, last values and message ids may hold of that, in bytes; `None` is half.
    pub history_memory: Option<u64>,
    /// What write queues may hold of that, in bytes; `None` is a quarter.
    pub backlog_memory: Option<u64>,
    /// What contexts of compression that connections have for themselves may hold of that, in bytes; `None` is a twentieth.
    pub context_memory: Option<u64>,
    /// The head of a request, in bytes.
    pub header_bytes: usize,
    /// Messages of one batch.
    pub batch: usize,
    /// To how many times what it took compressed a message may inflate, where that is more than 64 KiB.
    pub inflated_ratio: usize,
    /// How long a connection may stay over one of these rates, in milliseconds, before it is closed.
    pub patience_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: None,
            // An office or a mobile carrier behind one address, and far below what one machine can open.
            connections_per_address: 1_000,
            // Everybody of that office back within ten seconds of a restart; with TLS, a few percent of a core.
            handshakes_per_second_per_address: 100,
            // A publisher at full speed is what a broker is for. Backpressure bounds what that costs, and each connection
            // has one read a turn.
            commands_per_second: None,
            bytes_per_second: None,
            patience_ms: 30_000,
            memory: None,
            history_memory: None,
            backlog_memory: None,
            context_memory: None,
            header_bytes: MAX_HEAD_BYTES,
            batch: MAX_BATCH_MESSAGES,
            // JSON that repeats itself comes to 50. DEFLATE can do 1032, and 64 KiB of that, one read, are 66 MB to inflate.
            inflated_ratio: 200,
        }
    }
}

impl Limits {
    /// Writes the table, with comments for what it leaves open.
    pub(super) fn write(&self, left_open: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[limits]")?;
        if !left_open.is_empty() {
            writeln!(f, "# What comes out on this machine:")?;
        }
        for line in left_open {
            writeln!(f, "# {line}")?;
        }
        if let Some(connections) = self.connections {
            writeln!(f, "connections = {connections}")?;
        }
        writeln!(f, "connections_per_address = {}", self.connections_per_address)?;
        writeln!(f, "handshakes_per_second_per_address = {}", self.handshakes_per_second_per_address)?;
        if let Some(commands) = self.commands_per_second {
            writeln!(f, "commands_per_second = {commands}")?;
        }
        if let Some(bytes) = self.bytes_per_second {
            writeln!(f, "bytes_per_second = \"{}\"", Size(bytes as usize))?;
        }
        for (key, bytes) in [
            ("memory", self.memory),
            ("history_memory", self.history_memory),
            ("backlog_memory", self.backlog_memory),
            ("context_memory", self.context_memory),
        ] {
            if let Some(bytes) = bytes {
                writeln!(f, "{key} = \"{}\"", Size(bytes as usize))?;
            }
        }
        writeln!(f, "header_bytes = \"{}\"", Size(self.header_bytes))?;
        writeln!(f, "batch = {}", self.batch)?;
        writeln!(f, "inflated_ratio = {}", self.inflated_ratio)?;
        writeln!(f, "patience = \"{}\"", Period(self.patience_ms))
    }
}

/// Whose word is taken for who the client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// Their addresses. They are not counted by address themselves: many clients come through each.
    pub trust: Vec<Network>,
    /// How they say it.
    pub protocol: ProxyProtocol,
}

/// How a proxy says who the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// By the `X-Forwarded-For` of each request, which may leave it out.
    XForwardedFor,
    /// By a header of the PROXY protocol, version 1 or 2, with which every connection of theirs has to begin.
    Proxy,
}

impl Default for Proxies {
    /// Those on this machine: one that is not told of is not to be the one address that everybody has.
    fn default() -> Self {
        let loopback = [(Ipv4Addr::new(127, 0, 0, 0).into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)];
        let trust = loopback.map(|(address, bits)| Network::new(address, bits)).to_vec();
        Self { trust, protocol: ProxyProtocol::XForwardedFor }
    }
}

impl fmt::Display for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[proxies]")?;
        writeln!(f, "trust = {}", texts(&self.trust))?;
        writeln!(f, "protocol = \"{}\"", self.protocol)
    }
}
