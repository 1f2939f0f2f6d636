//! One request from its flags and the defaults, if it can hold.

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::flags::{
    CommandLine, CompareFlags, ConnFlags, DoctorFlags, LoadFlags, MeasuringFlags, OutputFlags, PubsubFlags,
    ReportFlags, ServerFlags, Subcommands, SweepFlags,
};
use super::problem::Problem;
use super::{Compare, Conn, Doctor, Measuring, Output, Preset, Pubsub, Report, Request, Server, Sweep};
use crate::payload::{MAX_SEQUENCE, MAX_STREAMS, STAMP_LEN};
use crate::report::figures;
use crate::target::BrokerCommand;
use crate::transport::{HeaderProfile, POLL_PERIODS, Protocol, Transport};
use crate::units::{Count, Period, Rate, Size};
use crate::workload::{Arrival, Shape, Slow, Workload};

/// What holds for a load when nothing is said: six transports, six times each, in less than two minutes.
const DEFAULTS: Defaults = Defaults {
    connections: Count(500),
    rate: Rate::from_thousandths(40_000),
    duration: Period::from_secs(2),
    size: Size(128),
    headers: HeaderProfile::Minimal,
};

/// The workload of the famous table: everybody is sent the price of a share once a second.
const KAAZING: Defaults = Defaults {
    connections: Count(1_000),
    rate: Rate::from_thousandths(1_000),
    duration: Period::from_secs(10),
    size: Size(20),
    headers: HeaderProfile::Kaazing,
};

struct Defaults {
    connections: Count,
    rate: Rate,
    duration: Period,
    size: Size,
    headers: HeaderProfile,
}

/// TCP acknowledges the first 16 segments of a connection at once, and later ones when it suits it, which is faster: at the
/// usual rate, that is over by then.
const WARMUP: Period = Period::from_ms(500);
/// As many as an interval of 95 % takes.
const REPEATS: Count = Count(6);
const SLOW_RATE: Size = Size(1024);
const CONN_CONNECTIONS: Count = Count(1_000);
const CONN_RATE: Rate = Rate::from_thousandths(500_000);
const CONN_IDLE: Period = Period::from_secs(2);
const DOCTOR_CONNECTIONS: Count = Count(10_000);
/// In messages a second.
const SWEEP_RATES: [u64; 7] = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// No machine has more ports than this for all its loopback addresses together.
const CONNECTIONS: RangeInclusive<Count> = Count(1)..=Count(10_000_000);
const RATE: RangeInclusive<Rate> = Rate::from_thousandths(1)..=Rate::from_thousandths(100_000_000_000);
/// Below the lower bound there is nothing to take a percentile of; above the upper one, the time in a message's stamp
/// would end.
const DURATION: RangeInclusive<Period> = Period::from_ms(100)..=Period::from_secs(12 * 3_600);
const SHORT: RangeInclusive<Period> = Period::from_ns(0)..=Period::from_secs(3_600);
/// Every message carries a stamp; and the broker takes no larger message.
const SIZE: RangeInclusive<Size> = Size(STAMP_LEN as u64)..=Size(16 << 20);
const MANY: RangeInclusive<Count> = Count(1)..=Count(1_000_000);
const SLOW_RATES: RangeInclusive<Size> = Size(1)..=Size(1 << 30);
const PIDS: RangeInclusive<u32> = 1..=i32::MAX as u32;

pub(super) fn resolve(command_line: CommandLine) -> Result<Request, Problem> {
    match command_line.command {
        None => compare(command_line.compare).map(Request::Compare),
        Some(Subcommands::Compare(flags)) => compare(flags).map(Request::Compare),
        Some(Subcommands::Pubsub(flags)) => pubsub(flags).map(Request::Pubsub),
        Some(Subcommands::Conn(flags)) => conn(flags).map(Request::Conn),
        Some(Subcommands::Sweep(flags)) => sweep(flags).map(Request::Sweep),
        Some(Subcommands::Report(flags)) => Ok(Request::Report(report(flags))),
        Some(Subcommands::Doctor(flags)) => doctor(&flags).map(Request::Doctor),
        Some(Subcommands::Broker(flags)) => {
            let (parent, on_cores, arguments) = (flags.parent, flags.on_cores, flags.arguments);
            Ok(Request::Broker(BrokerCommand { parent, on_cores, arguments }))
        }
    }
}

