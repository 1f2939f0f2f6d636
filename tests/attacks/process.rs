//! The real binary as a process of its own: what it holds is not mixed with what the tests do, and it can be hurt.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::certificate::Certificate;
use crate::support::{PATIENCE, files};

/// A broker of two cores. It is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// On a free port.
    pub(crate) fn start(config: &str) -> Self {
        Self::start_by(Command::new("env"), any_port(), config)
    }

    /// The same, and where it speaks TLS.
    pub(crate) fn start_tls(certificate: &Certificate) -> (Self, SocketAddr) {
        let config = format!("[tls]\ncertificates = [{}]\n", files(certificate));
        let mut command = Command::new("sh");
        command.args(["-c", r#"exec "$0" "$@" --listen tls://127.0.0.1:0"#]);
        let (process, [_, over_tls]) = Self::start_listening(command, any_port(), &config);
        (process, over_tls)
    }

    /// The same, at an address, and by a command that is given the binary and its arguments.
    pub(crate) fn start_by(command: Command, address: SocketAddr, config: &str) -> Self {
        let (process, [_]) = Self::start_listening(command, address, config);
        process
    }

    /// The same, and all of so many addresses.
    fn start_listening<const COUNT: usize>(
        mut command: Command,
        address: SocketAddr,
        config: &str,
    ) -> (Self, [SocketAddr; COUNT]) {
        let mut child = complete(&mut command, address, config).stderr(Stdio::piped()).spawn().expect(STARTS);
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let addresses = [(); COUNT].map(|()| {
            let address = lines.find_map(|line| {
                line.split_once("listening on ")?.1.trim().trim_start_matches("tls://").parse().ok()
            });
            address.expect("it says where it listens")
        });
        std::thread::spawn(move || lines.for_each(drop));
        (Self { child, address: addresses[0] }, addresses)
    }

    /// The same with standard error as the command has it, which cannot be asked where it listens.
    pub(crate) fn start_unheard(mut command: Command, config: &str) -> Self {
        let address = free_port();
        let child = complete(&mut command, address, config).spawn().expect(STARTS);
        let mut process = Self { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(began.elapsed() < PATIENCE, "it does not listen");
            assert_eq!(process.child.try_wait().expect("it is a child"), None, "it has ended");
        }
        process
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it ran until now");
    }

    /// Has it end in order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.child.wait().expect("it ends")
    }

    /// Has it open no more than so many files from here on.
    pub(crate) fn limit_files(&self, files: usize) {
        let (id, limit) = (self.child.id().to_string(), format!("--nofile={files}"));
        let set = Command::new("prlimit").args(["--pid", &id, &limit]).status().expect("a tool of Linux");
        assert!(set.success(), "it runs");
    }

    /// Has it end, however long it would take in order. A signal at once is the same wish again.
    pub(crate) fn insist(mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return status;
            }
            self.signal("-TERM");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Does something while it stands still.
    pub(crate) fn while_stopped<R>(&self, work: impl FnOnce() -> R) -> R {
        self.signal("-STOP");
        let result = work();
        self.signal("-CONT");
        result
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status().expect("a shell's tool");
        assert!(told.success(), "it ran until now");
    }

    /// The thread of this name.
    pub(crate) fn thread(&self, name: &str) -> libc::pid_t {
        let threads = fs::read_dir(self.about("task")).expect("it runs");
        let mut threads = threads.map(|task| task.expect("a thread").path());
        let is_named =
            |task: &PathBuf| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name);
        let task = threads.find(is_named).expect("every core has a thread");
        task.file_name().and_then(|id| id.to_str()?.parse().ok()).expect("threads have numbers")
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(self.about("fd")).expect("it runs").count()
    }

    /// What it has of memory that is its own, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(self.about("status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("Linux says so");
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kibibytes * 1024
    }

    /// Where the kernel says this of it.
    pub(crate) fn about(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{what}", self.child.id()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed on purpose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const STARTS: &str = "the broker starts";

/// The command with the binary and its arguments.
fn complete<'a>(command: &'a mut Command, address: SocketAddr, config: &str) -> &'a mut Command {
    // Both ends of thousands of connections are files of somebody; children have the limit of their parents.
    fanwire::listener::raise_file_limit().expect("a limit on open files");
    let path = temporary("toml");
    fs::write(&path, config).expect("the file is written");
    command.arg(env!("CARGO_BIN_EXE_fanwire")).arg("--config").arg(path);
    command.args(["--cores", "2", "--listen", &address.to_string()])
}

/// A path that nothing is at.
pub(crate) fn temporary(extension: &str) -> PathBuf {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("{}/attacks-{}-{number}.{extension}", env!("CARGO_TARGET_TMPDIR"), std::process::id()).into()
}

pub(crate) fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A port that nobody has now.
pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind(any_port()).and_then(|listener| listener.local_addr()).expect("a free port")
}
