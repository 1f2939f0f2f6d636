//! What a round consists of: targets, what they are connected to, and what is done then.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::client::Client;
use crate::latency;
use crate::placement::{self, Publisher};
use crate::sample::Metric;
use crate::target::{
    BATCHED_FLOOR, BUN, FANWIRE, FANWIRE_FROM_MANY, FANWIRE_HISTORY, FANWIRE_JSON, FANWIRE_TWO_CORES, FLOOR,
    NATS, NCHAN, PEERS, Running, TUNGSTENITE, Target, WS,
};
use crate::workload::{
    ALL_TOPICS, ALONE, Burst, CONNECTIONS, FROM_MANY, HOP, IDLE, INTERLEAVED, MAIN_BURSTS, MANY_PUBLISHERS,
    MANY_TOPICS, ONE_TOPIC, ONE_TOPIC_BURSTS, ROUND_ROBIN, Rate, STEADY, Shape, TOGETHER,
};

/// One process of a target, and what is measured with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Session {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) work: Work,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Throughput, burst after burst.
    Bursts(&'static [Burst]),
    /// Latency at a rate that does not wait.
    AtRate(Rate),
    /// What it takes to connect, and to stay.
    Connections,
    /// The latency of one message after the other, with the publisher at its topic's home or not.
    Hop(Rate),
}

/// How long and how large.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) measured: Duration,
    pub(crate) is_small: bool,
}

/// The name of the series whose messages take a hop from the publisher's core to the subscriber's.
pub(crate) const ONE_HOP: &str = "Fanwire, 2 cores, one hop";
/// And of the one whose messages take none.
pub(crate) const NO_HOP: &str = "Fanwire, 2 cores, no hop";

/// Everything that is measured in a round.
pub(crate) fn all() -> Vec<Session> {
    let main = Work::Bursts(MAIN_BURSTS);
    let mut sessions = Vec::new();
    let mut add = |targets: &[Target], shape: Shape, work: Work| {
        sessions.extend(targets.iter().map(|&target| Session { target, shape, work }));
    };
    add(&[FLOOR, BATCHED_FLOOR, FANWIRE], ONE_TOPIC, Work::Bursts(ONE_TOPIC_BURSTS));
    add(PEERS, ONE_TOPIC, Work::Bursts(ONE_TOPIC_BURSTS));
    add(&[FANWIRE_JSON, FANWIRE_HISTORY, FANWIRE_TWO_CORES], ONE_TOPIC, main);
    add(&[FANWIRE_JSON, NATS], ONE_TOPIC, Work::Bursts(&[TOGETHER]));
    add(&[FANWIRE_JSON, NATS], ALL_TOPICS, Work::Bursts(&[INTERLEAVED]));
    add(
        &[BATCHED_FLOOR, FANWIRE, BUN, TUNGSTENITE, WS, NATS, NCHAN],
        MANY_TOPICS,
        Work::Bursts(&[ROUND_ROBIN]),
    );
    add(
        &[BATCHED_FLOOR, FANWIRE_FROM_MANY, BUN, TUNGSTENITE, WS, NATS],
        MANY_PUBLISHERS,
        Work::Bursts(&[FROM_MANY]),
    );
    add(&[FLOOR, FANWIRE], ONE_TOPIC, Work::AtRate(STEADY));
    add(PEERS, ONE_TOPIC, Work::AtRate(STEADY));
    add(&[FLOOR, FANWIRE], IDLE, Work::Connections);
    add(PEERS, IDLE, Work::Connections);
    add(&[FANWIRE_TWO_CORES], ALONE, Work::Hop(HOP));
    sessions
}

/// A workload, the series that it is in, a kind of figure, and the figure.
pub(crate) type Figure = (&'static str, &'static str, Metric, f64);

impl Session {
    /// What it measures.
    pub(crate) fn workloads(&self) -> Vec<&'static str> {
        match self.work {
            Work::Bursts(bursts) => bursts.iter().map(|burst| burst.name).collect(),
            Work::AtRate(rate) | Work::Hop(rate) => vec![rate.name],
            Work::Connections => vec![CONNECTIONS],
        }
    }

    /// Measures a target that has just been started.
    pub(crate) fn run(&self, running: &Running, sizes: Sizes) -> Vec<Figure> {
        let shape = if sizes.is_small { self.shape.small() } else { self.shape };
        let (cpu, resident) = (running.cpu_ns(), running.resident_bytes());
        let mut client = Client::connect(running.address, self.target, shape);
        match self.work {
            Work::Bursts(bursts) => {
                if self.target.is_unpinned() {
                    placement::place_publisher(&mut client, running.address, Publisher::Elsewhere);
                }
                bursts.iter().flat_map(|&burst| self.throughput(&mut client, running, burst, sizes)).collect()
            }
            Work::AtRate(rate) => {
                // Two seconds are a hundred messages to a thousand subscribers.
                let latencies = latency::at_rate(&mut client, rate, shape.subscribers, 4 * sizes.measured);
                percentiles(rate.name, self.target.name, &latencies)
            }
            Work::Connections => self.connections(running, shape, cpu, resident),
            Work::Hop(rate) => hop(&mut client, running, rate, sizes),
        }
    }

    fn throughput(&self, client: &mut Client, running: &Running, burst: Burst, sizes: Sizes) -> [Figure; 2] {
        let publications = client.publications(burst);
        for publication in &publications {
            client.publish(publication);
        }
        let (begun, cpu_before) = (Instant::now(), running.cpu_ns());
        let mut bursts = 0;
        for publication in publications.iter().cycle() {
            client.publish(publication);
            bursts += 1;
            if begun.elapsed() >= sizes.measured {
                break;
            }
        }
        let (seconds, cpu_ns) = (begun.elapsed().as_secs_f64(), running.cpu_ns() - cpu_before);
        let deliveries = (bursts * publications[0].deliveries) as f64;
        let name = self.target.name;
        [
            (burst.name, name, Metric::DeliveriesPerSecond, deliveries / seconds),
            (burst.name, name, Metric::CpuNsPerDelivery, cpu_ns as f64 / deliveries),
        ]
    }

    fn connections(&self, running: &Running, shape: Shape, cpu: u64, resident: u64) -> Vec<Figure> {
        let connections = shape.subscribers as f64;
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / connections;
        let (cpu, resident) = (each(cpu, running.cpu_ns()), each(resident, running.resident_bytes()));
        let name = self.target.name;
        vec![
            (CONNECTIONS, name, Metric::CpuUsPerHandshake, cpu / 1_000.0),
            (CONNECTIONS, name, Metric::BytesPerConnection, resident),
        ]
    }
}

fn hop(client: &mut Client, running: &Running, rate: Rate, sizes: Sizes) -> Vec<Figure> {
    placement::place_subscriber_at_home(client, running.address);
    let mut figures = Vec::new();
    for (wanted, name) in [(Publisher::AtHome, NO_HOP), (Publisher::Elsewhere, ONE_HOP)] {
        placement::place_publisher(client, running.address, wanted);
        let latencies = latency::one_by_one(client, rate, 2 * sizes.measured);
        figures.extend(percentiles(rate.name, name, &latencies));
    }
    figures
}

fn percentiles(workload: &'static str, series: &'static str, latencies: &Histogram<u64>) -> Vec<Figure> {
    let at = |share: f64| latencies.value_at_quantile(share) as f64 / 1_000.0;
    vec![
        (workload, series, Metric::LatencyP50Us, at(0.5)),
        (workload, series, Metric::LatencyP99Us, at(0.99)),
        (workload, series, Metric::LatencyP999Us, at(0.999)),
    ]
}
