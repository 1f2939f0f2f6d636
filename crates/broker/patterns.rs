//! Which patterns match a topic.
//!
//! A trie of tokens with a branch of its own for `*`: looking a topic up walks the patterns that agree with it so
//! far, so that its cost does not grow with patterns that do not match.

use ahash::HashMap;
use fanwire_wire::topic::{Pattern, TopicOrPattern};
use slab::Slab;

/// A value for each pattern, found by pattern or by a topic that it matches.
#[derive(Debug)]
pub struct PatternIndex<V> {
    nodes: Slab<Node<V>>,
    len: usize,
}

const ROOT: usize = 0;

#[derive(Debug)]
struct Node<V> {
    tokens: HashMap<Box<str>, usize>,
    any: Option<usize>,
    /// The pattern that ends here.
    here: Option<V>,
    /// The pattern that ends here with `>`.
    tail: Option<V>,
}

impl<V> Default for Node<V> {
    fn default() -> Self {
        Self { tokens: HashMap::default(), any: None, here: None, tail: None }
    }
}

impl<V> Node<V> {
    fn child(&self, token: &str) -> Option<usize> {
        if token == "*" { self.any } else { self.tokens.get(token).copied() }
    }

    fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.any.is_none() && self.here.is_none() && self.tail.is_none()
    }
}

impl<V> Default for PatternIndex<V> {
    fn default() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::default());
        debug_assert_eq!(root, ROOT);
        Self { nodes, len: 0 }
    }
}

impl<V> PatternIndex<V> {
    /// How many patterns have a value.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no pattern has a value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The pattern's value.
    pub fn value(&self, pattern: &Pattern) -> Option<&V> {
        let (path, tail) = split_tail(pattern.as_str());
        let node = path.iter().try_fold(ROOT, |node, token| self.nodes[node].child(token))?;
        if tail { self.nodes[node].tail.as_ref() } else { self.nodes[node].here.as_ref() }
    }

    /// The pattern's value, made where there is none.
    pub fn value_or_insert(&mut self, pattern: &Pattern, make: impl FnOnce() -> V) -> &mut V {
        let (path, tail) = split_tail(pattern.as_str());
        let node = path.iter().fold(ROOT, |node, token| self.child_or_insert(node, token));
        let node = &mut self.nodes[node];
        let place = if tail { &mut node.tail } else { &mut node.here };
        if place.is_none() {
            self.len += 1;
        }
        place.get_or_insert_with(make)
    }

    fn child_or_insert(&mut self, node: usize, token: &str) -> usize {
        if let Some(child) = self.nodes[node].child(token) {
            return child;
        }
        let child = self.nodes.insert(Node::default());
        if token == "*" {
            self.nodes[node].any = Some(child);
        } else {
            self.nodes[node].tokens.insert(token.into(), child);
        }
        child
    }

    /// Takes the pattern's value out.
    pub fn remove(&mut self, pattern: &Pattern) -> Option<V> {
        let (path, tail) = split_tail(pattern.as_str());
        let mut nodes = vec![ROOT];
        for token in &path {
            nodes.push(self.nodes[*nodes.last()?].child(token)?);
        }
        let node = &mut self.nodes[*nodes.last()?];
        let value = if tail { node.tail.take() } else { node.here.take() }?;
        self.len -= 1;
        self.prune(&nodes, &path);
        Some(value)
    }

    /// Frees the branch that ends at the last of `nodes`, as far as nothing is left on it.
    fn prune(&mut self, nodes: &[usize], path: &[&str]) {
        for (depth, token) in path.iter().enumerate().rev() {
            let (parent, child) = (nodes[depth], nodes[depth + 1]);
            if !self.nodes[child].is_empty() {
                return;
            }
            self.nodes.remove(child);
            if *token == "*" {
                self.nodes[parent].any = None;
            } else {
                self.nodes[parent].tokens.remove(*token);
            }
        }
    }

    /// Calls `found` with the value of each pattern that matches `topic`.
    pub fn for_each_match<'a>(&'a self, topic: &str, mut found: impl FnMut(&'a V)) {
        if !self.is_empty() {
            self.walk(ROOT, Some(topic), &mut found);
        }
    }

    /// `rest` is what follows the tokens on the way to `node`; `None` at the topic's end. The depth is bounded by
    /// the tokens of a pattern, of which there are at most 32.
    fn walk<'a>(&'a self, node: usize, rest: Option<&str>, found: &mut impl FnMut(&'a V)) {
        let node = &self.nodes[node];
        let Some(rest) = rest else {
            node.here.iter().for_each(found);
            return;
        };
        node.tail.iter().for_each(&mut *found);
        let (token, rest) = match rest.split_once('.') {
            Some((token, rest)) => (token, Some(rest)),
            None => (rest, None),
        };
        for child in [node.tokens.get(token).copied(), node.any].into_iter().flatten() {
            self.walk(child, rest, found);
        }
    }
}

