//! The generator and a broker as processes of their own, as people run them.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use loadtest::record::Record;
use loadtest::target::{CoreList, Cores, Load, OwnBroker};

/// What nothing here takes unless it hangs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A broker with a history for the topics of a load test.
pub(crate) struct Broker(OwnBroker);

impl Broker {
    pub(crate) fn start() -> Self {
        Self::start_on(&Cores::split().expect("the kernel says").broker)
    }

    pub(crate) fn start_on(cores: &CoreList) -> Self {
        let load = Load {
            rate: "1k".parse().unwrap(),
            burst: "1".parse().unwrap(),
            size: "128".parse().unwrap(),
            topics: "1".parse().unwrap(),
            poll_period: Some("1s".parse().unwrap()),
        };
        Self(OwnBroker::start(env!("CARGO_BIN_EXE_loadtest").as_ref(), cores, &load).expect("it starts"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/topics/{{topic}}", self.0.address())
    }

    /// Waits until that many clients are connected, besides the one that asks.
    pub(crate) fn wait_for_connections(&self, wanted: usize) {
        wait_for(|| self.connections() > wanted);
    }

    fn connections(&self) -> usize {
        let metrics = self.get("/metrics");
        let lines = metrics.lines().filter(|line| line.starts_with("fanwire_connections{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum()
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.0.address()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

/// Waits until something is so.
pub(crate) fn wait_for(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it does not come about");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs in which a quiet moment must come.
const TRIES: usize = 6;

/// Held by whoever measures: two at once would measure each other.
static MEASURING: Mutex<()> = Mutex::new(());

/// The generator, before it runs.
pub(crate) struct Generator {
    command: Command,
    json: PathBuf,
}

/// The generator, while it runs.
pub(crate) struct Running {
    child: Child,
    json: PathBuf,
    _alone: MutexGuard<'static, ()>,
}

impl Generator {
    /// One run of a second of warm-up, unless the arguments say something else, and its record.
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let json = std::env::temp_dir().join(format!(
            "loadtest-{}-{:?}.json",
            std::process::id(),
            thread::current().id()
        ));
        let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
        command.args(arguments).args(["--repeat", "1", "--seed", "1", "--quiet", "--json"]).arg(&json);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, json }
    }

    pub(crate) fn against(mut self, broker: &Broker) -> Self {
        self.command.args(["--url", &broker.url(), "--target-pid", &broker.pid().to_string()]);
        self
    }

    /// Like one that is somewhere else: its process is not known.
    pub(crate) fn against_stranger(mut self, broker: &Broker) -> Self {
        self.command.args(["--url", &broker.url()]);
        self
    }

    /// After commands of the shell.
    pub(crate) fn under(self, prepare: &str) -> Self {
        self.wrapped("sh", &["-c", &format!("set -e; {prepare}; exec \"$0\" \"$@\"")])
    }

    /// In a network namespace that nothing else is in, and that is gone when it ends.
    pub(crate) fn in_own_network(self) -> Self {
        self.wrapped("unshare", &["--net", "--user", "--map-root-user"])
    }

    fn wrapped(mut self, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command = command;
        self
    }

    pub(crate) fn start(mut self) -> Running {
        // A test that failed has let go of it in the same state.
        let alone = MEASURING.lock().unwrap_or_else(PoisonError::into_inner);
        Running { child: self.command.spawn().expect("it starts"), json: self.json, _alone: alone }
    }

    /// Runs it, and reads its record.
    pub(crate) fn record(self) -> Record {
        self.start().record()
    }

    /// Makes runs until one says of itself that it can be trusted, and its tail is as `expected`, which is asked of such a one
    /// only, and asserts there what has to hold in each of them. On a machine that others use too, not every one does; and in one
    /// that does, the server may have been late now and then.
    pub(crate) fn assert_tail(arguments: &[&str], expected: impl Fn(&Record) -> Expected) {
        let mut reasons = Vec::new();
        for _ in 0..TRIES {
            let record = Self::new(arguments).record();
            if !record.verdict.is_valid() {
                reasons.extend(record.verdict.reasons.into_iter().map(|reason| reason.explanation));
                continue;
            }
            let Expected(what, ms, range) = expected(&record);
            if range.contains(&ms) {
                return;
            }
            reasons.push(format!("{what} is {ms} ms, not {range:?}"));
        }
        panic!("none of {TRIES} runs can be trusted and is as expected: {reasons:#?}");
    }
}

/// A latency by its name, what it is, and where it is expected, in milliseconds.
pub(crate) struct Expected(pub(crate) &'static str, pub(crate) f64, pub(crate) Range<f64>);

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn end(self) -> (Output, PathBuf) {
        (self.child.wait_with_output().expect("it ends"), self.json)
    }

    /// The record of a run that could be measured, whatever its verdict.
    pub(crate) fn record(self) -> Record {
        let (output, json) = self.end();
        let text = fs::read_to_string(&json).unwrap_or_else(|error| {
            panic!("no record ({error}), {}: {}", output.status, String::from_utf8_lossy(&output.stderr))
        });
        let _ = fs::remove_file(json);
        serde_json::from_str(&text).expect("a record")
    }
}