fn compare(flags: CompareFlags) -> Result<Compare, Problem> {
    let defaults = match flags.preset {
        Some(Preset::Kaazing) => &KAAZING,
        None => &DEFAULTS,
    };
    let server = server(flags.server, defaults)?;
    let workload = workload(&flags.load, defaults)?;
    has_something_due(&workload)?;
    let transports = match flags.preset {
        Some(Preset::Kaazing) => vec![PUSH, Transport::Poll { period: Period::from_secs(1) }],
        None if flags.transport.is_empty() => usual_transports(&server),
        None => flags.transport,
    };
    distinct("--transport", &transports)?;
    transports.iter().try_for_each(|transport| carries(*transport, &workload, &server))?;
    let output = output(flags.output, transports.iter().map(ToString::to_string).collect())?;
    let measuring = measuring(&flags.measuring)?;
    Ok(Compare { workload, transports, preset: flags.preset, server, measuring, output })
}

fn pubsub(flags: PubsubFlags) -> Result<Pubsub, Problem> {
    let server = server(flags.server, &DEFAULTS)?;
    let mut workload = workload(&flags.load, &DEFAULTS)?;
    if let Some(rooms) = flags.rooms {
        workload.shape = Shape::Rooms(of_subscribers("--rooms", rooms, &workload)?);
    }
    if let Some(slow) = flags.slow {
        let subscribers = of_subscribers("--slow", slow, &workload)?;
        if subscribers == workload.subscribers {
            return Err(Problem::AllSlow { connections: subscribers });
        }
        let rate = within("--slow-rate", flags.slow_rate.unwrap_or(SLOW_RATE), SLOW_RATES)?;
        workload.slow = Some(Slow { subscribers, octets_per_second: rate.0 });
    }
    let transport = flags.transport.unwrap_or(PUSH);
    if workload.slow.is_some() && matches!(transport, Transport::Poll { .. }) {
        return Err(Problem::SlowPolls { transport });
    }
    can_be_told_apart(&workload)?;
    has_something_due(&workload)?;
    carries(transport, &workload, &server)?;
    let output = output(flags.output, vec![transport.to_string()])?;
    let measuring = measuring(&flags.measuring)?;
    Ok(Pubsub { workload, transport, server, measuring, output })
}

fn conn(flags: ConnFlags) -> Result<Conn, Problem> {
    let server = server(flags.server, &DEFAULTS)?;
    let transport = flags.transport.unwrap_or(PUSH);
    is_spoken(transport, server.protocol)?;
    Ok(Conn {
        connections: count("--connections", flags.connections.unwrap_or(CONN_CONNECTIONS), CONNECTIONS)?,
        rate: within("--rate", flags.rate.unwrap_or(CONN_RATE), RATE)?,
        idle: within("--duration", flags.duration.unwrap_or(CONN_IDLE), SHORT)?,
        storm: flags.storm,
        transport,
        server,
        output: output(flags.output, Vec::new())?,
    })
}

fn sweep(flags: SweepFlags) -> Result<Sweep, Problem> {
    let server = server(flags.server, &DEFAULTS)?;
    let mut rates = match (flags.load.rate, flags.rates) {
        (Some(rate), _) => vec![rate],
        (None, rates) if rates.is_empty() => {
            SWEEP_RATES.map(|rate| Rate::from_thousandths(rate * 1_000)).to_vec()
        }
        (None, rates) => rates,
    };
    rates.sort_unstable();
    distinct("--rates", &rates)?;
    let mut transports = Vec::with_capacity(flags.intervals.len());
    for interval in flags.intervals {
        let period = within("--intervals", interval, POLL_PERIODS)?;
        transports.push(Transport::Poll { period });
    }
    distinct("--intervals", &transports)?;
    if transports.is_empty() {
        transports.push(flags.transport.unwrap_or(PUSH));
    }
    let mut workload = workload(&flags.load, &DEFAULTS)?;
    // The highest rate last: it is the one that may be too much.
    for rate in rates.iter().rev() {
        workload.rate = within("--rates", *rate, RATE)?.per_second();
        can_be_told_apart(&workload)?;
        has_something_due(&workload)?;
    }
    transports.iter().try_for_each(|transport| carries(*transport, &workload, &server))?;
    let steps =
        transports.iter().flat_map(|transport| rates.iter().map(|rate| Sweep::step(*transport, *rate)));
    let output = output(flags.output, steps.collect())?;
    let measuring = measuring(&flags.measuring)?;
    Ok(Sweep { workload, rates, transports, server, measuring, output })
}

