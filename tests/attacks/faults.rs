//! What a process runs short of, a core that stands still, a process that is killed.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use fanwire_wire::frame::OpCode;
use tungstenite::Message;

use crate::process::{Process, free_port, temporary};
use crate::support::{Attacker, PATIENCE, figure, wait_until, while_others_are_served};

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
    let process = Process::start("");
    // It takes no more connections than it had files for at the start: somebody else has to take these away.
    process.limit_files(FILES);
    while_others_are_served(process.address, || {
        // The kernel accepts them; the broker cannot, and they wait.
        let waiting: Vec<_> = (0..3 * FILES).map(|_| Attacker::connect(process.address)).collect();
        drop(waiting);
        let mut late = Attacker::connect(process.address);
        late.send_whole(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert!(late.rest().starts_with("HTTP/1.1 200 "), "who came last is served when there is room");
    });
}

/// Connects, says something that the log has a line for, and goes; many times.
fn be_talked_about(address: SocketAddr) {
    for _ in 0..500 {
        let mut client = Attacker::connect(address);
        client.send_whole(b"nonsense\r\n\r\n");
        assert!(client.rest().starts_with("HTTP/1.1 400 "));
    }
}

const TALKATIVE: &str = "[log]\nlevel = \"debug\"\n";

#[test]
fn a_disk_that_is_full_under_the_log_costs_the_rest_of_the_log() {
    const DISK_BYTES: u64 = 16 * 1024;
    let disk = temporary("disk");
    fs::create_dir(&disk).expect("a directory");
    let mut command = Command::new("unshare");
    // The disk is this process's alone, and gone with it.
    command.args(["--mount", "--user", "--map-root-user", "sh", "-c"]);
    command
        .arg("disk=$1; shift; mount -t tmpfs -o \"size=$0\" tmpfs \"$disk\" && exec \"$@\" 2>\"$disk/log\"");
    command.arg(DISK_BYTES.to_string()).arg(&disk);
    let process = Process::start_unheard(command, TALKATIVE);
    while_others_are_served(process.address, || be_talked_about(process.address));
    let log = fs::metadata(process.about("fd/2")).expect("a log");
    assert_eq!(log.len(), DISK_BYTES, "it is full");
    assert!(process.stop().success());
    fs::remove_dir(disk).expect("nothing is in it");
}

#[test]
fn a_log_that_takes_nothing_from_the_start_costs_the_log() {
    let mut command = Command::new("env");
    command.stderr(File::options().write(true).open("/dev/full").expect("Linux has it"));
    let process = Process::start_unheard(command, TALKATIVE);
    while_others_are_served(process.address, || be_talked_about(process.address));
    assert!(dropped_lines(process.address) > 0, "they are counted");
    assert!(process.stop().success());
}

/// A pipe full of empty lines, which nobody reads.
fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    // SAFETY: the descriptor is open, and the command takes and gives numbers.
    let capacity = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_GETPIPE_SZ) };
    let capacity = usize::try_from(capacity).expect("it is open");
    writer.write_all(&vec![b'\n'; capacity]).expect("there is room");
    (reader, writer)
}

/// The lines of a pipe, each read when it is asked for.
fn lines_of(reader: io::PipeReader) -> Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(0);
    let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
    std::thread::spawn(move || lines.try_for_each(|line| sender.send(line)));
    receiver
}

/// How many lines a line of the log says were dropped.
fn told_dropped(line: &str) -> u64 {
    let notice = line.split_once("lines of the log were dropped");
    notice.map_or(0, |(_, notice)| notice.rsplit_once("lines=").and_then(|(_, n)| n.parse().ok()).unwrap())
}

fn dropped_lines(address: SocketAddr) -> u64 {
    figure(address, "fanwire_log_lines_dropped_total")
}

/// Has so much said in the log that nobody reads that lines are dropped.
fn overfill_log(address: SocketAddr) {
    let before = dropped_lines(address);
    let path = "a".repeat(8 * 1024);
    wait_until("lines are dropped", || {
        let mut client = Attacker::connect(address);
        let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client.send_whole(request.as_bytes());
        assert!(client.rest().starts_with("HTTP/1.1 404 "));
        dropped_lines(address) > before
    });
}

#[test]
fn a_log_that_nobody_reads_costs_what_does_not_fit_and_says_how_many_lines_when_somebody_does() {
    let (reader, writer) = full_pipe();
    let mut command = Command::new("env");
    command.stderr(writer);
    let process = Process::start_unheard(command, TALKATIVE);
    let address = process.address;
    while_others_are_served(address, || overfill_log(address));
    let dropped = dropped_lines(address);
    let log = lines_of(reader);
    let next_line = || log.recv_timeout(PATIENCE).expect("the log goes on until everything is told");
    let before_all = std::iter::repeat_with(next_line).take_while(|line| !line.contains("listening on"));
    assert_eq!(before_all.map(|line| told_dropped(&line)).sum::<u64>(), 0, "the oldest lines are kept");
    let mut told = 0;
    while told < dropped {
        told += told_dropped(&next_line());
    }
    assert!(told <= dropped_lines(address));
    while_others_are_served(address, || overfill_log(address));
    assert!(process.stop().success(), "it ends though nobody reads");
}

