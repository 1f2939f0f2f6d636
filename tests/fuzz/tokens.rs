//! Tokens and sets of keys out of arbitrary octets, and tokens that are signed to order.
//!
//! | an input begins with | and goes on with |
//! |---|---|
//! | `t` | a token |
//! | `s` | one octet that chooses who signs, a header, a line feed, claims |
//! | `k` | a set of keys |
//! | `o` | what an [`Order`] is made of |
#![no_main]

#[path = "tokens/definition.rs"]
mod definition;
#[path = "tokens/issuer.rs"]
mod issuer;
#[expect(dead_code, reason = "the tests write sets of them too")]
#[path = "../integration/identity/keys.rs"]
mod keys;
#[path = "tokens/order.rs"]
mod order;

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::{Arbitrary, Unstructured};
use fanwire::config::{AuthConfig, KeyConfig, KeySource};
use fanwire::fuzzing::Tokens;
use libfuzzer_sys::fuzz_target;

use definition::{assert_holds, is_in_set, json};
use issuer::{FILE_OF_SET, ISSUERS, Issuer, file, signed};
use order::Order;

/// When all of this happens, in seconds since 1970.
const NOW_S: u64 = 1_800_000_000;
const NOW_MS: u64 = NOW_S * 1000;

/// What clocks may differ by.
const LEEWAY_MS: u64 = 5_000;

const ISSUER: &str = "issuer";
const AUDIENCES: [&str; 2] = ["here", "there"];

/// A broker that takes the tokens of all issuers.
static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let keys = ISSUERS.iter().map(Issuer::as_configured).collect();
    Tokens::new(configured(keys), file).expect("the keys are good")
});

/// A good token of each issuer that names no key.
static GOOD: LazyLock<Vec<String>> = LazyLock::new(|| {
    let sign = |issuer: &Issuer| {
        let header = format!(r#"{{"alg":"{}"}}"#, issuer.name());
        let claims = format!(r#"{{"sub":"alice","exp":{},"iss":"{ISSUER}","aud":"here"}}"#, NOW_S + 60);
        signed(&header, &claims, issuer)
    };
    ISSUERS.iter().map(sign).collect()
});

fn configured(keys: Vec<KeyConfig>) -> AuthConfig {
    AuthConfig {
        keys,
        issuers: vec![ISSUER.to_owned()],
        audiences: AUDIENCES.map(str::to_owned).to_vec(),
        leeway_ms: LEEWAY_MS,
        ..AuthConfig::default()
    }
}

fuzz_target!(|octets: &[u8]| {
    let Some((kind, rest)) = octets.split_first() else { return };
    match kind {
        b't' => text(rest),
        b's' => written(rest),
        b'k' => set(rest),
        b'o' => ordered(rest),
        _ => {}
    }
});

/// A token as it came. If it holds, it is one that holds by definition.
fn text(octets: &[u8]) {
    let Ok(token) = str::from_utf8(octets) else { return };
    verified(token);
}

fn verified(token: &str) -> bool {
    match TOKENS.bearer_of(token, NOW_MS) {
        Ok(bearer) => {
            assert_holds(token, &bearer);
            true
        }
        Err(message) => {
            // What has a blank in it is a sentence.
            let may_be_said = token.len() < 16 || token.contains(' ');
            assert!(!message.is_empty() && (may_be_said || !message.contains(token)));
            false
        }
    }
}

/// A token with whatever header and claims, which an issuer has signed.
fn written(octets: &[u8]) {
    let Some((choice, rest)) = octets.split_first() else { return };
    let Ok(rest) = str::from_utf8(rest) else { return };
    let (header, claims) = rest.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, rest));
    verified(&signed(header, claims, &ISSUERS[usize::from(*choice) % ISSUERS.len()]));
}

/// The keys of a set are those that are in it: a token holds with them only if its issuer's is.
fn set(octets: &[u8]) {
    let key = KeyConfig { id: None, source: KeySource::Jwks(FILE_OF_SET.into()) };
    let Ok(tokens) = Tokens::new(configured(vec![key]), |_: &Path| octets.to_vec()) else { return };
    let Some(set) = json(octets) else { return };
    let keys = set["keys"].as_array().expect("a set has a list of keys");
    for (issuer, token) in ISSUERS.iter().zip(GOOD.iter()) {
        if tokens.bearer_of(token, NOW_MS).is_ok() {
            assert!(keys.iter().any(|key| is_in_set(key, issuer)), "{} has no key in {set}", issuer.name());
        }
    }
}

/// A token holds exactly if its order says that it does.
fn ordered(octets: &[u8]) {
    let Ok(order) = Order::arbitrary(&mut Unstructured::new(octets)) else { return };
    let token = order.token();
    assert_eq!(verified(&token), order.holds(&token), "{order:?} is {token}");
}
