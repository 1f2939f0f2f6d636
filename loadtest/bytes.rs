//! What a connection takes on the wire, as the kernel counts it (`TCP_INFO`).
//!
//! ```text
//!   payload  ≤  application  ≤  TCP stream  ≤  IP packets
//!   └─ counted by whoever has it ─┘  └─ counted here ─┘
//! ```
//!
//! **What is counted**, to the octet: all octets that this end has sent, each as often as it was sent; all octets that it
//! has received, each once; and for every segment either way (data, acknowledgements, window updates, what opens and
//! closes the connection) the headers of IP (20 octets, 40 for IPv6) and TCP (20), and 12 for time stamps where both
//! ends use them, as RFC 7323 appendix A lays them out.
//!
//! **What cannot be known** from one end: what the other end sent and the network lost; the octets, though not the
//! headers, of what the other end sent twice and was received twice. **What is not counted**: the further options of
//! the two SYN segments (8 octets each, beside time stamps); selective acknowledgements (4 octets, and 8 for each block),
//! which there are only when segments are lost or overtake each other; Ethernet, which adds 38 octets to a packet,
//! preamble and gap included. Where two cores pass segments to each other over loopback, some do overtake: in transfers
//! of a megabyte, all of this together was 0.9 % of the octets at most.
//!
//! A FIN that was received counts as an octet of the stream, since it takes a sequence number; differences between two
//! readings of an open connection have none.

use std::error::Error;
use std::fmt;
use std::io;
use std::iter::Sum;
use std::net::SocketAddr;
use std::ops::AddAssign;
use std::os::fd::AsFd;

use nix::sys::socket::getsockopt;
use socket2::SockRef;

use crate::record::Layers;

mod info;

use info::{Info, TcpInfo};

const IPV4_HEADER: u64 = 20;
const IPV6_HEADER: u64 = 40;
const TCP_HEADER: u64 = 20;
/// Ten octets, and two that align them.
const TIMESTAMPS: u64 = 12;

/// What the kernel has counted of one connection until now, seen from this end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpCounters {
    /// Octets of the stream that were sent, each as often as it was.
    pub bytes_sent: u64,
    /// Of those, how many were sent again.
    pub bytes_retransmitted: u64,
    /// Octets that the other end has acknowledged; the SYN of the end that connects is one of them.
    pub bytes_acked: u64,
    /// Octets that came in order, each once; a FIN is one of them.
    pub bytes_received: u64,
    /// Segments sent, with or without data. Counts modulo 2^32.
    pub segments_out: u32,
    /// Segments received, with or without data. Counts modulo 2^32.
    pub segments_in: u32,
    /// Segments sent that carried data. Counts modulo 2^32.
    pub data_segments_out: u32,
    /// Segments received that carried data. Counts modulo 2^32.
    pub data_segments_in: u32,
    /// The headers of each segment, of IP and TCP and its time stamps, in octets.
    pub header_bytes: u64,
}

/// Why there are no counters.
#[derive(Debug)]
pub enum TcpInfoError {
    /// The kernel is older than Linux 4.19, and does not count what is needed.
    OldKernel {
        /// The octets of `tcp_info` that it fills.
        given: usize,
        /// Those that are needed.
        needed: usize,
    },
    /// The kernel has refused; the socket is not one of TCP, perhaps.
    Refused(io::Error),
}

impl fmt::Display for TcpInfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OldKernel { given, needed } => write!(
                f,
                "this kernel counts too little of a connection for the bytes on the wire (TCP_INFO has {given} \
                 octets, {needed} are needed); Linux 4.19 or later is needed"
            ),
            Self::Refused(error) => write!(f, "the kernel does not say what it has counted: {error}"),
        }
    }
}

impl Error for TcpInfoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::OldKernel { .. } => None,
            Self::Refused(error) => Some(error),
        }
    }
}

impl TcpCounters {
    /// Asks the kernel about a socket of TCP.
    pub fn of(socket: &impl AsFd) -> Result<Self, TcpInfoError> {
        let info =
            getsockopt(&socket.as_fd(), TcpInfo).map_err(|errno| TcpInfoError::Refused(errno.into()))?;
        let address = SockRef::from(socket).local_addr().map_err(TcpInfoError::Refused)?;
        Self::from_info(&info, ip_header(address.as_socket()))
    }

    fn from_info(info: &Info, ip_header: u64) -> Result<Self, TcpInfoError> {
        let fields = info.fields()?;
        let options = if fields.has_timestamps { TIMESTAMPS } else { 0 };
        Ok(Self {
            bytes_sent: fields.bytes_sent,
            bytes_retransmitted: fields.bytes_retrans,
            bytes_acked: fields.bytes_acked,
            bytes_received: fields.bytes_received,
            segments_out: fields.segs_out,
            segments_in: fields.segs_in,
            data_segments_out: fields.data_segs_out,
            data_segments_in: fields.data_segs_in,
            header_bytes: ip_header + TCP_HEADER + options,
        })
    }

    /// What went over the wire since an earlier reading of the same connection; since [`TcpCounters::default`], what has
    /// from its beginning.
    pub fn since(&self, earlier: &Self) -> Traffic {
        let segments_out = self.segments_out.wrapping_sub(earlier.segments_out);
        let segments_in = self.segments_in.wrapping_sub(earlier.segments_in);
        let segments = u64::from(segments_out) + u64::from(segments_in);
        let sent = self.bytes_sent - earlier.bytes_sent;
        let received = self.bytes_received - earlier.bytes_received;
        Traffic {
            tcp_bytes: sent + received,
            retransmitted_bytes: self.bytes_retransmitted - earlier.bytes_retransmitted,
            ip_bytes: sent + received + segments * self.header_bytes,
            segments,
        }
    }
}

/// An IPv6 socket talks IPv4 to an address that is mapped from it.
fn ip_header(local: Option<SocketAddr>) -> u64 {
    match local {
        Some(address) if address.ip().to_canonical().is_ipv6() => IPV6_HEADER,
        _ => IPV4_HEADER,
    }
}

/// What went over the wire, both ways, of one connection or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Octets of the TCP streams, with what this end sent again.
    pub tcp_bytes: u64,
    /// Of those, what was sent again.
    pub retransmitted_bytes: u64,
    /// Octets of the IP packets.
    pub ip_bytes: u64,
    /// Segments, with or without data: one packet each.
    pub segments: u64,
}

impl Traffic {
    /// The four layers, with what the application has counted of the same connections in the same time.
    pub fn layers(&self, deliveries: u64, payload: u64, application: u64) -> Layers {
        let &Self { tcp_bytes: tcp, ip_bytes: ip, segments, .. } = self;
        Layers { deliveries, payload, application, tcp, ip, segments }
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.tcp_bytes += other.tcp_bytes;
        self.retransmitted_bytes += other.retransmitted_bytes;
        self.ip_bytes += other.ip_bytes;
        self.segments += other.segments;
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(traffic: I) -> Self {
        traffic.fold(Self::default(), |mut sum, one| {
            sum += one;
            sum
        })
    }
}

#[cfg(test)]
mod tests;
