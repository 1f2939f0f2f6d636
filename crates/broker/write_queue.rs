//! What waits for a socket that did not take everything.
//!
//! ```text
//!   partial │ item │ item │ …  ◄─ gathered     the rest of a frame that was written in part, then references to
//!                                              messages, encoded when the socket is writable; what is conflated joins
//!                                              them when all of them are sent
//! ```

mod item;
mod letting_go;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::Topic;

use self::item::Item;
pub(crate) use self::item::{Queued, ReplyKind};
use self::standing::Standing;
use crate::conflation::Gathered;
use crate::encoder::{Encoder, Encoding, Naming};
use crate::message::{DeliveredAs, Message};
use crate::tick::Tick;

/// What the write queue of one connection holds.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    partial: Bytes,
    items: VecDeque<Item>,
    /// Of the items.
    standing: Standing,
    /// What comes behind all items. None of it is of a topic that an item must follow it of: see [`Self::freeze_for`].
    gathered: Gathered,
    /// Messages and notices among the items, in bytes as [`Item::bytes`] counts them.
    item_bytes: usize,
    /// The notices among them, gaps and counts, in bytes: nothing can be let go for these.
    notice_bytes: usize,
    /// Replies and values of snapshots, in bytes: what stops the reading of a client that does not read.
    reply_bytes: usize,
    /// How many of the items can become too old.
    ageing: usize,
    /// When it was last looked at how old they are.
    looked_ms: Option<u64>,
    /// The messages that were let go by count so far.
    skips: u64,
    /// Whether the socket has left something of what it was offered, and has not had all since. Who is only sent what it reads
    /// from history, or waits for a snapshot, does not lag.
    lags: bool,
}

/// The front of a queue as it was written for the socket.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// Where each item ends in `bytes`; the first begins where the partial frame ends.
    ends: Vec<usize>,
}

impl WriteQueue {
    pub(crate) fn is_empty(&self) -> bool {
        self.is_drained() && self.gathered.is_empty()
    }

    /// Whether everything was sent but what is gathered.
    pub(crate) fn is_drained(&self) -> bool {
        self.partial.is_empty() && self.items.is_empty()
    }

    /// The backlog, in bytes: what is bounded.
    pub(crate) fn bytes(&self) -> usize {
        self.item_bytes + self.gathered.bytes()
    }

    /// The gaps and counts in the backlog, in bytes.
    pub(crate) fn notice_bytes(&self) -> usize {
        self.notice_bytes
    }

    /// The replies that wait, and the values of snapshots, in bytes.
    pub(crate) fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// What is written whatever becomes of the messages: the rest of what was begun, and the replies, in bytes.
    pub(crate) fn certain_bytes(&self) -> usize {
        self.partial.len() + self.reply_bytes
    }

    /// The messages that were let go by count so far.
    pub(crate) fn skips(&self) -> u64 {
        self.skips
    }

    /// Whether the socket is behind, so that newer values are to take the place of older ones.
    pub(crate) fn lags(&self) -> bool {
        self.lags
    }

    /// The socket did not take what it was offered.
    pub(crate) fn set_lagging(&mut self) {
        self.lags = true;
    }

    /// Whether `bytes` more stay within `bound`. A queue without messages takes one of any size.
    pub(crate) fn has_room(&self, bytes: usize, bound: usize) -> bool {
        self.bytes() == 0 || self.bytes() + bytes <= bound
    }

    pub(crate) fn push_message(&mut self, queued: Queued) {
        self.freeze_for(&queued.message.topic);
        self.push(Item::Message(queued));
    }

    /// Messages that come together, or not at all.
    pub(crate) fn push_tick(&mut self, tick: Arc<Tick>) {
        self.push(Item::Tick(tick));
    }

    /// A value of a snapshot, which the client has asked for. Nothing lets it go.
    pub(crate) fn push_value(&mut self, message: Arc<Message>, naming: Naming) {
        self.push(Item::Value(message, naming));
    }

