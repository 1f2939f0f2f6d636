//! The probes against what the kernel counts elsewhere, each in a network namespace of its own, where nothing else is
//! sent: `unshare` makes it, as root or as an ordinary user, and runs this test again inside.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use loadtest::bytes::{TcpCounters, Traffic};
use loadtest::record::ReasonKind;
use loadtest::socket::{ConnectError, Connector};
use loadtest::target::{Cores, Load, OwnBroker, StartError};
use loadtest::units::{Count, Period, Rate, Size};
use loadtest::usage::{Family, UsageError};
use mio::{Events, Interest, Poll, Token};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::signal::{SIGKILL, kill};
use nix::unistd::Pid;

/// Set within the namespace.
const INSIDE: &str = "LOADTEST_NAMESPACE";

/// Long enough for a machine that does ten other things, for what takes no time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the test of that name within a network namespace of its own, with its loopback up.
fn in_a_network_of_its_own(name: &str, test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        run("ip", &["link", "set", "lo", "up"]);
        return test();
    }
    let mut command = Command::new("unshare");
    command.arg("--net");
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .arg(env::current_exe().unwrap())
        .args([&format!("probes::{name}"), "--exact", "--nocapture"])
        .env(INSIDE, "1");
    let output = command.output().expect("unshare, of util-linux");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "in a namespace: {}\n{out}{err}", output.status);
    assert!(out.contains("1 passed"), "no test is named {name}:\n{out}");
}

fn run(program: &str, arguments: &[&str]) {
    let output =
        Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn set_sysctl(name: &str, value: &str) {
    let path = format!("/proc/sys/net/ipv4/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

/// What the loopback interface has carried: packets, and their octets from the IP header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Carried {
    packets: u64,
    bytes: u64,
}

impl Carried {
    /// Until now. (`/sys` shows the namespace that it was mounted in, `/proc` the one that asks.)
    fn now() -> Self {
        let table = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        let row =
            table.lines().find_map(|line| line.trim().strip_prefix("lo:")).expect("there is a loopback");
        let columns: Vec<u64> = row.split_whitespace().map(|column| column.parse().unwrap()).collect();
        Self { bytes: columns[8], packets: columns[9] }
    }

    fn since(self, earlier: Self) -> Self {
        Self { packets: self.packets - earlier.packets, bytes: self.bytes - earlier.bytes }
    }
}

/// Both ends of a connection, whose segments are of at most 1,460 octets.
struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Pair {
    fn connect(host: IpAddr) -> Self {
        let listener = TcpListener::bind((host, 0)).unwrap();
        let mss = Some("1460".parse().unwrap());
        let mut connector = Connector::new(listener.local_addr().unwrap(), None, mss);
        let client = stand(&mut connector).unwrap();
        let (server, _) = listener.accept().unwrap();
        server.set_nodelay(true).unwrap();
        Self { client, server }
    }

    /// Requests with their answers, small messages, and large ones either way. The sizes of all that was sent.
    fn converse(&mut self) -> Vec<usize> {
        let Self { client, server } = self;
        let mut sizes = Vec::new();
        let mut exchange = |from: &mut TcpStream, to: &mut TcpStream, size| {
            exchange(from, to, size);
            sizes.push(size);
        };
        for request in 1..=200 {
            exchange(client, server, request);
            exchange(server, client, 3 * request);
        }
        for message in 0..1_000 {
            exchange(server, client, 22 + message % 100);
        }
        for size in [1_448, 1_449, 64 << 10, 1 << 20] {
            exchange(server, client, size);
            exchange(client, server, size);
        }
        self.settle();
        sizes
    }

    /// What the client cannot know: octets that the server has sent again though they had come.
    fn sent_again_to_client(&self) -> u64 {
        TcpCounters::of(&self.server).unwrap().bytes_retransmitted
    }

    /// What traffic of the client's since the connection began must be on the interface.
    fn carried(&self, traffic: Traffic) -> Carried {
        Carried { packets: traffic.segments, bytes: traffic.ip_bytes + self.sent_again_to_client() }
    }

    /// Waits until both ends have acknowledged all that they were sent; after that nothing more is sent by itself.
    fn settle(&self) {
        let has_settled = |end: &TcpStream, connects: bool| {
            let TcpCounters { bytes_sent, bytes_retransmitted, bytes_acked, .. } =
                TcpCounters::of(end).unwrap();
            bytes_acked == bytes_sent - bytes_retransmitted + u64::from(connects)
        };
        wait_until("all is acknowledged", || {
            has_settled(&self.client, true) && has_settled(&self.server, false)
        });
    }
}

/// Sends so many octets from one end to the other.
fn exchange(from: &mut TcpStream, to: &mut TcpStream, size: usize) {
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(&vec![7; size]).unwrap());
        to.read_exact(&mut vec![0; size]).unwrap();
    });
}

