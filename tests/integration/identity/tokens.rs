//! Tokens that hold, and tokens that do not.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fanwire::config::{Algorithm as KeyAlgorithm, KeyConfig, KeySource, MetricsAccess};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::keys::{EC_PRIVATE, EC_PUBLIC, ED_PRIVATE, ED_PUBLIC, RSA_MODULUS, RSA_PRIVATE, RSA_PUBLIC};
use super::{LATE, SECRET, alice, ask, bearer, request, sign, sign_with, start, start_with};
use crate::support::{HttpResponse, TemporaryFile, TestBroker, handshake};

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims(further: &Value) -> Value {
    let mut claims = json!({"sub":"alice","exp":LATE,"fanwire":{"subscribe":[">"]}});
    let fields = further.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(fields);
    claims
}

fn get_with(broker: &TestBroker, token: &str) -> HttpResponse {
    ask(broker, request("GET", "/topics/a", &bearer(token), ""))
}

/// What the broker says is wrong with the token, which it says in the challenge too, and says nothing else of it.
fn objection(broker: &TestBroker, token: &str) -> String {
    let response = get_with(broker, token);
    assert_eq!((response.status, response.code().as_str()), (401, "bad_token"), "{token}: {response:?}");
    let message = response.json()["error"]["message"].as_str().unwrap().to_owned();
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"{message}\"");
    assert_eq!(response.headers["www-authenticate"], challenge);
    assert!(token.len() < 8 || !format!("{response:?}").contains(token));
    message
}

fn unsigned(header: &Value, claims: &Value) -> String {
    [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".")
}

#[test]
fn a_client_without_a_token_is_refused_before_anything_else_is_looked_at() {
    let broker = start();
    for path in ["/topics/a", "/topics/a%zz", "/topics/", "/v1/publish", "/v1/ws", "/nothing"] {
        let response = ask(&broker, request("GET", path, "", ""));
        assert_eq!((response.status, response.code().as_str()), (401, "no_token"), "{path}");
        assert_eq!(response.headers["www-authenticate"], "Bearer");
    }
    for path in ["/topics/a", "/v1/ws"] {
        assert_eq!(ask(&broker, handshake(path, "")).status, 401, "{path}");
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(ask(&broker, request("GET", path, "", "")).status, 200, "{path}");
    }
}

#[test]
fn a_token_is_taken_from_each_of_its_places_and_never_echoed() {
    let broker = start_with(|config| config.auth.cookie = Some("session".to_owned()));
    let token = alice(&["a"], &[]);
    for (path, line) in [
        ("/topics/a", bearer(&token)),
        (&*format!("/topics/a?access_token={token}"), String::new()),
        ("/topics/a", format!("Cookie: theme=dark; session={token}\r\n")),
        ("/topics/a", format!("Sec-WebSocket-Protocol: fanwire.token.{token}\r\n")),
    ] {
        let found = ask(&broker, request("GET", path, &line, ""));
        assert_eq!(found.status, 404, "it may look, and there is nothing: {found:?}");
        let response = ask(&broker, handshake(path, &line));
        assert_eq!(response.status, 101, "{response:?}");
        assert!(!format!("{response:?}").contains(&token));
    }
}

#[test]
fn a_subprotocol_that_is_a_token_stands_beside_the_one_to_be_spoken() {
    let broker = start();
    let token = alice(&["a"], &[]);
    for (path, protocol) in
        [("/v1/ws", "fanwire.v1.json"), ("/v1/ws", "fanwire.v1.binary"), ("/topics/a", "fanwire.v1.raw")]
    {
        let offers = format!("fanwire.token.{token}, {protocol}");
        let client = broker.web_socket_with(path, &[("Sec-WebSocket-Protocol", &offers)]);
        assert_eq!(client.header("Sec-WebSocket-Protocol"), Some(protocol));
    }
    let alone =
        ask(&broker, handshake("/v1/ws", &format!("Sec-WebSocket-Protocol: fanwire.token.{token}\r\n")));
    assert_eq!((alone.status, alone.headers.get("sec-websocket-protocol")), (101, None));
}

#[test]
fn two_different_tokens_are_refused() {
    let broker = start();
    let (one, other) = (alice(&["a"], &[]), alice(&["b"], &[]));
    let response =
        ask(&broker, request("GET", &format!("/topics/a?access_token={one}"), &bearer(&other), ""));
    assert_eq!((response.status, response.code().as_str()), (400, "ambiguous_token"));
    let response = ask(&broker, request("GET", &format!("/topics/a?access_token={one}"), &bearer(&one), ""));
    assert_eq!(response.status, 404);
}

