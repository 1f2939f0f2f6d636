//! Who signs tokens.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fanwire::config::{Algorithm as Configured, KeyConfig, KeySource, Secret};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, crypto};
use serde_json::Value;

use crate::keys::{EC_PRIVATE, EC_PUBLIC, ED_PRIVATE, ED_PUBLIC, RSA_PRIVATE, RSA_PUBLIC};

const SECRET: &[u8] = b"a secret of the fuzz target alone";
const NAMED_SECRET: &[u8] = b"another secret of the fuzz target";

/// What the files with public keys are called; their octets are [`file`]'s to say.
const RSA_FILE: &str = "rsa.pem";
const EC_FILE: &str = "ec.pem";
const ED_FILE: &str = "ed.pem";

/// What the file with a set of keys is called.
pub const FILE_OF_SET: &str = "set.json";

/// Somebody whose tokens the broker takes.
pub struct Issuer {
    /// What its key is called.
    pub id: Option<&'static str>,
    /// What its key is for.
    pub algorithm: Algorithm,
    source: KeySource,
    private: EncodingKey,
    /// What its signatures are known by.
    pub public: DecodingKey,
    /// Its key as one of a set: the secret one, but of its public parts only these are looked at.
    pub jwk: Value,
}

/// All of them: two with secrets, of which one has a name, and one for each other algorithm.
pub static ISSUERS: LazyLock<Vec<Issuer>> = LazyLock::new(|| {
    let good = "the keys are good";
    let rsa = (
        EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes()).expect(good),
        DecodingKey::from_rsa_pem(RSA_PUBLIC.as_bytes()).expect(good),
    );
    let ec = (
        EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes()).expect(good),
        DecodingKey::from_ec_pem(EC_PUBLIC.as_bytes()).expect(good),
    );
    let ed = (
        EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes()).expect(good),
        DecodingKey::from_ed_pem(ED_PUBLIC.as_bytes()).expect(good),
    );
    vec![
        Issuer::with_secret(None, SECRET),
        Issuer::with_secret(Some("named"), NAMED_SECRET),
        Issuer::with_pair("rsa", Algorithm::RS256, public(Configured::Rs256, RSA_FILE), rsa),
        Issuer::with_pair("ec", Algorithm::ES256, public(Configured::Es256, EC_FILE), ec),
        Issuer::with_pair("ed", Algorithm::EdDSA, public(Configured::EdDsa, ED_FILE), ed),
    ]
});

fn public(algorithm: Configured, path: &str) -> KeySource {
    KeySource::PublicKey { algorithm, path: path.into() }
}

/// What the files of public keys hold.
pub fn file(path: &Path) -> Vec<u8> {
    let pem = match path.to_str() {
        Some(RSA_FILE) => RSA_PUBLIC,
        Some(EC_FILE) => EC_PUBLIC,
        _ => ED_PUBLIC,
    };
    pem.into()
}

impl Issuer {
    fn with_secret(id: Option<&'static str>, secret: &[u8]) -> Self {
        let private = EncodingKey::from_secret(secret);
        let source = KeySource::Secret(Secret::new(secret).expect("it is long enough"));
        Self::new(id, Algorithm::HS256, source, (private, DecodingKey::from_secret(secret)))
    }

    fn with_pair(
        id: &'static str,
        algorithm: Algorithm,
        source: KeySource,
        pair: (EncodingKey, DecodingKey),
    ) -> Self {
        Self::new(Some(id), algorithm, source, pair)
    }

    fn new(
        id: Option<&'static str>,
        algorithm: Algorithm,
        source: KeySource,
        (private, public): (EncodingKey, DecodingKey),
    ) -> Self {
        let jwk = Jwk::from_encoding_key(&private, algorithm).expect("the keys are good");
        let jwk = serde_json::to_value(jwk).expect("a key is JSON");
        Self { id, algorithm, source, private, public, jwk }
    }

    /// The key as the broker is told it.
    pub fn as_configured(&self) -> KeyConfig {
        KeyConfig { id: self.id.map(str::to_owned), source: self.source.clone() }
    }

    /// What its algorithm is called.
    pub fn name(&self) -> &'static str {
        match self.algorithm {
            Algorithm::RS256 => "RS256",
            Algorithm::ES256 => "ES256",
            Algorithm::EdDSA => "EdDSA",
            _ => "HS256",
        }
    }

    /// Its signature, in base64url.
    pub fn sign(&self, message: &str) -> String {
        crypto::sign(message.as_bytes(), &self.private, self.algorithm).expect("the keys are good")
    }
}

/// A token with this header and these claims.
pub fn signed(header: &str, claims: &str, issuer: &Issuer) -> String {
    let message = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = issuer.sign(&message);
    format!("{message}.{signature}")
}
