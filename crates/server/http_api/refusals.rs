//! What requests are answered that are not carried out: which status, which code, and what to do.

use fanwire_broker::batches::Refused;
use fanwire_wire::error::{ErrorCode, RequestError};
use fanwire_wire::http::Status;

use super::{Methods, Reply, Response};
use crate::guard::Refusal;

/// The answer to a method that a path does not take, which takes these.
pub(super) fn method_not_allowed(methods: Methods) -> Response {
    let allow = methods.allow();
    let message = format!("this path takes {allow}");
    Response::error(Status::MethodNotAllowed, "method_not_allowed", &message).with("Allow", allow)
}

/// The answer to a path that is none.
pub(super) fn not_found() -> Response {
    let message = "there is nothing here; topics are at /topics/{topic}, the JSON interface is at /v1/ws";
    Response::error(Status::NotFound, "not_found", message)
}

/// A query parameter that makes no sense.
pub(super) fn bad_query(message: &str) -> Response {
    Response::error(Status::BadRequest, "bad_query", message)
}

/// Input that is wrong in a way that commands can be wrong too.
pub(super) fn bad_input(code: ErrorCode, message: &str) -> Response {
    Response::error(status_of(code), code.as_str(), message)
}

/// The answer to what is not a request, or not one that the broker takes. Nothing can follow it.
pub(crate) fn bad_request(error: &RequestError) -> Response {
    let code = match error {
        RequestError::BodyTooLarge { .. } => ErrorCode::MessageTooBig.as_str(),
        _ => "bad_request",
    };
    Response::error(error.status(), code, &error.to_string())
}

/// The answer to a request that does not become whole in time.
pub(crate) fn request_timeout() -> Vec<u8> {
    let message = "the request took too long to arrive";
    Response::error(Status::RequestTimeout, "request_timeout", message).to_octets(&Reply::to_nonsense())
}

/// The answer to a request that the broker's end finds without one. The client may come back after so long.
pub(crate) fn stopping(retry_after_ms: u64) -> Response {
    let seconds = retry_after_ms.div_ceil(1_000).to_string();
    Response::error(Status::ServiceUnavailable, ErrorCode::Unavailable.as_str(), "the broker is stopping")
        .with("Retry-After", seconds)
}

/// The answer to a request without TLS where TLS is spoken.
pub(crate) fn speaks_tls() -> Vec<u8> {
    let message = "this port speaks TLS: use https:// or wss://";
    Response::error(Status::BadRequest, "tls_required", message).to_octets(&Reply::to_nonsense())
}

/// The answer to a client that sends faster than it may.
pub(crate) fn over_rate(message: &str) -> Response {
    Response::error(Status::TooManyRequests, "over_rate", message).with("Retry-After", "1")
}

/// The answer to a connection that is not let in.
pub(crate) fn turned_down(refusal: Refusal) -> Response {
    let (status, retry_after_s) = match refusal {
        Refusal::Full | Refusal::ShortOfMemory => (Status::ServiceUnavailable, "10"),
        Refusal::TooManyOfAddress => (Status::TooManyRequests, "10"),
        Refusal::TooFast => (Status::TooManyRequests, "1"),
    };
    Response::error(status, refusal.as_str(), &refusal.to_string()).with("Retry-After", retry_after_s)
}

/// The answer to a raw subscriber whose position history no longer holds: it could not be told of the gap.
pub(crate) fn no_longer_held(epoch: &str, offset: u64) -> Response {
    let message = "history no longer holds everything since that position; connect with the position of this answer, or without since";
    Response::error(Status::Gone, "gone", message).at(epoch, offset)
}

/// The answer to what the shard did not do.
pub(crate) fn refused(refused: &Refused) -> Response {
    let response = Response::error(status_of(refused.code), refused.code.as_str(), &refused.message);
    if refused.code == ErrorCode::Unavailable { response.with("Retry-After", "1") } else { response }
}

/// The status that goes with a code.
fn status_of(code: ErrorCode) -> Status {
    match code {
        ErrorCode::BadJson
        | ErrorCode::BadCommand
        | ErrorCode::UnknownCommand
        | ErrorCode::BadTopic
        | ErrorCode::BadSince
        | ErrorCode::BadPayload
        | ErrorCode::BadToken
        | ErrorCode::BinaryUnsupported
        | ErrorCode::TextUnsupported
        | ErrorCode::Overlap
        | ErrorCode::AlreadySubscribed
        | ErrorCode::NotSubscribed
        | ErrorCode::TooManyPatterns
        | ErrorCode::PolicyNotAllowed
        | ErrorCode::NotKept
        | ErrorCode::NotTogether
        | ErrorCode::Aborted
        | ErrorCode::Superseded => Status::BadRequest,
        ErrorCode::MovedOn => Status::PreconditionFailed,
        ErrorCode::BatchTooLarge | ErrorCode::MessageTooBig => Status::ContentTooLarge,
        ErrorCode::Forbidden => Status::Forbidden,
        ErrorCode::TooManySubscriptions | ErrorCode::TooManyTopics | ErrorCode::Unavailable => {
            Status::ServiceUnavailable
        }
    }
}
