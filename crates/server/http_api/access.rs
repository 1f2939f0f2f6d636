//! Who may ask, and which pages may read the answer.

use fanwire_wire::http::{Method, Request, Status};

use super::response::{Embedders, Sharing};
use super::{Channel, Response, bad_request, turned_down};
use crate::auth::{Ambient, Client, NoSingleToken, Unauthorized};
use crate::origin::Standing;
use crate::site::Site;

/// Which page may read the answer to the request, besides the broker's own.
pub(super) fn sharing(request: &Request<'_>, standing: Standing, site: &Site) -> Sharing {
    let origin = request.header("Origin").filter(|_| standing == Standing::Allowed);
    // What browsers embed they ask for with cookies and certificates, and without an Origin that they could be disregarded for.
    let is_for_every_page = site.origins.are_all() && !site.auth.heeds_ambient();
    Sharing {
        varies: !site.origins.is_empty() && !site.origins.are_all(),
        with: origin.map(|origin| if site.origins.are_all() { "*".into() } else { origin.into() }),
        credentials: site.auth.heeds_ambient() && !site.origins.are_all(),
        is_preflight: is_preflight(request),
        embedders: if is_for_every_page { Embedders::All } else { Embedders::Own },
    }
}

/// What a browser has sent along that says who the request is from. Where pages of all origins are allowed, what it sends
/// along for one of another origin says nothing: its user may not know of that page.
pub(super) fn ambient<'a>(channel: &Channel<'a>, standing: Standing, site: &Site) -> Ambient<'a> {
    if standing == Standing::Same || !site.origins.are_all() {
        Ambient { certificate: channel.certificate, cookies: true }
    } else {
        Ambient::default()
    }
}

/// Whether a browser asks if a page may send a request.
pub(super) fn is_preflight(request: &Request<'_>) -> bool {
    request.method() == Method::Options && request.header("Access-Control-Request-Method").is_some()
}

/// What is for those who look after the broker: they are answered even when nobody is let in, for who hears nothing from a
/// broker that is short of something may end it.
const OPERATION: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What says no more than whether the broker lives, under whatever name it is asked.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The answer to a request that is not looked at any further, whoever sends it.
pub(super) fn turn_away(
    request: &Request<'_>,
    channel: &Channel<'_>,
    standing: Standing,
    site: &Site,
) -> Option<Response> {
    if standing == Standing::Strange {
        channel.log_refusal(request, &"a page of another origin");
        return Some(strange());
    }
    if site.checks_hosts && !PROBES.contains(&request.path()) && !site.origins.know_host(request) {
        channel.log_refusal(request, &"a Host that may be anybody's");
        return Some(misdirected(channel.is_secure));
    }
    let refusal = channel.refusal.filter(|_| !OPERATION.contains(&request.path()))?;
    channel.log_refusal(request, &refusal);
    Some(turned_down(refusal))
}

/// The answer to the request of a page that is not allowed.
fn strange() -> Response {
    let message = "pages of this Origin may not use this broker; its operator can allow it in [origins]";
    Response::error(Status::Forbidden, "origin_not_allowed", message)
}

/// The answer to a request that may be of a page whose owner has pointed its name at this machine.
fn misdirected(is_secure: bool) -> Response {
    let scheme = if is_secure { "https" } else { "http" };
    let message = format!(
        "this broker has no keys, and does not know the name in Host; use localhost or an address, have its operator allow \
         {scheme}://NAME in [origins], or give it keys"
    );
    Response::error(Status::MisdirectedRequest, "host_not_allowed", &message)
}

/// The answer to a request of which it is not known who sends it (RFC 6750 §3).
pub(super) fn unauthorized(error: Unauthorized) -> Response {
    let message = error.to_string();
    match error {
        Unauthorized::Missing => {
            Response::error(Status::Unauthorized, "no_token", &message).with("WWW-Authenticate", "Bearer")
        }
        // There is no scheme of HTTP to ask for it by.
        Unauthorized::Uncertified => Response::error(Status::Forbidden, "no_certificate", &message),
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
pub(super) fn no_metrics(client: &Client, site: &Site) -> Response {
    let Some(identity) = &client.permissions.identity else { return unauthorized(site.auth.missing()) };
    let message = format!(
        "{identity} may not read /metrics: that is for tokens with the claim fanwire.metrics, and for certificates of which \
         the operator has said so"
    );
    Response::error(Status::Forbidden, "forbidden", &message)
}
