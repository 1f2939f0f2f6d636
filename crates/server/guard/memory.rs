//! How much memory the broker holds, and the kernel for it.
//!
//! Each core says once a turn what it holds, and works out from what all have said how short memory is: a few loads, and
//! no lock. What the kernel holds for sockets is looked at once a second, by whichever core comes first.

use std::fs;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use fanwire_broker::Pressure;

/// What a connection without a backlog takes at most, in bytes: its slots here and in the shard, and its timer.
const CONNECTION_BYTES: u64 = 1024;

/// What a topic takes at most besides its messages, in bytes: its row, its name and its place in the index.
const TOPIC_BYTES: u64 = 512;

/// What a subscription takes at most, in bytes, with its names.
const SUBSCRIPTION_BYTES: u64 = 512;

/// How often the kernel is asked, in milliseconds. It takes some ten microseconds.
pub(crate) const LOOK_EVERY_MS: u64 = 1_000;

/// From which share of the budget on, in thousandths, each level of pressure holds.
const THRESHOLDS: [(u64, Pressure); 3] =
    [(800, Pressure::Tight), (900, Pressure::Scarce), (1_000, Pressure::Exhausted)];

/// How far it has to fall below a threshold until the level is left, in thousandths, so that it does not flutter.
const SLACK: u64 = 50;

/// What one core holds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Holdings {
    /// Histories, last values, write queues and messages that have not come whole, in bytes.
    pub(crate) bytes: u64,
    /// Open connections.
    pub(crate) connections: u64,
    /// Topics.
    pub(crate) topics: u64,
    /// Subscriptions.
    pub(crate) subscriptions: u64,
}

impl Holdings {
    fn total_bytes(self) -> u64 {
        self.bytes
            + self.connections * CONNECTION_BYTES
            + self.topics * TOPIC_BYTES
            + self.subscriptions * SUBSCRIPTION_BYTES
    }
}

/// How short memory is, as one core sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shortage {
    /// Of the broker's own.
    pub(crate) own: Pressure,
    /// Of the kernel's, for sockets.
    pub(crate) kernel: Pressure,
}

impl Shortage {
    /// The worse of the two.
    pub(crate) fn worst(self) -> Pressure {
        self.own.max(self.kernel)
    }
}

/// What all cores hold together.
#[derive(Debug)]
pub(crate) struct Memory {
    budget_bytes: u64,
    /// By core.
    held_bytes: Box<[AtomicU64]>,
    /// In thousandths of what the kernel may use.
    kernel_share: AtomicU64,
    kernel_look_at_ms: AtomicU64,
    /// The worst level that some core saw last.
    announced: AtomicU8,
}

impl Memory {
    /// Nobody holds anything yet.
    pub(super) fn new(budget_bytes: u64, cores: usize) -> Self {
        Self {
            budget_bytes: budget_bytes.max(1),
            held_bytes: (0..cores).map(|_| AtomicU64::new(0)).collect(),
            kernel_share: AtomicU64::new(0),
            kernel_look_at_ms: AtomicU64::new(0),
            announced: AtomicU8::new(0),
        }
    }

    /// Notes what a core holds. Returns how short memory is, where that was `before` the last time.
    pub(crate) fn report(&self, core: usize, holdings: Holdings, before: Shortage, now_ms: u64) -> Shortage {
        self.held_bytes[core].store(holdings.total_bytes(), Ordering::Relaxed);
        if self.is_due_to_look(now_ms) {
            self.kernel_share.store(kernel_share().unwrap_or(0), Ordering::Relaxed);
        }
        let held: u64 = self.held_bytes.iter().map(|held| held.load(Ordering::Relaxed)).sum();
        Shortage {
            own: level(held.saturating_mul(1_000) / self.budget_bytes, before.own),
            kernel: level(self.kernel_share.load(Ordering::Relaxed), before.kernel),
        }
    }

    /// Says to all how short memory is. Returns whether that is news.
    pub(crate) fn announce(&self, pressure: Pressure) -> bool {
        self.announced.swap(pressure as u8, Ordering::Relaxed) != pressure as u8
    }

    /// Whether somebody saw that it is short.
    pub(super) fn is_short(&self) -> bool {
        self.announced.load(Ordering::Relaxed) != Pressure::None as u8
    }

