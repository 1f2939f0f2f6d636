//! What a home does for the cores that ask it.

use std::sync::Arc;

use super::Shard;
use crate::lanes::{ConnectionId, Delivery, Receipt, Request};
use crate::message::{Draft, Message, Origin};
use crate::topic_table::Published;

impl Shard {
    /// Something came through the request lane from core `from`.
    pub fn handle_request(&mut self, from: usize, request: Request) {
        match request {
            Request::Publish { draft, connection, receipt } => {
                self.home_publish(from, draft, connection, receipt);
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
        match self.table.publish(draft, Origin { core: from, connection }, self.now) {
            Ok(Published { message, cores, waiters }) => {
                self.messages_published += 1;
                if receipt != Receipt::Unwanted {
                    let outcome = Ok(message.offset);
                    self.deliver_to(from, Delivery::Published { topic, connection, receipt, outcome });
                }
                self.route(&message, cores);
                if let Some(waiters) = waiters {
                    self.answer_waiters(&message, *waiters);
                }
            }
            Err(code) => {
                let outcome = Err(code);
                self.deliver_to(from, Delivery::Published { topic, connection, receipt, outcome });
            }
        }
    }

    fn route(&mut self, message: &Arc<Message>, mut cores: u64) {
        while cores != 0 {
            let core = cores.trailing_zeros() as usize;
            cores &= cores - 1;
            self.deliver_to(core, Delivery::Message(message.clone()));
        }
    }
}
