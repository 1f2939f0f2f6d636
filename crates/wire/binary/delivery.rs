//! A message on its way to a subscriber, in octets.

use super::octets::{Octets, write_short, write_u64};
use super::{Head, payload_head, valid_offset};
use crate::command::PayloadKind;
use crate::error::LayoutError;
use crate::limits::MAX_OFFSET;
use crate::notification::MessageFields;
use crate::topic::TopicNumber;

/// The octets in front of the payload of a delivery that has no flags.
pub const DELIVERY_HEADER_BYTES: usize = 12;

const HAS_NAME: u8 = 0x01;
const HAS_KEY: u8 = 0x02;
const HAS_SKIPPED: u8 = 0x04;
const IS_SNAPSHOT: u8 = 0x08;

/// A delivery begins with one word: the first octet above an offset of seven.
const HEAD_SHIFT: u32 = 56;

/// A message as its subscribers on the binary interface get it.
///
/// ```text
///   0        1                             7  8         11  12
///  ┌────────┬───────────────────────────────┬────────────┬──────────┬───────┬──────┬─────────┐
///  │1 kk fff│ offset                        │ number     │ skipped? │ name? │ key? │ payload │
///  └────────┴───────────────────────────────┴────────────┴──────────┴───────┴──────┴─────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// What `subscribed` called the topic; none where only the name is known.
    pub number: Option<TopicNumber>,
    /// The topic's name, for who subscribes to a pattern and was not told the number.
    pub name: Option<&'a str>,
    /// Its position in the topic.
    pub offset: u64,
    /// How many messages of the topic in front of this one were not sent, since the last that was.
    pub skipped: u64,
    /// Whether it is part of a snapshot: a last value, and not news.
    pub is_snapshot: bool,
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
        let skipped_flag = if self.skipped == 0 { 0 } else { HAS_SKIPPED };
        let snapshot_flag = if self.is_snapshot { IS_SNAPSHOT } else { 0 };
        let head = payload_head(self.kind, name_flag | key_flag | skipped_flag | snapshot_flag);
        write_u64(out, u64::from(head) << HEAD_SHIFT | self.offset);
        out.extend_from_slice(&self.number.map_or(0, TopicNumber::get).to_be_bytes());
        if self.skipped != 0 {
            write_u64(out, self.skipped);
        }
        [self.name, self.key].into_iter().flatten().for_each(|text| write_short(out, text));
        out.extend_from_slice(self.payload);
    }

    /// Reads what follows the head.
    pub(super) fn read(head: Head, kind: PayloadKind, mut octets: Octets<'a>) -> Result<Self, LayoutError> {
        head.allow(HAS_NAME | HAS_KEY | HAS_SKIPPED | IS_SNAPSHOT)?;
        let offset = valid_offset(octets.u56("offset")?)?;
        let number = TopicNumber::new(octets.u32("number")?);
        let skipped = if head.has(HAS_SKIPPED) { octets.u64("skipped")? } else { 0 };
        let name = if head.has(HAS_NAME) { Some(octets.short("topic")?) } else { None };
        let key = if head.has(HAS_KEY) { Some(octets.short("key")?) } else { None };
        if number.is_none() && name.is_none() {
            return Err(LayoutError::BadField { field: "number" });
        }
        // There is one way to write a delivery.
        if head.has(HAS_SKIPPED) && skipped == 0 {
            return Err(LayoutError::BadField { field: "skipped" });
        }
        let (is_snapshot, payload) = (head.has(IS_SNAPSHOT), octets.payload());
        Ok(Self { number, name, offset, skipped, is_snapshot, key, kind, payload })
    }
}

impl<'a> From<&MessageFields<'a>> for Delivery<'a> {
    /// By name, since fields have no number.
    fn from(fields: &MessageFields<'a>) -> Self {
        let MessageFields { topic, offset, skipped, is_snapshot, time_ms: _, key, kind, payload } = *fields;
        Self { number: None, name: Some(topic), offset, skipped, is_snapshot, key, kind, payload }
    }
}
