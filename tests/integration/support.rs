//! A broker in this process, and clients that speak to it over real sockets.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{mem, thread};

use fanwire::broker::Broker;
use fanwire::config::Config;
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::client::Response as UpgradeResponse;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// Waiting this long for an answer is a failure. Nothing waits for it when all is well.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A timeout that never comes: what should end without it, and does not, hangs the test.
pub(crate) const FOREVER_MS: u64 = 1 << 40;

/// A broker that is stopped when the test ends.
pub(crate) struct TestBroker {
    broker: Option<Broker>,
    pub(crate) address: SocketAddr,
}

impl TestBroker {
    /// Two cores, a free port, a stop that waits until it is done, and otherwise the defaults.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    pub(crate) fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config =
            Config { cores: 2, listen: vec!["127.0.0.1:0".parse().unwrap()], ..Config::default() };
        (config.timeouts.drain_ms, config.timeouts.close_ms) = (FOREVER_MS, FOREVER_MS);
        configure(&mut config);
        let broker = Broker::start(config).expect("a broker starts");
        let address = broker.addresses()[0];
        Self { broker: Some(broker), address }
    }

    /// Where it listens.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        self.broker.as_ref().expect("it runs").addresses()
    }

    pub(crate) fn epoch(&self) -> &str {
        self.broker.as_ref().expect("it runs").epoch()
    }

    /// Begins the shutdown, and goes on.
    pub(crate) fn begin_stop(&self) {
        self.broker.as_ref().expect("it runs").stopper().stop();
    }

    /// Waits until it has stopped.
    pub(crate) fn join(mut self) {
        self.broker.take().expect("it runs").join().expect("every core ends well");
    }

    pub(crate) fn http(&self) -> HttpClient {
        HttpClient::connect(self.address)
    }

    /// Opens a WebSocket, or gives the response that refuses it.
    pub(crate) fn web_socket(&self, path: &str) -> Client {
        self.web_socket_with(path, &[])
    }

    pub(crate) fn web_socket_with(&self, path: &str, headers: &[(&'static str, &str)]) -> Client {
        Client::open(self.address, path, headers)
    }

    /// What the cores have of the figures that begin like this, together.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        self.figure_with(name, "")
    }

    /// The same, of those that have this among their labels.
    pub(crate) fn figure_with(&self, name: &str, label: &str) -> u64 {
        self.http().figure_with(name, label)
    }

    /// Waits until the cores have this of the figures that begin like this.
    pub(crate) fn wait_for_figure(&self, name: &str, value: u64) {
        let began = Instant::now();
        while self.figure(name) != value {
            assert!(began.elapsed() < PATIENCE, "{name} stays at {}, not {value}", self.figure(name));
        }
    }

    /// Waits until something is so.
    pub(crate) fn wait_until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            assert!(began.elapsed() < PATIENCE, "it never comes to this: {what}");
        }
    }

    /// How many connections have ended for this reason.
    pub(crate) fn disconnects(&self, reason: &str) -> u64 {
        self.figure_with("fanwire_disconnects_total", &format!("reason=\"{reason}\""))
    }

    /// Publishes text over HTTP; gives the offset.
    pub(crate) fn post(&self, topic: &str, text: &str) -> u64 {
        let response = self.http().request(format!(
            "POST /topics/{topic} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
            text.len()
        ));
        assert_eq!(response.status, 200, "{response:?}");
        response.json()["offset"].as_u64().unwrap()
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        if let Some(broker) = self.broker.take() {
            broker.stopper().stop();
            let ended = broker.join();
            assert!(thread::panicking() || ended.is_ok(), "{ended:?}");
        }
    }
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection whose client's kernel takes next to nothing.
pub(crate) fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A WebSocket client that the broker's authors did not write.
pub(crate) struct Client {
    pub(crate) socket: WebSocket<TcpStream>,
    pub(crate) response: UpgradeResponse,
}

