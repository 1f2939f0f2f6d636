//! A core that drains nothing (a debugger, a dead disk) is not waited for: what was meant for it becomes told gaps and
//! refusals, and the others go on.

use ahash::HashMap;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicNumber};

use super::Shard;
use crate::lanes::{Delivery, Request, SnapshotOf};
use crate::message::Message;

impl Shard {
    /// Lets go of what waits for cores that have drained nothing for too long.
    pub(super) fn give_up_on_stalled_cores(&mut self) {
        let (now_ms, after_ms) = (self.now.monotonic_ms, self.settings.stalled_after_ms);
        let is_stalled = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        for core in 0..self.cores() {
            if is_stalled(self.deliveries[core].gives_up_at_ms(after_ms)) {
                self.deliveries[core].give_up(tell_what_is_lost);
            }
            if is_stalled(self.requests[core].gives_up_at_ms(after_ms)) {
                let mut refusals = Vec::new();
                self.requests[core].give_up(|requests| refuse(requests, &mut refusals));
                for refusal in refusals {
                    self.handle_delivery(core, refusal);
                }
            }
        }
    }
}

/// Replaces messages by what is lost of each topic. An answer between them stays where it is, and what is lost before it
/// is told before it: it says from where on a subscription is live.
fn tell_what_is_lost(deliveries: Vec<Delivery>) -> Vec<Delivery> {
    let mut told = Told::default();
    for delivery in deliveries {
        match delivery {
            Delivery::Message(message) => told.lose_message(&message),
            Delivery::Tick(messages) => messages.iter().for_each(|message| told.lose_message(message)),
            Delivery::Lost { topic, number, offsets } => told.lose(topic, number, offsets),
            answer => {
                told.open.clear();
                told.kept.push(answer);
            }
        }
    }
    told.kept
}

/// What is left of an outbox.
#[derive(Default)]
struct Told {
    kept: Vec<Delivery>,
    /// Where it is told what is lost of a topic, since the last answer.
    open: HashMap<Topic, usize>,
}

impl Told {
    fn lose_message(&mut self, message: &Message) {
        self.lose(message.topic.clone(), message.number, (message.offset, message.offset));
    }

    fn lose(&mut self, topic: Topic, number: TopicNumber, (from, to): (u64, u64)) {
        let told = self.open.get(&topic).and_then(|&at| self.kept.get_mut(at));
        if let Some(Delivery::Lost { offsets, .. }) = told {
            offsets.1 = to;
        } else {
            self.open.insert(topic.clone(), self.kept.len());
            self.kept.push(Delivery::Lost { topic, number, offsets: (from, to) });
        }
    }
}

/// Takes out what clients wait for an answer to, and answers it. What keeps the cores' books (who listens to what, and who
/// waits no longer) stays; nothing new is asked of a core that was given up, so there is no more of it than there are
/// subscriptions and polls.
fn refuse(requests: Vec<Request>, refusals: &mut Vec<Delivery>) -> Vec<Request> {
    const CODE: ErrorCode = ErrorCode::Unavailable;
    let mut kept = Vec::new();
    for request in requests {
        match request {
            Request::Publish { draft, connection, receipt } => {
                refusals.push(Delivery::Published {
                    topic: draft.topic,
                    connection,
                    receipt,
                    outcome: Err(CODE),
                });
            }
            Request::PublishTogether { drafts, connection, batch } => {
                let outcomes = vec![Err(CODE); drafts.len()];
                refusals.push(Delivery::PublishedTogether { connection, batch, outcomes });
            }
            Request::Subscribe { ticket, .. } => {
                refusals.push(Delivery::Subscribed { ticket, placement: Err(CODE) });
            }
            Request::Snapshot { of: SnapshotOf::Topic(_), connection, ticket } => {
                refusals.push(Delivery::Snapshot { connection, ticket, outcome: Err(CODE) });
            }
            Request::Latest { connection, .. } => {
                refusals.push(Delivery::Latest { connection, latest: Err(CODE) });
            }
            Request::Poll { ticket, .. } => {
                refusals.push(Delivery::Polled { ticket, outcome: Err(CODE) });
            }
            Request::EndPoll { topic, ticket } => {
                refusals.push(Delivery::Polled { ticket, outcome: Err(CODE) });
                kept.push(Request::EndPoll { topic, ticket });
            }
            other => kept.push(other),
        }
    }
    kept
}
