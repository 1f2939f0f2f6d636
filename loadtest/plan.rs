//! One run, planned: everything that its threads have to agree on. Nothing in it changes while they run.

use std::net::SocketAddr;

use crate::conversation::Peer;
use crate::payload::MAX_STREAMS;
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
    pub fn new(workload: Workload, server: Server, seed: u64) -> Self {
        let streams = workload.streams();
        assert!(streams.len() <= MAX_STREAMS, "{} streams cannot be told apart", streams.len());
        let windows = Schedule::new(&workload, streams.len(), seed).windows(workload.warmup_ns);
        let mut streams_of_topics = vec![Vec::new(); workload.topics()];
        for (number, stream) in streams.iter().enumerate() {
            streams_of_topics[stream.topic].push(number as u32);
        }
        let run = fastrand::Rng::with_seed(seed).u8(..);
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

    /// How long after the end is waited for what has not come, in nanoseconds.
    pub fn grace_ns(&self) -> u64 {
        const GRACE_NS: u64 = 2_000_000_000;
        match self.server.peer.transport {
            Transport::Poll { period_ns } => GRACE_NS + period_ns,
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
    use crate::transport::{HeaderProfile, Protocol};
    use crate::workload::Shape;
    use crate::workload::tests::workload;

    /// One topic with one publisher and one subscriber.
    pub(crate) fn plan(transport: &str) -> Plan {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let peer = Peer {
            authority: address.to_string(),
            path: Protocol::Raw.usual_path().to_owned(),
            headers: HeaderProfile::Minimal,
            transport: transport.parse().expect("a transport"),
            protocol: Protocol::Raw,
        };
        let server = Server { address, peer, sources: None, mss: None };
        Plan::new(workload(1, Shape::Feeds { topics: 1, publishers: 1 }), server, 1)
    }
}