    pub(crate) fn push_reply(&mut self, bytes: &[u8], kind: ReplyKind) {
        if kind.keeps_its_place() {
            self.freeze();
        }
        self.push(Item::Reply(bytes.into(), kind));
    }

    /// The rest of a frame that the socket took in part. Only an empty queue has one put in.
    pub(crate) fn set_partial(&mut self, bytes: &[u8]) {
        debug_assert!(self.is_empty());
        self.partial = Bytes::copy_from_slice(bytes);
    }

    /// Tells that the messages `from..=to` will not come: in one gap with what was told last of the topic, where
    /// they follow it and no boundary stands between.
    pub(crate) fn push_gap(&mut self, topic: &Topic, from: u64, to: u64) {
        self.freeze_for(topic);
        let count = to - from + 1;
        if !self.last_of(topic).is_some_and(|last| last.extend(from, to, count)) {
            self.push(Item::Gap { topic: topic.clone(), from, to, count });
        }
    }

    /// Tells that `count` messages that were for the end of the queue, the last of them at `offset`, will not come.
    fn push_skipped(&mut self, topic: &Topic, offset: u64, count: u64) {
        if let Some(Item::Skipped { offset: last, count: told, .. }) = self.last_of(topic) {
            *last = offset;
            *told += count;
        } else {
            self.push(Item::Skipped { topic: topic.clone(), offset, count });
        }
    }

    /// The last item of the topic, where no boundary follows it.
    fn last_of(&mut self, topic: &Topic) -> Option<&mut Item> {
        self.items.get_mut(self.standing.last_of(topic)?)
    }

    /// Takes a message for the next generation. If there is no room for it, older values of its topic are let go; and
    /// where only other topics are left, it goes too.
    pub(crate) fn gather(&mut self, queued: Queued, bound: usize) {
        let (topic, offset, bytes) =
            (queued.message.topic.clone(), queued.message.offset, queued.message.bytes());
        if !self.has_room(bytes, bound) && !self.has_messages_of(&topic) {
            self.skips += 1;
            return self.push_skipped(&topic, offset, 1);
        }
        self.skips += u64::from(self.gathered.gather(queued));
        while self.bytes() > bound && self.bytes() > bytes {
            if !self.let_older_values_go(&topic) {
                let count = self.gathered.forget(&topic);
                self.skips += 1;
                return self.push_skipped(&topic, offset, count);
            }
        }
    }

    /// The connection's turn has come: what is too old is let go, and what is gathered follows if that or the socket has left
    /// nothing. Then there is something to write, unless the queue is empty.
    pub(crate) fn begin_turn(&mut self, now_ms: u64) {
        if self.looked_ms.replace(now_ms) != Some(now_ms) {
            self.let_stale_go(now_ms);
        }
        if self.is_drained() {
            self.freeze();
            self.let_stale_go(now_ms);
        }
    }

    /// Whether there is a message of the topic, queued or gathered.
    fn has_messages_of(&self, topic: &Topic) -> bool {
        self.standing.has_messages(topic) || self.gathered.values_of(topic) > 0
    }

    /// Queues what is gathered: what comes from here on is of the next generation.
    fn freeze(&mut self) {
        if !self.gathered.is_empty() {
            self.gathered.freeze().for_each(|queued| self.push(Item::Message(queued)));
        }
    }

    /// Queues what is gathered if any of it is of `topic`, of which an item is to follow.
    fn freeze_for(&mut self, topic: &Topic) {
        if self.gathered.values_of(topic) > 0 {
            self.freeze();
        }
    }

    fn push(&mut self, item: Item) {
        self.item_bytes += item.bytes();
        self.notice_bytes += item.notice_bytes();
        self.reply_bytes += item.reply_bytes();
        self.ageing += usize::from(item.is_ageing());
        self.standing.push(&item);
        self.items.push_back(item);
    }

