//! How a broker is set that is to be compared over several transports.

use crate::transport::Transport;
use crate::units::{Count, Period, Rate, Size};
use crate::workload::Workload;

/// What a broker is to carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Messages a second, of all publishers.
    pub rate: Rate,
    /// Messages that are due at the same moment.
    pub burst: Count,
    /// Payload octets of a message.
    pub size: Size,
    /// Topics.
    pub topics: Count,
    /// The longest time between two polls; zero, if one follows the other; none, if nobody polls.
    pub poll_period: Option<Period>,
}

/// Polls find what came since the last one: for at least as long as this, and as two polls.
const LEAST_KEPT: Period = Period::from_secs(10);

/// More than the broker counts for a message beside its payload: names, and what it is kept in.
const OVERHEAD_BYTES: u64 = 512;

/// The age of a message is looked at now and then only, and a poll may be late.
const AGE_MARGIN_S: u64 = 5;

const MIB: u64 = 1 << 20;
/// The broker's own bounds on the size of a message and of a history.
const MAX_MESSAGE_BYTES: u64 = 64 * MIB;
const MAX_HISTORY_MESSAGES: u64 = 1_000_000_000;
const MAX_HISTORY_BYTES: u64 = 1 << 40;

impl Load {
    /// What a workload is over all of the transports, one after the other.
    pub fn new(workload: &Workload, transports: &[Transport]) -> Self {
        let periods = transports.iter().filter_map(|transport| match *transport {
            Transport::Poll { period } => Some(period),
            Transport::LongPoll => Some(Period::default()),
            Transport::WebSocket { .. } | Transport::EventStream => None,
        });
        Self {
            rate: Rate::from_thousandths((workload.rate * 1_000.0).ceil() as u64),
            burst: Count(workload.burst as u64),
            size: Size(workload.size as u64),
            topics: Count(workload.topics() as u64),
            poll_period: periods.max(),
        }
    }

    /// A configuration file for Fanwire: every topic keeps what polls may still ask for, a burst fits into the backlog,
    /// and compression can be had; all else is as it is shipped.
    pub(super) fn configuration(&self) -> String {
        let max_message = (2 * self.bytes_of_each()).clamp(MIB, MAX_MESSAGE_BYTES);
        let backlog = self.burst.0.saturating_mul(2 * self.bytes_of_each()).clamp(MIB, 256 * MIB);
        let max_topics = self.topics.0.max(1_000_000);
        let max_subscriptions = self.topics.0.max(10_000);
        let history = self.poll_period.map(|period| self.history(period, max_message)).unwrap_or_default();
        format!(
            "compression = true\n\
             drain = \"500ms\"\n\
             max_message = {max_message}\n\
             backlog = {backlog}\n\
             max_topics = {max_topics}\n\
             max_subscriptions = {max_subscriptions}\n\
             \n\
             [timeouts]\n\
             idle_http = \"1h\"\n\
             \n\
             [log]\n\
             level = \"warn\"\n\
             {history}"
        )
    }

    /// The topics together keep no more than the load of that time, however many they are, since what is older goes.
    fn history(&self, poll_period: Period, max_message: u64) -> String {
        let kept = LEAST_KEPT.max(Period::from_ns(poll_period.ns().saturating_mul(2)));
        let messages = self.rate.within(kept).saturating_add(self.burst.0).clamp(1_000, MAX_HISTORY_MESSAGES);
        let bytes = messages.saturating_mul(self.bytes_of_each()).clamp(max_message, MAX_HISTORY_BYTES);
        let max_age_s = kept.ns().div_ceil(1_000_000_000) + AGE_MARGIN_S;
        format!(
            "\n\
             [[topics]]\n\
             match = \">\"\n\
             history = {{ messages = {messages}, bytes = {bytes}, max_age = \"{max_age_s}s\" }}\n"
        )
    }

    fn bytes_of_each(&self) -> u64 {
        self.size.0.saturating_add(OVERHEAD_BYTES).min(MAX_MESSAGE_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use fanwire::config::{Config, Invocation};
    use proptest::prelude::*;

    use super::*;

    fn config(load: &Load) -> Config {
        let file = std::env::temp_dir().join(format!("loadtest-settings-{}.toml", std::process::id()));
        fs::write(&file, load.configuration()).unwrap();
        let invocation = Config::from_args(["fanwire", "--config", file.to_str().unwrap()]);
        fs::remove_file(&file).unwrap();
        match invocation {
            Ok(Invocation::Run(config)) => *config,
            other => panic!("{other:?}\n{}", load.configuration()),
        }
    }

    #[test]
    fn the_slowest_polls_decide_what_is_kept() {
        let workload = crate::workload::tests::workload(10, crate::workload::Shape::Rooms(3));
        let kept = |names: &str| {
            let transports: Vec<_> = names.split(',').map(|name| name.parse().unwrap()).collect();
            Load::new(&workload, &transports).poll_period
        };
        assert_eq!(kept("ws,poll:1s,poll:100ms,longpoll"), Some(Period::from_secs(1)));
        assert_eq!(kept("ws,longpoll"), Some(Period::from_ns(0)));
        assert_eq!(kept("ws,sse"), None);
        assert_eq!(Load::new(&workload, &[]).topics, Count(3));
    }

    proptest! {
        #[test]
        fn the_broker_takes_it_and_keeps_what_polls_may_ask_for(
            rate in 1..1_000_000_u64,
            burst in 1..10_000_u64,
            size in 20..1_000_000_u64,
            topics in 1..100_000_u64,
            poll_s in 0..60_u64,
        ) {
            let load = Load {
                rate: Rate::from_thousandths(rate * 1_000),
                burst: Count(burst),
                size: Size(size),
                topics: Count(topics),
                poll_period: Some(Period::from_secs(poll_s)),
            };
            let nobody_polls = config(&Load { poll_period: None, ..load });
            prop_assert!(nobody_polls.settings.topics.is_empty());
            let config = config(&load);
            let settings = &config.settings;
            let history = settings.topics[0].settings.history.unwrap();
            prop_assert!(history.messages as u64 >= rate * (2 * poll_s).max(10));
            prop_assert!(history.bytes as u64 >= (history.messages as u64 * (size + 192)).min(1 << 40));
            prop_assert!(settings.backlog_bytes as u64 >= (burst * size).min(256 << 20));
            prop_assert!(settings.max_message_bytes as u64 > size);
            prop_assert!(settings.max_subscriptions as u64 >= topics);
            prop_assert!(config.compression);
        }
    }
}
