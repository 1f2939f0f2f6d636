//! The upgrade to WebSocket (RFC 6455 §4), in both roles.
//!
//! The server's role is [`Upgrade`]: it is made from a request that opens a WebSocket, or the request is answered with
//! [`write_rejection`]. The client's role is [`ClientHandshake`].

mod client;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use sha1::{Digest as _, Sha1};

pub use self::client::{Accepted, ClientHandshake};
use crate::deflate::{self, DeflateParams};
use crate::error::HandshakeError;
use crate::http::{BodyLength, Method, Request, ResponseHead, Status, Version, write_error};

/// What a key is joined with before it is hashed (RFC 6455 §1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Octets of a key before base64, and after.
const KEY_BYTES: usize = 16;
const KEY_CHARACTERS: usize = KEY_BYTES.div_ceil(3) * 4;

/// Characters of an accept: 20 octets of SHA-1 in base64.
const ACCEPT_CHARACTERS: usize = 28;

/// Base64 as a key has it: with padding, but clients that make up 22 random characters set bits that mean nothing.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// What `Sec-WebSocket-Accept` answers to `key`, which must be 16 octets in base64 (RFC 6455 §4.2.2).
pub fn accept_key(key: &str) -> Result<[u8; ACCEPT_CHARACTERS], HandshakeError> {
    // The decoder wants room for three octets per four characters, padding or not.
    let mut decoded = [0; KEY_CHARACTERS / 4 * 3];
    if KEY_BASE64.decode_slice(key, &mut decoded) != Ok(KEY_BYTES) {
        return Err(HandshakeError::BadKey);
    }
    Ok(accept_of(key.as_bytes()))
}

fn accept_of(key: &[u8]) -> [u8; ACCEPT_CHARACTERS] {
    let digest = Sha1::new_with_prefix(key).chain_update(ACCEPT_GUID).finalize();
    let mut accept = [0; ACCEPT_CHARACTERS];
    STANDARD.encode_slice(digest, &mut accept).expect("20 octets are 28 characters");
    accept
}

/// Whether a request means to open a WebSocket, be it well or badly: its `Upgrade` says so, or it has a key of the
/// draft.
pub fn is_upgrade(request: &Request<'_>) -> bool {
    request.headers().has_token("Upgrade", "websocket") || is_draft(request)
}

fn is_draft(request: &Request<'_>) -> bool {
    ["Sec-WebSocket-Key1", "Sec-WebSocket-Key2"].into_iter().any(|name| request.header(name).is_some())
}

/// A request that opens a WebSocket, checked.
#[derive(Clone, Debug)]
pub struct Upgrade<'a> {
    accept: [u8; ACCEPT_CHARACTERS],
    protocols: Vec<&'a str>,
    deflate: Option<DeflateParams>,
}

impl<'a> Upgrade<'a> {
    /// Checks the request as RFC 6455 §4.2.1 says.
    pub fn from_request(request: &Request<'a>) -> Result<Self, HandshakeError> {
        check_request(request)?;
        let headers = request.headers();
        Ok(Self {
            accept: accept_key(single_key(request)?)?,
            protocols: headers.elements("Sec-WebSocket-Protocol").collect(),
            deflate: deflate::negotiate(headers.all("Sec-WebSocket-Extensions")),
        })
    }

    /// Whether the client offers this subprotocol.
    pub fn offers(&self, protocol: &str) -> bool {
        self.protocols.contains(&protocol)
    }

    /// The subprotocols that the client offers, the one that it likes best first.
    pub fn protocols(&self) -> &[&'a str] {
        &self.protocols
    }

    /// The compression that the broker can agree to, if the client offers any.
    pub const fn deflate(&self) -> Option<DeflateParams> {
        self.deflate
    }

    /// The same without the offered subprotocols, which are not needed once one is chosen: for a response that must wait.
    #[must_use]
    pub fn into_accepted(self) -> Upgrade<'static> {
        Upgrade { accept: self.accept, protocols: Vec::new(), deflate: self.deflate }
    }

    /// Writes the response that opens the WebSocket, with the chosen subprotocol and compression (RFC 6455 §4.2.2).
    pub fn write_response(
        &self,
        protocol: Option<&str>,
        deflate: Option<DeflateParams>,
        extra_headers: &[(&str, &str)],
        out: &mut Vec<u8>,
    ) {
        let mut head = ResponseHead::begin(out, Status::SwitchingProtocols)
            .header("Upgrade", "websocket")
            .header("Connection", "Upgrade")
            .header("Sec-WebSocket-Accept", self.accept);
        if let Some(protocol) = protocol {
            head = head.header("Sec-WebSocket-Protocol", protocol);
        }
        if let Some(deflate) = deflate {
            let mut extension = Vec::new();
            deflate.write_response(&mut extension);
            head = head.header("Sec-WebSocket-Extensions", extension);
        }
        for (name, value) in extra_headers {
            head = head.header(name, value);
        }
        head.end();
    }
}

/// Writes the whole response to a request that does not open a WebSocket, which says what is wrong and ends the
/// connection. A 426 names the version and the protocol to upgrade to (RFC 6455 §4.4, RFC 9110 §15.5.22).
pub fn write_rejection(error: HandshakeError, out: &mut Vec<u8>) {
    let headers: &[(&str, &str)] = match error.status() {
        Status::UpgradeRequired => {
            &[("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        }
        Status::MethodNotAllowed => &[("Allow", "GET")],
        _ => &[],
    };
    write_error(out, error.status(), headers, error);
}

/// Everything but the key. What is most wrong is told first: a client of the draft has no version either.
fn check_request(request: &Request<'_>) -> Result<(), HandshakeError> {
    let headers = request.headers();
    if is_draft(request) {
        return Err(HandshakeError::Draft);
    }
    if !headers.has_token("Upgrade", "websocket") {
        return Err(HandshakeError::NotUpgrade);
    }
    if request.method() != Method::Get {
        return Err(HandshakeError::NotGet);
    }
    if request.version() == Version::Http10 {
        return Err(HandshakeError::Http10);
    }
    if !headers.has_token("Connection", "upgrade") {
        return Err(HandshakeError::NotConnectionUpgrade);
    }
    if !headers.octets("Sec-WebSocket-Version").eq([b"13"]) {
        return Err(HandshakeError::WrongVersion);
    }
    match request.body() {
        BodyLength::None | BodyLength::Length(0) => Ok(()),
        BodyLength::Length(_) | BodyLength::Chunked => Err(HandshakeError::Body),
    }
}

fn single_key<'a>(request: &Request<'a>) -> Result<&'a str, HandshakeError> {
    let mut keys = request.headers().octets("Sec-WebSocket-Key");
    let key = keys.next().ok_or(HandshakeError::MissingKey)?;
    if keys.next().is_some() {
        return Err(HandshakeError::RepeatedKey);
    }
    str::from_utf8(key).map_err(|_| HandshakeError::BadKey)
}

#[cfg(test)]
mod tests;
