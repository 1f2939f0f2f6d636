//! Whether a measurement can be trusted: it has to show that it measured the server, and not itself or an accident.

use crate::record::{Measured, Reason, ReasonKind, Series};

/// How much of its cores the generator may use. Above that, what waits for a core is the generator.
const MAX_BUSY: f64 = 0.8;

/// How much of what was due must have been sent. Less is another load than the one that was asked for.
const MIN_SENT: f64 = 0.99;

/// How much of the latency the generator's own lateness may be, at the p99.
const MAX_LAG: f64 = 0.1;

/// Lateness that is always allowed, in nanoseconds: what an operating system that is not made for it does to anybody.
const ALLOWED_LAG_NS: u64 = 200_000;

/// By how much the medians of the first and the last third of the window may differ.
const MAX_DRIFT: f64 = 0.1;

/// Why a series cannot be trusted. `first_broken` is why the first of its connections that broke did so, if any.
pub fn judge(series: &Series, first_broken: Option<&str>) -> Vec<Reason> {
    let measured = &series.merged;
    let findings = [
        nothing_delivered(measured),
        connections_lost(measured, first_broken),
        generator_busy(measured),
        rate_missed(measured),
        schedule_lag(measured),
        unsteady(measured),
    ];
    let reason = |(kind, explanation)| Reason { kind, series: Some(series.name.clone()), explanation };
    findings.into_iter().flatten().map(reason).collect()
}

/// How late the generator itself may be at the p99 where this is the p99 of what it measures, both in nanoseconds.
pub fn allowed_lag_ns(latency_ns: u64) -> u64 {
    ALLOWED_LAG_NS.max((latency_ns as f64 * MAX_LAG) as u64)
}

type Finding = Option<(ReasonKind, String)>;

fn nothing_delivered(measured: &Measured) -> Finding {
    let counts = measured.counts;
    let explanation = format!(
        "none of {} expected deliveries came: do the publishers and the subscribers use the same topics?",
        counts.expected
    );
    (counts.delivered == 0).then_some((ReasonKind::NothingDelivered, explanation))
}

fn connections_lost(measured: &Measured, first: Option<&str>) -> Finding {
    let broken = measured.counts.broken;
    let first = first.unwrap_or("nobody said why");
    let explanation = format!("{broken} connections broke during the run; the first: {first}");
    (broken > 0).then_some((ReasonKind::ConnectionsLost, explanation))
}

fn generator_busy(measured: &Measured) -> Finding {
    let cores = measured.generator_cores;
    let busy = measured.generator.cpu_ns as f64 / (measured.generator.wall_ns as f64 * cores as f64);
    let explanation = format!(
        "the generator used {:.0} % of its {cores} core{}, and may have measured itself (at most {:.0} %): lower --rate \
         or --connections, or give it more cores",
        busy * 100.0,
        if cores == 1 { "" } else { "s" },
        MAX_BUSY * 100.0
    );
    (busy > MAX_BUSY).then_some((ReasonKind::GeneratorBusy, explanation))
}

fn rate_missed(measured: &Measured) -> Finding {
    let (due, sent) = (measured.counts.due, measured.counts.sent);
    let explanation = format!(
        "{sent} of {due} messages that were due were sent (at least {:.0} %): the server takes no more, or the \
         generator gives no more; lower --rate",
        MIN_SENT * 100.0
    );
    ((sent as f64) < due as f64 * MIN_SENT).then_some((ReasonKind::RateMissed, explanation))
}

fn schedule_lag(measured: &Measured) -> Finding {
    let lag_ns = measured.latencies.schedule_lag.value_at_quantile(0.99);
    let latency_ns = measured.latencies.end_to_end.value_at_quantile(0.99);
    let allowed_ns = allowed_lag_ns(latency_ns);
    let explanation = format!(
        "the generator itself was {} µs late at the p99 (at most {} µs here): another program uses its cores, or it \
         does too much",
        lag_ns / 1_000,
        allowed_ns / 1_000
    );
    (lag_ns > allowed_ns).then_some((ReasonKind::ScheduleLag, explanation))
}

