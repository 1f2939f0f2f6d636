//! What can be wrong on the wire, and who is to blame.
//!
//! Every error here is the peer's fault. Each type is a closed enum with one total match to the code
//! that the peer is told: a close code, an HTTP status, or the `code` of an `error` notification.

mod code;
mod command;
mod http;
mod layout;
mod protocol;

pub use code::ErrorCode;
pub use command::{CommandError, PayloadError, TopicError};
pub use http::{HandshakeError, RequestError, ResponseError};
pub use layout::LayoutError;
pub use protocol::ProtocolError;
