//! What a Fanwire broker tells in JSON: over a WebSocket, as events, and in the answers to polls.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memchr;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ConversationError, Heard};

const A_NOTIFICATION: &str = "a notification as JSON";

/// A notification. What is not needed is read over, and types that are not known are heard as nothing.
#[derive(Debug, Deserialize)]
pub(super) struct Notification<'a> {
    #[serde(rename = "type")]
    pub(super) kind: &'a str,
    /// The `id` of the command that it answers. This client's are numbers.
    pub(super) id: Option<u64>,
    /// Messages left out: of a `gap`, and of `skipped`.
    count: Option<u64>,
    /// Messages left out before this one: of a conflated `message`.
    skipped: Option<u64>,
    encoding: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    code: Option<String>,
    message: Option<String>,
}

impl<'a> Notification<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, ConversationError> {
        serde_json::from_slice(json).map_err(|_| ConversationError::nonsense(A_NOTIFICATION, json))
    }

    /// All of an answer to a poll.
    pub(super) fn parse_array(json: &'a [u8]) -> Result<Vec<Self>, ConversationError> {
        serde_json::from_slice(json)
            .map_err(|_| ConversationError::nonsense("an array of notifications as JSON", json))
    }

    /// Passes on what it says of messages. An `error` is one.
    pub(super) fn hear(&self, on_heard: &mut dyn FnMut(Heard<'_>)) -> Result<(), ConversationError> {
        match self.kind {
            "message" => {
                if let Some(count) = self.skipped {
                    on_heard(Heard::Gap { count });
                }
                on_heard(Heard::Payload(&self.payload()?));
            }
            "gap" | "skipped" => {
                let count = self.count.ok_or_else(|| {
                    ConversationError::nonsense("a count of what is missing", self.kind.as_bytes())
                })?;
                on_heard(Heard::Gap { count });
            }
            "error" => {
                let code = self.code.as_deref().unwrap_or("no code");
                let message = self.message.as_deref().unwrap_or("no message");
                return Err(ConversationError::denied(format!("{code}: {message}").as_bytes()));
            }
            _ => {}
        }
        Ok(())
    }

    /// The payload as it was published. Text without escapes, which is what this program publishes, is borrowed.
    fn payload(&self) -> Result<Cow<'a, [u8]>, ConversationError> {
        let json = self.data.map_or("null", RawValue::get);
        let Some(text) = json.strip_prefix('"').and_then(|json| json.strip_suffix('"')) else {
            return Ok(Cow::Borrowed(json.as_bytes()));
        };
        match self.encoding {
            None if memchr(b'\\', text.as_bytes()).is_none() => Ok(Cow::Borrowed(text.as_bytes())),
            None => {
                let unescaped = serde_json::from_str::<String>(json);
                Ok(Cow::Owned(unescaped.map_err(|_| not_a_notification(json))?.into_bytes()))
            }
            Some("json") => Ok(Cow::Borrowed(json.as_bytes())),
            Some("base64") => Ok(Cow::Owned(STANDARD.decode(text).map_err(|_| not_a_notification(json))?)),
            Some(_) => Err(not_a_notification(json)),
        }
    }
}

fn not_a_notification(json: &str) -> ConversationError {
    ConversationError::nonsense(A_NOTIFICATION, json.as_bytes())
}
