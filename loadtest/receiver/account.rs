//! What one subscriber has got.

use hdrhistogram::Histogram;

use crate::conversation::Heard;
use crate::latencies::{Moments, tiny_histogram};
use crate::ledger::{Entry, Ledger};
use crate::payload::Stamp;
use crate::plan::Plan;
use crate::schedule::Window;
use crate::tally::Tally;

/// The account of one subscriber.
pub(super) struct Account {
    /// One for each stream that it hears, in order of their numbers.
    ledgers: Vec<(u32, Ledger)>,
    /// End to end.
    latencies: Histogram<u32>,
    /// Whether it is to read slowly: what it gets is counted apart then, and is in no latency.
    pub(super) is_slow: bool,
    /// Messages that the broker has said it left out.
    told: u64,
    /// Messages that nobody in this run has sent.
    foreign: u64,
    /// Deliveries, doubled ones too.
    pub(super) deliveries: u64,
    /// Payload octets of them.
    pub(super) payload_octets: u64,
}

/// When a read was, and what it is seen against.
#[derive(Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "it is the unit")]
pub(super) struct ReadAt {
    /// The start of the run, in nanoseconds of the clock.
    pub(super) origin_ns: u64,
    /// When the kernel had it.
    pub(super) arrived_ns: Option<u64>,
    /// When it was read.
    pub(super) read_ns: u64,
}

impl Account {
    pub(super) fn new(plan: &Plan, subscriber: usize) -> Self {
        let ledgers = plan.streams_of(subscriber).into_iter().map(|stream| (stream, Ledger::default()));
        Self {
            ledgers: ledgers.collect(),
            latencies: tiny_histogram(),
            is_slow: plan.workload.is_slow(subscriber),
            told: 0,
            foreign: 0,
            deliveries: 0,
            payload_octets: 0,
        }
    }

    /// Messages that it is to get, from the first one on; none is waited for if it is slow.
    pub(super) fn awaited(&self, plan: &Plan) -> u64 {
        if self.is_slow { 0 } else { self.windows(plan).map(|(_, window)| u64::from(window.end)).sum() }
    }

