//! Handshakes, as a server answers them.

use fanwire_wire::deflate::DeflateParams;
use fanwire_wire::handshake::{Upgrade, accept_key};
use fanwire_wire::http::parse_request;

use crate::page::{lines, vectors};

#[test]
fn every_key_is_accepted_with_its_accept() {
    for line in lines("text accept") {
        let (key, accept) = line.split_once("  ").expect("a key and its accept");
        assert_eq!(accept_key(key).as_ref().map(|accept| str::from_utf8(accept).unwrap()), Ok(accept.trim()));
    }
}

#[test]
fn every_handshake_is_answered_byte_for_byte_as_the_page_has_it() {
    let (requests, responses) = (vectors("http request"), vectors("http response"));
    assert_eq!(requests.len(), responses.len());
    for (request, response) in requests.into_iter().zip(responses) {
        let (octets, response) = (on_the_wire(request), on_the_wire(response));
        let (request, length) = parse_request(octets.as_bytes()).unwrap().expect("the whole head");
        assert_eq!(length, octets.len(), "nothing follows the head");
        let upgrade = Upgrade::from_request(&request).unwrap();

        let field =
            |name: &str| response.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let protocol = field("Sec-WebSocket-Protocol");
        assert!(protocol.is_none_or(|protocol| upgrade.offers(protocol)));
        let deflate =
            field("Sec-WebSocket-Extensions").and(upgrade.deflate()).map(DeflateParams::without_contexts);
        let own_fields =
            ["Fanwire-Epoch", "Fanwire-Offset"].map(|name| field(name).map(|value| (name, value)));
        let own_fields: Vec<_> = own_fields.into_iter().flatten().collect();
        let mut written = Vec::new();
        upgrade.write_response(protocol, deflate, &own_fields, &mut written);
        assert_eq!(String::from_utf8(written).unwrap(), response);
    }
}

/// A head as it is sent: every line ends with CR LF, and an empty one ends the head.
fn on_the_wire(head: &str) -> String {
    format!("{head}\n").replace('\n', "\r\n")
}
