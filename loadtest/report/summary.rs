//! The tables of a record.

use crate::percentile::{Distribution, Latency, Percentile};
use crate::ratios::METRICS;
use crate::record::{Configuration, Connecting, Knee, Measured, Ratio, Record, Series, SlowSubscribers};

use super::comparison::Pair;
use super::figures;
use super::quantities::{PerDelivery, broker_cpu, generator_load};
use super::sheet::{Cell, Group, Sheet, Tone};

/// What was asked for, in a line: `1,000 subscribers · 100/s of 128 B · …`.
pub(super) fn asked(record: &Record) -> String {
    let configuration = &record.configuration;
    if record.command == "conn" {
        let (wanted, rate) = (configuration.connections as u64, configuration.rate);
        return format!("{} connections · {} due", figures::count(wanted), figures::rate(rate));
    }
    workload(configuration, &rates(record))
}

/// Messages a second: of a sweep, from the lowest that was run to the highest.
fn rates(record: &Record) -> String {
    let mut rates: Vec<f64> = record.series.iter().map(|series| series.rate).collect();
    rates.sort_by(f64::total_cmp);
    match rates.as_slice() {
        [lowest, .., highest] if lowest < highest => {
            format!("{} to {} messages/s", figures::significant(*lowest), figures::significant(*highest))
        }
        _ => match figures::significant(record.configuration.rate).as_str() {
            "1" => "1 message/s".to_owned(),
            rate => format!("{rate} messages/s"),
        },
    }
}

fn workload(configuration: &Configuration, rates: &str) -> String {
    let plural = |count: usize, what: &str| {
        format!("{} {what}{}", figures::count(count as u64), if count == 1 { "" } else { "s" })
    };
    let slow = configuration.slow.map_or_else(String::new, |slow| {
        let (subscribers, rate) = (slow.subscribers as u64, figures::octets(slow.octets_per_second as f64));
        format!(", {} of them slow ({}/s)", figures::count(subscribers), figures::round(&rate))
    });
    let mut parts = vec![
        plural(configuration.connections, "subscriber") + &slow,
        format!("{rates} of {} B", figures::count(configuration.size as u64)),
        plural(configuration.topics, "topic"),
        format!("{} measured", figures::round(&figures::duration(configuration.duration_ns as f64))),
        plural(configuration.repeats, "repeat"),
    ];
    if configuration.burst > 1 {
        parts.push(format!("bursts of {}", configuration.burst));
    }
    parts.join(" · ")
}

/// The verdict, in a line.
pub(super) fn verdict(record: &Record) -> String {
    match record.verdict.reasons.len() {
        0 => "valid".to_owned(),
        1 => "INVALID for 1 reason".to_owned(),
        reasons => format!("INVALID for {reasons} reasons"),
    }
}

/// The figures: latency with losses as infinite, octets, what became of the messages, the broker.
pub(super) fn main(record: &Record) -> Sheet {
    let all: Vec<&Series> = record.series.iter().collect();
    let each =
        |cell: fn(&Measured) -> Option<Cell>| record.series.iter().map(move |series| cell(&series.merged));
    Sheet::new("series", names(&all))
        .with(percentiles("latency, end to end", &all, Distribution::of))
        .with(
            Group::new("bytes per delivered message")
                .with("payload", each(|measured| octets(measured, |each| each.payload)))
                .with("application", each(|measured| octets(measured, |each| each.application)))
                .with("TCP", each(|measured| octets(measured, |each| each.tcp)))
                .with("IP", each(|measured| octets(measured, |each| each.ip))),
        )
        .with(
            Group::new("deliveries")
                .with("lost", each(|measured| errors(measured, measured.counts.lost)))
                .with("told", each(told))
                .with("doubled", each(|measured| errors(measured, measured.counts.doubled)))
                .with("out of order", each(|measured| errors(measured, measured.counts.disordered))),
        )
        .with(
            Group::new("broker")
                .with(
                    "CPU each",
                    each(|measured| broker_cpu(measured).map(figures::duration).map(Cell::plain)),
                )
                .with("RSS", each(resident)),
        )
}

/// The latency of what was delivered, for the series that have lost something; empty without losses.
pub(super) fn delivered_only(record: &Record) -> Sheet {
    let lossy: Vec<&Series> = record.series.iter().filter(|series| series.merged.counts.lost > 0).collect();
    let recorded = |measured: &Measured| Distribution::recorded(&measured.latencies.end_to_end);
    Sheet::new("series", names(&lossy)).with(percentiles("latency of what was delivered", &lossy, recorded))
}

