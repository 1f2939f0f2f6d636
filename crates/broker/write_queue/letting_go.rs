//! What a write queue lets go of, and who tells of it.
//!
//! What history brings again is let go without a word. What is lost to the backlog is told in gaps, one by one. What has
//! newer values behind it is told by count, in [`WriteQueue::let_go`].

use std::collections::VecDeque;

use ahash::{HashMap, HashSet};
use fanwire_wire::topic::Topic;

use super::WriteQueue;
use super::item::{Item, Queued};
use crate::conflation::{Gathered, OfKey};

/// Who tells of what is let go of a topic: what stands next behind it.
#[derive(Clone, Copy)]
enum Teller {
    /// The item that is so many from the end of those that stay.
    Item(usize),
    /// A gap, which tells of nothing in front of it.
    Nobody,
}

/// The items of a queue from the last to the first, without those that are let go.
struct Rest {
    kept: VecDeque<Item>,
    /// By topic, in front of the boundary that was passed last.
    tellers: HashMap<Topic, Teller>,
}

impl Rest {
    /// Keeps what nothing in front of it is told by, or not yet.
    fn keep(&mut self, item: Item) {
        self.kept.push_front(item);
    }

    fn keep_teller(&mut self, topic: Topic, item: Item) {
        self.tellers.insert(topic, Teller::Item(self.kept.len()));
        self.kept.push_front(item);
    }

    /// Has what follows tell of `count` more. Returns whether that can.
    fn tell(&mut self, topic: &Topic, count: u64) -> bool {
        let Some(&Teller::Item(from_end)) = self.tellers.get(topic) else { return false };
        let at = self.kept.len() - 1 - from_end;
        match &mut self.kept[at] {
            Item::Message(Queued { skipped: told, .. }) | Item::Skipped { count: told, .. } => *told += count,
            Item::Reply(..) | Item::Tick(_) | Item::Value(..) | Item::Gap { .. } => return false,
        }
        true
    }
}

/// The items of a queue with gaps in the place of those that are lost.
struct Gapped {
    kept: VecDeque<Item>,
    /// Where the last gap of a topic is, since the last boundary.
    gaps: HashMap<Topic, usize>,
}

impl Gapped {
    fn of_at_most(items: usize) -> Self {
        Self { kept: VecDeque::with_capacity(items), gaps: HashMap::default() }
    }

    fn keep(&mut self, item: Item) {
        if item.is_boundary() {
            self.gaps.clear();
        }
        if let Item::Gap { topic, .. } = &item {
            self.gaps.insert(topic.clone(), self.kept.len());
        }
        self.kept.push_back(item);
    }

    /// What a tick has of other topics is lost with it.
    fn lose(&mut self, item: Item) {
        match item {
            Item::Message(Queued { message, skipped, .. }) => {
                if skipped > 0 {
                    let (topic, offset) = (message.topic.clone(), message.offset - 1);
                    self.kept.push_back(Item::Skipped { topic, offset, count: skipped });
                }
                self.gap(&message.topic, (message.offset, message.offset), 1);
            }
            Item::Tick(tick) => {
                for (message, _) in &tick.messages {
                    self.gap(&message.topic, (message.offset, message.offset), 1);
                }
            }
            Item::Gap { topic, from, to, count } => self.gap(&topic, (from, to), count),
            Item::Reply(..) | Item::Value(..) | Item::Skipped { .. } => self.keep(item),
        }
    }

    fn gap(&mut self, topic: &Topic, (from, to): (u64, u64), count: u64) {
        let last = self.gaps.get(topic).and_then(|&at| self.kept.get_mut(at));
        if !last.is_some_and(|gap| gap.extend(from, to, count)) {
            self.keep(Item::Gap { topic: topic.clone(), from, to, count });
        }
    }
}