#[test]
fn a_cookie_is_no_token_unless_the_operator_has_named_it() {
    let broker = start();
    let line = format!("Cookie: session={}\r\n", alice(&["a"], &[]));
    assert_eq!(ask(&broker, request("GET", "/topics/a", &line, "")).status, 401);
}

#[test]
fn a_token_that_nobody_has_signed_is_refused() {
    let broker = start();
    let unsigned_claims = claims(&json!({}));
    for name in ["none", "None", "NONE", "nOnE", "HS384", "HS512", "PS256", "", "hs256"] {
        let token = unsigned(&json!({"alg":name,"typ":"JWT"}), &unsigned_claims);
        for signature in [".", ".AAAA"] {
            let message = objection(&broker, &format!("{token}{signature}"));
            assert_eq!(message, "the token has an alg other than HS256, RS256, ES256 and EdDSA", "{name}");
        }
    }
    let token = unsigned(&json!({"alg":"HS256"}), &unsigned_claims);
    assert_eq!(
        objection(&broker, &format!("{token}.")),
        "the token has a signature that its key did not make"
    );
}

#[test]
fn a_token_that_was_changed_or_is_signed_with_another_key_is_refused() {
    let broker = start();
    let message = "the token has a signature that its key did not make";
    let strange = sign_with(&Header::default(), &claims(&json!({})), b"another secret of thirty-two octets");
    assert_eq!(objection(&broker, &strange), message);
    let token = sign(&claims(&json!({"fanwire":{}})));
    let [header, _, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let more = URL_SAFE_NO_PAD.encode(claims(&json!({})).to_string());
    assert_eq!(objection(&broker, &format!("{header}.{more}.{signature}")), message);
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_tokens_to_choose() {
    // The public key of the operator is known to everybody. If a token could choose, it would be a secret that signs.
    let file = TemporaryFile::new("swapped", RSA_PUBLIC);
    let rsa = public_key(Some("rsa"), KeyAlgorithm::Rs256, &file);
    let broker = start_with(|config| config.auth.keys = vec![rsa]);
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let header = Header { kid: Some("rsa".to_owned()), ..Header::new(Algorithm::RS256) };
    let good = jsonwebtoken::encode(&header, &claims(&json!({})), &key).unwrap();
    assert_eq!(get_with(&broker, &good).status, 404);
    for (kid, message) in [
        (Some("rsa"), "the token has another alg than the key that its kid names"),
        (None, "the token is signed with a key that is not known here"),
        (Some("other"), "the token is signed with a key that is not known here"),
    ] {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        let swapped = sign_with(&header, &claims(&json!({})), RSA_PUBLIC.as_bytes());
        assert_eq!(objection(&broker, &swapped), message, "{kid:?}");
    }
}

#[test]
fn a_kid_that_names_no_key_is_not_said_to_name_one() {
    // The key without a name may be the one that is meant, though not with this algorithm.
    let broker = start();
    let key = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let header = Header { kid: Some("other".to_owned()), ..Header::new(Algorithm::RS256) };
    let token = jsonwebtoken::encode(&header, &claims(&json!({})), &key).unwrap();
    assert_eq!(objection(&broker, &token), "the token is signed with a key that is not known here");
}

/// The last so many octets of a key in PEM, which are its numbers.
fn end_of(pem: &str, octets: usize) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let der = STANDARD.decode(body).unwrap();
    der[der.len() - octets..].to_vec()
}

#[test]
fn a_key_of_a_set_verifies_its_tokens_and_one_that_is_passed_over_is_not_known() {
    let point = end_of(EC_PUBLIC, 64);
    let [x, y, ed] = [&point[..32], &point[32..], &end_of(ED_PUBLIC, 32)].map(|n| URL_SAFE_NO_PAD.encode(n));
    let keys = json!({"keys":[
        {"kid":"rsa","kty":"RSA","n":RSA_MODULUS,"e":"AQAB"},
        {"kid":"encrypts","use":"enc","kty":"RSA","n":RSA_MODULUS,"e":"AQAB"},
        {"kid":"ec","kty":"EC","crv":"P-256","x":x,"y":y},
        {"kid":"ed","kty":"OKP","crv":"Ed25519","x":ed},
    ]});
    let file = TemporaryFile::new("of-each-kind", &keys.to_string());
    let source = KeySource::Jwks(file.path().into());
    let broker = start_with(|config| config.auth.keys = vec![KeyConfig { id: None, source }]);
    let rsa = EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap();
    let token = |kid: &str, algorithm, key: &EncodingKey| {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims(&json!({})), key).unwrap()
    };
    for (kid, algorithm, key) in [
        ("rsa", Algorithm::RS256, &rsa),
        ("ec", Algorithm::ES256, &EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap()),
        ("ed", Algorithm::EdDSA, &EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap()),
    ] {
        assert_eq!(get_with(&broker, &token(kid, algorithm, key)).status, 404, "{kid}");
    }
    let objection = objection(&broker, &token("encrypts", Algorithm::RS256, &rsa));
    assert_eq!(objection, "the token is signed with a key that is not known here");
}

