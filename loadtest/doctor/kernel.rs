//! What the kernel tells of a connection: tried on one.

use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use super::Check;
use crate::bytes::TcpCounters;
use crate::socket::{Connector, StampedReader};

/// The kernel begins to stamp some time after it was first asked to.
const TRIES: usize = 1_000;

pub(super) fn checks() -> [Check; 2] {
    match Pair::new() {
        Ok(mut pair) => [stamps(pair.is_stamped()), counters(&pair)],
        Err(error) => ["receive time stamps", "TCP_INFO"].map(|name| Check::unknown(name, &error)),
    }
}

/// Both ends of a connection.
struct Pair {
    client: mio::net::TcpStream,
    server: TcpStream,
}

impl Pair {
    fn new() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut connector = Connector::new(listener.local_addr()?, None, None);
        let client = connector.connect().map_err(io::Error::other)?;
        let (server, _) = listener.accept()?;
        Ok(Self { client, server })
    }

    /// Whether what is read comes with a time stamp.
    fn is_stamped(&mut self) -> io::Result<bool> {
        let mut reader = StampedReader::default();
        for _ in 0..TRIES {
            self.server.write_all(b"x")?;
            let (_, stamp) = loop {
                match reader.read(&self.client, &mut [0]) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => thread::yield_now(),
                    other => break other?,
                }
            };
            if stamp.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn stamps(are_given: io::Result<bool>) -> Check {
    const NAME: &str = "receive time stamps";
    match are_given {
        Ok(true) => Check::ok(NAME, "given"),
        Ok(false) => Check::warning(
            NAME,
            "not given",
            "do without the receive lag, or take Linux on bare metal or KVM",
        ),
        Err(error) => Check::unknown(NAME, &error),
    }
}

fn counters(pair: &Pair) -> Check {
    const NAME: &str = "TCP_INFO";
    match TcpCounters::of(&pair.client) {
        Ok(counters) => {
            let headers = counters.header_bytes;
            Check::ok(
                NAME,
                format!("has what is needed; {headers} octets of headers are in each segment here"),
            )
        }
        Err(error) => Check::warning(
            NAME,
            error.to_string(),
            "do without the layers of TCP and IP, or take a later kernel",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn what_the_kernel_does_not_tell_is_warned_of() {
        assert_eq!(stamps(Ok(true)).health, Health::Ok);
        assert_eq!(stamps(Ok(false)).health, Health::Warning);
        assert_eq!(stamps(Err(io::Error::other("no"))).health, Health::Warning);
    }
}