/// A connection that stands, and blocks from then on.
fn stand(connector: &mut Connector) -> Result<TcpStream, ConnectError> {
    let mut stream = connector.connect()?;
    let mut poll = Poll::new().unwrap();
    poll.registry().register(&mut stream, Token(0), Interest::WRITABLE).unwrap();
    poll.poll(&mut Events::with_capacity(1), Some(PATIENCE)).unwrap();
    assert!(stream.take_error().unwrap().is_none());
    let stream = TcpStream::from(OwnedFd::from(stream));
    stream.set_nonblocking(false).unwrap();
    Ok(stream)
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        thread::yield_now();
    }
}

/// The layers of a known conversation with `host` against the interface's own counters.
fn the_layers_add_up(host: IpAddr, ip_header: u64, has_timestamps: bool) {
    let header_bytes = ip_header + 20 + if has_timestamps { 12 } else { 0 };
    let mut pair = Pair::connect(host);
    pair.settle();
    let (counters, carried) = (TcpCounters::of(&pair.client).unwrap(), Carried::now());
    let sizes = pair.converse();
    let (later, carried) = (TcpCounters::of(&pair.client).unwrap(), Carried::now().since(carried));
    let traffic = later.since(&counters);
    assert_eq!(pair.carried(traffic), carried, "{traffic:?}");
    assert_eq!(later.header_bytes, header_bytes);
    assert_eq!(traffic.tcp_bytes - traffic.retransmitted_bytes, sizes.iter().sum::<usize>() as u64);
    // One packet for each segment, and none larger than the segments of `--mss` make it.
    let data_segments = later.data_segments_in - counters.data_segments_in
        + (later.data_segments_out - counters.data_segments_out);
    let room = if has_timestamps { 1_448 } else { 1_460 };
    assert!(data_segments as usize >= sizes.iter().map(|size| size.div_ceil(room)).sum());
}

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LOCALHOST6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Leaves out what the layers say they do not count. Loopback passes super-packets, and counts each as one packet. What two
/// cores pass to each other may overtake, and what is late on a busy machine is sent again; both are acknowledged with
/// options that nobody counts.
fn keep_it_simple() {
    run("ip", &["link", "set", "lo", "gso_max_segs", "1"]);
    for name in ["tcp_sack", "tcp_dsack", "tcp_early_retrans"] {
        set_sysctl(name, "0");
    }
    let mut this_core = CpuSet::new();
    this_core.set(sched_getcpu().unwrap()).unwrap();
    sched_setaffinity(Pid::from_raw(0), &this_core).unwrap();
}

#[test]
fn the_layers_add_up_to_what_the_interface_has_carried() {
    in_a_network_of_its_own("the_layers_add_up_to_what_the_interface_has_carried", || {
        keep_it_simple();
        the_layers_add_up(LOCALHOST, 20, true);
        the_layers_add_up(LOCALHOST6, 40, true);
        set_sysctl("tcp_timestamps", "0");
        the_layers_add_up(LOCALHOST, 20, false);
    });
}

#[test]
fn a_whole_connection_adds_up_but_for_the_further_options_of_its_two_syn_segments() {
    let name = "a_whole_connection_adds_up_but_for_the_further_options_of_its_two_syn_segments";
    in_a_network_of_its_own(name, || {
        keep_it_simple();
        let before = Carried::now();
        let mut pair = Pair::connect(LOCALHOST);
        pair.converse();
        let resent = pair.sent_again_to_client();
        let Pair { mut client, server } = pair;
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!((&server).read(&mut [0]).unwrap(), 0);
        drop(server);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let traffic = TcpCounters::of(&client).unwrap().since(&TcpCounters::default());
        let carried = Carried::now().since(before);
        assert_eq!(traffic.segments, carried.packets);
        let received_fin = 1;
        assert_eq!(traffic.ip_bytes - received_fin + resent + 2 * 8, carried.bytes);
    });
}

