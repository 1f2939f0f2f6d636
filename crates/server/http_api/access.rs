//! Who may ask, and which pages may read the answer.

use fanwire_wire::http::{Method, Request, Status};

use super::response::{Embedders, Sharing};
use super::{Response, bad_request};
use crate::auth::{Client, NoSingleToken, Unauthorized};
use crate::origin::Standing;
use crate::site::Site;

/// Which page may read the answer to the request, besides the broker's own.
pub(super) fn sharing(request: &Request<'_>, standing: Standing, site: &Site) -> Sharing {
    let origin = request.header("Origin").filter(|_| standing == Standing::Allowed);
    // What browsers embed they ask for with cookies, and without an Origin that they could be disregarded for.
    let is_for_every_page = site.origins.are_all() && !site.auth.heeds_cookies();
    Sharing {
        varies: !site.origins.is_empty() && !site.origins.are_all(),
        with: origin.map(|origin| if site.origins.are_all() { "*".into() } else { origin.into() }),
        credentials: site.auth.heeds_cookies() && !site.origins.are_all(),
        is_preflight: is_preflight(request),
        embedders: if is_for_every_page { Embedders::All } else { Embedders::Own },
    }
}

/// Whether a browser asks if a page may send a request.
pub(super) fn is_preflight(request: &Request<'_>) -> bool {
    request.method() == Method::Options && request.header("Access-Control-Request-Method").is_some()
}

/// The answer to the request of a page that is not allowed.
pub(super) fn refuse_strange(standing: Standing) -> Option<Response> {
    (standing == Standing::Strange).then(|| {
        let message = "pages of this Origin may not use this broker; its operator can allow it in [origins]";
        Response::error(Status::Forbidden, "origin_not_allowed", message)
    })
}

/// The answer to a request of which it is not known who sends it (RFC 6750 §3).
pub(super) fn unauthorized(error: Unauthorized) -> Response {
    let message = error.to_string();
    match error {
        Unauthorized::Missing => {
            Response::error(Status::Unauthorized, "no_token", &message).with("WWW-Authenticate", "Bearer")
        }
        Unauthorized::NotOne(NoSingleToken::Ambiguous) => {
            Response::error(Status::BadRequest, "ambiguous_token", &message)
        }
        Unauthorized::NotOne(NoSingleToken::BadQuery(error)) => bad_request(&error),
        Unauthorized::Bad(_) => {
            let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{message}\"");
            let response = Response::error(Status::Unauthorized, "bad_token", &message);
            // To look at a token takes as long as hundreds of deliveries. How many connections an address may open is
            // bounded; how many requests one may have is not.
            response.with("WWW-Authenticate", challenge).last()
        }
    }
}

/// The answer to a client that may not read the figures.
pub(super) fn no_metrics(client: &Client) -> Response {
    if client.expiry.is_none() {
        return unauthorized(Unauthorized::Missing);
    }
    let message = "this token may not read /metrics: its claim fanwire.metrics is not true";
    Response::error(Status::Forbidden, "forbidden", message)
}
