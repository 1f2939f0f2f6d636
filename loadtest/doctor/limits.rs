//! How many connections there can be.

use std::io;

use nix::unistd::{SysconfVar, sysconf};
use rlimit::Resource;

use super::{Check, numbers};
use crate::cli::Doctor;
use crate::units::Size;

/// Files of a process that are no connections.
const OTHER_FILES: u64 = 100;

/// Connections that the broker lets wait to be accepted.
const ACCEPT_QUEUE: u64 = 4_096;

/// Memory of the kernel for one end of a connection that is read and written as it should be.
const BYTES_OF_AN_END: u64 = 16 << 10;

/// Below this, a burst is cut into pieces that wait for each other.
const LEAST_MAX_BUFFER: u64 = 1 << 20;

pub(super) fn checks(wanted: &Doctor) -> Vec<Check> {
    let connections = wanted.connections as u64;
    let sources = wanted.sources.map_or(1, |sources| sources.count().try_into().unwrap_or(u64::MAX));
    vec![
        known("open files", raised_limit().map(|limit| files(limit, connections))),
        known("local ports", port_range().map(|ports| self::ports(ports, sources, connections))),
        known("net.core.somaxconn", numbers("/proc/sys/net/core/somaxconn").map(accept_queue)),
        known("net.ipv4.tcp_tw_reuse", numbers("/proc/sys/net/ipv4/tcp_tw_reuse").map(reuse)),
        known("net.ipv4.tcp_mem", tcp_memory().map(|(pages, page)| memory(pages, page, connections))),
        known("net.ipv4.tcp_rmem, tcp_wmem", max_buffers().map(buffers)),
    ]
}

fn known(name: &'static str, check: io::Result<Check>) -> Check {
    check.unwrap_or_else(|error| Check::unknown(name, &error))
}

/// The limit on open files before and after it was raised as far as it may be, and the machine's.
#[derive(Clone, Copy)]
struct FileLimits {
    soft: u64,
    hard: u64,
    machine: u64,
}

fn raised_limit() -> io::Result<FileLimits> {
    let (soft, hard) = Resource::NOFILE.get()?;
    Resource::NOFILE.set(hard, hard)?;
    let [machine] = numbers("/proc/sys/fs/file-max")?;
    Ok(FileLimits { soft, hard, machine })
}

fn files(limits: FileLimits, connections: u64) -> Check {
    const NAME: &str = "open files";
    let FileLimits { soft, hard, machine } = limits;
    let (wanted, both) = (connections + OTHER_FILES, 2 * connections + OTHER_FILES);
    let raised = if soft < hard { format!(", raised from {soft}") } else { String::new() };
    if hard < wanted {
        let remedy = format!("ulimit -Hn {wanted} as root, or LimitNOFILE= of the service");
        return Check::problem(
            NAME,
            format!("{hard}, which is fewer than {connections} connections"),
            remedy,
        );
    }
    if machine < both {
        let finding =
            format!("{machine} of the whole machine, where both ends of {connections} connections are");
        return Check::problem(NAME, finding, format!("sysctl -w fs.file-max={both}"));
    }
    Check::ok(NAME, format!("{hard}{raised}"))
}

fn port_range() -> io::Result<u64> {
    let [first, last] = numbers("/proc/sys/net/ipv4/ip_local_port_range")?;
    Ok(last.saturating_sub(first) + 1)
}

