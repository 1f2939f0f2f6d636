//! Which pages a browser may let speak to the broker (RFC 6454).
//!
//! A browser sends along what proves who its user is, whichever page has it send a request, and lets any page open a
//! WebSocket; but it says in `Origin` of which page that is.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use fanwire_wire::http::Request;

use crate::config::BadValue;

/// Of which pages requests are taken besides the broker's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<AllowedOrigin>);

/// An origin that the operator allows: `https://app.example.com`, all below one as `https://*.example.com`, or every
/// origin there is as `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigin {
    /// All.
    Any,
    /// This one.
    Exactly(Origin),
    /// Those whose host has one label or more in front of this one's.
    Below(Origin),
}

/// An origin: of one that has no port written it is that of the scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    is_secure: bool,
    /// In lower case.
    host: String,
    port: u16,
}

/// What a request's origin is to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// There is none, or it is the broker's own.
    Same,
    /// It is another, which the operator allows.
    Allowed,
    /// It is another.
    Strange,
}

impl Origins {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those that were allowed.
    pub fn iter(&self) -> impl Iterator<Item = &AllowedOrigin> {
        self.0.iter()
    }

    /// Whether every origin is allowed.
    pub(crate) fn are_all(&self) -> bool {
        self.0.contains(&AllowedOrigin::Any)
    }

    /// What the origin of the request is to the broker, which the client speaks TLS with if that `is_secure`.
    pub(crate) fn standing(&self, request: &Request<'_>, is_secure: bool) -> Standing {
        let mut origins = request.headers().octets("Origin");
        let (origin, more) = (origins.next(), origins.next());
        let Some(origin) = origin else { return Standing::Same };
        let origin = str::from_utf8(origin).ok().filter(|_| more.is_none());
        let parsed = origin.and_then(Origin::parse);
        if parsed.as_ref().is_some_and(|origin| origin.is_of(request.header("Host"), is_secure)) {
            return Standing::Same;
        }
        let is_allowed = self.0.iter().any(|allowed| match allowed {
            AllowedOrigin::Any => true,
            AllowedOrigin::Exactly(this) => parsed.as_ref() == Some(this),
            AllowedOrigin::Below(this) => parsed.as_ref().is_some_and(|origin| origin.is_below(this)),
        });
        if is_allowed { Standing::Allowed } else { Standing::Strange }
    }

    /// Whether the host that the request names is this machine's, or one that the operator allows pages of. Any other name its
    /// owner can have pointed at this machine (DNS rebinding), and then the owner's page has the same origin as the broker, and
    /// names none when it reads. Browsers always name a host.
    pub(crate) fn know_host(&self, request: &Request<'_>) -> bool {
        let Some(named) = request.headers().octets("Host").next() else { return true };
        let named = str::from_utf8(named).ok().and_then(split_authority);
        named.is_some_and(|(host, _)| {
            is_of_this_machine(&host) || self.0.iter().any(|allowed| allowed.has_host(&host))
        })
    }
}

/// Whether the host is an address, or a name that is always that of the machine itself (RFC 6761 §6.3).
fn is_of_this_machine(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address =
        bare.map_or_else(|| host.parse::<IpAddr>().is_ok(), |bare| bare.parse::<Ipv6Addr>().is_ok());
    let name = host.strip_suffix('.').unwrap_or(host);
    is_address || name == "localhost" || name.ends_with(".localhost")
}

impl AllowedOrigin {
    /// Whether it is of this host, whatever its scheme and port.
    fn has_host(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exactly(origin) => origin.host == host,
            Self::Below(parent) => parent.has_below(host),
        }
    }
}

impl FromIterator<AllowedOrigin> for Origins {
    fn from_iter<I: IntoIterator<Item = AllowedOrigin>>(allowed: I) -> Self {
        Self(allowed.into_iter().collect())
    }
}

