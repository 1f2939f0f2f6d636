//! What an operator decides about topics, and the bounds of a broker.

use fanwire_wire::topic::TopicOrPattern;

use crate::history::HistoryLimits;
use crate::last_values::KeyLimits;
use crate::message_ids::MessageIdLimits;
use crate::overflow::OverflowPolicy;

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
    /// The bound on the subscriptions of one connection.
    pub max_subscriptions: usize,
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
            max_subscriptions: 10_000,
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
    /// What happens when a subscriber's write queue is full.
    pub overflow: OverflowPolicy,
}

/// What holds for topics that no rule matches.
const UNCONFIGURED: TopicSettings = TopicSettings {
    history: None,
    last_value: true,
    keys: None,
    message_ids: None,
    atomic: false,
    overflow: OverflowPolicy::Gap,
};

impl Default for TopicSettings {
    fn default() -> Self {
        UNCONFIGURED
    }
}

impl TopicSettings {
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
}
