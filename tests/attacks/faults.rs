//! A core that stands still, and a process that is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tungstenite::Message;

use crate::support::{Attacker, PATIENCE, while_others_are_served};

/// The real binary, which is killed when the test ends.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(address: SocketAddr, config: &str) -> Self {
        Self::start_by(Command::new("env"), address, config)
    }

    /// The same, by a command that is given the binary and its arguments.
    fn start_by(mut command: Command, address: SocketAddr, config: &str) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/attacks-{}-{number}.toml", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        fs::write(&path, config).expect("the file is written");
        command.arg(env!("CARGO_BIN_EXE_fanwire"));
        command.args(["--config", &path, "--cores", "2", "--listen", &address.to_string()]);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the broker starts");
        let mut lines =
            BufReader::new(child.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let address = lines.find_map(|line| line.split_once("listening on ")?.1.trim().parse().ok());
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.expect("it says where it listens") }
    }

    fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).expect("it ran until now");
    }

    /// The thread of this name.
    fn thread(&self, name: &str) -> libc::pid_t {
        let tasks = format!("/proc/{}/task", self.child.id());
        let threads = fs::read_dir(tasks).expect("it runs").map(|task| task.expect("a thread").path());
        let is_named = |task: &std::path::PathBuf| {
            fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        let task = threads.into_iter().find(is_named).expect("every core has a thread");
        task.file_name().and_then(|id| id.to_str()?.parse().ok()).expect("threads have numbers")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed on purpose.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thread of another process, stopped by this one as its debugger. It goes on when this is dropped.
struct Stopped(libc::pid_t);

impl Stopped {
    fn stop(thread: libc::pid_t) -> Self {
        const NOTHING: *mut libc::c_void = std::ptr::null_mut();
        // SAFETY: these take numbers alone, and the status goes to a variable that outlives the call.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, NOTHING, NOTHING), 0, "it may be debugged");
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, NOTHING, NOTHING), 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(thread, &raw mut status, libc::__WALL), thread, "it stops");
        }
        Self(thread)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        const NOTHING: *mut libc::c_void = std::ptr::null_mut();
        // SAFETY: as above. If the process has gone, there is nothing to go on with.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, NOTHING, NOTHING) };
    }
}

