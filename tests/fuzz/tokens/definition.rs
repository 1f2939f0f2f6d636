//! What it is for a token to hold, and for a key to be in a set, by their definition: slow, and one rule after the other.
#![expect(clippy::cast_precision_loss, reason = "what a date may be off by grows with it")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire::fuzzing::Bearer;
use jsonwebtoken::crypto;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::issuer::{ISSUERS, Issuer};
use crate::{AUDIENCES, ISSUER, LEEWAY_MS, NOW_MS};

/// What a date may be off by, in milliseconds: for being a fraction, and for having more digits than an `f64`.
fn rounding_ms(date_ms: f64) -> f64 {
    1.0 + 2.0 * f64::EPSILON * date_ms.abs()
}

/// The token that was taken is one that holds, and its bearer has what it claims and no more.
pub fn assert_holds(token: &str, bearer: &Bearer) {
    let (message, signature) = token.rsplit_once('.').expect("it has a signature");
    let (header, claims) = message.split_once('.').expect("it has claims");
    let (Some(header), Some(claims)) = (object(header), object(claims)) else { return };
    assert!(header.get("crit").is_none_or(Value::is_null), "{header}");
    assert!(is_signed(&header, message, signature), "nobody has signed {header} {claims}");
    assert_good_now(&claims, bearer);
    assert!(claims["iss"] == ISSUER && is_for_us(&claims["aud"]), "{claims}");
    assert_granted(&claims, bearer);
}

fn object(part: &str) -> Option<Value> {
    let octets = URL_SAFE_NO_PAD.decode(part).expect("base64url");
    let value = json(&octets)?;
    assert!(value.is_object(), "RFC 7519 §7.2: {value}");
    Some(value)
}

/// What was taken for JSON; `None` if there is a number in it, somewhere where nobody looks, that is too large for a [`Value`].
pub fn json(octets: &[u8]) -> Option<Value> {
    let text: &RawValue = serde_json::from_slice(octets).expect("it is JSON");
    serde_json::from_str(text.get()).ok()
}

/// Whether one of the keys that the header can mean has made the signature, by the algorithm that is its own.
fn is_signed(header: &Value, message: &str, signature: &str) -> bool {
    let id = header["kid"].as_str();
    let is_known = ISSUERS.iter().any(|issuer| id.is_some() && issuer.id == id);
    let is_meant = |issuer: &Issuer| match id {
        None => true,
        Some(_) if is_known => issuer.id == id,
        Some(_) => issuer.id.is_none(),
    };
    let has_signed = |issuer: &Issuer| {
        crypto::verify(signature, message.as_bytes(), &issuer.public, issuer.algorithm).is_ok_and(|has| has)
    };
    ISSUERS.iter().any(|issuer| header["alg"] == issuer.name() && is_meant(issuer) && has_signed(issuer))
}

fn assert_good_now(claims: &Value, bearer: &Bearer) {
    let milliseconds = |date: &Value| date.as_f64().expect("a date is a number") * 1000.0;
    let (now_ms, leeway_ms) = (NOW_MS as f64, LEEWAY_MS as f64);
    let latest = |date_ms: f64| date_ms + leeway_ms + rounding_ms(date_ms);
    let expires_ms = latest(milliseconds(&claims["exp"]));
    assert!(now_ms < expires_ms, "it has expired: {claims}");
    assert!(
        bearer.until_ms > NOW_MS && bearer.until_ms as f64 <= expires_ms.min(u64::MAX as f64),
        "{claims}"
    );
    if let Some(from) = claims.get("nbf").filter(|from| !from.is_null()) {
        assert!(milliseconds(from) <= latest(now_ms), "it does not hold yet: {claims}");
    }
}

fn is_for_us(audience: &Value) -> bool {
    let is_ours = |audience: &Value| AUDIENCES.iter().any(|ours| audience == ours);
    is_ours(audience) || audience.as_array().is_some_and(|several| several.iter().any(is_ours))
}

fn assert_granted(claims: &Value, bearer: &Bearer) {
    let permissions = &bearer.permissions;
    let identity = permissions.identity.as_deref().expect("a token is somebody's");
    assert!(claims["sub"] == identity && (1..=255).contains(&identity.len()), "{claims}");
    assert!(!identity.contains(char::is_control), "{claims}");
    let granted = &claims["fanwire"];
    assert_eq!(bearer.reads_metrics, granted["metrics"] == true, "{claims}");
    for (name, grants) in [("subscribe", &permissions.subscribe), ("publish", &permissions.publish)] {
        let none = Vec::new();
        let claimed = granted[name].as_array().unwrap_or(&none);
        let grants: Vec<_> = grants.iter().map(ToString::to_string).collect();
        assert!(*claimed == grants, "{claims} is taken for {grants:?}");
    }
}

/// Whether the key of a set is the issuer's, and may be used to sign tokens with.
pub fn is_in_set(key: &Value, issuer: &Issuer) -> bool {
    let is_its = |name: &str| key[name] == issuer.jwk[name];
    let same = |names: &[&str]| octets(key, names).is_some_and(|octets| octets == its_octets(issuer, names));
    let may_sign = key["use"] != "enc";
    let algorithm_fits = key["alg"] == issuer.name() || (key["alg"].is_null() && key["kty"] != "oct");
    let parts_fit = match issuer.name() {
        "HS256" => same(&["k"]),
        "RS256" => same(&["n"]) && same(&["e"]),
        "ES256" => is_its("crv") && same(&["x", "y"]),
        _ => is_its("crv") && same(&["x"]),
    };
    is_its("kty") && may_sign && algorithm_fits && parts_fit
}

fn its_octets(issuer: &Issuer, names: &[&str]) -> Vec<u8> {
    octets(&issuer.jwk, names).expect("the keys are good")
}

/// The octets of the parts, one behind the other. Zeros in front do not make another number.
fn octets(key: &Value, names: &[&str]) -> Option<Vec<u8>> {
    let parts = names.iter().map(|name| URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok());
    let octets = parts.collect::<Option<Vec<_>>>()?.concat();
    Some(octets.into_iter().skip_while(|octet| *octet == 0).collect())
}