#[test]
fn a_second_signal_ends_a_broker_whose_log_nobody_reads() {
    let (_reader, writer) = full_pipe();
    let mut command = Command::new("env");
    command.stderr(writer);
    let process = Process::start_unheard(command, TALKATIVE);
    let mut client = Attacker::web_socket(process.address, "/topics/any", "");
    process.signal("-TERM");
    let mut head = [0; 2];
    client.0.read_exact(&mut head).expect("it is told");
    assert_eq!(head[0], 0x80 | OpCode::Close as u8, "and does not answer, so that it is waited for");
    assert_eq!(process.insist().code(), Some(128 + libc::SIGTERM));
}

#[test]
fn a_core_that_a_debugger_stops_for_more_than_a_second_loses_nothing_for_those_that_catch_up() {
    let history = "[[topics]]\nmatch = \">\"\nhistory = { messages = 100000, bytes = \"256MiB\" }\n";
    let process = Process::start(history);
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
#[derive(Default)]
struct Follower {
    position: Option<(String, u64)>,
    /// How many messages it was given, and how many it was told to be gone.
    given: u64,
    gone: u64,
}

impl Follower {
    /// After so many messages it breaks off by itself, and comes back.
    const STAYS_FOR: u64 = 1_000;

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
        let leaves_at = self.given + Self::STAYS_FOR;
        while self.given < leaves_at
            && let Ok(message) = client.read()
        {
            let Message::Text(text) = message else { continue };
            if self.hear(&serde_json::from_str(&text).expect("JSON")) {
                return true;
            }
        }
        false
    }

    /// Returns whether this is the end.
    fn hear(&mut self, notification: &serde_json::Value) -> bool {
        let offset = |key: &str| notification[key].as_u64().expect("an offset");
        match notification["type"].as_str().expect("a type") {
            "subscribed" => {
                let epoch = notification["epoch"].as_str().expect("an epoch").to_owned();
                match &self.position {
                    Some((before, at)) if *before == epoch => assert_eq!(offset("offset"), *at),
                    // Another run: that is what it is told, and it begins with the first of it.
                    Some(_) => {
                        assert_eq!(notification["recovered"], false, "{notification}");
                        assert_eq!(offset("offset"), 0, "{notification}");
                    }
                    None => {}
                }
                self.position = Some((epoch, offset("offset")));
            }
            "message" => {
                self.go_to(offset("offset"), offset("offset"));
                self.given += 1;
                let nth = notification["data"].as_u64();
                assert!(nth.is_none_or(|nth| nth + 1 == offset("offset")), "{notification}");
            }
            "gap" => {
                self.go_to(offset("from"), offset("to"));
                self.gone += offset("count");
            }
            _ => {}
        }
        notification["data"] == "end"
    }

    fn go_to(&mut self, from: u64, to: u64) {
        let (_, at) = self.position.as_mut().expect("a receipt comes first");
        assert_eq!(from, *at + 1, "every offset is given, or told to be gone");
        *at = to;
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

/// Kills a broker under load, again and again. Gives what those found who followed it from run to run.
fn follow_through_kills(history: &str) -> Vec<Follower> {
    const RUNS: usize = 4;
    let config = format!("[[topics]]\nmatch = \"feed\"\nhistory = {history}\n");
    // The same for every run.
    let address = free_port();
    let start = || Process::start_by(Command::new("env"), address, &config);
    let mut process = start();
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
                process = start();
            }
            publisher.join().expect("it publishes as long as it can");
        }
        followers.into_iter().map(|follower| follower.join().expect("nothing is left out")).collect()
    })
}

/// Follows the feed from run to run.
fn follow_to_the_end(address: SocketAddr) -> Follower {
    let mut follower = Follower::default();
    let began = Instant::now();
    while !follower.follow(address) {
        assert!(began.elapsed() < PATIENCE, "it does not come to the end");
        std::thread::yield_now();
    }
    follower
}

#[test]
fn a_broker_that_is_killed_under_load_is_followed_into_its_next_run_without_an_untold_hole() {
    for follower in follow_through_kills("{ messages = 500 }") {
        assert!(follower.given + follower.gone > 0);
    }
}

#[test]
fn who_comes_back_to_a_broker_that_is_killed_under_load_loses_nothing_that_its_history_holds() {
    for follower in follow_through_kills("{ messages = 10000000, bytes = \"4GiB\" }") {
        assert!(follower.given > Follower::STAYS_FOR, "it came back at least once");
        assert_eq!(follower.gone, 0);
    }
}
