//! What every renderer computes of a record, computed once.

use crate::record::{Layers, Measured, Series};
use crate::transport::Transport;
use crate::units::Period;

/// Octets for each delivered message, in the four layers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerDelivery {
    /// The payload.
    pub payload: f64,
    /// With frames, headers, requests and events.
    pub application: f64,
    /// With retransmissions.
    pub tcp: f64,
    /// With the headers of all segments.
    pub ip: f64,
}

impl PerDelivery {
    /// Of what was counted; none when nothing was delivered meanwhile.
    pub fn of(layers: &Layers) -> Option<Self> {
        let each = |octets: u64| octets as f64 / layers.deliveries as f64;
        (layers.deliveries > 0).then(|| Self {
            payload: each(layers.payload),
            application: each(layers.application),
            tcp: each(layers.tcp),
            ip: each(layers.ip),
        })
    }

    /// What each layer adds, from the payload outwards. They add up to [`ip`](Self::ip).
    ///
    /// A compressed payload is smaller on the wire than it is: then the first part is all that the
    /// application wrote.
    pub fn parts(&self) -> [f64; 4] {
        let payload = self.payload.min(self.application);
        [
            payload,
            self.application - payload,
            (self.tcp - self.application).max(0.0),
            (self.ip - self.tcp.max(self.application)).max(0.0),
        ]
    }

    /// Whether the payload was compressed to less than it is.
    pub fn is_compressed(&self) -> bool {
        self.application < self.payload
    }
}

/// The broker's CPU time for each delivered message, in nanoseconds; none when its process or a delivery is
/// missing.
pub fn broker_cpu(measured: &Measured) -> Option<f64> {
    let broker = measured.broker.filter(|_| measured.counts.delivered > 0)?;
    Some(broker.cpu_ns as f64 / measured.counts.delivered as f64)
}

/// The share of its processors that the generator used; none when that was not measured.
pub fn generator_load(measured: &Measured) -> Option<f64> {
    let available = measured.generator.wall_ns as f64 * measured.generator_cores as f64;
    (available > 0.0).then(|| measured.generator.cpu_ns as f64 / available)
}

/// Messages that were sent in a second, of those that were due; none when none was due.
pub fn achieved_rate(series: &Series) -> Option<f64> {
    let counts = series.merged.counts;
    (counts.due > 0).then(|| series.rate * counts.sent as f64 / counts.due as f64)
}

/// How often a transport polls; none for one that does not.
pub fn poll_period(transport: &str) -> Option<Period> {
    match transport.parse() {
        Ok(Transport::Poll { period }) => Some(period),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_parts_of_the_octets_add_up(payload in 0_u64..9_999, sizes in prop::array::uniform3(0_u64..9_999)) {
            let [application, retransmitted, headers] = sizes;
            let tcp = application + retransmitted;
            let layers = Layers { deliveries: 7, payload, application, tcp, ip: tcp + headers, segments: 0 };
            let each = PerDelivery::of(&layers).expect("seven deliveries");
            let parts = each.parts();
            prop_assert!(parts.iter().all(|&part| part >= 0.0));
            prop_assert!((parts.iter().sum::<f64>() - each.ip).abs() < 1e-6);
        }
    }

    #[test]
    fn only_polls_have_a_period() {
        assert_eq!(poll_period("poll:1.5s"), Some(Period::from_ms(1_500)));
        for transport in ["poll:1", "poll:x", "longpoll", "ws"] {
            assert_eq!(poll_period(transport), None, "{transport}");
        }
    }

    #[test]
    fn a_compressed_payload_is_no_negative_frame() {
        let layers =
            Layers { deliveries: 1, payload: 1_000, application: 300, tcp: 300, ip: 340, segments: 1 };
        let each = PerDelivery::of(&layers).expect("one delivery");
        assert!(each.is_compressed());
        assert_eq!(each.parts().map(|part| part as u64), [300, 0, 0, 40]);
    }
}