#[test]
fn super_packets_are_more_segments_than_the_interface_counts() {
    in_a_network_of_its_own("super_packets_are_more_segments_than_the_interface_counts", || {
        let mut pair = Pair::connect(LOCALHOST);
        pair.settle();
        let (counters, carried) = (TcpCounters::of(&pair.client).unwrap(), Carried::now());
        pair.converse();
        let segments = TcpCounters::of(&pair.client).unwrap().since(&counters).segments;
        assert!(Carried::now().since(carried).packets < segments);
    });
}

#[test]
fn ports_run_out_towards_one_target_for_one_source_only() {
    in_a_network_of_its_own("ports_run_out_towards_one_target_for_one_source_only", || {
        let listeners = [50_000, 50_001].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        let [one, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        set_sysctl("ip_local_port_range", "40000 40001");
        let two_sources = Some("127.0.0.5-127.0.0.6".parse().unwrap());
        let mut to_one = Connector::new(one, two_sources, None);
        let mut open: Vec<TcpStream> = (0..4).map(|_| stand(&mut to_one).unwrap()).collect();
        let error = stand(&mut to_one).unwrap_err();
        assert_eq!(error.reason(), ReasonKind::PortsExhausted, "{error}");
        assert!(error.to_string().contains("no local port is left on 127.0.0.5"), "{error}");
        let mut to_other = Connector::new(other, two_sources, None);
        open.extend((0..4).map(|_| stand(&mut to_other).unwrap()));
    });
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_loadtest");

const LOAD: Load = Load {
    rate: Rate::from_thousandths(1_000_000),
    burst: Count(1),
    size: Size(128),
    topics: Count(1),
    poll_period: Some(Period::from_secs(1)),
};

fn start(program: &str) -> Result<OwnBroker, StartError> {
    OwnBroker::start(program.as_ref(), &Cores::split().unwrap().broker, &LOAD)
}

fn temporary_files_of(broker: &OwnBroker) -> PathBuf {
    env::temp_dir().join(format!("loadtest-{}-{}", std::process::id(), broker.address().port()))
}

/// Answers a request, whole.
fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_broker_of_our_own_serves_on_its_cores_until_it_is_dropped() {
    let mut broker = start(PROGRAM).unwrap();
    assert!(http(broker.address(), "GET /readyz").starts_with("HTTP/1.1 200"));
    assert_eq!(broker.check(), Ok(()));
    let status = fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let cores = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    assert_eq!(cores.trim(), broker.cores().to_string());
    assert!(Family::of(broker.pid()).unwrap().look().unwrap().resident_bytes > 0);
    assert!(!temporary_files_of(&broker).exists(), "nothing is left behind, however this process ends");
    let pid = broker.pid();
    drop(broker);
    assert!(matches!(Family::of(pid), Err(UsageError::Gone { .. })));
}

#[test]
fn a_broker_that_ends_says_why() {
    let error = start("/bin/sh").unwrap_err();
    let StartError::Ended(ended) = error else { panic!("{error}") };
    assert!(!ended.status.success());
    assert!(ended.last_words.contains("broker"), "{ended}");
    let mut broker = start(PROGRAM).unwrap();
    kill(Pid::from_raw(broker.pid().cast_signed()), SIGKILL).unwrap();
    wait_until("it has ended", || broker.check().is_err());
    assert!(matches!(start("/nonexistent"), Err(StartError::System { .. })));
}

#[test]
fn a_broker_ends_with_the_thread_that_has_started_it() {
    let broker = thread::spawn(|| start(PROGRAM).unwrap()).join().unwrap();
    let mut broker = broker;
    wait_until("it has ended", || broker.check().is_err());
}

#[test]
fn a_broker_whose_parent_is_gone_does_not_begin() {
    let cores = Cores::split().unwrap().broker.to_string();
    // Had it begun, it would have come to what is wrong with these, and ended with 2.
    let arguments = ["broker", "--parent", "1", "--on-cores", &cores, "--", "--no-such-flag"];
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is gone"));
}
