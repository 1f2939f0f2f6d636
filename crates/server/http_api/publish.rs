//! Publishing over HTTP: one message, whose payload is the body, or many in a body.

use std::sync::Arc;

use bytes::Bytes;
use fanwire_broker::batches::{Outcome, as_result};
use fanwire_broker::message::{Conditions, Draft};
use fanwire_broker::shard::{Drafts, drafts_of};
use fanwire_wire::command::{Position, check_length, kind_of_content_type, parse_batch, parse_position};
use fanwire_wire::error::{CommandError, ErrorCode, PayloadError};
use fanwire_wire::http::{Request, Status};
use fanwire_wire::limits::{MAX_CONTENT_TYPE_BYTES, MAX_KEY_BYTES, MAX_MESSAGE_ID_BYTES};
use fanwire_wire::notification::{BatchResult, BatchResults};
use fanwire_wire::topic::Topic;

use super::response::JSON;
use super::{Response, bad_input};

const KEY: &str = "Fanwire-Key";
const MESSAGE_ID: &str = "Fanwire-Message-Id";
const EXPECT: &str = "Fanwire-Expect";

/// The message that a request's head says its body is, which is still to come.
pub(super) fn draft(request: &Request<'_>, topic: Topic) -> Result<Box<Draft>, Response> {
    let content_type = request.header("Content-Type");
    let kind = kind_of_content_type(content_type);
    // What the kind says of itself need not be kept with every message.
    let says_more = |name: &&str| *name != kind.content_type() && name.len() <= MAX_CONTENT_TYPE_BYTES;
    let content_type = content_type.filter(says_more).map(Box::from);
    let key = name(request, KEY, MAX_KEY_BYTES)?.map(Box::from);
    let message_id = name(request, MESSAGE_ID, MAX_MESSAGE_ID_BYTES)?.map(Arc::from);
    let conditions = Conditions { message_id, expect: expect(request)? }.boxed();
    Ok(Box::new(Draft { topic, key, kind, content_type, payload: Bytes::new(), echo: true, conditions }))
}

fn name<'a>(request: &Request<'a>, field: &'static str, limit: usize) -> Result<Option<&'a str>, Response> {
    let name = sole(request, field)?;
    if let Some(name) = name {
        check_length(field, name, limit).map_err(|error| bad_command(&error))?;
    }
    Ok(name)
}

fn expect(request: &Request<'_>) -> Result<Option<Position>, Response> {
    const BAD_EXPECT: CommandError = CommandError::BadField {
        field: EXPECT,
        expected: "EPOCH:OFFSET: those of the message that you take for the topic's latest",
    };
    let position = sole(request, EXPECT)?.map(parse_position).transpose();
    position.map_err(|_| bad_command(&BAD_EXPECT))
}

/// The value of a header field that there is one of at most. What a publish depends on is not guessed at.
fn sole<'a>(request: &Request<'a>, field: &'static str) -> Result<Option<&'a str>, Response> {
    let mut values = request.headers().octets(field).map(str::from_utf8);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Ok(value)), None) => Ok(Some(value)),
        (Some(Err(_)), None) => Err(bad_command(&CommandError::BadField { field, expected: "UTF-8" })),
        (Some(_), Some(_)) => Err(bad_command(&CommandError::DuplicateField(field))),
    }
}

fn bad_command(error: &CommandError) -> Response {
    bad_input(error.code(), &error.to_string())
}

/// Nothing, or the answer to a batch whose head says what each of its messages says for itself. Who names a batch as a
/// message is named takes it for safe to repeat, which it is not.
pub(super) fn said_of_batch(request: &Request<'_>) -> Result<(), Response> {
    match [KEY, MESSAGE_ID, EXPECT].into_iter().find(|field| request.headers().octets(field).next().is_some())
    {
        None => Ok(()),
        Some(field) => {
            let expected = "left out of a batch, whose messages each have their own in the body";
            Err(bad_command(&CommandError::BadField { field, expected }))
        }
    }
}

/// The messages in the body of a batch, at most `limit`, and whether it is atomic.
pub(crate) fn batch_in(body: &[u8], limit: usize) -> Result<(Drafts, bool), Response> {
    let text = str::from_utf8(body)
        .map_err(|error| bad_input(ErrorCode::BadJson, &format!("the body is not UTF-8: {error}")))?;
    let (messages, atomic) = parse_batch(text).map_err(|error| bad_command(&error))?;
    if messages.len() > limit {
        return Err(bad_command(&CommandError::BatchTooLarge { limit }));
    }
    Ok((drafts_of(messages, true), atomic))
}

/// The answer to a body that is not of the kind that its content type says.
pub(crate) fn bad_payload(error: &PayloadError) -> Response {
    bad_input(error.code(), &error.to_string())
}

/// The answer to a publish.
pub(crate) fn published(epoch: &str, offset: u64) -> Response {
    // An epoch is hexadecimal digits: nothing in it needs an escape.
    Response::new(Status::Ok, JSON, format!("{{\"epoch\":\"{epoch}\",\"offset\":{offset}}}\n"))
}

/// The answer to a batch, whatever became of its messages.
pub(crate) fn published_batch(epoch: &str, outcomes: &[Outcome]) -> Response {
    let results: Vec<BatchResult<'_>> = outcomes.iter().map(as_result).collect();
    let mut body = format!("{{\"epoch\":\"{epoch}\",\"results\":").into_bytes();
    BatchResults::from(results.as_slice()).write_json(&mut body);
    body.extend_from_slice(b"}\n");
    Response::new(Status::Ok, JSON, body)
}