    fn windows<'a>(&'a self, plan: &'a Plan) -> impl Iterator<Item = (&'a Ledger, Window)> {
        self.ledgers.iter().map(|(stream, ledger)| (ledger, plan.windows[*stream as usize]))
    }

    /// Enters what was heard. Returns how many awaited messages that was: one or none.
    pub(super) fn hear(&mut self, heard: Heard<'_>, at: ReadAt, plan: &Plan, tally: &mut Tally) -> u64 {
        let payload = match heard {
            Heard::Payload(payload) => payload,
            Heard::Gap { count } => {
                // The server's number, which may be any.
                self.told = self.told.saturating_add(count);
                return 0;
            }
        };
        self.deliveries += 1;
        self.payload_octets += payload.len() as u64;
        let Some((stamp, ledger)) = self.ledger_of(payload, plan) else {
            self.foreign += 1;
            return 0;
        };
        if ledger.enter(stamp.sequence) == Entry::Doubled {
            return 0;
        }
        if self.is_slow {
            let age_ns = at.read_ns.saturating_sub(at.origin_ns + stamp.due_ns);
            let is_in_range = tally.slow.get_or_insert_default().ages.record(age_ns).is_ok();
            tally.latencies.overflowed += u64::from(!is_in_range);
            return 0;
        }
        if stamp.sequence >= plan.windows[stamp.stream as usize].begin {
            self.record(&stamp, at, plan, tally);
        }
        1
    }

    /// The stamp of a message that was due in this run, and the ledger that it belongs to.
    fn ledger_of(&mut self, payload: &[u8], plan: &Plan) -> Option<(Stamp, &mut Ledger)> {
        let stamp = Stamp::read(payload).filter(|stamp| stamp.run == plan.run)?;
        let at = match self.ledgers.as_slice() {
            [(stream, _)] if *stream == stamp.stream => 0,
            ledgers => ledgers.binary_search_by_key(&stamp.stream, |(stream, _)| *stream).ok()?,
        };
        let is_due = stamp.sequence < plan.windows[stamp.stream as usize].end;
        is_due.then_some((stamp, &mut self.ledgers[at].1))
    }

    fn record(&mut self, stamp: &Stamp, at: ReadAt, plan: &Plan, tally: &mut Tally) {
        let ReadAt { origin_ns, arrived_ns, read_ns } = at;
        let due_ns = origin_ns + stamp.due_ns;
        let latency_ns = read_ns.saturating_sub(due_ns);
        tally.latencies.record_delivery(Moments {
            due_ns,
            sent_ns: due_ns + stamp.lag_ns,
            arrived_ns,
            read_ns,
        });
        tally.record_over_time(stamp.due_ns.saturating_sub(plan.workload.warmup_ns), latency_ns);
        // What overflows is counted with the latencies of all.
        let _ = self.latencies.record(latency_ns);
    }

    /// Closes the account of a connection that has broken, or not.
    pub(super) fn settle(&self, is_broken: bool, plan: &Plan, tally: &mut Tally) {
        let mut lost = 0;
        let counts = if self.is_slow {
            let slow = tally.slow.get_or_insert_default();
            slow.subscribers += 1;
            &mut slow.counts
        } else {
            &mut tally.counts
        };
        counts.broken += u64::from(is_broken);
        for (ledger, window) in self.windows(plan) {
            // What the broker tells of may be of any time: it fits what became of all messages alone.
            let window = if self.is_slow { Window { begin: 0, ..window } } else { window };
            let lost_here = ledger.lost_of(window.begin..window.end);
            counts.expected += u64::from(window.measured());
            counts.delivered += u64::from(window.measured()) - lost_here;
            counts.doubled += ledger.doubled;
            counts.disordered += ledger.disordered;
            lost += lost_here;
        }
        counts.lost += lost;
        counts.told = counts.told.saturating_add(self.told);
        counts.foreign += self.foreign;
        if !self.is_slow {
            tally.record_subscriber(&self.latencies, lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Payloads;
    use crate::plan::tests::plan;
    use crate::workload::Slow;

    #[test]
    fn gaps_of_any_length_are_added_up() {
        let plan = plan("ws");
        let (mut account, mut tally) = (Account::new(&plan, 0), Tally::new(plan.workload.duration_ns));
        let at = ReadAt { origin_ns: 0, arrived_ns: None, read_ns: 0 };
        for count in [1, u64::MAX, u64::MAX] {
            assert_eq!(account.hear(Heard::Gap { count }, at, &plan, &mut tally), 0);
        }
        for _ in 0..2 {
            account.settle(false, &plan, &mut tally);
            assert_eq!(tally.counts.told, u64::MAX);
        }
    }

    /// The payload of a message of the plan's only stream.
    fn message(plan: &Plan, sequence: u32, due_ns: u64) -> Vec<u8> {
        let stamp = Stamp { run: plan.run, stream: 0, sequence, due_ns, lag_ns: 0 };
        let mut payload = Vec::new();
        Payloads::new(plan.workload.size, 1).write(&stamp, &mut payload);
        payload
    }

    fn slow_plan() -> Plan {
        let mut plan = plan("ws");
        plan.workload.slow = Some(Slow { subscribers: 1, octets_per_second: 1 });
        plan
    }

    #[test]
    fn what_a_slow_subscriber_reads_is_as_old_as_it_is_late_and_in_no_latency() {
        let plan = slow_plan();
        let (mut account, mut tally) = (Account::new(&plan, 0), Tally::new(plan.workload.duration_ns));
        let payload = message(&plan, plan.windows[0].begin, 5_000_000);
        let at = ReadAt { origin_ns: 1_000_000, arrived_ns: None, read_ns: 9_000_000 };
        account.hear(Heard::Payload(&payload), at, &plan, &mut tally);
        account.settle(false, &plan, &mut tally);
        let slow = tally.slow.expect("it is slow");
        assert_eq!((slow.subscribers, slow.counts.delivered, slow.ages.len()), (1, 1, 1));
        assert!(slow.ages.max().abs_diff(3_000_000) <= 30_000, "{} ns", slow.ages.max());
        assert!(tally.latencies.end_to_end.is_empty());
    }

    /// A gap may begin among the messages that warm up, and does not say so.
    #[test]
    fn what_a_slow_subscriber_gets_and_what_it_is_told_of_add_up_to_what_it_was_to_get() {
        let plan = slow_plan();
        let (mut account, mut tally) = (Account::new(&plan, 0), Tally::new(plan.workload.duration_ns));
        let at = ReadAt { origin_ns: 0, arrived_ns: None, read_ns: 1 };
        let Window { begin, end } = plan.windows[0];
        assert!(0 < begin && begin < end);
        account.hear(Heard::Payload(&message(&plan, 0, 0)), at, &plan, &mut tally);
        account.hear(Heard::Gap { count: u64::from(end) - 2 }, at, &plan, &mut tally);
        account.hear(Heard::Payload(&message(&plan, end - 1, 0)), at, &plan, &mut tally);
        account.settle(false, &plan, &mut tally);
        let counts = tally.slow.expect("it is slow").counts;
        assert_eq!((counts.expected, counts.delivered), (end.into(), 2));
        assert_eq!(counts.told, counts.lost);
    }
}
