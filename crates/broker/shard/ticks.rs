//! Messages that were published together, from their home to the connections that they are for.

use std::collections::hash_map::Entry;
use std::ops::ControlFlow::{self, Break, Continue};
use std::ops::Range;
use std::sync::Arc;

use ahash::HashMap;
use smallvec::SmallVec;

use super::Shard;
use super::snapshots::is_live_for;
use crate::connections::{Given, State};
use crate::encoder::Naming;
use crate::lanes::Delivery;
use crate::message::Message;
use crate::overflow::Payment;
use crate::palette::EncodingId;
use crate::tick::Tick;
use crate::topic_table::Published;

/// Which messages of a tick a connection gets.
type Share = SmallVec<[(u16, Naming); 4]>;

/// The connections that get any, in the order in which they are served.
#[derive(Default)]
struct Shares {
    order: Vec<u32>,
    by_slot: HashMap<u32, Share>,
}

impl Shares {
    /// Gives the connection a message, once.
    fn add(&mut self, slot: u32, index: u16, naming: Naming) {
        let share = self.by_slot.entry(slot).or_insert_with(|| {
            self.order.push(slot);
            Share::new()
        });
        if share.last().is_none_or(|(last, _)| *last != index) {
            share.push((index, naming));
        }
    }
}

fn part_of(messages: &[Arc<Message>], share: &Share) -> Arc<Tick> {
    let of_share = share.iter().map(|(index, naming)| (messages[usize::from(*index)].clone(), *naming));
    Arc::new(Tick { messages: of_share.collect() })
}

impl Shard {
    /// Routes messages that were published together: to each core those that it has subscribers of, as one.
    pub(super) fn route_together(&mut self, published: Vec<Published>) {
        self.messages_published += published.len() as u64;
        for core in 0..self.cores() {
            let theirs: Arc<[_]> = published
                .iter()
                .filter(|published| published.cores & (1 << core) != 0)
                .map(|published| published.message.clone())
                .collect();
            if !theirs.is_empty() {
                self.deliver_to(core, Delivery::Tick(theirs));
            }
        }
        for Published { message, waiters, .. } in published {
            if let Some(waiters) = waiters {
                self.answer_waiters(&message, waiters);
            }
        }
    }

    /// A tick came from `home` for this core's subscribers. Those that get the same messages get the same octets. There may be
    /// as many shares of it as subscribers: to who comes when the palette is full it is given as references.
    pub(super) fn deliver_tick(&mut self, home: usize, messages: &[Arc<Message>]) {
        self.fan_out();
        self.runs += 1;
        let mut shares = self.share_out(home, messages);
        let mut parts: HashMap<(EncodingId, Share), (Range<u32>, Arc<Tick>)> = HashMap::default();
        let mut laggards = Vec::new();
        for slot in std::mem::take(&mut shares.order) {
            let (Some(share), Some(encoding)) =
                (shares.by_slot.remove(&slot), self.connections.encoding_id(slot))
            else {
                continue;
            };
            let (range, tick) = match parts.entry((encoding, share)) {
                Entry::Occupied(part) => part.into_mut(),
                Entry::Vacant(place) => {
                    let tick = part_of(messages, &place.key().1);
                    if self.connections.palette.is_full() {
                        self.deliveries_made += tick.messages.len() as u64;
                        laggards.push((slot, tick));
                        continue;
                    }
                    place.insert((self.connections.palette.append_tick(encoding, &tick), tick))
                }
            };
            match self.connections.spans.give(slot, range.start, range.end) {
                Given::Taken => {}
                Given::Twice => continue,
                Given::Behind => laggards.push((slot, tick.clone())),
            }
            self.deliveries_made += tick.messages.len() as u64;
        }
        for (slot, tick) in laggards {
            self.fall_behind(slot);
            let _more = self.queue_tick(slot, tick, true, self.backlog_bound());
        }
    }

    fn share_out(&self, home: usize, messages: &[Arc<Message>]) -> Shares {
        let mut shares = Shares::default();
        // They were published by one connection, which wants all of them back or none.
        let except = self.excepted_slot(messages.first().and_then(|message| message.except));
        for (index, message) in messages.iter().enumerate() {
            self.subscriptions.audiences_for(&message.topic, |audience| {
                let audience = self.subscriptions.audience(audience);
                for (group, seats) in audience.seats_from(self.runs) {
                    let naming = self.naming_in(audience, group.encoding);
                    for seat in seats {
                        let subscription = self.subscriptions.subscription(seat.subscription);
                        let place = (&message.topic, message.number);
                        if Some(seat.slot) != except
                            && is_live_for(subscription, home, place, &self.settings, self.cores())
                        {
                            shares.add(seat.slot, index as u16, naming);
                        }
                    }
                }
            });
        }
        shares
    }

    /// Puts a tick into the write queue of a connection that is behind. What of it is read from history comes from there,
    /// by itself. Breaks where the connection is given nothing more.
    pub(super) fn queue_tick(
        &mut self,
        slot: u32,
        tick: Arc<Tick>,
        is_current: bool,
        bound: usize,
    ) -> ControlFlow<()> {
        let state = self.connections.state(slot);
        if state == State::Doomed {
            return Break(());
        }
        let Some(behind) = &mut self.connections.at(slot).behind else { return Continue(()) };
        let catching_up = &mut behind.catching_up;
        let Some(tick) = tick.retain(|message| !catching_up.leave(&message.topic, message.offset)) else {
            return Continue(());
        };
        if state == State::Closing && !behind.queue.has_room(tick.bytes(), bound) {
            return Break(());
        }
        let topic = tick.messages[0].0.topic.clone();
        let Some(terms) = self.terms_of_part(slot, &topic, is_current) else { return Continue(()) };
        let payment = self.connections.with_queue(slot, |queue| terms.queue_tick(queue, tick, bound));
        if payment == Some(Payment::Disconnect) {
            self.too_slow(slot, &topic);
            return Break(());
        }
        self.connections.schedule(slot);
        Continue(())
    }
}
