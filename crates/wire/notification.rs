//! What the broker says to a client, and how it says it in JSON. In octets: [`binary`](crate::binary).
//!
//! A [`Notification`] borrows everything and writes itself behind what the buffer already holds. The order of fields
//! is part of the protocol: `type` first, then what the client needs to find the right handler, the payload last.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{CommandId, PayloadKind};
use crate::error::ErrorCode;
use crate::topic::TopicNumber;

/// One notification, ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notification<'a> {
    /// The first thing that a connection hears.
    Welcome {
        /// The identity of the broker's run.
        epoch: &'a str,
        /// The most octets of one message.
        max_message: usize,
        /// The most subscriptions of one connection.
        max_subscriptions: usize,
    },
    /// Receipt of a `subscribe` or `recover`: messages after `offset` follow.
    Subscribed {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic or pattern.
        topic: &'a str,
        /// The epoch that `offset` belongs to.
        epoch: &'a str,
        /// The offset that the subscription follows; none for a pattern.
        offset: Option<u64>,
        /// What the binary interface calls the topic in deliveries; none for a pattern, and where nobody needs it.
        number: Option<TopicNumber>,
        /// Whether everything since the asked position follows; none when no position was asked for.
        recovered: Option<bool>,
    },
    /// Receipt of an `unsubscribe`: nothing more comes for it.
    Unsubscribed {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic or pattern.
        topic: &'a str,
    },
    /// Receipt of a `publish`.
    Published {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The topic.
        topic: &'a str,
        /// The epoch that `offset` belongs to.
        epoch: &'a str,
        /// The offset that the message got.
        offset: u64,
    },
    /// A delivery.
    Message(MessageFields<'a>),
    /// Messages that this subscriber will not get.
    Gap {
        /// The topic.
        topic: &'a str,
        /// The offset of the first message that is missing.
        from: u64,
        /// The offset of the last message that is missing.
        to: u64,
        /// How many are missing.
        count: u64,
    },
    /// Receipt of a `ping`.
    Pong {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
    },
    /// Receipt of a `hello`.
    Hello {
        /// The `id` of the command.
        id: Option<&'a CommandId>,
        /// The greeting.
        message: &'a str,
    },
    /// A command that was not carried out, or something that ended by itself.
    Error {
        /// The `id` of the command, when it could be read.
        id: Option<&'a CommandId>,
        /// The `type` of the command, when it is a known one.
        command: Option<&'a str>,
        /// The topic or pattern, when it could be read.
        topic: Option<&'a str>,
        /// What is wrong, for programs.
        code: ErrorCode,
        /// What is wrong, for people.
        message: &'a str,
    },
}

/// A message as its subscribers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFields<'a> {
    /// The topic that it was published on.
    pub topic: &'a str,
    /// Its position in the topic.
    pub offset: u64,
    /// When it was published, in milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// The entity within the topic that it is about.
    pub key: Option<&'a str>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// The payload, which is of that kind: see [`check_payload`](crate::command::check_payload).
    pub payload: &'a [u8],
}

impl<'a> Notification<'a> {
    /// The same with another `id`. What answers no command has none, and stays without.
    #[must_use]
    pub const fn with_id(mut self, new: Option<&'a CommandId>) -> Self {
        match &mut self {
            Self::Subscribed { id, .. }
            | Self::Unsubscribed { id, .. }
            | Self::Published { id, .. }
            | Self::Pong { id }
            | Self::Hello { id, .. }
            | Self::Error { id, .. } => *id = new,
            Self::Welcome { .. } | Self::Message(_) | Self::Gap { .. } => {}
        }
        self
    }

    /// The offset that a subscriber has come to with it, in the topic that it is about.
    pub const fn reaches(&self) -> Option<u64> {
        match self {
            Self::Subscribed { offset, .. } => *offset,
            Self::Message(message) => Some(message.offset),
            Self::Gap { to, .. } => Some(*to),
            Self::Welcome { .. }
            | Self::Unsubscribed { .. }
            | Self::Published { .. }
            | Self::Pong { .. }
            | Self::Hello { .. }
            | Self::Error { .. } => None,
        }
    }

