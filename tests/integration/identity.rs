//! Who clients are, and that they may do what their tokens say and nothing else, whichever way they ask.

mod connected;
mod enforced;
mod keys;
mod minting;
mod origins;
mod reloading;
mod tokens;
mod unfit_keys;

use fanwire::config::{Config, KeyConfig, KeySource, MetricsAccess, Secret};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::support::{HttpClient, HttpResponse, TestBroker};

/// What the broker of these tests signs with.
const SECRET: &[u8] = b"a secret that only the tests know";

/// A time that no test lives to see, in seconds since 1970.
pub(crate) const LATE: u64 = 4_000_000_000;

pub(crate) fn hs256() -> KeyConfig {
    KeyConfig { id: None, source: KeySource::Secret(Secret::new(SECRET).expect("it is long enough")) }
}

/// A broker with a key, whose figures are for everybody.
fn start() -> TestBroker {
    start_with(|_| ())
}

fn start_with(configure: impl FnOnce(&mut Config)) -> TestBroker {
    TestBroker::start_with(|config| {
        config.auth.keys = vec![hs256()];
        config.auth.metrics = MetricsAccess::Open;
        configure(config);
    })
}

/// A token with these claims, signed with the broker's key.
pub(crate) fn sign(claims: &Value) -> String {
    sign_with(&Header::new(Algorithm::HS256), claims, SECRET)
}

fn sign_with(header: &Header, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
}

/// A token of alice's that may do this.
pub(crate) fn alice(subscribe: &[&str], publish: &[&str]) -> String {
    sign(&json!({"sub":"alice","exp":LATE,"fanwire":{"subscribe":subscribe,"publish":publish}}))
}

pub(crate) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

/// A request with further header lines, and a body if there is one.
fn request(method: &str, path: &str, further: &str, body: &str) -> String {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{further}{length}\r\n{body}")
}

fn ask(broker: &TestBroker, octets: impl AsRef<[u8]>) -> HttpResponse {
    HttpClient::connect(broker.address).request(octets)
}
