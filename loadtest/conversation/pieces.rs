//! A stream that is cut anywhere, put together unit by unit.

use super::ConversationError;

/// What has come of a unit (a line, a packet) that is not complete. Between units it holds no memory.
#[derive(Debug, Default)]
pub(super) struct Pieces(Vec<u8>);

impl Pieces {
    /// Whether nothing of a unit has come that is not complete.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has `take` read one unit after the other. It is given all that has come since the last unit that it took, and says
    /// how many octets the next one has; none if that is not complete.
    ///
    /// What came whole is given as it came: only the unit at a cut is copied.
    pub(super) fn read(
        &mut self,
        input: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<Option<usize>, ConversationError>,
    ) -> Result<(), ConversationError> {
        if self.0.is_empty() {
            let taken = take_units(input, &mut take)?;
            self.0.extend_from_slice(&input[taken..]);
            return Ok(());
        }
        self.0.extend_from_slice(input);
        let taken = take_units(&self.0, &mut take)?;
        if taken == self.0.len() {
            self.0 = Vec::new();
        } else {
            self.0.drain(..taken);
        }
        Ok(())
    }
}

/// How many octets the complete units at the front have.
fn take_units(
    octets: &[u8],
    take: &mut impl FnMut(&[u8]) -> Result<Option<usize>, ConversationError>,
) -> Result<usize, ConversationError> {
    let mut taken = 0;
    while taken < octets.len()
        && let Some(length) = take(&octets[taken..])?
    {
        taken += length;
    }
    Ok(taken)
}
