//! What the write queue of one connection promises.

use super::*;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::encoder::Interface;
use crate::message::Message;
use crate::overflow::make_room_by_gap;
use crate::settings::MaxAge;
use crate::test_support::{keyed, message};
use proptest::prelude::*;

const JSON: Encoding = Encoding { interface: Interface::Json, deflate_window_bits: None };

fn encoder() -> Encoder {
    Encoder::new("epoch".into(), 64)
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("tests use good topics")
}

/// What the queue holds, with messages as gaps of one: what every subscriber is owed, in order.
fn spans(queue: &WriteQueue) -> Vec<(u64, u64, bool)> {
    let offsets = |item: &Item| match item {
        Item::Message(queued) => Some((queued.message.offset, queued.message.offset, false)),
        Item::Gap { from, to, .. } => Some((*from, *to, true)),
        Item::Reply(..) | Item::Tick(_) | Item::Value(..) | Item::Skipped { .. } => None,
    };
    queue.items.iter().filter_map(offsets).collect()
}

fn filled(offsets: impl IntoIterator<Item = u64>) -> WriteQueue {
    let mut queue = WriteQueue::default();
    offsets.into_iter().for_each(|offset| queue.push_message(message("t", offset, 10).into()));
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
                    _ => queue.push_message(message("t", offset, *size).into()),
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
        queue.push_message(message("other", 1, 10).into());
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
fn a_topic_with_nothing_to_let_go_does_not_cost_a_look_at_the_others() {
    let mut queue = filled(1..=100);
    queue.gather(message("keyed", 1, 10).into(), usize::MAX);
    let full = queue.bytes();
    let place = queue.items.as_slices().0.as_ptr();
    for offset in 1..=9 {
        make_room_by_gap(&mut queue, message("other", offset, 10).into(), full);
        queue.gather(message("more", offset, 10).into(), full);
    }
    assert_eq!(queue.items.as_slices().0.as_ptr(), place, "all that is queued was moved");
    assert_eq!((queue.items.len(), queue.skips()), (102, 9), "a gap, and a count");
}

#[test]
fn gaps_that_follow_each_other_are_one() {
    let mut queue = WriteQueue::default();
    queue.push_gap(&topic("t"), 5, 6);
    queue.push_message(message("other", 1, 10).into());
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
    queue.push_message(message("t", 8, 10).into());
    assert_eq!(queue.drop_topic(&topic("t")), Some(8), "5 and 6 were for the subscription before");
    assert_eq!(spans(&queue), [(5, 5, false), (6, 6, false), (7, 7, true)]);

    let mut queue = filled([5, 6]);
    queue.push_reply(b"unsubscribed", ReplyKind::Boundary);
    queue.push_message(message("t", 7, 10).into());
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
    queue.push_message(message("t", 1, 10).into());
    assert!(!queue.has_room(5_000, 100));
}

/// The naive twin of what a queue knows of where a topic stands: its last item behind the boundaries, and whether it has
/// messages.
fn standing_of(items: &VecDeque<Item>, topic: &Topic) -> (Option<usize>, bool) {
    let behind = items.iter().rposition(Item::is_boundary).map_or(0, |boundary| boundary + 1);
    let last = items.iter().rposition(|item| item.is_of(topic)).filter(|last| *last >= behind);
    (last, items.iter().any(|item| item.is_message_of(topic) || item.is_tick_of(topic)))
}

/// What happens to a queue of two topics with four keys each, of which the reader takes some items at a time.
#[derive(Clone, Debug)]
enum Step {
    /// A message comes. Those that do not conflate are queued where there is room, or cost a gap.
    Come {
        topic: usize,
        key: usize,
        size: usize,
    },
    /// Somebody else's affair: offsets that are not for this connection.
    PassOver,
    Lose {
        topic: usize,
        count: u64,
    },
    Reply(ReplyKind),
    Turn {
        after_ms: u64,
        items: usize,
    },
    /// What is queued of the topic comes again from here.
    Rewind {
        topic: usize,
    },
    /// The topic is read from history: what is queued of it comes again.
    CatchUp {
        topic: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0usize..TOPICS.len();
    prop_oneof![
        20 => (topic.clone(), 0usize..4, 0usize..200).prop_map(|(topic, key, size)| Step::Come { topic, key, size }),
        2 => Just(Step::PassOver),
        1 => (topic.clone(), 1u64..4).prop_map(|(topic, count)| Step::Lose { topic, count }),
        1 => Just(Step::Reply(ReplyKind::Boundary)),
        1 => Just(Step::Reply(ReplyKind::Plain)),
        4 => (0u64..6, 0usize..6).prop_map(|(after_ms, items)| Step::Turn { after_ms, items }),
        1 => topic.clone().prop_map(|topic| Step::Rewind { topic }),
        1 => topic.prop_map(|topic| Step::CatchUp { topic }),
    ]
}

/// `gap` and `ageing` tell gaps, `keyed` and `fresh` conflate; `ageing` and `fresh` have a `max_age`.
const TOPICS: [&str; 4] = ["gap", "ageing", "keyed", "fresh"];

/// A connection whose every message is accounted for, in the order in which they came.
#[derive(Default)]
struct Books {
    queue: WriteQueue,
    now_ms: u64,
    bound: usize,
    next_offset: u64,
    /// By topic: the offsets that were given and not accounted for yet.
    owed: BTreeMap<Topic, VecDeque<u64>>,
    /// By boundary that was not sent yet: how many of each topic were owed when it was put in.
    in_front: VecDeque<BTreeMap<Topic, usize>>,
    max_age: Option<MaxAge>,
    counted: u64,
}

impl Books {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Come { topic, key, size } => self.come(&topic_of(topic), &format!("k{key}"), size),
            Step::PassOver => self.next_offset += 1,
            Step::Lose { topic, count } => {
                let (topic, from) = (topic_of(topic), self.next_offset);
                self.next_offset += count;
                self.owed.entry(topic.clone()).or_default().extend(from..from + count);
                self.queue.push_gap(&topic, from, from + count - 1);
            }
            Step::Reply(kind) => {
                if kind == ReplyKind::Boundary {
                    self.in_front.push_back(
                        self.owed.iter().map(|(topic, owed)| (topic.clone(), owed.len())).collect(),
                    );
                }
                self.queue.push_reply(b"reply", kind);
            }
            Step::Turn { after_ms, items } => {
                self.now_ms += after_ms;
                self.turn(items);
            }
            Step::Rewind { topic } => {
                let topic = topic_of(topic);
                self.queue.forget_topic(&topic);
                let stays = self.in_front.back().and_then(|owed| owed.get(&topic)).copied().unwrap_or(0);
                self.owed.entry(topic).or_default().truncate(stays);
            }
            Step::CatchUp { topic } => {
                let topic = topic_of(topic);
                if let Some(first) = self.queue.drop_topic(&topic) {
                    self.owed.entry(topic).or_default().retain(|offset| *offset < first);
                }
            }
        }
        assert!(
            self.queue.bytes() <= self.bound.max(500) + self.queue.notice_bytes(),
            "one message always fits"
        );
        let items: usize = self.queue.items.iter().map(Item::bytes).sum();
        assert_eq!(self.queue.bytes(), items + self.queue.gathered.bytes());
        for topic in TOPICS.map(topic) {
            let standing = &self.queue.standing;
            let known = (standing.last_of(&topic), standing.has_messages(&topic));
            assert_eq!(known, standing_of(&self.queue.items, &topic), "{topic}");
        }
        assert_eq!(self.queue.ageing, self.queue.items.iter().filter(|item| item.is_ageing()).count());
    }

    fn come(&mut self, topic: &Topic, key: &str, size: usize) {
        let message = keyed(topic, Some(key), self.next_offset, size);
        let message =
            Arc::new(Message { taken_ms: self.now_ms, ..Arc::into_inner(message).expect("the only one") });
        self.owed.entry(topic.clone()).or_default().push_back(self.next_offset);
        self.next_offset += 1;
        let max_age = self.max_age.filter(|_| matches!(topic.as_str(), "ageing" | "fresh"));
        let queued = Queued { max_age, ..Queued::from(message) };
        if matches!(topic.as_str(), "keyed" | "fresh") {
            self.queue.gather(queued, self.bound);
        } else if self.queue.has_room(queued.message.bytes(), self.bound) {
            self.queue.push_message(queued);
        } else {
            make_room_by_gap(&mut self.queue, queued, self.bound);
        }
    }

    /// The socket takes so many items.
    fn turn(&mut self, items: usize) {
        self.queue.begin_turn(self.now_ms);
        assert!(self.queue.is_empty() || !self.queue.is_drained(), "a turn has something to write");
        for _ in 0..items {
            let Some(item) = self.queue.items.front() else { return };
            match item {
                Item::Message(Queued { message, skipped, .. }) => {
                    let owed = self.owed.get_mut(&message.topic).expect("a topic that came");
                    take(&mut self.in_front, &message.topic, *skipped as usize + 1);
                    self.counted += skipped;
                    owed.drain(..*skipped as usize);
                    assert_eq!(
                        owed.pop_front(),
                        Some(message.offset),
                        "{skipped} skipped of {}",
                        message.topic
                    );
                }
                Item::Skipped { topic, offset, count } => {
                    let owed = self.owed.get_mut(topic).expect("a topic that came");
                    take(&mut self.in_front, topic, *count as usize);
                    self.counted += count;
                    let last = owed.drain(..*count as usize).next_back().expect("nothing is not told");
                    assert!(
                        last <= *offset && owed.front().is_none_or(|next| next > offset),
                        "{topic}: {last}, {offset}"
                    );
                }
                Item::Gap { topic, from, to, count } => {
                    let owed = self.owed.get_mut(topic).expect("a topic that came");
                    take(&mut self.in_front, topic, *count as usize);
                    let told: Vec<u64> = owed.drain(..*count as usize).collect();
                    assert_eq!(told, (*from..=*to).collect::<Vec<_>>(), "a gap of {topic}");
                }
                Item::Reply(_, ReplyKind::Boundary) => {
                    let left = self.in_front.pop_front().expect("one for each");
                    assert!(left.values().all(|left| *left == 0), "{left:?} came from behind a boundary");
                }
                Item::Reply(..) | Item::Tick(_) | Item::Value(..) => {}
            }
            self.queue.pop();
        }
    }
}

