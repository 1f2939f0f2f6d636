//! Clients that are known by their certificates.

use std::io::{Read, Write};

use fanwire::config::{AuthConfig, CertifiedClient, MetricsAccess};
use fanwire_broker::Permissions;
use fanwire_wire::topic::TopicOrPattern;
use rustls::ClientConfig;
use serde_json::{Value, json};
use tungstenite::Message;

use super::TlsBroker;
use super::authority::Authority;
use super::client::{receive_text, tls_to, web_socket};
use crate::identity::{alice, hs256};

/// What [`Authority::identity`] calls the feeder.
const FEEDER: &str = "CN=feeder,O=Example\\, Inc.";

fn client(subject: &str, subscribe: &[&str], publish: &[&str]) -> CertifiedClient {
    let grants = |granted: &[&str]| granted.iter().map(|text| TopicOrPattern::parse(text).unwrap()).collect();
    CertifiedClient {
        subject: subject.parse().unwrap(),
        subscribe: grants(subscribe),
        publish: grants(publish),
        metrics: false,
    }
}

/// A broker that knows the feeder, and whatever else `configure` says.
fn start(authority: &Authority, configure: impl FnOnce(&mut fanwire::config::Config)) -> TlsBroker {
    TlsBroker::start_with(authority.tls_with_clients(false), |config| {
        // As an operator may write it.
        config.auth.clients = vec![client("cn=feeder, o=Example\\2c Inc.", &["open.*"], &["open.*"])];
        configure(config);
    })
}

fn with_certificate(authority: &Authority, name: &str) -> ClientConfig {
    authority.client_with(&[&rustls::version::TLS13], Some(authority.identity(name)))
}

/// The status of the answer, and all of it.
fn ask(broker: &TlsBroker, config: &ClientConfig, method: &str, path: &str, further: &str) -> (u16, String) {
    let mut client = tls_to(broker.address, "localhost", config.clone());
    let body = if method == "POST" { "1" } else { "" };
    let length = body.len();
    write!(
        client,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{further}\r\n{body}"
    )
    .unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    (response[9..12].parse().unwrap(), response)
}

fn say(socket: &mut tungstenite::WebSocket<super::client::TlsClient>, command: &Value) -> Value {
    socket.send(Message::text(command.to_string())).unwrap();
    serde_json::from_str(&receive_text(socket)).unwrap()
}

#[test]
fn a_certificate_says_who_its_client_is_over_every_interface() {
    let authority = Authority::new("certified");
    let broker = start(&authority, |_| ());
    let feeder = with_certificate(&authority, "feeder");
    assert_eq!(ask(&broker, &feeder, "POST", "/topics/open.a", "").0, 200);
    assert_eq!(ask(&broker, &feeder, "GET", "/topics/open.a", "").0, 200);
    let escaped = FEEDER.replace('\\', "\\\\");
    for (method, further, message) in [
        ("GET", "", "may not subscribe to closed"),
        ("GET", "Accept: text/event-stream\r\n", "may not subscribe to closed"),
        ("POST", "", "may not publish to closed"),
    ] {
        let (status, response) = ask(&broker, &feeder, method, "/topics/closed", further);
        assert_eq!(status, 403, "{response}");
        assert!(response.contains(&format!("{escaped} {message}")), "{response}");
    }

    let mut commands = web_socket(broker.address, "/v1/ws", feeder.clone());
    assert!(receive_text(&mut commands).contains("welcome"));
    assert_eq!(say(&mut commands, &json!({"type":"subscribe","topic":"open.*"}))["type"], "subscribed");
    let refused = say(&mut commands, &json!({"type":"subscribe","topic":"open.>"}));
    assert_eq!(refused["message"], format!("{FEEDER} may not subscribe to open.>"));
    let refused = say(&mut commands, &json!({"type":"publish","topic":"closed","data":1}));
    assert_eq!(refused["message"], format!("{FEEDER} may not publish to closed"));

    let mut raw = web_socket(broker.address, "/topics/open.b", feeder);
    raw.send(Message::text("from a certificate")).unwrap();
    assert_eq!(receive_text(&mut raw), "from a certificate");
}

#[test]
fn who_is_not_known_by_its_certificate_is_anonymous() {
    let authority = Authority::new("unknown");
    let clients = [with_certificate(&authority, "stranger"), authority.client()];
    let broker = start(&authority, |_| ());
    for config in &clients {
        let (status, response) = ask(&broker, config, "GET", "/topics/open.a", "");
        assert!(status == 403 && response.contains("\"no_certificate\""), "{response}");
    }
    assert_eq!(
        broker.plain.http().get("/topics/open.a").code(),
        "no_certificate",
        "there are none without TLS"
    );

    let broker = start(&authority, |config| config.auth.keys = vec![hs256()]);
    for config in &clients {
        let (status, response) = ask(&broker, config, "GET", "/topics/open.a", "");
        assert!(status == 401 && response.contains("\"no_token\""), "{response}");
    }

    let broker = start(&authority, |config| {
        let CertifiedClient { subscribe, .. } = client(FEEDER, &["public"], &[]);
        config.auth.anonymous = Some(Permissions { subscribe, ..Permissions::default() });
    });
    for config in &clients {
        assert_eq!(ask(&broker, config, "GET", "/topics/public", "").0, 404, "it may look");
        let (_, response) = ask(&broker, config, "GET", "/topics/open.a", "");
        assert!(response.contains("an anonymous client may not subscribe to open.a"), "{response}");
    }
    let feeder = with_certificate(&authority, "feeder");
    assert_eq!(
        ask(&broker, &feeder, "GET", "/topics/public", "").0,
        403,
        "who is known is not anonymous too"
    );
}

