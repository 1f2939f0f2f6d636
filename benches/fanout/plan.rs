//! What a round consists of: which targets are measured beside each other, and how.

use crate::target::{
    BATCHED_FLOOR, BATCHED_FLOOR_TLS, BUN, FANWIRE, FANWIRE_BESIDE_SLOW, FANWIRE_FEED, FANWIRE_FROM_JSON,
    FANWIRE_HISTORY, FANWIRE_JSON, FANWIRE_OWN, FANWIRE_SHARED, FANWIRE_TLS, FANWIRE_TWO_CORES, FLOOR,
    FLOOR_TLS, NATS, NCHAN, PEERS, PEERS_COMPRESSED, PEERS_OVER_TLS, TUNGSTENITE, Target, WS,
};
use crate::workload::{
    ALL_TOPICS, ALONE, BURSTS_OVER_TLS, Burst, CONNECTIONS, CONNECTIONS_OVER_TLS, FEEDS, FROM_MANY, HOP,
    IDLE, IDLE_OVER_TLS, INTERLEAVED, MAIN_PAYLOAD_BYTES, MANY_PUBLISHERS, MANY_TOPICS, ONE, ONE_TOPIC,
    ONE_TOPIC_BURSTS, ROUND_ROBIN, Rate, STEADY, Shape, TOGETHER,
};

/// Sessions that are compared with each other.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) sessions: Vec<Session>,
    /// Whether all of them are open at once and take turns, so that what moves the machine moves all of them. The
    /// others have too many connections for that, or are measured by what connecting takes.
    pub(crate) takes_turns: bool,
}

/// One process of a target, and what is measured with it.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) target: Target,
    pub(crate) shape: Shape,
    pub(crate) steps: Vec<Step>,
}

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Throughput, burst after burst.
    Publish(Burst),
    /// Latency at a rate that does not wait.
    PublishAtRate(Rate),
    /// What it takes to connect, and to stay.
    Connect { tls: bool },
    /// The latency of one message after the other, with the publisher at its topic's home and not.
    Hop(Rate),
}

impl Step {
    /// What the others are compared with: one send per message is the floor of single messages, one send per turn that
    /// of bursts.
    pub(crate) fn floor(self) -> Target {
        match self {
            Self::Publish(Burst { in_flight: 2.., tls: false, .. }) => BATCHED_FLOOR,
            Self::Publish(Burst { in_flight: 2.., tls: true, .. }) => BATCHED_FLOOR_TLS,
            Self::Publish(Burst { tls: true, .. }) | Self::Connect { tls: true } => FLOOR_TLS,
            _ => FLOOR,
        }
    }

    /// The Fanwire that others are compared with.
    pub(crate) fn fanwire(self) -> Target {
        match self {
            Self::Publish(Burst { tls: true, .. }) | Self::Connect { tls: true } => FANWIRE_TLS,
            Self::Publish(Burst { is_feed: true, .. }) => FANWIRE_FEED,
            _ => FANWIRE,
        }
    }

    /// A burst of the messages that it publishes.
    pub(crate) fn burst(self) -> Burst {
        match self {
            Self::Publish(burst) => burst,
            Self::PublishAtRate(rate) | Self::Hop(rate) => {
                Burst { name: rate.name, in_flight: 1, payload_bytes: rate.payload_bytes, ..ONE }
            }
            Self::Connect { .. } => ONE,
        }
    }

    /// Whether a round takes it once, and not in every slice.
    pub(crate) fn is_once(self) -> bool {
        matches!(self, Self::Connect { .. })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Publish(burst) => burst.name,
            Self::PublishAtRate(rate) | Self::Hop(rate) => rate.name,
            Self::Connect { tls: false } => CONNECTIONS,
            Self::Connect { tls: true } => CONNECTIONS_OVER_TLS,
        }
    }
}

/// The name of the series whose messages take a hop from the publisher's core to the subscriber's.
pub(crate) const ONE_HOP: &str = "Fanwire, 2 cores, one hop";
/// And of the one whose messages take none.
pub(crate) const NO_HOP: &str = "Fanwire, 2 cores, no hop";

