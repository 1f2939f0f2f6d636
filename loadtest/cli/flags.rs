//! The command line.
#![expect(clippy::doc_markdown, reason = "what documents a flag is its help, where no markdown is rendered")]

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::Preset;
use crate::target::{CoreList, Url};
use crate::threshold::Threshold;
use crate::transport::{HeaderProfile, Protocol, Transport};
use crate::units::{BadValue, Count, Mss, Period, Rate, Size, SourceAddresses};
use crate::workload::Arrival;

const EXAMPLES: &str = "\
Examples:
  loadtest                                       what push costs and gains here, against polling
  loadtest -c 200 -r 50 -s 1KiB --html out.html  with a load like mine, and a page to show
  loadtest pubsub --rooms 50 -c 1k -r 2k         chat rooms, over WebSocket
  loadtest sweep --rates 1k,2k,5k,10k            where the knee is
  loadtest conn -c 10k --storm                   what connections cost, and all of them at once
  loadtest --url ws://localhost:8081/ --protocol nats
                                                 another server, by the very same schedule
  loadtest --threshold 'ws.p99<5ms'              for CI: ends with 99 if it does not hold
  loadtest report before.json after.json         whether it has become better
  loadtest doctor -c 50k                         whether this machine allows it

Numbers are written 500, 1k, 2.5M; times 500us, 100ms, 1.5s, 2m; sizes 20, 128B, 1kB, 1KiB.

A threshold is SERIES.METRIC<VALUE, with <, <=, > or >=. The metrics are the latencies p50, p90, p99, p99.9, max and mean, end to \
end; lost, doubled and disordered deliveries; for each delivery, bytes (of IP, both ways) and cpu (the broker's); rss (the \
broker's); rate (messages sent a second).

Exit codes: 0 done; 1 it could not be done; 2 usage; 3 it was done and cannot be trusted, whatever the thresholds; 99 a threshold \
does not hold; 130 and 143 stopped by SIGINT and SIGTERM.";

/// Measures WebSocket push against HTTP polling, in latency and in octets on the wire, and says how far its own figures can
/// be trusted. Without a subcommand it compares.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct CommandLine {
    #[command(subcommand)]
    pub(super) command: Option<Subcommands>,
    #[command(flatten)]
    pub(super) compare: CompareFlags,
}

#[derive(Debug, Subcommand)]
pub(super) enum Subcommands {
    /// Run one schedule of messages over several transports, and print one table [default]
    Compare(CompareFlags),
    /// Run one transport: fan-out, many topics, chat rooms, bursts, slow subscribers
    Pubsub(PubsubFlags),
    /// Measure connecting: its rate, what an idle connection takes, a reconnect storm
    Conn(ConnFlags),
    /// Find the rate at which latency begins to climb
    Sweep(SweepFlags),
    /// Show a record again, or compare it with another
    Report(ReportFlags),
    /// Say what this machine allows, and what to do about it
    Doctor(DoctorFlags),
    /// Be the broker of another such process
    #[command(hide = true)]
    Broker(BrokerFlags),
}

impl Subcommands {
    /// As it is written.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Compare(_) => "compare",
            Self::Pubsub(_) => "pubsub",
            Self::Conn(_) => "conn",
            Self::Sweep(_) => "sweep",
            Self::Report(_) => "report",
            Self::Doctor(_) => "doctor",
            Self::Broker(_) => "broker",
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct CompareFlags {
    #[command(flatten)]
    pub(super) load: LoadFlags,
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) measuring: MeasuringFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
    /// Over which transports: ws, ws-deflate, sse, longpoll, poll:PERIOD; may be repeated. The first is what the others are
    /// compared with [default: ws,ws-deflate,sse,longpoll,poll:100ms,poll:1s; ws for a server that is not Fanwire]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Load")]
    pub(super) transport: Vec<Transport>,
    /// Reprint a famous table beside what is measured here: kaazing
    #[arg(
        long,
        value_name = "NAME",
        hide_possible_values = true,
        help_heading = "Load",
        conflicts_with_all = ["transport", "headers", "rate", "topics", "publishers", "arrival", "burst", "protocol", "url"]
    )]
    pub(super) preset: Option<Preset>,
}

