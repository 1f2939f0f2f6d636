//! Opening the connections of a run: how many at once, how long, and why it may fail.

mod routine;

use std::fmt;
use std::io;
use std::time::Duration;

use rlimit::Resource;

use crate::link::Broken;
use crate::record::{Reason, ReasonKind};
use crate::socket::ConnectError;
use crate::usage::UsageError;

pub use self::routine::{Opened, Opening};
pub(crate) use self::routine::{Role, Settled, none_stands, open, open_all};

/// Connections that are being opened at once: what the queue of a listening socket holds with its usual settings, and no
/// more.
pub const MAX_OPENING: usize = 100;

/// How long connections that are being opened are waited for while none of them gets anywhere.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Why a run came to nothing.
#[derive(Debug)]
pub enum RunError {
    /// A connection could not be begun.
    Connect(ConnectError),
    /// A connection was refused, or broke before it was ready.
    Broken(Broken),
    /// The server does not answer.
    Stalled {
        /// Connections that were ready.
        ready: usize,
        /// Those that were to be.
        wanted: usize,
    },
    /// This process may not open as many files as there are to be connections.
    TooFewFiles {
        /// The connections.
        connections: usize,
        /// The files that it may open.
        files: u64,
    },
    /// It cannot be said what a process uses.
    Usage(UsageError),
    /// The kernel refuses what an event loop needs.
    Kernel(io::Error),
    /// A thread of the generator has panicked, which is a fault of this program. It has said why on standard error.
    Panicked,
}

impl RunError {
    /// What it is a reason for, if this machine has too little of something: then the record of the run says so. Everything
    /// else stays an error.
    pub fn into_reason(self, series: Option<&str>) -> Result<Reason, Self> {
        let kind = match &self {
            Self::Connect(error @ ConnectError::Exhausted { .. }) => error.reason(),
            Self::TooFewFiles { .. } => ReasonKind::FilesExhausted,
            _ => return Err(self),
        };
        Ok(Reason { kind, series: series.map(ToOwned::to_owned), explanation: self.to_string() })
    }
}

/// Whether this process may open a file for each of so many connections: that is known before the first of them.
pub(crate) fn has_files_for(connections: usize) -> Result<(), RunError> {
    let (files, _) = Resource::NOFILE.get()?;
    if connections as u64 <= files { Ok(()) } else { Err(RunError::TooFewFiles { connections, files }) }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Broken(broken) => write!(f, "a connection could not be opened: {broken}"),
            Self::Stalled { ready, wanted } => write!(
                f,
                "of the {wanted} connections of one thread, {ready} were ready, and nothing came of the others for {} seconds; \
                 does the server speak this --protocol under this --url?",
                PATIENCE.as_secs()
            ),
            Self::TooFewFiles { connections, files } => write!(
                f,
                "{connections} connections are more than the {files} files that this process may open; raise the limit \
                 (ulimit -n), or open fewer; `loadtest doctor -c {connections}` says how"
            ),
            Self::Usage(error) => error.fmt(f),
            Self::Kernel(error) => write!(f, "the kernel refuses what an event loop needs: {error}"),
            Self::Panicked => f.write_str(
                "a thread of the load generator has panicked: a fault of its own, not of the server",
            ),
        }
    }
}

impl std::error::Error for RunError {}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<ConnectError> for RunError {
    fn from(error: ConnectError) -> Self {
        Self::Connect(error)
    }
}

impl From<Broken> for RunError {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<UsageError> for RunError {
    fn from(error: UsageError) -> Self {
        Self::Usage(error)
    }
}