    /// Appends the notification to `out`, as one JSON object without a line break of its own.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Welcome { epoch, max_message, max_subscriptions } => {
                let mut object = ObjectWriter::begin(out, "welcome");
                object.string("epoch", epoch);
                object.name("limits");
                object.out.extend_from_slice(br#"{"max_message":"#);
                write_number(object.out, max_message as u64);
                object.number("max_subscriptions", max_subscriptions as u64);
                object.out.push(b'}');
                object.end();
            }
            Self::Subscribed { id, topic, epoch, offset, recovered, number: _ } => {
                let mut object = ObjectWriter::begin(out, "subscribed");
                object.id(id);
                object.string("topic", topic);
                object.string("epoch", epoch);
                object.optional_number("offset", offset);
                object.optional_boolean("recovered", recovered);
                object.end();
            }
            Self::Unsubscribed { id, topic } => {
                let mut object = ObjectWriter::begin(out, "unsubscribed");
                object.id(id);
                object.string("topic", topic);
                object.end();
            }
            Self::Published { id, topic, epoch, offset } => {
                let mut object = ObjectWriter::begin(out, "published");
                object.id(id);
                object.string("topic", topic);
                object.string("epoch", epoch);
                object.number("offset", offset);
                object.end();
            }
            Self::Message(message) => message.write_json(out),
            Self::Gap { topic, from, to, count } => {
                let mut object = ObjectWriter::begin(out, "gap");
                object.string("topic", topic);
                object.number("from", from);
                object.number("to", to);
                object.number("count", count);
                object.end();
            }
            Self::Pong { id } => {
                let mut object = ObjectWriter::begin(out, "pong");
                object.id(id);
                object.end();
            }
            Self::Hello { id, message } => {
                let mut object = ObjectWriter::begin(out, "hello");
                object.id(id);
                object.string("message", message);
                object.end();
            }
            Self::Error { id, command, topic, code, message } => {
                let mut object = ObjectWriter::begin(out, "error");
                object.id(id);
                object.optional_string("command", command);
                object.optional_string("topic", topic);
                object.string("code", code.as_str());
                object.string("message", message);
                object.end();
            }
        }
    }
}

impl MessageFields<'_> {
    fn write_json(&self, out: &mut Vec<u8>) {
        let mut object = ObjectWriter::begin(out, "message");
        object.string("topic", self.topic);
        object.number("offset", self.offset);
        object.number("time", self.time_ms);
        object.optional_string("key", self.key);
        object.optional_string("encoding", self.encoding());
        object.name("data");
        match self.kind {
            PayloadKind::Text => write_json_string(object.out, self.payload),
            PayloadKind::Json => object.out.extend_from_slice(self.payload),
            PayloadKind::Binary => write_base64_string(object.out, self.payload),
        }
        object.end();
    }

    /// What `data` does not say by itself: a string is text unless `encoding` says otherwise.
    fn encoding(&self) -> Option<&'static str> {
        match self.kind {
            PayloadKind::Text => None,
            PayloadKind::Json => self.payload.trim_ascii_start().starts_with(b"\"").then_some("json"),
            PayloadKind::Binary => Some("base64"),
        }
    }
}

/// Writes an object field by field: its `type`, then the others in the order of the calls.
struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> ObjectWriter<'o> {
    fn begin(out: &'o mut Vec<u8>, kind: &str) -> Self {
        out.extend_from_slice(br#"{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.push(b'"');
        Self { out }
    }

    fn name(&mut self, name: &str) {
        self.out.extend_from_slice(br#",""#);
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(br#"":"#);
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        write_json_string(self.out, value.as_bytes());
    }

    fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        write_number(self.out, value);
    }

    fn optional_string(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    fn optional_number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.number(name, value);
        }
    }

    fn optional_boolean(&mut self, name: &str, value: Option<bool>) {
        if let Some(value) = value {
            self.name(name);
            self.out.extend_from_slice(if value { b"true" } else { b"false" });
        }
    }

    fn id(&mut self, id: Option<&CommandId>) {
        if let Some(id) = id {
            self.name("id");
            self.out.extend_from_slice(id.as_json().as_bytes());
        }
    }

    fn end(self) {
        self.out.push(b'}');
    }
}

