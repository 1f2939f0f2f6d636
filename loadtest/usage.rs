//! What processes use: CPU time and memory.

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::process;

use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

mod family;

use family::Process;

/// What a process, or several together, have used until now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// CPU time of all threads, those that have ended too, in nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory, in bytes. What processes share counts for each of them.
    pub resident_bytes: u64,
    /// How many processes they are.
    pub processes: usize,
}

/// Why it cannot be said what a process uses.
#[derive(Debug)]
pub enum UsageError {
    /// There is no such process, or not any more.
    Gone {
        /// Its number.
        pid: u32,
    },
    /// It is not ours to look at: another user's, perhaps.
    Forbidden {
        /// Its number.
        pid: u32,
    },
    /// The kernel says it in a way that is not understood.
    Unreadable {
        /// Its number.
        pid: u32,
        /// What was to be read, and what came.
        problem: String,
    },
}

impl UsageError {
    fn new(pid: u32, what: &str, error: &io::Error) -> Self {
        match error.kind() {
            // A process can end between two reads, or within one.
            io::ErrorKind::NotFound => Self::Gone { pid },
            _ if error.raw_os_error() == Some(nix::libc::ESRCH) => Self::Gone { pid },
            io::ErrorKind::PermissionDenied => Self::Forbidden { pid },
            _ => Self::Unreadable { pid, problem: format!("{what}: {error}") },
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone { pid } => write!(f, "there is no process {pid}, or not any more"),
            Self::Forbidden { pid } => write!(
                f,
                "process {pid} is not ours to look at; run as its user, or leave --target-pid out to do without its CPU \
                 and memory"
            ),
            Self::Unreadable { pid, problem } => {
                write!(f, "what process {pid} uses cannot be read: {problem}")
            }
        }
    }
}

impl Error for UsageError {}

/// A process and its descendants, as workers are, watched together.
///
/// What has ended keeps what it had used when it was last looked at.
#[derive(Debug)]
pub struct Family {
    root: u32,
    cpu_ns_by_process: HashMap<Process, u64>,
}

impl Family {
    /// The process of that number with its descendants.
    pub fn of(pid: u32) -> Result<Self, UsageError> {
        let mut family = Self { root: pid, cpu_ns_by_process: HashMap::new() };
        family.look()?;
        Ok(family)
    }

    /// What they have used until now.
    pub fn look(&mut self) -> Result<Used, UsageError> {
        let members = family::members(self.root)?;
        let mut used = Used::default();
        for member in &members {
            match process_used(member.pid) {
                Ok((cpu_ns, resident_bytes)) => {
                    self.cpu_ns_by_process.insert(*member, cpu_ns);
                    used.resident_bytes += resident_bytes;
                    used.processes += 1;
                }
                // A worker may end while it is looked at.
                Err(UsageError::Gone { pid }) if pid != self.root => {}
                Err(error) => return Err(error),
            }
        }
        used.cpu_ns = self.cpu_ns_by_process.values().sum();
        Ok(used)
    }
}

/// What this process has used until now, without its children.
pub fn ourselves() -> Result<Used, UsageError> {
    let (cpu_ns, resident_bytes) = process_used(process::id())?;
    Ok(Used { cpu_ns, resident_bytes, processes: 1 })
}

/// The CPU time and the resident memory of one process.
///
/// The time is from the process's CPU clock, which is exact to the nanosecond and has the threads that have ended;
/// `/proc/PID/stat` counts in hundredths of a second, and `task/*/schedstat` forgets a thread when it ends.
fn process_used(pid: u32) -> Result<(u64, u64), UsageError> {
    let status = read(pid, "status")?;
    let unreadable = |problem: &str| UsageError::Unreadable { pid, problem: problem.to_owned() };
    let cpu_ns = cpu_clock(pid).map_err(|error| UsageError::new(pid, "its CPU clock", &error))?;
    // A process that has ended, and that its parent has not taken note of, has no memory.
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = match resident {
        Some(text) => text.trim().trim_end_matches(" kB").parse::<u64>().map_err(|_| unreadable(text))?,
        None => 0,
    };
    Ok((cpu_ns, kibibytes * 1024))
}

fn cpu_clock(pid: u32) -> io::Result<u64> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid.cast_signed()))?;
    let time = clock_gettime(clock)?;
    u64::try_from(time.num_nanoseconds()).map_err(io::Error::other)
}

fn read(pid: u32, file: &str) -> Result<String, UsageError> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| UsageError::new(pid, &path, &error))
}

#[cfg(test)]
mod tests;
