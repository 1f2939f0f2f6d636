//! What all clients may have together: as the operator says, or as this machine leaves room for.

use std::fs;

use crate::config::Limits;

const MEBIBYTE: u64 = 1 << 20;

/// What all clients may have together. Memory is in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Open connections.
    pub(crate) connections: usize,
    /// Everything that the broker may hold.
    pub(crate) memory: u64,
    /// What histories, last values and message ids may hold of that.
    pub(crate) history_memory: u64,
    /// What write queues may hold of that.
    pub(crate) backlog_memory: u64,
    /// What contexts of compression that connections have for themselves may hold of that.
    pub(crate) context_memory: u64,
}

impl Budget {
    /// What the limits say; where they say nothing, shares of the memory. Of connections, there are no more than there is
    /// `room` for.
    pub(crate) fn new(limits: &Limits, room: usize) -> Self {
        let memory = limits.memory.unwrap_or_else(default_memory);
        Self {
            connections: limits.connections.unwrap_or(room).min(room),
            memory,
            // None of the three, nor all together, are to come to where everybody pays for them.
            history_memory: limits.history_memory.unwrap_or(memory / 2),
            backlog_memory: limits.backlog_memory.unwrap_or(memory / 4),
            context_memory: limits.context_memory.unwrap_or(memory / 20),
        }
    }

    /// Warns of limits beyond what there is on this machine, where there is `room` for so many connections.
    pub(crate) fn warn_of_excess(limits: &Limits, room: usize) {
        if let Some(connections) = limits.connections.filter(|connections| *connections > room) {
            tracing::warn!(
                connections,
                room,
                "the limit on open files leaves less room than limits.connections asks for; raise it (ulimit -n)"
            );
        }
        let memory = limits.memory.map(|memory| (memory, memory_of_process()));
        if let Some((memory, machine)) = memory.filter(|(memory, machine)| memory > machine) {
            tracing::warn!(
                memory = rounded(memory),
                machine = rounded(machine),
                "limits.memory is more than there is: the kernel may kill the broker before it comes to that; lower it"
            );
        }
    }

    /// What the limits leave to this machine, as lines of `[limits]`.
    pub(crate) fn left_open_by(&self, limits: &Limits) -> Vec<String> {
        let size = |bytes| format!("\"{}\"", rounded(bytes));
        let lines = [
            ("connections", limits.connections != Some(self.connections), self.connections.to_string()),
            ("memory", limits.memory.is_none(), size(self.memory)),
            ("history_memory", limits.history_memory.is_none(), size(self.history_memory)),
            ("backlog_memory", limits.backlog_memory.is_none(), size(self.backlog_memory)),
            ("context_memory", limits.context_memory.is_none(), size(self.context_memory)),
        ];
        let open = lines.into_iter().filter(|(_, is_open, _)| *is_open);
        open.map(|(key, _, value)| format!("{key} = {value}")).collect()
    }

    /// Writes it down for the operator.
    pub(crate) fn log(&self) {
        tracing::info!(
            connections = self.connections,
            memory = rounded(self.memory),
            history_memory = rounded(self.history_memory),
            backlog_memory = rounded(self.backlog_memory),
            context_memory = rounded(self.context_memory),
            "what all clients may have together"
        );
    }
}

/// A size as the configuration has it, rounded down to what people read.
fn rounded(bytes: u64) -> String {
    if bytes < MEBIBYTE { bytes.to_string() } else { format!("{}MiB", bytes / MEBIBYTE) }
}

/// Three quarters of what the process may have, in bytes. The rest is for what allocators and the kernel add.
fn default_memory() -> u64 {
    memory_of_process() / 4 * 3
}

/// What the process may have, in bytes: the machine's memory, or its share in a container.
fn memory_of_process() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    machine.into_iter().chain(group).min().unwrap_or(u64::MAX)
}

fn total_of(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_limits_leave_open_this_machine_decides_and_no_more() {
        let nothing = Limits::default();
        let of_machine = Budget::new(&nothing, 7);
        assert_eq!((of_machine.connections, of_machine.history_memory), (7, of_machine.memory / 2));
        assert!(of_machine.memory < u64::MAX / 4 * 3, "this machine's memory is known");
        assert_eq!(of_machine.left_open_by(&nothing).len(), 5);

        let some = Limits {
            connections: Some(3),
            memory: Some(40 * MEBIBYTE),
            backlog_memory: Some(MEBIBYTE),
            ..nothing
        };
        let budget = Budget::new(&some, 7);
        let expected = Budget {
            connections: 3,
            memory: 40 * MEBIBYTE,
            history_memory: 20 * MEBIBYTE,
            backlog_memory: MEBIBYTE,
            context_memory: 2 * MEBIBYTE,
        };
        assert_eq!(budget, expected);
        assert_eq!(
            Budget::new(&some, 2).left_open_by(&some)[0],
            "connections = 2",
            "no more than there is room for"
        );
        let left_open = ["history_memory = \"20MiB\"", "context_memory = \"2MiB\""];
        assert_eq!(budget.left_open_by(&some), left_open);
    }

    #[test]
    fn sizes_are_rounded_to_what_is_still_a_size() {
        let rounded = [MEBIBYTE - 1, MEBIBYTE, 3 * MEBIBYTE - 1].map(rounded);
        assert_eq!(rounded, ["1048575", "1MiB", "2MiB"]);
    }

    #[test]
    fn the_machine_s_memory_is_understood() {
        assert_eq!(total_of("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 * 1024));
        assert_eq!(total_of(""), None);
    }
}