/// What must be known of the table of slow subscribers.
pub(super) const SLOW_NOTE: &str = "Subscribers that read slowly, which are in no other figure. Their messages are counted from \
    the first one on, warm-up included: delivered, or told of as left out, or neither: still on their way when the run ended, or \
    missed by one that was cut off.";

/// What became of what slow subscribers were to get; empty without any.
pub(super) fn slow(record: &Record) -> Sheet {
    let with_slow: Vec<&Series> =
        record.series.iter().filter(|series| series.merged.slow.is_some()).collect();
    let each = |figure: fn(&SlowSubscribers) -> String| {
        let figures = with_slow.iter().map(move |series| series.merged.slow.as_ref().map(figure));
        figures.map(|figure| figure.map(Cell::plain)).collect::<Vec<_>>()
    };
    let age = |percentile| {
        let of = |slow: &SlowSubscribers| Distribution::recorded(&slow.ages).percentile(percentile);
        let figures = with_slow.iter().map(|series| series.merged.slow.as_ref().and_then(of));
        figures.map(|figure| figure.map(latency)).collect::<Vec<_>>()
    };
    Sheet::new("series", names(&with_slow))
        .with(
            Group::new("slow subscribers")
                .with("all", each(|slow| figures::count(slow.subscribers)))
                .with("cut off", each(|slow| figures::count(slow.counts.broken))),
        )
        .with(
            Group::new("deliveries to them")
                .with("expected", each(|slow| figures::count(slow.counts.expected)))
                .with("delivered", each(|slow| figures::count(slow.counts.delivered)))
                .with("told", each(|slow| figures::count(slow.counts.told)))
                .with(
                    "neither",
                    each(|slow| figures::count(slow.counts.lost.saturating_sub(slow.counts.told))),
                ),
        )
        .with(
            Group::new("age when read")
                .with("p50", age(Percentile::P50))
                .with("p99", age(Percentile::P99))
                .with("max", age(Percentile::MAX)),
        )
}

/// Where latency begins to climb, a line for each transport.
pub(super) fn knees(record: &Record) -> Vec<String> {
    let line = |knee: &Knee| {
        let found = match (knee.carried.map(figures::rate), knee.not_carried.map(figures::rate)) {
            (Some(carried), Some(not)) => format!("between {carried} and {not}"),
            (Some(carried), None) => format!("above {carried}"),
            (None, Some(not)) => format!("below {not}"),
            (None, None) => "not found".to_owned(),
        };
        format!("The knee of {} is {found}: {}.", knee.transport, knee.explanation)
    };
    record.knees.iter().map(line).collect()
}

/// How far the figures can be trusted: the generator's own error, and how the subscribers fared.
pub(super) fn trust(record: &Record) -> Sheet {
    let each =
        |cell: fn(&Measured) -> Option<Cell>| record.series.iter().map(move |series| cell(&series.merged));
    let lag = |header: &str, histogram: fn(&Measured) -> Distribution| {
        let at = |percentile| {
            let series = record.series.iter();
            series.map(move |series| histogram(&series.merged).percentile(percentile).map(latency))
        };
        Group::new(header).with("p50", at(Percentile::P50)).with("p99", at(Percentile::P99))
    };
    Sheet::new("series", record.series.iter().map(|series| series.name.clone()))
        .with(lag("schedule lag", |measured| Distribution::recorded(&measured.latencies.schedule_lag)))
        .with(lag("receive lag", |measured| Distribution::recorded(&measured.latencies.receive_lag)))
        .with(
            Group::new("p99 over subscribers")
                .with("median", each(|measured| measured.subscribers.p50_of_p99_ns.map(rough_latency)))
                .with("p99", each(|measured| measured.subscribers.p99_of_p99_ns.map(rough_latency)))
                .with("worst", each(|measured| measured.subscribers.max_of_p99_ns.map(rough_latency)))
                .with("most lost", each(|measured| unless_zero(measured.subscribers.max_lost))),
        )
        .with(
            Group::new("generator")
                .with("CPU", each(|measured| generator_load(measured).map(figures::percent).map(Cell::plain)))
                .with("polls skipped", each(|measured| unless_zero(measured.counts.polls_skipped)))
                .with("over 600 s", each(|measured| unless_zero(measured.latencies.overflowed)))
                .with("foreign", each(|measured| unless_zero(measured.counts.foreign)))
                .with("broken", each(|measured| unless_zero(measured.counts.broken))),
        )
}

