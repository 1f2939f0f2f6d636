use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{SIGKILL, kill};

use super::*;

/// A shell that runs a script and is ended with the test.
struct Shell(Child);

impl Shell {
    /// Runs it until it has written a line, and gives that.
    fn start(script: &str) -> (Self, String) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim().to_owned())
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Its children read the other end of this, and end with it.
        drop(self.0.stdin.take());
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Uses CPU time: how much of it, is up to the machine.
fn work() {
    let begun = cpu_clock(process::id()).unwrap();
    while cpu_clock(process::id()).unwrap() < begun + 20_000_000 {}
}

#[test]
fn a_thread_that_has_ended_has_still_used_what_it_has() {
    let before = ourselves().unwrap();
    thread::spawn(work).join().unwrap();
    let after = ourselves().unwrap();
    assert!(after.cpu_ns >= before.cpu_ns + 20_000_000, "{before:?} {after:?}");
    assert!(after.resident_bytes > 100 << 10, "{after:?}");
}

#[test]
fn descendants_count_and_what_they_used_is_kept_when_they_end() {
    // The worker works, says so, and waits; and so does the shell when it has ended.
    let worker = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo $$; read end";
    let (shell, worker_pid) = Shell::start(&format!("exec 3<&0; sh -c '{worker}' <&3 & wait; read end"));
    let worker_pid: u32 = worker_pid.parse().unwrap();
    let mut family = Family::of(shell.0.id()).unwrap();
    let alive = family.look().unwrap();
    assert_eq!(alive.processes, 2);
    let (root_cpu_ns, _) = process_used(shell.0.id()).unwrap();
    let (worker_cpu_ns, _) = process_used(worker_pid).unwrap();
    assert!(worker_cpu_ns > root_cpu_ns);
    assert!(alive.cpu_ns >= worker_cpu_ns, "{alive:?} {worker_cpu_ns}");
    kill(Pid::from_raw(worker_pid.cast_signed()), SIGKILL).unwrap();
    let ended = loop {
        let used = family.look().unwrap();
        if used.processes == 1 {
            break used;
        }
        thread::yield_now();
    };
    assert!(ended.cpu_ns >= alive.cpu_ns, "{alive:?} {ended:?}");
}

#[test]
fn a_process_that_is_gone_is_named() {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let error = Family::of(child.id()).unwrap_err();
    assert!(matches!(error, UsageError::Gone { pid } if pid == child.id()), "{error}");
    assert!(error.to_string().contains(&child.id().to_string()), "{error}");
}
