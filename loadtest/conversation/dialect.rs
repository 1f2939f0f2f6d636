//! What is said over a WebSocket, by protocol.

use fanwire_wire::frame::OpCode;
use fastrand::Rng;

use super::fanwire_binary::FanwireBinary;
use super::fanwire_json::FanwireJson;
use super::mqtt::Mqtt;
use super::nats::Nats;
use super::web_socket::Frames;
use super::{ConversationError, Heard};
use crate::transport::Protocol;

/// One connection's side of a protocol.
#[derive(Debug)]
pub(super) enum Dialect {
    /// Each message is a payload; the path has said the rest.
    Raw,
    FanwireJson(FanwireJson),
    FanwireBinary(FanwireBinary),
    Nats(Nats),
    Mqtt(Mqtt),
}

impl Dialect {
    /// A connection that subscribes to `topics`; to none if it is a publisher's.
    pub(super) fn new(protocol: Protocol, topics: &[String], random: &mut Rng) -> Self {
        match protocol {
            Protocol::Raw => Self::Raw,
            Protocol::FanwireJson => Self::FanwireJson(FanwireJson::new(topics)),
            Protocol::FanwireBinary => Self::FanwireBinary(FanwireBinary::new(topics)),
            Protocol::Nats => Self::Nats(Nats::new(topics)),
            Protocol::Mqtt => Self::Mqtt(Mqtt::new(topics, random)),
        }
    }

    /// The WebSocket subprotocol to offer. None for raw, so that any server will do.
    pub(super) fn subprotocol(&self) -> Option<&'static str> {
        match self {
            Self::Raw | Self::Nats(_) => None,
            Self::FanwireJson(_) => Some("fanwire.v1.json"),
            Self::FanwireBinary(_) => Some("fanwire.v1.binary"),
            Self::Mqtt(_) => Some("mqtt"),
        }
    }

    /// Whether everything that was subscribed to stands, once the WebSocket is open.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Raw => true,
            Self::FanwireJson(json) => json.is_ready(),
            Self::FanwireBinary(binary) => binary.is_ready(),
            Self::Nats(nats) => nats.is_ready(),
            Self::Mqtt(mqtt) => mqtt.is_ready(),
        }
    }

    /// Whether the messages that have come hold no beginning of something that is not complete.
    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Raw | Self::FanwireJson(_) | Self::FanwireBinary(_) => true,
            Self::Nats(nats) => nats.is_idle(),
            Self::Mqtt(mqtt) => mqtt.is_idle(),
        }
    }

    /// The WebSocket is open: says what a client says unasked.
    pub(super) fn opened(&self, frames: &mut Frames<'_>) {
        match self {
            Self::Raw | Self::FanwireJson(_) | Self::FanwireBinary(_) | Self::Nats(_) => {}
            Self::Mqtt(mqtt) => mqtt.opened(frames),
        }
    }

    /// Takes in the next message.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        frames: &mut Frames<'_>,
        on_heard: &mut dyn FnMut(Heard<'_>),
    ) -> Result<(), ConversationError> {
        match self {
            Self::Raw => {
                on_heard(Heard::Payload(message));
                Ok(())
            }
            Self::FanwireJson(json) => json.read(message, frames, on_heard),
            Self::FanwireBinary(binary) => binary.read(message, frames, on_heard),
            Self::Nats(nats) => nats.read(message, frames, on_heard),
            Self::Mqtt(mqtt) => mqtt.read(message, frames, on_heard),
        }
    }

    /// Writes the message that publishes `payload`, and says what kind of frame it goes into.
    pub(super) fn publish(&self, topic: &str, payload: &[u8], out: &mut Vec<u8>) -> OpCode {
        match self {
            Self::Raw => {
                out.extend_from_slice(payload);
                OpCode::Text
            }
            Self::FanwireJson(_) => {
                FanwireJson::publish(topic, payload, out);
                OpCode::Text
            }
            Self::FanwireBinary(_) => {
                FanwireBinary::publish(topic, payload, out);
                OpCode::Binary
            }
            Self::Nats(_) => {
                Nats::publish(topic, payload, out);
                OpCode::Binary
            }
            Self::Mqtt(_) => {
                Mqtt::publish(topic, payload, out);
                OpCode::Binary
            }
        }
    }
}
