//! Somebody who subscribes, and reads at a pace of its own.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::Value;

use crate::account::{Account, Sum};
use crate::bucket::{Pace, TokenBucket};
use crate::client::{Client, Ended, Frame};
use crate::feed::Published;
use crate::wire::Door;

/// What becomes of a subscriber that is not disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Stays,
    /// It goes once it may read as it likes, as soon as it has a part of a frame.
    ResetInMidFrame,
}

pub(crate) struct Subscriber {
    number: usize,
    client: Option<Client>,
    bucket: TokenBucket,
    pace: Pace,
    fate: Fate,
    wanted: usize,
    accounts: BTreeMap<String, Account>,
    was_too_slow: bool,
}

impl Subscriber {
    pub(crate) fn connect(door: &Door, number: usize, topics: &[String], pace: Pace, fate: Fate) -> Self {
        let mut client = Client::connect(door);
        for topic in topics {
            client.send(&format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
        }
        Self {
            number,
            client: Some(client),
            bucket: TokenBucket::new(Pace::Free),
            pace,
            fate,
            wanted: topics.len(),
            accounts: BTreeMap::new(),
            was_too_slow: false,
        }
    }

    /// Whether its connection stands.
    pub(crate) fn is_there(&self) -> bool {
        self.client.is_some()
    }

    /// Whether everything that it asked for has begun. From then on it reads at its pace.
    pub(crate) fn is_subscribed(&self) -> bool {
        self.accounts.len() == self.wanted
    }

    pub(crate) fn read_freely(&mut self) {
        if self.fate == Fate::Stays {
            self.bucket.change(Pace::Free);
        } else {
            // Little enough to be in the middle of one of these frames.
            self.bucket.change(Pace::BytesPerSecond(20_000));
        }
    }

    pub(crate) fn has_all_of(&self, published: &Published) -> bool {
        self.fate == Fate::Stays
            && self.accounts.iter().all(|(topic, account)| account.last == published[topic])
    }

    /// Reads what its pace allows, and hears what that says.
    pub(crate) fn turn(&mut self, now: Instant) {
        let Some(client) = &mut self.client else { return };
        let outcome = client.read(self.bucket.allows(now));
        if let Ok(count) = outcome {
            self.bucket.take(count);
        }
        while let Some(frame) = self.client.as_mut().and_then(Client::next_frame) {
            self.hear(frame);
        }
        if let Err(Ended) = outcome {
            // Its side of the close is not waited for where the broker's own could not be written.
            assert!(
                self.client.take().is_none() || self.was_too_slow,
                "{} was let go without a word",
                self.number
            );
        }
        self.go_if_it_is_time();
    }

    fn go_if_it_is_time(&mut self) {
        if self.fate == Fate::ResetInMidFrame
            && matches!(self.pace, Pace::Stopped)
            && self.client.as_ref().is_some_and(Client::is_in_mid_frame)
            && let Some(client) = self.client.take()
        {
            client.reset();
        }
    }

    fn hear(&mut self, frame: Frame) {
        match frame {
            Frame::Notification(said) => self.hear_notification(&said),
            Frame::Close(code, reason) => {
                assert_eq!(code, 1013, "{reason}");
                assert!(
                    reason.starts_with("too slow for strict.") && reason.ends_with(" bytes of backlog"),
                    "{reason}"
                );
                self.was_too_slow = true;
                self.client = None;
            }
        }
    }

    fn hear_notification(&mut self, said: &Value) {
        let number = |name: &str| said[name].as_u64().unwrap_or_else(|| panic!("no {name} in {said}"));
        let topic = said["topic"].as_str().unwrap_or_default();
        let kind = said["type"].as_str().expect("a type");
        if kind == "subscribed" {
            self.accounts.insert(topic.to_owned(), Account::begin(number("offset")));
            if self.is_subscribed() {
                self.bucket.change(self.pace);
            }
            return;
        }
        let Some(account) = self.accounts.get_mut(topic) else {
            return assert_eq!(kind, "welcome", "{said}");
        };
        match kind {
            "message" => account.message(number("offset"), said["skipped"].as_u64().unwrap_or(0)),
            "skipped" => account.skip(number("offset"), number("count")),
            "gap" => account.gap((number("from"), number("to")), number("count")),
            _ => panic!("{said}"),
        }
    }

    /// What it got and was told. Who stayed must have all.
    pub(crate) fn sum(&self, published: &Published) -> Sum {
        let mut sum = Sum { disconnected: u64::from(self.was_too_slow), ..Sum::default() };
        for (topic, account) in &self.accounts {
            account.assert_whole();
            assert!(
                !self.is_there() || account.last == published[topic],
                "{} {topic}: {account:?}",
                self.number
            );
            sum += account.sum;
        }
        sum
    }
}
