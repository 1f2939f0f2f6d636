//! Who a client is, and what it may do.

use std::sync::Arc;

use fanwire_wire::topic::{Topic, TopicOrPattern};

use crate::patterns::covers;

/// Who a client is, and what it may do. Made once, by who has looked at its credentials, and shared from there on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The client's name; an anonymous one has none.
    pub identity: Option<Box<str>>,
    /// What it may subscribe to, and read in any other way.
    pub subscribe: Grants,
    /// What it may publish to.
    pub publish: Grants,
}

/// The topics that something is allowed for. By default there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Box<[TopicOrPattern]>);

impl Permissions {
    /// Those of a client of which nothing is asked.
    pub fn everything() -> Arc<Self> {
        Arc::new(Self { identity: None, subscribe: Grants::everything(), publish: Grants::everything() })
    }

    /// Whether they allow nothing.
    pub fn are_empty(&self) -> bool {
        self.subscribe.is_empty() && self.publish.is_empty()
    }

    /// What an error calls the client.
    pub(crate) fn holder(&self) -> &str {
        self.identity.as_deref().unwrap_or("an anonymous client")
    }
}

impl Grants {
    /// Every topic.
    pub fn everything() -> Self {
        let every_topic = TopicOrPattern::parse(">").expect("it is a pattern");
        Self([every_topic].into())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The topics and patterns that were granted.
    pub fn iter(&self) -> impl Iterator<Item = &TopicOrPattern> {
        self.0.iter()
    }

    /// Whether the topic is one of them.
    pub fn allow(&self, topic: &Topic) -> bool {
        self.0.iter().any(|granted| granted.matches(topic))
    }

    /// Whether every topic that `target` matches, now or later, is covered by one of the grants: a subscription must not
    /// reach further than they do. Grants that cover it only together do not count, since which topics there will be is
    /// not known.
    pub fn cover(&self, target: &TopicOrPattern) -> bool {
        self.0.iter().any(|granted| covers(granted, target))
    }
}

impl FromIterator<TopicOrPattern> for Grants {
    fn from_iter<I: IntoIterator<Item = TopicOrPattern>>(granted: I) -> Self {
        Self(granted.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grants(granted: &[&str]) -> Grants {
        granted.iter().map(|text| TopicOrPattern::parse(text).unwrap()).collect()
    }

    fn cover(granted: &[&str], target: &str) -> bool {
        grants(granted).cover(&TopicOrPattern::parse(target).unwrap())
    }

    #[test]
    fn nothing_is_granted_unless_it_is_said() {
        let none = Permissions::default();
        assert!(none.are_empty());
        assert!(!none.publish.allow(&Topic::parse("a").unwrap()));
        assert!(!none.subscribe.cover(&TopicOrPattern::parse("a").unwrap()));
        assert!(Permissions::everything().subscribe.cover(&TopicOrPattern::parse(">").unwrap()));
    }

    #[test]
    fn a_pattern_does_not_widen_what_was_granted() {
        for wider in [">", "*", "*.>", "prices.*.>", "*.EURUSD"] {
            assert!(!cover(&["prices.*"], wider), "{wider}");
        }
        assert!(!cover(&["prices.EURUSD"], "prices.*"));
        assert!(!cover(&["prices.>"], "prices"), "> stands for one token or more");
        for narrower in ["prices.*", "prices.>", "prices.EURUSD", "prices.*.bid"] {
            assert!(cover(&["chat.lobby", "prices.>"], narrower), "{narrower}");
        }
    }

    fn topic_or_pattern() -> impl Strategy<Value = TopicOrPattern> {
        "([ab*]\\.){0,2}[ab*>]".prop_map(|text| TopicOrPattern::parse(&text).unwrap())
    }

    proptest! {
        #[test]
        fn whatever_a_covered_subscription_matches_is_allowed(
            granted in proptest::collection::vec(topic_or_pattern(), 0..4),
            target in topic_or_pattern(),
            topic in "([ab]\\.){0,3}[ab]",
        ) {
            let grants: Grants = granted.into_iter().collect();
            let topic = Topic::parse(&topic).unwrap();
            if grants.cover(&target) && target.matches(&topic) {
                prop_assert!(grants.allow(&topic));
            }
        }
    }
}
