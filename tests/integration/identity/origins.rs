//! Pages of other origins, as browsers let them speak.

use fanwire::config::ProxyProtocol;
use fanwire_broker::Permissions;

use super::{alice, ask, bearer, request, start_with};
use crate::support::{HttpResponse, TestBroker, handshake};

fn allow(broker: &mut fanwire::config::Config, origins: &[&str]) {
    broker.origins = origins.iter().map(|text| text.parse().unwrap()).collect();
}

fn start(origins: &[&str]) -> TestBroker {
    TestBroker::start_with(|config| allow(config, origins))
}

const EVIL: &str = "Origin: https://evil.example.com\r\n";
const APP: &str = "Origin: https://app.example.com\r\n";

fn refused(response: &HttpResponse) -> bool {
    let has_cors = response.headers.keys().any(|name| name.starts_with("access-control-"));
    response.status == 403 && response.code() == "origin_not_allowed" && !has_cors
}

#[test]
fn a_page_of_another_origin_is_refused_on_every_path_and_a_page_of_the_broker_is_not() {
    for origins in [&[][..], &["https://app.example.com"]] {
        let broker = start(origins);
        for path in ["/topics/a", "/v1/publish", "/v1/ws", "/healthz", "/readyz", "/metrics", "/", "/nothing"]
        {
            for method in ["GET", "POST", "OPTIONS"] {
                let response = ask(&broker, request(method, path, EVIL, ""));
                assert!(refused(&response), "{method} {path}: {response:?}");
                let preflight = format!("{EVIL}Access-Control-Request-Method: POST\r\n");
                assert!(refused(&ask(&broker, request(method, path, &preflight, ""))), "{method} {path}");
            }
        }
        for path in ["/topics/a", "/v1/ws"] {
            assert!(refused(&ask(&broker, handshake(path, EVIL))), "{path}");
            assert!(refused(&ask(&broker, handshake(path, "Origin: null\r\n"))), "{path}");
            assert_eq!(ask(&broker, handshake(path, "Origin: http://localhost\r\n")).status, 101, "{path}");
        }
    }
}

/// The status and the code of what is asked for under this name, as the page of whoever has pointed it here asks.
fn under_name(broker: &TestBroker, name: &str, request: &str) -> (u16, String) {
    let further = format!("Host: {name}\r\nOrigin: http://{name}\r\n");
    let response = ask(broker, request.replace("Host: localhost\r\n", &further));
    (response.status, if response.status == 421 { response.code() } else { String::new() })
}

#[test]
fn a_name_that_somebody_points_at_a_broker_without_keys_is_no_name_of_the_broker() {
    let broker = start(&["http://app.example.com"]);
    let refused = (421, "host_not_allowed".to_owned());
    for request in [
        request("GET", "/topics/a", "", ""),
        request("POST", "/topics/a", "", "x"),
        request("GET", "/metrics", "", ""),
        request("GET", "/", "", ""),
        request("OPTIONS", "/topics/a", "Access-Control-Request-Method: POST\r\n", ""),
        handshake("/v1/ws", ""),
        handshake("/topics/a", ""),
    ] {
        assert_eq!(under_name(&broker, "evil.example:8080", &request), refused, "{request}");
        let read = request.replace("Host: localhost", "Host: evil.example:8080");
        assert_eq!(ask(&broker, read).status, 421, "pages name no Origin when they read");
        for name in ["localhost:8080", "127.0.0.1:8080", "app.example.com"] {
            assert_ne!(under_name(&broker, name, &request).0, 421, "{name}");
        }
    }
    for (scheme, remedy) in [("http", "allow http://NAME"), ("https", "allow https://NAME")] {
        let asked = format!("Host: evil.example\r\nX-Forwarded-Proto: {scheme}\r\n");
        let response = ask(&broker, request("GET", "/", "", "").replace("Host: localhost\r\n", &asked));
        assert!(response.text().contains(remedy), "{response:?}");
    }
    for path in ["/healthz", "/readyz"] {
        let probe = request("GET", path, "", "");
        assert_eq!(under_name(&broker, "evil.example", &probe).0, 200, "{path}");
    }
}