impl WriteQueue {
    /// Lets the messages of `topic` go that follow the last boundary, and what was told between them; returns the first
    /// one's offset. All from there on comes again. What is in front of the boundary belongs to a subscription before,
    /// and would not.
    pub(crate) fn drop_topic(&mut self, topic: &Topic) -> Option<u64> {
        self.freeze_for(topic);
        let mut first = None;
        self.retain_behind_boundaries(|item| match item {
            Item::Message(queued) if queued.message.topic == *topic && first.is_none() => {
                let (offset, count) = (queued.message.offset, queued.skipped);
                first = Some(offset);
                *item = Item::Skipped { topic: topic.clone(), offset: offset - 1, count };
                count > 0
            }
            item => first.is_none() || !item.is_of(topic),
        });
        first
    }

    /// Lets everything of `topic` go that follows the last boundary, what was told too.
    pub(crate) fn forget_topic(&mut self, topic: &Topic) {
        let _comes_again = self.gathered.forget(topic);
        self.retain_behind_boundaries(|item| item.forget(topic));
    }

    /// Lets what follows the last boundary go, unless `keep` says otherwise.
    fn retain_behind_boundaries(&mut self, mut keep: impl FnMut(&mut Item) -> bool) {
        let mut boundaries = self.items.iter().filter(|item| item.is_boundary()).count();
        self.items.retain_mut(|item| {
            boundaries -= usize::from(item.is_boundary());
            boundaries > 0 || keep(item)
        });
        self.recount();
    }

    /// Lets the older half of the messages of `topic` go, at least one, and puts a gap in their place, which takes in
    /// the gaps among them. Returns whether there was any message.
    pub(crate) fn drop_older_half(&mut self, topic: &Topic) -> bool {
        self.freeze_for(topic);
        if !self.standing.has_messages(topic) {
            return false;
        }
        let is_lossy = |item: &Item| item.is_message_of(topic) || item.is_tick_of(topic);
        let count = self.items.iter().filter(|item| is_lossy(item)).count();
        let mut left = count.div_ceil(2);
        let mut gapped = Gapped::of_at_most(self.items.len());
        for item in self.items.drain(..) {
            if left == 0 || !item.is_of(topic) {
                gapped.keep(item);
                continue;
            }
            left -= usize::from(is_lossy(&item));
            gapped.lose(item);
        }
        self.items = gapped.kept;
        self.recount();
        true
    }

    /// Lets everything go from the first message or notice on. Replies in front of it are behind no hole, and one may be
    /// the head of a response.
    pub(crate) fn drop_messages(&mut self) {
        let replies = self.items.iter().take_while(|item| matches!(item, Item::Reply(..))).count();
        self.items.truncate(replies);
        self.gathered = Gathered::default();
        self.recount();
    }

    /// Lets messages go that are too old for their topic's `max_age`, where a newer value of their key is behind them or
    /// the newest are not wanted either.
    pub(super) fn let_stale_go(&mut self, now_ms: u64) {
        let is_stale = |item: &Item| matches!(item, Item::Message(queued) if queued.is_stale(now_ms));
        if self.ageing == 0 || !self.items.iter().any(is_stale) {
            return;
        }
        let superseded = self.superseded();
        let goes = |(item, is_superseded): (&Item, bool)| match item {
            Item::Message(queued) if is_superseded => queued.is_stale(now_ms),
            Item::Message(queued) => queued.is_stale_as_newest(now_ms),
            _ => false,
        };
        let goes: Vec<bool> = self.items.iter().zip(superseded).map(goes).collect();
        self.let_go(&goes);
    }

