//! Fanwire's JSON interface over WebSocket: `welcome`, then a `subscribe` for each topic, each with an id that its receipt
//! repeats.

use fanwire_wire::notification::write_json_string;

use super::notification::Notification;
use super::receipts::Receipts;
use super::web_socket::Frames;
use super::{ConversationError, Heard};

/// One connection.
#[derive(Debug)]
pub(super) struct FanwireJson(Receipts);

impl FanwireJson {
    pub(super) fn new(topics: &[String]) -> Self {
        Self(Receipts::new(topics))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.0.are_complete()
    }

    /// Writes what publishes a message. Without an id there is no receipt, only an error if it fails.
    pub(super) fn publish(topic: &str, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"publish","topic":"#);
        write_json_string(out, topic.as_bytes());
        out.extend_from_slice(br#","data":"#);
        write_json_string(out, payload);
        out.push(b'}');
    }

    /// Takes in the next message.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        let notification = Notification::parse(message)?;
        match notification.kind {
            "welcome" => self.subscribe(frames),
            "subscribed" if notification.id.is_some() => self.0.received(),
            _ => notification.hear(on_heard)?,
        }
        Ok(())
    }

    fn subscribe(&mut self, frames: &mut Frames<'_>) {
        let mut command = Vec::new();
        for (id, topic) in self.0.welcomed() {
            command.clear();
            command.extend_from_slice(format!(r#"{{"type":"subscribe","id":{id},"topic":"#).as_bytes());
            write_json_string(&mut command, topic.as_bytes());
            command.push(b'}');
            frames.text(&command);
        }
    }
}
