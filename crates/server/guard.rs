//! Who is let in, and how fast they may send.

mod addresses;
mod bucket;
mod budget;
mod memory;
mod rates;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use fanwire_wire::http::Headers;

use crate::config::{Limits, Proxies, ProxyProtocol};
use addresses::{Addresses, Client};
use bucket::Rate;
pub(crate) use budget::Budget;
pub(crate) use memory::{Holdings, LOOK_EVERY_MS, Memory, Shortage};
pub(crate) use rates::{Rates, Spent, Standing};

/// How often the log says that connections are refused, in milliseconds: a flood of them is not to be one of the log.
const COMPLAIN_EVERY_MS: u64 = 10_000;

/// What the cores of a broker let in together.
#[derive(Debug)]
pub(crate) struct Guard {
    budget: Budget,
    connections: AtomicUsize,
    addresses: Addresses,
    memory: Memory,
    proxies: Proxies,
    complain_at_ms: AtomicU64,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are as many connections as there may be.
    Full,
    /// Its address has as many as one may have.
    TooManyOfAddress,
    /// Its address opens them faster than one may.
    TooFast,
    /// There is no memory for more.
    ShortOfMemory,
}

impl Refusal {
    /// Every refusal, in the order of the variants.
    pub(crate) const ALL: [Self; 4] =
        [Self::Full, Self::TooManyOfAddress, Self::TooFast, Self::ShortOfMemory];

    /// Whether others may be let in, from other addresses.
    pub(crate) const fn is_of_address(self) -> bool {
        matches!(self, Self::TooManyOfAddress | Self::TooFast)
    }

    /// The refusal as the code of an answer and the label of a figure.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "too_many_connections",
            Self::TooManyOfAddress => "too_many_connections_of_address",
            Self::TooFast => "too_many_handshakes",
            Self::ShortOfMemory => "short_of_memory",
        }
    }

    /// What the operator can do about it.
    pub(crate) const fn remedy(self) -> &'static str {
        match self {
            Self::Full => "there are as many as limits.connections, and the limit on open files, allow",
            Self::TooManyOfAddress | Self::TooFast => {
                "if the address is a proxy's, name it in proxies.trust; or else limits has what an address may"
            }
            Self::ShortOfMemory => "the broker waits for memory; limits.memory has what it may take",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the broker has as many connections as it may have (limits.connections); try again later",
            Self::TooManyOfAddress => {
                "your address has as many connections as one may have (limits.connections_per_address); close some"
            }
            Self::TooFast => {
                "your address opens connections faster than one may (limits.handshakes_per_second_per_address); wait \
                 before you try again"
            }
            Self::ShortOfMemory => {
                "the broker is short of memory (limits.memory), and takes no more connections; try again later"
            }
        })
    }
}

/// What a connection counts as, until it is gone. As large as a number, because every connection has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission(u64);

impl Admission {
    /// It is one of all connections, and of no address. No client has this number, nor those below it.
    pub(crate) const OF_ALL: Self = Self(Refusal::ALL.len() as u64);

    /// It was refused for this, and counts as nothing.
    pub(crate) const fn refused(refusal: Refusal) -> Self {
        Self(refusal as u64)
    }

    /// Why it was refused, if it was.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        Refusal::ALL.get(usize::try_from(self.0).ok()?).copied()
    }

    fn of(client: Client) -> Self {
        Self(client.to_bits())
    }

    fn client(self) -> Option<Client> {
        (self.0 > Self::OF_ALL.0).then_some(Client::from_bits(self.0))
    }
}

impl Guard {
    /// Nobody is there yet.
    pub(crate) fn new(budget: Budget, limits: &Limits, proxies: Proxies, cores: usize) -> Self {
        let handshakes = Rate::per_second(limits.handshakes_per_second_per_address);
        Self {
            budget,
            connections: AtomicUsize::new(0),
            addresses: Addresses::new(limits.connections_per_address, handshakes),
            memory: Memory::new(budget, cores),
            proxies,
            complain_at_ms: AtomicU64::new(0),
        }
    }

    /// Lets a connection in, which counts until it is [released](Self::release).
    pub(crate) fn admit(&self, peer: IpAddr, now_ms: u64) -> Result<Admission, Refusal> {
        // The address pays for trying even where nobody is let in: those too are answered.
        let admission =
            if self.is_proxy(peer) { Admission::OF_ALL } else { self.admit_client(peer, now_ms)? };
        self.take_place().inspect_err(|_| self.release_client(admission)).map(|()| admission)
    }

    /// Counts one of all connections.
    fn take_place(&self) -> Result<(), Refusal> {
        if self.memory.is_short() {
            return Err(Refusal::ShortOfMemory);
        }
        // Cores may be here at once: each counts first, and looks whether that was one too many.
        if self.connections.fetch_add(1, Ordering::Relaxed) >= self.budget.connections {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            return Err(Refusal::Full);
        }
        Ok(())
    }

