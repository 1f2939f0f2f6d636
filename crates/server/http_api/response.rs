//! Responses, from their parts to their octets.

use std::borrow::Cow;

use bytes::Bytes;
use fanwire_wire::http::{Method, Request, ResponseHead, Status};
use fanwire_wire::notification::write_json_string;

/// How a request is to be answered, besides what the answer says.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    head_only: bool,
    keep_alive: bool,
    sharing: Sharing,
}

/// Which page of another origin may read an answer (Fetch standard, "CORS protocol").
#[derive(Clone, Debug, Default)]
pub(crate) struct Sharing {
    /// The answer to another page would be another: caches must not mix them up.
    pub(super) varies: bool,
    /// The origin whose pages may read it, or `*` for all.
    pub(super) with: Option<Box<str>>,
    /// Whether the page may have the browser send cookies along.
    pub(super) credentials: bool,
    /// The browser asks beforehand what the page may send.
    pub(super) is_preflight: bool,
    /// Whose pages may have it as a script or a picture, which browsers ask for without a word of the page.
    pub(super) embedders: Embedders,
}

/// Whose pages may embed an answer (Fetch standard, "Cross-Origin-Resource-Policy").
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Embedders {
    /// The broker's own.
    #[default]
    Own,
    /// Everybody's.
    All,
}

/// What a page may read of an answer besides its body and the few fields that every page may.
const EXPOSED_FIELDS: &str = "Fanwire-Epoch, Fanwire-Offset, Fanwire-Recovered, ETag, WWW-Authenticate";

/// What a page may send.
const ALLOWED_METHODS: &str = "GET, HEAD, POST, OPTIONS";
const ALLOWED_FIELDS: &str = "Authorization, Content-Type, Fanwire-Key, Fanwire-Message-Id, Fanwire-Expect, \
                              If-None-Match, Last-Event-ID";

/// How long a browser may remember that, in seconds: Chromium remembers nothing longer.
const PREFLIGHT_MAX_AGE: &str = "7200";

impl Sharing {
    fn write<'o>(&self, mut head: ResponseHead<'o>) -> ResponseHead<'o> {
        if self.varies {
            head = head.header("Vary", "Origin");
        }
        let policy = match self.embedders {
            Embedders::Own => "same-origin",
            Embedders::All => "cross-origin",
        };
        head = head.header("Cross-Origin-Resource-Policy", policy);
        let Some(with) = &self.with else { return head };
        head = head.header("Access-Control-Allow-Origin", with.as_bytes());
        if self.credentials {
            head = head.header("Access-Control-Allow-Credentials", "true");
        }
        if !self.is_preflight {
            return head.header("Access-Control-Expose-Headers", EXPOSED_FIELDS);
        }
        head.header("Access-Control-Allow-Methods", ALLOWED_METHODS)
            .header("Access-Control-Allow-Headers", ALLOWED_FIELDS)
            .header("Access-Control-Max-Age", PREFLIGHT_MAX_AGE)
    }
}

impl Reply {
    /// How `request` is to be answered.
    pub(crate) fn to(request: &Request<'_>, sharing: Sharing) -> Self {
        Self { head_only: request.method() == Method::Head, keep_alive: request.keep_alive(), sharing }
    }

    /// The answer to what could not be read as a request.
    pub(crate) fn to_nonsense() -> Self {
        Self { head_only: false, keep_alive: false, sharing: Sharing::default() }
    }

    /// The same, as the connection's last.
    pub(crate) fn last(self) -> Self {
        Self { keep_alive: false, ..self }
    }

    /// Whether the connection takes another request.
    pub(crate) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Response {
    status: Status,
    headers: Vec<(&'static str, String)>,
    content: Content,
    /// The connection takes no other request, whatever its client wants.
    is_last: bool,
}

/// What follows the head.
#[derive(Debug)]
enum Content {
    /// Nothing, by the status.
    None,
    /// This body, of this type.
    Whole(Cow<'static, str>, Bytes),
    /// What is wrong, in JSON, which programs know by this code.
    Error(&'static str, Bytes),
    /// Something of this type that ends with the connection.
    Endless(&'static str),
}

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

impl Response {
    /// A response with a body.
    pub(crate) fn new(
        status: Status,
        content_type: impl Into<Cow<'static, str>>,
        body: impl Into<Bytes>,
    ) -> Self {
        Self::with_content(status, Content::Whole(content_type.into(), body.into()))
    }

    /// Its status.
    pub(crate) fn status(&self) -> Status {
        self.status
    }

    /// What an error is called.
    pub(crate) fn code(&self) -> Option<&'static str> {
        if let Content::Error(code, _) = self.content { Some(code) } else { None }
    }

    /// A response that has no content by its status.
    pub(crate) fn without_content(status: Status) -> Self {
        Self::with_content(status, Content::None)
    }

    /// The head of a response that ends with the connection.
    pub(crate) fn endless(status: Status, content_type: &'static str) -> Self {
        Self::with_content(status, Content::Endless(content_type))
    }

    fn with_content(status: Status, content: Content) -> Self {
        Self { status, headers: Vec::new(), content, is_last: false }
    }

    /// An error, as JSON: `code` for programs, `message` for people.
    pub(crate) fn error(status: Status, code: &'static str, message: &str) -> Self {
        let mut body = br#"{"error":{"code":"#.to_vec();
        write_json_string(&mut body, code.as_bytes());
        body.extend_from_slice(br#","message":"#);
        write_json_string(&mut body, message.as_bytes());
        body.extend_from_slice(b"}}\n");
        Self::with_content(status, Content::Error(code, body.into()))
    }

    /// The same with one more header field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same with a position in the topic.
    pub(crate) fn at(self, epoch: &str, offset: u64) -> Self {
        self.with("Fanwire-Epoch", epoch).with("Fanwire-Offset", offset.to_string())
    }

    /// The same, as the connection's last.
    pub(super) fn last(self) -> Self {
        Self { is_last: true, ..self }
    }

    /// Whether the connection ends with it, where it answers a request that is to be answered so.
    pub(crate) fn ends_connection(&self, reply: &Reply) -> bool {
        self.is_last || !reply.keeps_alive()
    }

    /// How long its body is, in bytes, whether it is sent or not.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body().len()
    }

    fn body(&self) -> &[u8] {
        match &self.content {
            Content::Whole(_, body) | Content::Error(_, body) => body,
            Content::None | Content::Endless(_) => &[],
        }
    }

    /// Whether it says that the request was wrong or cannot be carried out.
    pub(crate) fn is_error(&self) -> bool {
        self.status.code() >= 400
    }

    /// The octets that answer a request.
    pub(crate) fn to_octets(&self, reply: &Reply) -> Vec<u8> {
        let body = self.body();
        let mut out = Vec::with_capacity(256 + body.len());
        let mut head = ResponseHead::begin(&mut out, self.status);
        for (name, value) in &self.headers {
            head = head.header(name, value);
        }
        head = reply.sharing.write(head);
        head = match &self.content {
            Content::None => head,
            Content::Whole(content_type, body) => {
                head.header("Content-Type", content_type.as_bytes()).content_length(body.len())
            }
            Content::Error(_, body) => head.header("Content-Type", JSON).content_length(body.len()),
            Content::Endless(content_type) => head.header("Content-Type", content_type),
        };
        head.keep_alive(!self.ends_connection(reply)).end();
        if !reply.head_only {
            out.extend_from_slice(body);
        }
        out
    }
}
