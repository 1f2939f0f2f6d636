//! Connections whose messages are compressed with contexts of their own.

use std::collections::HashMap;

use fanwire_wire::deflate::{DeflateParams, Inflater};

/// Those of one core, by slot. Others have none, and cost nothing. What they compress with for the client is the shard's.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    by_slot: HashMap<u32, Context>,
    bytes: u64,
}

#[derive(Debug)]
struct Context {
    bytes: u64,
    /// Where the client takes its context over.
    inflater: Option<Inflater>,
}

impl Contexts {
    /// The connection in the slot has what was agreed on, for which there is room.
    pub(crate) fn begin(&mut self, slot: u32, agreed: DeflateParams, max_inflated_ratio: usize) {
        let bytes = agreed.context_bytes() as u64;
        let keeps = !agreed.client_no_context_takeover;
        let inflater = keeps.then(|| Inflater::new(true).with_max_ratio(max_inflated_ratio));
        self.bytes += bytes;
        let before = self.by_slot.insert(slot, Context { bytes, inflater });
        debug_assert!(before.is_none(), "a connection is upgraded once");
    }

    /// The connection has gone; the bytes that have become free.
    pub(crate) fn end(&mut self, slot: u32) -> u64 {
        let bytes = self.by_slot.remove(&slot).map_or(0, |context| context.bytes);
        self.bytes -= bytes;
        bytes
    }

    /// What inflates the connection's messages, where that is not what all others share. It is to be given back.
    pub(crate) fn take_inflater(&mut self, slot: u32) -> Option<Inflater> {
        self.by_slot.get_mut(&slot)?.inflater.take()
    }

    /// Gives back what was taken, unless the connection has gone.
    pub(crate) fn give_back(&mut self, slot: u32, inflater: Inflater) {
        if let Some(context) = self.by_slot.get_mut(&slot) {
            context.inflater = Some(inflater);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// What they take, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}
