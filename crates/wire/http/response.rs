//! Responses.

use std::fmt::Display;
use std::io::Write as _;

/// The status codes that a broker answers with (RFC 9110 §15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Status {
    /// 100: send the body.
    Continue = 100,
    /// 101: what follows is WebSocket.
    SwitchingProtocols = 101,
    /// 200
    Ok = 200,
    /// 204: there is no message.
    NoContent = 204,
    /// 304: the client has what there is.
    NotModified = 304,
    /// 400: the request cannot be understood.
    BadRequest = 400,
    /// 401: say who you are.
    Unauthorized = 401,
    /// 403: you may not.
    Forbidden = 403,
    /// 404: there is nothing here.
    NotFound = 404,
    /// 405: there is, but not for this method.
    MethodNotAllowed = 405,
    /// 408: the request did not come in time.
    RequestTimeout = 408,
    /// 410: history no longer holds it.
    Gone = 410,
    /// 412: what the client expects is no longer so.
    PreconditionFailed = 412,
    /// 413: the body is too large.
    ContentTooLarge = 413,
    /// 414: the target is too long.
    UriTooLong = 414,
    /// 417: an expectation other than `100-continue`.
    ExpectationFailed = 417,
    /// 421: not for this server, by its `Host` (RFC 9110 §15.5.20).
    MisdirectedRequest = 421,
    /// 426: speak WebSocket, or its right version.
    UpgradeRequired = 426,
    /// 429: too much from this client.
    TooManyRequests = 429,
    /// 431: the head is too large.
    RequestHeaderFieldsTooLarge = 431,
    /// 500: the broker is broken.
    InternalServerError = 500,
    /// 501: a transfer encoding that is not known.
    NotImplemented = 501,
    /// 503: not now.
    ServiceUnavailable = 503,
    /// 505: neither HTTP/1.0 nor HTTP/1.1.
    HttpVersionNotSupported = 505,
}

impl Status {
    /// The three digits.
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The reason phrase.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Continue => "Continue",
            Self::SwitchingProtocols => "Switching Protocols",
            Self::Ok => "OK",
            Self::NoContent => "No Content",
            Self::NotModified => "Not Modified",
            Self::BadRequest => "Bad Request",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request Timeout",
            Self::Gone => "Gone",
            Self::PreconditionFailed => "Precondition Failed",
            Self::ContentTooLarge => "Content Too Large",
            Self::UriTooLong => "URI Too Long",
            Self::ExpectationFailed => "Expectation Failed",
            Self::MisdirectedRequest => "Misdirected Request",
            Self::UpgradeRequired => "Upgrade Required",
            Self::TooManyRequests => "Too Many Requests",
            Self::RequestHeaderFieldsTooLarge => "Request Header Fields Too Large",
            Self::InternalServerError => "Internal Server Error",
            Self::NotImplemented => "Not Implemented",
            Self::ServiceUnavailable => "Service Unavailable",
            Self::HttpVersionNotSupported => "HTTP Version Not Supported",
        }
    }
}

/// Writes the head of a response: the status line, then field by field, then [`end`](Self::end).
///
/// ```
/// use fanwire_wire::http::{ResponseHead, Status};
///
/// let mut out = Vec::new();
/// ResponseHead::begin(&mut out, Status::Ok).header("Content-Type", "text/plain").content_length(5).end();
/// out.extend_from_slice(b"hello");
/// assert_eq!(out, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
/// ```
#[must_use = "a head needs its end"]
#[derive(Debug)]
pub struct ResponseHead<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> ResponseHead<'o> {
    /// Writes the status line.
    pub fn begin(out: &'o mut Vec<u8>, status: Status) -> Self {
        out.extend_from_slice(b"HTTP/1.1 ");
        let head = Self { out };
        head.display(status.code()).text(b" ").text(status.reason().as_bytes()).text(b"\r\n")
    }

    /// Writes a header field. Control characters in `value` become spaces: no value can begin a field or end the head.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out.extend(value.as_ref().iter().map(|&byte| if byte.is_ascii_control() { b' ' } else { byte }));
        self.text(b"\r\n")
    }

    /// Writes how many octets of body follow.
    pub fn content_length(self, length: usize) -> Self {
        self.text(b"Content-Length: ").display(length).text(b"\r\n")
    }

    /// Writes whether the connection takes another request.
    pub fn keep_alive(self, keep_alive: bool) -> Self {
        self.header("Connection", if keep_alive { "keep-alive" } else { "close" })
    }

    /// Writes the empty line after the last field.
    pub fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }

    fn text(self, text: &[u8]) -> Self {
        self.out.extend_from_slice(text);
        self
    }

    fn display(self, value: impl Display) -> Self {
        write!(self.out, "{value}").expect("writing to memory does not fail");
        self
    }
}

/// Writes a whole response that says in a line of plain text what is wrong, and ends the connection.
pub fn write_error(out: &mut Vec<u8>, status: Status, headers: &[(&str, &str)], message: impl Display) {
    let body = format!("{message}\n");
    let mut head = ResponseHead::begin(out, status);
    for (name, value) in headers {
        head = head.header(name, value);
    }
    head.header("Content-Type", "text/plain; charset=utf-8")
        .content_length(body.len())
        .keep_alive(false)
        .end();
    out.extend_from_slice(body.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_in_plain_text_what_is_wrong() {
        let mut out = Vec::new();
        write_error(&mut out, Status::MethodNotAllowed, &[("Allow", "GET")], "use GET");
        let expected = "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\nContent-Type: text/plain; charset=utf-8\r\n\
                        Content-Length: 8\r\nConnection: close\r\n\r\nuse GET\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_header_value_cannot_split_the_response() {
        let mut out = Vec::new();
        ResponseHead::begin(&mut out, Status::NoContent)
            .header("X", "a\r\nSet-Cookie: b\0")
            .keep_alive(true)
            .end();
        assert_eq!(out, b"HTTP/1.1 204 No Content\r\nX: a  Set-Cookie: b \r\nConnection: keep-alive\r\n\r\n");
    }
}
