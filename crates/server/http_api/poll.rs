//! Reading a topic over HTTP: its latest message, or a poll for what follows a position.

use fanwire_broker::lanes::Start;
use fanwire_broker::message::DeliveredAs;
use fanwire_broker::topic_table::{Latest, Polled};
use fanwire_wire::http::{Request, Status, query_parameter};
use fanwire_wire::limits::MAX_POLL_WAIT_MS;
use fanwire_wire::notification::Notification;
use fanwire_wire::topic::Topic;

use super::position::{Known, entity_tag, known_position, start_in_query};
use super::response::JSON;
use super::{Call, Response, bad_query, bad_request};
use crate::config::Period;

/// What a poll asks for.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) topic: Topic,
    pub(crate) start: Start,
    /// How long to wait for something, in milliseconds, where there is nothing.
    pub(crate) wait_ms: Option<u64>,
    /// What the client has already.
    pub(crate) known: Known,
}

/// Asks for what the query says, or for the latest message. A client that has a position already goes on from there,
/// whatever its query says: so one URL serves for all polls.
pub(super) fn latest_or_poll(request: &Request<'_>, topic: Topic, epoch: &str) -> Call {
    let known = Known::of(request, epoch);
    match options(request.query().unwrap_or_default()) {
        Err(response) => response.into(),
        Ok((None, None)) => Call::Latest(topic, known),
        Ok((start, wait_ms)) => {
            let start = known_position(request).map(Start::After).or(start).unwrap_or(Start::Now);
            Call::Poll(Box::new(Poll { topic, start, wait_ms, known }))
        }
    }
}

/// Where a poll starts, and how long it waits, if the query says so.
fn options(query: &str) -> Result<(Option<Start>, Option<u64>), Response> {
    let start = start_in_query(query)?;
    let Some(wait) = query_parameter(query, "wait").map_err(|error| bad_request(&error))? else {
        return Ok((start, None));
    };
    let most = Period(MAX_POLL_WAIT_MS);
    match wait.parse() {
        Ok(wait @ Period(wait_ms)) if wait <= most => Ok((start, Some(wait_ms))),
        Ok(wait) => Err(bad_query(&format!("wait is {wait}, and may be up to {most}"))),
        Err(error) => Err(bad_query(&format!("wait: {error}"))),
    }
}

/// The answer to a request for the latest message.
pub(crate) fn latest(epoch: &str, latest: &Latest, known: &Known) -> Response {
    let Some(message) = &latest.message else {
        let response = Response::error(Status::NotFound, "not_found", "the topic has no message");
        return response.at(epoch, latest.offset);
    };
    let response = if known.has(message.offset) {
        Response::without_content(Status::NotModified)
    } else {
        Response::new(Status::Ok, message.content_type().to_owned(), message.payload.clone())
    };
    // A cache may keep it, asks each time whether it still is the latest, and does not take it for an event stream.
    let tag = entity_tag(epoch, message.offset);
    let response = response.at(epoch, message.offset).with("ETag", tag);
    let response = response.with("Cache-Control", "no-cache").with("Vary", "Accept");
    // What was published may call itself a page. It is not to run as one of this origin, nor to fetch anything: that could tell
    // others the address that it was read at, and a token in it.
    let response = response.with("Content-Security-Policy", "default-src 'none'; sandbox");
    response.with("X-Content-Type-Options", "nosniff")
}

/// The answer to a poll.
pub(crate) fn polled(epoch: &str, topic: &Topic, polled: &Polled, known: &Known) -> Response {
    let response = if !polled.is_empty() {
        // The tag names where the client is then, not what it is told: one that has it may have been told none of this.
        Response::new(Status::Ok, JSON, array(topic, polled))
    } else if known.has(polled.offset) {
        Response::without_content(Status::NotModified)
    } else {
        Response::without_content(Status::NoContent)
    };
    let tag = entity_tag(epoch, polled.offset);
    let response = response.at(epoch, polled.offset).with("ETag", tag).with("Cache-Control", "no-store");
    match polled.recovered {
        Some(recovered) => response.with("Fanwire-Recovered", recovered.to_string()),
        None => response,
    }
}

/// What was found as the notifications of the JSON interface, one on a line.
fn array(topic: &Topic, polled: &Polled) -> Vec<u8> {
    let gap = polled.gap.map(|(from, to)| Notification::Gap { topic, from, to, count: to - from + 1 });
    let messages =
        polled.messages.iter().map(|message| Notification::Message(message.fields(DeliveredAs::NEXT)));
    let mut out = b"[".to_vec();
    for (index, notification) in gap.into_iter().chain(messages).enumerate() {
        out.extend_from_slice(if index == 0 { b"" } else { b",\n" });
        notification.write_json(&mut out);
    }
    out.extend_from_slice(b"]\n");
    out
}
