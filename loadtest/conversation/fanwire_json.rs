//! Fanwire's JSON interface over WebSocket: `welcome`, then a `subscribe` for each topic, each with an id that its receipt
//! repeats.

use std::mem;

use fanwire_wire::notification::write_json_string;

use super::notification::Notification;
use super::web_socket::Frames;
use super::{ConversationError, Heard};

/// One connection.
#[derive(Debug)]
pub(super) struct FanwireJson {
    /// What is yet to be subscribed to.
    topics: Vec<String>,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The broker has yet to say who it is.
    Greeting,
    /// So many of what was subscribed to have no receipt yet.
    Subscribing { open: usize },
}

impl FanwireJson {
    pub(super) fn new(topics: &[String]) -> Self {
        Self { topics: topics.to_vec(), phase: Phase::Greeting }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.phase == Phase::Subscribing { open: 0 }
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
        match (notification.kind, &mut self.phase) {
            ("welcome", Phase::Greeting) => self.subscribe(frames),
            ("subscribed", Phase::Subscribing { open: open @ 1.. }) if notification.id.is_some() => {
                *open -= 1;
            }
            _ => notification.hear(on_heard)?,
        }
        Ok(())
    }

    fn subscribe(&mut self, frames: &mut Frames<'_>) {
        let topics = mem::take(&mut self.topics);
        self.phase = Phase::Subscribing { open: topics.len() };
        let mut command = Vec::new();
        for (index, topic) in topics.iter().enumerate() {
            command.clear();
            command
                .extend_from_slice(format!(r#"{{"type":"subscribe","id":{},"topic":"#, index + 1).as_bytes());
            write_json_string(&mut command, topic.as_bytes());
            command.push(b'}');
            frames.text(&command);
        }
    }
}
