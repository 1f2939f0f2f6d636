//! The keys that tokens are signed with, and where they come from.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm as JwtAlgorithm, DecodingKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::public_key::{self, RSA_BITS};
use super::token::{TokenError, object};
use crate::config::{Algorithm, BadSecret, KeyConfig, KeySource, Secret};

/// The keys of a broker.
#[derive(Debug, Default)]
pub(crate) struct KeyRing(Vec<Key>);

/// One key. Its algorithm is a part of it: a token cannot choose another.
#[derive(Debug)]
pub(crate) struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    verifier: DecodingKey,
}

/// Why keys cannot be had.
#[derive(Debug)]
pub enum KeyError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file does not have a public key for the algorithm.
    NotPem {
        /// The file.
        path: PathBuf,
        /// What the key is to be for.
        algorithm: Algorithm,
    },
    /// The file has a key on another curve than P-256.
    OtherCurve {
        /// The file.
        path: PathBuf,
    },
    /// The file has an RSA key that is too small or too large.
    RsaSize {
        /// The file.
        path: PathBuf,
        /// The size of its modulus.
        bits: u32,
    },
    /// The file does not have a private key for the algorithm.
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// What the key is to be for.
        algorithm: Algorithm,
    },
    /// The file does not have a secret.
    NotSecret {
        /// The file.
        path: PathBuf,
        /// Why what it has is none.
        problem: BadSecret,
    },
    /// The file is not a set of keys (RFC 7517 §5).
    NotJwks {
        /// The file.
        path: PathBuf,
    },
    /// The file is one, and no key in it can verify a token here.
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "cannot read the key in {}: {error}", path.display())
            }
            Self::NotPem { path, algorithm } => {
                write!(f, "{} is not a public key for {algorithm} in PEM (BEGIN PUBLIC KEY)", path.display())
            }
            Self::OtherCurve { path } => {
                write!(
                    f,
                    "{} has a key on another curve than P-256, which ES256 is made with",
                    path.display()
                )
            }
            Self::RsaSize { path, bits } => write!(
                f,
                "{} has an RSA key of {bits} bits; RS256 is verified with {} to {}",
                path.display(),
                RSA_BITS.start(),
                RSA_BITS.end()
            ),
            Self::NotPrivate { path, algorithm } => {
                write!(
                    f,
                    "{} is not a private key for {algorithm} in PEM (BEGIN PRIVATE KEY)",
                    path.display()
                )
            }
            Self::NotSecret { path, problem: BadSecret::Short } => {
                let least = Secret::LEAST_BYTES;
                write!(f, "the secret in {} has less than {least} octets; use random ones", path.display())
            }
            Self::NotSecret { path, problem: BadSecret::Pem } => write!(
                f,
                "{} is a PEM file and no secret; say which algorithm its key is for (RS256, ES256 or EdDSA), beside \
                 public_key in the configuration, or to fanwire token, such as --algorithm ES256",
                path.display()
            ),
            Self::NotJwks { path } => {
                write!(f, "{} is not a set of keys: {{\"keys\": [...]}} (RFC 7517)", path.display())
            }
            Self::NoKey { path } => write!(
                f,
                "{} has no key that could verify a token: oct with alg HS256 and {} octets or more, RSA with {} to {} \
                 bits and an odd exponent of 3 or more, EC with P-256, or OKP with Ed25519",
                path.display(),
                Secret::LEAST_BYTES,
                RSA_BITS.start(),
                RSA_BITS.end()
            ),
        }
    }
}

impl Error for KeyError {}

