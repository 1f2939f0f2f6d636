//! `sweep`: one rate after the other, up to the one at which latency climbs.

use fanwire::listener::raise_file_limit;

use super::CommandError;
use super::measure::asked;
use crate::campaign::{Campaign, Entry, Results};
use crate::cli::{Exit, Sweep};
use crate::percentile::{Distribution, Percentile};
use crate::presenting::{prepare, present};
use crate::progress::Progress;
use crate::record::{Knee, Reason, ReasonKind, Series};
use crate::report::figures;
use crate::session::Session;
use crate::transport::Transport;
use crate::units::Rate;
use crate::workload::Workload;

/// A p99 of so many times that at the lowest rate is a climb: less may be the noise of any machine.
const CLIMB: f64 = 3.0;

/// Measures each transport at each rate, until a rate is not carried well.
pub(super) fn sweep(request: &Sweep) -> Result<Exit, CommandError> {
    let Sweep { workload, rates, transports, server, measuring, output } = request;
    prepare(output)?;
    raise_file_limit()?;
    let asked = asked(request.arguments(), server, workload, *measuring);
    let session = Session::new(server, transports)?;
    let progress = Progress::new(transports.len() * rates.len() * measuring.repeats, output.quiet);
    let (mut all, mut knees) = (Results::default(), Vec::new());
    for &transport in transports {
        let (results, knee) = climb(request, transport, &session, &progress)?;
        all.series.extend(results.series);
        all.reasons.extend(results.reasons);
        knees.push(knee);
    }
    progress.clear();
    let mut record = asked.record(&session, all);
    record.knees = knees;
    Ok(present(&record, output)?)
}

/// The rates of one transport, the lowest first. What a rate that is too high does to a run is the knee, and no reason against
/// the record.
fn climb(
    request: &Sweep,
    transport: Transport,
    session: &Session<'_>,
    progress: &Progress,
) -> Result<(Results, Knee), CommandError> {
    let mut all = Results::default();
    let mut carried = None;
    for &rate in &request.rates {
        let entries = vec![step(&request.workload, transport, rate)];
        let campaign = Campaign { entries, repeats: request.measuring.repeats, seed: request.measuring.seed };
        let mut results = campaign.run(session, progress)?;
        if is_accident(&results.reasons) {
            progress.extend(campaign.repeats);
            results = campaign.run(session, progress)?;
        }
        all.series.extend(results.series);
        let slows_down = all
            .series
            .last()
            .is_some_and(|series| series.merged.first_third_p50_ns < series.merged.last_third_p50_ns);
        let is_overload = |reason: &Reason| match reason.kind {
            ReasonKind::RateMissed => true,
            ReasonKind::Unsteady => slows_down,
            _ => false,
        };
        let (overload, others): (Vec<_>, Vec<_>) = results.reasons.into_iter().partition(is_overload);
        if let Some(explanation) = not_carried(&all.series, &overload) {
            let (rate, transport) = (Some(rate.per_second()), transport.to_string());
            all.reasons.extend(others);
            return Ok((all, Knee { transport, carried, not_carried: rate, explanation }));
        }
        if !others.is_empty() {
            all.reasons.extend(others);
            let explanation =
                format!("at {rate}/s the run itself was not valid, and no higher rate was tried");
            return Ok((
                all,
                Knee { transport: transport.to_string(), carried, not_carried: None, explanation },
            ));
        }
        carried = Some(rate.per_second());
    }
    let explanation = "no rate was too high for the server".to_owned();
    Ok((all, Knee { transport: transport.to_string(), carried, not_carried: None, explanation }))
}

/// Whether the generator was late, and nothing else is wrong: something else may have had its core, and will not again.
fn is_accident(reasons: &[Reason]) -> bool {
    !reasons.is_empty() && reasons.iter().all(|reason| reason.kind == ReasonKind::ScheduleLag)
}

fn step(workload: &Workload, transport: Transport, rate: Rate) -> Entry {
    let workload = Workload { rate: rate.per_second(), ..workload.clone() };
    Entry { name: Sweep::step(transport, rate), transport, workload }
}

/// How it shows that the last of the series was not carried well, if it was not.
fn not_carried(series: &[Series], overload: &[Reason]) -> Option<String> {
    if let Some(reason) = overload.first() {
        return Some(reason.explanation.clone());
    }
    let (lowest, latest) = (&series.first()?.merged, &series.last()?.merged);
    if latest.counts.lost > 0 {
        return Some(format!("{} deliveries are lost", latest.counts.lost));
    }
    let [low_ns, high_ns] =
        [lowest, latest].map(|measured| Distribution::of(measured).percentile(Percentile::P99));
    let (low_ns, high_ns) = (low_ns?.nanoseconds(), high_ns?.nanoseconds());
    let climb =
        || format!("the p99 climbs from {} to {}", figures::duration(low_ns), figures::duration(high_ns));
    (high_ns > CLIMB * low_ns).then(climb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_late_generator_has_another_try() {
        let reasons = |kinds: &[ReasonKind]| -> Vec<Reason> {
            let reason = |&kind: &ReasonKind| Reason { kind, series: None, explanation: String::new() };
            kinds.iter().map(reason).collect()
        };
        assert!(is_accident(&reasons(&[ReasonKind::ScheduleLag])));
        assert!(!is_accident(&reasons(&[])));
        assert!(!is_accident(&reasons(&[ReasonKind::ScheduleLag, ReasonKind::RateMissed])));
    }
}
