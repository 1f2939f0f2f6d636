//! What each subcommand does, from its request to the end of the process.

mod conn;
mod doctor;
mod measure;
mod report;
mod sweep;

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::campaign::CampaignError;
use crate::cli::{Exit, Request};
use crate::opening::RunError;
use crate::presenting::{WriteError, warn};
use crate::report::Incomparable;
use crate::report::json::ReadError;
use crate::session::SessionError;

/// Why nothing came of a request.
#[derive(Debug)]
pub enum CommandError {
    /// Nothing was measured.
    Campaign(CampaignError),
    /// There is no server to measure.
    Session(SessionError),
    /// Connections could not be opened, or came to nothing.
    Run(RunError),
    /// A record cannot be read.
    Read(ReadError),
    /// Two records have nothing in common.
    Incomparable(Incomparable),
    /// A file cannot be written.
    Write(WriteError),
    /// The kernel refuses what a generator needs.
    Kernel(io::Error),
}

/// Does what is asked for. What goes wrong is said on standard error.
pub fn run(request: Request) -> ExitCode {
    let outcome = match request {
        Request::Broker(command) => return command.run(),
        Request::Compare(request) => measure::compare(&request),
        Request::Pubsub(request) => measure::pubsub(&request),
        Request::Sweep(request) => sweep::sweep(&request),
        Request::Conn(request) => conn::conn(&request),
        Request::Report(request) => report::report(&request),
        Request::Doctor(request) => doctor::doctor(&request),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            warn(&format!("error: {error}"));
            Exit::Error.into()
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(error) => error.fmt(f),
            Self::Session(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
            Self::Incomparable(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::Kernel(error) => write!(f, "the kernel refuses what a load generator needs: {error}"),
        }
    }
}

impl std::error::Error for CommandError {}

macro_rules! from {
    ($($error:ty => $variant:ident),*) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from!(CampaignError => Campaign, SessionError => Session, RunError => Run, ReadError => Read, Incomparable => Incomparable, WriteError => Write, io::Error => Kernel);
