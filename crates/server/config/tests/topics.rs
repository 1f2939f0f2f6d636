//! The rules of topics.

use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::settings::MaxAge;

use super::*;

#[test]
fn a_history_has_a_documented_bound_in_every_direction() {
    let limits = |history: &str, max_message: &str| {
        let file =
            format!("max_message = \"{max_message}\"\ntopics = [{{ match = \"a\", history = {history} }}]");
        config(&[], &file).unwrap().settings.topics[0].settings.history.unwrap()
    };
    let of = |messages, bytes, max_age_ms| HistoryLimits { messages, bytes, max_age_ms };
    assert_eq!(limits("{ messages = 5 }", "1MiB"), of(5, 8 << 20, None));
    assert_eq!(limits("{ bytes = \"2MiB\" }", "1MiB"), of(1000, 2 << 20, None));
    assert_eq!(limits("{ max_age = \"1m\" }", "1MiB"), of(1000, 8 << 20, Some(60_000)));
    assert_eq!(limits("{ messages = 5 }", "16MiB"), of(5, 16 << 20, None));
}

#[test]
fn a_rule_says_only_what_differs() {
    let config = config(&[], "topics = [{ match = \"a\" }]").unwrap();
    let settings = &config.settings.topics[0].settings;
    assert_eq!((settings.history, settings.last_value, settings.overflow), (None, true, OverflowPolicy::Gap));
}

#[test]
fn a_rule_says_what_slow_subscribers_get_and_may_ask_for() {
    use OverflowPolicy::{Conflate, Disconnect, Gap};
    let config = config(
        &[],
        r#"topics = [
            { match = "a", overflow = "conflate", allow = ["gap", "disconnect"], max_age = "2s" },
            { match = "b", allow = "conflate", max_age = "250ms", max_age_newest = true },
        ]"#,
    )
    .unwrap();
    let [a, b] = config.settings.topics.as_slice() else { panic!("two rules") };
    assert_eq!((a.settings.overflow, &*a.settings.allow), (Conflate, &[Gap, Disconnect][..]));
    assert_eq!(a.settings.max_age, Some(MaxAge { ms: 2_000, newest: false }));
    assert_eq!((b.settings.overflow, &*b.settings.allow), (Gap, &[Conflate][..]));
    assert_eq!(b.settings.max_age, Some(MaxAge { ms: 250, newest: true }));
    let shown = config.to_string();
    assert!(shown.contains("overflow = \"conflate\"\nallow = [\"gap\", \"disconnect\"]\n"), "{shown}");
    assert!(shown.contains("max_age = \"250ms\"\nmax_age_newest = true\n"), "{shown}");
}
