//! What is asked for in few bytes, so that a turn ends in time whatever it is asked for.

/// What a turn does at most, in the time that it takes to read so many bytes, before those get their turn who wait for what was
/// read. Frames that came with requests to upgrade, or that earlier turns had no time for, have as much again.
pub(super) const BYTES_PER_TURN: usize = 1024 * 1024;

/// What is done at most of what one read brought, before others get their turn.
const BYTES_PER_READ: usize = BYTES_PER_TURN / 4;

/// What a command counts for, and so does each further topic or message that it has in a list, and each subscription that ends
/// with its connection. A subscription takes about as long as copying this.
const BYTES_OF_COMMAND: usize = 256;

/// What a TLS record counts for. To open one takes some hundred nanoseconds, and one of a single octet is 23 on the wire.
const BYTES_OF_RECORD: usize = 256;

/// What it counts for to look at a token. Its signature takes as long as hundreds of deliveries.
const BYTES_OF_TOKEN: usize = 16 * 1024;

/// What a read has brought so far, besides its bytes.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// Frames, requests, and what is in their lists.
    pub(super) commands: u64,
    /// TLS records that were opened.
    pub(super) records: usize,
    /// Tokens that were looked at.
    pub(super) tokens: usize,
    /// Bytes that were not on the wire.
    pub(super) inflated_bytes: usize,
    /// What answers were made of, in bytes, also where no more than their heads are sent.
    pub(super) answered_bytes: usize,
}

impl Effort {
    /// What it counts for, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.commands as usize * BYTES_OF_COMMAND
            + self.records * BYTES_OF_RECORD
            + self.tokens * BYTES_OF_TOKEN
            + self.inflated_bytes
            + self.answered_bytes
    }

    /// Whether the rest of what was read comes in another turn.
    pub(super) fn is_enough(&self) -> bool {
        self.bytes() >= BYTES_PER_READ
    }
}

/// What the end of so many subscriptions counts for, in bytes.
pub(super) const fn of_ended(subscriptions: usize) -> usize {
    subscriptions * BYTES_OF_COMMAND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_as_much_as_a_command() {
        let commands = Effort { commands: 3, ..Effort::default() };
        let records = Effort { records: 3, ..Effort::default() };
        assert_eq!(records.bytes(), commands.bytes());
        let many = Effort { records: BYTES_PER_READ / BYTES_OF_RECORD, ..Effort::default() };
        assert!(many.is_enough() && !records.is_enough());
    }
}
