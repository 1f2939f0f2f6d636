//! The broker, in a process of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that a process needs besides its connections, with room to spare.
const OTHER_FILES: u64 = 1_000;

/// Held by whoever has the files of this process.
static FILES: Mutex<()> = Mutex::new(());

/// A broker, and for as long as it runs this process's files.
pub(crate) struct Broker {
    process: Child,
    pub(crate) address: SocketAddr,
    /// Where it listens besides.
    pub(crate) further: Vec<SocketAddr>,
    _files: MutexGuard<'static, ()>,
}

impl Broker {
    /// One that nobody has to answer pings of, however long a loaded machine takes to connect everybody.
    pub(crate) fn start(name: &str, config: &str) -> Self {
        Self::start_with(name, config, &[])
    }

    /// The same, with further arguments.
    pub(crate) fn start_with(name: &str, config: &str, arguments: &[&str]) -> Self {
        let files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("many_connections_{name}.toml"));
        fs::write(&path, format!("{config}\n[timeouts]\nping = \"1h\"\n")).expect("the file is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        command.arg("--config").arg(path).args(["--listen", "127.0.0.1:0", "--cores", "2"]);
        command.args(arguments);
        let mut process = command.stderr(Stdio::piped()).spawn().expect("the broker starts");
        let mut lines =
            BufReader::new(process.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let mut addresses = lines.by_ref().map_while(|line| {
            let (_, address) = line.split_once("listening on ")?;
            Some(address.trim().trim_start_matches("tls://").parse().expect("an address"))
        });
        let address = addresses.next().expect("it says where it listens");
        let further = addresses.collect();
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, address, further, _files: files }
    }

    /// What it has in memory now.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most that it ever had.
    pub(crate) fn peak_resident_bytes(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it has memory");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("it ran until now");
    }
}

/// The connections that this process may have.
pub(crate) fn allowed_connections() -> u64 {
    let files = rlimit::increase_nofile_limit(u64::MAX).expect("a limit on open files");
    files.saturating_sub(OTHER_FILES)
}
