//! How much memory the broker holds, and the kernel for it.
//!
//! Each core says once a turn what it holds, and works out from what all have said how short memory is: a few loads, and
//! no lock. What the kernel holds for sockets is looked at once a second, by whichever core comes first.

use std::fs;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use fanwire_broker::{Pressure, Pressures};

use super::budget::Budget;

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
    /// Histories, last values and message ids, in bytes.
    pub(crate) history_bytes: u64,
    /// Write queues, and what TLS has made of what was in them, in bytes.
    pub(crate) backlog_bytes: u64,
    /// Contexts of compression that connections have for themselves, in bytes.
    pub(crate) context_bytes: u64,
    /// Messages that have not come whole, or have not had their turn, and sessions of TLS, in bytes.
    pub(crate) incoming_bytes: u64,
    /// Open connections.
    pub(crate) connections: u64,
    /// Topics.
    pub(crate) topics: u64,
    /// Subscriptions.
    pub(crate) subscriptions: u64,
}

impl Holdings {
    /// Everything, in bytes.
    pub(crate) fn total_bytes(self) -> u64 {
        self.history_bytes
            + self.backlog_bytes
            + self.context_bytes
            + self.incoming_bytes
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
    /// Of what histories, last values and message ids may hold.
    pub(crate) histories: Pressure,
    /// Of what write queues may hold.
    pub(crate) backlogs: Pressure,
}

impl Shortage {
    /// As it is for everybody: what one kind may hold is that kind's alone to give up.
    pub(crate) fn general(self) -> Pressure {
        self.own.max(self.kernel)
    }

    /// As it is for those who do not read: whose write queues are large.
    pub(crate) fn of_slow_readers(self) -> Pressure {
        self.general().max(self.backlogs)
    }

    /// As it is for what a shard holds, of which the kernel has none.
    pub(crate) fn of_shard(self) -> Pressures {
        Pressures { histories: self.own.max(self.histories), backlogs: self.own.max(self.backlogs) }
    }

    /// All four in one number, which is 0 while there is no shortage.
    fn to_bits(self) -> u8 {
        let levels = [self.own, self.kernel, self.histories, self.backlogs];
        levels.into_iter().rev().fold(0, |bits, level| bits << 2 | level as u8)
    }
}

/// The bits of a shortage that are everybody's.
const GENERAL_BITS: u8 = 0b1111;

const _: () = assert!(Pressure::ALL.len() == 4, "a level is two bits");

/// What one core has said that it holds, in bytes.
#[derive(Debug, Default)]
struct Held {
    all: AtomicU64,
    histories: AtomicU64,
    backlogs: AtomicU64,
}

/// What all cores hold together.
#[derive(Debug)]
pub(crate) struct Memory {
    budget: Budget,
    /// By core.
    held: Box<[Held]>,
    /// What contexts of compression have been promised.
    context_bytes: AtomicU64,
    /// In thousandths of what the kernel may use.
    kernel_share: AtomicU64,
    kernel_look_at_ms: AtomicU64,
    /// The shortage that some core saw last, as bits.
    announced: AtomicU8,
}

impl Memory {
    /// Nobody holds anything yet.
    pub(super) fn new(budget: Budget, cores: usize) -> Self {
        Self {
            budget,
            held: (0..cores).map(|_| Held::default()).collect(),
            context_bytes: AtomicU64::new(0),
            kernel_share: AtomicU64::new(0),
            kernel_look_at_ms: AtomicU64::new(0),
            announced: AtomicU8::new(0),
        }
    }

    /// Notes what a core holds. Returns how short memory is, where that was `before` the last time.
    pub(crate) fn report(&self, core: usize, holdings: Holdings, before: Shortage, now_ms: u64) -> Shortage {
        let own = &self.held[core];
        own.all.store(holdings.total_bytes(), Ordering::Relaxed);
        own.histories.store(holdings.history_bytes, Ordering::Relaxed);
        own.backlogs.store(holdings.backlog_bytes, Ordering::Relaxed);
        if self.is_due_to_look(now_ms) {
            self.kernel_share.store(kernel_share().unwrap_or(0), Ordering::Relaxed);
        }
        let share = |held: fn(&Held) -> &AtomicU64, budget_bytes: u64| {
            let held: u64 = self.held.iter().map(|core| held(core).load(Ordering::Relaxed)).sum();
            held.saturating_mul(1_000) / budget_bytes.max(1)
        };
        Shortage {
            own: level(share(|held| &held.all, self.budget.memory), before.own),
            kernel: level(self.kernel_share.load(Ordering::Relaxed), before.kernel),
            histories: level(share(|held| &held.histories, self.budget.history_memory), before.histories),
            backlogs: level(share(|held| &held.backlogs, self.budget.backlog_memory), before.backlogs),
        }
    }

    /// Promises so many bytes to the contexts of a connection, until they are [released](Self::release_contexts). `false` if
    /// there is no room.
    pub(crate) fn admit_contexts(&self, bytes: u64) -> bool {
        // Cores may be here at once: each counts first, and looks whether that was too much.
        let fits =
            self.context_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= self.budget.context_memory;
        if !fits {
            self.release_contexts(bytes);
        }
        fits
    }

