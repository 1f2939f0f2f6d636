//! The event loops against servers that are made by hand, and do what no good server does.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use fanwire_wire::handshake::accept_key;
use loadtest::clock::now_ns;
use loadtest::conversation::Peer;
use loadtest::live::Live;
use loadtest::opening::{Opening, RunError};
use loadtest::plan::{Plan, Server};
use loadtest::receiver::Receiver;
use loadtest::record::Layers;
use loadtest::run::{Outcome, run};
use loadtest::transport::{HeaderProfile, Protocol};
use loadtest::workload::{Arrival, Shape, Slow, Workload};
use socket2::SockRef;

/// A server on loopback that does this with every connection, each on a thread of its own.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, serve) = (stream.unwrap(), serve.clone());
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// The head of a request, with the empty line.
fn request(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).expect("a request");
        head.extend(octet);
    }
    String::from_utf8(head).expect("a request is ASCII")
}

/// What opens the WebSocket that a request asks for.
fn upgrade(request: &str) -> Vec<u8> {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = String::from_utf8(accept_key(key).expect("a key").to_vec()).unwrap();
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// Opens the WebSocket that the client asks for.
fn accept(stream: &mut TcpStream) {
    let response = upgrade(&request(stream));
    stream.write_all(&response).expect("it reads");
}

/// Pings, and waits for the pong.
fn ping(stream: &mut TcpStream) {
    stream.write_all(b"\x89\x00").expect("it reads");
    let mut pong = [0; 6];
    stream.read_exact(&mut pong).expect("a pong");
    assert_eq!(pong[..2], *b"\x8a\x80");
}

/// One topic with one publisher, and half a second of ten messages a second.
fn workload(subscribers: usize) -> Workload {
    Workload {
        subscribers,
        shape: Shape::Feeds { topics: 1, publishers: 1 },
        rate: 10.0,
        duration_ns: 500_000_000,
        warmup_ns: 0,
        size: 20,
        arrival: Arrival::Constant,
        burst: 1,
        slow: None,
    }
}

/// A run in raw over `transport` against a server.
fn plan(address: SocketAddr, transport: &str, workload: Workload) -> Plan {
    let peer = Peer {
        authority: address.to_string(),
        path: Protocol::Raw.usual_path().to_owned(),
        headers: HeaderProfile::Minimal,
        transport: transport.parse().unwrap(),
        protocol: Protocol::Raw,
    };
    Plan::new(workload, Server { address, peer, sources: None, mss: None }, 1, 0)
}

fn receiver(plan: &Plan, subscribers: usize) -> Receiver<'_> {
    let mut receiver = Receiver::new(plan, 0).unwrap();
    let opened = receiver.connect(subscribers, Opening::default()).unwrap();
    assert_eq!(opened.failed, 0);
    receiver
}

#[test]
fn idle_connections_answer_pings_and_those_that_break_are_counted() {
    let (send_end, ends) = mpsc::channel();
    let address = server(move |mut stream| {
        accept(&mut stream);
        thread::sleep(Duration::from_millis(50));
        ping(&mut stream);
        send_end.send(()).unwrap();
    });
    let plan = plan(address, "ws", workload(3));
    let mut receiver = receiver(&plan, 3);
    let patience_ns = now_ns() + 20_000_000_000;
    while receiver.lost() < 3 && now_ns() < patience_ns {
        receiver.idle_until(now_ns() + 10_000_000).unwrap();
    }
    assert_eq!((receiver.lost(), ends.try_iter().count()), (3, 3));
    assert!(receiver.first_broken().is_some());
}

/// Whether the client publishes; or else it subscribes.
fn publishes(request: &str) -> bool {
    request.contains("echo=false")
}

