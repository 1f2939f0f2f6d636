//! The requests that a client sends, and what they carry besides what they need.

use super::Peer;
use crate::transport::HeaderProfile;

/// Octets of the article's example of a poll: the heads of request and response, without any data.
const KAAZING_HEADS_OCTETS: usize = 871;

/// Octets of the head that answers the first poll, before any was measured. A 204 of Fanwire, with an epoch of 16 digits and
/// an offset of one, has:
///
/// | line | octets |
/// |---|---|
/// | `HTTP/1.1 204 No Content` | 25 |
/// | `Fanwire-Epoch`, `Fanwire-Offset` | 33 + 19 |
/// | `ETag`, `Cache-Control: no-store`, `Fanwire-Recovered: true` | 28 + 25 + 25 |
/// | `Connection: keep-alive`, and the empty line | 24 + 2 |
pub(super) const USUAL_RESPONSE_HEAD_OCTETS: usize = 181;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    WebSocket,
    EventStream,
    Poll,
}

/// The header fields that a request for `purpose` carries, besides those that make a WebSocket and `Host`.
///
/// Those of a browser are Chromium's, as version 156 has sent them to a socket on this host for `new WebSocket(…)`, `new
/// EventSource(…)` and `fetch(…, { cache: "no-store" })`. It sends client hints to hosts that it trusts only, which a loopback
/// address is.
pub(super) fn fields(
    profile: HeaderProfile,
    purpose: Purpose,
    authority: &str,
) -> Vec<(&'static str, String)> {
    const USER_AGENT: (&str, &str) = (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    );
    const NOT_CACHED: [(&str, &str); 2] = [("Pragma", "no-cache"), ("Cache-Control", "no-cache")];
    const LANGUAGE: (&str, &str) = ("Accept-Language", "en-US,en;q=0.9");
    const ENCODING: (&str, &str) = ("Accept-Encoding", "gzip, deflate, br, zstd");
    const KEEP_ALIVE: (&str, &str) = ("Connection", "keep-alive");
    const HINTS: [(&str, &str); 6] = [
        ("sec-ch-ua-platform", "\"Linux\""),
        ("sec-ch-ua", "\"Not:A-Brand\";v=\"8\", \"Chromium\";v=\"156\""),
        ("sec-ch-ua-mobile", "?0"),
        ("Sec-Fetch-Site", "same-origin"),
        ("Sec-Fetch-Mode", "cors"),
        ("Sec-Fetch-Dest", "empty"),
    ];
    let accept = ("Accept", if purpose == Purpose::EventStream { "text/event-stream" } else { "*/*" });
    let fixed: Vec<(&str, &str)> = match (profile, purpose) {
        (HeaderProfile::Minimal | HeaderProfile::Kaazing, Purpose::EventStream) => vec![accept],
        (HeaderProfile::Minimal | HeaderProfile::Kaazing, Purpose::WebSocket | Purpose::Poll) => vec![],
        (HeaderProfile::Browser, Purpose::WebSocket) => {
            [&NOT_CACHED[..], &[USER_AGENT, ENCODING, LANGUAGE]].concat()
        }
        (HeaderProfile::Browser, Purpose::EventStream | Purpose::Poll) => {
            [&[KEEP_ALIVE], &NOT_CACHED[..], &[USER_AGENT, accept], &HINTS, &[ENCODING, LANGUAGE]].concat()
        }
    };
    let mut fields: Vec<_> = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    if profile == HeaderProfile::Browser {
        let page = format!("http://{authority}");
        fields.push(if purpose == Purpose::WebSocket { ("Origin", page) } else { ("Referer", page + "/") });
    }
    fields
}

/// A GET that is sent again and again, with another query each time.
#[derive(Debug)]
pub(super) struct Request {
    /// Path, and a query that is always there, if there is one.
    target: String,
    /// The lines of all header fields.
    fields: String,
    is_padded: bool,
}

impl Request {
    pub(super) fn new(peer: &Peer, topic: &str, purpose: Purpose) -> Self {
        let mut lines = format!("Host: {}\r\n", peer.authority);
        for (name, value) in fields(peer.headers, purpose, &peer.authority) {
            lines.extend([name, ": ", &value, "\r\n"]);
        }
        let is_padded = peer.headers == HeaderProfile::Kaazing && purpose == Purpose::Poll;
        Self { target: peer.topic_target(topic), fields: lines, is_padded }
    }

    /// Appends the request. The head of the answer to it is expected to have `response_head_octets`.
    pub(super) fn write(&self, query: &str, response_head_octets: usize, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(b"GET ");
        out.extend_from_slice(with_query(&self.target, query).as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\n");
        out.extend_from_slice(self.fields.as_bytes());
        if self.is_padded {
            let others = out.len() - start + "\r\n".len() + response_head_octets;
            write_cookie(KAAZING_HEADS_OCTETS.saturating_sub(others), out);
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a cookie whose line has so many octets; none if that is too few for one.
fn write_cookie(octets: usize, out: &mut Vec<u8>) {
    const FRAME: usize = "Cookie: c=\r\n".len();
    if octets > FRAME {
        out.extend_from_slice(b"Cookie: c=");
        out.resize(out.len() + octets - FRAME, b'0');
        out.extend_from_slice(b"\r\n");
    }
}

/// The target with more in its query.
pub(super) fn with_query(target: &str, query: &str) -> String {
    let separator = match (query.is_empty(), target.contains('?')) {
        (true, _) => "",
        (false, false) => "?",
        (false, true) => "&",
    };
    format!("{target}{separator}{query}")
}