fn public_key(id: Option<&str>, algorithm: KeyAlgorithm, file: &TemporaryFile) -> KeyConfig {
    let source = KeySource::PublicKey { algorithm, path: file.path().into() };
    KeyConfig { id: id.map(str::to_owned), source }
}

#[test]
fn a_token_of_each_algorithm_holds_with_its_key_and_with_no_other() {
    let files = [
        ("rsa", KeyAlgorithm::Rs256, TemporaryFile::new("rsa", RSA_PUBLIC)),
        ("ec", KeyAlgorithm::Es256, TemporaryFile::new("ec", EC_PUBLIC)),
        ("ed", KeyAlgorithm::EdDsa, TemporaryFile::new("ed", ED_PUBLIC)),
    ];
    let keys = [
        ("rsa", Algorithm::RS256, EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).unwrap()),
        ("ec", Algorithm::ES256, EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).unwrap()),
        ("ed", Algorithm::EdDSA, EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).unwrap()),
    ];
    let sign = |kid: Option<&str>, (_, algorithm, key): &(&str, Algorithm, EncodingKey)| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(*algorithm) };
        jsonwebtoken::encode(&header, &claims(&json!({})), key).unwrap()
    };
    for (name, algorithm, file) in &files {
        let broker = start_with(|config| config.auth.keys = vec![public_key(None, *algorithm, file)]);
        for key in &keys {
            let status = get_with(&broker, &sign(None, key)).status;
            assert_eq!(status, if key.0 == *name { 404 } else { 401 }, "{name} {}", key.0);
        }
    }
    let named = files.iter().map(|(name, algorithm, file)| public_key(Some(name), *algorithm, file));
    let broker = start_with(|config| config.auth.keys = named.collect());
    for key in &keys {
        for kid in [None, Some("rsa"), Some("ec"), Some("ed")] {
            let status = get_with(&broker, &sign(kid, key)).status;
            let is_its_own = kid.is_none_or(|kid| kid == key.0);
            assert_eq!(status, if is_its_own { 404 } else { 401 }, "{kid:?} {}", key.0);
        }
    }
}

#[test]
fn a_token_holds_from_its_nbf_to_its_exp_and_a_little_longer() {
    let broker = start();
    let now_s = now_s();
    for (further, message) in [
        (json!({"exp": now_s - 60}), "the token has expired"),
        (json!({"exp": 0}), "the token has expired"),
        (json!({"exp": -1.5}), "the token has expired"),
        (json!({"nbf": now_s + 60}), "the token is not valid yet"),
        (json!({"exp": null}), "the token has no exp"),
        (json!({"exp": "4000000000"}), "the token has a claim that is not of its type"),
        (json!({"nbf": "0"}), "the token has a claim that is not of its type"),
    ] {
        assert_eq!(objection(&broker, &sign(&claims(&further))), message, "{further}");
    }
    for further in [json!({"exp": now_s - 1}), json!({"nbf": now_s + 2}), json!({"exp": 1e300, "nbf": -7})] {
        assert_eq!(get_with(&broker, &sign(&claims(&further))).status, 404, "{further}");
    }
}