    /// The contexts of a connection have gone.
    pub(crate) fn release_contexts(&self, bytes: u64) {
        if bytes > 0 {
            self.context_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Says to all how short memory is. Returns whether that is news.
    pub(crate) fn announce(&self, shortage: Shortage) -> bool {
        let bits = shortage.to_bits();
        self.announced.swap(bits, Ordering::Relaxed) != bits
    }

    /// Whether somebody saw that it is short for everybody.
    pub(super) fn is_short(&self) -> bool {
        self.announced.load(Ordering::Relaxed) & GENERAL_BITS != 0
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn memory_with(limits: &Limits, cores: usize) -> Memory {
        Memory::new(Budget::new(limits, 1), cores)
    }

    fn limits(memory: u64) -> Limits {
        Limits { memory: Some(memory), ..Limits::default() }
    }

    fn memory(budget_bytes: u64, cores: usize) -> Memory {
        memory_with(&limits(budget_bytes), cores)
    }

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
        let memory = memory(1_000_000, 2);
        let of = |incoming_bytes| Holdings { incoming_bytes, ..Holdings::default() };
        let report = |core, bytes| memory.report(core, of(bytes), Shortage::default(), 0).own;
        assert_eq!(report(0, 500_000), Pressure::None);
        assert_eq!(report(1, 400_000), Pressure::Scarce);
        assert_eq!(report(0, 0), Pressure::None);
        let many = Holdings { connections: 200, topics: 400, subscriptions: 800, ..Holdings::default() };
        assert_eq!(memory.report(0, many, Shortage::default(), 0).own, Pressure::Exhausted);
    }

    #[test]
    fn histories_and_backlogs_have_budgets_of_their_own_which_leave_everybody_else_alone() {
        let memory = memory(1_000_000, 2);
        let histories = |history_bytes| Holdings { history_bytes, ..Holdings::default() };
        let backlogs = |backlog_bytes| Holdings { backlog_bytes, ..Holdings::default() };
        memory.report(0, histories(200_000), Shortage::default(), 0);
        let shortage = memory.report(1, histories(200_000), Shortage::default(), 0);
        assert_eq!((shortage.histories, shortage.backlogs), (Pressure::Tight, Pressure::None), "half of all");
        let shortage = memory.report(0, backlogs(250_000), shortage, 0);
        assert_eq!(
            (shortage.histories, shortage.backlogs),
            (Pressure::None, Pressure::Exhausted),
            "a quarter"
        );
        assert_eq!((shortage.general(), shortage.of_slow_readers()), (Pressure::None, Pressure::Exhausted));
        let of_shard = Pressures { histories: Pressure::None, backlogs: Pressure::Exhausted };
        assert_eq!(shortage.of_shard(), of_shard);

        let limits = Limits { history_memory: Some(500), backlog_memory: Some(400), ..limits(1_000_000) };
        let memory = memory_with(&limits, 1);
        let holdings = Holdings { history_bytes: 450, backlog_bytes: 320, ..Holdings::default() };
        let shortage = memory.report(0, holdings, Shortage::default(), 0);
        assert_eq!((shortage.histories, shortage.backlogs), (Pressure::Scarce, Pressure::Tight));
    }

    #[test]
    fn contexts_are_promised_what_there_is_room_for() {
        let memory = memory_with(&Limits { context_memory: Some(100), ..Limits::default() }, 1);
        assert!(memory.admit_contexts(60) && !memory.admit_contexts(41) && memory.admit_contexts(40));
        assert!(!memory.admit_contexts(1));
        memory.release_contexts(60);
        assert!(memory.admit_contexts(60) && !memory.admit_contexts(1));
    }

    #[test]
    fn what_changes_is_announced_once_and_who_connects_pays_for_what_is_everybody_s() {
        let memory = memory(1, 1);
        assert!(!memory.announce(Shortage::default()) && !memory.is_short());
        let exhausted = Pressure::Exhausted;
        let of_some = Shortage { histories: exhausted, backlogs: exhausted, ..Shortage::default() };
        assert!(memory.announce(of_some) && !memory.announce(of_some) && !memory.is_short());
        for of_all in
            [Shortage { own: Pressure::Tight, ..of_some }, Shortage { kernel: Pressure::Tight, ..of_some }]
        {
            assert!(memory.announce(of_all) && !memory.announce(of_all) && memory.is_short());
        }
    }

    #[test]
    fn the_kernels_figures_are_understood() {
        let sockstat =
            "sockets: used 64\nTCP: inuse 35 orphan 2 tw 4 alloc 35 mem 1148\nUDP: inuse 0 mem 7\n";
        assert_eq!(share_of(sockstat, "287901\t383868\t2296\n"), Some(500));
        assert_eq!(share_of("", "1 2 3"), None);
        assert!(kernel_share().is_some(), "this machine's are");
    }
}
