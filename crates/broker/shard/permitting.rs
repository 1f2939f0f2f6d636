//! What each connection may do. Every way in asks here: subscriptions, rewinds and reads of every interface by
//! [`Shard::check_subscribe`], and whatever is published by [`Shard::check_publish`].

use std::sync::Arc;

use fanwire_wire::error::ErrorCode;
use fanwire_wire::topic::{Topic, TopicOrPattern};

use super::Shard;
use crate::batches::Refused;
use crate::lanes::ConnectionId;
use crate::permissions::Permissions;
use crate::subscriptions::SubscriptionId;

impl Shard {
    /// Says who a connection is, and what it may do from here on: before that is said it may do nothing. Subscriptions
    /// that it may no longer have end, and it is told of each.
    pub fn permit(&mut self, id: ConnectionId, permissions: Arc<Permissions>) {
        if !self.connections.is_open(id) {
            return;
        }
        self.connections.permit(id.slot, permissions);
        for subscription in self.connections.subscriptions(id.slot).to_vec() {
            self.end_if_forbidden(id, subscription);
        }
    }

    fn end_if_forbidden(&mut self, id: ConnectionId, subscription: SubscriptionId) {
        let target = self.name_of(subscription);
        let Err(refused) = self.check_subscribe(id.slot, &target) else { return };
        self.fan_out();
        let receipt = self.subscriptions.take_receipt(subscription);
        self.forget_subscription(subscription);
        self.refuse(id, receipt.as_ref(), "subscribe", Some(target.as_str()), refused);
        self.stop_catching_up_on_unmatched(id.slot, &target);
    }

    /// Who the connection is, if that was said, and it is not anonymous.
    pub fn identity(&self, id: ConnectionId) -> Option<&str> {
        if !self.connections.is_connected(id) {
            return None;
        }
        self.connections.permissions(id.slot)?.identity.as_deref()
    }

    /// Whether the connection may get what is published on every topic that `target` matches.
    pub(super) fn check_subscribe(&self, slot: u32, target: &TopicOrPattern) -> Result<(), Refused> {
        let permissions = self.connections.permissions(slot);
        if permissions.is_some_and(|permissions| permissions.subscribe.cover(target)) {
            return Ok(());
        }
        Err(forbidden(permissions, "subscribe to", target.as_str()))
    }

    /// Whether the connection may publish to the topic.
    pub(super) fn check_publish(&self, slot: u32, topic: &Topic) -> Result<(), Refused> {
        let permissions = self.connections.permissions(slot);
        if permissions.is_some_and(|permissions| permissions.publish.allow(topic)) {
            return Ok(());
        }
        Err(forbidden(permissions, "publish to", topic))
    }
}

fn forbidden(permissions: Option<&Permissions>, what: &str, target: &str) -> Refused {
    let holder = permissions.map_or("this client", Permissions::holder);
    Refused { code: ErrorCode::Forbidden, message: format!("{holder} may not {what} {target}").into() }
}
