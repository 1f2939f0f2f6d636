//! The command line that gives the same run again, with every value that a default or chance has given.

use std::fmt::Display;

use super::{Compare, Conn, Measuring, Preset, Pubsub, Server, Sweep};
use crate::transport::Transport;
use crate::units::{Count, Period, Rate, Size};
use crate::workload::{Arrival, Shape, Workload};

/// A command line, without the name of the program.
struct Arguments(Vec<String>);

impl Compare {
    /// The command line that gives the same run: what is wanted of it besides is left out.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = Arguments::of("compare");
        let arguments = match self.preset {
            Some(Preset::Kaazing) => {
                arguments.with("--preset", "kaazing").preset(&self.workload, &self.server)
            }
            None => arguments
                .with("--transport", join(&self.transports))
                .workload(&self.workload)
                .server(&self.server),
        };
        arguments.measuring(self.measuring).0
    }
}

impl Pubsub {
    /// The command line that gives the same run: what is wanted of it besides is left out.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = Arguments::of("pubsub").with("--transport", self.transport).workload(&self.workload);
        let arguments = match self.workload.slow {
            Some(slow) => arguments
                .with("--slow", Count(slow.subscribers as u64))
                .with("--slow-rate", Size(slow.octets_per_second)),
            None => arguments,
        };
        arguments.server(&self.server).measuring(self.measuring).0
    }
}

impl Conn {
    /// The command line that gives the same run: what is wanted of it besides is left out.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = Arguments::of("conn")
            .with("--transport", self.transport)
            .with("--connections", Count(self.connections as u64))
            .with("--rate", self.rate)
            .with("--duration", self.idle);
        arguments.0.extend(self.storm.then(|| "--storm".to_owned()));
        arguments.server(&self.server).0
    }
}

impl Sweep {
    /// The command line that gives the same run: what is wanted of it besides is left out.
    pub fn arguments(&self) -> Vec<String> {
        let arguments = Arguments::of("sweep").with("--rates", join(&self.rates));
        let arguments = match self.transports.as_slice() {
            [only] => arguments.with("--transport", only),
            polls => {
                arguments.with("--intervals", join(&polls.iter().filter_map(period).collect::<Vec<_>>()))
            }
        };
        arguments.load(&self.workload).shape(&self.workload).server(&self.server).measuring(self.measuring).0
    }
}

/// How often a transport polls, if it does.
fn period(transport: &Transport) -> Option<Period> {
    match *transport {
        Transport::Poll { period } => Some(period),
        Transport::WebSocket { .. } | Transport::EventStream | Transport::LongPoll => None,
    }
}

fn join<T: Display>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Arguments {
    fn of(subcommand: &str) -> Self {
        Self(vec![subcommand.to_owned()])
    }

    fn with(mut self, flag: &str, value: impl Display) -> Self {
        self.0.extend([flag.to_owned(), value.to_string()]);
        self
    }

    fn with_some(self, flag: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.with(flag, value),
            None => self,
        }
    }

    fn workload(self, workload: &Workload) -> Self {
        self.with("--rate", rate(workload)).load(workload).shape(workload)
    }

    /// All that a sweep and a preset leave as it is.
    fn size(self, workload: &Workload) -> Self {
        self.with("--connections", Count(workload.subscribers as u64))
            .with("--duration", Period::from_ns(workload.duration_ns))
            .with("--warmup", Period::from_ns(workload.warmup_ns))
            .with("--size", Size(workload.size as u64))
    }

    fn load(self, workload: &Workload) -> Self {
        let arrival = match workload.arrival {
            Arrival::Constant => "constant",
            Arrival::Poisson => "poisson",
        };
        self.size(workload).with("--arrival", arrival).with("--burst", Count(workload.burst as u64))
    }

    fn shape(self, workload: &Workload) -> Self {
        match workload.shape {
            Shape::Feeds { topics, publishers } => {
                self.with("--topics", Count(topics as u64)).with("--publishers", Count(publishers as u64))
            }
            Shape::Rooms(rooms) => self.with("--rooms", Count(rooms as u64)),
        }
    }

    fn preset(self, workload: &Workload, server: &Server) -> Self {
        self.size(workload).sockets(server)
    }

    fn server(self, server: &Server) -> Self {
        self.with_some("--url", server.url.as_ref())
            .with_some("--target-pid", server.pid)
            .with("--protocol", server.protocol)
            .with("--headers", server.headers)
            .sockets(server)
    }

    fn sockets(self, server: &Server) -> Self {
        self.with_some("--mss", server.mss).with_some("--source-ip", server.sources)
    }

    fn measuring(self, measuring: Measuring) -> Self {
        self.with("--repeat", Count(measuring.repeats as u64)).with("--seed", measuring.seed)
    }
}

/// As it was written: a rate is exact to a thousandth.
fn rate(workload: &Workload) -> Rate {
    Rate::from_thousandths((workload.rate * 1_000.0).round() as u64)
}