fn ports(ports: u64, sources: u64, connections: u64) -> Check {
    const NAME: &str = "local ports";
    let room = ports.saturating_mul(sources);
    let finding = match sources {
        1 => format!("{ports} on the one address"),
        _ => format!("{ports} on each of {sources} addresses, {room} in all"),
    };
    if room >= connections.saturating_add(connections / 10) {
        return Check::ok(NAME, finding);
    }
    let addresses = (connections + connections / 10).div_ceil(ports);
    let last = std::net::Ipv4Addr::from_bits(0x7f00_0000 + u32::try_from(addresses).unwrap_or(u32::MAX >> 8));
    let remedy =
        format!("--source-ip 127.0.0.1-{last}, or sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
    if room >= connections {
        return Check::warning(NAME, format!("{finding}; closed connections keep some for a minute"), remedy);
    }
    Check::problem(NAME, format!("{finding}; {connections} are wanted"), remedy)
}

fn accept_queue([most]: [u64; 1]) -> Check {
    const NAME: &str = "net.core.somaxconn";
    if most >= ACCEPT_QUEUE {
        return Check::ok(NAME, most.to_string());
    }
    let finding = format!("{most}: of connections that come at once, some wait a second or longer");
    Check::warning(NAME, finding, format!("sysctl -w net.core.somaxconn={ACCEPT_QUEUE}"))
}

fn reuse([value]: [u64; 1]) -> Check {
    const NAME: &str = "net.ipv4.tcp_tw_reuse";
    match value {
        1 => Check::ok(NAME, "1: the ports of closed connections are used again"),
        2 => Check::ok(NAME, "2: the ports of closed connections are used again on loopback"),
        _ => Check::warning(
            NAME,
            format!("{value}: the ports of closed connections are lost for a minute"),
            "sysctl -w net.ipv4.tcp_tw_reuse=1",
        ),
    }
}

/// Where the kernel begins to be sparing with the memory of connections, in pages; and the bytes of a page.
fn tcp_memory() -> io::Result<(u64, u64)> {
    let [_, pressure, _] = numbers("/proc/sys/net/ipv4/tcp_mem")?;
    let page = sysconf(SysconfVar::PAGE_SIZE)?.and_then(|bytes| u64::try_from(bytes).ok());
    Ok((pressure, page.ok_or(io::ErrorKind::Unsupported)?))
}

fn memory(pages: u64, page: u64, connections: u64) -> Check {
    const NAME: &str = "net.ipv4.tcp_mem";
    let (bytes, ends) = (pages.saturating_mul(page), 2 * connections);
    let finding = format!("{} MiB for both ends of all connections", bytes >> 20);
    if bytes >= ends * BYTES_OF_AN_END {
        return Check::ok(NAME, finding);
    }
    let wanted = (ends * BYTES_OF_AN_END).div_ceil(page);
    Check::warning(
        NAME,
        format!("{finding}, which is {} KiB for each end", bytes / ends / 1024),
        format!("sysctl -w net.ipv4.tcp_mem='{wanted} {wanted} {}'", 2 * wanted),
    )
}

fn max_buffers() -> io::Result<[u64; 2]> {
    let max = |path| numbers(path).map(|[_, _, max]| max);
    Ok([max("/proc/sys/net/ipv4/tcp_rmem")?, max("/proc/sys/net/ipv4/tcp_wmem")?])
}

fn buffers([receive, send]: [u64; 2]) -> Check {
    const NAME: &str = "net.ipv4.tcp_rmem, tcp_wmem";
    let finding =
        format!("at most {} to be read and {} to be sent wait in a connection", Size(receive), Size(send));
    if receive.min(send) >= LEAST_MAX_BUFFER {
        return Check::ok(NAME, finding);
    }
    let remedy = "sysctl -w net.ipv4.tcp_rmem='4096 131072 6291456' net.ipv4.tcp_wmem='4096 16384 4194304'";
    Check::warning(NAME, finding, remedy)
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    fn limits(hard: u64, machine: u64) -> FileLimits {
        FileLimits { soft: 1_024, hard, machine }
    }

    #[test]
    fn there_must_be_a_file_for_each_connection_and_on_the_machine_for_both_ends() {
        assert_eq!(files(limits(10_100, 1 << 20), 10_000).health, Health::Ok);
        assert_eq!(files(limits(10_099, 1 << 20), 10_000).health, Health::Problem);
        let machine = files(limits(20_000, 20_099), 10_000);
        assert_eq!(
            (machine.health, machine.remedy.as_str()),
            (Health::Problem, "sysctl -w fs.file-max=20100")
        );
        assert_eq!(files(limits(20_000, 20_100), 10_000).finding, "20000, raised from 1024");
    }

    #[test]
    fn ports_are_counted_on_every_source_address_and_the_remedy_is_enough() {
        assert_eq!(ports(28_232, 1, 25_000).health, Health::Ok);
        assert_eq!(ports(28_232, 1, 28_000).health, Health::Warning);
        let too_few = ports(28_232, 1, 100_000);
        assert_eq!(too_few.health, Health::Problem);
        assert!(too_few.remedy.starts_with("--source-ip 127.0.0.1-127.0.0.4,"), "{}", too_few.remedy);
        assert_eq!(ports(28_232, 4, 100_000).health, Health::Ok);
        assert!(ports(28_232, 4, 1).finding.starts_with("28232 on each of 4 addresses, 112928 in all"));
    }

    #[test]
    fn kernel_settings_are_told_apart_at_their_bounds() {
        assert_eq!([4_096, 4_095].map(|most| accept_queue([most]).health), [Health::Ok, Health::Warning]);
        assert_eq!([0, 1, 2].map(|value| reuse([value]).health), [Health::Warning, Health::Ok, Health::Ok]);
        assert_eq!(memory(8_000, 4_096, 1_000).health, Health::Ok);
        let sparing = memory(7_999, 4_096, 1_000);
        assert_eq!(sparing.health, Health::Warning);
        assert_eq!(sparing.remedy, "sysctl -w net.ipv4.tcp_mem='8000 8000 16000'");
        assert_eq!(buffers([1 << 20, 1 << 20]).health, Health::Ok);
        assert_eq!(buffers([1 << 20, 1 << 19]).health, Health::Warning);
    }
}
