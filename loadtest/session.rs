//! With whom it is run: a new broker of ours for each run, or the server that was named.

use std::fmt;
use std::io;

use crate::cli;
use crate::conversation::Peer;
use crate::plan;
use crate::presenting::warn;
use crate::target::{Cores, Load, OwnBroker, Remote, THIS_PROGRAM, Target, TargetError, pin_to};
use crate::transport::Transport;
use crate::usage::{Family, UsageError};
use crate::workload::Workload;

/// What a request says of the server, and the cores that broker and generator have.
pub struct Session<'a> {
    server: &'a cli::Server,
    /// Which cores broker and generator have.
    pub cores: Cores,
    /// All that are measured: a broker of ours is set for each of them in all runs.
    transports: Vec<Transport>,
}

/// A server that can be measured.
pub struct Running {
    /// It runs until this is dropped, if it is ours.
    pub target: Target,
    /// How it is reached.
    pub server: plan::Server,
    /// Its processes, if they are known.
    pub family: Option<Family>,
}

/// Why there is no server to measure.
#[derive(Debug)]
pub enum SessionError {
    /// Ours does not start, or the one that was named cannot be reached.
    Target(TargetError),
    /// It cannot be said what it uses.
    Usage(UsageError),
}

impl<'a> Session<'a> {
    /// A session for these transports. From here on this process runs on the generator's cores alone.
    pub fn new(server: &'a cli::Server, transports: &[Transport]) -> io::Result<Self> {
        let cores = if server.url.is_none() { Cores::split()? } else { Cores::all()? };
        if let Some(shared) = cores.shared {
            warn(&format!("warning: {shared}"));
        }
        pin_to(&cores.generator)?;
        Ok(Self { server, cores, transports: transports.to_vec() })
    }

    /// Threads that receive: as many as there are cores for them.
    pub fn threads(&self) -> usize {
        self.cores.generator.0.len()
    }

    /// A server for a run.
    pub fn start(&self, workload: &Workload, transport: Transport) -> Result<Running, SessionError> {
        let target = self.target(workload).map_err(SessionError::Target)?;
        let family = target.pid().map(Family::of).transpose().map_err(SessionError::Usage)?;
        let cli::Server { protocol, headers, mss, sources, .. } = *self.server;
        let peer = Peer {
            authority: target.authority(),
            path: target.path().unwrap_or(protocol.usual_path()).to_owned(),
            headers,
            transport,
            protocol,
        };
        let server = plan::Server { address: target.address(), peer, sources, mss };
        Ok(Running { target, server, family })
    }

    fn target(&self, workload: &Workload) -> Result<Target, TargetError> {
        let Some(url) = &self.server.url else {
            let load = Load::new(workload, &self.transports);
            return Ok(Target::Own(OwnBroker::start(THIS_PROGRAM.as_ref(), &self.cores.broker, &load)?));
        };
        Ok(Target::Remote(Remote::reach(url, self.server.pid)?))
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(error) => error.fmt(f),
            Self::Usage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SessionError {}
