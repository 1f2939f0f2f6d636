//! What connections publish, alone and in batches, and what they are answered.
//!
//! ```text
//!   core                                   homes
//!    │── Publish{OfBatch} ──────────────────►│  each message of a batch by itself …
//!    │◄── Published ─────────────────────────│  … and the last answer is the batch's
//!    │── PublishTogether ───────────────────►│  an atomic batch is whole, at the one home of its topics
//!    │◄── PublishedTogether ─────────────────│
//! ```

use fanwire_wire::command::{CommandId, Messages};
use fanwire_wire::error::{CommandError, ErrorCode};
use fanwire_wire::notification::{BatchResult, Notification};
use fanwire_wire::topic::Topic;

use super::{Event, Shard};
use crate::batches::{Answered, Outcome, Refused, as_result};
use crate::lanes::{ConnectionId, Receipt, Request};
use crate::message::Draft;

/// The messages of a batch: in the place of one that could not be read, what is wrong with it.
pub type Drafts = Vec<Result<Draft, Refused>>;

/// The messages of a command.
pub fn drafts_of(messages: Messages<'_>, echo: bool) -> Drafts {
    let draft = |message: Result<_, CommandError>| match message {
        Ok(publication) => Ok(Draft::of(publication, echo)),
        Err(error) => Err(Refused::from(&error)),
    };
    messages.into_iter().map(draft).collect()
}

/// What connections ask for.
impl Shard {
    /// A raw or HTTP connection publishes. An event answers if `receipt` is true, or if it fails.
    pub fn publish(&mut self, id: ConnectionId, draft: Draft, receipt: bool) {
        if self.connections.is_open(id) {
            self.publish_draft(id, draft, if receipt { Receipt::Wanted } else { Receipt::Unwanted });
        }
    }

    /// An HTTP connection publishes many messages, at least one; if they are `atomic`, all or none. An event answers.
    pub fn publish_batch(&mut self, id: ConnectionId, drafts: Drafts, atomic: bool) {
        if self.connections.is_open(id) {
            self.begin_batch(id, None, drafts, atomic);
        }
    }

    pub(super) fn publish_draft(&mut self, connection: ConnectionId, draft: Draft, receipt: Receipt) {
        if let Err(refused) = self.check_publish(connection.slot, &draft.topic) {
            return self.published(&draft.topic, connection, &receipt, Err(refused));
        }
        self.request(self.home_of(&draft.topic), Request::Publish { draft, connection, receipt });
    }

    pub(super) fn begin_batch(
        &mut self,
        connection: ConnectionId,
        id: Option<CommandId>,
        drafts: Drafts,
        atomic: bool,
    ) {
        if atomic {
            return self.begin_atomic_batch(connection, id, drafts);
        }
        let batch = self.batches.begin(connection.slot, id, drafts.len());
        for (index, draft) in (0..).zip(drafts) {
            match draft {
                Ok(draft) => self.publish_draft(connection, draft, Receipt::OfBatch { batch, index }),
                Err(refused) => self.answer_batch(connection, batch, index, Err(refused)),
            }
        }
    }

    fn begin_atomic_batch(&mut self, connection: ConnectionId, id: Option<CommandId>, drafts: Drafts) {
        let checked = |draft: Result<Draft, Refused>| {
            draft.and_then(|draft| self.check_publish(connection.slot, &draft.topic).map(|()| draft))
        };
        let whole = match whole(drafts.into_iter().map(checked).collect()) {
            Ok(whole) => whole,
            Err(outcomes) => return self.tell_batch(connection, Answered { id, outcomes }),
        };
        let Some(home) = self.homes.shared_by(whole.iter().map(|draft| &draft.topic)) else {
            return self.refuse(connection, id.as_ref(), "publish_batch", None, ErrorCode::NotTogether);
        };
        let batch = self.batches.begin(connection.slot, id, whole.len());
        self.request(home, Request::PublishTogether { drafts: whole, connection, batch });
    }
}

/// The messages, if all could be read; otherwise what each is told.
fn whole(drafts: Drafts) -> Result<Vec<Draft>, Vec<Outcome>> {
    if drafts.iter().all(Result::is_ok) {
        return Ok(drafts.into_iter().flatten().collect());
    }
    let told = |draft: Result<Draft, Refused>| Err(draft.err().unwrap_or_else(|| ErrorCode::Aborted.into()));
    Err(drafts.into_iter().map(told).collect())
}

/// What a core does with the answers.
impl Shard {
    pub(super) fn published(
        &mut self,
        topic: &Topic,
        connection: ConnectionId,
        receipt: &Receipt,
        outcome: Outcome,
    ) {
        let id = match receipt {
            Receipt::WithId(id) => Some(id),
            Receipt::Wanted | Receipt::Unwanted => None,
            Receipt::OfBatch { batch, index } => {
                return self.answer_batch(connection, *batch, *index, outcome);
            }
        };
        if !self.connections.is_open(connection) {
            return;
        }
        match outcome {
            Err(refused) => self.refuse(connection, id, "publish", Some(topic), refused),
            Ok(offset) if self.connections.has_commands(connection.slot) => {
                let epoch = &*self.epoch.clone();
                self.notify(connection, &Notification::Published { id, topic, epoch, offset });
            }
            Ok(offset) => self.events.push_back(Event::Published { connection, offset }),
        }
    }

    pub(super) fn published_together(
        &mut self,
        connection: ConnectionId,
        batch: u32,
        outcomes: Vec<Result<u64, ErrorCode>>,
    ) {
        for (index, outcome) in (0..).zip(outcomes) {
            self.answer_batch(connection, batch, index, outcome.map_err(Refused::from));
        }
    }

    fn answer_batch(&mut self, connection: ConnectionId, batch: u32, index: u32, outcome: Outcome) {
        if let Some(answered) = self.batches.answer(connection.slot, batch, index, outcome) {
            self.tell_batch(connection, answered);
        }
    }

    fn tell_batch(&mut self, connection: ConnectionId, Answered { id, outcomes }: Answered) {
        if !self.connections.is_open(connection) {
            return;
        }
        if !self.connections.has_commands(connection.slot) {
            return self.events.push_back(Event::PublishedBatch { connection, outcomes });
        }
        let results: Vec<BatchResult<'_>> = outcomes.iter().map(as_result).collect();
        let (id, epoch, results) = (id.as_ref(), &*self.epoch.clone(), results.as_slice().into());
        self.notify(connection, &Notification::PublishedBatch { id, epoch, results });
    }
}