#[derive(Debug, Args)]
pub(super) struct PubsubFlags {
    #[command(flatten)]
    pub(super) load: LoadFlags,
    /// Over which transport: ws, ws-deflate, sse, longpoll or poll:PERIOD [default: ws]
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    pub(super) transport: Option<Transport>,
    /// Put everybody into one of so many chat rooms, to publish to it and to hear everybody there
    #[arg(long, value_name = "N", help_heading = "Load", conflicts_with_all = ["topics", "publishers"])]
    pub(super) rooms: Option<Count>,
    /// Let so many of the subscribers read slowly; what they get is not in the latencies
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(super) slow: Option<Count>,
    /// Octets that each of them reads in a second [default: 1KiB]
    #[arg(long, value_name = "SIZE", help_heading = "Load", requires = "slow")]
    pub(super) slow_rate: Option<Size>,
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) measuring: MeasuringFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, Args)]
pub(super) struct ConnFlags {
    /// Open so many connections [default: 1k]
    #[arg(short, long, value_name = "N", help_heading = "Load")]
    pub(super) connections: Option<Count>,
    /// Open so many a second [default: 500]
    #[arg(short, long, value_name = "RATE", help_heading = "Load")]
    pub(super) rate: Option<Rate>,
    /// Keep them for so long with nothing to do [default: 2s]
    #[arg(short, long, value_name = "TIME", help_heading = "Load")]
    pub(super) duration: Option<Period>,
    /// Then cut all of them at once, and open them again
    #[arg(long, help_heading = "Load")]
    pub(super) storm: bool,
    /// Over which transport they subscribe: ws, ws-deflate, sse, longpoll or poll:PERIOD [default: ws]
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    pub(super) transport: Option<Transport>,
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, Args)]
pub(super) struct SweepFlags {
    #[command(flatten)]
    pub(super) load: LoadFlags,
    /// At which rates [default: 1k,2k,5k,10k,20k,50k,100k]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Load", conflicts_with = "rate")]
    pub(super) rates: Vec<Rate>,
    /// Over which transport: ws, ws-deflate, sse, longpoll or poll:PERIOD [default: ws]
    #[arg(long, value_name = "NAME", help_heading = "Load")]
    pub(super) transport: Option<Transport>,
    /// Over polls at each of these periods instead: a grid of period and rate
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        help_heading = "Load",
        conflicts_with = "transport"
    )]
    pub(super) intervals: Vec<Period>,
    #[command(flatten)]
    pub(super) server: ServerFlags,
    #[command(flatten)]
    pub(super) measuring: MeasuringFlags,
    #[command(flatten)]
    pub(super) output: OutputFlags,
}

#[derive(Debug, Args)]
pub(super) struct ReportFlags {
    /// A record, as --json writes it
    #[arg(value_name = "A.json")]
    pub(super) record: PathBuf,
    /// Another that it is compared with
    #[arg(value_name = "B.json")]
    pub(super) other: Option<PathBuf>,
    /// Write the histograms to this folder, for the HdrHistogram plotters; of one record only
    #[arg(long, value_name = "DIR", conflicts_with = "other")]
    pub(super) hgrm: Option<PathBuf>,
    /// Write a page that needs no network
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// End with 99 if this does not hold, as in 'ws.p99<5ms'; may be repeated; of one record only
    #[arg(long, value_name = "RULE", conflicts_with = "other")]
    pub(super) threshold: Vec<Threshold>,
}

#[derive(Debug, Args)]
pub(super) struct DoctorFlags {
    /// Connections that are wanted [default: 10k]
    #[arg(short, long, value_name = "N")]
    pub(super) connections: Option<Count>,
    /// Where they are to come from, as in 127.0.0.1-127.0.0.10 or 127.0.0.0/24
    #[arg(long, value_name = "RANGE")]
    pub(super) source_ip: Option<SourceAddresses>,
}

