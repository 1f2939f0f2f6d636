//! Taking in connections, and what the kernel is told about them.

use std::error::Error;
use std::fmt;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use rlimit::Resource;
use socket2::{Domain, Protocol, Socket, Type};

/// Connections that the kernel has accepted and the broker has not: as many as reconnect at once after a
/// restart are not to be refused. The kernel caps it at `net.core.somaxconn`, which is this by default.
const ACCEPT_QUEUE: i32 = 4096;

/// The bytes that may wait unsent in the kernel, for each connection; the socket is writable below it.
///
/// A default socket that nobody reads takes 3.9 MB of kernel memory, and 800 of them exhausted it on a small
/// machine; with this they take 174 KB. What waits in the write queue instead can still be conflated or
/// caught up with later. It is enough for a batch of segments, so that a fast reader is not slowed down.
const NOT_SENT_LOW_WATER_BYTES: u32 = 16 * 1024;

/// The listening sockets of all cores.
#[derive(Debug)]
pub struct Bound {
    /// Where they listen, in the order asked for, with the ports that the kernel chose for port 0.
    pub addresses: Vec<SocketAddr>,
    /// By core, a socket for each address; the kernel spreads the connections to an address over the cores.
    pub listeners: Vec<Vec<TcpListener>>,
}

/// Why an address cannot be listened on. The operator's to put right.
#[derive(Debug)]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the kernel said.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, error } = self;
        write!(f, "cannot listen on {address}: ")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => f.write_str(
                "another process, perhaps another broker, listens there; stop it, or listen elsewhere",
            ),
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("no network interface of this machine has that address")
            }
            io::ErrorKind::PermissionDenied => {
                f.write_str("not permitted; ports below 1024 take the capability CAP_NET_BIND_SERVICE")
            }
            _ => error.fmt(f),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Listens on each address with a socket for each core. A connection on which the peer acknowledges nothing for
/// `patience`, though something was sent, is reset by the kernel.
pub fn bind(addresses: &[SocketAddr], cores: usize, patience: Duration) -> Result<Bound, BindError> {
    let mut bound = Bound {
        addresses: Vec::with_capacity(addresses.len()),
        listeners: (0..cores).map(|_| Vec::with_capacity(addresses.len())).collect(),
    };
    for &address in addresses {
        let blame = |error| BindError { address, error };
        let sockets = listen_together(address, cores, patience).map_err(blame)?;
        for (core, socket) in bound.listeners.iter_mut().zip(sockets) {
            core.push(TcpListener::from_std(socket.into()));
        }
        let first = bound.listeners.first().and_then(|core| core.last());
        bound.addresses.push(first.map_or(Ok(address), TcpListener::local_addr).map_err(blame)?);
    }
    Ok(bound)
}

/// A socket for each core on the same address and port.
///
/// The first listens alone before it shares the port: if another broker listens there, this fails, where with
/// sharing from the start two brokers would silently have half of the clients each. It keeps the port until
/// the others have joined, so a port that the kernel chose cannot be lost on the way.
fn listen_together(address: SocketAddr, cores: usize, patience: Duration) -> io::Result<Vec<Socket>> {
    let first = new_socket(address, patience)?;
    first.bind(&address.into())?;
    first.listen(ACCEPT_QUEUE)?;
    first.set_reuse_port(true)?;
    let shared = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..cores {
        let next = new_socket(address, patience)?;
        next.set_reuse_port(true)?;
        next.bind(&shared)?;
        next.listen(ACCEPT_QUEUE)?;
        sockets.push(next);
    }
    Ok(sockets)
}

/// A socket whose connections inherit their options, which saves a system call each for every connection.
fn new_socket(address: SocketAddr, patience: Duration) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // Connections of the last run, in TIME_WAIT, are no reason to refuse the port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // So that "[::]" and "0.0.0.0" can be listened on side by side, whatever the system's default.
        socket.set_only_v6(true)?;
    }
    // The broker sends whole batches: there is nothing for the kernel to wait for.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER_BYTES)?;
    socket.set_tcp_user_timeout(Some(patience))?;
    Ok(socket)
}

