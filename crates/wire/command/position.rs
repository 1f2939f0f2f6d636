//! Places in a topic, and where a subscription begins.

use std::borrow::Cow;

use serde::Deserialize;

use super::fields::{Field, Fields, decode_string};
use crate::error::CommandError;
use crate::limits::{MAX_EPOCH_BYTES, MAX_OFFSET};

/// A place in a topic: after the message with this offset, in this run of the broker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// The identity of the run that counted the offset.
    pub epoch: Box<str>,
    /// The offset of the last message that the client has; 0 is before the first.
    pub offset: u64,
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Since {
    /// With the oldest message that history holds.
    Earliest,
    /// After this position.
    Position(Position),
}

/// Reads a start in the form that query parameters have: `earliest`, or a position.
pub fn parse_since(text: &str) -> Result<Since, CommandError> {
    match text {
        "earliest" => Ok(Since::Earliest),
        text => parse_position(text).map(Since::Position),
    }
}

/// Reads a position in the form that query parameters, entity tags and event ids have: `EPOCH:OFFSET`.
pub fn parse_position(text: &str) -> Result<Position, CommandError> {
    let (epoch, offset) = text.rsplit_once(':').ok_or(CommandError::BadSince)?;
    if !offset.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandError::BadSince);
    }
    position(epoch, offset.parse().map_err(|_| CommandError::BadSince)?)
}

/// The `since` of a command, if it has one.
pub(super) fn since_field(fields: &Fields<'_>) -> Result<Option<Since>, CommandError> {
    let Some(json) = fields.optional_json(Field::Since) else { return Ok(None) };
    match decode_string(json).as_deref() {
        Some("earliest") => Ok(Some(Since::Earliest)),
        _ => position_of_json(json).map(|position| Some(Since::Position(position))),
    }
}

/// The `expect` of a publish, if it has one.
pub(super) fn expect_field(fields: &Fields<'_>) -> Result<Option<Position>, CommandError> {
    let Some(json) = fields.optional_json(Field::Expect) else { return Ok(None) };
    position_of_json(json).map(Some).map_err(|_| BAD_EXPECT)
}

/// What is wrong with an `expect` that is no position.
pub(crate) const BAD_EXPECT: CommandError = CommandError::BadField {
    field: Field::Expect.name(),
    expected: "a position: the epoch and offset of the message that you take for the topic's latest",
};

fn position_of_json(json: &str) -> Result<Position, CommandError> {
    #[derive(Deserialize)]
    struct PositionFields<'a> {
        #[serde(borrow)]
        epoch: Cow<'a, str>,
        offset: u64,
    }

    // A derived struct would read an array too, field by field.
    if !json.starts_with('{') {
        return Err(CommandError::BadSince);
    }
    let PositionFields { epoch, offset } = serde_json::from_str(json).map_err(|_| CommandError::BadSince)?;
    position(&epoch, offset)
}

/// The position, if it can be one.
pub(crate) fn position(epoch: &str, offset: u64) -> Result<Position, CommandError> {
    if epoch.is_empty() || epoch.len() > MAX_EPOCH_BYTES || offset >= MAX_OFFSET {
        return Err(CommandError::BadSince);
    }
    Ok(Position { epoch: epoch.into(), offset })
}
