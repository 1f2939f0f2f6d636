//! Batches, and what became of their messages, in octets.

use std::iter;

use super::octets::{Octets, write_long, write_short, write_u64};
use super::publication::{HAS_KEY, HAS_MORE_FLAGS, MoreFlags, read_publication, write_publication};
use super::{Head, What, error_code, payload_kind, valid_offset};
use crate::command::{BAD_BATCH, Publication};
use crate::error::{CommandError, LayoutError};
use crate::limits::{MAX_BATCH_MESSAGES, MAX_MAX_MESSAGE_BYTES};
use crate::notification::{BatchResult, BatchResults, Refusal};

/// The messages of a batch, each with its length in front. One that is wrong leaves the others as they are.
pub(super) fn read_messages(
    mut octets: Octets<'_>,
) -> Result<Vec<Result<Publication<'_>, CommandError>>, CommandError> {
    let mut messages = Vec::new();
    while !octets.is_empty() {
        if messages.len() == MAX_BATCH_MESSAGES {
            return Err(CommandError::BatchTooLarge { limit: MAX_BATCH_MESSAGES });
        }
        let length = octets.u32("messages")? as usize;
        messages.push(read_message(Octets::new(octets.take(length, "messages")?)));
    }
    if messages.is_empty() { Err(BAD_BATCH) } else { Ok(messages) }
}

/// A publish without what is said of the whole batch.
fn read_message(mut octets: Octets<'_>) -> Result<Publication<'_>, CommandError> {
    let head = Head::read(&mut octets)?;
    let What::Payload(kind) = head.what else {
        return Err(LayoutError::NotPublish.into());
    };
    let more = MoreFlags::read(head, &mut octets)?;
    head.allow(HAS_KEY | HAS_MORE_FLAGS)?;
    more.check()?;
    let topic = octets.short("topic")?;
    read_publication((head, more, payload_kind(kind)?), topic, octets)
}

/// Appends the messages. One that could not be read cannot be written, and is left out.
pub(super) fn write_messages(messages: &[Result<Publication<'_>, CommandError>], out: &mut Vec<u8>) {
    for publication in messages.iter().flatten() {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        write_publication(publication, None, 0, out);
        let length = out.len() - start - 4;
        out[start..start + 4].copy_from_slice(&(length as u32).to_be_bytes());
    }
}

const _: () = assert!(MAX_MAX_MESSAGE_BYTES < u32::MAX as usize);

/// How a result begins.
const PUBLISHED: u8 = 0;
const REFUSED: u8 = 1;

/// Each result, until the octets end or are wrong.
pub(crate) fn read_results(octets: &[u8]) -> impl Iterator<Item = Result<BatchResult<'_>, LayoutError>> {
    let mut octets = Octets::new(octets);
    iter::from_fn(move || (!octets.is_empty()).then(|| read_result(&mut octets)))
}

fn read_result<'a>(octets: &mut Octets<'a>) -> Result<BatchResult<'a>, LayoutError> {
    match octets.octet("result")? {
        PUBLISHED => valid_offset(octets.u64("offset")?).map(Ok),
        REFUSED => {
            let code = error_code(octets.short("code")?)?;
            Ok(Err(Refusal { code, message: octets.long("message")? }))
        }
        _ => Err(LayoutError::BadField { field: "result" }),
    }
}

/// The results, which go to the end of the message, if they are.
pub(super) fn good_results(octets: Octets<'_>) -> Result<BatchResults<'_>, LayoutError> {
    let octets = octets.payload();
    read_results(octets).try_for_each(|result| result.map(drop))?;
    Ok(BatchResults::of_good_octets(octets))
}

pub(super) fn write_results(results: BatchResults<'_>, out: &mut Vec<u8>) {
    for result in results.iter() {
        match result {
            Ok(offset) => {
                out.push(PUBLISHED);
                write_u64(out, offset);
            }
            Err(Refusal { code, message }) => {
                out.push(REFUSED);
                write_short(out, code.as_str());
                write_long(out, message);
            }
        }
    }
}
