//! Clients of the binary interface. What they say and hear goes through the same checks as what others say and hear in
//! JSON; here numbers become names.

use std::collections::BTreeMap;

use fanwire_broker::{ConnectionId, Shard};
use fanwire_wire::binary::{Delivery, Received, parse_command, parse_notification, write_command};
use fanwire_wire::command::{self, PayloadKind};
use fanwire_wire::notification::Notification;
use serde_json::{Value, json};

/// The topics that a client subscribes to, by the numbers that it was told.
#[derive(Default)]
pub(crate) struct Numbers(BTreeMap<u32, String>);

impl Numbers {
    /// The notification as it would be in JSON.
    pub(crate) fn understood(&mut self, message: &[u8]) -> Value {
        match parse_notification(message).unwrap_or_else(|error| panic!("{error}: {message:02x?}")) {
            Received::Delivery(delivery) => self.delivered(&delivery),
            Received::Notification(id, notification) => {
                self.learn(&notification);
                let mut json = Vec::new();
                notification.with_id(id.as_ref()).write_json(&mut json);
                serde_json::from_slice(&json).expect("JSON")
            }
        }
    }

    fn learn(&mut self, notification: &Notification<'_>) {
        match *notification {
            Notification::Subscribed { topic, offset, number, .. } => {
                assert_eq!(offset.is_some(), number.is_some(), "{topic} has one without the other");
                if let Some(number) = number {
                    self.forget(topic);
                    let taken = self.0.insert(number.get(), topic.to_owned());
                    assert_eq!(taken, None, "{topic} has the number of another topic");
                }
            }
            Notification::Unsubscribed { topic, .. } => self.forget(topic),
            _ => {}
        }
    }

    fn forget(&mut self, topic: &str) {
        self.0.retain(|_, of| of != topic);
    }

    /// A topic that the client subscribes to comes by its number, any other by its name.
    fn delivered(&self, delivery: &Delivery<'_>) -> Value {
        let number = delivery.number.expect("the broker knows the number").get();
        let told = self.0.get(&number).map(String::as_str);
        let topic = match (told, delivery.name) {
            (Some(told), None) => told,
            (None, Some(name)) => name,
            (told, name) => panic!("number {number} is of {told:?}, and comes with {name:?}"),
        };
        assert!(
            delivery.name.is_none_or(|name| !self.0.values().any(|told| told == name)),
            "{topic} has a number"
        );
        let payload = str::from_utf8(delivery.payload).expect("text or JSON");
        let data = match delivery.kind {
            PayloadKind::Json => serde_json::from_str(payload).expect("JSON"),
            _ => json!(payload),
        };
        json!({
            "type": "message", "topic": topic, "offset": delivery.offset, "skipped": delivery.skipped,
            "snapshot": delivery.is_snapshot, "key": delivery.key, "data": data
        })
    }
}

/// Has the shard carry out a command that is written here as JSON, and comes in octets.
pub(crate) fn say(shard: &mut Shard, connection: ConnectionId, text: &str) {
    let mut octets = Vec::new();
    write_command(&command::parse(text).expect("a command"), &mut octets);
    shard.handle_command(connection, parse_command(&octets).expect("the same command"));
}
