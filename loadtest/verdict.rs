//! Whether a measurement can be trusted: it has to show that it measured the server, and not itself or an accident.

use hdrhistogram::Histogram;

use crate::latencies::histogram;
use crate::percentile::Latency;
use crate::record::{Measured, Reason, ReasonKind, Series};
use crate::report::figures;

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

/// What is known of the repeats of a series beside what they have measured together: a bad one must not hide behind good
/// ones.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The most that the generator used in a repeat, in cores.
    pub busy: f64,
    /// The smallest part of the messages due that was sent in a repeat.
    pub sent: f64,
    /// How late the publishers were, in all repeats.
    pub publish_lag: Histogram<u64>,
    /// Why the first of the connections that broke did so.
    pub first_broken: Option<String>,
}

impl Default for Evidence {
    fn default() -> Self {
        Self { busy: 0.0, sent: 1.0, publish_lag: histogram(), first_broken: None }
    }
}

/// Why a series cannot be trusted.
///
/// What a repeat did to itself counts repeat by repeat; lateness and steadiness are of all repeats together, since a single
/// one is too short to tell a trend from the noise of a machine.
pub fn judge(series: &Series, evidence: &Evidence) -> Vec<Reason> {
    let measured = &series.merged;
    let findings = [
        nothing_delivered(measured),
        connections_lost(measured, evidence),
        generator_busy(measured, evidence),
        rate_missed(evidence),
        schedule_lag(measured, evidence),
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

fn connections_lost(measured: &Measured, evidence: &Evidence) -> Finding {
    let broken = measured.counts.broken;
    let first = evidence.first_broken.as_deref().unwrap_or("nobody said why");
    let explanation = format!("{broken} connections broke during the run; the first: {first}");
    (broken > 0).then_some((ReasonKind::ConnectionsLost, explanation))
}

fn generator_busy(measured: &Measured, evidence: &Evidence) -> Finding {
    let cores = measured.generator_cores;
    let busy = evidence.busy / cores as f64;
    let explanation = format!(
        "the generator used {:.0} % of its {cores} core{} in a repeat, and may have measured itself (at most {:.0} %): \
         lower --rate or --connections, or give it more cores",
        busy * 100.0,
        if cores == 1 { "" } else { "s" },
        MAX_BUSY * 100.0
    );
    (busy > MAX_BUSY).then_some((ReasonKind::GeneratorBusy, explanation))
}

fn rate_missed(evidence: &Evidence) -> Finding {
    let explanation = format!(
        "only {:.1} % of the messages that were due in a repeat were sent (at least {:.0} %): the server takes no more, \
         or the generator gives no more; lower --rate",
        evidence.sent * 100.0,
        MIN_SENT * 100.0
    );
    (evidence.sent < MIN_SENT).then_some((ReasonKind::RateMissed, explanation))
}

fn schedule_lag(measured: &Measured, evidence: &Evidence) -> Finding {
    let lags = [&measured.latencies.schedule_lag, &evidence.publish_lag];
    let [all_ns, publish_ns] = lags.map(|lag| lag.value_at_quantile(0.99));
    let lag_ns = all_ns.max(publish_ns);
    let latency_ns = measured.latencies.end_to_end.value_at_quantile(0.99);
    let allowed_ns = allowed_lag_ns(latency_ns);
    let explanation = format!(
        "the generator itself was {} late at the p99 (at most {} here): another program uses its cores, or it does too much",
        figures::duration(lag_ns as f64),
        figures::duration(allowed_ns as f64)
    );
    (lag_ns > allowed_ns).then_some((ReasonKind::ScheduleLag, explanation))
}

fn unsteady(measured: &Measured) -> Finding {
    let (first, last) = (measured.first_third_p50_ns, measured.last_third_p50_ns);
    let text = |median: Option<Latency>| match median {
        Some(Latency::Finite(ns)) => figures::duration(ns as f64),
        Some(Latency::Infinite) => "infinite, as most was lost,".to_owned(),
        None => "of nothing, as nothing was due,".to_owned(),
    };
    let explanation = format!(
        "the median was {} in the first third of the window and {} in the last (at most {:.0} % apart): \
         the server does not keep up with this rate, or the machine is not quiet; lower --rate, or prolong --warmup and \
         --duration",
        text(first),
        text(last),
        MAX_DRIFT * 100.0
    );
    (!is_steady(first, last)).then_some((ReasonKind::Unsteady, explanation))
}

/// Whether two medians differ by no more than they may. Where nothing was due in one third, nothing shows that they do not; where
/// there is none of either, a third is too short to have one.
fn is_steady(first: Option<Latency>, last: Option<Latency>) -> bool {
    match (first, last) {
        (Some(Latency::Finite(first)), Some(Latency::Finite(last))) => {
            first.abs_diff(last) as f64 <= MAX_DRIFT * first.min(last).max(1) as f64
        }
        (Some(Latency::Infinite), Some(Latency::Infinite)) | (None, None) => true,
        _ => false,
    }
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
            tally.expect_over_time(due_ns, 1);
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

    fn kinds(series: &Series, evidence: &Evidence) -> Vec<ReasonKind> {
        judge(series, evidence).into_iter().map(|reason| reason.kind).collect()
    }

    #[test]
    fn a_good_run_is_trusted() {
        assert_eq!(judge(&good(), &Evidence::default()), []);
    }

    #[test]
    fn each_fault_is_found_and_no_other() {
        let check = |spoil: fn(&mut Measured, &mut Evidence), expected: ReasonKind| {
            let (mut series, mut evidence) = (good(), Evidence::default());
            spoil(&mut series.merged, &mut evidence);
            assert_eq!(kinds(&series, &evidence), [expected]);
        };
        check(|measured, _| measured.counts.delivered = 0, ReasonKind::NothingDelivered);
        check(|measured, _| measured.counts.broken = 1, ReasonKind::ConnectionsLost);
        check(|_, evidence| evidence.busy = 0.81, ReasonKind::GeneratorBusy);
        check(|_, evidence| evidence.sent = 0.989, ReasonKind::RateMissed);
        let late = |measured: &mut Measured, _: &mut Evidence| {
            measured.latencies.schedule_lag.record_n(300_000, 20).unwrap();
        };
        check(late, ReasonKind::ScheduleLag);
        check(|_, evidence| evidence.publish_lag.record(300_000).unwrap(), ReasonKind::ScheduleLag);
        let late = Some(Latency::Finite(1_110_000));
        let check_thirds = |first: Option<Latency>, last: Option<Latency>| {
            let mut series = good();
            (series.merged.first_third_p50_ns, series.merged.last_third_p50_ns) = (first, last);
            assert_eq!(kinds(&series, &Evidence::default()), [ReasonKind::Unsteady]);
        };
        let usual = good().merged.first_third_p50_ns;
        for (first, last) in [(late, usual), (usual, late), (Some(Latency::Infinite), usual), (None, usual)] {
            check_thirds(first, last);
            check_thirds(last, first);
        }
    }

    #[test]
    fn what_is_just_allowed_is_allowed() {
        let mut series = good();
        series.merged.last_third_p50_ns = Some(Latency::Finite(1_090_000));
        assert_eq!(judge(&series, &Evidence::default()), []);
        // Thirds without a whole period of polls.
        (series.merged.first_third_p50_ns, series.merged.last_third_p50_ns) = (None, None);
        let evidence = Evidence { busy: 0.79, sent: 0.99, ..Evidence::default() };
        assert_eq!(judge(&series, &evidence), []);
    }

    #[test]
    fn a_late_generator_is_forgiven_where_latencies_are_ten_times_as_long() {
        let mut series = good();
        series.merged.latencies.schedule_lag.record_n(5_000_000, 20).unwrap();
        assert_eq!(kinds(&series, &Evidence::default()), [ReasonKind::ScheduleLag]);
        series.merged.latencies.end_to_end.record_n(60_000_000, 20).unwrap();
        assert_eq!(kinds(&series, &Evidence::default()), []);
    }
}