/// The ratios, one column for each metric.
pub(super) fn ratios(corner: &str, ratios: &[Ratio]) -> Sheet {
    let names = distinct(ratios.iter().map(|ratio| ratio.series.as_str()));
    let metrics = distinct(ratios.iter().map(|ratio| ratio.metric.as_str()));
    let cells = |metric: &str| -> Vec<Option<Cell>> {
        let of = |name: &&str| ratios.iter().find(|ratio| ratio.series == **name && ratio.metric == metric);
        names.iter().map(|name| of(name).map(ratio)).collect()
    };
    let sheet = Sheet::new(corner, names.iter().map(ToString::to_string));
    metrics.iter().fold(sheet, |sheet, metric| sheet.with(Group::new("").with(metric, cells(metric))))
}

/// What a metric is, in full.
pub(super) fn metric_title(metric: &str) -> &str {
    match metric {
        "p50" => "Median latency",
        "p99" => "99th percentile of latency",
        "bytes" => "Bytes for each delivered message, with IP headers",
        "cpu" => "Broker CPU for each delivered message",
        other => other,
    }
}

/// What the ratios are to.
pub(super) fn baseline(record: &Record) -> &str {
    record.series.first().map_or("the first", |series| &series.name)
}

/// Figures of two records, each metric's beside each other, with their ratio.
pub(super) fn pairs(figures: &[Pair], ratios: &[Ratio]) -> Sheet {
    let names = distinct(figures.iter().map(|pair| pair.series.as_str()));
    let group = |metric: &str| {
        let of = |name: &str| figures.iter().find(|pair| pair.series == name && pair.metric == metric);
        let side = |side: usize| {
            let value = move |name: &&str| of(name)?.values[side];
            names.iter().map(value).map(|value| value.map(|value| figure(metric, value))).collect::<Vec<_>>()
        };
        let quotient = |name: &&str| {
            ratios.iter().find(|ratio| ratio.series == **name && ratio.metric == metric).map(ratio)
        };
        Group::new(metric)
            .with("first", side(0))
            .with("second", side(1))
            .with("ratio", names.iter().map(quotient).collect::<Vec<_>>())
    };
    let sheet = Sheet::new("series", names.iter().map(ToString::to_string));
    METRICS.iter().fold(sheet, |sheet, (metric, _)| sheet.with(group(metric)))
}

/// A value of a metric that is compared.
fn figure(metric: &str, value: f64) -> Cell {
    let text = if metric == "bytes" { figures::octets(value) } else { figures::duration(value) };
    Cell::plain(text).toned(Tone::Bad, value.is_infinite())
}

/// A figure of connecting.
struct Fact {
    name: &'static str,
    /// None if it was not measured, or is not worth a line.
    value: Option<f64>,
    print: fn(f64) -> String,
    tone: Tone,
}

/// What was measured of connecting.
fn facts(connecting: &Connecting) -> [Fact; 12] {
    let Connecting { wanted, opened, failed, lost, per_second, .. } = *connecting;
    let fact = |name, value, print| Fact { name, value, print, tone: Tone::Plain };
    let whole: fn(f64) -> String = |value| figures::count(value as u64);
    let count = |name, count: u64| fact(name, Some(count as f64), whole);
    let bad = |is_bad| if is_bad { Tone::Bad } else { Tone::Plain };
    // Without a connection there is no time that it took.
    let time = |name, ns: u64| fact(name, (opened > 0).then_some(ns as f64), figures::duration);
    [
        count("wanted", wanted),
        Fact { tone: bad(wanted > opened), ..count("opened", opened) },
        Fact { tone: bad(failed > 0), ..count("refused", failed) },
        Fact { tone: Tone::Bad, ..fact("broke again", (lost > 0).then_some(lost as f64), whole) },
        fact("connected", Some(per_second), figures::rate),
        time("until subscribed, p50", connecting.p50_ns),
        time("until subscribed, p99", connecting.p99_ns),
        time("until subscribed, max", connecting.max_ns),
        fact("begun late, p99", Some(connecting.lag_p99_ns as f64), figures::duration),
        fact("broker memory, each idle", connecting.idle_bytes_each, figures::octets),
        fact("broker CPU, each", connecting.cpu_ns_each, figures::duration),
        fact("all again after a cut", connecting.storm_ns.map(|ns| ns as f64), figures::duration),
    ]
}

