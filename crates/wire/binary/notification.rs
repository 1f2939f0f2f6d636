//! What the broker says to a client, in octets.

use super::octets::{Octets, write_short, write_u64};
use super::types::{ERROR, GAP, HELLO, PING, PUBLISHED, SUBSCRIBE, UNSUBSCRIBE, WELCOME};
use super::{Head, ID_FORM, What, id_flag, payload_head, payload_kind, read_id, write_id};
use crate::command::{CommandId, PayloadKind};
use crate::error::{CommandError, ErrorCode, LayoutError};
use crate::limits::MAX_OFFSET;
use crate::notification::{MessageFields, Notification};
use crate::topic::TopicNumber;

/// The octets in front of the payload of a delivery that has neither name nor key.
pub const DELIVERY_HEADER_BYTES: usize = 12;

/// Of a delivery.
const HAS_NAME: u8 = 0x01;
const HAS_KEY: u8 = 0x02;

/// A delivery begins with one word: the first octet above an offset of seven.
const HEAD_SHIFT: u32 = 56;

/// Of `subscribed`.
const HAS_OFFSET: u8 = 0x04;
const RECOVERED: u8 = 0x08;
const NOT_RECOVERED: u8 = 0x10;

/// Of `error`.
const HAS_COMMAND: u8 = 0x04;
const HAS_TOPIC: u8 = 0x08;

/// A message as its subscribers on the binary interface get it.
///
/// ```text
///   0        1                             7  8         11  12
///  ┌────────┬───────────────────────────────┬────────────┬──────────┬─────────┬─────────┐
///  │1 kk fff│ offset                        │ number     │ name?    │ key?    │ payload │
///  └────────┴───────────────────────────────┴────────────┴──────────┴─────────┴─────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// What `subscribed` called the topic; none where only the name is known.
    pub number: Option<TopicNumber>,
    /// The topic's name, for who subscribes to a pattern and was not told the number.
    pub name: Option<&'a str>,
    /// Its position in the topic.
    pub offset: u64,
    /// The entity within the topic that it is about.
    pub key: Option<&'a str>,
    /// What the payload is.
    pub kind: PayloadKind,
    /// The payload, which is of that kind.
    pub payload: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Appends the delivery to `out`.
    pub fn write(&self, out: &mut Vec<u8>) {
        debug_assert!(self.offset < MAX_OFFSET);
        let name_flag = if self.name.is_some() { HAS_NAME } else { 0 };
        let key_flag = if self.key.is_some() { HAS_KEY } else { 0 };
        let head = payload_head(self.kind, name_flag | key_flag);
        write_u64(out, u64::from(head) << HEAD_SHIFT | self.offset);
        out.extend_from_slice(&self.number.map_or(0, TopicNumber::get).to_be_bytes());
        [self.name, self.key].into_iter().flatten().for_each(|text| write_short(out, text));
        out.extend_from_slice(self.payload);
    }

    /// Reads what follows the head.
    fn read(head: Head, kind: PayloadKind, mut octets: Octets<'a>) -> Result<Self, LayoutError> {
        head.allow(HAS_NAME | HAS_KEY)?;
        let offset = valid_offset(octets.u56("offset")?)?;
        let number = TopicNumber::new(octets.u32("number")?);
        let name = if head.has(HAS_NAME) { Some(octets.short("topic")?) } else { None };
        let key = if head.has(HAS_KEY) { Some(octets.short("key")?) } else { None };
        if number.is_none() && name.is_none() {
            return Err(LayoutError::BadField { field: "number" });
        }
        Ok(Self { number, name, offset, key, kind, payload: octets.payload() })
    }
}

impl<'a> From<&MessageFields<'a>> for Delivery<'a> {
    /// By name, since fields have no number.
    fn from(fields: &MessageFields<'a>) -> Self {
        let MessageFields { topic, offset, time_ms: _, key, kind, payload } = *fields;
        Self { number: None, name: Some(topic), offset, key, kind, payload }
    }
}

/// What a client reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received<'a> {
    /// A message.
    Delivery(Delivery<'a>),
    /// Anything else. Its `id` stands in front of it, because a notification does not own one:
    /// [`with_id`](Notification::with_id) puts it in its place.
    Notification(Option<CommandId>, Notification<'a>),
}

/// Reads one notification, as a client does. What it does not know it refuses; that names are topics and payloads are
/// what their kind says, it takes from the broker.
pub fn parse_notification(message: &[u8]) -> Result<Received<'_>, LayoutError> {
    let mut octets = Octets::new(message);
    let head = Head::read(&mut octets)?;
    match head.what {
        What::Payload(kind) => Delivery::read(head, payload_kind(kind)?, octets).map(Received::Delivery),
        What::Type(of) => {
            head.allow(known_flags(of)?)?;
            let id = read_id(&mut octets, head).map_err(|error| match error {
                CommandError::Layout(error) => error,
                _ => LayoutError::BadField { field: "id" },
            })?;
            Ok(Received::Notification(id, read(of, head, octets)?))
        }
    }
}

/// The flags that a type of notification can have.
const fn known_flags(of: u8) -> Result<u8, LayoutError> {
    match of {
        SUBSCRIBE => Ok(ID_FORM | HAS_OFFSET | RECOVERED | NOT_RECOVERED),
        UNSUBSCRIBE | PUBLISHED | PING | HELLO => Ok(ID_FORM),
        ERROR => Ok(ID_FORM | HAS_COMMAND | HAS_TOPIC),
        WELCOME | GAP => Ok(0),
        unknown => Err(LayoutError::UnknownType(unknown)),
    }
}

