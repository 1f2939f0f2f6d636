//! The programs that are measured, each in a process of its own.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::dialect::Dialect;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) name: &'static str,
    program: Program,
    tls: bool,
    pub(crate) subscribers: Dialect,
    pub(crate) publishers: Dialect,
    /// Subscribers beside those that are measured that never read.
    pub(crate) slow_readers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// Nothing but `send()`: for each message and subscriber, or for each read of a publisher.
    Floor { batched: bool },
    /// Fanwire as it is shipped, or with a configuration that is beside this file.
    Fanwire { cores: usize, config: Option<&'static str> },
    /// A folder of `benches/peers`, with a compressor for all, or none.
    Peer(&'static str, Compressor),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compressor {
    None,
    Shared,
}

const fn peer(folder: &'static str) -> Program {
    Program::Peer(folder, Compressor::None)
}

const fn fanwire(cores: usize) -> Program {
    Program::Fanwire { cores, config: None }
}

/// A target whose connections are raw topics.
const fn raw(name: &'static str, program: Program) -> Target {
    Target { name, program, tls: false, subscribers: Dialect::Raw, publishers: Dialect::Raw, slow_readers: 0 }
}

/// The same over TLS.
const fn over_tls(name: &'static str, target: Target) -> Target {
    Target { name, tls: true, ..target }
}

const ONE_CORE: Program = fanwire(1);

pub(crate) const FLOOR: Target = raw("floor", Program::Floor { batched: false });
pub(crate) const BATCHED_FLOOR: Target = raw("floor, batched", Program::Floor { batched: true });
pub(crate) const FANWIRE: Target = raw("Fanwire", ONE_CORE);
/// Its raw publishers would be sent what other publishers publish.
pub(crate) const FANWIRE_FROM_JSON: Target =
    Target { name: "Fanwire, JSON publishers", publishers: Dialect::Json, ..FANWIRE };
pub(crate) const FANWIRE_JSON: Target =
    Target { name: "Fanwire, JSON", subscribers: Dialect::Json, ..FANWIRE_FROM_JSON };
pub(crate) const FANWIRE_BESIDE_SLOW: Target =
    Target { name: "Fanwire, beside slow readers", slow_readers: 50, ..FANWIRE };
pub(crate) const FANWIRE_HISTORY: Target =
    raw("Fanwire, 4 KiB kept", Program::Fanwire { cores: 1, config: Some("history.toml") });
pub(crate) const FANWIRE_TWO_CORES: Target = raw("Fanwire, 2 cores", fanwire(2));
pub(crate) const BUN: Target = raw("Bun", peer("bun"));
pub(crate) const TUNGSTENITE: Target = raw("tokio-tungstenite", peer("tungstenite"));
pub(crate) const WS: Target = raw("Node ws", peer("ws"));
pub(crate) const NATS: Target = Target {
    name: "nats-server",
    program: peer("nats"),
    tls: false,
    subscribers: Dialect::Nats,
    publishers: Dialect::Nats,
    slow_readers: 0,
};
pub(crate) const NCHAN: Target = raw("nginx nchan", peer("nchan"));

/// Subscribers of a feed, which is not compressed for them.
const fn feed(name: &'static str, program: Program, compressed: bool) -> Target {
    Target { subscribers: Dialect::Feed { compressed }, ..raw(name, program) }
}

pub(crate) const FANWIRE_FEED: Target = feed("Fanwire, not compressed", ONE_CORE, false);
pub(crate) const FANWIRE_SHARED: Target = feed("Fanwire, compressed", ONE_CORE, true);
pub(crate) const FANWIRE_OWN: Target = feed(
    "Fanwire, compressed with own contexts",
    Program::Fanwire { cores: 1, config: Some("own_contexts.toml") },
    true,
);
pub(crate) const BUN_SHARED: Target = feed("Bun, compressed", Program::Peer("bun", Compressor::Shared), true);

/// Every other broker.
pub(crate) const PEERS: &[Target] = &[BUN, TUNGSTENITE, WS, NATS, NCHAN];

pub(crate) const FLOOR_TLS: Target = over_tls("floor, TLS", FLOOR);
pub(crate) const BATCHED_FLOOR_TLS: Target = over_tls("floor, batched, TLS", BATCHED_FLOOR);
pub(crate) const FANWIRE_TLS: Target = over_tls("Fanwire, TLS", FANWIRE);

/// The other brokers that are measured over TLS too.
pub(crate) const PEERS_OVER_TLS: &[Target] =
    &[over_tls("Bun, TLS", BUN), over_tls("nginx nchan, TLS", NCHAN)];

/// The other brokers that are measured with compression too.
pub(crate) const PEERS_COMPRESSED: &[Target] = &[BUN_SHARED];

/// How a peer's `start` says that the peer is not installed.
const ABSENT: i32 = 69;

impl Target {
    /// Whether it is all of the machine's, so that its CPU is the only figure that can be compared.
    pub(crate) fn is_unpinned(self) -> bool {
        matches!(self.program, Program::Fanwire { cores: 2.., .. })
    }

    /// Whether its clients speak TLS.
    pub(crate) fn speaks_tls(self) -> bool {
        self.tls
    }

    /// The cores that it runs on, as the kernel writes a list of them.
    fn cores(self) -> &'static str {
        if self.is_unpinned() { "0-1" } else { "0" }
    }

    /// Starts it on the cores that are its own.
    pub(crate) fn start(self) -> Result<Running, StartError> {
        let port = free_port();
        self.spawn(&self.command(port), port)
    }

    /// Starts it under callgrind, which writes profiles named `callgrind` to its folder.
    pub(crate) fn start_under_callgrind(self) -> Result<Running, StartError> {
        let port = free_port();
        let program = self.command(port);
        let mut command = Command::new("valgrind");
        let out = folder_of(port).join("callgrind");
        command.args(["--quiet", "--tool=callgrind", &format!("--callgrind-out-file={}", out.display())]);
        command.arg(program.get_program()).args(program.get_args());
        self.spawn(&command, port)
    }

    /// Each of the two programs in front makes one system call and becomes the next; the second has the kernel end the
    /// target with this process, however that ends.
    fn spawn(self, program: &Command, port: u16) -> Result<Running, StartError> {
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", self.cores(), "setpriv", "--pdeathsig", "KILL"]);
        command.arg(program.get_program()).args(program.get_args());
        let folder = folder_of(port);
        std::fs::create_dir_all(&folder).expect("a folder for temporary files");
        command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("TMPDIR", &folder).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| StartError::Broken(format!("taskset: {error}")))?;
        let running = Running::new(child, SocketAddr::from((Ipv4Addr::LOCALHOST, port)), folder)?;
        assert_eq!(running.cores(), self.cores(), "{} is not where it is to be", self.name);
        Ok(running)
    }

    fn command(self, port: u16) -> Command {
        match self.program {
            Program::Floor { batched } => {
                let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
                command.args(["floor", &port.to_string()]).args(batched.then_some("--batched"));
                if self.tls {
                    command.arg("--tls").args([&certificate().cert, &certificate().key]);
                }
                command
            }
            Program::Fanwire { cores, config } => fanwire_command(port, self.tls, cores, config),
            Program::Peer(folder, compressor) => {
                let start = root().join("benches/peers").join(folder).join("start");
                let mut command = Command::new(start);
                command.arg(port.to_string());
                if compressor == Compressor::Shared {
                    command.env("COMPRESS", "shared");
                }
                if self.tls {
                    command.env("TLS_CERT", &certificate().cert).env("TLS_KEY", &certificate().key);
                }
                command
            }
        }
    }
}