/// Two messages with two seconds between them: each pong comes before whatever is said next.
#[test]
fn publishers_answer_pings_between_two_messages_and_after_the_last_one() {
    let (send_pong, pongs) = mpsc::channel();
    let address = server(move |mut stream| {
        let request = request(&mut stream);
        stream.write_all(&upgrade(&request)).expect("it reads");
        if publishes(&request) {
            for message in 0..2 {
                stream.read_exact(&mut [0; 26]).expect("a message");
                thread::sleep(Duration::from_millis(50));
                ping(&mut stream);
                send_pong.send(message).unwrap();
            }
        }
        let _ = stream.read(&mut [0]);
    });
    let workload = Workload { rate: 0.5, duration_ns: 2_100_000_000, ..workload(1) };
    let outcome = run(&plan(address, "ws", workload), 1, None, &Live::default()).unwrap();
    assert_eq!(pongs.try_iter().collect::<Vec<_>>(), [0, 1]);
    let counts = outcome.tally.counts;
    assert_eq!((counts.sent, counts.lost, counts.broken), (2, 2, 0));
}

/// Says something and ends the connection, in one segment: there is one event for both, for who is not waiting for it.
fn say_and_end(mut stream: TcpStream, said: &[u8]) {
    SockRef::from(&stream).set_tcp_cork(true).unwrap();
    stream.write_all(said).expect("it reads");
    drop(stream);
}

#[test]
fn a_subscriber_sees_the_end_right_behind_a_message() {
    let (send_end, end) = mpsc::channel();
    let address = server(move |mut stream| {
        accept(&mut stream);
        // When it is ready, it waits for nothing until this has ended.
        thread::sleep(Duration::from_millis(200));
        say_and_end(stream, b"\x81\x02{}");
        send_end.send(()).unwrap();
    });
    let plan = plan(address, "ws", workload(1));
    let mut receiver = receiver(&plan, 1);
    end.recv().unwrap();
    let patience_ns = now_ns() + 2_000_000_000;
    while receiver.lost() == 0 && now_ns() < patience_ns {
        receiver.idle_until(now_ns() + 10_000_000).unwrap();
    }
    assert_eq!(receiver.lost(), 1);
}

/// It sleeps between its first message and its second, which it does not send if it has seen the end before.
#[test]
fn a_publisher_sees_the_end_right_behind_a_message() {
    let address = server(move |mut stream| {
        let request = request(&mut stream);
        stream.write_all(&upgrade(&request)).expect("it reads");
        if !publishes(&request) {
            let _ = stream.read(&mut [0]);
            return;
        }
        stream.read_exact(&mut [0; 26]).expect("a message");
        thread::sleep(Duration::from_millis(200));
        say_and_end(stream, b"\x81\x02{}");
    });
    let workload = Workload { rate: 0.5, duration_ns: 2_100_000_000, ..workload(1) };
    let outcome = run(&plan(address, "ws", workload), 1, None, &Live::default()).unwrap();
    let counts = outcome.tally.counts;
    assert_eq!((counts.sent, counts.broken), (1, 1));
}

/// Something happens all the time, and nothing comes of it.
#[test]
fn a_server_that_never_ends_its_answer_is_given_up() {
    let outcome = |drips_to_publisher: bool| {
        let address = server(move |mut stream| {
            let request = request(&mut stream);
            if publishes(&request) != drips_to_publisher {
                stream.write_all(&upgrade(&request)).expect("it reads");
                let _ = stream.read(&mut [0]);
                return;
            }
            let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nDrop: ");
            while stream.write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });
        run(&plan(address, "ws", workload(1)), 1, None, &Live::default()).err()
    };
    thread::scope(|scope| {
        for ended in [false, true].map(|to_publisher| scope.spawn(move || outcome(to_publisher))) {
            let error = ended.join().unwrap();
            assert!(matches!(error, Some(RunError::Stalled { ready: 0, wanted: 1 })), "{error:?}");
        }
    });
}