impl Client {
    /// Opens a WebSocket.
    pub(crate) fn open(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream = connect(address);
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let (socket, response) = tungstenite::client(request, stream).expect("the WebSocket opens");
        Self { socket, response }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn send(&mut self, message: impl Into<Message>) {
        self.socket.send(message.into()).unwrap();
    }

    /// The next message that is no ping or pong.
    pub(crate) fn receive(&mut self) -> Message {
        loop {
            match self.socket.read().expect("a message comes") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) fn receive_text(&mut self) -> String {
        match self.receive() {
            Message::Text(text) => text.to_string(),
            other => panic!("not text: {other:?}"),
        }
    }

    pub(crate) fn receive_json(&mut self) -> Value {
        serde_json::from_str(&self.receive_text()).unwrap()
    }

    /// Reads up to the close frame, and through to the end of the connection.
    pub(crate) fn receive_close(&mut self) -> CloseFrame {
        let frame = match self.receive() {
            Message::Close(frame) => frame.expect("the broker gives a reason"),
            other => panic!("not a close: {other:?}"),
        };
        let end = loop {
            match self.socket.read() {
                Ok(_) => {}
                Err(end) => break end,
            }
        };
        assert!(matches!(end, tungstenite::Error::ConnectionClosed), "{end:?}");
        frame
    }
}

/// A client of plain octets.
pub(crate) struct HttpClient {
    stream: BufReader<TcpStream>,
}

#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl HttpResponse {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The `code` of an error.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }
}

impl HttpClient {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(connect(address)) }
    }

    pub(crate) fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(octets.as_ref()).unwrap();
    }

    pub(crate) fn request(&mut self, octets: impl AsRef<[u8]>) -> HttpResponse {
        self.send(octets);
        self.response()
    }

    pub(crate) fn get(&mut self, path: &str) -> HttpResponse {
        self.request(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    /// See [`TestBroker::figure_with`], for when the broker takes no new connection.
    pub(crate) fn figure_with(&mut self, name: &str, label: &str) -> u64 {
        let page = self.get("/metrics");
        let samples = page.text().lines().filter(|line| line.starts_with(name) && line.contains(label));
        samples.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Gets a page, unless the connection has ended.
    pub(crate) fn try_get(&mut self, path: &str) -> Option<HttpResponse> {
        // It may have ended between this and the last answer.
        let _ = write!(self.stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.response_or_end()
    }

    /// The next response, with a body of its `Content-Length`.
    pub(crate) fn response(&mut self) -> HttpResponse {
        let mut response = self.response_head();
        let length = response.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        response.body.resize(length, 0);
        self.stream.read_exact(&mut response.body).unwrap();
        response
    }

    /// The next response; nothing where the connection ends without one.
    pub(crate) fn response_or_end(&mut self) -> Option<HttpResponse> {
        let has_more = self.stream.fill_buf().is_ok_and(|octets| !octets.is_empty());
        has_more.then(|| self.response())
    }

    /// The next response, which has no body whatever its `Content-Length` says.
    pub(crate) fn response_head(&mut self) -> HttpResponse {
        let status_line = self.line();
        let status = status_line.split(' ').nth(1).unwrap_or_else(|| panic!("no status in {status_line:?}"));
        let status = status.parse().unwrap();
        let mut headers = HashMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        HttpResponse { status, headers, body: Vec::new() }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line comes");
        line.trim_end().to_owned()
    }

    pub(crate) fn half_close(&self) {
        self.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Everything up to the end, which must not be a reset.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the connection ends, and is not reset");
        rest
    }

    pub(crate) fn stream(&mut self) -> &mut BufReader<TcpStream> {
        &mut self.stream
    }
}

/// The lines of a log as they come, each with its end.
fn lines_of(log: ChildStderr) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let mut log = BufReader::new(log);
    thread::spawn(move || {
        let mut line = String::new();
        while log.read_line(&mut line).is_ok_and(|count| count > 0) {
            // Once the test has ended, nobody wants to know.
            let _ = sender.send(mem::take(&mut line));
        }
    });
    lines
}

/// The real binary. It is killed when the test ends.
pub(crate) struct Process {
    child: Child,
    log: Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Two cores on a free port; it listens when this returns.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", arguments)
    }

    /// The same, on a port that speaks TLS.
    pub(crate) fn start_tls(arguments: &[&str]) -> Self {
        Self::start_at("tls://127.0.0.1:0", arguments)
    }

    fn start_at(listen: &str, arguments: &[&str]) -> Self {
        let mut process = Self::spawn(&[&["--listen", listen], arguments].concat());
        process.wait_until_it_listens();
        process
    }

    /// The same, by a command that is given the binary and its arguments.
    pub(crate) fn start_with(command: Command, arguments: &[&str]) -> Self {
        let mut process = Self::spawn_with(command, &[&["--listen", "127.0.0.1:0"], arguments].concat());
        process.wait_until_it_listens();
        process
    }

    /// Starts it, and does not wait until it listens.
    pub(crate) fn spawn(arguments: &[&str]) -> Self {
        Self::spawn_with(Command::new("env"), arguments)
    }

    fn spawn_with(mut command: Command, arguments: &[&str]) -> Self {
        command.arg(env!("CARGO_BIN_EXE_fanwire")).args(["--cores", "2"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines_of(child.stderr.take().unwrap());
        Self { child, log, address: ([127, 0, 0, 1], 0).into() }
    }

    pub(crate) fn wait_until_it_listens(&mut self) {
        const SAYS: &str = "listening on ";
        let line = self.next_line_with(SAYS);
        let (_, address) = line.split_once(SAYS).unwrap();
        // In JSON a quote stands behind it.
        let (address, _) = address.split_once(['"', '\n']).unwrap();
        self.address = address.trim_start_matches("tls://").parse().unwrap();
    }

    /// Reads the log up to a line that has `text` in it.
    pub(crate) fn next_line_with(&mut self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("the log has no {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut rest = String::new();
        loop {
            match self.log.recv_timeout(PATIENCE) {
                Ok(line) => rest.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => return rest,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far it said: {rest}"),
            }
        }
    }

    /// How many files it has open.
    pub(crate) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let killed = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }

    /// Has it open no more than so many files from here on.
    pub(crate) fn limit_files(&self, files: usize) {
        let (id, limit) = (self.child.id().to_string(), format!("--nofile={files}"));
        let set = Command::new("prlimit").args(["--pid", &id, &limit]).status().unwrap();
        assert!(set.success());
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file that is there until it is dropped.
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fanwire-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The request that opens a WebSocket, with further header lines.
pub(crate) fn handshake(path: &str, further: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{further}\r\n"
    )
}
