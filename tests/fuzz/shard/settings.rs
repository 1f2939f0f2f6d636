//! What holds for the broker: bounds so small that they are met, and a topic of each sort.

use fanwire_broker::Settings;
use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::{MaxAge, TopicRule, TopicSettings};
use fanwire_wire::topic::TopicOrPattern;

pub const BACKLOG_BYTES: usize = 2_000;
pub const HISTORY_MESSAGES: usize = 8;
/// The longest payload: the padding that one octet can ask for, and the number in front of it.
pub const MAX_PAYLOAD_BYTES: usize = 4 * u8::MAX as usize + 21;
/// What gaps may take in a write queue, each topic's in front of some boundary, in bytes.
pub const GAPS_BYTES: usize = 4_096;
pub const EPOCH: &str = "5eed5eed5eed5eed";
/// Of each topic that has ids: all are known, so that a repeat is one however late.
pub const MESSAGE_IDS: u8 = 8;
/// Snapshots are whole.
const EVERY_KEY: KeyLimits = KeyLimits { max: usize::MAX, bytes: usize::MAX };

/// Kept, kept for a while, kept once, forgotten, and not to be missed; conflated by key, and by age too; with ids; and
/// published together. Then patterns.
#[rustfmt::skip]
pub const TARGETS: [&str; 21] = [
    "history.a", "history.b", "ageing.a", "none.a", "none.b", "last.a", "strict.a", "keyed.a", "keyed.b", "fresh.a", "brief.a",
    "known.a", "tick.a", "tick.b", "tick.c", "history.*", "none.>", "*.a", ">", "keyed.*", "tick.*",
];
pub const TOPICS: &[&str] = TARGETS.split_at(15).0;
pub const TOGETHER: &[&str] = TOPICS.split_at(12).1;

/// Whether the topic's row is never forgotten, and is in snapshots.
pub fn keeps_values(topic: &str) -> bool {
    ["history.", "last.", "keyed.", "fresh.", "tick."].iter().any(|kept| topic.starts_with(kept))
}

/// Whether it has a value for each key. The others have one, whatever its key.
pub fn keeps_keys(topic: &str) -> bool {
    topic.starts_with("keyed.") || topic.starts_with("tick.")
}

/// Whether repeats are known on the topic.
pub fn knows_ids(topic: &str) -> bool {
    topic.starts_with("known.") || topic.starts_with("tick.")
}

pub fn settings() -> Settings {
    let kept = HistoryLimits { messages: HISTORY_MESSAGES, bytes: usize::MAX, max_age_ms: None };
    let ageing = HistoryLimits { max_age_ms: Some(500), ..kept };
    let rule = |pattern: &str, settings| TopicRule {
        matches: TopicOrPattern::parse(pattern).expect("a pattern"),
        settings,
    };
    let (gap, conflate) = (OverflowPolicy::Gap, OverflowPolicy::Conflate);
    let of = |history, last_value, overflow| TopicSettings {
        history,
        last_value,
        overflow,
        allow: OverflowPolicy::ALL.to_vec(),
        ..TopicSettings::default()
    };
    let strictly = |settings| TopicSettings { allow: Vec::new(), ..settings };
    let max_age = |newest| Some(MaxAge { ms: 50, newest });
    let (keys, message_ids) =
        (Some(EVERY_KEY), Some(MessageIdLimits { max: usize::MAX, max_age_ms: u64::MAX }));
    let together = of(Some(kept), true, gap);
    Settings {
        topics: vec![
            rule("history.>", of(Some(kept), true, gap)),
            rule("ageing.>", of(Some(ageing), false, gap)),
            rule("none.>", of(None, false, gap)),
            rule("last.>", strictly(of(None, true, gap))),
            rule("strict.>", strictly(of(None, false, OverflowPolicy::Disconnect))),
            rule("keyed.>", TopicSettings { keys, ..of(None, true, conflate) }),
            rule("fresh.>", TopicSettings { max_age: max_age(false), ..of(Some(kept), true, conflate) }),
            rule("brief.>", TopicSettings { max_age: max_age(true), ..of(None, false, conflate) }),
            rule("known.>", TopicSettings { message_ids, ..of(None, false, gap) }),
            rule(
                "tick.>",
                TopicSettings {
                    atomic: true,
                    allow: vec![OverflowPolicy::Disconnect],
                    keys,
                    message_ids,
                    ..together
                },
            ),
        ],
        backlog_bytes: BACKLOG_BYTES,
        chunk_bytes: 700,
        outbox_bytes: 3_000,
        max_topics: 40,
        max_subscriptions: 12,
        ..Settings::default()
    }
}
