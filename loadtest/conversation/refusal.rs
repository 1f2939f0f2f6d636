//! A response that says no, read to its end for what it says.

use super::ConversationError;
use super::response::{Part, ResponseHead, ResponseReader};

/// Octets of its body that are kept: more is not for people.
const MAX_KEPT_BYTES: usize = 4 * 1024;

/// A response that says no.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    reader: ResponseReader,
    status: u16,
    body: Vec<u8>,
}

impl Refusal {
    /// A refusal whose head was read already, by this reader.
    pub(super) fn after(head: &ResponseHead, reader: ResponseReader) -> Self {
        Self { reader, status: head.status, body: Vec::new() }
    }

    /// Takes in more of it. Its end is the error that it is.
    pub(super) fn read(&mut self, mut input: &[u8]) -> Result<(), ConversationError> {
        while let Some(part) = self.reader.read(&mut input)? {
            match part {
                Part::Head(head) => self.status = head.status,
                Part::Body(piece) => {
                    let room = MAX_KEPT_BYTES - self.body.len();
                    self.body.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                Part::End => return Err(self.error()),
            }
        }
        Ok(())
    }

    /// What it says, as far as it came.
    pub(super) fn error(&self) -> ConversationError {
        ConversationError::refused(self.status, &self.body)
    }
}
