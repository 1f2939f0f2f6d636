//! What waits for a socket that did not take everything.
//!
//! ```text
//!   partial │ item │ item │ …      the rest of a frame that was written in part, then references to messages,
//!                                  encoded when the socket is writable
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::Topic;

use crate::encoder::{Encoder, Encoding, Naming};
use crate::message::Message;

/// What the write queue of one connection holds.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    partial: Bytes,
    items: VecDeque<Item>,
    /// Messages and gaps, in bytes as [`Item::bytes`] counts them: what the backlog bounds.
    bytes: usize,
    /// The gaps among them, in bytes.
    gap_bytes: usize,
    /// Replies, in bytes: what stops the reading of a client that does not read.
    reply_bytes: usize,
}

/// What a reply means for the messages around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyKind {
    /// Nothing.
    Plain,
    /// A subscription begins or ends here: what is in front of it must stay there.
    Boundary,
    /// A close frame, or the end of an event stream: it comes even where what is in front of it does not fit.
    Close,
}

#[derive(Debug)]
enum Item {
    Reply(Box<[u8]>, ReplyKind),
    Message(Arc<Message>, Naming),
    Gap { topic: Topic, from: u64, to: u64, count: u64 },
}

impl Item {
    fn is_boundary(&self) -> bool {
        matches!(self, Self::Reply(_, ReplyKind::Boundary))
    }

