//! What a home does for the cores that ask it.

use fanwire_wire::error::ErrorCode;

use super::Shard;
use crate::lanes::{ConnectionId, Delivery, Receipt, Request};
use crate::message::{Draft, Origin};
use crate::topic_table::{Published, Taken};

impl Shard {
    /// Something came through the request lane from core `from`.
    pub fn handle_request(&mut self, from: usize, request: Request) {
        match request {
            Request::Publish { draft, connection, receipt } => {
                self.home_publish(from, draft, connection, receipt);
            }
            Request::PublishTogether { drafts, connection, batch } => {
                self.home_publish_together(from, drafts, connection, batch);
            }
            Request::Subscribe { topic, ticket, start } => {
                let placement = self.table.subscribe(&topic, from, &start, self.now);
                self.deliver_to(from, Delivery::Subscribed { ticket, placement });
            }
            Request::Unsubscribe(topic) => self.table.unsubscribe(&topic, from),
            Request::SubscribePattern { pattern, ticket } => {
                self.table.subscribe_pattern(&pattern, from);
                self.deliver_to(from, Delivery::PatternSubscribed { ticket });
            }
            Request::UnsubscribePattern(pattern) => self.table.unsubscribe_pattern(&pattern, from),
            Request::Read { topic, connection, serial, from: offset } => {
                let chunk = self.table.read(&topic, offset, self.settings.chunk_bytes, self.now);
                self.deliver_to(from, Delivery::Chunk { topic, connection, serial, chunk });
            }
            Request::Snapshot { of, connection, ticket } => self.home_snapshot(from, of, connection, ticket),
            Request::Latest { topic, connection } => {
                let latest = Ok(self.table.latest(&topic));
                self.deliver_to(from, Delivery::Latest { connection, latest });
            }
            Request::Poll { topic, ticket, start, waits } => {
                self.home_poll(from, &topic, ticket, &start, waits);
            }
            Request::EndPoll { topic, ticket } => self.home_end_poll(from, &topic, ticket),
            Request::Stop => self.requests_ended(from),
        }
    }

    /// The receipt goes first, so that a publisher that subscribes has it before its own message.
    fn home_publish(&mut self, from: usize, draft: Draft, connection: ConnectionId, receipt: Receipt) {
        let topic = draft.topic.clone();
        let taken = self.table.publish(draft, Origin { core: from, connection }, self.now);
        let outcome = taken.as_ref().map(Taken::offset).map_err(|code| *code);
        if receipt != Receipt::Unwanted || outcome.is_err() {
            self.deliver_to(from, Delivery::Published { topic, connection, receipt, outcome });
        }
        if let Ok(Taken::Published(published)) = taken {
            self.route(published);
        }
    }

    /// One answer for all, and in front of all.
    fn home_publish_together(
        &mut self,
        from: usize,
        drafts: Vec<Draft>,
        connection: ConnectionId,
        batch: u32,
    ) {
        let count = drafts.len();
        let origin = Origin { core: from, connection };
        let (outcomes, taken) = match self.table.publish_together(drafts, origin, self.now) {
            Ok(taken) => (taken.iter().map(|taken| Ok(taken.offset())).collect(), taken),
            Err((refused, code)) => {
                let why = |index| if index == refused { code } else { ErrorCode::Aborted };
                ((0..count).map(|index| Err(why(index))).collect(), Vec::new())
            }
        };
        self.deliver_to(from, Delivery::PublishedTogether { connection, batch, outcomes });
        let published = taken.into_iter().filter_map(|taken| match taken {
            Taken::Published(published) => Some(published),
            Taken::Repeat(_) => None,
        });
        self.route_together(published.collect());
    }

    fn route(&mut self, Published { message, mut cores, waiters }: Published) {
        self.messages_published += 1;
        while cores != 0 {
            let core = cores.trailing_zeros() as usize;
            cores &= cores - 1;
            self.deliver_to(core, Delivery::Message(message.clone()));
        }
        if let Some(waiters) = waiters {
            self.answer_waiters(&message, waiters);
        }
    }
}
