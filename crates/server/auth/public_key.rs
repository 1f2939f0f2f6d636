//! Public keys, if what they are for can be verified with them.
//!
//! The library that verifies looks at a key's curve and size with each signature, and says of both no more than that it does not
//! verify. So they are looked at here, where somebody can be told.

use std::ops::RangeInclusive;
use std::path::Path;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RsaParameters, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};

use super::KeyError;
use crate::config::Algorithm;

/// The moduli of RSA that are taken, in bits: smaller ones are too weak (RFC 7518 §3.3), and larger ones are none that the
/// library verifies with.
pub(super) const RSA_BITS: RangeInclusive<u32> = 2048..=8192;

/// The key of a file in PEM.
pub(super) fn in_pem(algorithm: Algorithm, path: &Path, pem: &[u8]) -> Result<DecodingKey, KeyError> {
    let not_pem = || KeyError::NotPem { path: path.to_owned(), algorithm };
    let key = match algorithm {
        Algorithm::Hs256 => return Err(not_pem()),
        Algorithm::Rs256 => DecodingKey::from_rsa_pem(pem),
        Algorithm::Es256 => DecodingKey::from_ec_pem(pem),
        Algorithm::EdDsa => DecodingKey::from_ed_pem(pem),
    };
    let key = key.map_err(|_| not_pem())?;
    let octets = key.try_get_as_bytes().map_err(|_| not_pem())?;
    match algorithm {
        Algorithm::Rs256 => {
            let bits = RsaParameters::public_modulus_len(octets).map_err(|_| not_pem())?;
            if !RSA_BITS.contains(&bits) {
                return Err(KeyError::RsaSize { path: path.to_owned(), bits });
            }
        }
        Algorithm::Es256 if !is_key_for(&ECDSA_P256_SHA256_FIXED, octets) => {
            return Err(KeyError::OtherCurve { path: path.to_owned() });
        }
        Algorithm::EdDsa if !is_key_for(&ED25519, octets) => return Err(not_pem()),
        Algorithm::Hs256 | Algorithm::Es256 | Algorithm::EdDsa => {}
    }
    Ok(key)
}

/// The key of a set, which may be a secret.
pub(super) fn in_set(jwk: &Jwk) -> Option<DecodingKey> {
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let is_fit = match &jwk.algorithm {
        AlgorithmParameters::RSA(parameters) => RSA_BITS.contains(&modulus_bits(&parameters.n)?),
        AlgorithmParameters::EllipticCurve(_) => {
            is_key_for(&ECDSA_P256_SHA256_FIXED, key.try_get_as_bytes().ok()?)
        }
        AlgorithmParameters::OctetKeyPair(_) => is_key_for(&ED25519, key.try_get_as_bytes().ok()?),
        _ => true,
    };
    is_fit.then_some(key)
}

fn is_key_for(algorithm: &'static dyn VerificationAlgorithm, octets: &[u8]) -> bool {
    ParsedPublicKey::new(algorithm, octets).is_ok()
}

/// The size of a modulus in base64url. One that begins with zeros is none (RFC 7518 §6.3.1.1), and is not verified with.
fn modulus_bits(modulus: &str) -> Option<u32> {
    let octets = URL_SAFE_NO_PAD.decode(modulus).ok()?;
    let first = octets.first().filter(|first| **first != 0)?;
    u32::try_from(octets.len() * 8).ok().map(|bits| bits - first.leading_zeros())
}
