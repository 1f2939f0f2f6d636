use std::net::{TcpListener, TcpStream, UdpSocket};

use super::*;

#[test]
fn a_kernel_that_counts_too_little_is_told_from_one_that_counts_nothing() {
    let error = TcpCounters::from_info(&Info::filled_up_to(192), IPV4_HEADER).unwrap_err();
    assert!(matches!(error, TcpInfoError::OldKernel { given: 192, needed: 216 }));
    assert!(error.to_string().contains("Linux 4.19 or later"), "{error}");
    assert_eq!(TcpCounters::from_info(&Info::filled_up_to(216), IPV4_HEADER).unwrap().header_bytes, 40);
}

#[test]
fn a_socket_that_is_not_of_tcp_is_refused() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(matches!(TcpCounters::of(&socket), Err(TcpInfoError::Refused(_))));
}

#[test]
fn ipv4_within_an_ipv6_socket_is_ipv4() {
    let header = |address: &str| ip_header(Some(address.parse().unwrap()));
    assert_eq!(header("127.0.0.1:1"), 20);
    assert_eq!(header("[::1]:1"), 40);
    assert_eq!(header("[::ffff:127.0.0.1]:1"), 20);
}

#[test]
fn segment_counters_may_wrap_around() {
    let earlier = TcpCounters { segments_out: u32::MAX, segments_in: u32::MAX - 1, ..TcpCounters::default() };
    let later = TcpCounters { segments_out: 4, segments_in: 3, bytes_sent: 7, header_bytes: 52, ..earlier };
    let traffic = later.since(&earlier);
    assert_eq!(
        traffic,
        Traffic { tcp_bytes: 7, retransmitted_bytes: 0, ip_bytes: 7 + 10 * 52, segments: 10 }
    );
}

#[test]
fn many_connections_add_up() {
    let one = Traffic { tcp_bytes: 1, retransmitted_bytes: 2, ip_bytes: 3, segments: 4 };
    let sum: Traffic = [one; 10].into_iter().sum();
    let layers = sum.layers(7, 8, 9);
    let expected = Layers { deliveries: 7, payload: 8, application: 9, tcp: 10, ip: 30, segments: 40 };
    assert_eq!(layers, expected);
}

#[test]
fn a_connection_that_stands_has_had_its_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let counters = TcpCounters::of(&stream).unwrap();
    assert_eq!((counters.segments_out, counters.segments_in), (2, 1));
    assert_eq!((counters.bytes_sent, counters.bytes_received), (0, 0));
}