fn read(of: u8, head: Head, mut octets: Octets<'_>) -> Result<Notification<'_>, LayoutError> {
    let id = None;
    let notification = match of {
        SUBSCRIBE => subscribed(head, &mut octets)?,
        UNSUBSCRIBE => Notification::Unsubscribed { id, topic: octets.short("topic")? },
        PUBLISHED => Notification::Published {
            id,
            topic: octets.short("topic")?,
            epoch: octets.short("epoch")?,
            offset: valid_offset(octets.u64("offset")?)?,
        },
        GAP => Notification::Gap {
            topic: octets.short("topic")?,
            from: valid_offset(octets.u64("from")?)?,
            to: valid_offset(octets.u64("to")?)?,
            count: octets.u64("count")?,
        },
        WELCOME => Notification::Welcome {
            epoch: octets.short("epoch")?,
            max_message: size(octets.u64("max_message")?, "max_message")?,
            max_subscriptions: size(octets.u64("max_subscriptions")?, "max_subscriptions")?,
        },
        HELLO => return Ok(Notification::Hello { id, message: octets.text("message")? }),
        ERROR => return error(head, octets),
        _ => Notification::Pong { id },
    };
    octets.end()?;
    Ok(notification)
}

fn subscribed<'a>(head: Head, octets: &mut Octets<'a>) -> Result<Notification<'a>, LayoutError> {
    let (topic, epoch) = (octets.short("topic")?, octets.short("epoch")?);
    let (offset, number) = if head.has(HAS_OFFSET) {
        (Some(valid_offset(octets.u64("offset")?)?), TopicNumber::new(octets.u32("number")?))
    } else {
        (None, None)
    };
    let recovered = match head.flags & (RECOVERED | NOT_RECOVERED) {
        0 => None,
        RECOVERED => Some(true),
        NOT_RECOVERED => Some(false),
        _ => return Err(LayoutError::BadField { field: "recovered" }),
    };
    Ok(Notification::Subscribed { id: None, topic, epoch, offset, number, recovered })
}

fn error(head: Head, mut octets: Octets<'_>) -> Result<Notification<'_>, LayoutError> {
    let code = octets.short("code")?;
    let code = ErrorCode::ALL.into_iter().find(|known| known.as_str() == code);
    let command = if head.has(HAS_COMMAND) { Some(octets.short("command")?) } else { None };
    let topic = if head.has(HAS_TOPIC) { Some(octets.short("topic")?) } else { None };
    let message = octets.text("message")?;
    let code = code.ok_or(LayoutError::BadField { field: "code" })?;
    Ok(Notification::Error { id: None, command, topic, code, message })
}

fn valid_offset(offset: u64) -> Result<u64, LayoutError> {
    if offset < MAX_OFFSET { Ok(offset) } else { Err(LayoutError::BadField { field: "offset" }) }
}

fn size(number: u64, field: &'static str) -> Result<usize, LayoutError> {
    number.try_into().map_err(|_| LayoutError::BadField { field })
}

/// Appends the notification to `out`, as one message. A message is written with its name, since a notification does not
/// know its number.
pub fn write_notification(notification: &Notification<'_>, out: &mut Vec<u8>) {
    match *notification {
        Notification::Message(fields) => Delivery::from(&fields).write(out),
        Notification::Welcome { epoch, max_message, max_subscriptions } => {
            begin(out, WELCOME, 0, None);
            write_short(out, epoch);
            write_u64(out, max_message as u64);
            write_u64(out, max_subscriptions as u64);
        }
        Notification::Subscribed { id, topic, epoch, offset, number, recovered } => {
            let offset_flag = if offset.is_some() { HAS_OFFSET } else { 0 };
            begin(out, SUBSCRIBE, offset_flag | recovered_flag(recovered), id);
            write_short(out, topic);
            write_short(out, epoch);
            if let Some(offset) = offset {
                write_u64(out, offset);
                out.extend_from_slice(&number.map_or(0, TopicNumber::get).to_be_bytes());
            }
        }
        Notification::Unsubscribed { id, topic } => {
            begin(out, UNSUBSCRIBE, 0, id);
            write_short(out, topic);
        }
        Notification::Published { id, topic, epoch, offset } => {
            begin(out, PUBLISHED, 0, id);
            write_short(out, topic);
            write_short(out, epoch);
            write_u64(out, offset);
        }
        Notification::Gap { topic, from, to, count } => {
            begin(out, GAP, 0, None);
            write_short(out, topic);
            write_u64(out, from);
            write_u64(out, to);
            write_u64(out, count);
        }
        Notification::Pong { id } => begin(out, PING, 0, id),
        Notification::Hello { id, message } => {
            begin(out, HELLO, 0, id);
            out.extend_from_slice(message.as_bytes());
        }
        Notification::Error { id, command, topic, code, message } => {
            let command_flag = if command.is_some() { HAS_COMMAND } else { 0 };
            let topic_flag = if topic.is_some() { HAS_TOPIC } else { 0 };
            begin(out, ERROR, command_flag | topic_flag, id);
            write_short(out, code.as_str());
            [command, topic].into_iter().flatten().for_each(|name| write_short(out, name));
            out.extend_from_slice(message.as_bytes());
        }
    }
}

fn begin(out: &mut Vec<u8>, of: u8, flags: u8, id: Option<&CommandId>) {
    out.extend_from_slice(&[of, flags | id_flag(id)]);
    write_id(out, id);
}

const fn recovered_flag(recovered: Option<bool>) -> u8 {
    match recovered {
        None => 0,
        Some(true) => RECOVERED,
        Some(false) => NOT_RECOVERED,
    }
}