    /// Whether nobody has looked at the kernel's for a while. The caller is to do so.
    fn is_due_to_look(&self, now_ms: u64) -> bool {
        let due_ms = self.kernel_look_at_ms.load(Ordering::Relaxed);
        due_ms <= now_ms
            && self
                .kernel_look_at_ms
                .compare_exchange(due_ms, now_ms + LOOK_EVERY_MS, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// The level at so many thousandths, coming from the level `before`.
fn level(share: u64, before: Pressure) -> Pressure {
    let holds = |(threshold, level): &&(u64, Pressure)| {
        share >= *threshold || (*level <= before && share >= *threshold - SLACK)
    };
    THRESHOLDS.iter().rev().find(holds).map_or(Pressure::None, |(_, level)| *level)
}

/// What TCP sockets use of what they may, in thousandths: pages of both (tcp(7), `tcp_mem`).
fn kernel_share() -> Option<u64> {
    let sockstat = fs::read_to_string("/proc/net/sockstat").ok()?;
    let limits = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").ok()?;
    share_of(&sockstat, &limits)
}

fn share_of(sockstat: &str, tcp_mem: &str) -> Option<u64> {
    let tcp = sockstat.lines().find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_ascii_whitespace().skip_while(|word| *word != "mem");
    let pages: u64 = words.nth(1)?.parse().ok()?;
    let most: u64 = tcp_mem.split_ascii_whitespace().nth(2)?.parse().ok()?;
    Some(pages.saturating_mul(1_000) / most.max(1))
}

/// Three quarters of what the process may have, in bytes: the machine's memory, or its share in a container. The rest is
/// for what allocators and the kernel add.
pub(super) fn default_budget_bytes() -> u64 {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| total_of(&text));
    let groups = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let group = groups.iter().find_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok());
    let most: u64 = machine.into_iter().chain(group).min().unwrap_or(u64::MAX);
    most / 4 * 3
}

fn total_of(meminfo: &str) -> Option<u64> {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    total.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_entered_at_its_threshold_and_left_some_way_below_it() {
        let course = [
            (799, Pressure::None),
            (800, Pressure::Tight),
            (899, Pressure::Tight),
            (1_000, Pressure::Exhausted),
            (950, Pressure::Exhausted),
            (949, Pressure::Scarce),
            (850, Pressure::Scarce),
            (849, Pressure::Tight),
            (750, Pressure::Tight),
            (749, Pressure::None),
            (799, Pressure::None),
        ];
        let mut now = Pressure::None;
        for (share, expected) in course {
            now = level(share, now);
            assert_eq!(now, expected, "at {share}");
        }
    }

    #[test]
    fn what_all_cores_hold_counts_together() {
        let memory = Memory::new(1_000_000, 2);
        let of = |bytes| Holdings { bytes, ..Holdings::default() };
        let report = |core, bytes| memory.report(core, of(bytes), Shortage::default(), 0).own;
        assert_eq!(report(0, 500_000), Pressure::None);
        assert_eq!(report(1, 400_000), Pressure::Scarce);
        assert_eq!(report(0, 0), Pressure::None);
        let many = Holdings { connections: 200, topics: 400, subscriptions: 800, ..Holdings::default() };
        assert_eq!(memory.report(0, many, Shortage::default(), 0).own, Pressure::Exhausted);
    }

    #[test]
    fn what_changes_is_announced_once() {
        let memory = Memory::new(1, 1);
        assert!(!memory.announce(Pressure::None) && !memory.is_short());
        assert!(memory.announce(Pressure::Scarce) && !memory.announce(Pressure::Scarce) && memory.is_short());
    }

    #[test]
    fn the_kernels_figures_are_understood() {
        let sockstat =
            "sockets: used 64\nTCP: inuse 35 orphan 2 tw 4 alloc 35 mem 1148\nUDP: inuse 0 mem 7\n";
        assert_eq!(share_of(sockstat, "287901\t383868\t2296\n"), Some(500));
        assert_eq!(share_of("", "1 2 3"), None);
        assert!(kernel_share().is_some(), "this machine's are");
        assert_eq!(total_of("MemTotal:       24684092 kB\nMemFree: 1 kB\n"), Some(24_684_092 * 1024));
        assert!(default_budget_bytes() < u64::MAX / 4 * 3, "this machine's memory is known");
    }
}
