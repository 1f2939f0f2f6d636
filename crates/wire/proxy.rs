//! The PROXY protocol: whom a proxy says that it speaks for, in front of everything else on a connection.
//!
//! Versions 1, a line of text, and 2, in octets, as `HAProxy`'s specification of 2020 has them (proxy-protocol.txt §2). Only
//! from whom the operator trusts is it to be read at all.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{MAX_PROXY_HEADER_BYTES, MAX_PROXY_LINE_BYTES};

/// What version 2 begins with (§2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// What version 1 begins with (§2.1).
const PREFIX: &[u8] = b"PROXY ";

/// Whom a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The proxy itself: it looks whether we are there.
    Proxy,
    /// A client whose address the proxy does not know, or not as an IP address.
    Unknown,
    /// The client with this address.
    Client(IpAddr),
}

/// What is wrong with a header. There is no answer: the connection has to be closed (§2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyError {
    /// It begins with neither version's first octets.
    Missing,
    /// It is longer than its version, or this crate, allows.
    TooLong,
    /// Its version has no such header.
    Malformed,
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("the connection does not begin with a PROXY header, version 1 or 2"),
            Self::TooLong => write!(
                f,
                "the PROXY header has more than {MAX_PROXY_LINE_BYTES} octets in version 1, or \
                 {MAX_PROXY_HEADER_BYTES} in version 2"
            ),
            Self::Malformed => f.write_str("the PROXY header is not as its version says"),
        }
    }
}

impl Error for ProxyError {}

/// Reads the header at the front of `input`: whom the connection is for, and the length of the header in octets; `None` if
/// more octets are needed.
pub fn parse(input: &[u8]) -> Result<Option<(Source, usize)>, ProxyError> {
    if begins_like(input, SIGNATURE) {
        return parse_octets(input);
    }
    if begins_like(input, PREFIX) {
        return parse_line(input);
    }
    Err(ProxyError::Missing)
}

/// Whether `input` begins with `start`, as far as it goes.
fn begins_like(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(one, other)| one == other)
}

fn parse_line(input: &[u8]) -> Result<Option<(Source, usize)>, ProxyError> {
    let line = &input[..input.len().min(MAX_PROXY_LINE_BYTES)];
    let Some(end) = line.windows(2).position(|octets| octets == b"\r\n") else {
        return if line.len() < MAX_PROXY_LINE_BYTES { Ok(None) } else { Err(ProxyError::TooLong) };
    };
    let text = str::from_utf8(&line[PREFIX.len()..end]).map_err(|_| ProxyError::Malformed)?;
    Ok(Some((source_of_line(text).ok_or(ProxyError::Malformed)?, end + 2)))
}

/// What stands behind `PROXY `. Behind `UNKNOWN` anything may follow.
fn source_of_line(text: &str) -> Option<Source> {
    let mut words = text.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Source::Unknown);
    }
    let addresses: [IpAddr; 2] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    let fits = match family {
        "TCP4" => addresses.iter().all(IpAddr::is_ipv4),
        "TCP6" => addresses.iter().all(IpAddr::is_ipv6),
        _ => false,
    };
    let mut port = || words.next()?.parse::<u16>().ok();
    port()?;
    port()?;
    (fits && words.next().is_none()).then_some(Source::Client(addresses[0]))
}

fn parse_octets(input: &[u8]) -> Result<Option<(Source, usize)>, ProxyError> {
    let Some((&[version_and_command, family, high, low], rest)) =
        input.get(SIGNATURE.len()..).and_then(|rest| rest.split_first_chunk())
    else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let header_len = input.len() - rest.len() + length;
    if header_len > MAX_PROXY_HEADER_BYTES {
        return Err(ProxyError::TooLong);
    }
    let source = match version_and_command {
        0x20 => Some(Source::Proxy),
        0x21 => None,
        _ => return Err(ProxyError::Malformed),
    };
    let Some(addresses) = rest.get(..length) else { return Ok(None) };
    let source = match source {
        Some(source) => source,
        None => source_of_octets(family, addresses).ok_or(ProxyError::Malformed)?,
    };
    Ok(Some((source, header_len)))
}

