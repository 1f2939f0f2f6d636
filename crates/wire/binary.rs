//! Commands and notifications in octets: those that [`command`](crate::command) and
//! [`notification`](crate::notification) have in JSON, in fixed layouts. `docs/PROTOCOL.md` specifies it.
//!
//! ```text
//!  what has a payload (publish, delivery)          everything else
//!  ┌─┬────┬─────┐                                  ┌─┬───────┬────────┐
//!  │1│kind│flags│ … fields, payload to the end     │0│ type  │ flags  │ … fields
//!  └─┴────┴─────┘                                  └─┴───────┴────────┘
//!   1  2    5 bits                                  1  7 bits  8 bits
//! ```
//!
//! One message holds one command or notification. Numbers are in network byte order. A *short* text is an octet of
//! length and so many octets of UTF-8. A flag says that an optional field is there; who reads one that it does not
//! know refuses the whole message, since it cannot tell what follows.

mod batch;
mod command;
mod delivery;
mod notification;
mod octets;
mod publication;
mod subscription;

pub(crate) use self::batch::read_results;
pub use self::command::{parse_command, write_command};
pub use self::delivery::{DELIVERY_HEADER_BYTES, Delivery};
pub use self::notification::{Received, parse_notification, write_notification};

use self::octets::{Octets, write_short, write_u64};
use crate::command::{CommandId, PayloadKind};
use crate::error::{CommandError, ErrorCode, LayoutError};
use crate::limits::MAX_OFFSET;

/// The first bit of what has a payload.
const HAS_PAYLOAD: u8 = 0x80;

/// Where the kind of the payload stands in the first octet.
const KIND_SHIFT: u32 = 5;

/// The flags in the first octet of what has a payload.
const PAYLOAD_FLAGS: u8 = 0x1f;

/// The types of what has no payload. A receipt has the type of its command.
mod types {
    pub(super) const SUBSCRIBE: u8 = 0x01;
    pub(super) const RECOVER: u8 = 0x02;
    pub(super) const UNSUBSCRIBE: u8 = 0x03;
    pub(super) const PING: u8 = 0x04;
    pub(super) const HELLO: u8 = 0x05;
    pub(super) const PUBLISHED: u8 = 0x06;
    pub(super) const WELCOME: u8 = 0x07;
    pub(super) const GAP: u8 = 0x08;
    pub(super) const ERROR: u8 = 0x09;
    pub(super) const PUBLISH_BATCH: u8 = 0x0a;
    pub(super) const SKIPPED: u8 = 0x0b;
    pub(super) const TICK: u8 = 0x0c;
    pub(super) const SNAPSHOT_END: u8 = 0x0d;
    pub(super) const AUTH: u8 = 0x0e;
    pub(super) const EXPIRED: u8 = 0x0f;
}

/// The form of the `id`, in the lowest two bits of the flags of everything that can have one.
const ID_FORM: u8 = 0x03;
const ID_IS_INTEGER: u8 = 0x01;
const ID_IS_JSON: u8 = 0x02;

/// How a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    what: What,
    flags: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// A publish or a delivery, and the number of its kind.
    Payload(u8),
    /// Anything else, by its type.
    Type(u8),
}

impl Head {
    fn read(octets: &mut Octets<'_>) -> Result<Self, LayoutError> {
        let first = octets.octet("type")?;
        if first & HAS_PAYLOAD != 0 {
            let kind = (first & !HAS_PAYLOAD) >> KIND_SHIFT;
            return Ok(Self { what: What::Payload(kind), flags: first & PAYLOAD_FLAGS });
        }
        Ok(Self { what: What::Type(first), flags: octets.octet("flags")? })
    }

    /// Refuses flags other than `known`.
    fn allow(self, known: u8) -> Result<(), LayoutError> {
        match self.flags & !known {
            0 => Ok(()),
            unknown => Err(LayoutError::UnknownFlags(unknown)),
        }
    }

    /// Refuses `flags`, which this type has elsewhere only.
    fn refuse(self, flags: u8) -> Result<(), LayoutError> {
        self.allow(!flags)
    }

    const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The first octet of what has a payload.
const fn payload_head(kind: PayloadKind, flags: u8) -> u8 {
    let kind = match kind {
        PayloadKind::Text => 0,
        PayloadKind::Json => 1,
        PayloadKind::Binary => 2,
    };
    HAS_PAYLOAD | kind << KIND_SHIFT | flags
}

const fn payload_kind(number: u8) -> Result<PayloadKind, LayoutError> {
    match number {
        0 => Ok(PayloadKind::Text),
        1 => Ok(PayloadKind::Json),
        2 => Ok(PayloadKind::Binary),
        _ => Err(LayoutError::UnknownKind),
    }
}

fn valid_offset(offset: u64) -> Result<u64, LayoutError> {
    if offset < MAX_OFFSET { Ok(offset) } else { Err(LayoutError::BadField { field: "offset" }) }
}

fn error_code(name: &str) -> Result<ErrorCode, LayoutError> {
    let known = ErrorCode::ALL.into_iter().find(|known| known.as_str() == name);
    known.ok_or(LayoutError::BadField { field: "code" })
}

fn read_id(octets: &mut Octets<'_>, head: Head) -> Result<Option<CommandId>, CommandError> {
    match head.flags & ID_FORM {
        0 => Ok(None),
        ID_IS_INTEGER => Ok(Some(octets.u64("id")?.into())),
        ID_IS_JSON => CommandId::parse(octets.short("id")?).map(Some),
        _ => Err(CommandError::BadId),
    }
}

fn id_flag(id: Option<&CommandId>) -> u8 {
    match id {
        None => 0,
        Some(id) if id.as_integer().is_some() => ID_IS_INTEGER,
        Some(_) => ID_IS_JSON,
    }
}

fn write_id(out: &mut Vec<u8>, id: Option<&CommandId>) {
    let Some(id) = id else { return };
    match id.as_integer() {
        Some(integer) => write_u64(out, integer),
        None => write_short(out, id.as_json()),
    }
}

#[cfg(test)]
mod tests;