    fn pop(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.item_bytes -= item.bytes();
            self.notice_bytes -= item.notice_bytes();
            self.reply_bytes -= item.reply_bytes();
            self.ageing -= usize::from(item.is_ageing());
            self.standing.pop(&item);
        }
    }

    fn recount(&mut self) {
        self.item_bytes = self.items.iter().map(Item::bytes).sum();
        self.notice_bytes = self.items.iter().map(Item::notice_bytes).sum();
        self.reply_bytes = self.items.iter().map(Item::reply_bytes).sum();
        self.ageing = self.items.iter().filter(|item| item.is_ageing()).count();
        self.standing = Standing::of(&self.items);
    }

    /// Writes the front of the queue to `written`, up to about `max_bytes`.
    pub(crate) fn write(
        &self,
        encoder: &mut Encoder,
        encoding: Option<Encoding>,
        max_bytes: usize,
        written: &mut Written,
    ) {
        written.bytes.clear();
        written.ends.clear();
        written.bytes.extend_from_slice(&self.partial[..self.partial.len().min(max_bytes)]);
        for item in &self.items {
            if written.bytes.len() >= max_bytes {
                break;
            }
            match (item, encoding) {
                (Item::Reply(bytes, _), _) => written.bytes.extend_from_slice(bytes),
                (item, Some(encoding)) => write_item(item, encoder, encoding, &mut written.bytes),
                (_, None) => unreachable!("who speaks HTTP subscribes to nothing"),
            }
            written.ends.push(written.bytes.len());
        }
    }

    /// Takes what the socket took, the first `bytes` of `written`, off the front. What was written in part is kept
    /// as it was encoded, since the peer has seen its beginning.
    pub(crate) fn advance(&mut self, written: &Written, bytes: usize) {
        self.take_off(written, bytes);
        self.lags = bytes < written.bytes.len() || self.lags && !self.is_empty();
    }

    /// The same, where what was written cannot be written again, since what comes after it refers to it: all of it is kept
    /// as it was encoded.
    pub(crate) fn advance_for_good(&mut self, written: &Written, bytes: usize) {
        self.lags = bytes < written.bytes.len() || self.lags && !self.is_empty();
        let was_offered_whole = written.bytes.len() >= self.partial.len();
        if !was_offered_whole {
            return self.partial.advance(bytes);
        }
        self.partial = Bytes::copy_from_slice(&written.bytes[bytes..]);
        written.ends.iter().for_each(|_| self.pop());
    }

    fn take_off(&mut self, written: &Written, bytes: usize) {
        if bytes < self.partial.len() {
            self.partial.advance(bytes);
            return;
        }
        let mut done = self.partial.len();
        self.partial = Bytes::new();
        for &end in &written.ends {
            if done == bytes {
                return;
            }
            self.pop();
            if end > bytes {
                self.partial = Bytes::copy_from_slice(&written.bytes[bytes..end]);
                return;
            }
            done = end;
        }
    }
}

fn write_item(item: &Item, encoder: &mut Encoder, encoding: Encoding, out: &mut Vec<u8>) {
    match item {
        Item::Reply(bytes, _) => out.extend_from_slice(bytes),
        Item::Message(Queued { message, naming, skipped, .. }) => {
            encoder.message(encoding, message, *naming, DeliveredAs::News { skipped: *skipped }, out);
        }
        Item::Tick(tick) => encoder.tick(encoding, tick, out),
        Item::Value(message, naming) => {
            encoder.message(encoding, message, *naming, DeliveredAs::LastValue, out);
        }
        Item::Gap { topic, from, to, count } => {
            let gap = Notification::Gap { topic, from: *from, to: *to, count: *count };
            encoder.notification(encoding, &gap, out);
        }
        Item::Skipped { topic, offset, count } => {
            let skipped = Notification::Skipped { topic, offset: *offset, count: *count };
            encoder.notification(encoding, &skipped, out);
        }
    }
}
