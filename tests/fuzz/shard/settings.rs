//! What holds for the broker: bounds so small that they are met, and a topic of each sort.

use fanwire_broker::Settings;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{TopicRule, TopicSettings};
use fanwire_wire::topic::TopicOrPattern;

pub const BACKLOG_BYTES: usize = 2_000;
pub const HISTORY_MESSAGES: usize = 8;
/// The longest payload: the padding that one octet can ask for, and the number in front of it.
pub const MAX_PAYLOAD_BYTES: usize = 4 * u8::MAX as usize + 21;
/// What gaps may take in a write queue, each topic's in front of some boundary, in bytes.
pub const GAPS_BYTES: usize = 4_096;
pub const EPOCH: &str = "5eed5eed5eed5eed";

/// Kept, kept for a while, kept once, forgotten, and not to be missed; then patterns.
pub const TARGETS: [&str; 11] = [
    "history.a",
    "history.b",
    "ageing.a",
    "none.a",
    "none.b",
    "last.a",
    "strict.a",
    "history.*",
    "none.>",
    "*.a",
    ">",
];
pub const TOPICS: &[&str] = TARGETS.split_at(7).0;

pub fn settings() -> Settings {
    let kept = HistoryLimits { messages: HISTORY_MESSAGES, bytes: usize::MAX, max_age_ms: None };
    let ageing = HistoryLimits { max_age_ms: Some(500), ..kept };
    let rule = |pattern: &str, history, last_value, overflow| TopicRule {
        matches: TopicOrPattern::parse(pattern).expect("a pattern"),
        settings: TopicSettings { history, last_value, overflow, ..TopicSettings::default() },
    };
    Settings {
        topics: vec![
            rule("history.>", Some(kept), true, OverflowPolicy::Gap),
            rule("ageing.>", Some(ageing), false, OverflowPolicy::Gap),
            rule("none.>", None, false, OverflowPolicy::Gap),
            rule("last.>", None, true, OverflowPolicy::Gap),
            rule("strict.>", None, false, OverflowPolicy::Disconnect),
        ],
        backlog_bytes: BACKLOG_BYTES,
        outbox_bytes: 3_000,
        max_topics: 20,
        max_subscriptions: 6,
        ..Settings::default()
    }
}