fn report(flags: ReportFlags) -> Report {
    let ReportFlags { record, other, hgrm, html, threshold: thresholds } = flags;
    Report { record, other, hgrm, html, thresholds }
}

fn doctor(flags: &DoctorFlags) -> Result<Doctor, Problem> {
    let connections = count("--connections", flags.connections.unwrap_or(DOCTOR_CONNECTIONS), CONNECTIONS)?;
    Ok(Doctor { connections, sources: flags.source_ip })
}

fn server(flags: ServerFlags, defaults: &Defaults) -> Result<Server, Problem> {
    Ok(Server {
        pid: flags.target_pid.map(|pid| within("--target-pid", pid, PIDS)).transpose()?,
        url: flags.url,
        protocol: flags.protocol.unwrap_or(Protocol::Raw),
        headers: flags.headers.unwrap_or(defaults.headers),
        mss: flags.mss,
        sources: flags.source_ip,
    })
}

fn measuring(flags: &MeasuringFlags) -> Result<Measuring, Problem> {
    let repeats = count("--repeat", flags.repeat.unwrap_or(REPEATS), Count(1)..=Count(1_000))?;
    // Short enough to be typed again.
    let seed = flags.seed.unwrap_or_else(|| fastrand::u32(..).into());
    Ok(Measuring { repeats, seed })
}

/// What is wanted of a run of these series.
fn output(flags: OutputFlags, series: Vec<String>) -> Result<Output, Problem> {
    let OutputFlags { threshold: thresholds, json, hgrm, html, quiet } = flags;
    let unknown = thresholds.iter().find(|threshold| series.iter().all(|name| name != threshold.series()));
    match unknown.cloned() {
        Some(threshold) => Err(Problem::UnknownSeries { threshold, there: series }),
        None => Ok(Output { thresholds, json, hgrm, html, quiet }),
    }
}

fn workload(flags: &LoadFlags, defaults: &Defaults) -> Result<Workload, Problem> {
    let topics = count("--topics", flags.topics.unwrap_or(Count(1)), MANY)?;
    let publishers = count("--publishers", flags.publishers.unwrap_or(Count(1)), MANY)?;
    let size = within("--size", flags.size.unwrap_or(defaults.size), SIZE)?;
    let workload = Workload {
        subscribers: count("--connections", flags.connections.unwrap_or(defaults.connections), CONNECTIONS)?,
        shape: Shape::Feeds { topics, publishers },
        rate: within("--rate", flags.rate.unwrap_or(defaults.rate), RATE)?.per_second(),
        duration_ns: within("--duration", flags.duration.unwrap_or(defaults.duration), DURATION)?.ns(),
        warmup_ns: within("--warmup", flags.warmup.unwrap_or(WARMUP), SHORT)?.ns(),
        size: size.0 as usize,
        arrival: flags.arrival.unwrap_or(Arrival::Constant),
        burst: count("--burst", flags.burst.unwrap_or(Count(1)), MANY)?,
        slow: None,
    };
    can_be_told_apart(&workload)?;
    Ok(workload)
}

/// Whether the window shows if it ends as it began: whether there is a message in its first third, and one in its last.
fn has_something_due(workload: &Workload) -> Result<(), Problem> {
    let (begin, third) = (workload.warmup_ns, workload.duration_ns / 3);
    let thirds = [("first", begin..begin + third), ("last", workload.end_ns() - third..workload.end_ns())];
    match thirds.into_iter().find(|(_, third)| !workload.is_due_within(third)) {
        Some((third, _)) => Err(Problem::NothingDue {
            third,
            duration: Period::from_ns(workload.duration_ns).to_string(),
            distance: figures::round(&figures::duration(workload.distance_ns())),
        }),
        None => Ok(()),
    }
}

