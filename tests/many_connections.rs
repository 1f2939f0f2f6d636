//! As many idle subscribers as the limit on open files allows, and one message for all of them.
//!
//! The broker is the real binary, in a process of its own with a limit of its own. `cargo test --release --test
//! many_connections -- --nocapture` says what an idle subscriber takes, and one over TLS.

mod certificate;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use certificate::Certificate;

/// Files that a process needs besides its connections, with room to spare.
const OTHER_FILES: u64 = 1_000;

/// More than these do not fit between one client address and one server address.
const MAX_CONNECTIONS: u64 = 25_000;

/// Over TLS, whose handshakes take their time.
const MAX_TLS_CONNECTIONS: u64 = 5_000;

/// Held by whoever takes all the files that there are.
static FILES: Mutex<()> = Mutex::new(());

const MESSAGE: &[u8] = b"to all";

struct Broker {
    process: Child,
    /// In the order asked for: the first is plain.
    addresses: Vec<SocketAddr>,
}

impl Broker {
    fn start(name: &str, arguments: &[&str]) -> Self {
        // Nobody here answers pings, however long a loaded machine takes to connect everybody.
        let config = format!("{}/many_connections_{name}.toml", env!("CARGO_TARGET_TMPDIR"));
        fs::write(&config, "[timeouts]\nping = \"1h\"\n").expect("the file is written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        command.args(["--config", &config, "--listen", "127.0.0.1:0", "--cores", "2"]).args(arguments);
        command.stderr(Stdio::piped());
        let mut process = command.spawn().expect("the broker starts");
        let mut lines =
            BufReader::new(process.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let listening = lines.by_ref().map_while(|line| Some(line.split_once("listening on ")?.1.to_owned()));
        let addresses = listening.map(|listen| listen.trim_start_matches("tls://").parse());
        let addresses = addresses.collect::<Result<_, _>>().expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        Self { process, addresses }
    }

    fn resident_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.process.kill().and_then(|()| self.process.wait()).expect("it ran until now");
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the broker accepts");
    stream.set_read_timeout(Some(Duration::from_mins(5))).expect("a socket");
    stream
}

fn subscribe<S: Read + Write>(mut stream: S) -> S {
    let request = "GET /topics/many.idle HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("the broker reads");
    let mut response = Vec::new();
    let mut buffer = [0; 1024];
    while !response.ends_with(b"\r\n\r\n") {
        let count = stream.read(&mut buffer).expect("the broker answers");
        assert_ne!(count, 0, "the broker refused: {}", String::from_utf8_lossy(&response));
        response.extend_from_slice(&buffer[..count]);
    }
    assert!(response.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&response));
    stream
}

fn publish(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the broker accepts");
    let head = format!(
        "POST /topics/many.idle HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n",
        MESSAGE.len()
    );
    stream.write_all(&[head.as_bytes(), MESSAGE].concat()).expect("the broker reads");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("the broker answers");
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
}

/// Connects `count` subscribers, says what each takes, and publishes one message, which has to reach all of them.
fn one_message_reaches_all<S: Read + Write>(broker: &Broker, count: u64, connect: impl Fn() -> S) {
    let _files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    drop(subscribe(connect()));
    let before = broker.resident_bytes();
    let mut subscribers: Vec<S> = (0..count).map(|_| subscribe(connect())).collect();
    let each = (broker.resident_bytes() - before) / count;
    println!("{count} idle subscribers, {each} resident bytes each");

    publish(broker.addresses[0]);
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        let mut frame = [0; 2 + MESSAGE.len()];
        subscriber
            .read_exact(&mut frame)
            .unwrap_or_else(|error| panic!("subscriber {number} of {count}: {error}"));
        assert_eq!(frame[0], 0x81);
        assert_eq!(&frame[2..], MESSAGE);
    }
}

fn connections_that_the_file_limit_allows() -> u64 {
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit on open files").saturating_sub(OTHER_FILES)
}

#[test]
fn one_message_reaches_every_idle_subscriber_that_the_file_limit_allows() {
    let broker = Broker::start("plain", &[]);
    let count = connections_that_the_file_limit_allows().min(MAX_CONNECTIONS);
    one_message_reaches_all(&broker, count, || connect(broker.addresses[0]));
}

#[test]
fn one_message_reaches_every_idle_subscriber_over_tls() {
    let certificate = Certificate::write(Path::new(env!("CARGO_TARGET_TMPDIR")), "many_connections");
    let [cert, key] = [&certificate.cert, &certificate.key].map(|path| path.to_str().expect("a path"));
    let arguments = ["--listen", "tls://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
    let broker = Broker::start("tls", &arguments);
    let count = connections_that_the_file_limit_allows().min(MAX_TLS_CONNECTIONS);
    one_message_reaches_all(&broker, count, || certificate.speak(connect(broker.addresses[1])));
}