#[test]
fn a_process_without_file_descriptors_serves_those_who_are_there_and_recovers() {
    const FILES: usize = 128;
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("ulimit -n {FILES}; exec \"$0\" \"$@\"")]);
    // By default it takes no more connections than it has files for.
    let process = Process::start_by(shell, any_port(), "limits.connections = 1000\n");
    while_others_are_served(process.address, || {
        // The kernel accepts them; the broker cannot, and they wait.
        let waiting: Vec<_> = (0..3 * FILES).map(|_| Attacker::connect(process.address)).collect();
        drop(waiting);
        let mut late = Attacker::connect(process.address);
        late.send_whole(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert!(late.rest().starts_with("HTTP/1.1 200 "), "who came last is served when there is room");
    });
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[test]
fn a_core_that_a_debugger_stops_for_more_than_a_second_loses_nothing_for_those_that_catch_up() {
    let history = "[[topics]]\nmatch = \">\"\nhistory = { messages = 100000, bytes = \"256MiB\" }\n";
    let process = Process::start(any_port(), history);
    for core in ["fanwire-0", "fanwire-1"] {
        while_others_are_served(process.address, || {
            let stopped = Stopped::stop(process.thread(core));
            // Not a wait for something: this is the time that the core stands still.
            std::thread::sleep(Duration::from_millis(1_500));
            drop(stopped);
        });
    }
}

/// A JSON client that subscribes to `feed`, from the position that it has.
struct Follower {
    position: Option<(String, u64)>,
    /// How many messages it was given, or told to be gone.
    accounted: u64,
}

impl Follower {
    fn connect(address: SocketAddr) -> Option<tungstenite::WebSocket<TcpStream>> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        tungstenite::client(format!("ws://{address}/v1/ws"), stream).ok().map(|(client, _)| client)
    }

    /// Follows until the connection breaks, or a message says `end`. Returns whether it did.
    fn follow(&mut self, address: SocketAddr) -> bool {
        let Some(mut client) = Self::connect(address) else { return false };
        let since = match &self.position {
            Some((epoch, offset)) => format!(r#"{{"epoch":"{epoch}","offset":{offset}}}"#),
            None => "\"earliest\"".to_owned(),
        };
        let subscribe = format!(r#"{{"type":"subscribe","id":1,"topic":"feed","since":{since}}}"#);
        if client.send(Message::text(subscribe)).is_err() {
            return false;
        }
        while let Ok(message) = client.read() {
            let Message::Text(text) = message else { continue };
            if self.hear(&serde_json::from_str(&text).expect("JSON")) {
                return true;
            }
        }
        false
    }

    fn hear(&mut self, notification: &serde_json::Value) -> bool {
        let offset = |key: &str| notification[key].as_u64().expect("an offset");
        match notification["type"].as_str().expect("a type") {
            "subscribed" => {
                let epoch = notification["epoch"].as_str().expect("an epoch").to_owned();
                match &self.position {
                    Some((before, at)) if *before == epoch => assert_eq!(offset("offset"), *at),
                    // Another run: that is what it is told, and it begins with the first of it.
                    Some(_) => assert_eq!(notification["recovered"], false, "{notification}"),
                    None => {}
                }
                self.position = Some((epoch, offset("offset")));
            }
            "message" => self.go_to(offset("offset"), offset("offset")),
            "gap" => self.go_to(offset("from"), offset("to")),
            _ => {}
        }
        notification["data"] == "end"
    }

    fn go_to(&mut self, from: u64, to: u64) {
        let (_, at) = self.position.as_mut().expect("a receipt comes first");
        assert_eq!(from, *at + 1, "every offset is given, or told to be gone");
        *at = to;
        self.accounted += to - from + 1;
    }
}

fn publish(client: &mut tungstenite::WebSocket<TcpStream>, data: &str) -> bool {
    client.send(Message::text(format!(r#"{{"type":"publish","topic":"feed","data":{data}}}"#))).is_ok()
}

/// Publishes on `feed` until the broker is killed, or it is enough; then it publishes the end.
fn load(address: SocketAddr, is_enough: &AtomicBool) {
    let mut client = Follower::connect(address).expect("it runs");
    let mut n = 0;
    while !is_enough.load(Ordering::Acquire) {
        if !publish(&mut client, &n.to_string()) {
            return;
        }
        n += 1;
    }
    assert!(publish(&mut client, "\"end\""));
    // What was sent is read, whatever comes after it.
    client.close(None).expect("it runs");
    while client.read().is_ok() {}
}

#[test]
fn a_broker_that_is_killed_under_load_is_followed_into_its_next_run_without_an_untold_hole() {
    const RUNS: usize = 4;
    let history = "[[topics]]\nmatch = \"feed\"\nhistory = { messages = 500 }\n";
    // A port that is free now, and the same for every run.
    let address = TcpListener::bind(any_port()).unwrap().local_addr().unwrap();
    let mut process = Process::start(address, history);
    let is_enough = &AtomicBool::new(false);
    std::thread::scope(|scope| {
        let followers: Vec<_> = (0..4).map(|_| scope.spawn(move || follow_to_the_end(address))).collect();
        for run in 1..=RUNS {
            let publisher = scope.spawn(move || load(address, is_enough));
            // Not a wait for something: this is the load that each run is killed under.
            std::thread::sleep(Duration::from_millis(300));
            if run == RUNS {
                is_enough.store(true, Ordering::Release);
            } else {
                process.kill();
                process = Process::start(address, history);
            }
            publisher.join().expect("it publishes as long as it can");
        }
        for follower in followers {
            assert!(follower.join().expect("nothing is left out") > 0);
        }
    });
}

/// Follows the feed from run to run. Returns how many messages it was given, or told of.
fn follow_to_the_end(address: SocketAddr) -> u64 {
    let mut follower = Follower { position: None, accounted: 0 };
    let began = Instant::now();
    while !follower.follow(address) {
        assert!(began.elapsed() < PATIENCE, "it does not come to the end");
        std::thread::sleep(Duration::from_millis(10));
    }
    follower.accounted
}
