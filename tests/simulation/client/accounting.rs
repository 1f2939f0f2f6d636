//! Each message once, in order, or told missing: as they come, and at the end.

use std::ops::Range;

use fanwire_wire::topic::Pattern;

use super::{Client, Exact, GoesOn, PatternState, Speaks};
use crate::truth::Truth;

impl Client {
    /// `skipped` messages were skipped, and then `told` came, or were told missing. Each must be accounted for once, in
    /// order.
    pub(super) fn account(&mut self, topic: &str, skipped: u64, told: Range<u64>, truth: &Truth) {
        let matched = self.matching_patterns(topic).next().is_some();
        let state = self.topics.entry(topic.to_owned()).or_default();
        let exact = !matches!(state.exact, None | Some(Exact::Asked { .. })) || state.accounted.is_some();
        assert!(matched || exact, "{topic} to somebody who does not listen to it");
        let theirs = |offset: &u64| !truth.is_own(self.number, topic, *offset);
        // Where it begins if as many were skipped as is said.
        let began =
            || (0..told.start).rev().filter(theirs).take(skipped as usize).last().unwrap_or(told.start);
        let Some((first, next)) = &mut state.accounted else {
            state.accounted = Some((began(), told.end));
            state.began_with = Some((told.start, skipped));
            return;
        };
        let is_earlier = began() < *next;
        let is_patterns = is_earlier || matched && !matches!(state.exact, Some(Exact::Live));
        match std::mem::take(&mut state.goes_on) {
            GoesOn::From(before) if is_earlier => *next = before,
            GoesOn::Earlier if is_earlier => *next = began(),
            _ => {}
        }
        *first = (*first).min(*next);
        let passed = *next..told.start;
        // What was skipped may be told in front of the receipts that say which of it are its own.
        let waits_for_receipts = !self.publishes.is_empty();
        if (is_patterns || waits_for_receipts) && passed.clone().filter(theirs).count() as u64 != skipped {
            // A topic that only patterns listen to may be forgotten, and come back with a higher offset.
            self.jumps.push((topic.to_owned(), passed, skipped));
        } else {
            let passed = passed.filter(theirs).count() as u64;
            assert_eq!(passed, skipped, "{topic} goes on from {next} with {told:?}");
            assert!(*next <= told.start, "{topic} goes back from {next} to {told:?}");
        }
        *next = told.end;
    }

    /// At the end, when nothing is on its way any more.
    pub(crate) fn assert_complete(&mut self, truth: &mut Truth) {
        match &self.speaks {
            Speaks::Raw { .. } => self.assert_raw_complete(truth),
            Speaks::Stream(stream) => stream.assert_complete(truth),
            Speaks::Watcher(watcher) => watcher.assert_complete(truth),
            Speaks::Poller(poller) => poller.assert_complete(truth),
            Speaks::Json | Speaks::Binary(_) => {
                assert!(self.publishes.is_empty(), "receipts that never came: {:?}", self.publishes);
                assert!(self.unanswered.is_empty(), "answers that never came: {:?}", self.unanswered);
                self.assert_topics_complete(truth);
                self.assert_patterns_complete(truth);
                for (topic, offsets, skipped) in std::mem::take(&mut self.jumps) {
                    // Nobody may have been told of a message that all skipped.
                    let theirs = offsets.filter(|offset| !truth.is_own(self.number, &topic, *offset));
                    let (known, unknown): (Vec<u64>, Vec<u64>) =
                        theirs.partition(|offset| truth.at(&topic, *offset).is_some());
                    let range = known.len()..=known.len() + unknown.len();
                    assert!(
                        range.contains(&(skipped as usize)),
                        "{skipped} of {known:?} and {unknown:?} of {topic}"
                    );
                }
            }
        }
    }

    fn assert_topics_complete(&mut self, truth: &Truth) {
        for (name, state) in &mut self.topics {
            let Some(exact) = &state.exact else { continue };
            assert!(matches!(exact, Exact::Live), "{name}: an answer that never came");
            let (_, next) = state.accounted.as_mut().expect("a live topic has an offset");
            let end = truth.last_offset(name) + 1;
            skip_own(self.number, name, next, end, truth);
            assert!(*next >= end, "{name} stops at {next}, but {end} is next");
        }
    }

    fn assert_patterns_complete(&self, truth: &Truth) {
        for (pattern, state) in &self.patterns {
            let PatternState::Live { from } = state else { panic!("{pattern}: an answer that never came") };
            for topic in
                crate::world::TOPICS.iter().filter(|t| Pattern::parse(pattern).is_ok_and(|p| p.matches(t)))
            {
                let state = self.topics.get(*topic);
                let accounted = state.and_then(|state| state.accounted);
                let began_with = state.and_then(|state| state.began_with);
                for offset in truth.offsets_since(topic, *from) {
                    let told = accounted.is_some_and(|(first, next)| (first..next).contains(&offset))
                        || began_with.is_some_and(|(start, skipped)| {
                            let theirs = |offset: &u64| !truth.is_own(self.number, topic, *offset);
                            let known = (offset..start).filter(|offset| truth.at(topic, *offset).is_some());
                            offset < start && known.filter(theirs).count() as u64 <= skipped
                        });
                    assert!(
                        told || truth.is_own(self.number, topic, offset),
                        "{pattern}: {topic} {offset} never came"
                    );
                }
            }
        }
    }

    /// A raw subscriber sees no offsets: what it got must be what follows the place where it began.
    fn assert_raw_complete(&self, truth: &mut Truth) {
        let Speaks::Raw { topic, begins_after: Some(begins_after), payloads } = &self.speaks else { return };
        let mut next = begins_after + 1;
        for payload in payloads {
            skip_own(self.number, topic, &mut next, u64::MAX, truth);
            truth.learn(topic, next, *payload);
            next += 1;
        }
        let end = truth.last_offset(topic) + 1;
        skip_own(self.number, topic, &mut next, end, truth);
        assert!(!self.socket.open || next >= end, "raw {topic} stops at {next}, but {end} is next");
    }
}

/// Goes over the client's own messages that it did not want back, up to `end`.
pub(super) fn skip_own(client: usize, topic: &str, next: &mut u64, end: u64, truth: &Truth) {
    while *next < end && truth.is_own(client, topic, *next) {
        *next += 1;
    }
}