#[test]
fn a_broker_with_keys_or_one_that_is_open_on_purpose_has_whatever_name_it_is_given() {
    for broker in [start_with(|_| ()), TestBroker::start_with(|config| config.insecure_open = true)] {
        for request in [request("GET", "/topics/a", "", ""), handshake("/v1/ws", "")] {
            assert_ne!(under_name(&broker, "broker.example", &request).0, 421);
        }
    }
}

#[test]
fn a_token_does_not_make_up_for_a_strange_origin() {
    let broker = start_with(|_| ());
    let further = bearer(&alice(&[">"], &[">"])) + EVIL;
    assert!(refused(&ask(&broker, request("GET", "/topics/a", &further, ""))));
    assert!(refused(&ask(&broker, request("POST", "/topics/a", &further, "x"))));
}

#[test]
fn a_page_that_came_without_tls_is_strange_where_a_trusted_proxy_says_that_it_speaks_tls() {
    let status = |broker: &TestBroker, origin: &str, scheme: &str| {
        let further = format!("Origin: {origin}\r\nX-Forwarded-Proto: {scheme}\r\n");
        ask(broker, handshake("/v1/ws", &further)).status
    };
    let broker = start(&[]);
    for (origin, scheme, expected) in [
        ("http://localhost", "https", 403),
        ("http://localhost", "HTTPS", 403),
        ("http://localhost", "wss", 403),
        ("http://localhost", "https, http", 403),
        ("https://localhost", "https", 101),
        ("http://localhost", "http", 101),
        ("https://localhost", "http", 101),
        ("http://localhost", "http, https", 101),
        ("http://localhost", "gopher", 101),
        ("http://localhost", "", 101),
    ] {
        assert_eq!(status(&broker, origin, scheme), expected, "{origin} {scheme}");
    }

    let broker = TestBroker::start_with(|config| config.proxies.trust.clear());
    assert_eq!(status(&broker, "http://localhost", "https"), 101, "who is no proxy is not asked");
    let broker = TestBroker::start_with(|config| {
        config.proxies.protocol = ProxyProtocol::Proxy;
        config.proxies.trust = vec!["192.0.2.0/24".parse().unwrap()];
    });
    assert_eq!(status(&broker, "http://localhost", "https"), 101);
}

#[test]
fn where_all_origins_are_allowed_a_cookie_is_nobodys_token() {
    let token = alice(&["a"], &[]);
    for (origins, origin, expected) in [
        (&["*"][..], APP, 401),
        (&["*", "https://app.example.com"], APP, 401),
        (&["*"], "Origin: http://localhost\r\n", 404),
        (&["*"], "", 404),
        (&["https://app.example.com"], APP, 404),
    ] {
        let broker = start_with(|config| {
            allow(config, origins);
            config.auth.cookie = Some("session".to_owned());
        });
        let cookie = format!("{origin}Cookie: session={token}\r\n");
        assert_eq!(ask(&broker, request("GET", "/topics/a", &cookie, "")).status, expected, "{origins:?}");
        let opened = ask(&broker, handshake("/v1/ws", &cookie)).status;
        assert_eq!(opened, if expected == 401 { 401 } else { 101 }, "{origins:?}");
        let meant = request("GET", "/topics/a", &(bearer(&token) + origin), "");
        assert_eq!(ask(&broker, meant).status, 404, "a page that has the token was given it");
    }
}

#[test]
fn a_page_that_is_allowed_may_read_the_answer() {
    let broker = start(&["https://app.example.com"]);
    let response = ask(&broker, request("POST", "/topics/a", APP, "x"));
    assert_eq!(response.status, 200);
    for (method, path, status) in
        [("GET", "/topics/a", 200), ("GET", "/topics/b", 404), ("POST", "/topics/a..b", 400)]
    {
        let response = ask(&broker, request(method, path, APP, ""));
        assert_eq!(response.status, status);
        assert_eq!(response.headers["access-control-allow-origin"], "https://app.example.com");
        assert!(response.headers["access-control-expose-headers"].contains("Fanwire-Offset"));
        assert!(!response.headers.contains_key("access-control-allow-credentials"));
    }
    assert_eq!(ask(&broker, handshake("/v1/ws", APP)).status, 101);
    let mut stream = broker.http();
    stream.send(request("GET", "/topics/a", &format!("{APP}Accept: text/event-stream\r\n"), ""));
    assert_eq!(stream.response_head().headers["access-control-allow-origin"], "https://app.example.com");
}

