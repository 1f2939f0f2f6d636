//! A message to publish, in octets.
//!
//! ```text
//!  ┌─┬────┬─────┬───────┬─────┬───────┬──────┬─────────────┬─────────┬─────────┐
//!  │1│kind│flags│ more? │ id? │ topic │ key? │ message_id? │ expect? │ payload │
//!  └─┴────┴─────┴───────┴─────┴───────┴──────┴─────────────┴─────────┴─────────┘
//! ```
//!
//! The first octet has no flags left for what few publishes say: those have another octet of them.

use std::borrow::Cow;

use super::octets::{Octets, write_short, write_u64};
use super::{Head, id_flag, payload_head, write_id};
use crate::command::{
    BAD_EXPECT, CommandId, PayloadKind, Position, Publication, check_length, check_payload, position,
};
use crate::error::{CommandError, LayoutError};
use crate::limits::{MAX_KEY_BYTES, MAX_MESSAGE_ID_BYTES};
use crate::topic::TopicRef;

/// In the first octet.
pub(super) const HAS_KEY: u8 = 0x04;
pub(super) const NO_ECHO: u8 = 0x08;
pub(super) const HAS_MORE_FLAGS: u8 = 0x10;

/// In the second, where there is one.
const HAS_MESSAGE_ID: u8 = 0x01;
const HAS_EXPECT: u8 = 0x02;

/// The second octet of flags.
#[derive(Clone, Copy, Debug)]
pub(super) struct MoreFlags(u8);

impl MoreFlags {
    pub(super) const NONE: Self = Self(0);

    /// Reads it, if the first octet says that it is there.
    pub(super) fn read(head: Head, octets: &mut Octets<'_>) -> Result<Self, LayoutError> {
        if head.has(HAS_MORE_FLAGS) { octets.octet("flags").map(Self) } else { Ok(Self::NONE) }
    }

    pub(super) fn check(self) -> Result<(), LayoutError> {
        match self.0 & !(HAS_MESSAGE_ID | HAS_EXPECT) {
            0 => Ok(()),
            unknown => Err(LayoutError::UnknownFlags(unknown)),
        }
    }
}

/// Reads what follows the topic.
pub(super) fn read_publication<'a>(
    (head, more, kind): (Head, MoreFlags, PayloadKind),
    topic: &'a str,
    mut octets: Octets<'a>,
) -> Result<Publication<'a>, CommandError> {
    let topic = TopicRef::parse(topic)?;
    let key = read_name(head.has(HAS_KEY), &mut octets, "key", MAX_KEY_BYTES)?;
    let has_message_id = more.0 & HAS_MESSAGE_ID != 0;
    let message_id = read_name(has_message_id, &mut octets, "message_id", MAX_MESSAGE_ID_BYTES)?;
    let expect = if more.0 & HAS_EXPECT != 0 { Some(read_expect(&mut octets)?) } else { None };
    let payload = octets.payload();
    check_payload(kind, payload)?;
    Ok(Publication { topic, key, message_id, expect, kind, payload: payload.into() })
}

fn read_name<'a>(
    is_there: bool,
    octets: &mut Octets<'a>,
    field: &'static str,
    limit: usize,
) -> Result<Option<Cow<'a, str>>, CommandError> {
    if !is_there {
        return Ok(None);
    }
    let name = octets.short(field)?;
    check_length(field, name, limit)?;
    Ok(Some(Cow::Borrowed(name)))
}

fn read_expect(octets: &mut Octets<'_>) -> Result<Position, CommandError> {
    let offset = octets.u64("expect")?;
    position(octets.short("expect")?, offset).map_err(|_| BAD_EXPECT)
}

/// Appends a publish with these flags beside those for what the message has.
pub(super) fn write_publication(
    publication: &Publication<'_>,
    id: Option<&CommandId>,
    flags: u8,
    out: &mut Vec<u8>,
) {
    let Publication { topic, key, message_id, expect, kind, payload } = publication;
    let key_flag = if key.is_some() { HAS_KEY } else { 0 };
    let message_id_flag = if message_id.is_some() { HAS_MESSAGE_ID } else { 0 };
    let expect_flag = if expect.is_some() { HAS_EXPECT } else { 0 };
    let more = message_id_flag | expect_flag;
    let more_flag = if more == 0 { 0 } else { HAS_MORE_FLAGS };
    out.push(payload_head(*kind, id_flag(id) | key_flag | more_flag | flags));
    if more != 0 {
        out.push(more);
    }
    write_id(out, id);
    write_short(out, topic.as_str());
    [key, message_id].into_iter().flatten().for_each(|name| write_short(out, name));
    if let Some(Position { epoch, offset }) = expect {
        write_u64(out, *offset);
        write_short(out, epoch);
    }
    out.extend_from_slice(payload);
}
