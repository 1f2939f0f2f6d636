//! Fanwire's binary interface over WebSocket: what [`FanwireJson`](super::fanwire_json::FanwireJson) says and hears, in
//! octets.

use fanwire_wire::binary::{Received, parse_notification, write_command};
use fanwire_wire::command::{Command, CommandId, Envelope, PayloadKind, Publication};
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::{TopicOrPattern, TopicRef};

use super::receipts::Receipts;
use super::web_socket::Frames;
use super::{ConversationError, Heard};

const A_TOPIC: &str = "topics are names that Fanwire takes";

/// One connection.
#[derive(Debug)]
pub(super) struct FanwireBinary(Receipts);

impl FanwireBinary {
    pub(super) fn new(topics: &[String]) -> Self {
        Self(Receipts::new(topics))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.are_complete()
    }

    /// Writes what publishes a message. Without an id there is no receipt, only an error if it fails.
    pub(super) fn publish(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        let topic = TopicRef::parse(topic).expect(A_TOPIC);
        let publication = Publication::new(topic, PayloadKind::Text, payload);
        let command = Command::Publish { publication, echo: true };
        write_command(&Envelope { id: None, command }, out);
    }

    /// Takes in the next message.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let received = parse_notification(message)
            .map_err(|_| ConversationError::nonsense("a notification of the binary interface", message))?;
        match received {
            Received::Delivery(delivery) => {
                if delivery.skipped > 0 {
                    on_heard(Heard::Gap { count: delivery.skipped });
                }
                on_heard(Heard::Payload(delivery.payload));
            }
            Received::Notification(
                _,
                Notification::Gap { count, .. } | Notification::Skipped { count, .. },
            ) => {
                on_heard(Heard::Gap { count });
            }
            Received::Notification(_, Notification::Welcome { .. }) => self.subscribe(frames),
            Received::Notification(Some(_), Notification::Subscribed { .. }) => self.0.received(),
            Received::Notification(_, Notification::Error { code, message, .. }) => {
                return Err(ConversationError::denied(format!("{code}: {message}").as_bytes()));
            }
            Received::Notification(..) => {}
        }
        Ok(())
    }

    fn subscribe(&mut self, frames: &mut Frames<'_>) {
        let mut octets = Vec::new();
        for (id, topic) in self.0.welcomed() {
            octets.clear();
            let target = TopicOrPattern::parse(&topic).expect(A_TOPIC);
            let id = CommandId::parse(&id.to_string()).ok();
            write_command(&Envelope { id, command: Command::subscribe(target, None) }, &mut octets);
            frames.binary(&octets);
        }
    }
}
