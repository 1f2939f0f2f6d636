//! One run, planned: everything that its threads have to agree on. Nothing in it changes while they run.

use std::net::SocketAddr;

use crate::conversation::Peer;
use crate::payload::{MAX_STREAMS, as_stamped};
use crate::schedule::{Schedule, Window};
use crate::socket::Connector;
use crate::transport::Transport;
use crate::units::{Mss, SourceAddresses};
use crate::workload::{Stream, Workload, topic_name};

/// A server, and how it is reached.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub address: SocketAddr,
    /// How to talk to it.
    pub peer: Peer,
    /// Where to connect from, if it is not left to the kernel.
    pub sources: Option<SourceAddresses>,
    /// The largest TCP segment, if it is not left to the kernel.
    pub mss: Option<Mss>,
}

impl Server {
    /// What opens connections to it.
    pub fn connector(&self) -> Connector {
        Connector::new(self.address, self.sources, self.mss)
    }
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is to be done.
    pub workload: Workload,
    /// Whom it is done with.
    pub server: Server,
    /// What everything that is left to chance is drawn from.
    pub seed: u64,
    /// What the messages of this run are known by.
    pub run: u8,
    /// All streams.
    pub streams: Vec<Stream>,
    /// The messages of each stream.
    pub windows: Vec<Window>,
    /// The streams of each topic, in order.
    streams_of_topics: Vec<Vec<u32>>,
}

impl Plan {
    /// Plans a run of a workload, which must not have more than [`MAX_STREAMS`] streams.
    ///
    /// `order` tells it from other runs of the same seed: what is left of those in a slow server is none of its own.
    pub fn new(workload: Workload, server: Server, seed: u64, order: usize) -> Self {
        let streams = workload.streams();
        assert!(streams.len() <= MAX_STREAMS, "{} streams cannot be told apart", streams.len());
        let windows = Schedule::new(&workload, streams.len(), seed).windows(workload.warmup_ns);
        let mut streams_of_topics = vec![Vec::new(); workload.topics()];
        for (number, stream) in streams.iter().enumerate() {
            streams_of_topics[stream.topic].push(number as u32);
        }
        let run = fastrand::Rng::with_seed(seed).u8(..).wrapping_add(order as u8);
        Self { workload, server, seed, run, streams, windows, streams_of_topics }
    }

    /// Its schedule.
    pub fn schedule(&self) -> Schedule {
        Schedule::new(&self.workload, self.streams.len(), self.seed)
    }

    /// The streams that a subscriber hears, in order.
    pub fn streams_of(&self, subscriber: usize) -> Vec<u32> {
        let topics = self.workload.topics_of(subscriber);
        let mut streams: Vec<_> =
            topics.into_iter().flat_map(|topic| &self.streams_of_topics[topic]).copied().collect();
        streams.sort_unstable();
        streams
    }

    /// The names of the topics of a subscriber.
    pub fn topic_names_of(&self, subscriber: usize) -> Vec<String> {
        self.workload.topics_of(subscriber).into_iter().map(topic_name).collect()
    }

    /// Whether what is due then, in nanoseconds from the start, is measured.
    pub fn is_measured(&self, due_ns: u64) -> bool {
        (self.workload.warmup_ns..self.workload.end_ns()).contains(&due_ns)
    }

    /// Each message that is measured: when it is due, in nanoseconds from the start of the window as its stamp says it, and
    /// to how many subscribers that do not read slowly it is to come.
    pub fn expectations(&self) -> impl Iterator<Item = (u64, u64)> {
        let listeners = self.listeners();
        let measured = self.schedule().filter(|due| self.is_measured(due.at_ns));
        measured.map(move |due| {
            let since_window_ns = as_stamped(due.at_ns).saturating_sub(self.workload.warmup_ns);
            (since_window_ns, listeners[self.streams[due.stream].topic])
        })
    }