#[test]
fn a_token_of_another_issuer_or_for_another_audience_is_refused() {
    let broker = start_with(|config| {
        config.auth.issuers = vec!["https://id.example.com".to_owned()];
        config.auth.audiences = vec!["feeds".to_owned(), "chat".to_owned()];
    });
    let iss = "https://id.example.com";
    for (further, message) in [
        (json!({"iss": "https://evil.example.com", "aud": "feeds"}), "another iss"),
        (json!({"aud": "feeds"}), "no iss"),
        (json!({"iss": iss, "aud": "mail"}), "another aud"),
        (json!({"iss": iss, "aud": ["mail", "Feeds"]}), "another aud"),
        (json!({"iss": iss, "aud": []}), "another aud"),
        (json!({"iss": iss}), "no aud"),
    ] {
        let said = objection(&broker, &sign(&claims(&further)));
        assert!(said.contains(message), "{said}");
    }
    for aud in [json!("chat"), json!(["mail", "feeds"])] {
        assert_eq!(get_with(&broker, &sign(&claims(&json!({"iss": iss, "aud": aud})))).status, 404);
    }
}

#[test]
fn a_token_that_says_something_strange_is_refused() {
    let broker = start();
    for (further, message) in [
        (json!({"sub": null}), "the token has no sub"),
        (json!({"sub": ""}), "the token has a sub that is not 1 to 255 octets without control characters"),
        (
            json!({"sub": "a\nb"}),
            "the token has a sub that is not 1 to 255 octets without control characters",
        ),
        (
            json!({"sub": "x".repeat(256)}),
            "the token has a sub that is not 1 to 255 octets without control characters",
        ),
        (json!({"sub": 7}), "the token has a claim that is not of its type"),
        (
            json!({"fanwire": {"subscribe": ["a..b"]}}),
            "the token grants something that is neither a topic nor a pattern",
        ),
        (
            json!({"fanwire": {"publish": ["$SYS.>"]}}),
            "the token grants something that is neither a topic nor a pattern",
        ),
        (json!({"fanwire": {"subscribe": "a"}}), "the token has a claim that is not of its type"),
    ] {
        assert_eq!(objection(&broker, &sign(&claims(&further))), message, "{further}");
    }
    for token in ["", "x", "a.b", "a.b.c", "....", "e30.e30.e30", "e30=.e30.e30", "\u{e9}.e30.AA"] {
        if !token.is_empty() {
            assert_eq!(objection(&broker, token), "the token is not a signed JWT", "{token}");
        }
    }
    for list in [json!(["alice", null, null, LATE]), json!({"sub":"alice","exp":LATE,"fanwire":[["a"]]})] {
        assert_eq!(
            objection(&broker, &sign(&list)),
            "the token has a claim that is not of its type",
            "{list}"
        );
    }
    let list = unsigned(&json!(["HS256"]), &claims(&json!({})));
    assert_eq!(objection(&broker, &format!("{list}.AAAA")), "the token is not a signed JWT");
    let critical = unsigned(&json!({"alg":"HS256","crit":["b64"],"b64":false}), &claims(&json!({})));
    assert!(objection(&broker, &format!("{critical}.AAAA")).contains("crit"));
    let twice = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","alg":"none"}"#);
    assert_eq!(objection(&broker, &format!("{twice}.e30.AAAA")), "the token is not a signed JWT");
    let endless = format!("e30.{}.AAAA", "A".repeat(8 * 1024));
    assert_eq!(objection(&broker, &endless), "the token has more than 8192 octets");
}

#[test]
fn a_bad_token_is_never_taken_for_none() {
    let everything = fanwire_broker::Permissions::everything();
    let broker = start_with(|config| config.auth.anonymous = Some((*everything).clone()));
    assert_eq!(ask(&broker, request("GET", "/topics/a", "", "")).status, 404, "anybody may look");
    assert_eq!(objection(&broker, "x"), "the token is not a signed JWT");
}

#[test]
fn the_figures_are_for_who_may_read_them() {
    let broker = start_with(|config| config.auth.metrics = MetricsAccess::Token);
    let get = |line: &str| ask(&broker, request("GET", "/metrics", line, "")).status;
    assert_eq!(get(""), 401);
    assert_eq!(get(&bearer(&alice(&[">"], &[">"]))), 403);
    let token = sign(&json!({"sub":"prometheus","exp":LATE,"fanwire":{"metrics":true}}));
    assert_eq!(get(&bearer(&token)), 200);
    let forged = sign_with(
        &Header::default(),
        &json!({"sub":"p","exp":LATE,"fanwire":{"metrics":true}}),
        &SECRET[1..],
    );
    assert_eq!(get(&bearer(&forged)), 401);
}
