//! Who clients are, as the operator decides it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use fanwire_broker::permissions::{Grants, Permissions};

use super::subject::Subject;
use super::units::{BadValue, Period};
use super::written::{text, texts};

/// How it is told who clients are.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// What tokens are signed with.
    pub keys: Vec<KeyConfig>,
    /// Who is known by its certificate. Without these and without keys every client may do everything.
    pub clients: Vec<CertifiedClient>,
    /// Who may issue tokens (`iss`); anybody, if empty.
    pub issuers: Vec<String>,
    /// For whom they may be (`aud`); for anybody, if empty.
    pub audiences: Vec<String>,
    /// What the clocks of issuers may differ by, in milliseconds.
    pub leeway_ms: u64,
    /// How long a client whose token has expired may take to send another, in milliseconds.
    pub grace_ms: u64,
    /// The name of the cookie that may be a token.
    pub cookie: Option<String>,
    /// What a client may do that is not known: unless it is said, nothing where somebody could be, and everything elsewhere.
    pub anonymous: Option<Permissions>,
    /// Who may read the figures.
    pub metrics: MetricsAccess,
}

/// A client that is known by its certificate, and what it may do.
#[derive(Clone, Debug)]
pub struct CertifiedClient {
    /// The certificate's subject, which is the client's name.
    pub subject: Subject,
    /// What it may read.
    pub subscribe: Grants,
    /// What it may publish to.
    pub publish: Grants,
    /// Whether it may read the figures.
    pub metrics: bool,
}

/// One key, or a file of several.
#[derive(Clone, Debug)]
pub struct KeyConfig {
    /// The `kid` of the tokens that it is for. A set names its own.
    pub id: Option<String>,
    /// Where it comes from.
    pub source: KeySource,
}

/// Where a key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// A secret for HS256.
    Secret(Secret),
    /// A file that is one.
    SecretFile(PathBuf),
    /// A public key in PEM.
    PublicKey {
        /// What it is for.
        algorithm: Algorithm,
        /// The file.
        path: PathBuf,
    },
    /// A set of keys (RFC 7517 §5).
    Jwks(PathBuf),
}

/// How tokens are signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: whoever can verify can sign.
    Hs256,
    /// RSA with SHA-256.
    Rs256,
    /// ECDSA on P-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// A secret that tokens are signed with. It shows nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// Why octets are no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadSecret {
    /// They could be guessed.
    Short,
    /// They are a key in PEM. A public one is no secret, and whoever took it for one could sign with it.
    Pem,
}

/// Who may read the figures of a broker that asks who clients are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Who has a token that says so, or a certificate of which it is said.
    #[default]
    Token,
    /// Everybody.
    Open,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            clients: Vec::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            // Clocks that are set by NTP differ by much less.
            leeway_ms: 5_000,
            // Enough to fetch a token over a slow line, and not much more than that.
            grace_ms: 10_000,
            cookie: None,
            anonymous: None,
            metrics: MetricsAccess::default(),
        }
    }
}

impl AuthConfig {
    /// Whether there are tokens that hold.
    pub fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether it matters who clients are.
    pub fn asks_clients(&self) -> bool {
        self.has_keys() || !self.clients.is_empty()
    }
}

impl KeySource {
    /// The file that it comes from, if it does not stand in the configuration.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Secret(_) => None,
            Self::SecretFile(path) | Self::PublicKey { path, .. } | Self::Jwks(path) => Some(path),
        }
    }
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Hs256, Self::Rs256, Self::Es256, Self::EdDsa];

    /// The algorithm that is called this in the header of a token.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// What it is called there.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        Self::of_name(text).ok_or_else(|| BadValue::new(text, "HS256, RS256, ES256 or EdDSA"))
    }
}

impl Secret {
    /// Shorter ones could be guessed from a single token (RFC 7518 §3.2).
    pub const LEAST_BYTES: usize = 32;

    /// What a file in PEM has, which is for something else (RFC 7468 §2).
    const PEM: &[u8] = b"-----BEGIN";

    /// The octets as a secret, if they can be one.
    pub fn new(octets: &[u8]) -> Result<Self, BadSecret> {
        if octets.windows(Self::PEM.len()).any(|window| window == Self::PEM) {
            return Err(BadSecret::Pem);
        }
        if octets.len() < Self::LEAST_BYTES {
            return Err(BadSecret::Short);
        }
        Ok(Self(octets.into()))
    }

    /// What a file holds as a secret: editors and `echo` end the line, which is no part of it.
    pub fn in_file(octets: &[u8]) -> Result<Self, BadSecret> {
        let line = octets.strip_suffix(b"\n").unwrap_or(octets);
        Self::new(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The octets.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

impl fmt::Display for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[auth]")?;
        for (name, list) in [("issuer", &self.issuers), ("audience", &self.audiences)] {
            if !list.is_empty() {
                writeln!(f, "{name} = {}", texts(list))?;
            }
        }
        writeln!(f, "leeway = \"{}\"", Period(self.leeway_ms))?;
        writeln!(f, "grace = \"{}\"", Period(self.grace_ms))?;
        writeln!(f, "metrics = \"{}\"", self.metrics)?;
        if let Some(cookie) = &self.cookie {
            writeln!(f, "cookie = {}", text(cookie))?;
        }
        if let Some(Permissions { subscribe, publish, .. }) = &self.anonymous {
            writeln!(
                f,
                "\n[auth.anonymous]\nsubscribe = {}\npublish = {}",
                texts(subscribe.iter()),
                texts(publish.iter())
            )?;
        }
        self.keys.iter().try_for_each(|key| write!(f, "\n[[auth.keys]]\n{key}"))?;
        self.clients.iter().try_for_each(|client| write!(f, "\n[[auth.clients]]\n{client}"))
    }
}

impl fmt::Display for CertifiedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subject = {}", text(&self.subject))?;
        writeln!(f, "subscribe = {}", texts(self.subscribe.iter()))?;
        writeln!(f, "publish = {}", texts(self.publish.iter()))?;
        writeln!(f, "metrics = {}", self.metrics)
    }
}

impl fmt::Display for KeyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(id) = &self.id {
            writeln!(f, "id = {}", text(id))?;
        }
        match &self.source {
            // Too short to be taken for one, should somebody use it.
            KeySource::Secret(_) => writeln!(f, "algorithm = \"HS256\"\nsecret = \"(not shown)\""),
            KeySource::SecretFile(path) => {
                writeln!(f, "algorithm = \"HS256\"\nsecret_file = {}", text(path.display()))
            }
            KeySource::PublicKey { algorithm, path } => {
                writeln!(f, "algorithm = \"{algorithm}\"\npublic_key = {}", text(path.display()))
            }
            KeySource::Jwks(path) => writeln!(f, "jwks = {}", text(path.display())),
        }
    }
}
