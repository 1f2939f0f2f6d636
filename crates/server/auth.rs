//! Who clients are, and what they may do.
//!
//! ```text
//!   request ─► credentials ─► token ─► keys (has one of them signed it?) ─► claims (do they hold?) ─► Client
//!                        └─► no token ─► certificate (is it in [[auth.clients]]?) ─► Client, or an anonymous one
//! ```
//!
//! A token is what a request says of itself, so it goes before the certificate, which is the connection's; the two are never
//! added up. A broker without keys and certified clients asks nobody: every client may do everything, and tokens are not
//! looked at.

mod claims;
mod credentials;
#[cfg(fuzzing)]
pub mod fuzzing;
mod keys;
mod mint;
mod public_key;
mod token;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use fanwire_broker::permissions::Permissions;
use fanwire_wire::http::Request;

use crate::config::{AuthConfig, CertifiedClient, MetricsAccess, Subject};
use claims::Policy;
pub(crate) use credentials::{NoSingleToken, TOKEN_PROTOCOL};
pub use keys::KeyError;
use keys::KeyRing;
pub use mint::{Mint, SigningKey};
pub(crate) use token::TokenError;

/// What a broker knows to tell who its clients are by.
pub(crate) struct Auth {
    config: AuthConfig,
    policy: Policy,
    /// Swapped as a whole, so that no request sees the half of a new one.
    keys: ArcSwap<KeyRing>,
    /// Who is known by its certificate.
    certified: HashMap<Subject, Client>,
    /// What a client may do that is not known.
    anonymous: Arc<Permissions>,
}

/// What a browser sends along with a request, whichever page asks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ambient<'a> {
    /// The subject of the certificate that the connection began with.
    pub(crate) certificate: Option<&'a str>,
    /// Whether a cookie may be a token.
    pub(crate) cookies: bool,
}

/// Who sends a request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// Who it is, and what it may do.
    pub(crate) permissions: Arc<Permissions>,
    /// Until when that holds, if not for ever.
    pub(crate) expiry: Option<Expiry>,
    /// Whether it may read the figures.
    pub(crate) reads_metrics: bool,
}

/// Until when a token holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// As it says itself, in seconds since 1970.
    pub(crate) claimed_s: u64,
    /// As we take it: with what clocks may differ by, in milliseconds since 1970.
    pub(crate) at_ms: u64,
}

/// Why it is not known who sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    /// It has no token, and who has none may do nothing.
    Missing,
    /// There are no tokens here, and its certificate, if it has one, is not known.
    Uncertified,
    /// It does not have one token.
    NotOne(NoSingleToken),
    /// Its token does not hold.
    Bad(TokenError),
}

impl fmt::Display for Unauthorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("this broker wants a token: send Authorization: Bearer TOKEN"),
            Self::Uncertified => {
                f.write_str("this broker wants a certificate over TLS that it knows the subject of")
            }
            Self::NotOne(NoSingleToken::Ambiguous) => {
                f.write_str("the request has two different tokens; send one")
            }
            Self::NotOne(NoSingleToken::BadQuery(error)) => error.fmt(f),
            Self::Bad(error) => error.fmt(f),
        }
    }
}

impl Error for Unauthorized {}

impl Client {
    /// Who asks for what is answered without a look at who asks.
    pub(crate) fn nobody() -> Self {
        Self { permissions: Arc::default(), expiry: None, reads_metrics: false }
    }

    /// Who is known by its certificate. That is checked when its connection begins, and for as long as that lasts.
    fn certified(known: &CertifiedClient) -> Self {
        let CertifiedClient { subject, subscribe, publish, metrics } = known;
        let permissions = Permissions {
            identity: Some(subject.as_str().into()),
            subscribe: subscribe.clone(),
            publish: publish.clone(),
        };
        Self { permissions: Arc::new(permissions), expiry: None, reads_metrics: *metrics }
    }
}