/// Appends `text`, which is UTF-8, as a JSON string with its quotes (RFC 8259 §7): only what must be escaped is.
pub fn write_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(plain_prefix_len(rest));
        out.extend_from_slice(plain);
        let Some((&byte, tail)) = tail.split_first() else { break };
        write_escape(out, byte);
        rest = tail;
    }
    out.push(b'"');
}

/// How many octets at the front need no escape, eight at a time.
fn plain_prefix_len(text: &[u8]) -> usize {
    let (words, tail) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_octets(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = tail.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    words.len() * 8 + special.unwrap_or(tail.len())
}

/// Marks octets below 0x20, quotes and backslashes by their highest bit. A borrow may mark an octet above a true
/// mark too, so only the lowest mark counts.
const fn special_octets(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = ONES * 0x80;
    let quotes = word ^ (ONES * b'"' as u64);
    let backslashes = word ^ (ONES * b'\\' as u64);
    let below_0x20 = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quotes.wrapping_sub(ONES) & !quotes;
    let backslash = backslashes.wrapping_sub(ONES) & !backslashes;
    (below_0x20 | quote | backslash) & HIGHS
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        b'\t' => b't',
        b'\n' => b'n',
        0x0c => b'f',
        b'\r' => b'r',
        _ => {
            out.extend_from_slice(br"\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 0x0f)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

fn write_base64_string(out: &mut Vec<u8>, payload: &[u8]) {
    out.push(b'"');
    let start = out.len();
    out.resize(start + payload.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(payload, &mut out[start..])
        .expect("four characters were made room for per three octets");
    out.push(b'"');
}

/// Appends `number` in decimal digits.
fn write_number(out: &mut Vec<u8>, number: u64) {
    const MAX_DIGITS: usize = u64::MAX.ilog10() as usize + 1;
    let mut digits = [0; MAX_DIGITS];
    let mut start = MAX_DIGITS;
    let mut rest = number;
    loop {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const EPOCH: &str = "9f3c01d27ab45e88";

    fn json_of(notification: &Notification<'_>) -> String {
        let mut out = Vec::new();
        notification.write_json(&mut out);
        let text = String::from_utf8(out).unwrap();
        serde_json::from_str::<Value>(&text).unwrap();
        text
    }

    fn message(kind: PayloadKind, payload: &[u8]) -> MessageFields<'_> {
        MessageFields {
            topic: "prices.EURUSD",
            offset: 45,
            time_ms: 1_795_291_200_123,
            key: Some("EURUSD"),
            kind,
            payload,
        }
    }

    #[test]
    fn every_notification_is_written_in_the_documented_order() {
        let id = CommandId::parse("1").unwrap();
        let text_id = CommandId::parse("\"a-7\"").unwrap();
        let topic = "prices.EURUSD";
        let cases = [
            (
                Notification::Welcome { epoch: EPOCH, max_message: 1_048_576, max_subscriptions: 1000 },
                r#"{"type":"welcome","epoch":"9f3c01d27ab45e88","limits":{"max_message":1048576,"max_subscriptions":1000}}"#,
            ),
            (
                Notification::Subscribed {
                    id: Some(&id),
                    topic,
                    epoch: EPOCH,
                    offset: Some(41),
                    number: TopicNumber::new(7),
                    recovered: Some(true),
                },
                r#"{"type":"subscribed","id":1,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":41,"recovered":true}"#,
            ),
            (
                Notification::Subscribed {
                    id: None,
                    topic: "prices.>",
                    epoch: EPOCH,
                    offset: None,
                    number: None,
                    recovered: None,
                },
                r#"{"type":"subscribed","topic":"prices.>","epoch":"9f3c01d27ab45e88"}"#,
            ),
            (
                Notification::Unsubscribed { id: Some(&text_id), topic },
                r#"{"type":"unsubscribed","id":"a-7","topic":"prices.EURUSD"}"#,
            ),
            (
                Notification::Published { id: Some(&id), topic, epoch: EPOCH, offset: 45 },
                r#"{"type":"published","id":1,"topic":"prices.EURUSD","epoch":"9f3c01d27ab45e88","offset":45}"#,
            ),
            (
                Notification::Message(message(PayloadKind::Json, br#"{"bid":1.0831}"#)),
                r#"{"type":"message","topic":"prices.EURUSD","offset":45,"time":1795291200123,"key":"EURUSD","data":{"bid":1.0831}}"#,
            ),
            (
                Notification::Gap { topic: "chat.lobby", from: 101, to: 140, count: 40 },
                r#"{"type":"gap","topic":"chat.lobby","from":101,"to":140,"count":40}"#,
            ),
            (Notification::Pong { id: Some(&id) }, r#"{"type":"pong","id":1}"#),
            (Notification::Pong { id: None }, r#"{"type":"pong"}"#),
            (
                Notification::Hello { id: None, message: "hello yuan" },
                r#"{"type":"hello","message":"hello yuan"}"#,
            ),
            (
                Notification::Error {
                    id: Some(&id),
                    command: Some("publish"),
                    topic: Some("chat.lobby"),
                    code: ErrorCode::Forbidden,
                    message: "this token may not publish to chat.lobby",
                },
                r#"{"type":"error","id":1,"command":"publish","topic":"chat.lobby","code":"forbidden","message":"this token may not publish to chat.lobby"}"#,
            ),
        ];
        for (notification, text) in cases {
            assert_eq!(json_of(&notification), text);
        }
    }

    #[test]
    fn data_and_encoding_tell_the_kinds_apart() {
        let cases = [
            (PayloadKind::Text, &b"say \"hi\""[..], json!("say \"hi\""), None),
            (PayloadKind::Json, br#"{"a":[1]}"#, json!({"a": [1]}), None),
            (PayloadKind::Json, br#""quoted""#, json!("quoted"), Some("json")),
            (PayloadKind::Json, b" \n\"quoted\"", json!("quoted"), Some("json")),
            (PayloadKind::Binary, &[0, 255, 16, 1], json!("AP8QAQ=="), Some("base64")),
            (PayloadKind::Binary, b"", json!(""), Some("base64")),
        ];
        for (kind, payload, data, encoding) in cases {
            let text = json_of(&Notification::Message(message(kind, payload)));
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(object["data"], data, "{text}");
            assert_eq!(object.get("encoding").and_then(Value::as_str), encoding, "{text}");
        }
    }

    #[test]
    fn a_notification_is_appended_to_what_is_there() {
        let mut out = b"before".to_vec();
        Notification::Pong { id: None }.write_json(&mut out);
        assert_eq!(out, br#"before{"type":"pong"}"#);
    }

    proptest! {
        #[test]
        fn strings_are_escaped_as_serde_json_escapes_them(
            text in "([\\x00-\\x7f]|[é€😀\\u{2028}]|\"|\\\\|[a-z]{5,9}){0,40}",
        ) {
            let mut out = Vec::new();
            write_json_string(&mut out, text.as_bytes());
            prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn every_octet_is_found_special_exactly_when_it_must_be_escaped(
            text in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let naive = text.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')).unwrap_or(text.len());
            prop_assert_eq!(plain_prefix_len(&text), naive);
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(number in any::<u64>(), shift in 0_u32..64) {
            let mut out = Vec::new();
            let number = number >> shift;
            write_number(&mut out, number);
            prop_assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }
}