#[derive(Debug, Args)]
pub(super) struct BrokerFlags {
    /// The process that it ends with
    #[arg(long, value_name = "PID")]
    pub(super) parent: u32,
    /// The cores that it runs on
    #[arg(long, value_name = "LIST")]
    pub(super) on_cores: CoreList,
    /// Fanwire's own arguments
    #[arg(last = true)]
    pub(super) arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Load")]
pub(super) struct LoadFlags {
    /// Subscribers [default: 500]
    #[arg(short, long, value_name = "N")]
    pub(super) connections: Option<Count>,
    /// Messages a second, of all publishers together [default: 40]
    #[arg(short, long, value_name = "RATE")]
    pub(super) rate: Option<Rate>,
    /// Measure for so long [default: 2s]
    #[arg(short, long, value_name = "TIME")]
    pub(super) duration: Option<Period>,
    /// Send for so long before that [default: 500ms]
    #[arg(long, value_name = "TIME")]
    pub(super) warmup: Option<Period>,
    /// Payload octets of a message, 20 at least [default: 128]
    #[arg(short, long, value_name = "SIZE")]
    pub(super) size: Option<Size>,
    /// Topics, which the subscribers are spread over [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) topics: Option<Count>,
    /// Publishers, each of which publishes to all topics [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) publishers: Option<Count>,
    /// When messages come: constant (at equal distances) or poisson (independently) [default: constant]
    #[arg(long, value_name = "HOW", value_parser = arrival)]
    pub(super) arrival: Option<Arrival>,
    /// Messages that are due at the same moment [default: 1]
    #[arg(long, value_name = "N")]
    pub(super) burst: Option<Count>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerFlags {
    /// The server, as in ws://host:8080/path, in which {topic} is replaced [default: a broker that this program starts]
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<Url>,
    /// What is spoken over WebSockets: raw, fanwire-json, fanwire-binary, nats or mqtt [default: raw]
    #[arg(long, value_name = "NAME")]
    pub(super) protocol: Option<Protocol>,
    /// What HTTP requests carry besides what they need: minimal, browser or kaazing [default: minimal]
    #[arg(long, value_name = "NAME")]
    pub(super) headers: Option<HeaderProfile>,
    /// The largest TCP segment; 1460 is Ethernet's
    #[arg(long, value_name = "SIZE")]
    pub(super) mss: Option<Mss>,
    /// Connect from these addresses in turn, so that more than 28,000 connections fit: 127.0.0.1-127.0.0.10
    #[arg(long, value_name = "RANGE")]
    pub(super) source_ip: Option<SourceAddresses>,
    /// Watch CPU and memory of this process, which is the server, and of those that it has started
    #[arg(long, value_name = "PID", requires = "url", value_parser = pid)]
    pub(super) target_pid: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Measuring")]
pub(super) struct MeasuringFlags {
    /// Run each series so often, in an order that chance gives; intervals take 6 [default: 6]
    #[arg(long, value_name = "N")]
    pub(super) repeat: Option<Count>,
    /// What chance is drawn from: the same seed gives the same schedule [default: drawn, and recorded]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputFlags {
    /// End with 99 if this does not hold, as in 'ws.p99<5ms'; may be repeated; `loadtest --help` lists the metrics
    #[arg(long, value_name = "RULE")]
    pub(super) threshold: Vec<Threshold>,
    /// Write the record, with histograms and environment
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the histograms to this folder, for the HdrHistogram plotters
    #[arg(long, value_name = "DIR")]
    pub(super) hgrm: Option<PathBuf>,
    /// Write a page that needs no network [default: loadtest.html when it compares]
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Say the verdict only, and what failed
    #[arg(short, long)]
    pub(super) quiet: bool,
}

fn arrival(text: &str) -> Result<Arrival, BadValue> {
    match text {
        "constant" => Ok(Arrival::Constant),
        "poisson" => Ok(Arrival::Poisson),
        _ => Err(BadValue::new(text, "an arrival of messages, which is constant or poisson")),
    }
}

fn seed(text: &str) -> Result<u64, BadValue> {
    text.parse().map_err(|_| BadValue::new(text, "a seed, which is a whole number such as 42"))
}

fn pid(text: &str) -> Result<u32, BadValue> {
    text.parse().map_err(|_| BadValue::new(text, "the number of a process, such as 4711"))
}