    /// What the item counts for in the backlog, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Reply(..) => 0,
            Self::Message(message, _) => message.bytes(),
            Self::Gap { .. } => size_of::<Self>(),
        }
    }

    fn gap_bytes(&self) -> usize {
        if matches!(self, Self::Gap { .. }) { self.bytes() } else { 0 }
    }

    fn reply_bytes(&self) -> usize {
        if let Self::Reply(bytes, _) = self { bytes.len() } else { 0 }
    }

    /// Whether it is of `topic`, and not a reply.
    fn is_of(&self, topic: &Topic) -> bool {
        match self {
            Self::Reply(..) => false,
            Self::Message(message, _) => message.topic == *topic,
            Self::Gap { topic: of, .. } => of == topic,
        }
    }

    /// The first and the last offset that it stands for, and how many messages.
    fn offsets(&self) -> Option<(u64, u64, u64)> {
        match self {
            Self::Reply(..) => None,
            Self::Message(message, _) => Some((message.offset, message.offset, 1)),
            Self::Gap { from, to, count, .. } => Some((*from, *to, *count)),
        }
    }

    /// Makes a gap tell of what follows it too. Returns whether it is a gap and that does follow it.
    fn extend(&mut self, next_from: u64, next_to: u64, next_count: u64) -> bool {
        match self {
            Self::Gap { to, count, .. } if *to + 1 == next_from => {
                *to = next_to;
                *count += next_count;
                true
            }
            _ => false,
        }
    }
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
        self.partial.is_empty() && self.items.is_empty()
    }

    /// The backlog, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The gaps in the backlog, in bytes.
    pub(crate) fn gap_bytes(&self) -> usize {
        self.gap_bytes
    }

    /// The replies that wait, in bytes.
    pub(crate) fn reply_bytes(&self) -> usize {
        self.reply_bytes
    }

    /// Whether `bytes` more stay within `bound`. A queue without messages takes one of any size.
    pub(crate) fn has_room(&self, bytes: usize, bound: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= bound
    }

    pub(crate) fn push_message(&mut self, message: Arc<Message>, naming: Naming) {
        self.push(Item::Message(message, naming));
    }

    pub(crate) fn push_reply(&mut self, bytes: &[u8], kind: ReplyKind) {
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
        let count = to - from + 1;
        let mut since_boundary = self.items.iter_mut().rev().take_while(|item| !item.is_boundary());
        let last = since_boundary.find(|item| item.is_of(topic));
        if !last.is_some_and(|last| last.extend(from, to, count)) {
            self.push(Item::Gap { topic: topic.clone(), from, to, count });
        }
    }

    fn push(&mut self, item: Item) {
        self.bytes += item.bytes();
        self.gap_bytes += item.gap_bytes();
        self.reply_bytes += item.reply_bytes();
        self.items.push_back(item);
    }

    /// Lets the messages of `topic` go that follow the last boundary; returns the first one's offset. What is in front
    /// of it belongs to a subscription before, and would not come again.
    pub(crate) fn drop_topic(&mut self, topic: &Topic) -> Option<u64> {
        let mut first = None;
        self.retain_behind_boundaries(|item| match item {
            Item::Message(message, _) if message.topic == *topic => {
                first = first.or(Some(message.offset));
                false
            }
            _ => true,
        });
        first
    }

    /// Lets everything of `topic` go that follows the last boundary, told gaps too.
    pub(crate) fn forget_topic(&mut self, topic: &Topic) {
        self.retain_behind_boundaries(|item| !item.is_of(topic));
    }

    /// Lets what follows the last boundary go, unless `keep` says otherwise.
    fn retain_behind_boundaries(&mut self, mut keep: impl FnMut(&Item) -> bool) {
        let mut boundaries = self.items.iter().filter(|item| item.is_boundary()).count();
        self.items.retain(|item| {
            boundaries -= usize::from(item.is_boundary());
            boundaries > 0 || keep(item)
        });
        self.recount();
    }

    /// Lets the older half of the messages of `topic` go, at least one, and puts a gap in their place, which takes in
    /// the gaps among them. Returns whether there was any message.
    pub(crate) fn drop_older_half(&mut self, topic: &Topic) -> bool {
        let messages =
            self.items.iter().filter(|item| matches!(item, Item::Message(..)) && item.is_of(topic)).count();
        let mut left = messages.div_ceil(2);
        let mut kept = VecDeque::with_capacity(self.items.len());
        let mut last_gap = None;
        for item in self.items.drain(..) {
            let lost = if left > 0 && item.is_of(topic) { item.offsets() } else { None };
            let Some((from, to, count)) = lost else {
                if item.is_boundary() {
                    last_gap = None;
                }
                kept.push_back(item);
                continue;
            };
            left -= usize::from(matches!(item, Item::Message(..)));
            if !last_gap
                .and_then(|at: usize| kept.get_mut(at))
                .is_some_and(|gap: &mut Item| gap.extend(from, to, count))
            {
                last_gap = Some(kept.len());
                kept.push_back(Item::Gap { topic: topic.clone(), from, to, count });
            }
        }
        self.items = kept;
        self.recount();
        messages > 0
    }

    /// Lets everything go from the first message or gap on. Replies in front of it are behind no hole, and one may be the
    /// head of a response.
    pub(crate) fn drop_messages(&mut self) {
        let replies = self.items.iter().take_while(|item| matches!(item, Item::Reply(..))).count();
        self.items.truncate(replies);
        self.recount();
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
                (Item::Message(message, naming), Some(encoding)) => {
                    encoder.message(encoding, message, *naming, &mut written.bytes);
                }
                (Item::Gap { topic, from, to, count }, Some(encoding)) => {
                    let gap = Notification::Gap { topic, from: *from, to: *to, count: *count };
                    encoder.notification(encoding, &gap, &mut written.bytes);
                }
                (Item::Message(..) | Item::Gap { .. }, None) => {
                    unreachable!("who speaks HTTP subscribes to nothing")
                }
            }
            written.ends.push(written.bytes.len());
        }
    }

    /// Takes what the socket took, the first `bytes` of `written`, off the front. What was written in part is kept
    /// as it was encoded, since the peer has seen its beginning.
    pub(crate) fn advance(&mut self, written: &Written, bytes: usize) {
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

    fn recount(&mut self) {
        self.bytes = self.items.iter().map(Item::bytes).sum();
        self.gap_bytes = self.items.iter().map(Item::gap_bytes).sum();
        self.reply_bytes = self.items.iter().map(Item::reply_bytes).sum();
    }

    fn pop(&mut self) {
        if let Some(item) = self.items.pop_front() {
            self.bytes -= item.bytes();
            self.gap_bytes -= item.gap_bytes();
            self.reply_bytes -= item.reply_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Interface;
    use crate::test_support::message;
    use proptest::prelude::*;

    const JSON: Encoding = Encoding { interface: Interface::Json, deflate_window_bits: None };

    fn encoder() -> Encoder {
        Encoder::new("epoch".into())
    }

    fn topic(name: &str) -> Topic {
        Topic::parse(name).expect("tests use good topics")
    }

    /// What the queue holds, with messages as gaps of one: what every subscriber is owed, in order.
    fn spans(queue: &WriteQueue) -> Vec<(u64, u64, bool)> {
        let offsets =
            |item: &Item| item.offsets().map(|(from, to, _)| (from, to, matches!(item, Item::Gap { .. })));
        queue.items.iter().filter_map(offsets).collect()
    }

    fn filled(offsets: impl IntoIterator<Item = u64>) -> WriteQueue {
        let mut queue = WriteQueue::default();
        offsets.into_iter().for_each(|offset| queue.push_message(message("t", offset, 10), Naming::ByNumber));
        queue
    }

    /// Everything that a socket gets that has room for `room[n % len]` bytes at the `n`th write.
    fn drain(queue: &mut WriteQueue, room: &[usize], max_bytes: usize) -> Vec<u8> {
        let (mut encoder, mut written, mut sent) = (encoder(), Written::default(), Vec::new());
        for room in room.iter().cycle() {
            if queue.is_empty() {
                break;
            }
            queue.write(&mut encoder, Some(JSON), max_bytes, &mut written);
            let taken = (*room).min(written.bytes.len());
            sent.extend_from_slice(&written.bytes[..taken]);
            queue.advance(&written, taken);
        }
        sent
    }

    proptest! {
        #[test]
        fn however_little_a_socket_takes_the_octets_are_the_same(
            sizes in proptest::collection::vec(0usize..300, 1..12), takes in proptest::collection::vec(1usize..400, 1..9),
            max_bytes in 1usize..600,
        ) {
            let fill = || {
                let mut queue = WriteQueue::default();
                queue.set_partial(b"the rest of a frame");
                for (offset, size) in (1..).zip(&sizes) {
                    match size % 3 {
                        0 => queue.push_reply(&vec![b'r'; size + 1], ReplyKind::Plain),
                        1 => queue.push_gap(&topic("g"), offset * 10, offset * 10 + 5),
                        _ => queue.push_message(message("t", offset, *size), Naming::ByNumber),
                    }
                }
                queue
            };
            let mut queue = fill();
            prop_assert_eq!(drain(&mut queue, &takes, max_bytes), drain(&mut fill(), &[usize::MAX], usize::MAX));
            prop_assert_eq!((queue.bytes(), queue.reply_bytes()), (0, 0));
        }

        #[test]
        fn a_gap_names_every_dropped_offset(pushes in 1u64..30, drops in 1usize..6) {
            let mut queue = filled(1..=pushes);
            queue.push_message(message("other", 1, 10), Naming::ByNumber);
            for _ in 0..drops {
                queue.drop_older_half(&topic("t"));
            }
            let mut told = spans(&queue);
            prop_assert_eq!(told.pop(), Some((1, 1, false)), "the other topic pays nothing");
            let mut next = 1;
            for (from, to, _) in &told {
                prop_assert_eq!(*from, next);
                next = to + 1;
            }
            prop_assert_eq!(next, pushes + 1);
            prop_assert!(told.iter().filter(|(.., is_gap)| *is_gap).count() <= 1, "one drop after the other is one gap");
            prop_assert_eq!(queue.bytes(), queue.items.iter().map(Item::bytes).sum::<usize>());
        }
    }

    #[test]
    fn gaps_that_follow_each_other_are_one() {
        let mut queue = WriteQueue::default();
        queue.push_gap(&topic("t"), 5, 6);
        queue.push_message(message("other", 1, 10), Naming::ByNumber);
        queue.push_gap(&topic("t"), 7, 9);
        assert_eq!(spans(&queue), [(5, 9, true), (1, 1, false)]);
        queue.push_gap(&topic("t"), 11, 11);
        assert_eq!(spans(&queue), [(5, 9, true), (1, 1, false), (11, 11, true)], "10 was delivered");
    }

    #[test]
    fn nothing_is_told_or_taken_back_over_a_boundary() {
        let mut queue = filled([5, 6]);
        queue.push_reply(b"unsubscribed", ReplyKind::Boundary);
        queue.push_gap(&topic("t"), 7, 7);
        queue.push_message(message("t", 8, 10), Naming::ByNumber);
        assert_eq!(queue.drop_topic(&topic("t")), Some(8), "5 and 6 were for the subscription before");
        assert_eq!(spans(&queue), [(5, 5, false), (6, 6, false), (7, 7, true)]);

        let mut queue = filled([5, 6]);
        queue.push_reply(b"unsubscribed", ReplyKind::Boundary);
        queue.push_message(message("t", 7, 10), Naming::ByNumber);
        queue.drop_older_half(&topic("t"));
        queue.drop_older_half(&topic("t"));
        assert_eq!(spans(&queue), [(5, 6, true), (7, 7, true)]);
    }

    #[test]
    fn a_frame_that_was_begun_is_finished_whatever_is_let_go() {
        let mut queue = filled([1, 2]);
        let (mut encoder, mut written) = (encoder(), Written::default());
        queue.write(&mut encoder, Some(JSON), usize::MAX, &mut written);
        let first_frame = written.ends[0];
        let all = written.bytes.clone();
        queue.advance(&written, 3);
        queue.drop_messages();
        assert_eq!(drain(&mut queue, &[7], 64), all[3..first_frame]);
    }

    #[test]
    fn a_queue_without_messages_has_room_for_one_of_any_size() {
        let mut queue = WriteQueue::default();
        queue.push_reply(&[0; 1000], ReplyKind::Plain);
        assert!(queue.has_room(5_000, 100));
        queue.push_message(message("t", 1, 10), Naming::ByNumber);
        assert!(!queue.has_room(5_000, 100));
    }
}