#[test]
fn caches_do_not_mix_up_what_is_for_one_page_with_what_is_for_another() {
    let varies = |broker: &TestBroker| {
        let response = ask(broker, request("GET", "/healthz", "", ""));
        response.headers.get("vary").is_some_and(|vary| vary.contains("Origin"))
    };
    assert!(varies(&start(&["https://app.example.com"])), "even to who says no origin");
    assert!(!varies(&start(&[])));
    assert!(!varies(&start(&["*"])), "all are told the same");
}

#[test]
fn a_browser_may_ask_beforehand_without_saying_who_it_is() {
    let broker = start_with(|config| allow(config, &["https://app.example.com"]));
    let asks = format!(
        "{APP}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization\r\n"
    );
    for path in ["/topics/a", "/v1/publish", "/metrics"] {
        let response = ask(&broker, request("OPTIONS", path, &asks, ""));
        assert_eq!(response.status, 204, "{path}");
        assert_eq!(response.headers["access-control-allow-origin"], "https://app.example.com");
        assert!(response.headers["access-control-allow-methods"].contains("POST"));
        assert!(response.headers["access-control-allow-headers"].contains("Authorization"));
        assert_eq!(response.headers["access-control-max-age"], "7200");
    }
    let refused = ask(&broker, request("POST", "/topics/a", APP, "x"));
    assert_eq!(refused.status, 401, "that it may ask does not say that it may");
    assert_eq!(refused.headers["access-control-allow-origin"], "https://app.example.com");
}

#[test]
fn cookies_come_along_only_if_they_mean_something_and_never_from_everywhere() {
    let credentials = |origins: &[&str], cookie: Option<&str>| {
        let broker = start_with(|config| {
            allow(config, origins);
            config.auth.cookie = cookie.map(str::to_owned);
            config.auth.anonymous = Some((*Permissions::everything()).clone());
        });
        let response = ask(&broker, request("GET", "/topics/a", APP, ""));
        let allowed = response.headers["access-control-allow-origin"].clone();
        (allowed, response.headers.get("access-control-allow-credentials").cloned())
    };
    let app = "https://app.example.com";
    assert_eq!(credentials(&[app], None), (app.to_owned(), None));
    assert_eq!(credentials(&[app], Some("session")), (app.to_owned(), Some("true".to_owned())));
    assert_eq!(credentials(&["*"], Some("session")), ("*".to_owned(), None));
    assert_eq!(credentials(&["*", app], Some("session")), ("*".to_owned(), None));
}

#[test]
fn what_was_published_does_not_run_as_a_page_of_the_broker() {
    let broker = start(&[]);
    let html = "Content-Type: text/html\r\n";
    assert_eq!(ask(&broker, request("POST", "/topics/a", html, "<script>alert(1)</script>")).status, 200);
    let response = ask(&broker, request("GET", "/topics/a", "", ""));
    assert_eq!(response.headers["content-type"], "text/html");
    assert_eq!(response.headers["content-security-policy"], "default-src 'none'; sandbox");
    assert_eq!(response.headers["x-content-type-options"], "nosniff");
}

#[test]
fn what_was_published_is_no_script_and_no_picture_of_another_page() {
    // Browsers ask for these without an Origin, and with the cookies of their user.
    let policies = |origins: &[&str], cookie: Option<&str>| {
        let broker = start_with(|config| {
            allow(config, origins);
            config.auth.cookie = cookie.map(str::to_owned);
            config.auth.anonymous = Some((*Permissions::everything()).clone());
        });
        assert_eq!(ask(&broker, request("POST", "/topics/a", "", "x")).status, 200);
        ["", "?since=earliest"].map(|query| {
            let response = ask(&broker, request("GET", &format!("/topics/a{query}"), "", ""));
            response.headers["cross-origin-resource-policy"].clone()
        })
    };
    for (origins, cookie) in
        [(&[][..], None), (&["https://app.example.com"], Some("session")), (&["*"], Some("session"))]
    {
        assert_eq!(policies(origins, cookie), ["same-origin"; 2], "{origins:?} {cookie:?}");
    }
    assert_eq!(policies(&["*"], None), ["cross-origin"; 2], "it is for every page");
}
