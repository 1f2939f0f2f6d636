//! What an operator decides about topics, and the bounds of a broker.

use fanwire_wire::topic::TopicOrPattern;

use crate::history::HistoryLimits;
use crate::last_values::KeyLimits;
use crate::message_ids::MessageIdLimits;
use crate::overflow::OverflowPolicy;
use crate::patterns::{covers, overlaps};

/// The bounds and per-topic rules of a broker, the same on every core.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rules by topic; the first that matches a topic holds for it.
    pub topics: Vec<TopicRule>,
    /// The bound on one connection's write queue, in bytes as [`Message::bytes`](crate::Message::bytes) counts them.
    pub backlog_bytes: usize,
    /// The bound on one message, in bytes; told to clients in `welcome`.
    pub max_message_bytes: usize,
    /// The bound on the topics that all cores together keep a row for.
    pub max_topics: usize,
    /// The bound on the patterns that are subscribed to, of which each core's connections have their share.
    pub max_patterns: usize,
    /// The bound on the subscriptions of one connection.
    pub max_subscriptions: usize,
    /// Payloads below this many bytes are sent as they are, also where permessage-deflate was negotiated.
    pub deflate_above_bytes: usize,
    /// How much of history is read at a time for a connection that catches up, in bytes; at least one message.
    pub chunk_bytes: usize,
    /// An outbox to another core at or above this many bytes stops the reading of what feeds it.
    pub outbox_bytes: usize,
    /// A core that has drained nothing for this long, in milliseconds, is stalled.
    pub stalled_after_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            backlog_bytes: 256 * 1024,
            max_message_bytes: fanwire_wire::limits::DEFAULT_MAX_MESSAGE_BYTES,
            max_topics: 1_000_000,
            max_patterns: 100_000,
            max_subscriptions: 10_000,
            deflate_above_bytes: fanwire_wire::limits::MIN_DEFLATE_PAYLOAD_BYTES,
            chunk_bytes: 64 * 1024,
            outbox_bytes: 1024 * 1024,
            stalled_after_ms: 1_000,
        }
    }
}

/// What holds for the topics that `matches` names.
#[derive(Clone, Debug)]
pub struct TopicRule {
    /// A topic or a pattern.
    pub matches: TopicOrPattern,
    /// What holds for them.
    pub settings: TopicSettings,
}

/// What holds for one topic.
#[derive(Clone, Debug)]
pub struct TopicSettings {
    /// The messages kept for subscribers that come back or fall behind; `None` keeps none.
    pub history: Option<HistoryLimits>,
    /// Whether the latest message is kept for `GET /topics/{topic}`, whatever the history's bounds say.
    pub last_value: bool,
    /// The last values kept by key; with them the latest message is kept, whatever `last_value` says. `None` keeps none
    /// beside the latest message.
    pub keys: Option<KeyLimits>,
    /// The window in which a repeated message id is known; `None` knows none.
    pub message_ids: Option<MessageIdLimits>,
    /// Whether the topics that the rule matches share one home, so that messages of several can be published together.
    pub atomic: bool,
    /// What it costs a subscriber that it does not keep up, if it asks for nothing.
    pub overflow: OverflowPolicy,
    /// The policies that a subscriber may ask for beside that.
    pub allow: Vec<OverflowPolicy>,
    /// The age above which a message is not sent to a subscriber that does not keep up.
    pub max_age: Option<MaxAge>,
}

/// A bound on the age of what is sent to subscribers that do not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    /// The age, in milliseconds.
    pub ms: u64,
    /// Whether it holds for the newest value of a key too: then nothing older is ever sent.
    pub newest: bool,
}

impl Default for TopicSettings {
    /// What holds for topics that no rule matches: they keep their latest message, and tell gaps.
    fn default() -> Self {
        UNCONFIGURED.clone()
    }
}

/// What holds for topics that no rule matches.
static UNCONFIGURED: TopicSettings = TopicSettings {
    history: None,
    last_value: true,
    keys: None,
    message_ids: None,
    atomic: false,
    overflow: OverflowPolicy::Gap,
    allow: Vec::new(),
    max_age: None,
};

impl TopicSettings {
    /// Whether a topic has last values, of which a snapshot is made.
    pub(crate) const fn keeps_values(&self) -> bool {
        self.last_value || self.keys.is_some()
    }

    /// Whether anything of a topic is let go by age alone.
    pub(crate) fn age(&self) -> bool {
        self.message_ids.is_some() || self.history.is_some_and(|history| history.max_age_ms.is_some())
    }
}

impl Settings {
    /// What holds for `topic`.
    pub fn of_topic(&self, topic: &str) -> &TopicSettings {
        self.topics
            .iter()
            .find(|rule| rule.matches.matches(topic))
            .map_or(&UNCONFIGURED, |rule| &rule.settings)
    }

    /// Whether a subscription to `target` may ask for the policy: every topic that it can match has to allow it.
    pub fn allows(&self, target: &TopicOrPattern, policy: OverflowPolicy) -> bool {
        let allows =
            |settings: &TopicSettings| settings.overflow == policy || settings.allow.contains(&policy);
        for TopicRule { matches, settings } in &self.topics {
            if overlaps(matches, target) && !allows(settings) {
                return false;
            }
            if covers(matches, target) {
                return true;
            }
        }
        allows(&UNCONFIGURED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rules: &[(&str, OverflowPolicy, &[OverflowPolicy])]) -> Settings {
        let rule = |(matches, overflow, allow): &(&str, OverflowPolicy, &[OverflowPolicy])| TopicRule {
            matches: TopicOrPattern::parse(matches).expect("tests use good patterns"),
            settings: TopicSettings {
                overflow: *overflow,
                allow: allow.to_vec(),
                ..TopicSettings::default()
            },
        };
        Settings { topics: rules.iter().map(rule).collect(), ..Settings::default() }
    }

    #[test]
    fn a_policy_is_allowed_where_every_topic_that_can_match_allows_it() {
        use OverflowPolicy::{Conflate, Disconnect, Gap};
        let settings = settings(&[
            ("prices.fixed", Gap, &[]),
            ("prices.>", Conflate, &[Gap]),
            ("chat.*", Gap, &[Disconnect, Conflate]),
        ]);
        let allows = |target: &str, policy| {
            settings.allows(&TopicOrPattern::parse(target).expect("tests use good patterns"), policy)
        };
        assert!(allows("prices.a", Conflate) && allows("prices.a", Gap) && !allows("prices.a", Disconnect));
        assert!(allows("prices.fixed", Gap) && !allows("prices.fixed", Conflate), "the first rule holds");
        assert!(!allows("prices.*", Conflate), "prices.fixed is among them");
        assert!(allows("prices.>", Gap) && allows("prices.*.*", Conflate));
        assert!(allows("chat.*", Conflate) && allows("*.x", Gap) && !allows("*.x", Conflate));
        assert!(!allows("chat.>", Disconnect) && allows("chat.>", Gap), "chat.a.b has no rule");
        assert!(allows("other", Gap) && !allows("other", Conflate));
    }
}
