//! A broker that this program starts: itself again, as a process of its own.

use std::collections::VecDeque;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{self, Child, ChildStderr, Command, ExitCode, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use fanwire::config::{Config, Invocation};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SIGKILL, SIGTERM, kill};
use nix::unistd::{Pid, getppid};

use super::cores::{CoreList, pin_to};
use super::settings::Load;

/// The program that runs, whatever became of its file meanwhile.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Cores that the broker makes use of.
const MAX_BROKER_CORES: usize = 64;

/// What a broker may take until it listens, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// What it may take to end when it is asked to, with its connections.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two looks at something that should take no time.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Lines of its log that are kept.
const LAST_WORDS: usize = 20;

/// A broker that runs, until this is dropped.
#[derive(Debug)]
pub struct OwnBroker {
    child: Child,
    address: SocketAddr,
    cores: CoreList,
    /// Reads its log; the last lines of it, when it has ended.
    log: Option<JoinHandle<String>>,
}

/// Why a broker does not run.
#[derive(Debug)]
pub enum StartError {
    /// The system does not give what it takes to start one.
    System {
        /// What was wanted.
        what: &'static str,
        /// What was said.
        error: io::Error,
    },
    /// It ended before it listened.
    Ended(Ended),
    /// It runs, and does not listen.
    Silent {
        /// Where it should.
        address: SocketAddr,
    },
}

/// A broker that has ended before it was to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// The last lines of its log.
    pub last_words: String,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { what, error } => write!(f, "cannot start a broker: {what}: {error}"),
            Self::Ended(ended) => ended.fmt(f),
            Self::Silent { address } => {
                write!(f, "the broker does not listen on {address} after {} s", START_TIMEOUT.as_secs())
            }
        }
    }
}

impl Error for StartError {}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the broker has ended ({})", self.status)?;
        if self.last_words.is_empty() {
            return f.write_str(" without a word");
        }
        write!(f, "; its last words:\n{}", self.last_words)
    }
}

impl Error for Ended {}

impl OwnBroker {
    /// Starts `program`, which is to be [`THIS_PROGRAM`] or another that does the same with [`BrokerCommand`], as a
    /// broker for a load on those cores, and waits until it listens.
    ///
    /// The kernel ends the broker with the *thread* that calls this, however that ends: call it from the main thread.
    pub fn start(program: &OsStr, cores: &CoreList, load: &Load) -> Result<Self, StartError> {
        let address = free_address().map_err(system("a free port"))?;
        let folder = Folder::new(address.port()).map_err(system("a temporary folder"))?;
        let file = folder.0.join("fanwire.toml");
        fs::write(&file, load.configuration()).map_err(system("its configuration"))?;
        let mut command = Command::new(program);
        command.arg0("fanwire").args(["broker", "--parent", &process::id().to_string()]);
        command.args(["--on-cores", &cores.to_string(), "--", "--config"]).arg(&file);
        command.args(["--listen", &address.to_string()]);
        command.args(["--cores", &cores.0.len().min(MAX_BROKER_CORES).to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(system("a process"))?;
        let log = child.stderr.take().map(|stderr| thread::spawn(|| last_words(stderr)));
        let mut broker = Self { child, address, cores: cores.clone(), log };
        // It has read its configuration by then, which is gone with the folder.
        broker.wait_until_it_listens()?;
        Ok(broker)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), StartError> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            self.check().map_err(StartError::Ended)?;
            if begun.elapsed() > START_TIMEOUT {
                return Err(StartError::Silent { address: self.address });
            }
            thread::sleep(LOOK_AGAIN);
        }
        // Somebody else may have taken the port.
        self.check().map_err(StartError::Ended)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The cores that it runs on.
    pub fn cores(&self) -> &CoreList {
        &self.cores
    }

    /// Fails if it has ended.
    pub fn check(&mut self) -> Result<(), Ended> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                let log = self.log.take().and_then(|log| log.join().ok());
                Err(Ended { status, last_words: log.unwrap_or_default() })
            }
            // Nobody else waits for it, so that the kernel knows it.
            Ok(None) | Err(_) => Ok(()),
        }
    }

    fn has_ended_within(&mut self, timeout: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < timeout {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            thread::sleep(LOOK_AGAIN);
        }
        false
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = kill(Pid::from_raw(self.pid().cast_signed()), SIGTERM);
            if !self.has_ended_within(STOP_TIMEOUT) {
                let _ = self.child.kill();
                let _ = self.child.wait();
            }
        }
    }
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

/// An address of this machine that nobody listens on now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The last lines that come, when no more do.
fn last_words(stderr: ChildStderr) -> String {
    let mut lines = VecDeque::with_capacity(LAST_WORDS);
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if lines.len() == LAST_WORDS {
            lines.pop_front();
        }
        lines.push_back(line);
    }
    Vec::from(lines).join("\n")
}

/// A temporary folder, which is gone when this is dropped.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn new(port: u16) -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("loadtest-{}-{port}", process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is for the system to tidy up, as other temporary files are.
        let _ = fs::remove_dir_all(Path::new(&self.0));
    }
}

/// What a process is told that is to be the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerCommand {
    /// The process that has started it, and that it ends with.
    pub parent: u32,
    /// The cores that it is to run on.
    pub on_cores: CoreList,
    /// Fanwire's own arguments.
    pub arguments: Vec<OsString>,
}

impl BrokerCommand {
    /// Is the broker until it is told to stop. The exit codes are those of `fanwire`.
    pub fn run(self) -> ExitCode {
        if let Err(error) = self.settle() {
            let _ = writeln!(io::stderr(), "fanwire: {error}");
            return ExitCode::FAILURE;
        }
        let arguments = [OsString::from("fanwire")].into_iter().chain(self.arguments);
        match Config::from_args(arguments) {
            Ok(Invocation::Run(config)) => fanwire::run(*config),
            Ok(Invocation::Check(config)) => {
                print!("{config}");
                ExitCode::SUCCESS
            }
            Ok(Invocation::Token(mint)) => mint.print(),
            Err(error) => error.report(),
        }
    }

    /// Ties this process to its parent and to its cores, before it has threads.
    fn settle(&self) -> io::Result<()> {
        set_pdeathsig(SIGKILL)?;
        // The parent may have ended before it could be asked for.
        if getppid().as_raw().cast_unsigned() != self.parent {
            return Err(io::Error::other("the process that has started this broker is gone"));
        }
        pin_to(&self.on_cores)
    }
}
