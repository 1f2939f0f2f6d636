//! What a client is told, against what it has asked for.

use serde_json::Value;

use super::accounting::skip_own;
use super::{Client, Exact, GoesOn, PatternState, Start};
use crate::truth::Truth;

impl Client {
    pub(super) fn hear(&mut self, said: &Value, truth: &mut Truth) {
        let number = |name: &str| said[name].as_u64();
        let topic = said["topic"].as_str().unwrap_or_default().to_owned();
        let id = number("id").unwrap_or_default();
        match said["type"].as_str().expect("a type") {
            "published" => {
                let payload = self.publishes.remove(&id).expect("a receipt for a stranger, or a second one");
                let offset = number("offset").expect("an offset");
                truth.learn(&topic, offset, payload);
                self.topics.entry(topic).or_default().receipted = offset;
            }
            "subscribed" => self.subscribed(&topic, id, said, truth),
            "unsubscribed" => self.unsubscribed(&topic, id, truth),
            "message" => {
                let offset = number("offset").expect("an offset");
                let payload = number("data").or_else(|| said["data"].as_str()?.parse().ok());
                truth.learn(&topic, offset, payload.expect("a payload"));
                assert!(!truth.is_own(self.number, &topic, offset), "its own message came back");
                self.account(&topic, number("skipped").unwrap_or(0), offset..offset + 1, truth);
            }
            "skipped" => {
                let (offset, count) = (number("offset").expect("offset"), number("count").expect("count"));
                assert!(count > 0, "{said}");
                self.account(&topic, count, offset + 1..offset + 1, truth);
            }
            "gap" => {
                let (from, to) = (number("from").expect("from"), number("to").expect("to"));
                assert_eq!(number("count"), Some(to - from + 1), "{said}");
                assert!(from <= to, "a gap of nothing: {said}");
                self.account(&topic, 0, from..to + 1, truth);
            }
            "error" => self.refused(&topic, id, said),
            other => panic!("{other} to somebody who did not ask"),
        }
    }

    fn subscribed(&mut self, topic: &str, id: u64, said: &Value, truth: &Truth) {
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {said}");
        assert!(!self.forbidden.contains(&id), "a policy that is not allowed: {said}");
        if let Some(state) = self.patterns.get_mut(topic) {
            match state {
                PatternState::Asked { id: asked } if *asked == id => {
                    *state = PatternState::Live { from: truth.next_payload() };
                }
                PatternState::Ending { .. } => {}
                _ => panic!("the answer to another request: {said}"),
            }
            return;
        }
        let matched = self.matching_patterns(topic).next().is_some();
        let state = self.topics.get_mut(topic).expect("a topic that it asked for");
        let offset = said["offset"].as_u64().expect("an offset");
        match state.exact {
            Some(Exact::Asked { id: asked, start, .. }) => {
                assert_eq!(asked, id, "the answer to another request: {said}");
                if let Start::After(asked) = start {
                    assert_eq!(asked, offset, "it begins where it was not asked to: {said}");
                }
                state.exact = Some(Exact::Live);
            }
            Some(Exact::Ending { id, .. }) => state.exact = Some(Exact::Ending { id, was_live: true }),
            _ => panic!("the answer to what was not asked: {said}"),
        }
        state.begins_after(offset, matched);
    }

    fn unsubscribed(&mut self, name: &str, id: u64, truth: &Truth) {
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {name}");
        if let Some(state) = self.patterns.remove(name) {
            assert!(matches!(state, PatternState::Ending { id: asked } if asked == id));
        } else {
            let matched = self.matching_patterns(name).next().is_some();
            let state = self.topics.get_mut(name).expect("a topic that it asked for");
            assert!(matches!(state.exact, Some(Exact::Ending { id: asked, .. }) if asked == id));
            state.exact = None;
            if let (Some(owed), Some((_, next)), GoesOn::Nowhere) =
                (state.owed.take(), &mut state.accounted, state.goes_on)
                && !matched
            {
                skip_own(self.number, name, next, owed, truth);
                assert!(
                    *next >= owed,
                    "{name} ends at {next}, and what is in front of {owed} was routed here"
                );
            }
        }
        self.forget_what_nobody_keeps();
    }

    /// What is not surely routed here may go on with a hole that nobody has to tell.
    fn forget_what_nobody_keeps(&mut self) {
        let kept =
            |name: &str| self.matching_patterns(name).any(|state| matches!(state, PatternState::Live { .. }));
        let names: Vec<String> = self.topics.keys().filter(|name| !kept(name)).cloned().collect();
        for name in names {
            if let Some(state) = self.topics.get_mut(&name).filter(|state| !state.is_kept()) {
                state.accounted = None;
                state.goes_on = GoesOn::Nowhere;
            }
        }
    }

    /// A core that was stalled refuses what waited for it, and a later command takes an earlier one's place; nothing is
    /// asked wrongly but for what follows from that.
    fn refused(&mut self, topic: &str, id: u64, said: &Value) {
        let code = said["code"].as_str().expect("a code");
        let is_forbidden = self.forbidden.remove(&id);
        match code {
            "policy_not_allowed" => assert!(is_forbidden, "{said}"),
            "unavailable" | "superseded" | "not_subscribed" => assert!(!is_forbidden, "{said}"),
            _ => panic!("{said}"),
        }
        if self.publishes.remove(&id).is_some() {
            return;
        }
        assert!(self.unanswered.remove(&id), "an answer to what was not asked: {said}");
        if let Some(PatternState::Asked { id: asked } | PatternState::Ending { id: asked }) =
            self.patterns.get(topic)
            && *asked == id
        {
            self.patterns.remove(topic);
        }
        let Some(state) = self.topics.get_mut(topic) else { return };
        match state.exact {
            Some(Exact::Asked { id: asked, recovers: true, .. }) if asked == id => {
                state.exact = Some(Exact::Live);
            }
            Some(Exact::Asked { id: asked, .. } | Exact::Ending { id: asked, .. }) if asked == id => {
                state.exact = None;
            }
            _ => assert_ne!(code, "not_subscribed", "{said}"),
        }
        self.forget_what_nobody_keeps();
    }
}
