//! Requests that open a WebSocket: who will take its messages, and where its subscription starts.

use fanwire_broker::lanes::Start;
use fanwire_wire::deflate::DeflateParams;
use fanwire_wire::handshake::Upgrade;
use fanwire_wire::http::{Request, Status, query_parameter};
use fanwire_wire::topic::Topic;

use super::position::start_in_query;
use super::{Call, Response, bad_query, bad_request};
use crate::auth::TOKEN_PROTOCOL;
use crate::config::Contexts;
use crate::connection::Endpoint;
use crate::site::Site;

/// The subprotocols (RFC 6455 §1.9), as they are registered in `docs/PROTOCOL.md`.
const RAW_PROTOCOL: &str = "fanwire.v1.raw";
const JSON_PROTOCOL: &str = "fanwire.v1.json";
const BINARY_PROTOCOL: &str = "fanwire.v1.binary";

/// A valid handshake that was not answered yet.
#[derive(Debug)]
pub(crate) struct PendingUpgrade {
    upgrade: Upgrade<'static>,
    protocol: Option<&'static str>,
    /// What is agreed on with the client, unless there is no room for the contexts in it.
    pub(crate) deflate: Option<DeflateParams>,
    /// Who will take the connection's messages.
    pub(crate) endpoint: Endpoint,
    /// Where a raw connection's subscription starts.
    pub(crate) start: Start,
}

impl PendingUpgrade {
    fn new(upgrade: Upgrade<'_>, site: &Site, protocol: Option<&'static str>, endpoint: Endpoint) -> Self {
        let offered = upgrade.deflate().filter(|_| site.compression);
        let deflate = match site.contexts {
            Contexts::Shared => offered.map(DeflateParams::without_contexts),
            Contexts::Own => offered,
        };
        Self { upgrade: upgrade.into_accepted(), protocol, deflate, endpoint, start: Start::Now }
    }

    /// The window that what goes out is compressed with, if it is, and by what is shared.
    pub(crate) fn shared_window_bits(&self) -> Option<u8> {
        let shared = self.deflate.filter(|deflate| deflate.server_no_context_takeover);
        shared.map(|deflate| deflate.server_window_bits())
    }

    /// The window that what goes out is compressed with, if it is, and with a context of its own.
    pub(crate) fn own_window_bits(&self) -> Option<u8> {
        let own = self.deflate.filter(|deflate| !deflate.server_no_context_takeover);
        own.map(|deflate| deflate.server_window_bits())
    }

    /// Whether the client may compress what comes in.
    pub(crate) fn is_compressed(&self) -> bool {
        self.deflate.is_some()
    }

    /// The response that opens the WebSocket.
    pub(crate) fn response(&self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut octets = Vec::with_capacity(256);
        self.upgrade.write_response(self.protocol, self.deflate, headers, &mut octets);
        octets
    }
}

/// Opens the raw interface: one topic, each message a frame.
pub(super) fn raw(request: &Request<'_>, topic: Topic, site: &Site) -> Call {
    let upgrade = match Upgrade::from_request(request) {
        Ok(upgrade) => upgrade,
        Err(error) => return error.into(),
    };
    let (echo, start) = match raw_options(request.query().unwrap_or_default()) {
        Ok(options) => options,
        Err(response) => return response.into(),
    };
    let protocol = upgrade.offers(RAW_PROTOCOL).then_some(RAW_PROTOCOL);
    let pending = PendingUpgrade::new(upgrade, site, protocol, Endpoint::Raw { topic, echo });
    Call::Upgrade(Box::new(PendingUpgrade { start, ..pending }))
}

/// Opens the JSON or the binary interface: the first that the client offers, and JSON where it offers nothing.
pub(super) fn commands(request: &Request<'_>, site: &Site) -> Call {
    let upgrade = match Upgrade::from_request(request) {
        Ok(upgrade) => upgrade,
        Err(error) => return error.into(),
    };
    // A token says who the client is, not what it speaks.
    let mut offered =
        upgrade.protocols().iter().filter(|protocol| !protocol.starts_with(TOKEN_PROTOCOL)).peekable();
    let (protocol, endpoint) = if offered.peek().is_none() {
        (None, Endpoint::Json)
    } else {
        match offered.find_map(|protocol| spoken(protocol)) {
            Some((protocol, endpoint)) => (Some(protocol), endpoint),
            None => return unknown_subprotocol().into(),
        }
    };
    Call::Upgrade(Box::new(PendingUpgrade::new(upgrade, site, protocol, endpoint)))
}

/// The interface of commands that the subprotocol names.
fn spoken(protocol: &str) -> Option<(&'static str, Endpoint)> {
    match protocol {
        JSON_PROTOCOL => Some((JSON_PROTOCOL, Endpoint::Json)),
        BINARY_PROTOCOL => Some((BINARY_PROTOCOL, Endpoint::Binary)),
        _ => None,
    }
}

fn unknown_subprotocol() -> Response {
    let message = format!(
        "none of the subprotocols offered is spoken here; offer {JSON_PROTOCOL} or {BINARY_PROTOCOL}, or none"
    );
    Response::error(Status::BadRequest, "unknown_subprotocol", &message)
}

/// Opens the echo demo.
pub(super) fn echo(request: &Request<'_>, site: &Site) -> Call {
    let upgrade = match Upgrade::from_request(request) {
        Ok(upgrade) => upgrade,
        Err(error) => return error.into(),
    };
    let mut pending = PendingUpgrade::new(upgrade, site, None, Endpoint::Echo { deflate_window_bits: None });
    // One compressor makes all echoes.
    let agreed = |deflate| DeflateParams { server_no_context_takeover: true, ..deflate };
    pending.deflate = pending.deflate.map(agreed);
    pending.endpoint = Endpoint::Echo { deflate_window_bits: pending.shared_window_bits() };
    Call::Upgrade(Box::new(pending))
}

/// Opens the hello demo.
pub(super) fn hello(request: &Request<'_>, site: &Site) -> Call {
    match Upgrade::from_request(request) {
        Ok(upgrade) => {
            let endpoint = Endpoint::Hello { leaves_at_ms: None };
            Call::Upgrade(Box::new(PendingUpgrade::new(upgrade, site, None, endpoint)))
        }
        Err(error) => error.into(),
    }
}

/// Whether a raw publisher gets its own messages, and where the subscription starts.
fn raw_options(query: &str) -> Result<(bool, Start), Response> {
    let echo = match query_parameter(query, "echo").map_err(|error| bad_request(&error))?.as_deref() {
        None | Some("true") => true,
        Some("false") => false,
        Some(_) => return Err(bad_query("echo must be true or false")),
    };
    Ok((echo, start_in_query(query)?.unwrap_or(Start::Now)))
}