/// Everything that is measured.
pub(crate) fn all() -> Vec<Group> {
    let with_peers = |own: &[Target]| [own, PEERS].concat();
    let mut interleaved = sessions(&[FANWIRE_JSON, NATS], ONE_TOPIC, &bursts(&[TOGETHER]));
    interleaved.extend(sessions(&[FANWIRE_JSON, NATS], ALL_TOPICS, &bursts(&[INTERLEAVED])));
    let from_many = [BATCHED_FLOOR, FANWIRE_FROM_JSON, BUN, TUNGSTENITE, WS, NATS, NCHAN];
    let many_topics = [BATCHED_FLOOR, FANWIRE, BUN, TUNGSTENITE, WS, NATS, NCHAN];
    let latency = [Step::PublishAtRate(STEADY)];
    let mut groups: Vec<Group> = ONE_TOPIC_BURSTS.iter().map(|&burst| one_topic(burst)).collect();
    groups.extend(BURSTS_OVER_TLS.iter().map(|&burst| over_tls(burst)));
    groups.extend(FEEDS.iter().map(|&burst| compressed(burst)));
    groups.extend([
        Group { sessions: interleaved, takes_turns: true },
        Group { sessions: sessions(&from_many, MANY_PUBLISHERS, &bursts(&[FROM_MANY])), takes_turns: true },
        Group {
            sessions: sessions(&with_peers(&[FLOOR, FANWIRE, FANWIRE_BESIDE_SLOW]), ONE_TOPIC, &latency),
            takes_turns: true,
        },
        Group { sessions: sessions(&many_topics, MANY_TOPICS, &bursts(&[ROUND_ROBIN])), takes_turns: false },
        Group {
            sessions: sessions(&with_peers(&[FLOOR, FANWIRE]), IDLE, &[Step::Connect { tls: false }]),
            takes_turns: false,
        },
        Group {
            sessions: sessions(
                &[&[FLOOR_TLS, FANWIRE_TLS], PEERS_OVER_TLS].concat(),
                IDLE_OVER_TLS,
                &[Step::Connect { tls: true }],
            ),
            takes_turns: false,
        },
        Group { sessions: sessions(&[FANWIRE_TWO_CORES], ALONE, &[Step::Hop(HOP)]), takes_turns: true },
    ]);
    groups
}

/// Each burst has connections of its own: a socket remembers the sizes that it has seen, and acknowledges small messages
/// otherwise when it has had large ones. That moved a third of the CPU from the client to the target, or back.
fn one_topic(burst: Burst) -> Group {
    let mut targets = [&[FLOOR, BATCHED_FLOOR, FANWIRE], PEERS].concat();
    if burst.payload_bytes == MAIN_PAYLOAD_BYTES {
        targets.extend([FANWIRE_JSON, FANWIRE_HISTORY, FANWIRE_TWO_CORES]);
    }
    Group { sessions: sessions(&targets, ONE_TOPIC, &bursts(&[burst])), takes_turns: true }
}

/// The same for those that speak TLS.
fn over_tls(burst: Burst) -> Group {
    let targets = [&[FLOOR_TLS, BATCHED_FLOOR_TLS, FANWIRE_TLS], PEERS_OVER_TLS].concat();
    Group { sessions: sessions(&targets, ONE_TOPIC, &bursts(&[burst])), takes_turns: true }
}

/// A feed as it is, compressed once for all, and compressed for each subscriber.
fn compressed(burst: Burst) -> Group {
    let targets = [&[FANWIRE_FEED, FANWIRE_SHARED, FANWIRE_OWN], PEERS_COMPRESSED].concat();
    Group { sessions: sessions(&targets, ONE_TOPIC, &bursts(&[burst])), takes_turns: true }
}

/// What everything is called, a line each.
pub(crate) fn names() -> String {
    let plan = all();
    let sessions = || plan.iter().flat_map(|group| &group.sessions);
    let targets = sessions().map(|session| session.target.name);
    let workloads = sessions().flat_map(|session| &session.steps).map(|step| step.name());
    let mut names: Vec<&str> = targets.chain(workloads).collect();
    names.sort_unstable();
    names.dedup();
    names.join("\n")
}

fn sessions(targets: &[Target], shape: Shape, steps: &[Step]) -> Vec<Session> {
    targets.iter().map(|&target| Session { target, shape, steps: steps.to_vec() }).collect()
}

fn bursts(bursts: &[Burst]) -> Vec<Step> {
    bursts.iter().copied().map(Step::Publish).collect()
}
