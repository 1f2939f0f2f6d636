//! TLS as clients and operators meet it.

mod authority;
mod certificates;
mod client;
mod clients;
mod handshakes;
mod limits;
mod operating;
mod records;

use std::net::SocketAddr;

use fanwire::config::TlsConfig;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ProtocolVersion};
use tungstenite::Message;

use self::authority::Authority;
use self::client::{get, receive_text, shake_hands, tls_over, tls_to, web_socket};
use crate::support::{TestBroker, connect_narrow};

/// A broker with a plain port, which is its address, and the port that speaks TLS.
struct TlsBroker {
    plain: TestBroker,
    address: SocketAddr,
}

impl TlsBroker {
    fn start(tls: TlsConfig) -> Self {
        Self::start_with(tls, |_| ())
    }

    fn start_with(tls: TlsConfig, configure: impl FnOnce(&mut fanwire::config::Config)) -> Self {
        let plain = TestBroker::start_with(|config| {
            config.listen.push("tls://127.0.0.1:0".parse().unwrap());
            config.tls = Some(tls);
            configure(config);
        });
        let address = plain.addresses()[1];
        Self { plain, address }
    }
}

#[test]
fn https_and_wss_are_spoken_in_both_versions() {
    let authority = Authority::new("versions");
    let broker = TlsBroker::start(authority.tls());
    for (version, name) in [(&TLS13, ProtocolVersion::TLSv1_3), (&TLS12, ProtocolVersion::TLSv1_2)] {
        let config = authority.client_with(&[version], None);
        let mut client = tls_to(broker.address, "localhost", config.clone());
        assert!(get(&mut client, "/healthz").unwrap().starts_with("HTTP/1.1 200 "));
        assert_eq!(client.conn.protocol_version(), Some(name));

        let mut subscriber = web_socket(broker.address, "/topics/a.b", config.clone());
        let mut publisher = web_socket(broker.address, "/topics/a.b?echo=false", config);
        for length in [0, 1, 125, 16_384, 16_385, 200_000] {
            let text = "x".repeat(length);
            publisher.send(Message::text(text.clone())).unwrap();
            assert!(receive_text(&mut subscriber) == text, "{length} bytes");
        }
        subscriber.close(None).unwrap();
        while subscriber.read().is_ok() {}
    }
    let handshakes = |labels| broker.plain.figure_with("fanwire_tls_handshakes_total", labels);
    assert_eq!((handshakes("version=\"1.3\""), handshakes("version=\"1.2\"")), (3, 3));
}

#[test]
fn a_client_goes_on_from_its_last_session_unless_it_is_known_by_its_certificate() {
    let authority = Authority::new("resumption");
    for (tls, expected) in
        [(authority.tls(), HandshakeKind::Resumed), (authority.tls_with_clients(false), HandshakeKind::Full)]
    {
        let broker = TlsBroker::start(tls);
        let identity = authority.identity("feeder");
        for version in [&TLS13, &TLS12] {
            let config =
                authority.client_with(&[version], Some((identity.0.clone(), identity.1.clone_key())));
            get(&mut tls_to(broker.address, "localhost", config.clone()), "/healthz").unwrap();
            let mut again = tls_to(broker.address, "localhost", config);
            get(&mut again, "/healthz").unwrap();
            assert_eq!(again.conn.handshake_kind(), Some(expected), "{version:?}");
        }
        let resumed = broker.plain.figure_with("fanwire_tls_handshakes_total", "resumed=\"true\"");
        assert_eq!(resumed, if expected == HandshakeKind::Resumed { 2 } else { 0 });
    }
}

#[test]
fn http_1_1_is_the_only_protocol() {
    let authority = Authority::new("alpn");
    let broker = TlsBroker::start(authority.tls());
    let offering = |protocols: &[&str]| {
        let mut config = authority.client();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let mut client = tls_to(broker.address, "localhost", config);
        shake_hands(&mut client).map(|()| client.conn.alpn_protocol().map(<[u8]>::to_vec))
    };
    assert_eq!(offering(&["h2", "http/1.1"]).unwrap(), Some(b"http/1.1".to_vec()));
    assert_eq!(offering(&[]).unwrap(), None);
    assert!(offering(&["h2"]).unwrap_err().to_string().contains("NoApplicationProtocol"));
    broker.plain.wait_until("one has failed", |broker| broker.disconnects("tls_failed") == 1);
}

/// What the broker cannot hand to the kernel at once waits as octets, or as records that were made already.
#[test]
fn an_answer_that_is_read_late_comes_whole_and_ends_with_a_goodbye() {
    let authority = Authority::new("late");
    let broker = TlsBroker::start(authority.tls());
    for kibibytes in [1, 16, 60, 64, 200, 512] {
        let text = "fanwire ".repeat(kibibytes * 128);
        broker.plain.post("late.topic", &text);
        let mut client = tls_over(connect_narrow(broker.address), "localhost", authority.client());
        shake_hands(&mut client).unwrap();
        let response = get(&mut client, "/topics/late.topic").expect("a goodbye");
        assert!(response.ends_with(&text), "{kibibytes} KiB: {} bytes have come", response.len());
    }
}
