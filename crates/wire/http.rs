//! HTTP/1.1 requests, bodies and responses (RFC 9110, RFC 9112), as far as a broker needs them.
//!
//! What two parsers could read in two ways is refused, so that no proxy in front can be led to see other requests than
//! the broker does: two lengths, a length beside a transfer encoding, folded header fields, a CR without LF.

mod body;
mod headers;
mod query;
mod request;
mod response;

pub use self::body::{BodyDecoder, BodyLength};
pub use self::headers::Headers;
pub use self::query::{percent_decode, query_parameter, query_values};
pub use self::request::{Method, Request, Version, parse_request, parse_request_within};
pub use self::response::{ResponseHead, Status, write_error};
