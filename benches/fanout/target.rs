//! The programs that are measured, each in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    /// Nothing but one `send()` for each message and subscriber.
    Floor,
    /// Nothing but one `send()` for each read of the publisher and subscriber.
    BatchedFloor,
    /// Fanwire on one core, as it is shipped.
    Fanwire,
}

impl Target {
    pub(crate) const ALL: [Self; 3] = [Self::Floor, Self::BatchedFloor, Self::Fanwire];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::BatchedFloor => "floor, batched",
            Self::Fanwire => "Fanwire",
        }
    }

    /// Starts it on a free port; it says on which.
    pub(crate) fn start(self) -> Running {
        let mut command = match self {
            Self::Fanwire => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
                command.args(["--listen", "127.0.0.1:0", "--cores", "1", "--pin", "--compression=false"]);
                command
            }
            Self::Floor | Self::BatchedFloor => {
                let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
                command
                    .args(["floor", if matches!(self, Self::BatchedFloor) { "batched" } else { "single" }]);
                command
            }
        };
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the target starts");
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let listening =
            lines.find_map(|line| line.split_once("listening on ").map(|(_, address)| address.to_owned()));
        let address =
            listening.and_then(|address| address.trim().parse().ok()).expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Running { child, address }
    }
}

/// A target that runs, until this is dropped.
pub(crate) struct Running {
    child: Child,
    address: SocketAddr,
}

impl Running {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
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
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
