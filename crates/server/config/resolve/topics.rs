//! `[[topics]]`.

use fanwire_broker::history::HistoryLimits;
use fanwire_broker::last_values::KeyLimits;
use fanwire_broker::message_ids::MessageIdLimits;
use fanwire_broker::overflow::OverflowPolicy;
use fanwire_broker::patterns::covers;
use fanwire_broker::settings::{MaxAge, TopicRule, TopicSettings};

use super::{HOUR_MS, KIB, MAX_KEPT, MIN_TIMEOUT, Sayings};
use crate::config::error::{ConfigError, Problem};
use crate::config::file::{HistoryTable, KeysTable, MessageIdsTable, TopicTable, Written};
use crate::config::units::{Count, Match, Overflow, Period, Size, Switch};

/// The bounds of a history that names another: so many messages, of so many bytes.
const DEFAULT_HISTORY_MESSAGES: usize = 1000;
/// See [`DEFAULT_HISTORY_MESSAGES`]. It is never smaller than a message.
const DEFAULT_HISTORY_BYTES: usize = 8 * KIB * KIB;

/// Histories beyond these are a job for a log on disk.
const MAX_HISTORY_MESSAGES: Count = Count(1_000_000_000);
/// See [`MAX_HISTORY_MESSAGES`].
const MAX_AGE: Period = Period(365 * 24 * HOUR_MS);

/// Nothing is looked at more often than once a millisecond.
const MIN_MAX_AGE: Period = Period(1);

/// The bounds of last values by key, unless they are named.
const DEFAULT_KEYS: KeyLimits = KeyLimits { max: 10_000, bytes: 4 * KIB * KIB };

/// The window of message ids, unless it is named: longer than a publisher tries again, and a megabyte or two of ids.
const DEFAULT_MESSAGE_IDS: MessageIdLimits = MessageIdLimits { max: 10_000, max_age_ms: 2 * 60 * 1000 };

impl Sayings<'_> {
    /// The rules, of which none stands behind one that takes all of its topics.
    pub(super) fn rules(
        &self,
        tables: Vec<TopicTable>,
        max_message: Size,
    ) -> Result<Vec<TopicRule>, ConfigError> {
        let mut rules: Vec<TopicRule> = Vec::with_capacity(tables.len());
        for table in tables {
            let rule = self.rule(table, &rules, max_message)?;
            rules.push(rule);
        }
        Ok(rules)
    }

    fn rule(
        &self,
        table: TopicTable,
        earlier: &[TopicRule],
        max_message: Size,
    ) -> Result<TopicRule, ConfigError> {
        let matches = self.written("match", table.matches).map(|Match(matches)| matches);
        if let Some(earlier) = earlier.iter().find(|rule| covers(&rule.matches, &matches.value)) {
            let (rule, earlier) = (matches.value.to_string(), earlier.matches.to_string());
            return Err(matches.rejected(Problem::RuleWithoutEffect { rule, earlier }));
        }
        let history = table.history.map(|history| self.history(history, max_message)).transpose()?;
        let keys = table.keys.map(|keys| self.keys(keys)).transpose()?;
        let message_ids = table.message_ids.map(|ids| self.message_ids(ids)).transpose()?;
        let last_value = self.said("last_value", None, table.last_value, Switch(true));
        if keys.is_some() && !last_value.value.0 {
            return Err(last_value.rejected(Problem::KeysWithoutLastValue));
        }
        let last_value = last_value.value.0;
        let atomic = table.atomic.is_some_and(|written| written.value.0);
        let overflow = self.said("overflow", None, table.overflow, Overflow(OverflowPolicy::default()));
        if atomic && overflow.value.0 == OverflowPolicy::Conflate {
            return Err(overflow.rejected(Problem::AtomicConflates));
        }
        let overflow = overflow.value.0;
        let allow = self.allowed(table.allow, atomic)?;
        let max_age = self.max_age(table.max_age, table.max_age_newest)?;
        let settings =
            TopicSettings { history, last_value, keys, message_ids, atomic, overflow, allow, max_age };
        Ok(TopicRule { matches: matches.value, settings })
    }

    fn allowed(
        &self,
        allow: Option<Written<Vec<Overflow>>>,
        atomic: bool,
    ) -> Result<Vec<OverflowPolicy>, ConfigError> {
        let Some(allow) = allow else { return Ok(Vec::new()) };
        let allow = self.written("allow", allow);
        if atomic && allow.value.iter().any(|Overflow(policy)| *policy == OverflowPolicy::Conflate) {
            return Err(allow.rejected(Problem::AtomicConflates));
        }
        Ok(allow.value.into_iter().map(|Overflow(policy)| policy).collect())
    }

    fn max_age(
        &self,
        max_age: Option<Written<Period>>,
        newest: Option<Written<Switch>>,
    ) -> Result<Option<MaxAge>, ConfigError> {
        let max_age = self.if_any("max_age", max_age, MIN_MAX_AGE, MAX_AGE)?;
        let newest = newest.map(|newest| self.written("max_age_newest", newest));
        match (max_age, newest) {
            (None, Some(newest)) => Err(newest.rejected(Problem::NewestWithoutAge)),
            (max_age, newest) => {
                let newest = newest.is_some_and(|newest| newest.value.0);
                Ok(max_age.map(|Period(ms)| MaxAge { ms, newest }))
            }
        }
    }

    fn keys(&self, table: Written<KeysTable>) -> Result<KeyLimits, ConfigError> {
        let KeysTable { max, bytes } = table.value;
        let bytes = self.said("keys.bytes", None, bytes, Size(DEFAULT_KEYS.bytes));
        Ok(KeyLimits {
            max: self.count("keys.max", None, max, DEFAULT_KEYS.max)?,
            bytes: bytes.within(Size(KIB), MAX_KEPT)?.0,
        })
    }

    fn message_ids(&self, table: Written<MessageIdsTable>) -> Result<MessageIdLimits, ConfigError> {
        let MessageIdsTable { max, max_age } = table.value;
        let max_age = self.said("message_ids.max_age", None, max_age, Period(DEFAULT_MESSAGE_IDS.max_age_ms));
        Ok(MessageIdLimits {
            max: self.count("message_ids.max", None, max, DEFAULT_MESSAGE_IDS.max)?,
            max_age_ms: max_age.within(MIN_TIMEOUT, MAX_AGE)?.0,
        })
    }

    fn history(&self, table: Written<HistoryTable>, max_message: Size) -> Result<HistoryLimits, ConfigError> {
        let table = self.written("history", table);
        if let HistoryTable { messages: None, bytes: None, max_age: None } = table.value {
            return Err(table.rejected(Problem::UnboundedHistory));
        }
        let HistoryTable { messages, bytes, max_age } = table.value;
        let messages = self.said("history.messages", None, messages, Count(DEFAULT_HISTORY_MESSAGES));
        let bytes = self.said("history.bytes", None, bytes, Size(DEFAULT_HISTORY_BYTES).max(max_message));
        if bytes.value < max_message {
            let (bytes_text, max_message) = (bytes.value.to_string(), max_message.to_string());
            return Err(bytes.rejected(Problem::HistoryBelowMessage { bytes: bytes_text, max_message }));
        }
        let max_age = self.if_any("history.max_age", max_age, MIN_TIMEOUT, MAX_AGE)?;
        Ok(HistoryLimits {
            messages: messages.within(Count(1), MAX_HISTORY_MESSAGES)?.0,
            bytes: bytes.within(max_message, MAX_KEPT)?.0,
            max_age_ms: max_age.map(|Period(ms)| ms),
        })
    }
}