impl KeyRing {
    /// The keys, of which those in files are what `read` finds there.
    pub(crate) fn load(
        configured: &[KeyConfig],
        read: impl Fn(&Path) -> Result<Vec<u8>, KeyError>,
    ) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for KeyConfig { id, source } in configured {
            let id = id.clone();
            match source {
                KeySource::Secret(secret) => keys.push(Key::of_secret(id, secret)),
                KeySource::SecretFile(path) => {
                    keys.push(Key::of_secret(id, &secret_in(path, &read(path)?)?));
                }
                KeySource::PublicKey { algorithm, path } => {
                    keys.push(Key::in_pem(id, *algorithm, path, &read(path)?)?);
                }
                KeySource::Jwks(path) => keys.extend(keys_in_set(path, &read(path)?)?),
            }
        }
        Ok(Self(keys))
    }

    /// The keys that may have signed a token with this header: those that its `kid` names, or else those that have no
    /// name. Of a token that names none, all that have its algorithm.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<impl Iterator<Item = &Key>, TokenError> {
        if self.0.is_empty() {
            return Err(TokenError::NoKeys);
        }
        let named: Vec<&Key> = self.0.iter().filter(|key| id.is_some() && key.id.as_deref() == id).collect();
        let is_named = !named.is_empty();
        let mut candidates = match id {
            Some(_) if is_named => named,
            Some(_) => self.0.iter().filter(|key| key.id.is_none()).collect(),
            None => self.0.iter().collect(),
        };
        candidates.retain(|key| key.algorithm == algorithm);
        match candidates.is_empty() {
            true if is_named => Err(TokenError::WrongAlgorithm),
            true => Err(TokenError::UnknownKey),
            false => Ok(candidates.into_iter()),
        }
    }
}

impl Key {
    /// Whether the key has made this signature, which is in base64url.
    pub(super) fn has_signed(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.verifier, self.algorithm.into()).unwrap_or(false)
    }

    fn of_secret(id: Option<String>, secret: &Secret) -> Self {
        Self { id, algorithm: Algorithm::Hs256, verifier: DecodingKey::from_secret(secret.octets()) }
    }

    fn in_pem(id: Option<String>, algorithm: Algorithm, path: &Path, pem: &[u8]) -> Result<Self, KeyError> {
        let verifier = public_key::in_pem(algorithm, path, pem)?;
        Ok(Self { id, algorithm, verifier })
    }

    /// The key of a set, if it is one that tokens here can be signed with.
    fn in_set(json: &str) -> Option<Self> {
        let jwk: Jwk = serde_json::from_str(json).ok()?;
        let is_for_tokens = !matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption));
        let algorithm = algorithm_of(&jwk).filter(|_| is_for_tokens)?;
        Some(Self { id: jwk.common.key_id.clone(), algorithm, verifier: public_key::in_set(&jwk)? })
    }
}

/// What a key of a set is for: by its type, which must not be another than it says. A secret must say, and be long enough to be
/// one.
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    let by_type = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => Algorithm::Rs256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::Es256,
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDsa,
        AlgorithmParameters::OctetKey(key) if jwk.common.key_algorithm.is_some() => {
            let octets = URL_SAFE_NO_PAD.decode(&key.value).ok()?;
            Secret::new(&octets).ok().map(|_| Algorithm::Hs256)?
        }
        _ => return None,
    };
    let said = match jwk.common.key_algorithm {
        None => by_type,
        Some(KeyAlgorithm::HS256) => Algorithm::Hs256,
        Some(KeyAlgorithm::RS256) => Algorithm::Rs256,
        Some(KeyAlgorithm::ES256) => Algorithm::Es256,
        Some(KeyAlgorithm::EdDSA) => Algorithm::EdDsa,
        Some(_) => return None,
    };
    (said == by_type).then_some(by_type)
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// The keys of a set that can be used. Others are for something else, and are not in the way.
fn keys_in_set(path: &Path, octets: &[u8]) -> Result<Vec<Key>, KeyError> {
    let set: Set<'_> = object(octets).ok_or_else(|| KeyError::NotJwks { path: path.to_owned() })?;
    let keys: Vec<_> = set.keys.iter().filter_map(|json| Key::in_set(json.get())).collect();
    if keys.is_empty() { Err(KeyError::NoKey { path: path.to_owned() }) } else { Ok(keys) }
}

pub(super) fn secret_in(path: &Path, octets: &[u8]) -> Result<Secret, KeyError> {
    Secret::in_file(octets).map_err(|problem| KeyError::NotSecret { path: path.to_owned(), problem })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    fs::read(path).map_err(|error| KeyError::Unreadable { path: path.to_owned(), error })
}

impl From<Algorithm> for JwtAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Hs256 => Self::HS256,
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Es256 => Self::ES256,
            Algorithm::EdDsa => Self::EdDSA,
        }
    }
}
