//! Topics, and patterns that match them.
//!
//! A topic is 1 to 255 octets: tokens of `A-Z a-z 0-9 _ : @ = ~ -` joined by `.`. A pattern has at least one token
//! that is a wildcard: `*` stands for one token, `>` for one or more at the end. `$` is reserved for the broker.
//!
//! The types hold checked text only: what has a [`Topic`] need not look at its characters again.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::TopicError;
use crate::limits::{MAX_PATTERN_TOKENS, MAX_TOPIC_BYTES};

/// A topic. Cloning it counts a reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks that `text` is a topic; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        check_topic(text)?;
        Ok(Self(text.into()))
    }

    /// The topic's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Topic {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Topic {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands for a topic where its name would be too long: a number that no other topic of the broker has at the same
/// time. A topic that was forgotten and comes back may get another.
pub type TopicNumber = NonZeroU32;

/// A topic that borrows the text it came in, wherever that text needed no decoding: a publish to a known topic
/// allocates nothing for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicRef<'a>(Cow<'a, str>);

impl<'a> TopicRef<'a> {
    /// Checks that `text` is a topic; the error says what is wrong and where.
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Result<Self, TopicError> {
        let text = text.into();
        check_topic(&text)?;
        Ok(Self(text))
    }

    /// The topic's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same topic, owned.
    pub fn to_topic(&self) -> Topic {
        Topic(self.0.as_ref().into())
    }
}

impl fmt::Display for TopicRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A topic with at least one wildcard. Cloning it counts a reference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern(Arc<str>);

impl Pattern {
    /// Checks that `text` is a pattern; a topic without a wildcard is not one.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        if first_wildcard(text)?.is_none() {
            return Err(TopicError::NoWildcard);
        }
        let tokens = text.split('.').count();
        if tokens > MAX_PATTERN_TOKENS {
            return Err(TopicError::TooManyTokens { tokens });
        }
        Ok(Self(text.into()))
    }

    /// The pattern's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern matches `topic`, which must be the text of a topic.
    pub fn matches(&self, topic: &str) -> bool {
        let mut tokens = topic.split('.');
        for wanted in self.0.split('.') {
            let Some(token) = tokens.next() else { return false };
            if wanted == ">" {
                return true;
            }
            if wanted != "*" && wanted != token {
                return false;
            }
        }
        tokens.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a subscription is for: one topic, or all that a pattern matches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicOrPattern {
    /// Exactly this topic.
    Topic(Topic),
    /// Every topic that the pattern matches, now or later.
    Pattern(Pattern),
}

impl TopicOrPattern {
    /// Checks that `text` is one or the other; the error says what is wrong and where.
    pub fn parse(text: &str) -> Result<Self, TopicError> {
        Ok(match first_wildcard(text)? {
            None => Self::Topic(Topic(text.into())),
            Some(_) => Self::Pattern(Pattern::parse(text)?),
        })
    }

    /// The text of the topic or pattern.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Topic(topic) => topic.as_str(),
            Self::Pattern(pattern) => pattern.as_str(),
        }
    }

    /// Whether a message on `topic`, which must be the text of a topic, is for this subscription.
    pub fn matches(&self, topic: &str) -> bool {
        match self {
            Self::Topic(this) => this.as_str() == topic,
            Self::Pattern(pattern) => pattern.matches(topic),
        }
    }
}

impl fmt::Display for TopicOrPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn check_topic(text: &str) -> Result<(), TopicError> {
    match first_wildcard(text)? {
        None => Ok(()),
        Some(at) => Err(TopicError::UnexpectedWildcard { at }),
    }
}

/// Checks `text` as a topic or pattern, and says at which octet the first wildcard of a pattern is.
fn first_wildcard(text: &str) -> Result<Option<usize>, TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > MAX_TOPIC_BYTES {
        return Err(TopicError::TooLong { length: text.len() });
    }
    let mut wildcard = None;
    let mut at = 0;
    for token in text.split('.') {
        match token {
            "" => return Err(TopicError::EmptyToken { at }),
            ">" if at + 1 < text.len() => return Err(TopicError::TailNotLast { at }),
            "*" | ">" => wildcard = wildcard.or(Some(at)),
            literal => check_literal(literal, at)?,
        }
        at += token.len() + 1;
    }
    Ok(wildcard)
}

/// Checks the characters of a token without wildcards that begins at octet `start`.
fn check_literal(token: &str, start: usize) -> Result<(), TopicError> {
    let Some(bad) = token.bytes().position(|byte| !is_topic_byte(byte)) else {
        return Ok(());
    };
    let at = start + bad;
    // The first bad byte follows ASCII only, so it begins a character.
    match token[bad..].chars().next() {
        Some('$') => Err(TopicError::Reserved { at }),
        Some('*' | '>') => Err(TopicError::WildcardNotAlone { at }),
        Some(character) => Err(TopicError::BadCharacter { at, character }),
        None => Ok(()),
    }
}

const fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'@' | b'=' | b'~' | b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn topics_of_the_documented_alphabet_are_accepted() {
        let longest = "t".repeat(MAX_TOPIC_BYTES);
        for text in ["a", "prices.EURUSD", "chat.room:7.user@host", "A-Z_0=9~", longest.as_str()] {
            assert_eq!(Topic::parse(text).unwrap().as_str(), text);
            assert_eq!(TopicRef::parse(text).unwrap().to_topic().as_str(), text);
            assert_eq!(Pattern::parse(text), Err(TopicError::NoWildcard));
        }
    }

    #[test]
    fn a_bad_topic_is_told_what_is_wrong_and_where() {
        let too_long = "t".repeat(MAX_TOPIC_BYTES + 1);
        let cases = [
            ("", TopicError::Empty),
            (too_long.as_str(), TopicError::TooLong { length: 256 }),
            (".a", TopicError::EmptyToken { at: 0 }),
            ("a..b", TopicError::EmptyToken { at: 2 }),
            ("a.", TopicError::EmptyToken { at: 2 }),
            ("a b", TopicError::BadCharacter { at: 1, character: ' ' }),
            ("ab.é", TopicError::BadCharacter { at: 3, character: 'é' }),
            ("a/b", TopicError::BadCharacter { at: 1, character: '/' }),
            ("a\0", TopicError::BadCharacter { at: 1, character: '\0' }),
            ("$SYS.load", TopicError::Reserved { at: 0 }),
            ("a.b$", TopicError::Reserved { at: 3 }),
            ("a.b*", TopicError::WildcardNotAlone { at: 3 }),
            (">>", TopicError::WildcardNotAlone { at: 0 }),
            ("a.>.b", TopicError::TailNotLast { at: 2 }),
            (">.a", TopicError::TailNotLast { at: 0 }),
        ];
        for (text, error) in cases {
            assert_eq!(TopicOrPattern::parse(text), Err(error), "{text}");
            assert_eq!(Topic::parse(text), Err(error), "{text}");
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_wildcard_is_refused_where_one_topic_is_needed() {
        assert_eq!(Topic::parse("a.*.b"), Err(TopicError::UnexpectedWildcard { at: 2 }));
        assert_eq!(TopicRef::parse("*.>"), Err(TopicError::UnexpectedWildcard { at: 0 }));
    }

    #[test]
    fn a_wildcard_stands_for_the_tokens_that_the_documents_say() {
        let matching =
            [("*", "a"), (">", "a"), (">", "a.b.c"), ("a.*", "a.b"), ("a.>", "a.b.c"), ("*.b.>", "a.b.c")];
        for (pattern, topic) in matching {
            assert!(Pattern::parse(pattern).unwrap().matches(topic), "{pattern} {topic}");
        }
        let others =
            [("*", "a.b"), ("a.>", "a"), ("a.*", "a"), ("a.*", "a.b.c"), ("*.b", "a.c"), ("a.*", "ab.c")];
        for (pattern, topic) in others {
            assert!(!Pattern::parse(pattern).unwrap().matches(topic), "{pattern} {topic}");
        }
    }

    #[test]
    fn a_pattern_has_a_bound_on_its_tokens_and_a_topic_has_none_of_its_own() {
        let longest = vec!["a"; MAX_PATTERN_TOKENS - 1].join(".") + ".>";
        assert!(TopicOrPattern::parse(&longest).is_ok());
        let too_long = format!("a.{longest}");
        let tokens = MAX_PATTERN_TOKENS + 1;
        assert_eq!(TopicOrPattern::parse(&too_long), Err(TopicError::TooManyTokens { tokens }));
        assert!(Topic::parse(&vec!["a"; 128].join(".")).is_ok());
    }

    /// The definition of a match, by recursion over tokens.
    fn naive_matches(pattern: &[&str], topic: &[&str]) -> bool {
        match (pattern, topic) {
            ([">"], [_, ..]) | ([], []) => true,
            ([wanted, pattern @ ..], [token, topic @ ..]) => {
                (*wanted == "*" || wanted == token) && naive_matches(pattern, topic)
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_matches_what_its_naive_twin_matches(
            pattern in "([ab*]\\.){0,4}[ab*>]",
            topic in "([ab]\\.){0,4}[ab]",
        ) {
            let target = TopicOrPattern::parse(&pattern).unwrap();
            let wanted: Vec<&str> = pattern.split('.').collect();
            let tokens: Vec<&str> = topic.split('.').collect();
            prop_assert_eq!(target.matches(&topic), naive_matches(&wanted, &tokens));
        }

        #[test]
        fn any_text_is_a_topic_a_pattern_or_an_error_that_points_into_it(text in "[ab.*>$ é]{0,12}") {
            match TopicOrPattern::parse(&text) {
                Ok(target) => prop_assert_eq!(target.as_str(), &text),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
            prop_assert!(!(Topic::parse(&text).is_ok() && Pattern::parse(&text).is_ok()));
        }
    }
}
