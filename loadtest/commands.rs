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
use crate::interruption;
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
    match request {
        Request::Broker(command) => command.run(),
        Request::Compare(request) => carry_out(|| measure::compare(&request)),
        Request::Pubsub(request) => carry_out(|| measure::pubsub(&request)),
        Request::Sweep(request) => carry_out(|| sweep::sweep(&request)),
        Request::Conn(request) => carry_out(|| conn::conn(&request)),
        Request::Report(request) => carry_out(|| report::report(&request)),
        Request::Doctor(request) => carry_out(|| doctor::doctor(&request)),
    }
}

/// Does it, and tidies up, however it ends.
fn carry_out(work: impl FnOnce() -> Result<Exit, CommandError>) -> ExitCode {
    let outcome = interruption::watch().map_err(CommandError::from).and_then(|()| work());
    interruption::remove_empty_files();
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
