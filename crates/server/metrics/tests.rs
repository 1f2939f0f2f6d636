//! What the page of figures has.

use std::collections::BTreeMap;

use fanwire_broker::Pressure;

use super::*;
use crate::config::Limits;

fn metrics(cores: usize) -> Metrics {
    let limits = Limits {
        memory: Some(101),
        history_memory: Some(102),
        backlog_memory: Some(103),
        context_memory: Some(104),
        ..Limits::default()
    };
    Metrics::new(cores, Budget::new(&limits, 105))
}

/// The samples of a page, by name with labels. Panics where the page is not `OpenMetrics` text: every family
/// described before its samples, none twice, counters ending in `_total`, an end mark.
fn samples(page: &str) -> BTreeMap<String, u64> {
    let body = page.strip_suffix("# EOF\n").expect("an end mark");
    let (mut families, mut samples) = (BTreeMap::new(), BTreeMap::new());
    let mut described = "";
    for line in body.lines() {
        if let Some(description) = line.strip_prefix("# ") {
            let (kind, rest) = description.split_once(' ').unwrap();
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(!text.is_empty(), "{line}");
            match kind {
                "HELP" => described = name,
                "TYPE" => assert_eq!(families.insert(name, text), None, "{name} is described twice"),
                "UNIT" => assert!(name.ends_with(&format!("_{text}")), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, described, "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = sample.split_once('{').unwrap_or((sample, ""));
        let is_of_all = name.contains("_limit") || name.contains("_log_");
        assert!(is_of_all || labels.starts_with("core=\"") && labels.ends_with("\"}"), "{line}");
        let suffix = name.strip_prefix(described).expect("a sample of the family that was described");
        assert_eq!(suffix, if families[described] == "counter" { "_total" } else { "" }, "{line}");
        assert!(name.starts_with("fanwire_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        assert_eq!(
            samples.insert(sample.to_owned(), value.parse().unwrap()),
            None,
            "{sample} is there twice"
        );
    }
    samples
}

#[test]
fn every_figure_is_rendered_under_its_own_name_and_core() {
    let metrics = metrics(2);
    let core = metrics.core(1);
    (0..19).for_each(|_| core.add_turn());
    core.add_handshake();
    (0..2).for_each(|_| core.add_message_in());
    core.add_bytes_in(3);
    core.add_bytes_out(4);
    (0..5).for_each(|_| core.add_accept_error());
    core.add_throttled_read();
    (0..19).for_each(|_| core.add_context_refusal());
    core.set_contexts(20, 21);
    core.set_connections(6);
    core.set_memory(23);
    (0..17).for_each(|_| core.add_tls_handshake(true, false));
    (0..18).for_each(|_| core.add_tls_handshake(false, true));
    core.set_mailbox_depth((7, 8));
    let [_, own, kernel, histories] = Pressure::ALL;
    core.set_shortage(Shortage { own, kernel, histories, backlogs: own });
    core.set_shard(&Counters {
        deliveries: 9,
        messages_published: 10,
        backlog_bytes: 11,
        topics: 12,
        subscriptions: 13,
        event_streams: 14,
        polls: 15,
        messages_skipped: 16,
        kept_bytes: 17,
        compressions: 22,
        reply_bytes: 0,
    });
    let expected = [
        ("fanwire_turns_total{core=\"1\"}", 19),
        ("fanwire_handshakes_total{core=\"1\"}", 1),
        ("fanwire_received_messages_total{core=\"1\"}", 2),
        ("fanwire_received_bytes_total{core=\"1\"}", 3),
        ("fanwire_sent_bytes_total{core=\"1\"}", 4),
        ("fanwire_accept_errors_total{core=\"1\"}", 5),
        ("fanwire_throttled_reads_total{core=\"1\"}", 1),
        ("fanwire_connections{core=\"1\"}", 6),
        ("fanwire_mailbox_batches{core=\"1\",lane=\"requests\"}", 7),
        ("fanwire_mailbox_batches{core=\"1\",lane=\"deliveries\"}", 8),
        ("fanwire_deliveries_total{core=\"1\"}", 9),
        ("fanwire_published_messages_total{core=\"1\"}", 10),
        ("fanwire_backlog_bytes{core=\"1\"}", 11),
        ("fanwire_kept_bytes{core=\"1\"}", 17),
        ("fanwire_memory_bytes{core=\"1\"}", 23),
        ("fanwire_memory_limit_bytes{of=\"everything\"}", 101),
        ("fanwire_memory_limit_bytes{of=\"histories\"}", 102),
        ("fanwire_memory_limit_bytes{of=\"backlogs\"}", 103),
        ("fanwire_memory_limit_bytes{of=\"contexts\"}", 104),
        ("fanwire_connections_limit", 105),
        ("fanwire_memory_pressure{core=\"1\",of=\"everything\"}", 1),
        ("fanwire_memory_pressure{core=\"1\",of=\"sockets\"}", 2),
        ("fanwire_memory_pressure{core=\"1\",of=\"histories\"}", 3),
        ("fanwire_memory_pressure{core=\"1\",of=\"backlogs\"}", 1),
        ("fanwire_context_refusals_total{core=\"1\"}", 19),
        ("fanwire_compressions_total{core=\"1\"}", 22),
        ("fanwire_contexts{core=\"1\"}", 20),
        ("fanwire_contexts_bytes{core=\"1\"}", 21),
        ("fanwire_topics{core=\"1\"}", 12),
        ("fanwire_subscriptions{core=\"1\"}", 13),
        ("fanwire_event_streams{core=\"1\"}", 14),
        ("fanwire_polls{core=\"1\"}", 15),
        ("fanwire_skipped_messages_total{core=\"1\"}", 16),
        ("fanwire_tls_handshakes_total{core=\"1\",version=\"1.3\",resumed=\"false\"}", 17),
        ("fanwire_tls_handshakes_total{core=\"1\",version=\"1.2\",resumed=\"true\"}", 18),
    ];
    let samples = samples(&metrics.render());
    for (sample, value) in expected {
        assert_eq!(samples.get(sample), Some(&value), "{sample}");
    }
    assert_eq!(samples.values().filter(|value| **value != 0).count(), expected.len(), "core 0 did nothing");
}

#[test]
fn disconnects_are_counted_by_reason() {
    let add = |core: &CoreMetrics, index: usize| core.add_disconnect(DisconnectReason::ALL[index]);
    let reasons = DisconnectReason::ALL.map(|reason| (reason as usize, reason.as_str()));
    assert_counted_by_reason("disconnects", reasons, add);
}

#[test]
fn refusals_are_counted_by_reason() {
    let add = |core: &CoreMetrics, index: usize| core.add_refusal(Refusal::ALL[index]);
    let reasons = Refusal::ALL.map(|refusal| (refusal as usize, refusal.as_str()));
    assert_counted_by_reason("refusals", reasons, add);
}

/// `add` counts by the index of the reason, and each reason has a place of its own, which is that index.
fn assert_counted_by_reason<const N: usize>(
    family: &str,
    reasons: [(usize, &str); N],
    add: impl Fn(&CoreMetrics, usize),
) {
    let metrics = metrics(1);
    for (index, (place, reason)) in reasons.into_iter().enumerate() {
        assert_eq!(place, index, "{reason} has a place of its own");
        (0..=index).for_each(|_| add(&metrics.core(0), index));
    }
    let samples = samples(&metrics.render());
    for (count, (_, reason)) in (1..).zip(reasons) {
        let sample = format!("fanwire_{family}_total{{core=\"0\",reason=\"{reason}\"}}");
        assert_eq!(samples[&sample], count, "{reason}");
    }
}

#[test]
fn counting_goes_on_from_what_was_counted() {
    let metrics = metrics(1);
    metrics.core(0).add_bytes_in(40);
    metrics.core(0).add_bytes_in(2);
    assert_eq!(samples(&metrics.render())["fanwire_received_bytes_total{core=\"0\"}"], 42);
}
