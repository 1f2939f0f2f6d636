//! `conn`: what connecting takes, what a connection costs that is there, and what happens when all come back at once.

use std::time::SystemTime;

use fanwire::listener::raise_file_limit;

use super::CommandError;
use crate::campaign::Results;
use crate::cli::{self, Conn, Exit};
use crate::clock::now_ns;
use crate::opening::{self, Opened, Opening, RunError};
use crate::plan::Plan;
use crate::presenting::present;
use crate::receiver::Receiver;
use crate::record::{Connecting, Reason, ReasonKind};
use crate::recording::Asked;
use crate::report::figures;
use crate::session::{Running, Session};
use crate::usage::{Family, Used};
use crate::verdict::allowed_lag_ns;
use crate::workload::{Arrival, Shape, Workload};

/// What a server may still do for connections that stand: what was only needed to open them is given back.
const SETTLING_NS: u64 = 500_000_000;

/// Opens connections at a rate, keeps them, and if that is wanted cuts all of them and opens them again.
pub(super) fn conn(request: &Conn) -> Result<Exit, CommandError> {
    raise_file_limit()?;
    let started = SystemTime::now();
    let workload = idle(request);
    let session = Session::new(&request.server, &[request.transport])?;
    let mut running = session.start(&workload, request.transport)?;
    let plan = Plan::new(workload.clone(), running.server.clone(), 0, 0);
    let (connecting, results) = match connect(request, &plan, &mut running) {
        Ok((connecting, reasons)) => (Some(connecting), Results { reasons, ..Results::default() }),
        Err(error) => (None, Results { reasons: vec![error.into_reason(None)?], ..Results::default() }),
    };
    let measuring = cli::Measuring { repeats: 1, seed: 0 };
    let asked = Asked {
        arguments: request.arguments(),
        server: &request.server,
        // What is kept of it is how long the connections were there.
        workload: &Workload { duration_ns: request.idle.ns(), ..workload },
        measuring,
        started,
    };
    let mut record = asked.record(&session, results);
    record.connecting = connecting;
    Ok(present(&record, &request.output)?)
}

/// Subscribers, and nothing that is published.
fn idle(request: &Conn) -> Workload {
    Workload {
        subscribers: request.connections,
        shape: Shape::Feeds { topics: 1, publishers: 1 },
        rate: request.rate.per_second(),
        duration_ns: 1,
        warmup_ns: 0,
        size: crate::payload::STAMP_LEN,
        arrival: Arrival::Constant,
        burst: 1,
        slow: None,
    }
}

fn connect(
    request: &Conn,
    plan: &Plan,
    running: &mut Running,
) -> Result<(Connecting, Vec<Reason>), RunError> {
    opening::has_files_for(request.connections)?;
    let before = look(running)?;
    let mut receiver = Receiver::new(plan, 0)?;
    // As many at once as the rate makes it, and all in a storm.
    let storm = Opening { at_once: usize::MAX, ..Opening::default() };
    let paced = Opening { per_second: Some(request.rate.per_second()), ..storm };
    let opened = receiver.connect(request.connections, paced)?;
    if opened.failed == request.connections as u64 {
        // Not one: there is no such server, and nothing that was measured of it.
        return Err(opening::none_stands(&mut receiver, request.connections));
    }
    let connected = look(running)?;
    receiver.idle_until(now_ns() + SETTLING_NS.max(request.idle.ns()))?;
    let idle = look(running)?;
    let mut connecting = figures(request.connections, &opened, receiver.lost());
    let each = |amount: u64| amount as f64 / connecting.opened.max(1) as f64;
    let cpu = before.zip(connected).map(|(before, after)| each(after.cpu_ns - before.cpu_ns));
    let memory = before
        .zip(idle)
        .map(|(before, after)| each(after.resident_bytes.saturating_sub(before.resident_bytes)));
    (connecting.cpu_ns_each, connecting.idle_bytes_each) = (cpu, memory);
    let mut reasons = missing(opened.failed, &receiver);
    reasons.extend(late(&connecting));
    if request.storm {
        drop(receiver);
        let mut receiver = Receiver::new(plan, 0)?;
        let opened = receiver.connect(request.connections, storm)?;
        connecting.storm_ns = Some(opened.took_ns);
        reasons.extend(missing(opened.failed, &receiver));
    }
    Ok((connecting, reasons))
}

fn look(running: &mut Running) -> Result<Option<Used>, RunError> {
    Ok(running.family.as_mut().map(Family::look).transpose()?)
}

fn figures(wanted: usize, opened: &Opened, lost: u64) -> Connecting {
    let Opened { latencies, lags, failed, took_ns } = opened;
    let stand = wanted as u64 - failed;
    Connecting {
        wanted: wanted as u64,
        opened: stand,
        failed: *failed,
        lost,
        per_second: stand as f64 * 1e9 / (*took_ns).max(1) as f64,
        p50_ns: latencies.value_at_quantile(0.5),
        p99_ns: latencies.value_at_quantile(0.99),
        max_ns: latencies.max(),
        lag_p99_ns: lags.value_at_quantile(0.99),
        ..Connecting::default()
    }
}

/// Connections that are not there: those that did not come about, and those that broke.
fn missing(failed: u64, receiver: &Receiver<'_>) -> Vec<Reason> {
    let first = receiver.first_broken().map(|broken| format!("; the first: {broken}")).unwrap_or_default();
    let reason = |(connections, fate): (u64, &str)| Reason {
        kind: ReasonKind::ConnectionsLost,
        series: None,
        explanation: format!("{connections} connections {fate}{first}"),
    };
    let missing =
        [(failed, "did not come about"), (receiver.lost(), "broke while nothing was asked of them")];
    missing.into_iter().filter(|(connections, _)| *connections > 0).map(reason).collect()
}

/// Whether the generator itself has begun connections too late to say anything about the server.
fn late(connecting: &Connecting) -> Option<Reason> {
    let allowed_ns = allowed_lag_ns(connecting.p99_ns);
    let explanation = format!(
        "the generator began connections {} late at the p99 (at most {} here): another program uses its cores, or it has too \
         much to do; lower --rate",
        figures::duration(connecting.lag_p99_ns as f64),
        figures::duration(allowed_ns as f64)
    );
    let reason = Reason { kind: ReasonKind::ScheduleLag, series: None, explanation };
    (connecting.lag_p99_ns > allowed_ns).then_some(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_begins_connections_late_says_so() {
        let connecting = |lag_p99_ns, p99_ns| Connecting { p99_ns, lag_p99_ns, ..Connecting::default() };
        assert_eq!(late(&connecting(200_000, 1_000_000)), None);
        assert_eq!(late(&connecting(300_000, 3_000_000)), None);
        let reason = late(&connecting(300_001, 3_000_000)).expect("it is late");
        assert_eq!(reason.kind, ReasonKind::ScheduleLag);
    }
}