/// The server reads what was written after the run has ended: that, and nothing else, was sent.
#[test]
fn a_message_that_is_not_written_is_not_sent() {
    const SIZE: usize = 1 << 20;
    const FRAME: usize = 14 + SIZE;
    let (end, run_has_ended) = mpsc::channel::<()>();
    let run_has_ended = Arc::new(Mutex::new(run_has_ended));
    let (say_whole, whole) = mpsc::channel();
    let address = server(move |mut stream| {
        let request = request(&mut stream);
        stream.write_all(&upgrade(&request)).expect("it reads");
        if publishes(&request) {
            let _ = run_has_ended.lock().unwrap().recv();
            let read = io::copy(&mut stream, &mut io::sink()).expect("it ends");
            say_whole.send(read / FRAME as u64).unwrap();
        } else {
            let _ = stream.read(&mut [0]);
        }
    });
    // At 0, 100, … 400 ms, forty each time: more than any kernel keeps.
    let workload = Workload { size: SIZE, rate: 400.0, burst: 40, ..workload(1) };
    let outcome = run(&plan(address, "ws", workload), 1, None, &Live::default()).unwrap();
    drop(end);
    let counts = outcome.tally.counts;
    assert_eq!((counts.due, counts.broken), (200, 0));
    assert_eq!(counts.sent, whole.recv().unwrap());
    assert!((1..200).contains(&counts.sent), "{}", counts.sent);
}

/// A message whose halves come one after the other, the first of them when the octets begin to be counted; then another one.
#[test]
fn octets_are_counted_from_where_nothing_is_half_read() {
    const SIZE: usize = 100_000;
    const FRAME: usize = 10 + SIZE;
    let address = server(move |mut stream| {
        let request = request(&mut stream);
        stream.write_all(&upgrade(&request)).expect("it reads");
        if !publishes(&request) {
            let mut frame = vec![0x81, 127];
            frame.extend((SIZE as u64).to_be_bytes());
            frame.extend(vec![b'x'; SIZE]);
            // When the run has begun.
            for piece in [&frame[..FRAME / 2], &frame[FRAME / 2..], &frame] {
                thread::sleep(Duration::from_millis(150));
                stream.write_all(piece).expect("it reads");
            }
        }
        let _ = io::copy(&mut stream, &mut io::sink());
    });
    let outcome = run(&plan(address, "ws", workload(1)), 1, None, &Live::default()).unwrap();
    let Layers { deliveries, payload, application, tcp, ip, segments } = outcome.tally.bytes;
    assert_eq!((deliveries, payload, application, tcp), (1, SIZE as u64, FRAME as u64, FRAME as u64));
    assert_eq!(ip, tcp + segments * 52);
}

/// A run with one subscriber that reads a thousand octets a second, from a server that does this with it.
fn run_slowly(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Outcome {
    let address = server(move |mut stream| {
        let request = request(&mut stream);
        stream.write_all(&upgrade(&request)).expect("it reads");
        if publishes(&request) {
            let _ = io::copy(&mut stream, &mut io::sink());
        } else {
            serve(stream);
        }
    });
    let slow = Some(Slow { subscribers: 1, octets_per_second: 1_000 });
    let workload = Workload { duration_ns: 1_500_000_000, slow, ..workload(1) };
    run(&plan(address, "ws", workload), 1, None, &Live::default()).unwrap()
}

#[test]
fn a_slow_subscriber_is_slow_to_the_server_too() {
    let (say_taken, taken) = mpsc::channel();
    let outcome = run_slowly(move |mut stream| {
        SockRef::from(&stream).set_send_buffer_size(4_096).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        // When the run has begun: before it, everything is read at once.
        thread::sleep(Duration::from_millis(300));
        // A message of 125 octets, again and again, until no more go.
        let frame = [b"\x81\x7d".as_slice(), &[b'x'; 125]].concat();
        let mut frames = 0;
        while stream.write_all(&frame).is_ok() {
            frames += 1;
        }
        say_taken.send(frames * frame.len()).unwrap();
    });
    let taken = taken.recv().unwrap();
    assert!(taken < 64 * 1024, "{taken} octets");
    let read = outcome.tally.slow.expect("there is one").counts.foreign * 127;
    assert!((127..=1_500).contains(&read), "{read} octets in 1.5 s");
}

#[test]
fn a_slow_subscriber_that_is_cut_off_is_counted_apart() {
    // When it is ready, and has waited for its first share.
    let outcome = run_slowly(|_| thread::sleep(Duration::from_millis(200)));
    assert_eq!(outcome.tally.slow.expect("there is one").counts.broken, 1);
    assert_eq!(outcome.tally.counts.broken, 0);
    assert!(outcome.first_broken.is_none());
}
