//! What HTTP requests ask for, and what they are answered: a function from a request's head to a [`Call`], and
//! one from each outcome to a [`Response`]. No I/O.

mod access;
mod poll;
mod position;
mod publish;
mod refusals;
mod response;
mod stream;
mod upgrade;

use std::fmt;

use fanwire_broker::message::Draft;
use fanwire_wire::error::{ErrorCode, HandshakeError};
use fanwire_wire::handshake::is_upgrade;
use fanwire_wire::http::{Method, Request, Status, percent_decode};
use fanwire_wire::topic::Topic;
use tracing::field;

use crate::auth::{Ambient, Client};
use crate::connection::Peer;
use crate::demo;
use crate::guard::Refusal;
use crate::origin::Standing;
use crate::site::Site;

pub(crate) use poll::{Poll, latest, polled};
pub(crate) use position::Known;
pub(crate) use publish::{bad_payload, batch_in, published, published_batch};
use refusals::{bad_input, bad_query, method_not_allowed, not_found};
pub(crate) use refusals::{
    bad_request, no_longer_held, over_rate, refused, request_timeout, speaks_tls, stopping, turned_down,
};
#[cfg(test)]
pub(crate) use response::Sharing;
use response::{HTML, TEXT};
pub(crate) use response::{Reply, Response};
pub(crate) use stream::{PendingStream, stream_head};
pub(crate) use upgrade::PendingUpgrade;

/// Has a client send the body that it holds back (RFC 9110 §15.2.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request, understood.
#[derive(Debug)]
pub(crate) struct Asked {
    /// What it asks for.
    pub(crate) call: Call,
    /// Who asks.
    pub(crate) client: Client,
    /// How it is to be answered.
    pub(crate) reply: Reply,
}

/// What a request comes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel<'a> {
    /// Where its client is, if there is a log that would say so.
    pub(crate) peer: Option<Peer>,
    /// Whether it is known that its client speaks TLS, with the broker or with a proxy in front.
    pub(crate) is_secure: bool,
    /// The subject of the certificate that the connection began with.
    pub(crate) certificate: Option<&'a str>,
    /// Why the connection is not let in, if it is not.
    pub(crate) refusal: Option<Refusal>,
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) enum Call {
    /// The answer needs nobody else.
    Answer(Response),
    /// The handshake of a WebSocket is none. The connection ends with the answer.
    Reject(HandshakeError),
    /// The latest message of a topic, unless the client has it.
    Latest(Topic, Known),
    /// What a topic has since a position.
    Poll(Box<Poll>),
    /// A topic as an event stream.
    Stream(Box<PendingStream>),
    /// The body is to be published, as the payload of this; or the answer waits for it, so that the connection lives.
    Post(Result<Box<Draft>, Response>),
    /// The body has messages to be published; or the answer waits for it as well.
    PostBatch(Result<(), Response>),
    /// The connection is to speak WebSocket.
    Upgrade(Box<PendingUpgrade>),
}

impl Channel<'_> {
    /// Writes down what is asked for, and who asks. The query is left out: a token may stand there.
    fn log_request(&self, request: &Request<'_>, client: &Client) {
        let (peer, identity) =
            (self.peer.map(field::display), client.permissions.identity.as_deref().or(self.certificate));
        tracing::debug!(peer, identity, method = %request.method(), path = request.path(), "asked");
    }

    /// Writes down that nobody looks at what the request asks for, without its query as well.
    fn log_refusal(&self, request: &Request<'_>, reason: &dyn fmt::Display) {
        let (peer, identity) = (self.peer.map(field::display), self.certificate);
        tracing::debug!(peer, identity, path = request.path(), "refused: {reason}");
    }
}

impl Call {
    /// Whether it needs the request's body.
    pub(crate) fn takes_body(&self) -> bool {
        matches!(self, Self::Post(_) | Self::PostBatch(_))
    }

    /// Whether the connection is for nothing else from there on.
    pub(crate) fn keeps_connection(&self) -> bool {
        matches!(self, Self::Upgrade(_) | Self::Stream(_))
    }
}

impl From<HandshakeError> for Call {
    fn from(error: HandshakeError) -> Self {
        Self::Reject(error)
    }
}

impl From<Response> for Call {
    fn from(response: Response) -> Self {
        Self::Answer(response)
    }
}

/// What can be done with a path.
#[derive(Clone, Copy)]
enum Methods {
    Page,
    Topic,
    Batch,
    WebSocket,
}

impl Methods {
    fn allow(self) -> &'static str {
        match self {
            Self::Page => "GET, HEAD, OPTIONS",
            Self::Topic => "GET, HEAD, POST, OPTIONS",
            Self::Batch => "POST, OPTIONS",
            Self::WebSocket => "GET, OPTIONS",
        }
    }
}

/// What a request asks for, by its head, and who asks at this time, in milliseconds since 1970.
pub(crate) fn asked(request: &Request<'_>, channel: &Channel<'_>, site: &Site, now_ms: u64) -> Asked {
    let standing = site.origins.standing(request, channel.is_secure);
    let reply = Reply::to(request, access::sharing(request, standing, site));
    let reply = if channel.refusal.is_some() { reply.last() } else { reply };
    let (call, client) = match look_at(request, channel, standing, site, now_ms) {
        Ok((call, client)) => {
            channel.log_request(request, &client);
            (call, client)
        }
        Err(refusal) => (refusal.into(), Client::nobody()),
    };
    Asked { call, client, reply }
}