impl Origin {
    /// The origin that a browser writes as this (RFC 6454 §6.2). `null`, which a page has that is nobody's, is none.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let (is_secure, default_port) = match scheme {
            "http" => (false, 80),
            "https" => (true, 443),
            _ => return None,
        };
        let (host, port) = split_authority(authority)?;
        Some(Self { is_secure, host, port: port.unwrap_or(default_port) })
    }

    /// Whether this is the origin of a broker that is asked as `host`. Over TLS its own pages have come over TLS too: others
    /// of the same host anybody on the way can have written. Without TLS that is not known: a proxy in front may speak it
    /// for the broker and not say so, and pages that came over TLS are no worse than those that did not.
    fn is_of(&self, host: Option<&str>, is_secure: bool) -> bool {
        if is_secure && !self.is_secure {
            return false;
        }
        let default_port = if self.is_secure { 443 } else { 80 };
        host.and_then(split_authority)
            .is_some_and(|(host, port)| host == self.host && port.unwrap_or(default_port) == self.port)
    }

    fn is_below(&self, parent: &Self) -> bool {
        let same = self.is_secure == parent.is_secure && self.port == parent.port;
        same && parent.has_below(&self.host)
    }

    /// Whether the host has one label or more in front of this one's.
    fn has_below(&self, host: &str) -> bool {
        let label = host.strip_suffix(self.host.as_str()).and_then(|rest| rest.strip_suffix('.'));
        label.is_some_and(|label| !label.is_empty())
    }
}

/// The host, in lower case, and the port, if one is written.
fn split_authority(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match authority.rsplit_once(':') {
        // A colon within brackets is part of an address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (authority, None),
    };
    let is_host_byte =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':');
    (!host.is_empty() && host.bytes().all(is_host_byte)).then(|| (host.to_ascii_lowercase(), port))
}

impl FromStr for AllowedOrigin {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let parsed = match text.split_once("://*.") {
            Some((scheme, host)) => Origin::parse(&format!("{scheme}://{host}")).map(Self::Below),
            None => Origin::parse(text).map(Self::Exactly),
        };
        parsed.ok_or_else(|| {
            BadValue::new(text, "an origin such as https://app.example.com or https://*.example.com, or *")
        })
    }
}

impl fmt::Display for AllowedOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wildcard, Origin { is_secure, host, port }) = match self {
            Self::Any => return f.write_str("*"),
            Self::Exactly(origin) => ("", origin),
            Self::Below(origin) => ("*.", origin),
        };
        let (scheme, default_port) = if *is_secure { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{wildcard}{host}")?;
        if *port == default_port { Ok(()) } else { write!(f, ":{port}") }
    }
}

#[cfg(test)]
mod tests {
    use fanwire_wire::http::parse_request;

    use super::*;

    fn standing(allowed: &[&str], host: &str, origin: &str) -> Standing {
        let origins: Origins = allowed.iter().map(|text| text.parse::<AllowedOrigin>().unwrap()).collect();
        standing_over(&origins, false, host, origin)
    }

    fn standing_over(origins: &Origins, is_secure: bool, host: &str, origin: &str) -> Standing {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n");
        let (request, _) = parse_request(head.as_bytes()).unwrap().expect("a whole head");
        origins.standing(&request, is_secure)
    }

    #[test]
    fn a_page_that_came_without_tls_is_strange_to_a_broker_that_speaks_it() {
        for (host, origin, expected) in [
            ("example.com", "https://example.com", Standing::Same),
            ("example.com:443", "https://example.com", Standing::Same),
            ("example.com:8443", "https://example.com:8443", Standing::Same),
            ("example.com", "http://example.com", Standing::Strange),
            ("example.com:8443", "http://example.com:8443", Standing::Strange),
            ("example.com:80", "http://example.com", Standing::Strange),
            ("example.com", "http://app.example.org", Standing::Allowed),
        ] {
            let origins = ["http://app.example.org".parse::<AllowedOrigin>().unwrap()].into_iter().collect();
            let line = format!("Origin: {origin}\r\n");
            assert_eq!(standing_over(&origins, true, host, &line), expected, "{host} {origin}");
        }
    }

    #[test]
    fn a_page_of_the_broker_itself_is_the_same_whatever_is_allowed() {
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("Example.com", "http://example.com"),
            ("example.com:80", "http://example.com"),
            ("example.com", "https://example.com:443"),
            ("example.com:8443", "https://EXAMPLE.com:8443"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("[::1]", "http://[::1]"),
        ] {
            let line = format!("Origin: {origin}\r\n");
            assert_eq!(standing(&[], host, &line), Standing::Same, "{host} {origin}");
        }
        assert_eq!(standing(&[], "example.com", ""), Standing::Same, "no browser says no origin");
    }

