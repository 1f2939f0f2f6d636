//! What Fanwire is to reach, and whether it did.

use crate::plan::{NO_HOP, ONE_HOP};
use crate::sample::{Metric, Of, Samples};
use crate::statistics::{Estimate, Verdict, difference, estimate, ratio};
use crate::target::{
    BATCHED_FLOOR, BATCHED_FLOOR_TLS, BUN, FANWIRE, FANWIRE_BESIDE_SLOW, FANWIRE_JSON, FANWIRE_TLS,
    FANWIRE_TWO_CORES, FLOOR, FLOOR_TLS, PEERS, PEERS_OVER_TLS, Target,
};
use crate::workload::{
    CONNECTIONS, CONNECTIONS_OVER_TLS, HOP, INTERLEAVED, ONE, ONE_OVER_TLS, SIXTEEN, SIXTEEN_OVER_TLS,
    SIXTY_FOUR, SIXTY_FOUR_OVER_TLS, STEADY, TOGETHER,
};

/// A bound for a figure, mostly as a ratio to another one.
pub(crate) struct Goal {
    pub(crate) name: String,
    of: Of,
    than: Than,
    bound: Bound,
}

/// What the figure is compared with.
enum Than {
    Times(Of),
    Plus(Of),
    Nothing,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// A goal's figure.
pub(crate) struct Outcome {
    pub(crate) bound: String,
    pub(crate) estimate: Estimate,
    pub(crate) verdict: Verdict,
}

use Bound::{AtLeast, AtMost};
use Metric::{
    BytesPerConnection, CpuNsPerDelivery, CpuUsPerHandshake, DeliveriesPerSecond, LatencyP50Us, LatencyP99Us,
};

const fn of(workload: &'static str, target: Target, metric: Metric) -> Of {
    Of { workload, target: target.name, metric }
}

/// Fanwire's figure beside another target's.
fn beside(workload: &'static str, metric: Metric, other: Target, bound: Bound) -> Goal {
    let fanwire = if other.speaks_tls() { FANWIRE_TLS } else { FANWIRE };
    let (figure, than) = (of(workload, fanwire, metric), of(workload, other, metric));
    let name = format!("{}, {workload}, x {}", metric.name(), other.name);
    Goal { name, of: figure, than: Than::Times(than), bound }
}

pub(crate) fn all() -> Vec<Goal> {
    let mut goals = vec![
        beside(ONE.name, DeliveriesPerSecond, FLOOR, AtLeast(0.95)),
        beside(SIXTEEN.name, DeliveriesPerSecond, BATCHED_FLOOR, AtLeast(0.95)),
        beside(SIXTY_FOUR.name, DeliveriesPerSecond, BATCHED_FLOOR, AtLeast(0.90)),
        beside(SIXTY_FOUR.name, DeliveriesPerSecond, BUN, AtLeast(1.3)),
        beside(ONE.name, CpuNsPerDelivery, FLOOR, AtMost(1.08)),
        beside(SIXTY_FOUR.name, CpuNsPerDelivery, BATCHED_FLOOR, AtMost(1.15)),
        beside(CONNECTIONS, CpuUsPerHandshake, FLOOR, AtMost(1.15)),
    ];
    for &peer in PEERS {
        goals.push(beside(ONE.name, DeliveriesPerSecond, peer, AtLeast(1.0)));
        goals.push(beside(SIXTEEN.name, DeliveriesPerSecond, peer, AtLeast(1.0)));
        goals.push(beside(STEADY.name, LatencyP99Us, peer, AtMost(1.0)));
    }
    goals.extend([
        beside(ONE_OVER_TLS.name, CpuNsPerDelivery, FLOOR_TLS, AtMost(1.15)),
        beside(SIXTY_FOUR_OVER_TLS.name, CpuNsPerDelivery, BATCHED_FLOOR_TLS, AtMost(1.15)),
    ]);
    for &peer in PEERS_OVER_TLS {
        goals.push(beside(ONE_OVER_TLS.name, DeliveriesPerSecond, peer, AtLeast(1.0)));
        goals.push(beside(SIXTEEN_OVER_TLS.name, DeliveriesPerSecond, peer, AtLeast(1.0)));
        goals.push(beside(CONNECTIONS_OVER_TLS, BytesPerConnection, peer, AtMost(1.0)));
    }
    goals.extend(of_fanwire_alone());
    goals
}

fn of_fanwire_alone() -> [Goal; 5] {
    let interleaved = of(INTERLEAVED.name, FANWIRE_JSON, CpuNsPerDelivery);
    let two_cores = of(SIXTY_FOUR.name, FANWIRE_TWO_CORES, CpuNsPerDelivery);
    let hop = |target| Of { workload: HOP.name, target, metric: LatencyP50Us };
    [
        Goal {
            name: "p99 µs beside slow readers, x without them".to_owned(),
            of: of(STEADY.name, FANWIRE_BESIDE_SLOW, LatencyP99Us),
            than: Than::Times(of(STEADY.name, FANWIRE, LatencyP99Us)),
            bound: AtMost(1.1),
        },
        Goal {
            name: "resident bytes of an idle subscriber".to_owned(),
            of: of(CONNECTIONS, FANWIRE, BytesPerConnection),
            than: Than::Nothing,
            bound: AtMost(400.0),
        },
        Goal {
            name: "CPU ns per delivery, 20 interleaved topics, x one topic".to_owned(),
            of: interleaved,
            than: Than::Times(of(TOGETHER.name, FANWIRE_JSON, CpuNsPerDelivery)),
            bound: AtMost(1.25),
        },
        Goal {
            name: "CPU ns per delivery, two cores, x one core".to_owned(),
            of: two_cores,
            than: Than::Times(of(SIXTY_FOUR.name, FANWIRE, CpuNsPerDelivery)),
            bound: AtMost(1.15),
        },
        Goal {
            name: "p50 µs that a hop between cores adds".to_owned(),
            of: hop(ONE_HOP),
            than: Than::Plus(hop(NO_HOP)),
            bound: AtMost(30.0),
        },
    ]
}

impl Goal {
    /// How it came out; `None` if it was not measured.
    pub(crate) fn outcome(&self, samples: &Samples) -> Option<Outcome> {
        let values = samples.series(self.of);
        let estimate = match self.than {
            Than::Times(than) => ratio(&values, &samples.series(than)),
            Than::Plus(than) => difference(&values, &samples.series(than)),
            Than::Nothing => estimate(&values),
        }?;
        let (bound, verdict) = match self.bound {
            AtLeast(bound) => (format!("≥ {bound}"), estimate.is_at_least(bound)),
            AtMost(bound) => (format!("≤ {bound}"), estimate.is_at_most(bound)),
        };
        Some(Outcome { bound, estimate, verdict })
    }
}
