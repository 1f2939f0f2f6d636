//! Public keys, if what they are for can be verified with them.
//!
//! The library that verifies looks at a key's curve, size and exponent with each signature, and says of all no more than that it
//! does not verify. So they are looked at here, where somebody can be told.

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

/// How long the exponent of RSA may be that is verified with, in bits: the library refuses longer ones, which would take long.
const MAX_EXPONENT_BITS: u32 = 33;

/// The key of a file in PEM. That the exponent of RSA is one is seen when its modulus is looked at.
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
        AlgorithmParameters::RSA(parameters) => is_rsa(&number(&parameters.n)?, &number(&parameters.e)?),
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

/// Whether these are a modulus and an exponent, of which both are odd: the one is a product of odd primes, and the other has no
/// factor of what is one less than each of them (RFC 8017 §3.1).
fn is_rsa(modulus: &[u8], exponent: &[u8]) -> bool {
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let exponent_fits = (2..=MAX_EXPONENT_BITS).contains(&bits(exponent));
    RSA_BITS.contains(&bits(modulus)) && exponent_fits && is_odd(modulus) && is_odd(exponent)
}

/// A number in base64url. One that begins with zeros is none (RFC 7518 §6.3.1.1), and is not verified with.
fn number(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok().filter(|octets| octets.first().is_some_and(|first| *first != 0))
}

/// How long a number is that does not begin with zeros.
fn bits(number: &[u8]) -> u32 {
    let zeros = number.first().map_or(0, |first| first.leading_zeros());
    u32::try_from(number.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(zeros)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ASN.1 value of 1 to 127 octets, or 256 and more (X.690 §8.1.3).
    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
        let length = if high == 0 { vec![low] } else { vec![0x82, high, low] };
        [&[tag], &length[..], content].concat()
    }

    /// Whether the library, which is given the same numbers in another form (RFC 8017 §A.1.1), takes them for a key.
    fn is_rsa_to_library(modulus: &[u8], exponent: &[u8]) -> bool {
        let integer = |number: &[u8]| der(2, &[&[0], number].concat()[usize::from(number[0] < 0x80)..]);
        let key = der(0x30, &[integer(modulus), integer(exponent)].concat());
        RsaParameters::public_modulus_len(&key).is_ok_and(|bits| RSA_BITS.contains(&bits))
    }

    #[test]
    fn numbers_are_an_rsa_key_where_the_library_takes_them_for_one() {
        let odd = |octets: usize| [vec![0xc5; octets - 1], vec![1]].concat();
        let even = [vec![0xc5; 255], vec![2]].concat();
        for (modulus, exponent, expected) in [
            (odd(256), &[1, 0, 1][..], true),
            (odd(1024), &[3], true),
            (odd(256), &[1, 0, 0, 0, 1], true),
            (odd(256), &[2, 0, 0, 0, 1], false),
            (odd(256), &[1, 0, 0, 0, 0, 1], false),
            (odd(256), &[1], false),
            (odd(256), &[2], false),
            (odd(256), &[1, 0, 0], false),
            (even, &[1, 0, 1], false),
            (odd(255), &[1, 0, 1], false),
            (odd(1025), &[1, 0, 1], false),
        ] {
            let bits = bits(&modulus);
            assert_eq!(is_rsa(&modulus, exponent), expected, "{bits} bits, {exponent:?}");
            assert_eq!(is_rsa_to_library(&modulus, exponent), expected, "{bits} bits, {exponent:?}");
        }
    }

    #[test]
    fn a_number_is_written_without_zeros_in_front() {
        assert_eq!(number("AQAB"), Some(vec![1, 0, 1]));
        for none in ["", "AA", "AAEAAQ", "AQAB=", "%"] {
            assert_eq!(number(none), None, "{none}");
        }
    }
}