/// The certificate of every target that speaks TLS: ECDSA on P-256, as most are today.
pub(crate) fn certificate() -> &'static Certificate {
    static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
        // Another run may be at it.
        let name = format!("fanout-{}", std::process::id());
        Certificate::write(Path::new(env!("CARGO_TARGET_TMPDIR")), &name)
    });
    &CERTIFICATE
}

fn fanwire_command(port: u16, tls: bool, cores: usize, config: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let listen = format!("{}127.0.0.1:{port}", if tls { "tls://" } else { "" });
    command.args(["--listen", &listen, "--cores", &cores.to_string(), "--log-level", "warn"]);
    // 64 messages of 4 KiB are more than the default, and no target may lose any.
    command.args(["--backlog", "1MiB"]);
    if tls {
        command.arg("--tls-cert").arg(&certificate().cert).arg("--tls-key").arg(&certificate().key);
    }
    if let Some(config) = config {
        command.arg("--config").arg(root().join("benches/fanout").join(config));
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

/// Where a target has its temporary files: with what cargo builds, should this process be killed before it removes them.
fn folder_of(port: u16) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fanout-target-{port}"))
}

/// Why a target does not run.
#[derive(Debug)]
pub(crate) enum StartError {
    /// It is not installed.
    Absent(String),
    /// It is, and does not work.
    Broken(String),
}

/// Keeps this thread on core 1, which no target has for itself.
pub(crate) fn pin_client() {
    let is_pinned = core_affinity::set_for_current(core_affinity::CoreId { id: 1 });
    assert!(is_pinned, "the client needs a core of its own: two cores at least");
}

/// A target that runs, until this is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    /// The CPU time of each thread when it was last looked at: one that has ended has still used it.
    cpu_ns_by_thread: HashMap<OsString, u64>,
    /// Its temporary files.
    pub(crate) folder: PathBuf,
}

impl Running {
    /// Waits until it listens.
    fn new(child: Child, address: SocketAddr, folder: PathBuf) -> Result<Self, StartError> {
        let mut this = Self { child, address, cpu_ns_by_thread: HashMap::new(), folder };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = this.child.try_wait() {
                return Err(this.last_words(status));
            }
            if begun.elapsed() > Duration::from_secs(15) {
                return Err(StartError::Broken(format!("it does not listen on {address}")));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(mut stderr) = this.child.stderr.take() {
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        }
        Ok(this)
    }

    fn last_words(&mut self, status: ExitStatus) -> StartError {
        let mut words = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            // What cannot be read is not said.
            let _ = stderr.read_to_string(&mut words);
        }
        match status.code() {
            Some(ABSENT) => StartError::Absent(words.trim().to_owned()),
            _ => StartError::Broken(format!("it ended at once, {status}: {}", words.trim())),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The CPU time of its threads until now, in nanoseconds.
    pub(crate) fn cpu_ns(&mut self) -> u64 {
        for task in std::fs::read_dir(self.proc("task")).expect("it runs").flatten() {
            let schedstat = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            if let Some(cpu_ns) = schedstat.split(' ').next().and_then(|number| number.parse().ok()) {
                self.cpu_ns_by_thread.insert(task.file_name(), cpu_ns);
            }
        }
        self.cpu_ns_by_thread.values().sum()
    }

    /// What it has in memory, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let kibibytes = self.status("VmRSS:").trim_end_matches(" kB").parse::<u64>().expect("a size");
        kibibytes * 1024
    }

    /// The cores that it may run on.
    fn cores(&self) -> String {
        self.status("Cpus_allowed_list:")
    }

    fn status(&self, key: &str) -> String {
        let status = std::fs::read_to_string(self.proc("status")).expect("it runs");
        let value = status.lines().find_map(|line| line.strip_prefix(key)).expect("a kernel that says so");
        value.trim().to_owned()
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
