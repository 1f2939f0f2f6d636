//! Which core each topic is at home on.

use std::sync::Arc;

use ahash::RandomState;
use fanwire_wire::topic::Topic;

use crate::settings::{Settings, TopicRule};

/// The homes of all topics, the same on every core of the broker.
#[derive(Debug)]
pub(crate) struct Homes {
    hash: RandomState,
    settings: Arc<Settings>,
    /// How many rules have to be looked at to find the atomic one that holds for a topic: those behind the last atomic
    /// one make no difference.
    rules: usize,
    cores: usize,
}

impl Homes {
    /// The homes among so many cores, by the broker's random key.
    pub(crate) fn new(keys: [u64; 4], settings: Arc<Settings>, cores: usize) -> Self {
        let [a, b, c, d] = keys;
        let last_atomic = settings.topics.iter().rposition(|rule| rule.settings.atomic);
        Self {
            hash: RandomState::with_seeds(a, b, c, d),
            rules: last_atomic.map_or(0, |last| last + 1),
            settings,
            cores,
        }
    }

    /// How many cores there are.
    pub(crate) fn cores(&self) -> usize {
        self.cores
    }

    /// The core that the topic's row is on. Those of an atomic rule share one.
    pub(crate) fn home_of(&self, topic: &Topic) -> usize {
        let name = self.atomic_rule(topic).map_or(topic.as_str(), |rule| rule.matches.as_str());
        (self.hash.hash_one(name) % self.cores as u64) as usize
    }

    /// The home that all these topics share by one atomic rule, if there is one.
    pub(crate) fn shared_by<'t>(&self, mut topics: impl Iterator<Item = &'t Topic>) -> Option<usize> {
        let first = topics.next()?;
        let rule = self.atomic_rule(first)?;
        let is_shared =
            topics.all(|topic| self.atomic_rule(topic).is_some_and(|its| std::ptr::eq(its, rule)));
        is_shared.then(|| self.home_of(first))
    }

    /// The rule that holds for the topic, if it is an atomic one.
    fn atomic_rule(&self, topic: &Topic) -> Option<&TopicRule> {
        let mut rules = self.settings.topics[..self.rules].iter();
        rules.find(|rule| rule.matches.matches(topic)).filter(|rule| rule.settings.atomic)
    }
}

#[cfg(test)]
mod tests {
    use fanwire_wire::topic::TopicOrPattern;

    use super::*;
    use crate::settings::TopicSettings;

    const CORES: usize = 64;

    fn topic(name: &str) -> Topic {
        Topic::parse(name).unwrap()
    }

    fn homes(rules: &[(&str, bool)]) -> Homes {
        let rule = |&(matches, atomic): &(&str, bool)| TopicRule {
            matches: TopicOrPattern::parse(matches).unwrap(),
            settings: TopicSettings { atomic, ..TopicSettings::default() },
        };
        let settings = Settings { topics: rules.iter().map(rule).collect(), ..Settings::default() };
        Homes::new([1, 2, 3, 4], Arc::new(settings), CORES)
    }

    fn shared(homes: &Homes, names: &[&str]) -> Option<usize> {
        let topics: Vec<Topic> = names.iter().map(|name| topic(name)).collect();
        homes.shared_by(topics.iter())
    }

    #[test]
    fn topics_of_an_atomic_rule_share_a_home_and_others_are_where_they_would_be_without() {
        let homes = homes(&[("plain.>", false), ("game.*", true), ("game.>", false)]);
        let without = self::homes(&[]);
        let home = homes.home_of(&topic("game.n0"));
        let mut elsewhere = 0;
        for n in 0..100 {
            assert_eq!(homes.home_of(&topic(&format!("game.n{n}"))), home);
            for other in ["plain", "game.deep", "rest"] {
                let other = topic(&format!("{other}.n{n}"));
                assert_eq!(homes.home_of(&other), without.home_of(&other));
                elsewhere += usize::from(homes.home_of(&other) != home);
            }
        }
        assert!(elsewhere > 200, "they are spread");
    }

    #[test]
    fn only_topics_of_one_atomic_rule_are_together() {
        let homes = homes(&[("game.secret", false), ("game.*", true), ("trade.*", true), ("chat.*", false)]);
        let home = homes.home_of(&topic("game.a"));
        assert_eq!(shared(&homes, &["game.a", "game.b", "game.a"]), Some(home));
        for apart in [
            &["game.a", "trade.a"][..],
            &["game.a", "game.secret"],
            &["game.a", "chat.a"],
            &["chat.a", "chat.a"],
            &["nothing"],
            &[],
        ] {
            assert_eq!(shared(&homes, apart), None, "{apart:?}");
        }
    }

    #[test]
    fn rules_behind_the_last_atomic_one_are_not_looked_at() {
        assert_eq!(homes(&[("a", false), ("b", false)]).rules, 0);
        assert_eq!(homes(&[("a", false), ("b", true), ("c", false)]).rules, 2);
    }
}
