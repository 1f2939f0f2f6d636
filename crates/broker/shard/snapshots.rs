//! Snapshots, from the command to their end.

use std::sync::Arc;

use fanwire_wire::command::CommandId;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{Topic, TopicNumber, TopicOrPattern};

use super::Shard;
use crate::lanes::{ConnectionId, Delivery, Request, SnapshotOf, Ticket};
use crate::message::{Message, Origin};
use crate::settings::Settings;
use crate::snapshots::{Coverage, NextChunk};
use crate::subscriptions::{Subscription, SubscriptionId};
use crate::topic_table::{Part, row_of};

/// Parts of patterns' snapshots that the connections of a core ask for in one turn, all together. Each may be a millisecond's work
/// of a home, and bring nothing that anybody is written.
pub(super) const PARTS_PER_TURN: u32 = 4;

impl Shard {
    /// A turn begins: who had to wait for it is heard.
    pub(super) fn allow_parts(&mut self) {
        self.parts_left = PARTS_PER_TURN;
        self.connections.recall();
    }

    /// A subscription waits for its snapshot, or for the next chunk of it.
    pub(super) fn ask_for_snapshot(&mut self, slot: u32, ticket: Ticket) {
        self.fall_behind(slot);
        self.connections.behind(slot).snapshots.ask(ticket);
        self.connections.schedule(slot);
    }

    /// Asks for what a connection that was sent everything else waits for next, if this turn has some left.
    pub(super) fn request_snapshot(&mut self, slot: u32) {
        if self.parts_left == 0 {
            return self.connections.postpone(slot);
        }
        let connection = self.connections.id(slot);
        while let Some(ticket) =
            self.connections.at(slot).behind.as_mut().and_then(|behind| behind.snapshots.next())
        {
            // One that has ended since is not asked for.
            if let Some((home, of)) = self.next_of_snapshot(ticket) {
                self.parts_left -= u32::from(matches!(of, SnapshotOf::Rows { .. }));
                return self.request(home, Request::Snapshot { of, connection, ticket });
            }
            self.connections.behind(slot).snapshots.answered();
        }
    }

    fn next_of_snapshot(&self, ticket: Ticket) -> Option<(usize, SnapshotOf)> {
        let subscription = self.subscriptions.subscription(self.subscriptions.redeem(ticket)?);
        match &self.subscriptions.audience(subscription.audience).name {
            TopicOrPattern::Topic(topic) => Some((self.home_of(topic), SnapshotOf::Topic(topic.clone()))),
            TopicOrPattern::Pattern(pattern) => {
                let NextChunk { home, row } = subscription.coverage.as_ref()?.next()?;
                Some((home, SnapshotOf::Rows { pattern: pattern.clone(), from: row }))
            }
        }
    }

    /// What a home has for a snapshot.
    pub(super) fn home_snapshot(
        &mut self,
        from: usize,
        of: SnapshotOf,
        connection: ConnectionId,
        ticket: Ticket,
    ) {
        let outcome = match of {
            SnapshotOf::Topic(topic) => self.table.snapshot(&topic, from, self.now),
            SnapshotOf::Rows { pattern, from } => {
                Ok(self.table.snapshot_rows(&pattern, from, self.settings.chunk_bytes))
            }
        };
        self.deliver_to(from, Delivery::Snapshot { connection, ticket, outcome });
    }

    /// A home has answered: what it routes from here on follows.
    pub(super) fn snapshot(
        &mut self,
        home: usize,
        connection: ConnectionId,
        ticket: Ticket,
        outcome: Result<Part, ErrorCode>,
    ) {
        self.fan_out();
        // That may have doomed it.
        if !self.connections.is_open(connection) {
            return;
        }
        let slot = connection.slot;
        self.connections.behind(slot).snapshots.answered();
        self.connections.schedule(slot);
        let Some(subscription) = self.subscriptions.redeem(ticket) else { return };
        match (self.name_of(subscription), outcome) {
            (name, Err(code)) => {
                let id = self.subscriptions.take_receipt(subscription);
                self.forget_subscription(subscription);
                self.refuse(connection, id.as_ref(), "subscribe", Some(name.as_str()), code);
            }
            (TopicOrPattern::Topic(topic), Ok(part)) => {
                self.topic_snapshot(home, &topic, (subscription, connection), part);
            }
            (TopicOrPattern::Pattern(pattern), Ok(part)) => {
                self.pattern_snapshot(pattern.as_str(), (subscription, connection), ticket, part);
            }
        }
    }