/// What a request asks for and who asks, or why nobody looks at that.
fn look_at(
    request: &Request<'_>,
    channel: &Channel<'_>,
    standing: Standing,
    site: &Site,
    now_ms: u64,
) -> Result<(Call, Client), Response> {
    if let Some(refusal) = access::turn_away(request, channel, standing, site) {
        return Err(refusal);
    }
    match open_to_everybody(request, site) {
        Some(call) => Ok((call, Client::nobody())),
        None => of_client(request, channel, access::ambient(channel, standing, site), site, now_ms),
    }
}

/// What is answered without a look at who asks: whether the broker lives, its pages, and what a browser asks beforehand,
/// which never says who it is.
fn open_to_everybody(request: &Request<'_>, site: &Site) -> Option<Call> {
    Some(match request.path() {
        "/healthz" => page(request, || Response::new(Status::Ok, TEXT, "ok\n")),
        "/readyz" => page(request, || readiness(site)),
        "/" if site.demo => page(request, || Response::new(Status::Ok, HTML, demo::INDEX_PAGE)),
        "/demo/chat" if site.demo => page(request, || Response::new(Status::Ok, HTML, demo::CHAT_PAGE)),
        "*" => options(Methods::Topic),
        _ if access::is_preflight(request) => options(Methods::Topic),
        _ => return None,
    })
}

/// What depends on who asks.
fn of_client(
    request: &Request<'_>,
    channel: &Channel<'_>,
    ambient: Ambient<'_>,
    site: &Site,
    now_ms: u64,
) -> Result<(Call, Client), Response> {
    let client = match site.auth.client_of(request, ambient, now_ms) {
        Ok(client) => client,
        Err(_) if request.path() == "/metrics" && site.auth.everybody_reads_metrics() => Client::nobody(),
        Err(error) => {
            channel.log_refusal(request, &error);
            return Err(access::unauthorized(error));
        }
    };
    let call = match request.path() {
        "/metrics" => page(request, || metrics(&client, site)),
        "/v1/publish" => batch(request),
        "/v1/ws" => web_socket(request, || upgrade::commands(request, site)),
        "/demo/echo" if site.demo => web_socket(request, || upgrade::echo(request, site)),
        "/demo/hello" if site.demo => web_socket(request, || upgrade::hello(request, site)),
        path => match path.strip_prefix("/topics/") {
            Some(name) => topic(request, name, site),
            None => not_found().into(),
        },
    };
    Ok((call, client))
}

fn page(request: &Request<'_>, response: impl FnOnce() -> Response) -> Call {
    match request.method() {
        Method::Get | Method::Head => response().into(),
        Method::Options => options(Methods::Page),
        Method::Post | Method::Other => method_not_allowed(Methods::Page).into(),
    }
}

fn web_socket(request: &Request<'_>, open: impl FnOnce() -> Call) -> Call {
    match request.method() {
        Method::Options => options(Methods::WebSocket),
        // Any other is the handshake's to refuse: it knows what else is wrong.
        _ => open(),
    }
}

fn batch(request: &Request<'_>) -> Call {
    match request.method() {
        Method::Post => Call::PostBatch(publish::said_of_batch(request)),
        Method::Options => options(Methods::Batch),
        Method::Get | Method::Head | Method::Other => method_not_allowed(Methods::Batch).into(),
    }
}

fn topic(request: &Request<'_>, name: &str, site: &Site) -> Call {
    let name = match percent_decode(name) {
        Ok(name) => name,
        Err(error) => return bad_request(&error).into(),
    };
    let topic = match Topic::parse(&name) {
        Ok(topic) => topic,
        Err(error) => return bad_input(ErrorCode::BadTopic, &error.to_string()).into(),
    };
    if is_upgrade(request) {
        return upgrade::raw(request, topic, site);
    }
    match request.method() {
        Method::Get | Method::Head if stream::is_wanted(request) => stream::open(request, topic),
        Method::Get | Method::Head => poll::latest_or_poll(request, topic, &site.epoch),
        Method::Post => Call::Post(publish::draft(request, topic)),
        Method::Options => options(Methods::Topic),
        Method::Other => method_not_allowed(Methods::Topic).into(),
    }
}

fn options(methods: Methods) -> Call {
    Response::without_content(Status::NoContent).with("Allow", methods.allow()).into()
}

fn readiness(site: &Site) -> Response {
    if site.control.is_stopping() {
        return stopping(site.timeouts.drain_ms);
    }
    Response::new(Status::Ok, TEXT, "ready\n")
}

fn metrics(client: &Client, site: &Site) -> Response {
    if !client.reads_metrics && !site.auth.everybody_reads_metrics() {
        return access::no_metrics(client, site);
    }
    Response::new(Status::Ok, crate::metrics::CONTENT_TYPE, site.metrics.render())
}
