//! What is subscribed to, and where it begins, in octets.

use smallvec::smallvec;

use super::octets::{Octets, write_short, write_u64};
use super::{Head, id_flag, types, write_id};
use crate::command::{
    BAD_LIST, BAD_OVERFLOW, CommandId, OverflowPolicy, Since, Wanted, WantedList, position,
};
use crate::error::CommandError;
use crate::limits::MAX_LIST_TOPICS;
use crate::topic::TopicOrPattern;

/// Where a subscription begins, in the flags of `subscribe` and `recover`.
pub(super) const SINCE: u8 = 0x0c;
const SINCE_SHIFT: u32 = 2;

/// The forms of it, there and in front of each topic of a list.
const SINCE_NOW: u8 = 0;
const SINCE_EARLIEST: u8 = 1;
const SINCE_POSITION: u8 = 2;

/// Of `subscribe`.
pub(super) const HAS_OVERFLOW: u8 = 0x10;
pub(super) const SNAPSHOT: u8 = 0x20;
pub(super) const IS_LIST: u8 = 0x40;

/// Which form the `since` of a command has that is for one topic.
pub(super) const fn since_form(head: Head) -> u8 {
    (head.flags & SINCE) >> SINCE_SHIFT
}

/// Reads where to begin.
pub(super) fn read_since(form: u8, octets: &mut Octets<'_>) -> Result<Option<Since>, CommandError> {
    match form {
        SINCE_NOW => Ok(None),
        SINCE_EARLIEST => Ok(Some(Since::Earliest)),
        SINCE_POSITION => {
            let offset = octets.u64("since")?;
            Ok(Some(Since::Position(position(octets.short("since")?, offset)?)))
        }
        _ => Err(CommandError::BadSince),
    }
}

pub(super) fn read_overflow(
    head: Head,
    octets: &mut Octets<'_>,
) -> Result<Option<OverflowPolicy>, CommandError> {
    if !head.has(HAS_OVERFLOW) {
        return Ok(None);
    }
    match octets.octet("overflow")? {
        0 => Ok(Some(OverflowPolicy::Gap)),
        1 => Ok(Some(OverflowPolicy::Conflate)),
        2 => Ok(Some(OverflowPolicy::Disconnect)),
        _ => Err(BAD_OVERFLOW),
    }
}

/// Reads the one topic or pattern that a `subscribe` is for, from behind its name.
pub(super) fn read_wanted(
    head: Head,
    target: &str,
    mut octets: Octets<'_>,
) -> Result<WantedList, CommandError> {
    let target = TopicOrPattern::parse(target)?;
    let since = read_since(since_form(head), &mut octets)?;
    octets.end()?;
    Ok(smallvec![Wanted::new(target, since, head.has(SNAPSHOT))?])
}

/// Reads the many that it is for. The list grows as they come, not by how many there are said to be.
pub(super) fn read_list(head: Head, mut octets: Octets<'_>) -> Result<WantedList, CommandError> {
    head.refuse(SINCE)?;
    let count = octets.u32("topics")? as usize;
    if !(1..=MAX_LIST_TOPICS).contains(&count) {
        return Err(BAD_LIST);
    }
    let mut list = WantedList::new();
    for index in 0..count {
        let element = read_element(head, &mut octets);
        list.push(element.map_err(|error| error.within("topics", index))?);
    }
    octets.end()?;
    Ok(list)
}

fn read_element(head: Head, octets: &mut Octets<'_>) -> Result<Wanted, CommandError> {
    let form = octets.octet("since")?;
    let target = TopicOrPattern::parse(octets.short("topic")?)?;
    Wanted::new(target, read_since(form, octets)?, head.has(SNAPSHOT))
}

/// Appends a `subscribe`.
pub(super) fn write_subscribe(
    wanted: &[Wanted],
    overflow: Option<OverflowPolicy>,
    snapshot: bool,
    id: Option<&CommandId>,
    out: &mut Vec<u8>,
) {
    let overflow_flag = if overflow.is_some() { HAS_OVERFLOW } else { 0 };
    let snapshot_flag = if snapshot { SNAPSHOT } else { 0 };
    let form = match wanted {
        [Wanted { since, .. }] => since_flag(since.as_ref()),
        _ => IS_LIST,
    };
    out.extend_from_slice(&[types::SUBSCRIBE, id_flag(id) | form | overflow_flag | snapshot_flag]);
    write_id(out, id);
    out.extend(overflow.map(overflow_number));
    if let [Wanted { target, since }] = wanted {
        write_short(out, target.as_str());
        return write_since(out, since.as_ref());
    }
    out.extend_from_slice(&(wanted.len() as u32).to_be_bytes());
    for Wanted { target, since } in wanted {
        out.push(since_number(since.as_ref()));
        write_short(out, target.as_str());
        write_since(out, since.as_ref());
    }
}

const fn overflow_number(policy: OverflowPolicy) -> u8 {
    match policy {
        OverflowPolicy::Gap => 0,
        OverflowPolicy::Conflate => 1,
        OverflowPolicy::Disconnect => 2,
    }
}

/// The form of where to begin, as flags.
pub(super) const fn since_flag(since: Option<&Since>) -> u8 {
    since_number(since) << SINCE_SHIFT
}

const fn since_number(since: Option<&Since>) -> u8 {
    match since {
        None => SINCE_NOW,
        Some(Since::Earliest) => SINCE_EARLIEST,
        Some(Since::Position(_)) => SINCE_POSITION,
    }
}

pub(super) fn write_since(out: &mut Vec<u8>, since: Option<&Since>) {
    if let Some(Since::Position(position)) = since {
        write_u64(out, position.offset);
        write_short(out, &position.epoch);
    }
}
