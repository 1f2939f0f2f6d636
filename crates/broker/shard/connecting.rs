//! Connections come and go, and what they are told meanwhile that nobody else is.

use fanwire_wire::close::{CloseCode, write_close};
use fanwire_wire::event_stream::write_comment;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::TopicOrPattern;

use super::Shard;
use crate::encoder::{Encoding, Interface};
use crate::lanes::{ConnectionId, Request};
use crate::write_queue::ReplyKind;

/// Replies that a client has not read, in bytes, above which it is not read any further: enough for the receipts of a
/// pipelined burst of commands.
const MAX_UNREAD_REPLY_BYTES: usize = 256 * 1024;

/// What becomes of what a connection that is closed has not been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backlog {
    /// It is sent in front of the close frame.
    Keep,
    /// It is let go, but for the rest of a frame that was begun, and what is no message in front of the first of them.
    Drop,
}

impl Shard {
    /// A connection was accepted. It speaks HTTP: what it asks for is answered by events.
    pub fn connect(&mut self, id: ConnectionId) {
        self.connections.connect(id);
    }

    /// The connection speaks WebSocket, or is an event stream, from here on.
    pub fn upgrade(&mut self, id: ConnectionId, encoding: Encoding) {
        if self.connections.is_open(id) {
            self.connections.upgrade(id.slot, encoding);
        }
    }

    /// What goes to a connection that has just been upgraded is compressed with a context of its own, with this window as a
    /// power of two, until it is gone. It shares no frames with others, and costs its own compressor: see
    /// [`DeflateParams::context_bytes`](fanwire_wire::deflate::DeflateParams::context_bytes).
    pub fn keep_context(&mut self, id: ConnectionId, window_bits: u8) {
        if self.connections.is_open(id) {
            self.connections.keep_context(id.slot, window_bits);
        }
    }

    /// The connection is gone.
    pub fn disconnect(&mut self, id: ConnectionId) {
        if self.connections.is_connected(id) {
            self.fan_out();
            self.end_subscriptions(id.slot);
            self.forget_poll(id.slot);
            self.batches.forget(id.slot);
            self.connections.disconnect(id.slot);
        }
    }

    /// How many subscriptions this core's connections have.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Ends the connection's subscriptions and queues a close frame, behind which nothing follows. An event stream has
    /// no such frame: it ends with a comment, for people.
    pub fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str, backlog: Backlog) {
        if !self.connections.may_close(id) {
            return;
        }
        self.fan_out();
        self.end_subscriptions(id.slot);
        if backlog == Backlog::Drop {
            self.connections.drop_backlog(id.slot);
        }
        let interface = self.connections.interface(id.slot);
        self.connections.reply(id.slot, ReplyKind::Close, |_, out| match interface {
            Some(Interface::EventStream) => write_comment(out, reason),
            Some(Interface::Raw | Interface::Json | Interface::Binary) | None => {
                write_close(out, code, reason);
            }
        });
        self.connections.seal(id.slot);
    }

    /// Bytes for the connection as they are, behind everything that it was given before.
    pub fn reply(&mut self, id: ConnectionId, bytes: &[u8]) {
        if self.connections.is_open(id) && !bytes.is_empty() {
            self.fan_out_before(id.slot);
            self.connections.reply(id.slot, ReplyKind::Plain, |_, out| out.extend_from_slice(bytes));
        }
    }

    /// A notification for the connection in its encoding, behind everything that it was given before.
    pub fn notify(&mut self, id: ConnectionId, notification: &Notification<'_>) {
        if self.connections.is_open(id) {
            self.fan_out_before(id.slot);
            self.connections.notify(id.slot, notification);
        }
    }

    /// Whether the connection may be read from: not while it does not read what it is answered, or much of that is still to
    /// come. It may again when a flush has left nothing.
    pub fn may_read_from(&self, id: ConnectionId) -> bool {
        self.connections.reply_bytes(id) + self.batches.reply_bytes(id.slot) < MAX_UNREAD_REPLY_BYTES
    }

    fn end_subscriptions(&mut self, slot: u32) {
        for subscription in std::mem::take(&mut self.connections.at(slot).subscriptions) {
            self.remove_subscription(subscription);
        }
        self.connections.stop_reading(slot);
    }

    /// Ends a subscription that its connection no longer lists, and the routing to this core with the last one.
    pub(super) fn remove_subscription(&mut self, subscription: u32) {
        match self.subscriptions.remove(subscription) {
            None => {}
            Some(TopicOrPattern::Topic(topic)) => {
                let home = self.home_of(&topic);
                self.request(home, Request::Unsubscribe(topic));
            }
            Some(TopicOrPattern::Pattern(pattern)) => {
                (0..self.cores())
                    .for_each(|home| self.request(home, Request::UnsubscribePattern(pattern.clone())));
            }
        }
    }
}
