//! What the broker says to a client, in octets.

use super::batch::{good_results, write_results};
use super::delivery::Delivery;
use super::octets::{Octets, write_short, write_u64};
use super::types::{
    AUTH, ERROR, EXPIRED, GAP, HELLO, PING, PUBLISH_BATCH, PUBLISHED, SKIPPED, SNAPSHOT_END, SUBSCRIBE, TICK,
    UNSUBSCRIBE, WELCOME,
};
use super::{Head, ID_FORM, What, error_code, id_flag, payload_kind, read_id, valid_offset, write_id};
use crate::command::CommandId;
use crate::error::{CommandError, LayoutError};
use crate::notification::Notification;
use crate::topic::TopicNumber;

/// Of `subscribed`.
const HAS_OFFSET: u8 = 0x04;
const RECOVERED: u8 = 0x08;
const NOT_RECOVERED: u8 = 0x10;

/// Of `error`.
const HAS_COMMAND: u8 = 0x04;
const HAS_TOPIC: u8 = 0x08;

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
        UNSUBSCRIBE | PUBLISHED | PUBLISH_BATCH | SNAPSHOT_END | AUTH | PING | HELLO => Ok(ID_FORM),
        ERROR => Ok(ID_FORM | HAS_COMMAND | HAS_TOPIC),
        WELCOME | GAP | SKIPPED | TICK | EXPIRED => Ok(0),
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
        PUBLISH_BATCH => {
            let epoch = octets.short("epoch")?;
            return Ok(Notification::PublishedBatch { id, epoch, results: good_results(octets)? });
        }
        SKIPPED => Notification::Skipped {
            topic: octets.short("topic")?,
            offset: valid_offset(octets.u64("offset")?)?,
            count: octets.u64("count")?,
        },
        TICK => Notification::Tick { count: octets.u32("count")? },
        SNAPSHOT_END => {
            Notification::SnapshotEnd { id, topic: octets.short("topic")?, count: octets.u64("count")? }
        }
        WELCOME => Notification::Welcome {
            epoch: octets.short("epoch")?,
            max_message: size(octets.u64("max_message")?, "max_message")?,
            max_subscriptions: size(octets.u64("max_subscriptions")?, "max_subscriptions")?,
        },
        AUTH => {
            let expires = octets.u64("expires")?;
            return Ok(Notification::Authenticated { id, identity: octets.text("identity")?, expires });
        }
        EXPIRED => Notification::Expired { grace_ms: octets.u64("grace_ms")? },
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
    let command = if head.has(HAS_COMMAND) { Some(octets.short("command")?) } else { None };
    let topic = if head.has(HAS_TOPIC) { Some(octets.short("topic")?) } else { None };
    let message = octets.text("message")?;
    Ok(Notification::Error { id: None, command, topic, code: error_code(code)?, message })
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
        Notification::PublishedBatch { id, epoch, results } => {
            begin(out, PUBLISH_BATCH, 0, id);
            write_short(out, epoch);
            write_results(results, out);
        }
        Notification::Skipped { topic, offset, count } => {
            begin(out, SKIPPED, 0, None);
            write_short(out, topic);
            write_u64(out, offset);
            write_u64(out, count);
        }
        Notification::Tick { count } => {
            begin(out, TICK, 0, None);
            out.extend_from_slice(&count.to_be_bytes());
        }
        Notification::SnapshotEnd { id, topic, count } => {
            begin(out, SNAPSHOT_END, 0, id);
            write_short(out, topic);
            write_u64(out, count);
        }
        Notification::Authenticated { id, identity, expires } => {
            begin(out, AUTH, 0, id);
            write_u64(out, expires);
            out.extend_from_slice(identity.as_bytes());
        }
        Notification::Expired { grace_ms } => {
            begin(out, EXPIRED, 0, None);
            write_u64(out, grace_ms);
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