    /// What all clients may have together.
    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// What all cores hold.
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The connection has gone.
    pub(crate) fn release(&self, admission: Admission) {
        if admission.refusal().is_none() {
            self.connections.fetch_sub(1, Ordering::Relaxed);
            self.release_client(admission);
        }
    }

    fn release_client(&self, admission: Admission) {
        if let Some(client) = admission.client() {
            self.addresses.release(client);
        }
    }

    /// Counts a connection of a proxy for the client that it speaks for, from here on.
    pub(crate) fn admit_client(&self, address: IpAddr, now_ms: u64) -> Result<Admission, Refusal> {
        let client = Client::at(address);
        self.addresses.admit(client, now_ms).map(|()| Admission::of(client))
    }

    /// Whether connections from the address begin with a PROXY header.
    pub(crate) fn expects_header(&self, peer: IpAddr) -> bool {
        self.proxies.protocol == ProxyProtocol::Proxy && self.is_proxy(peer)
    }

    /// For whom a proxy forwards a request: the last address that is no proxy's. What stands in front of that one its
    /// client can have written.
    pub(crate) fn forwarded_for(&self, headers: &Headers<'_>) -> Option<IpAddr> {
        if self.proxies.protocol != ProxyProtocol::XForwardedFor {
            return None;
        }
        let fields = headers.octets("X-Forwarded-For");
        let elements = fields.flat_map(|value| value.split(|octet| *octet == b','));
        let elements: Vec<_> =
            elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty()).collect();
        let addresses = elements.into_iter().rev().map(address_of);
        addresses.map_while(|address| address).find(|address| !self.is_proxy(*address))
    }

    /// Whether the client of a proxy speaks TLS with it, as far as the proxy says. Where several have added to the list, the
    /// first is the one that the client spoke to.
    pub(crate) fn forwarded_over_tls(&self, headers: &Headers<'_>) -> Option<bool> {
        if self.proxies.protocol != ProxyProtocol::XForwardedFor {
            return None;
        }
        match headers.elements("X-Forwarded-Proto").next()? {
            scheme if ["https", "wss"].iter().any(|tls| scheme.eq_ignore_ascii_case(tls)) => Some(true),
            scheme if ["http", "ws"].iter().any(|plain| scheme.eq_ignore_ascii_case(plain)) => Some(false),
            _ => None,
        }
    }

    /// Whether many clients come from the address.
    fn is_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxies.trust.iter().any(|network| network.contains(peer))
    }

    /// Whether it is time to tell the operator that somebody was refused.
    pub(crate) fn may_complain(&self, now_ms: u64) -> bool {
        let due_ms = self.complain_at_ms.load(Ordering::Relaxed);
        let next_ms = now_ms + COMPLAIN_EVERY_MS;
        due_ms <= now_ms
            && self
                .complain_at_ms
                .compare_exchange(due_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// An address as proxies write it, perhaps with a port. Others may have written anything in front of it, on the same line.
fn address_of(element: &[u8]) -> Option<IpAddr> {
    let element = str::from_utf8(element).ok()?;
    let bare = element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(element);
    bare.parse().ok().or_else(|| element.parse().ok().map(|with_port: SocketAddr| with_port.ip()))
}

#[cfg(test)]
mod tests {
    use fanwire_wire::http::parse_request;

    use super::*;

    const NEAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn far(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn guard(connections: Option<usize>, room: usize) -> Guard {
        let limits = Limits { connections, connections_per_address: 2, ..Limits::default() };
        guard_with(&limits, Proxies::default(), room)
    }

    fn guard_with(limits: &Limits, proxies: Proxies, room: usize) -> Guard {
        Guard::new(Budget::new(limits, room), limits, proxies, 1)
    }

    #[test]
    fn so_many_connections_are_let_in_and_one_more_when_one_has_gone() {
        for guard in [guard(Some(3), 100), guard(None, 3)] {
            let admitted = [1, 2, 3].map(|last| guard.admit(far(last), 0).unwrap());
            assert_eq!(guard.admit(far(4), 0), Err(Refusal::Full));
            guard.release(admitted[0]);
            Refusal::ALL.into_iter().map(Admission::refused).for_each(|refused| guard.release(refused));
            assert!(guard.admit(far(4), 0).is_ok());
            assert_eq!(guard.admit(far(5), 0), Err(Refusal::Full));
        }
    }

    #[test]
    fn who_is_refused_by_address_takes_no_place() {
        let guard = guard(Some(3), 100);
        let [one, _] = [guard.admit(far(1), 0).unwrap(), guard.admit(far(1), 0).unwrap()];
        for _ in 0..10 {
            assert_eq!(guard.admit(far(1), 0), Err(Refusal::TooManyOfAddress));
        }
        assert!(guard.admit(far(2), 0).is_ok());
        guard.release(one);
        assert!(guard.admit(far(1), 0).is_ok());
    }

    #[test]
    fn a_trusted_proxy_is_not_counted_by_its_address() {
        let guard = guard(Some(100), 100);
        let admitted: Vec<_> = (0..100).map(|_| guard.admit(NEAR, 0).unwrap()).collect();
        assert_eq!(guard.admit(NEAR, 0), Err(Refusal::Full));
        for admission in admitted {
            guard.release(admission);
        }
        assert!(guard.admit(NEAR, 0).is_ok());
    }

    #[test]
    fn a_request_is_forwarded_for_the_last_address_that_is_no_proxy_s() {
        let proxies = Proxies { trust: vec!["10.0.0.0/8".parse().unwrap()], ..Proxies::default() };
        let guard = guard_with(&Limits::default(), proxies, 1);
        let cases = [
            ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 198.51.100.9, 192.0.2.1, 10.0.0.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 198.51.100.9\r\nx-forwarded-for: 192.0.2.1,10.1.1.1\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1:5678\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: [2001:db8::1]:80\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: [2001:db8::1]\r\n", Some("2001:db8::1")),
            ("X-Forwarded-For: ::ffff:10.0.0.1\r\n", None),
            ("X-Forwarded-For: 192.0.2.1,, \t10.0.0.1 ,\r\n", Some("192.0.2.1")),
            ("X-Forwarded-For: 192.0.2.1, unknown\r\n", None),
            ("X-Forwarded-For: 10.0.0.1\r\n", None),
            ("", None),
        ];
        for (fields, expected) in cases {
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let (request, _) = parse_request(head.as_bytes()).unwrap().unwrap();
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(guard.forwarded_for(request.headers()), expected, "{fields}");
        }
    }

    #[test]
    fn nothing_that_a_client_writes_in_front_hides_its_address() {
        let proxies = Proxies { trust: vec!["10.0.0.0/8".parse().unwrap()], ..Proxies::default() };
        let guard = guard_with(&Limits::default(), proxies, 1);
        for in_front in [&b"\xff"[..], b"\xc3\x28 198.51.100.9", b"unknown", b"\"a\"", b"[", b"\xff, ,"] {
            let fields = [b"X-Forwarded-For: ", in_front, b", 192.0.2.1\r\n"].concat();
            let head = [b"GET / HTTP/1.1\r\nHost: x\r\n", fields.as_slice(), b"\r\n"].concat();
            let (request, _) = parse_request(&head).unwrap().unwrap();
            let address = guard.forwarded_for(request.headers());
            assert_eq!(address, Some([192, 0, 2, 1].into()), "{in_front:02x?}");
        }
    }

    #[test]
    fn who_is_refused_with_everybody_has_no_place_of_its_address_either() {
        let guard = guard(Some(1), 100);
        let first = guard.admit(far(1), 0).unwrap();
        for _ in 0..10 {
            assert_eq!(guard.admit(far(2), 0), Err(Refusal::Full));
        }
        guard.release(first);
        assert!(guard.admit(far(2), 0).is_ok());
    }

    #[test]
    fn who_tries_too_often_while_nobody_is_let_in_is_told_that() {
        let limits = Limits { handshakes_per_second_per_address: 2, ..Limits::default() };
        let guard = guard_with(&limits, Proxies::default(), 0);
        let refusals = [(); 3].map(|()| guard.admit(far(1), 0).unwrap_err());
        assert_eq!(refusals, [Refusal::Full, Refusal::Full, Refusal::TooFast]);
    }

    #[test]
    fn what_a_connection_counts_as_says_why_it_was_refused() {
        for refusal in Refusal::ALL {
            assert_eq!(Admission::refused(refusal).refusal(), Some(refusal));
            assert_eq!(Admission::refused(refusal).client(), None);
        }
        assert_eq!((Admission::OF_ALL.refusal(), Admission::OF_ALL.client()), (None, None));
        for address in ["0.0.0.0", "0.0.0.4", "0.0.0.5", "::", "::1", "255.255.255.255"] {
            let client = Client::at(address.parse().unwrap());
            assert_eq!(Admission::of(client).refusal(), None, "{address}");
            assert_eq!(Admission::of(client).client(), Some(client), "{address}");
        }
    }

    #[test]
    fn nobody_new_is_let_in_while_memory_is_short() {
        let guard = guard(None, 100);
        let own = fanwire_broker::Pressure::Tight;
        guard.memory().announce(Shortage { own, ..Shortage::default() });
        assert_eq!(guard.admit(NEAR, 0), Err(Refusal::ShortOfMemory));
        guard.memory().announce(Shortage::default());
        assert!(guard.admit(NEAR, 0).is_ok());
    }

    #[test]
    fn complaints_are_rationed() {
        let guard = guard(None, 1);
        assert_eq!(
            [0, 1, 9_999, 10_000, 10_001].map(|now| guard.may_complain(now)),
            [true, false, false, true, false]
        );
    }
}