    /// For each topic, its subscribers that do not read slowly.
    fn listeners(&self) -> Vec<u64> {
        let mut listeners = vec![0; self.workload.topics()];
        let attentive = (0..self.workload.subscribers).filter(|&number| !self.workload.is_slow(number));
        for topic in attentive.flat_map(|subscriber| self.workload.topics_of(subscriber)) {
            listeners[topic] += 1;
        }
        listeners
    }

    /// How long after the end is waited for what has not come, in nanoseconds.
    pub fn grace_ns(&self) -> u64 {
        const GRACE_NS: u64 = 2_000_000_000;
        match self.server.peer.transport {
            Transport::Poll { period } => GRACE_NS + period.ns(),
            Transport::WebSocket { .. } | Transport::EventStream | Transport::LongPoll => GRACE_NS,
        }
    }

    /// Messages that are measured.
    pub fn due(&self) -> u64 {
        self.windows.iter().map(|window| u64::from(window.measured())).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::payload::{Payloads, Stamp};
    use crate::transport::{HeaderProfile, Protocol};
    use crate::workload::tests::workload;
    use crate::workload::{Arrival, Shape, Slow};

    /// A plan over that transport, with nobody to connect to.
    pub(crate) fn plan_of(workload: Workload, transport: &str) -> Plan {
        let peer = Peer {
            authority: String::new(),
            path: Protocol::Raw.usual_path().to_owned(),
            headers: HeaderProfile::Minimal,
            transport: transport.parse().expect("a transport"),
            protocol: Protocol::Raw,
        };
        let server = Server { address: ([127, 0, 0, 1], 1).into(), peer, sources: None, mss: None };
        Plan::new(workload, server, 7, 0)
    }

    /// One topic with one publisher and one subscriber.
    pub(crate) fn plan(transport: &str) -> Plan {
        plan_of(workload(1, Shape::Feeds { topics: 1, publishers: 1 }), transport)
    }

    #[test]
    fn what_is_expected_over_time_is_what_the_accounts_expect_in_all() {
        for shape in [Shape::Feeds { topics: 3, publishers: 2 }, Shape::Rooms(4)] {
            let mut workload = workload(10, shape);
            (workload.arrival, workload.rate) = (Arrival::Poisson, 997.0);
            workload.slow = Some(Slow { subscribers: 4, octets_per_second: 1 });
            let plan = plan_of(workload, "longpoll");
            let windows = (4..10).flat_map(|subscriber| plan.streams_of(subscriber));
            let expected: u64 =
                windows.map(|stream| u64::from(plan.windows[stream as usize].measured())).sum();
            assert_eq!(plan.expectations().map(|(_, deliveries)| deliveries).sum::<u64>(), expected);
            assert!(
                plan.expectations().all(|(since_window_ns, _)| since_window_ns < plan.workload.duration_ns)
            );
        }
    }

    /// What a receiver knows of a message is its stamp: were it in another slice there, this one would have a loss.
    #[test]
    fn what_is_expected_is_due_when_its_stamp_says_so() {
        let mut workload = workload(1, Shape::Feeds { topics: 1, publishers: 1 });
        (workload.arrival, workload.warmup_ns) = (Arrival::Poisson, 999_999_999);
        let plan = plan_of(workload, "ws");
        let payloads = Payloads::new(20, 1);
        let stamped = plan.schedule().filter(|due| plan.is_measured(due.at_ns)).map(|due| {
            let mut payload = Vec::new();
            let stamp = Stamp { run: 1, stream: 0, sequence: due.sequence, due_ns: due.at_ns, lag_ns: 0 };
            payloads.write(&stamp, &mut payload);
            Stamp::read(&payload).expect("it was written here").due_ns
        });
        let since_window = stamped.map(|due_ns| due_ns.saturating_sub(plan.workload.warmup_ns));
        assert!(plan.expectations().map(|(since_window_ns, _)| since_window_ns).eq(since_window));
    }
}
