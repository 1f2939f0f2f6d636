//! The batches of a core's connections, until each of their messages has its answer.

use std::borrow::Cow;
use std::collections::BTreeMap;

use fanwire_wire::command::CommandId;
use fanwire_wire::error::{CommandError, ErrorCode};
use fanwire_wire::notification::{BatchResult, Refusal};
use smallvec::SmallVec;

/// What became of one message of a batch: its offset, or why it has none.
pub type Outcome = Result<u64, Refused>;

/// Why a message of a batch has no offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: Cow<'static, str>,
}

impl From<&CommandError> for Refused {
    fn from(error: &CommandError) -> Self {
        Self { code: error.code(), message: error.to_string().into() }
    }
}

/// What became of one message, as the wire crate writes it.
pub fn as_result(outcome: &Outcome) -> BatchResult<'_> {
    outcome.as_ref().copied().map_err(|Refused { code, message }| Refusal { code: *code, message })
}

/// What one outcome is taken to be in the receipt that its client will have to read, in bytes.
const OUTCOME_BYTES: usize = 32;

/// The batches that wait. How many there are is bounded by [`Self::reply_bytes`]: their connections are not read any
/// further when that is much.
#[derive(Debug, Default)]
pub(crate) struct Batches {
    /// By slot and number, so that those of a connection stand together. A number is not used again, so that an answer to
    /// a batch of the connection before is not taken for one of the next.
    waiting: BTreeMap<(u32, u32), Batch>,
    last: u32,
}

/// One that waits.
#[derive(Debug)]
struct Batch {
    id: Option<CommandId>,
    outcomes: Vec<Option<Outcome>>,
    missing: usize,
}

/// One whose messages all have their answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The `id` of its command.
    pub(crate) id: Option<CommandId>,
    /// What became of its messages, in their order.
    pub(crate) outcomes: Vec<Outcome>,
}

impl Batches {
    /// The number of a batch of so many messages, which is at least one, that the connection in the slot begins.
    pub(crate) fn begin(&mut self, slot: u32, id: Option<CommandId>, messages: usize) -> u32 {
        debug_assert!(messages > 0, "it would wait for ever");
        self.last = self.last.wrapping_add(1);
        let batch = Batch { id, outcomes: vec![None; messages], missing: messages };
        self.waiting.insert((slot, self.last), batch);
        self.last
    }

    /// Takes what became of one message. Returns the batch if that was the last.
    pub(crate) fn answer(&mut self, slot: u32, batch: u32, index: u32, outcome: Outcome) -> Option<Answered> {
        let waiting = self.waiting.get_mut(&(slot, batch))?;
        let earlier = waiting.outcomes.get_mut(index as usize)?.replace(outcome);
        debug_assert!(earlier.is_none(), "each message is answered once");
        waiting.missing -= 1;
        if waiting.missing > 0 {
            return None;
        }
        let Batch { id, outcomes, .. } = self.waiting.remove(&(slot, batch))?;
        Some(Answered { id, outcomes: outcomes.into_iter().flatten().collect() })
    }

    /// Forgets the batches of a connection that is gone: answers that still come find nothing.
    pub(crate) fn forget(&mut self, slot: u32) {
        let theirs: SmallVec<[_; 4]> = self.of(slot).map(|(place, _)| *place).collect();
        for place in theirs {
            self.waiting.remove(&place);
        }
    }

    /// What the receipts of a connection's batches will take, in bytes.
    pub(crate) fn reply_bytes(&self, slot: u32) -> usize {
        self.of(slot).map(|(_, batch)| batch.outcomes.len() * OUTCOME_BYTES).sum()
    }

    fn of(&self, slot: u32) -> impl Iterator<Item = (&(u32, u32), &Batch)> {
        self.waiting.range((slot, 0)..=(slot, u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Outcome {
        Err(Refused { code: ErrorCode::Unavailable, message: "later".into() })
    }

    #[test]
    fn outcomes_are_told_together_and_in_the_order_of_the_messages() {
        let mut batches = Batches::default();
        let id = Some(CommandId::from(7));
        let batch = batches.begin(3, id.clone(), 3);
        assert_eq!(batches.answer(3, batch, 2, Ok(12)), None);
        assert_eq!(batches.answer(3, batch, 0, Ok(10)), None);
        assert_eq!(batches.reply_bytes(3), 3 * OUTCOME_BYTES);
        let outcomes = vec![Ok(10), refused(), Ok(12)];
        assert_eq!(batches.answer(3, batch, 1, refused()), Some(Answered { id, outcomes }));
        assert_eq!(batches.reply_bytes(3), 0);
    }

    #[test]
    fn batches_of_a_connection_count_together_and_end_with_it() {
        let mut batches = Batches::default();
        let [first, _second] = [batches.begin(3, None, 2), batches.begin(3, None, 5)];
        let others = [batches.begin(2, None, 1), batches.begin(4, None, 1)];
        assert_eq!(batches.reply_bytes(3), 7 * OUTCOME_BYTES);
        batches.forget(3);
        assert_eq!(batches.reply_bytes(3), 0);
        let next = batches.begin(3, None, 1);
        assert_eq!(batches.answer(3, first, 0, Ok(1)), None, "the answer is to the one before");
        let answered = |outcome| Some(Answered { id: None, outcomes: vec![outcome] });
        assert_eq!(batches.answer(3, next, 0, Ok(2)), answered(Ok(2)));
        assert_eq!(batches.answer(2, others[0], 0, Ok(3)), answered(Ok(3)));
        assert_eq!(batches.answer(4, others[1], 0, Ok(4)), answered(Ok(4)));
        assert!(batches.waiting.is_empty());
    }
}
