//! Sockets: connections without waiting, from as many addresses as are given, and reads with the kernel's time stamp.

use std::error::Error;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use mio::net::TcpStream;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::{TimeSpec, TimeValLike};
use socket2::{Domain, Protocol, Socket, Type};

use crate::record::ReasonKind;
use crate::units::{Addresses, Mss, SourceAddresses};

/// Opens connections to one address.
#[derive(Debug)]
pub struct Connector {
    target: SocketAddr,
    sources: Option<Addresses>,
    mss: Option<Mss>,
}

/// Something of which this process or machine has no more. The remedy is the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exhausted {
    /// File descriptors, of the process (`ulimit -n`) or of the machine (`fs.file-max`).
    Files,
    /// Local ports of the address that was connected from.
    Ports,
}

/// Why a connection could not be begun, or did not come about.
#[derive(Debug)]
pub enum ConnectError {
    /// This side has no more of something.
    Exhausted {
        /// Of what.
        what: Exhausted,
        /// The address that was to be connected from, if one was given.
        source: Option<IpAddr>,
    },
    /// The source address is none of this machine's.
    NotLocal {
        /// The address.
        source: IpAddr,
    },
    /// The source address is of the other IP family than the target.
    OtherFamily {
        /// The source address.
        source: IpAddr,
        /// The target.
        target: SocketAddr,
    },
    /// The other side, or the way to it, has refused.
    Failed {
        /// The target.
        target: SocketAddr,
        /// What the kernel said.
        error: io::Error,
    },
}

impl ConnectError {
    /// What it says about the run.
    pub fn reason(&self) -> ReasonKind {
        match self {
            Self::Exhausted { what: Exhausted::Files, .. } => ReasonKind::FilesExhausted,
            Self::Exhausted { what: Exhausted::Ports, .. } => ReasonKind::PortsExhausted,
            Self::NotLocal { .. } | Self::OtherFamily { .. } | Self::Failed { .. } => {
                ReasonKind::ConnectionsLost
            }
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exhausted { what: Exhausted::Files, .. } => f.write_str(
                "no file descriptor is left for another connection; raise the limit (ulimit -n), or open fewer",
            ),
            Self::Exhausted { what: Exhausted::Ports, source } => {
                f.write_str("no local port is left")?;
                if let Some(source) = source {
                    write!(f, " on {source}")?;
                }
                f.write_str("; give more source addresses (--source-ip 127.0.0.1-127.0.0.10), or open fewer")
            }
            Self::NotLocal { source } => {
                write!(f, "{source} is no address of this machine, so that nothing can be connected from it")
            }
            Self::OtherFamily { source, target } => {
                write!(f, "{source} cannot be connected from to {target}: one is IPv4, the other IPv6")
            }
            Self::Failed { target, error } => write!(f, "cannot connect to {target}: {error}"),
        }
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl Connector {
    /// Connects to `target` from each of `sources` in turn, or from where the kernel likes, with segments of at most
    /// `mss`.
    pub fn new(target: SocketAddr, sources: Option<SourceAddresses>, mss: Option<Mss>) -> Self {
        Self { target, sources: sources.map(SourceAddresses::rotate), mss }
    }

    /// Begins a connection, and does not wait for it: whether it stands, its first read or write says.
    pub fn connect(&mut self) -> Result<TcpStream, ConnectError> {
        self.connect_with(None)
    }

    /// Likewise, with a kernel that keeps about that many octets for whoever reads, and not as many as it likes.
    pub fn connect_with(&mut self, receive_buffer: Option<usize>) -> Result<TcpStream, ConnectError> {
        let source = self.sources.as_mut().and_then(Iterator::next);
        let blame = |error| self.blame(source, error);
        let socket = Socket::new(
            Domain::for_address(self.target),
            Type::STREAM.nonblocking().cloexec(),
            Some(Protocol::TCP),
        )
        .map_err(blame)?;
        self.set_options(&socket, receive_buffer).map_err(blame)?;
        if let Some(source) = source {
            self.bind(&socket, source)?;
        }
        match socket.connect(&self.target.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(blame(error)),
            _ => Ok(TcpStream::from_std(socket.into())),
        }
    }

    fn set_options(&self, socket: &Socket, receive_buffer: Option<usize>) -> io::Result<()> {
        // Both before the connection begins: they are told to the other side in the first segments.
        if let Some(octets) = receive_buffer {
            socket.set_recv_buffer_size(octets)?;
        }
        if let Some(mss) = self.mss {
            socket.set_tcp_mss(mss.octets())?;
        }
        socket.set_tcp_nodelay(true)?;
        // A kernel that has none gives none: then there is no receive lag to show, and the rest is as good.
        let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &true);
        Ok(())
    }

    /// Binds to an address and leaves the port to the connect, which may take any that is free towards this target;
    /// a port chosen now would have to be free towards all.
    fn bind(&self, socket: &Socket, source: IpAddr) -> Result<(), ConnectError> {
        if source.is_ipv4() != self.target.is_ipv4() {
            return Err(ConnectError::OtherFamily { source, target: self.target });
        }
        setsockopt(socket, sockopt::IpBindAddressNoPort, &true)
            .map_err(|errno| self.blame(Some(source), errno.into()))?;
        socket.bind(&SocketAddr::new(source, 0).into()).map_err(|error| match error.raw_os_error() {
            Some(libc::EADDRNOTAVAIL) => ConnectError::NotLocal { source },
            _ => self.blame(Some(source), error),
        })
    }

    fn blame(&self, source: Option<IpAddr>, error: io::Error) -> ConnectError {
        match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE) => {
                ConnectError::Exhausted { what: Exhausted::Files, source: None }
            }
            Some(libc::EADDRNOTAVAIL) => ConnectError::Exhausted { what: Exhausted::Ports, source },
            _ => ConnectError::Failed { target: self.target, error },
        }
    }
}

/// Reads sockets together with the time at which the kernel got what is read.
#[derive(Debug)]
pub struct StampedReader {
    /// Where the kernel writes the stamp: the same memory for every read.
    control: Vec<u8>,
}

impl Default for StampedReader {
    fn default() -> Self {
        Self { control: cmsg_space!(TimeSpec) }
    }
}

impl StampedReader {
    /// Reads what there is, as `read` does, with the time at which the kernel got the last segment of it, in
    /// nanoseconds of the real-time clock. What came in earlier segments of the same read has waited longer.
    pub fn read(&mut self, socket: &impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<u64>)> {
        let mut buffers = [IoSliceMut::new(buffer)];
        let control = Some(self.control.as_mut_slice());
        let received =
            recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut buffers, control, MsgFlags::MSG_DONTWAIT)?;
        let stamp = received.cmsgs().map_err(truncated)?.find_map(|message| match message {
            ControlMessageOwned::ScmTimestampns(time) => u64::try_from(time.num_nanoseconds()).ok(),
            _ => None,
        });
        Ok((received.bytes, stamp))
    }
}

/// Nobody else asks for control messages on these sockets.
fn truncated(errno: Errno) -> io::Error {
    io::Error::other(format!("more control messages than were asked for: {errno}"))
}

#[cfg(test)]
mod tests;
