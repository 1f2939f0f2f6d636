//! What this program is asked for.
//!
//! ```text
//!   arguments ──► flags ──► resolve ──► Request, which holds; or the UsageError that says why it cannot
//!                                          │
//!   the same run again ◄── arguments() ◄───┘
//! ```

mod arguments;
mod exit;
mod flags;
mod problem;
mod resolve;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

pub use exit::Exit;
pub use problem::Problem;

use crate::target::{BrokerCommand, Url};
use crate::threshold::Threshold;
use crate::transport::{HeaderProfile, Protocol, Transport};
use crate::units::{Mss, Period, Rate, SourceAddresses};
use crate::workload::Workload;
use flags::{CommandLine, Subcommands};

/// What is to be done. Every value is in its range, and no two contradict each other.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// One workload over several transports.
    Compare(Compare),
    /// One workload over one transport.
    Pubsub(Pubsub),
    /// Connecting.
    Conn(Conn),
    /// One workload at several rates.
    Sweep(Sweep),
    /// What was measured before.
    Report(Report),
    /// What this machine allows.
    Doctor(Doctor),
    /// To be the broker of another such process.
    Broker(BrokerCommand),
}

/// One workload over several transports.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// What is to be done over each.
    pub workload: Workload,
    /// Over which; the first is what the others are compared with.
    pub transports: Vec<Transport>,
    /// What stands for much of the above, if it was asked for.
    pub preset: Option<Preset>,
    /// With whom.
    pub server: Server,
    /// How often.
    pub measuring: Measuring,
    /// What is wanted of it.
    pub output: Output,
}

/// A comparison that people know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preset {
    /// The table of "HTML5 WebSocket: A Quantum Leap in Scalability for the Web": one message a second for everybody, by
    /// push and by polls with 871 octets of headers.
    Kaazing,
}

/// One workload over one transport.
#[derive(Clone, Debug, PartialEq)]
pub struct Pubsub {
    /// What is to be done.
    pub workload: Workload,
    /// Over what.
    pub transport: Transport,
    /// With whom.
    pub server: Server,
    /// How often.
    pub measuring: Measuring,
    /// What is wanted of it.
    pub output: Output,
}

/// Connecting.
#[derive(Clone, Debug, PartialEq)]
pub struct Conn {
    /// Connections.
    pub connections: usize,
    /// How many are opened a second.
    pub rate: Rate,
    /// How long they are kept, with nothing to do.
    pub idle: Period,
    /// Whether all are cut at once then, and opened again.
    pub storm: bool,
    /// Over what their subscriptions are.
    pub transport: Transport,
    /// With whom.
    pub server: Server,
    /// What is wanted of it.
    pub output: Output,
}

/// One workload at several rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// What is to be done; its rate is the first of `rates`.
    pub workload: Workload,
    /// Messages a second, in rising order.
    pub rates: Vec<Rate>,
    /// Over which: one, or polls at several periods.
    pub transports: Vec<Transport>,
    /// With whom.
    pub server: Server,
    /// How often.
    pub measuring: Measuring,
    /// What is wanted of it.
    pub output: Output,
}

impl Sweep {
    /// The name of the series of one transport at one rate.
    pub fn step(transport: Transport, rate: Rate) -> String {
        format!("{transport} at {rate}/s")
    }
}

/// What was measured before.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// A record.
    pub record: PathBuf,
    /// Another that it is compared with.
    pub other: Option<PathBuf>,
    /// Where the histograms are to be written, if they are.
    pub hgrm: Option<PathBuf>,
    /// Where the page is to be written, if it is.
    pub html: Option<PathBuf>,
    /// What must hold.
    pub thresholds: Vec<Threshold>,
}

/// What this machine allows.
#[derive(Clone, Debug, PartialEq)]
pub struct Doctor {
    /// Connections that are wanted.
    pub connections: usize,
    /// Where they are to come from, if that is not left to the kernel.
    pub sources: Option<SourceAddresses>,
}

/// Whom it is done with, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where it is; none: a broker that this program starts.
    pub url: Option<Url>,
    /// Its process, if it is to be watched and is not ours.
    pub pid: Option<u32>,
    /// What is spoken over a WebSocket.
    pub protocol: Protocol,
    /// What HTTP requests carry.
    pub headers: HeaderProfile,
    /// The largest TCP segment, if it is not left to the kernel.
    pub mss: Option<Mss>,
    /// Where to connect from, if it is not left to the kernel.
    pub sources: Option<SourceAddresses>,
}

/// How often it is done, and what chance decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measuring {
    /// How often each series is run.
    pub repeats: usize,
    /// What the order of the runs, the phases and the arrivals are drawn from. Drawn itself if it was not given.
    pub seed: u64,
}

/// What is wanted of a run besides the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Output {
    /// What must hold, or the process ends with [`Exit::ThresholdFailed`].
    pub thresholds: Vec<Threshold>,
    /// Where the record is to be written, if it is.
    pub json: Option<PathBuf>,
    /// Where the histograms are to be written, if they are: a folder.
    pub hgrm: Option<PathBuf>,
    /// Where the page is to be written, if it is.
    pub html: Option<PathBuf>,
    /// Whether only the verdict and what failed is said.
    pub quiet: bool,
}

/// Arguments that cannot be understood or cannot hold; or that ask for help or the version.
#[derive(Debug)]
pub struct UsageError(clap::Error);

impl UsageError {
    /// Tells the user, and says how the process ends: help and the version go to standard output, with 0; everything
    /// else to standard error, with 2.
    pub fn report(&self) -> ExitCode {
        // Nothing can be said about an output that cannot be written to.
        let _ = self.0.print();
        if self.0.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() }
    }
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for UsageError {}

impl Request {
    /// What the process's arguments, the first of which is its name, ask for.
    pub fn from_args<A>(args: impl IntoIterator<Item = A>) -> Result<Self, UsageError>
    where
        A: Into<OsString> + Clone,
    {
        let command_line = CommandLine::try_parse_from(args).map_err(UsageError)?;
        let subcommand = command_line.command.as_ref().map(Subcommands::name);
        resolve::resolve(command_line).map_err(|problem| {
            let mut command = CommandLine::command();
            // So that a subcommand knows whose it is.
            command.build();
            let command = match subcommand {
                Some(name) => command.find_subcommand_mut(name).expect("it was asked for"),
                None => &mut command,
            };
            UsageError(command.error(ErrorKind::ValueValidation, problem))
        })
    }
}

#[cfg(test)]
mod tests;
