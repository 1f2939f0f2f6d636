//! Whatever is published, on whatever terms, has the outcome that a naive twin works out.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{ATOMIC, Broker, WINDOW, batch, expect, message_id, outcomes, refused};

/// One message of a generated command: topic, id, and how far what it expects is from the latest offset.
type Generated = (u8, Option<u8>, Option<u64>);

/// The naive twin: every message that was ever published, searched anew each time.
#[derive(Default)]
struct Naive(HashMap<u8, Vec<(Option<u8>, u64)>>);

impl Naive {
    fn outcome(&self, message: Generated, now: u64) -> Result<Option<u64>, String> {
        let (topic, id, expects) = message;
        let published = self.0.get(&topic).map_or(&[][..], Vec::as_slice);
        let with_id: Vec<_> = published.iter().enumerate().filter(|(_, (id, _))| id.is_some()).collect();
        let window = &with_id[with_id.len().saturating_sub(WINDOW.max)..];
        let known = window.iter().find(|(_, (known, came))| *known == id && now - came <= WINDOW.max_age_ms);
        match (known, expects) {
            (Some((at, _)), _) if id.is_some() => Ok(Some(*at as u64 + 1)),
            (_, Some(offset)) if offset != published.len() as u64 => Err("moved_on".to_owned()),
            _ => Ok(None),
        }
    }

    fn publish(&mut self, message: Generated, now: u64) -> Result<u64, String> {
        if let Some(offset) = self.outcome(message, now)? {
            return Ok(offset);
        }
        let published = self.0.entry(message.0).or_default();
        published.push((message.1, now));
        Ok(published.len() as u64)
    }

    fn publish_together(&mut self, messages: &[Generated], now: u64) -> Vec<Result<u64, String>> {
        let before: Vec<_> = messages.iter().map(|message| self.outcome(*message, now)).collect();
        if let Some(at) = before.iter().position(Result::is_err) {
            let code = |index| if index == at { "moved_on" } else { "aborted" };
            return (0..messages.len()).map(|index| refused(code(index))).collect();
        }
        let publish = |(message, before): (&Generated, Result<Option<u64>, _>)| match before {
            Ok(Some(offset)) => Ok(offset),
            _ => self.publish((message.0, message.1, None), now),
        };
        messages.iter().zip(before).map(publish).collect()
    }
}

fn generated() -> impl Strategy<Value = Generated> {
    let id = prop_oneof![Just(None), (0u8..5).prop_map(Some)];
    let expects = prop_oneof![4 => Just(None), 1 => (0u64..6).prop_map(Some)];
    (0u8..3, id, expects)
}

proptest! {
    #[test]
    fn terms_are_kept_as_a_search_through_all_that_was_published_would_keep_them(
        cores in 1usize..4,
        commands in proptest::collection::vec(
            (0u64..60, any::<bool>(), proptest::collection::vec(generated(), 1..6)), 1..30,
        ),
    ) {
        let mut broker = Broker::new(cores);
        let mut naive = Naive::default();
        let mut now = 0;
        for (pause, atomic, messages) in commands {
            now += pause;
            broker.turn(now);
            let texts: Vec<(String, String)> = messages
                .iter()
                .map(|(topic, id, expects)| {
                    let id = id.map_or_else(String::new, |id| message_id(&id.to_string()));
                    (format!("game.{topic}"), id + &expects.map_or_else(String::new, expect))
                })
                .collect();
            let said: Vec<(&str, &str)> = texts.iter().map(|(topic, conditions)| (&**topic, &**conditions)).collect();
            let answer = broker.ask(&batch(&said, if atomic { ATOMIC } else { "" }));
            let expected = if atomic {
                naive.publish_together(&messages, now)
            } else {
                messages.iter().map(|message| naive.publish(*message, now)).collect()
            };
            prop_assert_eq!(outcomes(&answer), expected);
        }
    }
}
