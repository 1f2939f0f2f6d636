//! What a client calls a command, so that it knows the answer to it.

use serde::de::IgnoredAny;

use crate::error::CommandError;
use crate::limits::MAX_COMMAND_ID_BYTES;

/// The `id` of a command: the JSON text of a string or number, kept and echoed exactly as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(Box<str>);

impl CommandId {
    /// Checks that `json` is the JSON text of a string or number, of at most
    /// [`MAX_COMMAND_ID_BYTES`] octets.
    pub fn parse(json: &str) -> Result<Self, CommandError> {
        if serde_json::from_str::<IgnoredAny>(json).is_err() {
            return Err(CommandError::BadId);
        }
        Self::from_valid_json(json.trim_ascii())
    }

    /// The JSON text, quotes included.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The number, if it is a whole one that is written as such and fits.
    pub fn as_integer(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The same of what is known to be JSON, with no space around it.
    pub(super) fn from_valid_json(json: &str) -> Result<Self, CommandError> {
        let is_string_or_number = json.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'));
        if !is_string_or_number || json.len() > MAX_COMMAND_ID_BYTES {
            return Err(CommandError::BadId);
        }
        Ok(Self(json.into()))
    }
}

impl From<u64> for CommandId {
    fn from(integer: u64) -> Self {
        Self(integer.to_string().into())
    }
}
