use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::time::{SystemTime, UNIX_EPOCH};

use mio::{Events, Interest, Poll, Token};
use socket2::SockRef;

use super::*;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, SocketAddr::from(([127, 0, 0, 1], port)))
}

/// Waits until a connection stands, or has failed.
fn wait(stream: &mut TcpStream) {
    let mut poll = Poll::new().unwrap();
    poll.registry().register(stream, Token(0), Interest::WRITABLE).unwrap();
    poll.poll(&mut Events::with_capacity(1), None).unwrap();
    poll.registry().deregister(stream).unwrap();
}

fn sources(text: &str) -> SourceAddresses {
    text.parse().unwrap()
}

fn wall_clock_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[test]
fn connections_come_from_each_address_in_turn() {
    let (listener, target) = listener();
    let mut connector = Connector::new(target, Some(sources("127.0.0.2-127.0.0.4")), None);
    for expected in [2, 3, 4, 2] {
        let mut stream = connector.connect().unwrap();
        wait(&mut stream);
        assert!(stream.take_error().unwrap().is_none());
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), IpAddr::from([127, 0, 0, expected]));
    }
}

#[test]
fn a_connection_has_the_options() {
    let (_listener, target) = listener();
    let mut stream = Connector::new(target, None, Some("1460".parse().unwrap())).connect().unwrap();
    wait(&mut stream);
    let socket = SockRef::from(&stream);
    assert!(socket.tcp_nodelay().unwrap());
    assert!(socket.nonblocking().unwrap());
    // Twelve octets of each segment are its time stamps, unless the system has turned them off.
    assert!([1448, 1460].contains(&socket.tcp_mss().unwrap()), "{:?}", socket.tcp_mss());
}

#[test]
fn what_is_read_comes_with_the_time_at_which_the_kernel_got_it() {
    let (listener, target) = listener();
    let mut stream = Connector::new(target, None, None).connect().unwrap();
    wait(&mut stream);
    let (mut peer, _) = listener.accept().unwrap();
    let mut reader = StampedReader::default();
    let mut buffer = [0; 100];
    assert_eq!(reader.read(&stream, &mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
    let mut next = || {
        let before = wall_clock_ns();
        peer.write_all(b"word").unwrap();
        let (length, stamp) = loop {
            match reader.read(&stream, &mut buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                other => break other.unwrap(),
            }
        };
        assert_eq!(&buffer[..length], b"word");
        stamp.map(|stamp| (before..=wall_clock_ns()).contains(&stamp))
    };
    // The kernel begins to stamp some time after it was first asked to.
    let first = (0..100_000).find_map(|_| next());
    assert_eq!(first, Some(true));
    assert_eq!(next(), Some(true));
    drop(peer);
    while reader.read(&stream, &mut buffer).is_err() {}
    assert_eq!(reader.read(&stream, &mut buffer).unwrap(), (0, None));
}

#[test]
fn what_the_kernel_refuses_at_once_names_the_target() {
    // TCP does not broadcast, so that nothing leaves the machine.
    let target = "255.255.255.255:9".parse().unwrap();
    let error = Connector::new(target, None, None).connect().unwrap_err();
    assert!(matches!(&error, ConnectError::Failed { .. }), "{error:?}");
    assert_eq!(error.reason(), ReasonKind::ConnectionsLost);
    assert!(error.to_string().contains("255.255.255.255:9"), "{error}");
}

#[test]
fn an_address_that_is_not_of_this_machine_or_of_the_other_family_is_named() {
    let (_listener, target) = listener();
    let error = Connector::new(target, Some(sources("192.0.2.1")), None).connect().unwrap_err();
    assert!(matches!(error, ConnectError::NotLocal { source } if source == IpAddr::from([192, 0, 2, 1])));
    let error = Connector::new(target, Some(sources("::1")), None).connect().unwrap_err();
    assert!(matches!(error, ConnectError::OtherFamily { .. }), "{error}");
}

#[test]
fn what_ran_out_is_told_apart() {
    let connector = Connector::new(SocketAddr::from(([127, 0, 0, 1], 1)), None, None);
    let reason = |code| connector.blame(None, io::Error::from_raw_os_error(code)).reason();
    assert_eq!(reason(libc::EMFILE), ReasonKind::FilesExhausted);
    assert_eq!(reason(libc::ENFILE), ReasonKind::FilesExhausted);
    assert_eq!(reason(libc::EADDRNOTAVAIL), ReasonKind::PortsExhausted);
    assert_eq!(reason(libc::ETIMEDOUT), ReasonKind::ConnectionsLost);
}