impl Auth {
    /// Reads the keys.
    pub(crate) fn load(config: AuthConfig) -> Result<Self, KeyError> {
        let keys = KeyRing::load(&config.keys, keys::read)?;
        Ok(Self::new(config, keys))
    }

    fn new(config: AuthConfig, keys: KeyRing) -> Self {
        let anonymous = match &config.anonymous {
            Some(anonymous) => Arc::new(anonymous.clone()),
            None if config.asks_clients() => Arc::default(),
            None => Permissions::everything(),
        };
        let policy = Policy {
            issuers: config.issuers.clone(),
            audiences: config.audiences.clone(),
            leeway_ms: config.leeway_ms,
        };
        let certified = config.clients.iter().map(|known| (known.subject.clone(), Client::certified(known)));
        let certified = certified.collect();
        Self { policy, keys: ArcSwap::from_pointee(keys), certified, anonymous, config }
    }

    /// Reads the keys anew. If that fails, those that were there before stay. Clients that are connected are who they were.
    pub(crate) fn reload(&self) -> Result<(), KeyError> {
        self.keys.store(Arc::new(KeyRing::load(&self.config.keys, keys::read)?));
        Ok(())
    }

    /// The files that keys are read from.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let files = self.config.keys.iter().filter_map(|key| key.source.file());
        files.map(Path::to_owned).collect()
    }

    /// How long a client whose token has expired may take to send another, in milliseconds.
    pub(crate) fn grace_ms(&self) -> u64 {
        self.config.grace_ms
    }

    /// Whether browsers send along what says who requests are from: a cookie, or a certificate.
    pub(crate) fn heeds_ambient(&self) -> bool {
        (self.config.has_keys() && self.config.cookie.is_some()) || !self.certified.is_empty()
    }

    /// Who sends the request, which comes at this time, in milliseconds since 1970.
    pub(crate) fn client_of(
        &self,
        request: &Request<'_>,
        ambient: Ambient<'_>,
        now_ms: u64,
    ) -> Result<Client, Unauthorized> {
        if !self.config.asks_clients() {
            return Ok(self.anonymous());
        }
        let cookie = self.config.cookie.as_deref().filter(|_| ambient.cookies);
        match credentials::token_in(request, cookie).map_err(Unauthorized::NotOne)? {
            Some(token) => self.bearer_of(&token, now_ms).map_err(Unauthorized::Bad),
            None => self.without_token(ambient.certificate),
        }
    }

    fn without_token(&self, certificate: Option<&str>) -> Result<Client, Unauthorized> {
        match certificate.and_then(|subject| self.certified.get(subject)) {
            Some(client) => Ok(client.clone()),
            None if self.anonymous.are_empty() => Err(self.missing()),
            None => Ok(self.anonymous()),
        }
    }

    /// What a client lacks of which it is not known who it is.
    pub(crate) fn missing(&self) -> Unauthorized {
        if self.config.has_keys() { Unauthorized::Missing } else { Unauthorized::Uncertified }
    }

    /// Who has this token.
    pub(crate) fn bearer_of(&self, token: &str, now_ms: u64) -> Result<Client, TokenError> {
        let claims = token::verify(token, &self.keys.load(), &self.policy, now_ms)?;
        Ok(Client {
            permissions: Arc::new(claims.permissions),
            expiry: Some(Expiry {
                claimed_s: claims.expires_ms / 1000,
                at_ms: claims.expires_ms.saturating_add(self.policy.leeway_ms),
            }),
            reads_metrics: claims.metrics || self.everybody_reads_metrics(),
        })
    }

    fn anonymous(&self) -> Client {
        let reads_metrics = self.everybody_reads_metrics();
        Client { permissions: Arc::clone(&self.anonymous), expiry: None, reads_metrics }
    }

    /// Whether the figures are for everybody.
    pub(crate) fn everybody_reads_metrics(&self) -> bool {
        !self.config.asks_clients() || self.config.metrics == MetricsAccess::Open
    }
}
