//! Tokens for trying out.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use fanwire_broker::permissions::Grants;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::keys::{KeyError, read, secret_in};
use crate::config::{Algorithm, Secret};
use crate::process::{self, MISCONFIGURED};

/// A token that is to be signed.
#[derive(Debug)]
pub struct Mint {
    /// What it is signed with.
    pub key: SigningKey,
    /// What the key is called (`kid`).
    pub key_id: Option<String>,
    /// Who the client is (`sub`).
    pub subject: String,
    /// What it may read.
    pub subscribe: Grants,
    /// What it may publish to.
    pub publish: Grants,
    /// Whether it may read the figures.
    pub metrics: bool,
    /// How long it holds, in seconds.
    pub ttl_s: u64,
    /// Who issues it (`iss`).
    pub issuer: Option<String>,
    /// For whom it is (`aud`).
    pub audience: Option<String>,
}

/// What a token is signed with.
#[derive(Debug)]
pub enum SigningKey {
    /// A secret, for HS256.
    Secret(Secret),
    /// A file that has a secret, or a private key in PEM.
    File {
        /// What the key is for.
        algorithm: Algorithm,
        /// The file.
        path: PathBuf,
    },
}

impl Mint {
    /// The token, which holds from now on.
    pub fn sign(&self) -> Result<String, KeyError> {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (algorithm, key) = self.key.load()?;
        let header = Header { kid: self.key_id.clone(), ..Header::new(algorithm.into()) };
        jsonwebtoken::encode(&header, &self.claims(now_s), &key).map_err(|_| self.key.unusable())
    }

    /// Signs and prints it, and says how the process ends: with 0, or with 2 if it could not be signed, or with 1 if it
    /// could not be printed.
    pub fn print(&self) -> ExitCode {
        match self.sign() {
            Ok(token) => {
                if self.grants_nothing() {
                    process::complain(
                        &"this token allows nothing; --subscribe and --publish say what it may",
                    );
                }
                process::print(&format_args!("{token}\n"))
            }
            Err(error) => {
                process::complain(&error);
                ExitCode::from(MISCONFIGURED)
            }
        }
    }

    fn grants_nothing(&self) -> bool {
        self.subscribe.is_empty() && self.publish.is_empty() && !self.metrics
    }

    fn claims(&self, now_s: u64) -> Value {
        let list = |grants: &Grants| grants.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut claims = json!({
            "sub": self.subject,
            "iat": now_s,
            "exp": now_s.saturating_add(self.ttl_s),
            "fanwire": { "subscribe": list(&self.subscribe), "publish": list(&self.publish) },
        });
        for (name, value) in [("iss", &self.issuer), ("aud", &self.audience)] {
            if let Some(value) = value {
                claims[name] = value.as_str().into();
            }
        }
        if self.metrics {
            claims["fanwire"]["metrics"] = true.into();
        }
        claims
    }
}

impl SigningKey {
    fn load(&self) -> Result<(Algorithm, EncodingKey), KeyError> {
        let (algorithm, path) = match self {
            Self::Secret(secret) => return Ok((Algorithm::Hs256, EncodingKey::from_secret(secret.octets()))),
            Self::File { algorithm, path } => (*algorithm, path),
        };
        let key = match algorithm {
            Algorithm::Hs256 => Ok(EncodingKey::from_secret(secret_in(path, &read(path)?)?.octets())),
            Algorithm::Rs256 => EncodingKey::from_rsa_pem(&read(path)?),
            Algorithm::Es256 => EncodingKey::from_ec_pem(&read(path)?),
            Algorithm::EdDsa => EncodingKey::from_ed_pem(&read(path)?),
        };
        key.map(|key| (algorithm, key)).map_err(|_| self.unusable())
    }

    fn unusable(&self) -> KeyError {
        let (algorithm, path) = match self {
            Self::Secret(_) => (Algorithm::Hs256, PathBuf::new()),
            Self::File { algorithm, path } => (*algorithm, path.clone()),
        };
        KeyError::NotPrivate { path, algorithm }
    }
}