/// What an accept brought.
#[derive(Debug)]
pub enum Accepted {
    /// A connection, and where it comes from.
    Stream(TcpStream, SocketAddr),
    /// Nobody waits: the next edge tells of the next.
    WouldBlock,
    /// The process or the machine has no file descriptor, or no memory, for another connection. Those who wait
    /// stay in the kernel's queue, and no edge will tell of them again.
    OutOfFiles,
    /// A client went away while it waited, or a firewall or the network refused it: the next one may be well.
    Transient,
    /// The listening socket takes nobody in, now or ever again: it is no use to try again at once.
    Failed(io::Error),
}

/// Accepts one connection, if one waits.
pub fn accept_one(listener: &TcpListener) -> Accepted {
    match listener.accept() {
        Ok((stream, peer)) => Accepted::Stream(stream, peer),
        Err(error) => error.into(),
    }
}

/// Which errors are those of one connection, accept(2) says. Linux hands an error of the network that came for a connection
/// while it waited to whoever accepts it.
impl From<io::Error> for Accepted {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EAGAIN) => Self::WouldBlock,
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => Self::OutOfFiles,
            Some(
                libc::ECONNABORTED
                | libc::EINTR
                | libc::EPERM
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::ENONET
                | libc::ENOPROTOOPT
                | libc::EOPNOTSUPP
                | libc::EPROTO,
            ) => Self::Transient,
            _ => Self::Failed(error),
        }
    }
}

/// What the peer has acknowledged. Progress is life, even of a subscriber that never says a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// Bytes since the connection began.
    pub bytes: u64,
    /// The age of the last acknowledgement, of whatever, in milliseconds.
    pub ms_ago: u64,
}

/// Asks the kernel what the peer has acknowledged (`TCP_INFO`).
pub fn acknowledged(stream: &impl AsFd) -> io::Result<Acknowledged> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, so it is open; the kernel writes at most `length` bytes to `info`,
    // which has as many, and the number of them to `length`. Both outlive the call.
    let outcome = unsafe {
        libc::getsockopt(
            stream.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: every field is an integer, so the zeroes that an older kernel leaves at the end are values too.
    let info = unsafe { info.assume_init() };
    Ok(Acknowledged { bytes: info.tcpi_bytes_acked, ms_ago: info.tcpi_last_ack_recv.into() })
}

/// How many files, and so connections, the process may have open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// The limit that the process was started with.
    pub inherited: u64,
    /// The limit now: as high as it may go without privileges.
    pub raised: u64,
}

/// Files that the process needs besides those of its cores: the standard streams, configuration and keys, the kernel's figures.
const OTHER_FILES: u64 = 32;

/// How many connections the limit on open files leaves room for, where the cores need so many files for something else.
pub fn room_for_connections(files_of_cores: usize) -> io::Result<usize> {
    let (soft, _) = Resource::NOFILE.get()?;
    // Whoever has so low a limit gets most of it.
    let other = (OTHER_FILES + files_of_cores as u64).min(soft / 2);
    Ok(usize::try_from(soft - other).unwrap_or(usize::MAX))
}

