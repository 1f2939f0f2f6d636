//! Why connections end.

/// Why a connection has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The client said goodbye, or its HTTP connection had served its purpose.
    ClientClosed,
    /// The broker had nothing more to say: it said goodbye.
    ServerClosed,
    /// The client has gone without a goodbye.
    Reset,
    /// The client broke RFC 6455, or sent what no broker of this protocol takes.
    ProtocolError,
    /// What it asked for was refused, and there is nothing else that it is for.
    Refused,
    /// Its backlog was full, and its overflow policy says to disconnect.
    SlowConsumer,
    /// What it sent is no TLS that is spoken here, or its certificate was refused.
    TlsFailed,
    /// No whole request came in time.
    HandshakeTimeout,
    /// Pings stayed without an answer.
    PingTimeout,
    /// Its token expired, and it had no other in time.
    TokenExpired,
    /// It sent faster than it may for too long.
    OverRate,
    /// Memory was exhausted, and its write queue held much of it.
    ShortOfMemory,
    /// The broker stops.
    Shutdown,
}

impl DisconnectReason {
    /// Every reason, in the order of the variants.
    pub const ALL: [Self; 13] = [
        Self::ClientClosed,
        Self::ServerClosed,
        Self::Reset,
        Self::ProtocolError,
        Self::Refused,
        Self::SlowConsumer,
        Self::TlsFailed,
        Self::HandshakeTimeout,
        Self::PingTimeout,
        Self::TokenExpired,
        Self::OverRate,
        Self::ShortOfMemory,
        Self::Shutdown,
    ];

    /// The reason as the label of a figure.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientClosed => "client_closed",
            Self::ServerClosed => "server_closed",
            Self::Reset => "reset",
            Self::ProtocolError => "protocol_error",
            Self::Refused => "refused",
            Self::SlowConsumer => "slow_consumer",
            Self::TlsFailed => "tls_failed",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::PingTimeout => "ping_timeout",
            Self::TokenExpired => "token_expired",
            Self::OverRate => "over_rate",
            Self::ShortOfMemory => "short_of_memory",
            Self::Shutdown => "shutdown",
        }
    }
}