impl Fact {
    fn cell(&self) -> Option<Cell> {
        self.value.map(|value| Cell { text: (self.print)(value), tone: self.tone })
    }
}

/// What was measured of connecting.
pub(super) fn connecting(connecting: &Connecting) -> Sheet {
    let measured: Vec<Fact> = facts(connecting).into_iter().filter(|fact| fact.value.is_some()).collect();
    Sheet::new("connections", measured.iter().map(|fact| fact.name.to_owned()))
        .with(Group::new("").with("measured", measured.iter().map(Fact::cell)))
}

/// What two records have measured of connecting, and the second divided by the first.
pub(super) fn connecting_pair([first, second]: &[Connecting; 2]) -> Sheet {
    let pairs: Vec<(Fact, Fact)> = facts(first)
        .into_iter()
        .zip(facts(second))
        .filter(|(one, other)| one.value.or(other.value).is_some())
        .collect();
    let ratio = |(one, other): &(Fact, Fact)| {
        let ratio = other.value? / one.value.filter(|&value| value > 0.0)?;
        Some(Cell::plain(figures::times(ratio)).toned(Tone::Faint, true))
    };
    Sheet::new("connections", pairs.iter().map(|(one, _)| one.name.to_owned())).with(
        Group::new("")
            .with("first", pairs.iter().map(|(one, _)| one.cell()))
            .with("second", pairs.iter().map(|(_, other)| other.cell()))
            .with("ratio", pairs.iter().map(ratio)),
    )
}

/// A ratio and its interval; one that says nothing is called so, and so is one that says that there is no difference.
pub(super) fn ratio(ratio: &Ratio) -> Cell {
    /// An interval around 1 that ends this near to it leaves no room for a difference.
    const NEAR: f64 = 0.005;
    let Some((low, high)) = ratio.interval else {
        return Cell::plain(figures::times(ratio.median) + " (no interval)").toned(Tone::Faint, true);
    };
    let value = match ratio.is_inconclusive() {
        true if 1.0 - low <= NEAR && high - 1.0 <= NEAR => "the same".to_owned(),
        true => "inconclusive".to_owned(),
        false => figures::times(ratio.median),
    };
    Cell::plain(format!("{value} ({})", figures::range(low, high)))
        .toned(Tone::Faint, ratio.is_inconclusive())
}

/// The rows of these series.
fn names(series: &[&Series]) -> impl Iterator<Item = String> {
    series.iter().map(|series| series.name.clone())
}

/// The five percentiles.
fn percentiles(title: &str, series: &[&Series], of: impl Fn(&Measured) -> Distribution) -> Group {
    let all: Vec<Distribution> = series.iter().map(|series| of(&series.merged)).collect();
    Percentile::NAMED.into_iter().fold(Group::new(title), |group, (name, percentile)| {
        group.with(name, all.iter().map(|distribution| distribution.percentile(percentile).map(latency)))
    })
}

/// A latency, bad when it is infinite.
fn latency(latency: Latency) -> Cell {
    Cell::plain(figures::duration(latency.nanoseconds())).toned(Tone::Bad, latency == Latency::Infinite)
}

/// One of a subscriber, whose histogram is small.
fn rough_latency(latency: Latency) -> Cell {
    Cell { text: figures::rough_duration(latency.nanoseconds()), ..self::latency(latency) }
}

/// Octets for each delivery.
fn octets(measured: &Measured, layer: fn(&PerDelivery) -> f64) -> Option<Cell> {
    PerDelivery::of(&measured.bytes).map(|each| Cell::plain(figures::octets(layer(&each))))
}

/// Of what was lost, what the broker has told its subscriber of.
fn told(measured: &Measured) -> Option<Cell> {
    let told = measured.counts.told;
    (told > 0).then(|| Cell::plain(figures::count(told)))
}

/// What should be none.
fn errors(measured: &Measured, errors: u64) -> Option<Cell> {
    (measured.counts.expected > 0).then(|| Cell::plain(figures::count(errors)).toned(Tone::Bad, errors > 0))
}

/// What is only worth a cell when there is any.
fn unless_zero(count: u64) -> Option<Cell> {
    (count > 0).then(|| Cell::plain(figures::count(count)).toned(Tone::Bad, true))
}

/// The broker's memory.
fn resident(measured: &Measured) -> Option<Cell> {
    measured.broker.map(|broker| Cell::plain(figures::octets(broker.resident as f64)))
}

/// Each once, in the order in which they first come.
fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    all.fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}
