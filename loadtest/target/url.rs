//! Where a server is.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::str::FromStr;

use crate::units::BadValue;

/// The URL of a server: `ws://127.0.0.1:8080/topics/{topic}`. `http` means the same; TLS is not spoken, since it would
/// measure the cipher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it was written, with the brackets of an IPv6 address.
    host: String,
    port: Option<u16>,
    path: Option<String>,
}

/// The port of `ws` and `http` (RFC 6455, section 3).
const DEFAULT_PORT: u16 = 80;

impl Url {
    /// The host, and the port if one was written, as a `Host` header has them.
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    /// The path and the query, if there are any.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The addresses that the host has, with the port.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        Ok((host, self.port.unwrap_or(DEFAULT_PORT)).to_socket_addrs()?.collect())
    }
}

impl FromStr for Url {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        if ["wss://", "https://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Err(BadValue::new(
                text,
                "a URL without TLS, which is not spoken here; give the server's plain port, such as ws://127.0.0.1:8080/",
            ));
        }
        parse(text).ok_or_else(|| {
            BadValue::new(text, "a URL such as ws://127.0.0.1:8080/ or ws://localhost:8080/topics/{topic}")
        })
    }
}

fn parse(text: &str) -> Option<Url> {
    let rest = text.strip_prefix("ws://").or_else(|| text.strip_prefix("http://"))?;
    if !text.chars().all(|c| c.is_ascii_graphic()) || text.contains(['#', '@']) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let end_of_host = authority.find(']').map_or_else(|| authority.find(':'), |bracket| Some(bracket + 1));
    let (host, port) = authority.split_at(end_of_host.unwrap_or(authority.len()));
    let port = match port.strip_prefix(':') {
        Some(port) => Some(port.parse().ok().filter(|port| *port != 0)?),
        None if port.is_empty() => None,
        None => return None,
    };
    let path = match path {
        "" | "/" => None,
        query if query.starts_with('?') => Some(format!("/{query}")),
        path => Some(path.to_owned()),
    };
    (!host.is_empty()).then(|| Url { host: host.to_owned(), port, path })
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws://{}{}", self.authority(), self.path.as_deref().unwrap_or("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_put_together_again() {
        for (text, authority, path, written) in [
            ("ws://127.0.0.1:8080", "127.0.0.1:8080", None, "ws://127.0.0.1:8080/"),
            ("ws://localhost:8080/", "localhost:8080", None, "ws://localhost:8080/"),
            ("http://a.b/x/{topic}?y=1", "a.b", Some("/x/{topic}?y=1"), "ws://a.b/x/{topic}?y=1"),
            ("ws://a?y", "a", Some("/?y"), "ws://a/?y"),
            ("ws://[::1]:9/s", "[::1]:9", Some("/s"), "ws://[::1]:9/s"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.authority().as_str(), url.path()), (authority, path), "{text}");
            assert_eq!(url.to_string(), written);
            assert_eq!(written.parse(), Ok(url));
        }
    }

    #[test]
    fn the_addresses_have_the_port() {
        let addresses = |text: &str| text.parse::<Url>().unwrap().addresses().unwrap();
        assert_eq!(addresses("ws://127.0.0.1/"), ["127.0.0.1:80".parse().unwrap()]);
        assert_eq!(addresses("ws://[::1]:8080/"), ["[::1]:8080".parse().unwrap()]);
    }

    #[test]
    fn what_is_no_url_is_told_what_is_and_tls_why_not() {
        for text in [
            "",
            "localhost:8080",
            "ws://",
            "ws://:80/",
            "ws://a:0/",
            "ws://a:x",
            "ws://a b",
            "ws://[::1]x",
            "ws://u@a",
        ] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains("is not a URL such as ws://127.0.0.1:8080/"), "{error}");
        }
        let error = "wss://a/".parse::<Url>().unwrap_err().to_string();
        assert!(error.contains("without TLS"), "{error}");
    }
}