    #[test]
    fn a_page_of_anybody_else_is_strange() {
        for (host, origin) in [
            ("localhost:8080", "http://localhost:8081"),
            ("localhost:8080", "http://localhost"),
            ("localhost:8080", "https://localhost"),
            ("example.com", "http://example.com.evil.com"),
            ("example.com", "http://evil.com/example.com"),
            ("example.com", "http://evil.com:80@example.com"),
            ("example.com", "http://evil-example.com"),
            ("example.com", "ftp://example.com"),
            ("example.com", "example.com"),
            ("example.com", "null"),
            ("null", "null"),
            ("example.com", ""),
            ("[::1]:8080", "http://[::2]:8080"),
            ("example.com", "http://example.com\r\nOrigin: http://example.com"),
        ] {
            let line = format!("Origin: {origin}\r\n");
            assert_eq!(standing(&[], host, &line), Standing::Strange, "{host} {origin}");
        }
    }

    #[test]
    fn a_page_that_is_allowed_is_that_one_or_below_it() {
        let allowed = ["https://app.example.com", "https://*.example.org:8443"];
        for origin in
            ["https://app.example.com", "https://APP.example.com:443", "https://a.b.example.org:8443"]
        {
            assert_eq!(
                standing(&allowed, "x", &format!("Origin: {origin}\r\n")),
                Standing::Allowed,
                "{origin}"
            );
        }
        for origin in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://example.com",
            "https://xapp.example.com",
            "https://a.example.org",
            "https://example.org:8443",
            "https://.example.org:8443",
            "https://evilexample.org:8443",
            "null",
        ] {
            assert_eq!(
                standing(&allowed, "x", &format!("Origin: {origin}\r\n")),
                Standing::Strange,
                "{origin}"
            );
        }
        assert_eq!(standing(&["*"], "x", "Origin: null\r\n"), Standing::Allowed);
    }

    fn is_known(allowed: &[&str], host: &str) -> bool {
        let origins: Origins = allowed.iter().map(|text| text.parse::<AllowedOrigin>().unwrap()).collect();
        let head = format!("GET / HTTP/1.0\r\n{host}\r\n");
        let (request, _) = parse_request(head.as_bytes()).unwrap().expect("a whole head");
        origins.know_host(&request)
    }

    #[test]
    fn a_host_is_known_that_nobody_else_can_point_at_this_machine() {
        for host in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "app.localhost",
            "a.b.localhost:1",
            "127.0.0.1",
            "127.0.0.1:8080",
            "192.0.2.1",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1]",
        ] {
            assert!(is_known(&[], &format!("Host: {host}\r\n")), "{host}");
        }
        assert!(is_known(&[], ""), "no browser leaves it out");
        for host in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "127.0.0.1.evil.example:8080",
            "[::1].evil.example",
            "[evil.example]",
            "localhost:evil",
            "evil.example@localhost",
            "",
        ] {
            assert!(!is_known(&[], &format!("Host: {host}\r\n")), "{host}");
        }
    }

    #[test]
    fn a_host_is_known_of_which_pages_are_allowed_with_whatever_port() {
        let allowed = ["https://app.example.com", "http://*.example.org:8443"];
        for host in ["app.example.com", "APP.example.com:8080", "a.b.example.org"] {
            assert!(is_known(&allowed, &format!("Host: {host}\r\n")), "{host}");
            assert!(is_known(&["*"], &format!("Host: {host}\r\n")), "{host}");
            assert!(!is_known(&[], &format!("Host: {host}\r\n")), "{host}");
        }
        for host in ["example.com", "x.app.example.com", "example.org", "evilexample.org"] {
            assert!(!is_known(&allowed, &format!("Host: {host}\r\n")), "{host}");
        }
    }

    #[test]
    fn what_is_allowed_is_written_as_it_is_read() {
        for text in ["*", "https://app.example.com", "http://*.example.com:8080", "http://[::1]:8080"] {
            assert_eq!(text.parse::<AllowedOrigin>().unwrap().to_string(), text);
        }
        for text in ["", "app.example.com", "https://", "https://*", "https://a.*.b", "https://a/b", "null"] {
            assert!(text.parse::<AllowedOrigin>().is_err(), "{text}");
        }
    }
}
