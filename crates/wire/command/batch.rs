//! Many messages in one `publish_batch`.

use super::Command;
use super::fields::{Field, Fields, elements};
use super::publication::{Publication, parse_publication};
use crate::error::CommandError;
use crate::limits::MAX_BATCH_MESSAGES;

/// What is wrong with a batch that has no messages.
pub(crate) const BAD_BATCH: CommandError =
    CommandError::BadList { field: Field::Messages.name(), limit: MAX_BATCH_MESSAGES };

pub(super) fn parse_publish_batch<'a>(fields: &Fields<'a>) -> Result<Command<'a>, CommandError> {
    let list = fields.optional_json(Field::Messages);
    let list = list.ok_or(CommandError::MissingField(Field::Messages.name()))?;
    let atomic = fields.optional_boolean(Field::Atomic)?.unwrap_or(false);
    let echo = fields.optional_boolean(Field::Echo)?.unwrap_or(true);
    Ok(Command::PublishBatch { messages: parse_messages(list)?, atomic, echo })
}

/// Each message, or what is wrong with it: one leaves the others as they are.
fn parse_messages(list: &str) -> Result<Vec<Result<Publication<'_>, CommandError>>, CommandError> {
    match elements(list, MAX_BATCH_MESSAGES) {
        None => Err(BAD_BATCH),
        Some((_, true)) => Err(CommandError::BatchTooLarge),
        Some((texts, false)) if texts.is_empty() => Err(BAD_BATCH),
        Some((texts, false)) => Ok(texts.into_iter().map(parse_message).collect()),
    }
}

fn parse_message(text: &str) -> Result<Publication<'_>, CommandError> {
    parse_publication(&Fields::of_element(text, BAD_BATCH)?)
}