/// So many of the topic were accounted for: those in front of boundaries first.
fn take(in_front: &mut VecDeque<BTreeMap<Topic, usize>>, topic: &Topic, count: usize) {
    for owed in in_front {
        let left = owed.entry(topic.clone()).or_default();
        *left = left.saturating_sub(count);
    }
}

fn topic_of(number: usize) -> Topic {
    topic(TOPICS[number])
}

proptest! {
    #[test]
    fn every_message_is_delivered_skipped_or_in_a_gap_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..80), bound in 500usize..3_000,
        max_age in proptest::option::of((0u64..10, any::<bool>())),
    ) {
        let max_age = max_age.map(|(ms, newest)| MaxAge { ms, newest });
        let mut books = Books { bound, max_age, next_offset: 1, ..Books::default() };
        for step in &steps {
            books.step(step);
        }
        while !books.queue.is_empty() {
            books.turn(7);
        }
        let left: Vec<_> = books.owed.iter().filter(|(_, owed)| !owed.is_empty()).collect();
        prop_assert!(left.is_empty(), "{left:?} is not told of");
        prop_assert!(books.queue.skips() >= books.counted, "what was skipped is counted");
        prop_assert_eq!((books.queue.bytes(), books.queue.notice_bytes()), (0, 0));
    }
}