    fn topic_snapshot(
        &mut self,
        home: usize,
        topic: &Topic,
        (subscription, connection): (SubscriptionId, ConnectionId),
        part: Part,
    ) {
        let Some(placement) = part.placement else { return };
        let id = self.subscriptions.take_receipt(subscription);
        self.tell_placement(connection.slot, id.as_ref(), topic, placement);
        self.go_live(home, topic, subscription, placement);
        let count = self.queue_values(connection, part.values);
        self.end_snapshot(connection.slot, id.as_ref(), topic, count);
    }

    fn pattern_snapshot(
        &mut self,
        pattern: &str,
        (subscription, connection): (SubscriptionId, ConnectionId),
        ticket: Ticket,
        part: Part,
    ) {
        let count = self.queue_values(connection, part.values);
        let place = self.subscriptions.coverage(subscription);
        let Some(coverage) = place else { return };
        coverage.advance(part.next_row, count);
        if coverage.next().is_some() {
            return self.ask_for_snapshot(connection.slot, ticket);
        }
        if let Some(whole) = place.take() {
            self.end_snapshot(connection.slot, whole.id.as_ref(), pattern, whole.count);
        }
    }

    /// Returns how many there are for the connection: what it published itself and does not want back is not.
    fn queue_values(&mut self, connection: ConnectionId, values: Vec<Arc<Message>>) -> u64 {
        let slot = connection.slot;
        let origin = Some(Origin { core: self.core, connection });
        let mut count = 0;
        for value in values.into_iter().filter(|value| value.except != origin) {
            let naming = self.naming(slot, &value.topic);
            self.connections.with_queue(slot, |queue| queue.push_value(value, naming));
            count += 1;
        }
        self.deliveries_made += count;
        count
    }

    fn end_snapshot(&mut self, slot: u32, id: Option<&CommandId>, topic: &str, count: u64) {
        self.connections.notify(slot, &Notification::SnapshotEnd { id, topic, count });
    }
}

/// Whether what `home` routes of a topic is for a subscription, and will not be brought by its snapshot.
pub(super) fn is_live_for(
    subscription: &Subscription,
    home: usize,
    (topic, number): (&Topic, TopicNumber),
    settings: &Settings,
    cores: usize,
) -> bool {
    let waits_for = |coverage: &Coverage| {
        !coverage.covers(home, row_of(number, cores)) && settings.of_topic(topic).keeps_values()
    };
    subscription.live & (1 << home) != 0 && !subscription.coverage.as_deref().is_some_and(waits_for)
}

#[cfg(test)]
mod tests {
    use fanwire_wire::command;

    use super::*;
    use crate::encoder::{Encoding, Interface};
    use crate::shard::Identity;

    #[test]
    fn a_client_that_subscribes_and_unsubscribes_without_end_leaves_nothing_that_waits() {
        let identity = Identity { epoch: "epoch".into(), hash_keys: [1, 2, 3, 4] };
        let mut shard = Shard::new(0, 1, &identity, Arc::new(Settings::default()));
        let id = ConnectionId { slot: 0, generation: 0 };
        shard.connect(id);
        shard.permit(id, crate::Permissions::everything());
        shard.upgrade(id, Encoding { interface: Interface::Json, deflate_window_bits: None });
        for _ in 0..100 {
            for said in [
                r#"{"type":"subscribe","topic":"t","snapshot":true}"#,
                r#"{"type":"unsubscribe","topic":"t"}"#,
            ] {
                shard.handle_command(id, command::parse(said).expect("a command"));
            }
        }
        let behind = shard.connections.at(0).behind.as_ref();
        assert!(behind.is_some_and(|behind| behind.snapshots.is_empty()), "{behind:?}");
    }
}