/// The tokens before a final `>`, and whether there is one.
fn split_tail(pattern: &str) -> (Vec<&str>, bool) {
    let mut tokens: Vec<&str> = pattern.split('.').collect();
    let tail = tokens.last() == Some(&">");
    if tail {
        tokens.pop();
    }
    (tokens, tail)
}

/// Whether every topic that `narrow` matches is matched by `wide` too.
pub fn covers(wide: &TopicOrPattern, narrow: &TopicOrPattern) -> bool {
    let (mut wide, mut narrow) = (wide.as_str().split('.'), narrow.as_str().split('.'));
    loop {
        match (wide.next(), narrow.next()) {
            (Some(">"), Some(_)) | (None, None) => return true,
            (Some("*"), Some(token)) if token != ">" => {}
            (Some(wide), Some(narrow)) if wide == narrow => {}
            _ => return false,
        }
    }
}

/// Whether there is a topic that both match.
pub fn overlaps(one: &TopicOrPattern, other: &TopicOrPattern) -> bool {
    let (mut one, mut other) = (one.as_str().split('.'), other.as_str().split('.'));
    loop {
        match (one.next(), other.next()) {
            (Some(">"), Some(_)) | (Some(_), Some(">")) | (None, None) => return true,
            (Some(one), Some(other)) if one == other || one == "*" || other == "*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Every topic of up to so many tokens, of which one stands for all that no pattern here names.
    fn topics_of_up_to(tokens: usize) -> Vec<String> {
        let mut topics = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..tokens {
            let longer = |topic: &String| ["a", "b", "c"].map(|token| format!("{topic}.{token}"));
            topics = topics.iter().flat_map(longer).collect();
            all.extend(topics.iter().map(|topic| topic[1..].to_owned()));
        }
        all
    }

    fn topic_or_pattern() -> impl Strategy<Value = TopicOrPattern> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (proptest::collection::vec(token, 0..4), any::<bool>()).prop_filter_map(
            "it is empty",
            |(mut tokens, has_tail)| {
                tokens.extend(has_tail.then_some(">"));
                TopicOrPattern::parse(&tokens.join(".")).ok()
            },
        )
    }

    proptest! {
        #[test]
        fn covering_and_overlapping_are_what_the_topics_say(one in topic_or_pattern(), other in topic_or_pattern()) {
            // One token more than either has stands for all longer ones.
            let topics = topics_of_up_to(5);
            let mut of_other = topics.iter().filter(|topic| other.matches(topic)).map(|topic| one.matches(topic));
            prop_assert_eq!(overlaps(&one, &other), of_other.clone().any(|both| both));
            prop_assert_eq!(covers(&one, &other), of_other.all(|both| both));
        }
    }

    fn pattern() -> impl Strategy<Value = Pattern> {
        let token = prop_oneof![Just("a"), Just("b"), Just("*")];
        (proptest::collection::vec(token, 0..4), any::<bool>()).prop_filter_map(
            "no wildcard",
            |(mut tokens, tail)| {
                if tail {
                    tokens.push(">");
                }
                Pattern::parse(&tokens.join(".")).ok()
            },
        )
    }

    fn topic() -> impl Strategy<Value = String> {
        proptest::collection::vec(prop_oneof![Just("a"), Just("b"), Just("c")], 1..5)
            .prop_map(|t| t.join("."))
    }

    proptest! {
        /// The naive twin is a map of patterns that asks each of them.
        #[test]
        fn the_index_finds_what_asking_every_pattern_finds(
            steps in proptest::collection::vec((pattern(), any::<bool>()), 1..40), topics in proptest::collection::vec(topic(), 1..10),
        ) {
            let mut index = PatternIndex::default();
            let mut naive = BTreeMap::new();
            for (number, (pattern, insert)) in steps.into_iter().enumerate() {
                if insert {
                    index.value_or_insert(&pattern, || number);
                    naive.entry(pattern.as_str().to_owned()).or_insert(number);
                } else {
                    prop_assert_eq!(index.remove(&pattern), naive.remove(pattern.as_str()));
                }
                prop_assert_eq!(index.value(&pattern), naive.get(pattern.as_str()));
                prop_assert_eq!(index.len(), naive.len());
            }
            for topic in topics {
                let mut found = Vec::new();
                index.for_each_match(&topic, |value| found.push(*value));
                found.sort_unstable();
                let mut expected: Vec<usize> = naive
                    .iter()
                    .filter(|(pattern, _)| Pattern::parse(pattern).is_ok_and(|pattern| pattern.matches(&topic)))
                    .map(|(_, value)| *value)
                    .collect();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn removing_every_pattern_frees_every_node(patterns in proptest::collection::vec(pattern(), 0..20)) {
            let mut index = PatternIndex::default();
            for pattern in &patterns {
                index.value_or_insert(pattern, || ());
            }
            for pattern in &patterns {
                index.remove(pattern);
            }
            prop_assert!(index.is_empty());
            prop_assert_eq!(index.nodes.len(), 1);
        }
    }
}