#[test]
fn a_token_goes_before_the_certificate_and_is_not_added_to_it() {
    let authority = Authority::new("both");
    let broker = start(&authority, |config| config.auth.keys = vec![hs256()]);
    let feeder = with_certificate(&authority, "feeder");
    let bearer = format!("Authorization: Bearer {}\r\n", alice(&["closed"], &[]));
    assert_eq!(ask(&broker, &feeder, "GET", "/topics/closed", &bearer).0, 404, "the token may");
    let (status, response) = ask(&broker, &feeder, "GET", "/topics/open.a", &bearer);
    assert!(status == 403 && response.contains("alice may not subscribe to open.a"), "{response}");
    let (status, response) = ask(&broker, &feeder, "GET", "/topics/open.a", "Authorization: Bearer x\r\n");
    assert!(status == 401 && response.contains("\"bad_token\""), "{response}");

    let mut commands = web_socket(broker.address, "/v1/ws", feeder);
    assert!(receive_text(&mut commands).contains("welcome"));
    let refused = say(&mut commands, &json!({"type":"auth","token":alice(&[">"], &[])}));
    assert!(refused["message"].as_str().unwrap().starts_with(&format!("this connection is {FEEDER}'s")));
}

#[test]
fn a_token_that_no_key_could_have_signed_is_not_taken_for_none() {
    let authority = Authority::new("no-keys");
    let broker = start(&authority, |_| ());
    let bearer = format!("Authorization: Bearer {}\r\n", alice(&[">"], &[">"]));
    let (status, response) =
        ask(&broker, &with_certificate(&authority, "feeder"), "GET", "/topics/open.a", &bearer);
    assert!(status == 401 && response.contains("\"bad_token\""), "{response}");
    assert!(response.contains("this broker has no keys"), "{response}");
}

#[test]
fn the_figures_are_for_certificates_of_which_it_is_said() {
    let authority = Authority::new("figures");
    let broker = start(&authority, |config| {
        config
            .auth
            .clients
            .push(CertifiedClient { metrics: true, ..client("CN=prometheus,O=Example\\, Inc.", &[], &[]) });
    });
    let status = |config: &ClientConfig| ask(&broker, config, "GET", "/metrics", "").0;
    assert_eq!(status(&with_certificate(&authority, "prometheus")), 200);
    assert_eq!(status(&with_certificate(&authority, "feeder")), 403);
    assert_eq!(status(&authority.client()), 403);
    let open = start(&authority, |config| config.auth.metrics = MetricsAccess::Open);
    assert_eq!(ask(&open, &authority.client(), "GET", "/metrics", "").0, 200);
}

/// A browser shows its user's certificate whichever page asks.
#[test]
fn where_all_origins_are_allowed_none_but_the_brokers_own_has_its_users_certificate() {
    let authority = Authority::new("ambient");
    let feeder = with_certificate(&authority, "feeder");
    let app = "Origin: https://app.example.com\r\n";
    for (origins, origin, expected) in [
        (&["*"][..], app, 403),
        (&["*", "https://app.example.com"], app, 403),
        (&["*"], "Origin: https://localhost\r\n", 200),
        (&["*"], "", 200),
        (&["https://app.example.com"], app, 200),
    ] {
        let broker = start(&authority, |config| {
            config.origins = origins.iter().map(|text| text.parse().unwrap()).collect();
        });
        let (status, response) = ask(&broker, &feeder, "POST", "/topics/open.a", origin);
        assert_eq!(status, expected, "{origins:?} {origin} {response}");
        let shares = response.contains("Access-Control-Allow-Credentials: true");
        assert_eq!(shares, expected == 200 && origin == app, "{response}");
    }
}

#[test]
fn a_page_that_came_without_tls_is_not_the_brokers_own_where_it_speaks_tls() {
    let authority = Authority::new("scheme");
    let broker = TlsBroker::start(authority.tls());
    let status = |origin: &str| {
        ask(&broker, &authority.client(), "GET", "/healthz", &format!("Origin: {origin}\r\n")).0
    };
    assert_eq!((status("https://localhost"), status("http://localhost")), (200, 403));
    let behind_proxy = |origin: &str, scheme: &str| {
        let further = format!("Origin: {origin}\r\nX-Forwarded-Proto: {scheme}\r\n");
        ask(&broker, &authority.client(), "GET", "/healthz", &further).0
    };
    assert_eq!(
        behind_proxy("http://localhost", "http"),
        200,
        "the proxy speaks TLS, and its client does not"
    );
    assert_eq!(behind_proxy("http://localhost", "https"), 403);
}

#[test]
fn who_is_known_by_a_certificate_makes_a_broker_one_that_asks() {
    let mut auth = AuthConfig::default();
    assert!(!auth.asks_clients());
    auth.clients.push(client(FEEDER, &[], &[]));
    assert!(auth.asks_clients() && !auth.has_keys());
}
