//! The machine, as far as it decides what is measured.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use crate::record::Environment;
use crate::target::Cores;

/// Kernel settings that decide how much fits, and how it is queued.
const SYSCTLS: [&str; 8] = [
    "net.core.somaxconn",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_congestion_control",
    "net.ipv4.tcp_mem",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_wmem",
    "vm.overcommit_memory",
];

/// What there is to say of this machine. What the kernel does not tell is empty, or left out.
pub fn environment(cores: &Cores) -> Environment {
    Environment {
        cpu: line_of("/proc/cpuinfo", "model name").unwrap_or_default(),
        cores: thread::available_parallelism().map_or(1, usize::from).max(processors()),
        generator_cores: cores.generator.0.clone(),
        broker_cores: cores.broker.0.clone(),
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        memory: memory().unwrap_or_default(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sysctls: SYSCTLS.iter().filter_map(|name| sysctl(name)).collect::<BTreeMap<_, _>>(),
        max_files: rlimit::Resource::NOFILE.get().map_or(0, |(soft, _)| soft),
    }
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// What stands behind the colon in the first line that begins so.
fn line_of(path: &str, beginning: &str) -> Option<String> {
    let text = read(path)?;
    let line = text.lines().find(|line| line.starts_with(beginning))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Processors that the kernel shows, whether this process may use them or not.
fn processors() -> usize {
    read("/proc/cpuinfo").unwrap_or_default().lines().filter(|line| line.starts_with("processor")).count()
}

fn memory() -> Option<u64> {
    let kibibytes = line_of("/proc/meminfo", "MemTotal")?;
    Some(kibibytes.strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn sysctl(name: &str) -> Option<(String, String)> {
    let value = read(&format!("/proc/sys/{}", name.replace('.', "/")))?;
    Some((name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_is() {
        let Environment { cores, kernel, memory, sysctls, max_files, .. } =
            environment(&Cores::all().unwrap());
        assert!(cores >= 1 && memory > 1 << 20 && max_files > 0);
        assert!(kernel.starts_with(|c: char| c.is_ascii_digit()), "{kernel}");
        assert!(sysctls.contains_key("net.ipv4.ip_local_port_range"));
    }
}