const PUSH: Transport = Transport::WebSocket { deflate: false };

/// All that the server can be taken to have. Only Fanwire has the others, and a URL may be anybody's, unless what is
/// spoken there is Fanwire's own.
fn usual_transports(server: &Server) -> Vec<Transport> {
    let poll = |period| Transport::Poll { period };
    match (server.protocol, &server.url) {
        (Protocol::Raw, None) | (Protocol::FanwireJson | Protocol::FanwireBinary, _) => vec![
            PUSH,
            Transport::WebSocket { deflate: true },
            Transport::EventStream,
            Transport::LongPoll,
            poll(Period::from_ms(100)),
            poll(Period::from_secs(1)),
        ],
        (Protocol::Raw | Protocol::Nats | Protocol::Mqtt, _) => vec![PUSH],
    }
}

/// Whether the workload can be measured over a transport.
fn carries(transport: Transport, workload: &Workload, server: &Server) -> Result<(), Problem> {
    let protocol = server.protocol;
    is_spoken(transport, protocol)?;
    let has_one_topic = protocol == Protocol::Raw || !matches!(transport, Transport::WebSocket { .. });
    let (topics, connections) = (workload.topics(), workload.subscribers);
    if has_one_topic && topics > connections {
        return Err(Problem::OneTopicEach { topics, connections, transport, protocol });
    }
    match transport {
        Transport::Poll { period } if period.ns() > workload.duration_ns => {
            let duration = Period::from_ns(workload.duration_ns).to_string();
            Err(Problem::NeverPolled { transport, duration })
        }
        _ => Ok(()),
    }
}

fn is_spoken(transport: Transport, protocol: Protocol) -> Result<(), Problem> {
    match (transport, protocol) {
        (Transport::WebSocket { .. }, _)
        | (_, Protocol::Raw | Protocol::FanwireJson | Protocol::FanwireBinary) => Ok(()),
        (_, Protocol::Nats | Protocol::Mqtt) => Err(Problem::WebSocketOnly { transport, protocol }),
    }
}

/// Whether the stamps of all messages are different.
fn can_be_told_apart(workload: &Workload) -> Result<(), Problem> {
    let streams = match workload.shape {
        Shape::Feeds { topics, publishers } => topics.saturating_mul(publishers),
        Shape::Rooms(_) => workload.subscribers,
    };
    if streams > MAX_STREAMS {
        return Err(Problem::TooManyStreams { most: MAX_STREAMS });
    }
    // Messages that come independently of each other may be a few more than expected: far fewer than as many again.
    let messages = 2.0 * workload.rate * workload.end_ns() as f64 / 1e9 + workload.burst as f64;
    if messages / streams as f64 > f64::from(MAX_SEQUENCE) {
        return Err(Problem::TooManyMessages { most: MAX_SEQUENCE });
    }
    Ok(())
}

fn within<T>(flag: &'static str, value: T, range: RangeInclusive<T>) -> Result<T, Problem>
where
    T: Copy + PartialOrd + Display,
{
    if range.contains(&value) {
        return Ok(value);
    }
    let [given, least, most] = [value, *range.start(), *range.end()].map(|value| value.to_string());
    Err(Problem::OutOfRange { flag, given, least, most })
}

fn count(flag: &'static str, value: Count, range: RangeInclusive<Count>) -> Result<usize, Problem> {
    within(flag, value, range).map(|count| count.0 as usize)
}

fn of_subscribers(flag: &'static str, value: Count, workload: &Workload) -> Result<usize, Problem> {
    let (given, connections) = (count(flag, value, CONNECTIONS)?, workload.subscribers);
    if given > connections {
        return Err(Problem::MoreThanSubscribers { flag, given, connections });
    }
    Ok(given)
}

fn distinct<T: PartialEq + Display>(flag: &'static str, values: &[T]) -> Result<(), Problem> {
    let mut pairs = values.iter().enumerate();
    match pairs.find(|(at, value)| values[..*at].contains(value)) {
        Some((_, value)) => Err(Problem::Twice { flag, given: value.to_string() }),
        None => Ok(()),
    }
}