fn unsteady(measured: &Measured) -> Finding {
    let (first, last) = (measured.first_third_p50_ns, measured.last_third_p50_ns);
    let drift = first.abs_diff(last) as f64 / first.min(last).max(1) as f64;
    let explanation = format!(
        "the median was {} µs in the first third of the window and {} µs in the last (at most {:.0} % apart): \
         the server does not keep up with this rate, or the machine is not quiet; lower --rate, or prolong --warmup and \
         --duration",
        first / 1_000,
        last / 1_000,
        MAX_DRIFT * 100.0
    );
    (drift > MAX_DRIFT).then_some((ReasonKind::Unsteady, explanation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Usage;
    use crate::tally::Tally;

    const SECOND_NS: u64 = 1_000_000_000;

    /// A run in which everything is as it should be: 1,000 messages at 1 ms, the generator idle half of the time.
    fn good() -> Series {
        let mut tally = Tally::new(SECOND_NS);
        for due_ns in (0..SECOND_NS).step_by(1_000_000) {
            tally.latencies.end_to_end.record(1_000_000).unwrap();
            tally.latencies.schedule_lag.record(50_000).unwrap();
            tally.record_over_time(due_ns, 1_000_000);
        }
        tally.counts.due = 1_000;
        tally.counts.sent = 1_000;
        tally.counts.expected = 1_000;
        tally.counts.delivered = 1_000;
        let generator = Usage { cpu_ns: SECOND_NS / 2, wall_ns: SECOND_NS, resident: 0 };
        Series {
            name: "ws".to_owned(),
            transport: "ws".to_owned(),
            rate: 1_000.0,
            connections: 1,
            size: 20,
            merged: tally.measured(None, generator, 1),
            repeats: Vec::new(),
        }
    }

    fn kinds(series: &Series) -> Vec<ReasonKind> {
        judge(series, None).into_iter().map(|reason| reason.kind).collect()
    }

    #[test]
    fn a_good_run_is_trusted() {
        assert_eq!(judge(&good(), None), []);
    }

    #[test]
    fn each_fault_is_found_and_no_other() {
        let check = |spoil: fn(&mut Measured), expected: ReasonKind| {
            let mut series = good();
            spoil(&mut series.merged);
            assert_eq!(kinds(&series), [expected]);
        };
        check(|measured| measured.counts.delivered = 0, ReasonKind::NothingDelivered);
        check(|measured| measured.counts.broken = 1, ReasonKind::ConnectionsLost);
        check(|measured| measured.generator.cpu_ns = SECOND_NS / 100 * 81, ReasonKind::GeneratorBusy);
        check(|measured| measured.counts.sent = 989, ReasonKind::RateMissed);
        check(
            |measured| measured.latencies.schedule_lag.record_n(300_000, 20).unwrap(),
            ReasonKind::ScheduleLag,
        );
        check(|measured| measured.last_third_p50_ns = 1_110_000, ReasonKind::Unsteady);
        check(|measured| measured.first_third_p50_ns = 1_110_000, ReasonKind::Unsteady);
    }

    #[test]
    fn what_is_just_allowed_is_allowed() {
        let mut series = good();
        series.merged.generator.cpu_ns = SECOND_NS / 100 * 79;
        series.merged.counts.sent = 990;
        series.merged.last_third_p50_ns = 1_090_000;
        assert_eq!(judge(&series, None), []);
    }

    #[test]
    fn a_late_generator_is_forgiven_where_latencies_are_ten_times_as_long() {
        let mut series = good();
        series.merged.latencies.schedule_lag.record_n(5_000_000, 20).unwrap();
        assert_eq!(kinds(&series), [ReasonKind::ScheduleLag]);
        series.merged.latencies.end_to_end.record_n(60_000_000, 20).unwrap();
        assert_eq!(kinds(&series), []);
    }
}
