//! The programs that are measured, each in a process of its own.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::dialect::Dialect;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    program: Program,
    pub(crate) subscribers: Dialect,
    pub(crate) publishers: Dialect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// Nothing but `send()`: for each message and subscriber, or for each read of a publisher.
    Floor { batched: bool },
    /// Fanwire as it is shipped.
    Fanwire { cores: usize, keeps_history: bool },
    /// A folder of `benches/peers`.
    Peer(&'static str),
}

/// A target whose connections are raw topics.
const fn raw(name: &'static str, program: Program) -> Target {
    Target { name, program, subscribers: Dialect::Raw, publishers: Dialect::Raw }
}

const ONE_CORE: Program = Program::Fanwire { cores: 1, keeps_history: false };

pub(crate) const FLOOR: Target = raw("floor", Program::Floor { batched: false });
pub(crate) const BATCHED_FLOOR: Target = raw("floor, batched", Program::Floor { batched: true });
pub(crate) const FANWIRE: Target = raw("Fanwire", ONE_CORE);
/// Its raw publishers would be sent what other publishers publish.
pub(crate) const FANWIRE_FROM_MANY: Target = Target { publishers: Dialect::Json, ..FANWIRE };
pub(crate) const FANWIRE_JSON: Target =
    Target { name: "Fanwire, JSON", subscribers: Dialect::Json, ..FANWIRE_FROM_MANY };
pub(crate) const FANWIRE_HISTORY: Target =
    raw("Fanwire, 4 KiB kept", Program::Fanwire { cores: 1, keeps_history: true });
pub(crate) const FANWIRE_TWO_CORES: Target =
    raw("Fanwire, 2 cores", Program::Fanwire { cores: 2, keeps_history: false });
pub(crate) const BUN: Target = raw("Bun", Program::Peer("bun"));
pub(crate) const TUNGSTENITE: Target = raw("tokio-tungstenite", Program::Peer("tungstenite"));
pub(crate) const WS: Target = raw("Node ws", Program::Peer("ws"));
pub(crate) const NATS: Target = Target {
    name: "nats-server",
    program: Program::Peer("nats"),
    subscribers: Dialect::Nats,
    publishers: Dialect::Nats,
};
pub(crate) const NCHAN: Target = raw("nginx nchan", Program::Peer("nchan"));

/// Every other broker.
pub(crate) const PEERS: &[Target] = &[BUN, TUNGSTENITE, WS, NATS, NCHAN];

/// How a peer's `start` says that the peer is not installed.
const ABSENT: i32 = 69;

impl Target {
    /// Whether it is all of the machine's, so that its CPU is the only figure that can be compared.
    pub(crate) fn is_unpinned(self) -> bool {
        matches!(self.program, Program::Fanwire { cores: 2.., .. })
    }

    /// Starts it, on core 0 where it has only one. `Err` says why it cannot be.
    pub(crate) fn start(self) -> Result<Running, String> {
        let port = free_port();
        self.spawn(self.command(port), port)
    }

    /// Starts it under callgrind, which writes its profile to `out`.
    pub(crate) fn start_under_callgrind(self, out: &Path) -> Result<Running, String> {
        let port = free_port();
        let program = self.command(port);
        let mut command = Command::new("valgrind");
        command.args(["--quiet", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
        command.arg(program.get_program()).args(program.get_args());
        self.spawn(command, port)
    }

    fn spawn(self, mut command: Command, port: u16) -> Result<Running, String> {
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let spawn = move || {
            if !self.is_unpinned() {
                pin(0);
            }
            command.spawn()
        };
        // What is spawned inherits the core of the thread that spawns it.
        let child = std::thread::spawn(spawn).join().expect("a thread that spawns");
        let child = child.map_err(|error| format!("{}: {error}", self.name))?;
        Running::new(child, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn command(self, port: u16) -> Command {
        match self.program {
            Program::Floor { batched } => {
                let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
                command.args(["floor", if batched { "batched" } else { "single" }, &port.to_string()]);
                command
            }
            Program::Fanwire { cores, keeps_history } => fanwire(port, cores, keeps_history),
            Program::Peer(folder) => {
                let start = root().join("benches/peers").join(folder).join("start");
                let mut command = Command::new(start);
                command.arg(port.to_string());
                command
            }
        }
    }
}

fn fanwire(port: u16, cores: usize, keeps_history: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let listen = format!("127.0.0.1:{port}");
    command.args(["--listen", &listen, "--cores", &cores.to_string(), "--log-level", "warn"]);
    // 64 messages of 4 KiB are more than the default; no target may lose any.
    command.args(["--backlog", "1MiB", "--compression=false"]);
    if keeps_history {
        command.arg("--config").arg(root().join("benches/fanout/history.toml"));
    }
    command
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}

/// Keeps this thread, and what it spawns, on one core.
pub(crate) fn pin(core: usize) {
    if let Some(core) = core_affinity::get_core_ids().and_then(|cores| cores.get(core).copied()) {
        core_affinity::set_for_current(core);
    }
}

/// A target that runs, until this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Running {
    /// Waits until it listens.
    fn new(child: Child, address: SocketAddr) -> Result<Self, String> {
        let mut this = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = this.child.try_wait() {
                return Err(this.last_words(status));
            }
            if begun.elapsed() > Duration::from_secs(15) {
                return Err(format!("it does not listen on {address}"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        this.child
            .stderr
            .take()
            .map(|mut stderr| std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr())));
        Ok(this)
    }

    fn last_words(&mut self, status: ExitStatus) -> String {
        let mut words = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What cannot be read is not said.
            let _ = stderr.read_to_string(&mut words);
        }
        match status.code() {
            Some(ABSENT) => words.trim().to_owned(),
            _ => format!("it ended at once, {status}: {}", words.trim()),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of its threads until now, in nanoseconds.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|schedstat| schedstat.split(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// What it has in memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kibibytes.expect("a size") * 1024
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
