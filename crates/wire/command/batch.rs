//! Many messages in one `publish_batch`.

use super::Command;
use super::fields::{Field, Fields, elements};
use super::publication::{Publication, parse_publication};
use crate::error::CommandError;
use crate::limits::MAX_BATCH_MESSAGES;

/// What is wrong with a batch that has no messages.
pub(crate) const BAD_BATCH: CommandError =
    CommandError::BadList { field: Field::Messages.name(), limit: MAX_BATCH_MESSAGES };

/// What each message says for itself, how that is to be beside the list, and the other way round. A `message_id` of the
/// whole batch, above all, would make nobody's second attempt safe.
const OF_EACH_MESSAGE: [Field; 6] =
    [Field::Topic, Field::Key, Field::MessageId, Field::Expect, Field::Data, Field::Encoding];
const BESIDE_MESSAGES: &str = "left out beside \"messages\", each of which has its own";
const WITHIN_MESSAGES: &str = "left out here: it stands beside \"messages\", and holds for all of them";

/// The messages of a batch; in the place of one that could not be read, what is wrong with it.
pub type Messages<'a> = Vec<Result<Publication<'a>, CommandError>>;

pub(super) fn parse_publish_batch<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let echo = fields.optional_boolean(Field::Echo)?.unwrap_or(true);
    let (messages, atomic) = messages_of(fields)?;
    Ok(Command::PublishBatch { messages, atomic, echo })
}

/// Reads a batch that is not a command among others, and so has no `type`: its messages, and whether it is atomic.
pub fn parse_batch(text: &str) -> Result<(Messages<'_>, bool), CommandError> {
    let mut fields = Fields::default();
    fields.read(text).map_err(|error| match error {
        CommandError::NotObject => CommandError::NotBatch,
        other => other,
    })?;
    messages_of(&fields)
}

fn messages_of<'a>(fields: &Fields<'a>) -> Result<(Messages<'a>, bool), CommandError> {
    let list = fields.optional_json(Field::Messages);
    let list = list.ok_or(CommandError::MissingField(Field::Messages.name()))?;
    fields.without(&OF_EACH_MESSAGE, BESIDE_MESSAGES)?;
    let atomic = fields.optional_boolean(Field::Atomic)?.unwrap_or(false);
    Ok((parse_messages(list)?, atomic))
}

/// Each message, or what is wrong with it: one leaves the others as they are.
fn parse_messages(list: &str) -> Result<Messages<'_>, CommandError> {
    match elements(list, MAX_BATCH_MESSAGES) {
        None => Err(BAD_BATCH),
        Some((_, true)) => Err(CommandError::BatchTooLarge { limit: MAX_BATCH_MESSAGES }),
        Some((texts, false)) if texts.is_empty() => Err(BAD_BATCH),
        Some((texts, false)) => Ok(texts.into_iter().map(parse_message).collect()),
    }
}

fn parse_message(text: &str) -> Result<Publication<'_>, CommandError> {
    let fields = Fields::of_element(text)?;
    fields.without(&[Field::Echo, Field::Atomic], WITHIN_MESSAGES)?;
    parse_publication(&fields)
}
