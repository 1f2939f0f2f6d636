//! The head of a request.

use std::fmt;

use httparse::{EMPTY_HEADER, Status};

use super::{BodyLength, Headers};
use crate::error::RequestError;
use crate::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

/// The methods that mean something to a broker (RFC 9110 §9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// OPTIONS
    Options,
    /// Any other token.
    Other,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Options => "OPTIONS",
            Self::Other => "another method",
        })
    }
}

/// The versions that a request can have here; others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The head of one request, borrowed from the octets that it came in, and checked: its body has one length, and an
/// HTTP/1.1 request names one host.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    method: Method,
    path: &'a str,
    query: Option<&'a str>,
    version: Version,
    headers: Headers<'a>,
    body: BodyLength,
}

impl<'a> Request<'a> {
    /// The method.
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The path as it came, still percent-encoded. It begins with `/`, except in `OPTIONS *`.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// What follows the `?`, still percent-encoded.
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The version.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The header fields.
    pub const fn headers(&self) -> &Headers<'a> {
        &self.headers
    }

    /// The first header field of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.first(name)
    }

    /// How the end of the body is found.
    pub const fn body(&self) -> BodyLength {
        self.body
    }

    /// Whether the client wants to send another request on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        match self.version {
            Version::Http11 => !self.headers.has_token("Connection", "close"),
            Version::Http10 => self.headers.has_token("Connection", "keep-alive"),
        }
    }

    /// Whether the client waits for a `100 Continue` before it sends the body (RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.version == Version::Http11 && self.headers.has_token("Expect", "100-continue")
    }
}

/// Reads the head of a request from the front of `input`: the request and the length of its head in octets, or none if
/// more octets are needed.
///
/// A head that is wrong, or has more than [`MAX_HEAD_BYTES`], fails as soon as that shows.
pub fn parse_request(input: &[u8]) -> Result<Option<(Request<'_>, usize)>, RequestError> {
    parse_request_within(input, MAX_HEAD_BYTES)
}

/// The same with a bound of `max_head` octets.
pub fn parse_request_within(
    input: &[u8],
    max_head: usize,
) -> Result<Option<(Request<'_>, usize)>, RequestError> {
    const TLS_HANDSHAKE: u8 = 0x16;
    if input.first() == Some(&TLS_HANDSHAKE) {
        return Err(RequestError::TlsHandshake);
    }
    let head = input.get(..max_head).unwrap_or(input);
    let line_feed = bare_line_feed(head);
    let mut fields = [EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(&head[..line_feed.unwrap_or(head.len())]).map_err(request_error)? {
        Status::Complete(length) => Ok(Some((checked(&parsed)?, length))),
        Status::Partial if line_feed.is_some() => Err(RequestError::BadLineEnd),
        Status::Partial if head.len() < max_head => Ok(None),
        Status::Partial => Err(too_large(head)),
    }
}

/// Where the first LF is that no CR stands in front of. A recipient may take it for the end of a line (RFC 9112 §2.2), and
/// what one takes for that and another does not is where requests are smuggled. Behind the head it is one of a body.
fn bare_line_feed(input: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', input).find(|&at| at == 0 || input[at - 1] != b'\r')
}

fn request_error(error: httparse::Error) -> RequestError {
    match error {
        httparse::Error::HeaderName => RequestError::BadHeaderName,
        httparse::Error::HeaderValue => RequestError::BadHeaderValue,
        httparse::Error::NewLine => RequestError::BadLineEnd,
        httparse::Error::TooManyHeaders => RequestError::TooManyHeaders,
        httparse::Error::Version => RequestError::BadVersion,
        httparse::Error::Token | httparse::Error::Status => RequestError::BadRequestLine,
    }
}

/// What is too large about a head that is not complete: the target, if not even the first line is.
fn too_large(head: &[u8]) -> RequestError {
    if head.trim_ascii_start().contains(&b'\n') {
        RequestError::HeadTooLarge { limit: head.len() }
    } else {
        RequestError::TargetTooLong { limit: head.len() }
    }
}

fn checked<'a>(parsed: &httparse::Request<'_, 'a>) -> Result<Request<'a>, RequestError> {
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(RequestError::BadRequestLine);
    };
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "OPTIONS" => Method::Options,
        _ => Method::Other,
    };
    let version = if version == 0 { Version::Http10 } else { Version::Http11 };
    let (path, query) = split_target(method, target)?;
    let headers = Headers::new(parsed.headers);
    check_host(version, &headers)?;
    check_expectation(&headers)?;
    let body = body_length(version, &headers)?;
    Ok(Request { method, path, query, version, headers, body })
}

/// Path and query of a target in origin form, absolute form or asterisk form (RFC 9112 §3.2).
fn split_target(method: Method, target: &str) -> Result<(&str, Option<&str>), RequestError> {
    if target == "*" && method == Method::Options {
        return Ok((target, None));
    }
    if target.contains('#') {
        return Err(RequestError::BadTarget);
    }
    let origin = if target.starts_with('/') {
        target
    } else {
        let (scheme, after) = target.split_once("://").ok_or(RequestError::BadTarget)?;
        if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return Err(RequestError::BadTarget);
        }
        after.find(['/', '?']).map_or("/", |end_of_host| &after[end_of_host..])
    };
    let (path, query) = origin.split_once('?').map_or((origin, None), |(path, query)| (path, Some(query)));
    Ok((if path.is_empty() { "/" } else { path }, query))
}

/// An HTTP/1.1 request has exactly one `Host` (RFC 9112 §3.2), an older one at most one.
fn check_host(version: Version, headers: &Headers<'_>) -> Result<(), RequestError> {
    match (headers.octets("Host").count(), version) {
        (1, _) | (0, Version::Http10) => Ok(()),
        _ => Err(RequestError::BadHost),
    }
}

fn check_expectation(headers: &Headers<'_>) -> Result<(), RequestError> {
    let known = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if headers.octets("Expect").all(known) { Ok(()) } else { Err(RequestError::UnknownExpectation) }
}

/// How the body ends (RFC 9112 §6.3), if that can be read in one way only.
fn body_length(version: Version, headers: &Headers<'_>) -> Result<BodyLength, RequestError> {
    let length = content_length(headers)?;
    let mut encodings = headers.octets("Transfer-Encoding");
    let Some(encoding) = encodings.next() else {
        return Ok(length.map_or(BodyLength::None, BodyLength::Length));
    };
    if length.is_some() {
        return Err(RequestError::ConflictingLength);
    }
    if version == Version::Http10 {
        return Err(RequestError::TransferEncodingInHttp10);
    }
    if encodings.next().is_some() || !encoding.eq_ignore_ascii_case(b"chunked") {
        return Err(RequestError::UnknownTransferEncoding);
    }
    Ok(BodyLength::Chunked)
}

/// The one `Content-Length`; the same one may be repeated (RFC 9110 §8.6).
fn content_length(headers: &Headers<'_>) -> Result<Option<u64>, RequestError> {
    let mut length = None;
    for element in headers.octets("Content-Length").flat_map(|value| value.split(|byte| *byte == b',')) {
        let digits = element.trim_ascii();
        if !digits.iter().all(u8::is_ascii_digit) {
            return Err(RequestError::BadContentLength);
        }
        let this = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let this: u64 = this.ok_or(RequestError::BadContentLength)?;
        if *length.get_or_insert(this) != this {
            return Err(RequestError::ConflictingLength);
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
