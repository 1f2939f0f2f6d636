//! The client's side of the handshake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::{EMPTY_HEADER, Status};

use super::{KEY_BYTES, KEY_CHARACTERS, accept_of};
use crate::deflate::{self, DeflateParams};
use crate::error::ResponseError;
use crate::http::Headers;
use crate::limits::{MAX_HEAD_BYTES, MAX_HEADERS};

/// A request to open a WebSocket, and the check of the response to it (RFC 6455 §4.1).
///
/// The caller must have made sure that no field has a control character in it.
#[derive(Clone, Debug)]
pub struct ClientHandshake<'a> {
    key: [u8; KEY_CHARACTERS],
    /// The host, with its port if that is not the usual one.
    pub host: &'a str,
    /// Path and query, percent-encoded.
    pub target: &'a str,
    /// The subprotocols to offer, the best first.
    pub protocols: &'a [&'a str],
    /// Whether to offer compression.
    pub offer_deflate: bool,
    /// Further header fields.
    pub headers: &'a [(&'a str, &'a str)],
}

/// A response that opens a WebSocket.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// How many octets the response has; frames follow.
    pub length: usize,
    /// The subprotocol that the server chose.
    pub protocol: Option<&'a str>,
    /// The compression that the server agreed to.
    pub deflate: Option<DeflateParams>,
    /// All header fields.
    pub headers: Headers<'a>,
}

impl<'a> ClientHandshake<'a> {
    /// A handshake that offers nothing yet. The key must be random, and new for each connection.
    pub fn new(key: [u8; KEY_BYTES], host: &'a str, target: &'a str) -> Self {
        let mut characters = [0; KEY_CHARACTERS];
        STANDARD.encode_slice(key, &mut characters).expect("16 octets are 24 characters");
        Self { key: characters, host, target, protocols: &[], offer_deflate: false, headers: &[] }
    }

    /// Writes the request.
    pub fn write_request(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        write_field(out, "Host", self.host.as_bytes());
        write_field(out, "Upgrade", b"websocket");
        write_field(out, "Connection", b"Upgrade");
        write_field(out, "Sec-WebSocket-Version", b"13");
        write_field(out, "Sec-WebSocket-Key", &self.key);
        if !self.protocols.is_empty() {
            write_field(out, "Sec-WebSocket-Protocol", self.protocols.join(", ").as_bytes());
        }
        if self.offer_deflate {
            write_field(out, "Sec-WebSocket-Extensions", deflate::OFFER.as_bytes());
        }
        for (name, value) in self.headers {
            write_field(out, name, value.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Checks the response at the front of `input`; none if more octets are needed.
    pub fn check_response<'i>(&self, input: &'i [u8]) -> Result<Option<Accepted<'i>>, ResponseError> {
        let head = input.get(..MAX_HEAD_BYTES).unwrap_or(input);
        let mut fields = [EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        let Status::Complete(length) = parsed.parse(head).map_err(response_error)? else {
            return if head.len() < MAX_HEAD_BYTES { Ok(None) } else { Err(ResponseError::HeadTooLarge) };
        };
        match parsed.code {
            Some(101) => {}
            Some(status) => return Err(ResponseError::Refused { status }),
            None => return Err(ResponseError::Malformed),
        }
        let headers = Headers::new(parsed.headers);
        self.check_upgrade(&headers)?;
        let protocol = self.chosen_protocol(&headers)?;
        let deflate = self.agreed_deflate(&headers)?;
        Ok(Some(Accepted { length, protocol, deflate, headers }))
    }

    fn check_upgrade(&self, headers: &Headers<'_>) -> Result<(), ResponseError> {
        if !headers.has_token("Upgrade", "websocket") || !headers.has_token("Connection", "upgrade") {
            return Err(ResponseError::NotUpgrade);
        }
        if !headers.octets("Sec-WebSocket-Accept").eq([accept_of(&self.key)]) {
            return Err(ResponseError::WrongAccept);
        }
        Ok(())
    }

    fn chosen_protocol<'i>(&self, headers: &Headers<'i>) -> Result<Option<&'i str>, ResponseError> {
        let mut chosen = headers.all("Sec-WebSocket-Protocol");
        match (chosen.next(), chosen.next()) {
            (None, _) => Ok(None),
            (Some(protocol), None) if self.protocols.contains(&protocol) => Ok(Some(protocol)),
            _ => Err(ResponseError::UnofferedProtocol),
        }
    }

    fn agreed_deflate(&self, headers: &Headers<'_>) -> Result<Option<DeflateParams>, ResponseError> {
        let mut extensions = headers.elements("Sec-WebSocket-Extensions");
        match (extensions.next(), extensions.next()) {
            (None, _) => Ok(None),
            (Some(extension), None) if self.offer_deflate => {
                DeflateParams::from_response(extension).map(Some).ok_or(ResponseError::UnofferedExtension)
            }
            _ => Err(ResponseError::UnofferedExtension),
        }
    }
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn response_error(error: httparse::Error) -> ResponseError {
    match error {
        httparse::Error::TooManyHeaders => ResponseError::HeadTooLarge,
        httparse::Error::HeaderName
        | httparse::Error::HeaderValue
        | httparse::Error::NewLine
        | httparse::Error::Status
        | httparse::Error::Token
        | httparse::Error::Version => ResponseError::Malformed,
    }
}