/// The source address in front of the addresses and what may follow them (§2.2).
fn source_of_octets(family: u8, addresses: &[u8]) -> Option<Source> {
    /// Both addresses and both ports.
    const IPV4_BYTES: usize = 12;
    const IPV6_BYTES: usize = 36;
    Some(match family >> 4 {
        1 if addresses.len() >= IPV4_BYTES => {
            Source::Client(Ipv4Addr::from(*addresses.first_chunk::<4>()?).into())
        }
        2 if addresses.len() >= IPV6_BYTES => {
            Source::Client(Ipv6Addr::from(*addresses.first_chunk::<16>()?).into())
        }
        1 | 2 => return None,
        _ => Source::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn octets(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, addresses].concat()
    }

    fn client(address: &str) -> Source {
        Source::Client(address.parse().unwrap())
    }

    /// Headers and whom they are for.
    fn headers() -> Vec<(Vec<u8>, Source)> {
        let ipv6 = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9], [1; 16]].concat();
        vec![
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".to_vec(), client("192.0.2.7")),
            (b"PROXY TCP6 2001:db8::9 ::1 1 65535\r\n".to_vec(), client("2001:db8::9")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Source::Unknown),
            (b"PROXY UNKNOWN ffff::1 whatever\r\n".to_vec(), Source::Unknown),
            (octets(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 1, 2, 3, 4]), client("192.0.2.7")),
            (octets(0x21, 0x11, &[192, 0, 2, 7, 0, 0, 0, 0, 1, 2, 3, 4, 0x04, 0, 1, 9]), client("192.0.2.7")),
            (octets(0x21, 0x21, &[&ipv6[..], &[1, 2, 3, 4]].concat()), client("2001:db8::9")),
            (octets(0x21, 0x31, &[0; 216]), Source::Unknown),
            (octets(0x21, 0x00, &[]), Source::Unknown),
            (octets(0x20, 0x00, &[]), Source::Proxy),
            (octets(0x20, 0x11, &[1; 12]), Source::Proxy),
        ]
    }

    #[test]
    fn a_header_is_read_to_its_end_wherever_it_is_cut_and_what_follows_is_left() {
        for (header, source) in headers() {
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), Ok(None), "{cut} octets of {header:?}");
            }
            let input = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            assert_eq!(parse(&input), Ok(Some((source, header.len()))));
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_its_first_wrong_octet() {
        for input in ["GET / HTTP/1.1\r\n", "P0", "PROXY\t", "\r\n\r\n\0\r\nQUIT\r", "\x16\x03\x01"] {
            assert_eq!(parse(input.as_bytes()), Err(ProxyError::Missing), "{input:?}");
        }
    }

    #[test]
    fn a_header_that_does_not_hold_together_is_refused() {
        for line in [
            "TCP4 192.0.2.7 198.51.100.1 56324",
            "TCP4 192.0.2.7 198.51.100.1 56324 443 1",
            "TCP4 192.0.2.7 198.51.100.1 56324 65536",
            "TCP4 2001:db8::9 ::1 1 2",
            "TCP6 192.0.2.7 198.51.100.1 1 2",
            "UDP4 192.0.2.7 198.51.100.1 1 2",
            "TCP4  192.0.2.7 198.51.100.1 1 2",
            "",
        ] {
            assert_eq!(parse(format!("PROXY {line}\r\n").as_bytes()), Err(ProxyError::Malformed), "{line}");
        }
        for header in [
            octets(0x21, 0x11, &[1; 11]),
            octets(0x21, 0x21, &[1; 35]),
            octets(0x22, 0x11, &[1; 12]),
            octets(0x31, 0x11, &[1; 12]),
        ] {
            assert_eq!(parse(&header), Err(ProxyError::Malformed), "{header:?}");
        }
    }

    #[test]
    fn a_header_without_end_is_refused_when_that_shows() {
        let line = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200]].concat();
        assert_eq!(parse(&line[..MAX_PROXY_LINE_BYTES - 1]), Ok(None));
        assert_eq!(parse(&line[..MAX_PROXY_LINE_BYTES]), Err(ProxyError::TooLong));
        let announced = octets(0x21, 0x11, &[1; MAX_PROXY_HEADER_BYTES]);
        assert_eq!(parse(&announced[..16]), Err(ProxyError::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_panics_and_a_header_never_ends_behind_what_came(
            start in 0usize..3, input in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let input = [[&b""[..], PREFIX, SIGNATURE][start], &input].concat();
            if let Ok(Some((_, length))) = parse(&input) {
                prop_assert!(length <= input.len());
            }
        }
    }
}