/// Raises the limit on open files as far as the process may. Broker and clients need one for each connection, and
/// the limit that a shell gives is for programs of another kind.
pub fn raise_file_limit() -> io::Result<FileLimit> {
    let (soft, hard) = Resource::NOFILE.get()?;
    if soft < hard {
        Resource::NOFILE.set(hard, hard)?;
    }
    Ok(FileLimit { inherited: soft, raised: hard })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net;

    use mio::{Events, Interest, Poll, Token};
    use socket2::SockRef;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(75);
    const ANY_PORT: &str = "127.0.0.1:0";

    fn bind_one(address: &str, cores: usize) -> Bound {
        bind(&[address.parse().unwrap()], cores, PATIENCE).unwrap()
    }

    /// Waits for the next connection to any of the cores, and says which one has got it.
    fn accept(listeners: &[Vec<TcpListener>]) -> (usize, TcpStream) {
        loop {
            for (core, listeners) in listeners.iter().enumerate() {
                match accept_one(&listeners[0]) {
                    Accepted::Stream(stream, _) => return (core, stream),
                    Accepted::WouldBlock => std::thread::yield_now(),
                    failure => panic!("{failure:?}"),
                }
            }
        }
    }

    #[test]
    fn all_cores_listen_on_the_one_port_that_was_chosen() {
        let bound = bind_one(ANY_PORT, 3);
        assert_ne!(bound.addresses[0].port(), 0);
        for core in &bound.listeners {
            assert_eq!(core[0].local_addr().unwrap(), bound.addresses[0]);
        }
    }

    #[test]
    fn connections_are_spread_over_the_cores() {
        let bound = bind_one(ANY_PORT, 2);
        let mut clients = Vec::new();
        let mut shares = [0; 2];
        while shares.contains(&0) {
            assert!(clients.len() < 200, "one core gets everything: {shares:?}");
            clients.push(net::TcpStream::connect(bound.addresses[0]).unwrap());
            shares[accept(&bound.listeners).0] += 1;
        }
    }

    #[test]
    fn a_second_broker_on_the_port_is_refused_and_told_the_address() {
        let bound = bind_one(ANY_PORT, 2);
        let error = bind(&bound.addresses, 2, PATIENCE).unwrap_err();
        assert_eq!(error.address, bound.addresses[0]);
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&bound.addresses[0].to_string()), "{error}");
    }

    #[test]
    fn a_port_can_be_had_again_while_connections_of_the_last_run_linger() {
        let bound = bind_one(ANY_PORT, 2);
        let address = bound.addresses[0];
        let mut client = net::TcpStream::connect(address).unwrap();
        let (_, lingering) = accept(&bound.listeners);
        drop(bound);
        drop(bind(&[address], 2, PATIENCE).unwrap());
        // Closed by this side first, it goes to TIME_WAIT.
        drop(lingering);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
        bind(&[address], 2, PATIENCE).unwrap();
    }

    #[test]
    fn both_protocols_can_be_listened_on_at_one_port() {
        let v4 = bind_one("0.0.0.0:0", 1);
        let v6 = SocketAddr::from((net::Ipv6Addr::UNSPECIFIED, v4.addresses[0].port()));
        match bind(&[v6], 1, PATIENCE) {
            Ok(bound) => assert_eq!(bound.addresses, [v6]),
            // A machine without IPv6 cannot tell.
            Err(BindError { error, .. }) => assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT)),
        }
    }

    #[test]
    fn an_accepted_connection_has_the_options() {
        let bound = bind_one(ANY_PORT, 1);
        let _client = net::TcpStream::connect(bound.addresses[0]).unwrap();
        let (_, stream) = accept(&bound.listeners);
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.nonblocking().unwrap());
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), NOT_SENT_LOW_WATER_BYTES);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(PATIENCE));
    }

    #[test]
    fn what_befell_one_connection_is_told_apart_from_what_befalls_them_all() {
        let bound = bind_one(ANY_PORT, 1);
        assert!(matches!(accept_one(&bound.listeners[0][0]), Accepted::WouldBlock));
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(matches!(io::Error::from_raw_os_error(code).into(), Accepted::OutOfFiles));
        }
        for code in [libc::ECONNABORTED, libc::EINTR, libc::EPERM, libc::EPROTO, libc::ENETDOWN] {
            assert!(matches!(io::Error::from_raw_os_error(code).into(), Accepted::Transient));
        }
        for code in [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EACCES, libc::EIO] {
            assert!(matches!(io::Error::from_raw_os_error(code).into(), Accepted::Failed(_)));
        }
    }

    #[test]
    fn acknowledged_bytes_grow_with_what_the_peer_has_taken() {
        let bound = bind_one(ANY_PORT, 1);
        let mut client = net::TcpStream::connect(bound.addresses[0]).unwrap();
        let (_, mut stream) = accept(&bound.listeners);
        let before = acknowledged(&stream).unwrap().bytes;
        let mut poll = Poll::new().unwrap();
        poll.registry().register(&mut stream, Token(0), Interest::WRITABLE).unwrap();
        poll.poll(&mut Events::with_capacity(1), None).unwrap();
        stream.write_all(&[7; 1000]).unwrap();
        client.read_exact(&mut [0; 1000]).unwrap();
        while acknowledged(&stream).unwrap().bytes < before + 1000 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_file_limit_is_as_high_as_it_may_be() {
        let limit = raise_file_limit().unwrap();
        assert!(limit.inherited <= limit.raised);
        assert_eq!(Resource::NOFILE.get().unwrap(), (limit.raised, limit.raised));
    }
}
