//! Keys that change while the broker runs.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire::KeyError;
use fanwire::broker::{Broker, StartError};
use fanwire::config::{Algorithm, AuthConfig, Config, KeyConfig, KeySource};
use jsonwebtoken::Algorithm::{ES256, RS256};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::keys::{EC_PRIVATE, EC_PUBLIC, RSA_MODULUS, RSA_PRIVATE, RSA_PUBLIC};
use super::unfit_keys::{P384_PUBLIC, SMALL_RSA_MODULUS, SMALL_RSA_PUBLIC};
use super::{LATE, bearer, request, sign_with};
use crate::support::{HttpClient, TemporaryFile};

fn secret_key(id: &str, secret: &[u8]) -> Value {
    json!({"kty":"oct","alg":"HS256","kid":id,"k":URL_SAFE_NO_PAD.encode(secret)})
}

const OLD: &[u8] = b"the secret that was there at first";
const NEW: &[u8] = b"the secret that has taken its place";

fn token(id: &str, secret: &[u8]) -> String {
    let header = Header { kid: Some(id.to_owned()), ..Header::default() };
    sign_with(&header, &json!({"sub":"alice","exp":LATE,"fanwire":{"subscribe":[">"]}}), secret)
}

fn config_with(source: KeySource) -> Config {
    let auth = AuthConfig { keys: vec![KeyConfig { id: None, source }], ..AuthConfig::default() };
    Config { cores: 1, listen: vec!["127.0.0.1:0".parse().unwrap()], auth, ..Config::default() }
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[test]
fn a_set_of_keys_is_read_anew_and_one_that_cannot_be_read_changes_nothing() {
    let file = TemporaryFile::new("jwks", &set(&[secret_key("old", OLD)]));
    let broker = Broker::start(config_with(KeySource::Jwks(file.path().into()))).unwrap();
    let status = |id: &str, secret: &[u8]| {
        let further = format!("Authorization: Bearer {}\r\n", token(id, secret));
        let request = format!("GET /topics/a HTTP/1.1\r\nHost: localhost\r\n{further}\r\n");
        HttpClient::connect(broker.addresses()[0]).request(request).status
    };
    assert_eq!((status("old", OLD), status("new", NEW)), (404, 401));

    fs::write(file.path(), set(&[secret_key("old", OLD), secret_key("new", NEW)])).unwrap();
    assert_eq!((status("old", OLD), status("new", NEW)), (404, 401), "nobody has said that it is to be read");
    broker.reload_keys().unwrap();
    assert_eq!((status("old", OLD), status("new", NEW)), (404, 404));

    for wrong in ["{", "[[]]", "{\"keys\":7}"] {
        fs::write(file.path(), wrong).unwrap();
        assert!(matches!(broker.reload_keys(), Err(KeyError::NotJwks { .. })), "{wrong}");
    }
    assert_eq!((status("old", OLD), status("new", NEW)), (404, 404), "those that were there stay");

    fs::write(file.path(), set(&[secret_key("new", NEW)])).unwrap();
    broker.reload_keys().unwrap();
    assert_eq!((status("old", OLD), status("new", NEW)), (401, 404), "a key that was taken out is out");
    broker.stopper().stop();
    broker.join().unwrap();
}

#[test]
fn of_a_set_only_what_can_verify_a_token_is_used() {
    let encrypts = json!({"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB","kid":"e"});
    let other_curve = json!({"kty":"EC","crv":"P-384","x":"AA","y":"AA","kid":"p"});
    let other_algorithm = json!({"kty":"RSA","alg":"RS512","n":"AQAB","e":"AQAB","kid":"r"});
    let without_algorithm = json!({"kty":"oct","kid":"o","k":URL_SAFE_NO_PAD.encode(OLD)});
    let confused = json!({"kty":"oct","alg":"RS256","kid":"c","k":URL_SAFE_NO_PAD.encode(OLD)});
    let short = secret_key("s", &OLD[..31]);
    let empty = secret_key("n", b"");
    let public = secret_key("b", EC_PUBLIC.as_bytes());
    let unknown = json!({"kty":"PQC","kid":"q"});
    let even_exponent = json!({"kty":"RSA","n":RSA_MODULUS,"e":"AQAA","kid":"v"});
    let exponent_of_1 = json!({"kty":"RSA","n":RSA_MODULUS,"e":"AQ","kid":"1"});
    let small = json!({"kty":"RSA","n":SMALL_RSA_MODULUS,"e":"AQAB","kid":"m"});
    let off_the_curve = json!({"kty":"EC","crv":"P-256","x":"AA","y":"AA","kid":"f"});
    let cut_short = json!({"kty":"OKP","crv":"Ed25519","x":"AA","kid":"d"});
    let useless = [
        encrypts,
        other_curve,
        other_algorithm,
        without_algorithm,
        confused,
        short,
        empty,
        public,
        unknown,
        small,
        even_exponent,
        exponent_of_1,
        off_the_curve,
        cut_short,
        json!(7),
    ];
    for key in &useless {
        let file = TemporaryFile::new("useless", &set(std::slice::from_ref(key)));
        let error = Broker::start(config_with(KeySource::Jwks(file.path().into()))).err();
        assert!(matches!(error, Some(StartError::Keys(KeyError::NoKey { .. }))), "{key}: {error:?}");
    }
    let file = TemporaryFile::new("useful", &set(&[&useless[..], &[secret_key("old", OLD)]].concat()));
    let broker = Broker::start(config_with(KeySource::Jwks(file.path().into()))).unwrap();
    broker.stopper().stop();
    broker.join().unwrap();
}

#[test]
fn a_broker_whose_keys_cannot_be_had_does_not_start_and_says_which() {
    let pem = TemporaryFile::new("no-pem", "-----BEGIN NOTHING-----");
    let short = TemporaryFile::new("short", "thirty-one octets and a newline\n");
    let public = TemporaryFile::new("public-secret", EC_PUBLIC);
    for (source, expected) in [
        (KeySource::SecretFile("/nowhere/secret".into()), "cannot read the key in /nowhere/secret: "),
        (KeySource::SecretFile(short.path().into()), "the secret in "),
        (KeySource::SecretFile(public.path().into()), "is a PEM file and no secret; say which algorithm"),
        (
            KeySource::PublicKey { algorithm: Algorithm::Es256, path: pem.path().into() },
            "is not a public key for ES256 in PEM (BEGIN PUBLIC KEY)",
        ),
    ] {
        let error = Broker::start(config_with(source)).err().expect("it does not start").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_public_key_that_verifies_nothing_is_refused_and_does_not_replace_one_that_does() {
    for (algorithm, good, private, wrong, expected) in [
        (Algorithm::Es256, EC_PUBLIC, EC_PRIVATE, P384_PUBLIC, "has a key on another curve than P-256"),
        (Algorithm::Rs256, RSA_PUBLIC, RSA_PRIVATE, SMALL_RSA_PUBLIC, "has an RSA key of 1024 bits"),
        (Algorithm::Rs256, RSA_PUBLIC, RSA_PRIVATE, RSA_PRIVATE, "is not a public key for RS256 in PEM"),
    ] {
        let file = TemporaryFile::new("unfit", wrong);
        let config = || config_with(KeySource::PublicKey { algorithm, path: file.path().into() });
        let error = Broker::start(config()).err().expect("it does not start").to_string();
        assert!(error.starts_with(file.path()) && error.contains(expected), "{error}");

        fs::write(file.path(), good).unwrap();
        let broker = Broker::start(config()).unwrap();
        let header = Header::new(if algorithm == Algorithm::Es256 { ES256 } else { RS256 });
        let key = match algorithm {
            Algorithm::Es256 => EncodingKey::from_ec_pem(private.as_bytes()),
            _ => EncodingKey::from_rsa_pem(private.as_bytes()),
        };
        let claims = json!({"sub":"alice","exp":LATE,"fanwire":{"subscribe":[">"]}});
        let token = jsonwebtoken::encode(&header, &claims, &key.unwrap()).unwrap();
        let status = || {
            let request = request("GET", "/topics/a", &bearer(&token), "");
            HttpClient::connect(broker.addresses()[0]).request(request).status
        };
        assert_eq!(status(), 404);
        fs::write(file.path(), wrong).unwrap();
        assert!(broker.reload_keys().unwrap_err().to_string().contains(expected));
        assert_eq!(status(), 404, "the key that was there stays");
        broker.stopper().stop();
        broker.join().unwrap();
    }
}
