//! Event streams: a topic as Server-Sent Events.

use fanwire_broker::lanes::Start;
use fanwire_wire::command::parse_position;
use fanwire_wire::error::ErrorCode;
use fanwire_wire::event_stream;
use fanwire_wire::http::{Method, Request, Status};
use fanwire_wire::topic::Topic;

use super::position::start_in_query;
use super::{Call, Response, bad_input};

/// An event stream whose subscription has not begun yet.
#[derive(Debug)]
pub(crate) struct PendingStream {
    pub(crate) topic: Topic,
    pub(crate) start: Start,
}

/// Whether the client would rather have an event stream than anything else.
pub(super) fn is_wanted(request: &Request<'_>) -> bool {
    request.headers().prefers(event_stream::CONTENT_TYPE)
}

/// Opens an event stream, or says how one would begin.
pub(super) fn open(request: &Request<'_>, topic: Topic) -> Call {
    match start_of(request) {
        Err(response) => response.into(),
        Ok(_) if request.method() == Method::Head => head().into(),
        Ok(start) => Call::Stream(Box::new(PendingStream { topic, start })),
    }
}

/// An `EventSource` that connects again says where it was, and sends its first query again: where it was wins.
fn start_of(request: &Request<'_>) -> Result<Start, Response> {
    match request.header("Last-Event-ID").filter(|id| !id.is_empty()) {
        Some(id) => match parse_position(id) {
            Ok(position) => Ok(Start::After(position)),
            Err(_) => Err(bad_input(
                ErrorCode::BadSince,
                "Last-Event-ID must be the id of an event that you have: EPOCH:OFFSET",
            )),
        },
        None => Ok(start_in_query(request.query().unwrap_or_default())?.unwrap_or(Start::Now)),
    }
}

/// What stands in front of the first event, which no proxy is to keep or hold back.
fn head() -> Response {
    Response::endless(Status::Ok, event_stream::CONTENT_TYPE)
        .with("Cache-Control", "no-store")
        .with("X-Accel-Buffering", "no")
}

/// The same, for a stream that begins after this position.
pub(crate) fn stream_head(epoch: &str, offset: u64) -> Response {
    head().at(epoch, offset)
}
