//! The tokens that a request has.

use std::borrow::Cow;

use fanwire_wire::error::RequestError;
use fanwire_wire::http::{Request, query_values};

/// What a subprotocol that is a token begins with (RFC 6455 §1.9 takes any name that is a token of HTTP).
pub(crate) const TOKEN_PROTOCOL: &str = "fanwire.token.";

/// The query parameter (RFC 6750 §2.3).
const QUERY_PARAMETER: &str = "access_token";

/// Why it is not known which token a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSingleToken {
    /// It has two that are different.
    Ambiguous,
    /// The query cannot be decoded.
    BadQuery(RequestError),
}

/// The token that the request has, wherever it stands. `cookie` is the name of the cookie that may be one.
pub(super) fn token_in<'a>(
    request: &Request<'a>,
    cookie: Option<&str>,
) -> Result<Option<Cow<'a, str>>, NoSingleToken> {
    let mut token: Option<Cow<'a, str>> = None;
    for found in tokens_in(request, cookie) {
        let found = found.map_err(NoSingleToken::BadQuery)?;
        if token.get_or_insert_with(|| found.clone()) != &found {
            return Err(NoSingleToken::Ambiguous);
        }
    }
    Ok(token)
}

fn tokens_in<'a>(
    request: &Request<'a>,
    cookie: Option<&str>,
) -> impl Iterator<Item = Result<Cow<'a, str>, RequestError>> {
    let headers = request.headers();
    let bearer = headers.all("Authorization").filter_map(bearer_token);
    let protocols = headers.elements("Sec-WebSocket-Protocol");
    let offered = protocols.filter_map(|protocol| protocol.strip_prefix(TOKEN_PROTOCOL));
    let cookies = cookie.into_iter().flat_map(|name| {
        let pairs = headers.all("Cookie").flat_map(|value| value.split(';'));
        pairs.filter_map(move |pair| cookie_value(pair, name))
    });
    let in_header = bearer.chain(offered).chain(cookies).map(|token| Ok(Cow::Borrowed(token)));
    in_header.chain(query_values(request.query().unwrap_or_default(), QUERY_PARAMETER))
}

/// The token of an `Authorization` (RFC 6750 §2.1). Other schemes are for proxies in between.
fn bearer_token(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| token.trim_ascii())
}

/// The value of one pair of a `Cookie` (RFC 6265 §4.2.1), if it has this name.
fn cookie_value<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (this, value) = pair.trim_ascii().split_once('=')?;
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    (this == name).then_some(value)
}

#[cfg(test)]
mod tests {
    use fanwire_wire::http::parse_request;

    use super::*;

    fn token_of(head: &str) -> Result<Option<String>, NoSingleToken> {
        let octets = head.replace('\n', "\r\n") + "\r\n";
        let (request, _) = parse_request(octets.as_bytes()).unwrap().expect("a whole head");
        token_in(&request, Some("session")).map(|token| token.map(Cow::into_owned))
    }

    fn token_with(line: &str) -> Result<Option<String>, NoSingleToken> {
        token_of(&format!("GET / HTTP/1.1\nHost: x\n{line}\n"))
    }

    #[test]
    fn a_token_is_found_in_each_of_its_places() {
        for line in [
            "Authorization: Bearer a.b.c",
            "authorization: bEARER  a.b.c",
            "Sec-WebSocket-Protocol: fanwire.v1.json, fanwire.token.a.b.c",
            "Cookie: other=x; session=a.b.c",
            "Cookie: session=\"a.b.c\"; other=x",
        ] {
            assert_eq!(token_with(line), Ok(Some("a.b.c".to_owned())), "{line}");
        }
        let in_query = token_of("GET /?since=earliest&access_token=a%2Eb.c HTTP/1.1\nHost: x\n");
        assert_eq!(in_query, Ok(Some("a.b.c".to_owned())));
    }

    #[test]
    fn what_is_no_token_is_none() {
        for line in [
            "Authorization: Basic a.b.c",
            "Authorization: Bearer",
            "Sec-WebSocket-Protocol: fanwire.v1.json",
            "Cookie: sessions=a.b.c; asession=a.b.c; x",
            "X-Authorization: Bearer a.b.c",
        ] {
            assert_eq!(token_with(line), Ok(None), "{line}");
        }
    }

    #[test]
    fn an_empty_token_is_one_that_will_not_hold() {
        assert_eq!(token_with("Authorization: Bearer  "), Ok(None), "HTTP strips the space around a value");
        assert_eq!(token_with("Cookie: session="), Ok(Some(String::new())));
    }

    #[test]
    fn two_tokens_that_are_different_are_refused_wherever_they_stand() {
        for head in [
            "GET /?access_token=a HTTP/1.1\nHost: x\nAuthorization: Bearer b\n",
            "GET /?access_token=a&access_token=b HTTP/1.1\nHost: x\n",
            "GET / HTTP/1.1\nHost: x\nAuthorization: Bearer a\nAuthorization: Bearer b\n",
            "GET / HTTP/1.1\nHost: x\nAuthorization: Bearer a\nCookie: session=b\n",
            "GET / HTTP/1.1\nHost: x\nSec-WebSocket-Protocol: fanwire.token.a\nCookie: session=b\n",
            "GET / HTTP/1.1\nHost: x\nSec-WebSocket-Protocol: fanwire.token.a, fanwire.token.b\n",
        ] {
            assert_eq!(token_of(head), Err(NoSingleToken::Ambiguous), "{head}");
        }
        let same = "GET /?access_token=a HTTP/1.1\nHost: x\nAuthorization: Bearer a\nCookie: session=a\n";
        assert_eq!(token_of(same), Ok(Some("a".to_owned())));
        let bad = token_of("GET /?access_token=%zz HTTP/1.1\nHost: x\n");
        assert_eq!(bad, Err(NoSingleToken::BadQuery(RequestError::BadEscape)));
    }
}
