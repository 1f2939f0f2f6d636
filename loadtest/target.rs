//! What is measured: a broker that this program starts, or a server that runs already.

mod cores;
mod own;
mod settings;
mod url;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub use cores::{CoreList, Cores, Shared, pin_to};
pub use own::{BrokerCommand, Ended, OwnBroker, StartError, THIS_PROGRAM};
pub use settings::Load;
pub use url::Url;

/// What is measured.
#[derive(Debug)]
pub enum Target {
    /// A broker that this program has started, and ends.
    Own(OwnBroker),
    /// A server that was there before, and stays.
    Remote(Remote),
}

/// A server that runs already.
#[derive(Clone, Debug)]
pub struct Remote {
    url: Url,
    address: SocketAddr,
    pid: Option<u32>,
}

impl Target {
    /// Where it is connected to.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Own(broker) => broker.address(),
            Self::Remote(remote) => remote.address,
        }
    }

    /// Its name and port, as a `Host` header has them.
    pub fn authority(&self) -> String {
        match self {
            Self::Own(broker) => broker.address().to_string(),
            Self::Remote(remote) => remote.url.authority(),
        }
    }

    /// The path of its URL with the query, if it has one; without, the protocol has its own.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Own(_) => None,
            Self::Remote(remote) => remote.url.path(),
        }
    }

    /// Its process, if that is known.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Own(broker) => Some(broker.pid()),
            Self::Remote(remote) => remote.pid,
        }
    }

    /// Fails if it has ended, as far as that can be known, with its last words.
    pub fn check(&mut self) -> Result<(), Ended> {
        match self {
            Self::Own(broker) => broker.check(),
            Self::Remote(_) => Ok(()),
        }
    }
}

/// Why a server cannot be reached.
#[derive(Debug)]
pub enum ReachError {
    /// Its name has no address.
    Unknown {
        /// The server.
        url: Url,
        /// What the resolver said.
        error: io::Error,
    },
    /// None of its addresses takes a connection.
    Unreachable {
        /// The server.
        url: Url,
        /// The last address that was tried.
        address: SocketAddr,
        /// What the kernel said of it.
        error: io::Error,
    },
}

impl fmt::Display for ReachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { url, error } => write!(f, "the name in {url} has no address: {error}"),
            Self::Unreachable { url, address, error } => {
                write!(f, "nothing takes a connection at {url} ({address}): {error}; does the server run?")
            }
        }
    }
}

impl Error for ReachError {}

/// Why there is nothing to measure.
#[derive(Debug)]
pub enum TargetError {
    /// The broker of our own does not run.
    Start(StartError),
    /// The server at the URL cannot be reached.
    Reach(ReachError),
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Reach(error) => error.fmt(f),
        }
    }
}

impl Error for TargetError {}

impl From<StartError> for TargetError {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<ReachError> for TargetError {
    fn from(error: ReachError) -> Self {
        Self::Reach(error)
    }
}

/// What a server may take to accept a connection.
const REACH_TIMEOUT: Duration = Duration::from_secs(5);

impl Remote {
    /// The server at `url`, at the first of its addresses that takes a connection; `pid` is its process, if it runs here
    /// and is to be watched.
    pub fn reach(url: &Url, pid: Option<u32>) -> Result<Self, ReachError> {
        let unknown = |error| ReachError::Unknown { url: url.clone(), error };
        let mut outcome = Err(unknown(io::ErrorKind::NotFound.into()));
        for address in url.addresses().map_err(unknown)? {
            match TcpStream::connect_timeout(&address, REACH_TIMEOUT) {
                Ok(_) => return Ok(Self { url: url.clone(), address, pid }),
                Err(error) => outcome = Err(ReachError::Unreachable { url: url.clone(), address, error }),
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
