//! A target that runs, its clients, and what is measured with them.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;
use crate::latency;
use crate::placement::{self, Publisher};
use crate::plan::{NO_HOP, ONE_HOP, Session, Step};
use crate::sample::Metric;
use crate::slow_readers::SlowReaders;
use crate::target::Running;
use crate::workload::{Burst, Rate};

/// How long and how large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) rounds: usize,
    /// The times that each round measures everything, one after the other.
    pub(crate) slices: usize,
    /// How long each of them takes.
    pub(crate) slice: Duration,
    pub(crate) is_small: bool,
}

/// A workload, the series that it is in, a kind of figure, and the figure.
pub(crate) type Figure = (&'static str, &'static str, Metric, f64);

/// A session whose target runs and whose clients are connected.
pub(crate) struct Open {
    pub(crate) session: Session,
    running: Running,
    client: Client,
    _slow_readers: SlowReaders,
    /// What the target had in memory before anybody connected, in bytes.
    resident_before: u64,
    /// What connecting took of CPU, in nanoseconds, and of memory, in bytes, for each subscriber.
    cpu_ns_each: f64,
    bytes_each: f64,
    /// What has been measured of latency in this round.
    latencies: Vec<(&'static str, Histogram<u64>)>,
}

impl Open {
    /// Starts the target, connects, and sees that its answers are right.
    pub(crate) fn new(session: &Session, sizes: Sizes) -> Self {
        let target = session.target;
        let mut running = target.start().unwrap_or_else(|error| panic!("{}: {error:?}", target.name));
        let shape = if sizes.is_small { session.shape.small() } else { session.shape };
        let (cpu, resident) = (running.cpu_ns(), running.resident_bytes());
        let mut client = Client::connect(running.address, target, shape);
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / shape.subscribers as f64;
        let cpu_ns_each = each(cpu, running.cpu_ns());
        if session.steps.iter().any(|step| step.is_once()) {
            // What was only needed to connect is given back by then.
            std::thread::sleep(10 * sizes.slice);
        }
        let bytes_each = each(resident, running.resident_bytes());
        let slow_readers = if sizes.is_small { target.slow_readers / 10 } else { target.slow_readers };
        let slow_readers = SlowReaders::connect(running.address, slow_readers);
        session.steps.iter().for_each(|step| client.check_answers(step.burst()));
        if target.is_unpinned() {
            placement::place_publisher(&mut client, running.address, Publisher::Elsewhere);
        }
        Self {
            session: session.clone(),
            running,
            client,
            _slow_readers: slow_readers,
            resident_before: resident,
            cpu_ns_each,
            bytes_each,
            latencies: Vec::new(),
        }
    }

    /// Takes one step, which takes a slice.
    pub(crate) fn measure(&mut self, step: Step, sizes: Sizes) -> Vec<Figure> {
        let name = self.session.target.name;
        let figures = match step {
            Step::Publish(burst) => self.throughput(burst, sizes),
            // A message to a thousand takes its time: fifty of them are a second.
            Step::PublishAtRate(rate) => {
                let latencies = latency::at_rate(&mut self.client, rate, 10 * sizes.slice);
                self.keep(name, &latencies);
                Vec::new()
            }
            Step::Connect { .. } => vec![
                (step.name(), name, Metric::CpuUsPerHandshake, self.cpu_ns_each / 1_000.0),
                (step.name(), name, Metric::BytesPerConnection, self.bytes_each),
            ],
            Step::Hop(rate) => {
                self.hop(rate, sizes);
                Vec::new()
            }
        };
        self.client.assert_complete();
        figures
    }

    /// What only a whole round has enough messages for.
    pub(crate) fn conclude(&self) -> Vec<Figure> {
        let workload = self.session.steps.first().map_or("", |step| step.name());
        self.latencies
            .iter()
            .flat_map(|(series, latencies)| percentiles(workload, series, latencies))
            .collect()
    }

    fn throughput(&mut self, burst: Burst, sizes: Sizes) -> Vec<Figure> {
        let publications = self.client.publications(burst);
        self.client.rewind_feed();
        self.client.publish(&publications[0]);
        let (begun, cpu_before, client_before) = (Instant::now(), self.running.cpu_ns(), own_cpu_ns());
        let bytes_before = self.client.received_bytes;
        let mut bursts = 0;
        for publication in publications.iter().cycle().skip(1) {
            self.client.publish(publication);
            bursts += 1;
            if begun.elapsed() >= sizes.slice {
                break;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        let (cpu_ns, client_ns) = (self.running.cpu_ns() - cpu_before, own_cpu_ns() - client_before);
        let deliveries = (bursts * publications[0].deliveries) as f64;
        let name = self.session.target.name;
        let bytes = (self.client.received_bytes - bytes_before) as f64;
        let resident = self.running.resident_bytes().saturating_sub(self.resident_before) as f64;
        let of_feed = [
            (burst.name, name, Metric::WireBytesPerDelivery, bytes / deliveries),
            (burst.name, name, Metric::BytesPerSubscriber, resident / self.client.shape.subscribers as f64),
        ];
        let mut figures = vec![
            (burst.name, name, Metric::DeliveriesPerSecond, deliveries / seconds),
            (burst.name, name, Metric::CpuNsPerDelivery, cpu_ns as f64 / deliveries),
            (burst.name, name, Metric::ClientBusyPercent, client_ns as f64 / seconds / 1e7),
        ];
        figures.extend(of_feed.into_iter().filter(|_| burst.is_feed));
        figures
    }

    fn hop(&mut self, rate: Rate, sizes: Sizes) {
        placement::place_subscriber_at_home(&mut self.client, self.running.address);
        for (wanted, name) in [(Publisher::AtHome, NO_HOP), (Publisher::Elsewhere, ONE_HOP)] {
            placement::place_publisher(&mut self.client, self.running.address, wanted);
            let latencies = latency::one_by_one(&mut self.client, rate, 5 * sizes.slice);
            self.keep(name, &latencies);
        }
    }

    fn keep(&mut self, series: &'static str, latencies: &Histogram<u64>) {
        match self.latencies.iter_mut().find(|(of, _)| *of == series) {
            Some((_, kept)) => kept.add(latencies).expect("the same bounds"),
            None => self.latencies.push((series, latencies.clone())),
        }
    }
}

/// The CPU time of this thread, which is the client's, in nanoseconds.
fn own_cpu_ns() -> u64 {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a kernel that counts");
    schedstat.split(' ').next().and_then(|number| number.parse().ok()).expect("nanoseconds")
}

fn percentiles(workload: &'static str, series: &'static str, latencies: &Histogram<u64>) -> [Figure; 3] {
    let at = |share: f64| latencies.value_at_quantile(share) as f64 / 1_000.0;
    [
        (workload, series, Metric::LatencyP50Us, at(0.5)),
        (workload, series, Metric::LatencyP99Us, at(0.99)),
        (workload, series, Metric::LatencyP999Us, at(0.999)),
    ]
}
