//! A topic looked up among patterns, of which one matches it.

use std::hint::black_box;

use criterion::Criterion;
use fanwire_broker::patterns::PatternIndex;
use fanwire_wire::topic::Pattern;

use crate::fixture::{LARGEST, bench_on};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pattern_match_among");
    for unmatched in [10, 10_000.min(LARGEST)] {
        let make = || index(unmatched);
        bench_on(&mut group, unmatched, make, |index| {
            let mut matched = (0, None);
            index.for_each_match(black_box("room.lobby.typing"), |&value| {
                matched = (matched.0 + 1, Some(value));
            });
            assert_eq!(matched, (1, Some(unmatched)));
        });
    }
}

/// Patterns `0..unmatched`, which differ from the topic in the last token or the one before, and one that matches.
fn index(unmatched: usize) -> PatternIndex<usize> {
    let mut index = PatternIndex::default();
    for pattern in unmatched_patterns(unmatched) {
        let number = index.len();
        index.value_or_insert(&pattern, || number);
    }
    index.value_or_insert(&Pattern::parse("room.*.typing").expect("a good pattern"), || unmatched);
    index
}

pub(crate) fn unmatched_patterns(count: usize) -> impl Iterator<Item = Pattern> {
    (0..count).map(|n| {
        let pattern = if n % 2 == 0 { format!("room.*.event{n}") } else { format!("room.r{n}.>") };
        Pattern::parse(&pattern).expect("a good pattern")
    })
}