    /// Lets values of `topic` go so that there is room for its newest: of those that have a newer value of their key
    /// behind them the older half, and if there are none, of all but the newest. Returns whether any went.
    pub(super) fn let_older_values_go(&mut self, topic: &Topic) -> bool {
        if !self.standing.has_messages(topic) {
            return self.let_older_gathered_go(topic);
        }
        let superseded = self.superseded();
        let of_topic = |item: &Item| item.is_message_of(topic);
        let replaceable =
            self.items.iter().zip(&superseded).filter(|(item, is)| **is && of_topic(item)).count();
        if replaceable > 0 {
            let mut left = replaceable.div_ceil(2);
            let goes = |(item, is_superseded): (&Item, &bool)| {
                let goes = left > 0 && *is_superseded && of_topic(item);
                left -= usize::from(goes);
                goes
            };
            let goes: Vec<bool> = self.items.iter().zip(&superseded).map(goes).collect();
            self.let_go(&goes);
            return true;
        }
        let queued = self.items.iter().filter(|item| of_topic(item)).count();
        let gathered = self.gathered.values_of(topic).saturating_sub(1);
        let half = (queued + gathered).div_ceil(2);
        let mut left = half.min(queued);
        self.let_gathered_go(topic, half - left);
        let goes = |item: &Item| {
            let goes = left > 0 && of_topic(item);
            left -= usize::from(goes);
            goes
        };
        let goes: Vec<bool> = self.items.iter().map(goes).collect();
        self.let_go(&goes);
        half > 0
    }

    /// The same where all of them are gathered.
    fn let_older_gathered_go(&mut self, topic: &Topic) -> bool {
        let half = self.gathered.values_of(topic).saturating_sub(1).div_ceil(2);
        self.let_gathered_go(topic, half);
        half > 0
    }

    fn let_gathered_go(&mut self, topic: &Topic, count: usize) {
        self.skips += count as u64;
        self.gathered.let_oldest_go(topic, count);
    }

    /// For each item, whether it is a message with a newer value of its key behind it, in front of the next boundary.
    fn superseded(&self) -> Vec<bool> {
        let mut newer: HashSet<OfKey> = HashSet::default();
        let mut is_behind_boundaries = true;
        let mut superseded = vec![false; self.items.len()];
        for (item, is_superseded) in self.items.iter().zip(&mut superseded).rev() {
            match item {
                Item::Message(Queued { message, .. }) => {
                    let is_gathered = is_behind_boundaries && self.gathered.has_newer(message);
                    *is_superseded = !newer.insert(OfKey(message.clone())) || is_gathered;
                }
                item if item.is_boundary() => {
                    is_behind_boundaries = false;
                    newer.clear();
                }
                _ => {}
            }
        }
        superseded
    }

    /// Lets the messages go that `goes` says, and tells of them by count: with the next message of their topic, in front
    /// of the next boundary and the next gap of the topic; where there is none, on their own.
    fn let_go(&mut self, goes: &[bool]) {
        let mut rest = Rest { kept: VecDeque::with_capacity(self.items.len()), tellers: HashMap::default() };
        let mut is_behind_boundaries = true;
        for (item, &goes) in std::mem::take(&mut self.items).into_iter().zip(goes).rev() {
            let (topic, offset, count) = match item {
                Item::Message(queued) if goes => {
                    self.skips += 1;
                    let Queued { message, skipped, .. } = queued;
                    (message.topic.clone(), message.offset, skipped + 1)
                }
                Item::Skipped { topic, offset, count } => (topic, offset, count),
                Item::Message(queued) => {
                    rest.keep_teller(queued.message.topic.clone(), Item::Message(queued));
                    continue;
                }
                Item::Gap { ref topic, .. } => {
                    rest.tellers.insert(topic.clone(), Teller::Nobody);
                    rest.keep(item);
                    continue;
                }
                Item::Reply(..) | Item::Tick(_) | Item::Value(..) => {
                    if item.is_boundary() {
                        is_behind_boundaries = false;
                        rest.tellers.clear();
                    }
                    rest.keep(item);
                    continue;
                }
            };
            let is_last = is_behind_boundaries && !rest.tellers.contains_key(&topic);
            let is_told = rest.tell(&topic, count) || is_last && self.gathered.carry(&topic, count);
            if !is_told {
                rest.keep_teller(topic.clone(), Item::Skipped { topic, offset, count });
            }
        }
        self.items = rest.kept;
        self.recount();
    }
}
