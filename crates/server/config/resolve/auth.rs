//! Who clients are, and where that matters, from flags, file and defaults.

use std::net::SocketAddr;
use std::path::PathBuf;

use fanwire_broker::permissions::{Grants, Permissions};

use super::{MAX_TIMEOUT, Said, Sayings};
use crate::auth::{Mint, SigningKey};
use crate::config::auth::{Algorithm, AuthConfig, CertifiedClient, KeyConfig, KeySource, Secret};
use crate::config::error::{AuthProblem, ConfigError, Origin, Place, Problem};
use crate::config::file::{AnonymousTable, AuthTable, ClientTable, KeyTable, TlsTable, Written};
use crate::config::flags::TokenFlags;
use crate::config::tls::TlsConfig;
use crate::config::units::{Cookie, Listen, Match, Name, Period};

/// Clocks that differ by more are to be set.
const MAX_LEEWAY: Period = Period(10 * 60 * 1000);

impl Sayings<'_> {
    /// Who clients are. Those that are known by their certificates need somebody who vouches for these, whom `tls` names.
    pub(super) fn auth(&self, table: AuthTable, tls: &TlsTable) -> Result<AuthConfig, ConfigError> {
        let default = AuthConfig::default();
        let leeway = self.said("auth.leeway", None, table.leeway, Period(default.leeway_ms));
        let grace = self.said("auth.grace", None, table.grace, Period(default.grace_ms));
        let keys = self.signed_with(table.keys)?;
        let clients = self.certified(table.clients, tls.client_ca.is_some())?;
        let cookie = table.cookie.map(|cookie| self.written("auth.cookie", cookie));
        let anonymous = table.anonymous.map(|anonymous| self.written("auth.anonymous", anonymous));
        if let Some(cookie) = cookie.as_ref().filter(|_| keys.is_empty()) {
            return Err(cookie.rejected(Problem::Auth(AuthProblem::CookieWithoutKeys)));
        }
        if let Some(anonymous) = anonymous.as_ref().filter(|_| keys.is_empty() && clients.is_empty()) {
            return Err(anonymous.rejected(Problem::Auth(AuthProblem::AnonymousWithoutKeys)));
        }
        Ok(AuthConfig {
            keys,
            clients,
            issuers: names(table.issuer),
            audiences: names(table.audience),
            leeway_ms: leeway.within(Period(0), MAX_LEEWAY)?.0,
            grace_ms: grace.within(Period(0), MAX_TIMEOUT)?.0,
            cookie: cookie.map(|Said { value: Cookie(name), .. }| name),
            anonymous: anonymous.map(|said| permissions(said.value)),
            metrics: self.said("auth.metrics", None, table.metrics, default.metrics).value,
        })
    }

    /// The keys. A token that names one means that one, so no two have the same name.
    fn signed_with(&self, tables: Vec<Written<KeyTable>>) -> Result<Vec<KeyConfig>, ConfigError> {
        let mut keys: Vec<KeyConfig> = Vec::with_capacity(tables.len());
        for table in tables {
            let place = Place { key: "auth.keys.id", origin: self.origin(table.offset) };
            let key = self.key(table)?;
            let is_taken = keys.iter().any(|other| other.id == key.id);
            if let Some(id) = key.id.as_ref().filter(|_| is_taken) {
                return Err(ConfigError::Rejected {
                    place,
                    problem: Problem::Auth(AuthProblem::IdTaken { id: id.clone() }),
                });
            }
            keys.push(key);
        }
        Ok(keys)
    }

    fn key(&self, table: Written<KeyTable>) -> Result<KeyConfig, ConfigError> {
        let Said { value: table, place } = self.written("auth.keys", table);
        let KeyTable { id, algorithm, secret, secret_file, public_key, jwks } = table;
        let algorithm = algorithm.map(|written| written.value);
        let source = match (algorithm, secret, secret_file, public_key, jwks) {
            (Some(Algorithm::Hs256), Some(secret), None, None, None) => {
                let secret = self.written("auth.keys.secret", secret);
                let octets = secret.value.0.as_bytes();
                KeySource::Secret(
                    Secret::new(octets)
                        .map_err(|bad| secret.rejected(Problem::Auth(AuthProblem::BadSecret(bad))))?,
                )
            }
            (Some(Algorithm::Hs256), None, Some(file), None, None) => {
                KeySource::SecretFile(file.value.0.into())
            }
            (Some(algorithm), None, None, Some(file), None) if algorithm != Algorithm::Hs256 => {
                KeySource::PublicKey { algorithm, path: file.value.0.into() }
            }
            (None, None, None, None, Some(file)) if id.is_none() => KeySource::Jwks(self.set_of_keys(file)?),
            _ => return Err(ConfigError::Rejected { place, problem: Problem::Auth(AuthProblem::NotAKey) }),
        };
        Ok(KeyConfig { id: id.map(|id| id.value.0), source })
    }

    /// The file of a set of keys. Identity providers publish theirs at a URL, which is not one.
    fn set_of_keys(&self, file: Written<Name>) -> Result<PathBuf, ConfigError> {
        let Said { value: Name(file), place } = self.written("auth.keys.jwks", file);
        if file.contains("://") {
            return Err(ConfigError::Rejected {
                place,
                problem: Problem::Auth(AuthProblem::JwksNotAFile { url: file }),
            });
        }
        Ok(file.into())
    }

    fn certified(
        &self,
        tables: Vec<Written<ClientTable>>,
        has_ca: bool,
    ) -> Result<Vec<CertifiedClient>, ConfigError> {
        let mut clients: Vec<CertifiedClient> = Vec::with_capacity(tables.len());
        for table in tables {
            let Said { value: table, place } = self.written("auth.clients", table);
            if !has_ca {
                return Err(ConfigError::Rejected {
                    place,
                    problem: Problem::Auth(AuthProblem::ClientsWithoutCa),
                });
            }
            let subject = self.written("auth.clients.subject", table.subject);
            if clients.iter().any(|client| client.subject == subject.value) {
                let twice = Problem::Auth(AuthProblem::SubjectTaken { subject: subject.value.to_string() });
                return Err(subject.rejected(twice));
            }
            clients.push(CertifiedClient {
                subject: subject.value,
                subscribe: grants(table.subscribe),
                publish: grants(table.publish),
                metrics: table.metrics.is_some_and(|written| written.value.0),
            });
        }
        Ok(clients)
    }
}

/// What a token is to say, and what it is to be signed with: the key of the flags, or else the first secret of the
/// configuration, which is the only kind of key there that can sign.
pub(in crate::config) fn mint(flags: TokenFlags, auth: Option<AuthConfig>) -> Result<Mint, ConfigError> {
    let auth = auth.unwrap_or_default();
    let own = |name: Option<Name>, configured: Vec<String>| match name {
        Some(Name(name)) => Some(name),
        None => configured.into_iter().next(),
    };
    let (key_id, key) = match flags.key_file {
        Some(path) => {
            let algorithm = flags.algorithm.unwrap_or(Algorithm::Hs256);
            (flags.key_id.map(|Name(id)| id), SigningKey::File { algorithm, path })
        }
        None => signing_key(auth.keys).ok_or_else(nothing_to_sign_with)?,
    };
    Ok(Mint {
        key,
        key_id,
        subject: flags.subject.0,
        subscribe: flags.subscribe.into_iter().map(|Match(granted)| granted).collect(),
        publish: flags.publish.into_iter().map(|Match(granted)| granted).collect(),
        metrics: flags.metrics,
        ttl_s: flags.ttl.0.div_ceil(1000),
        issuer: own(flags.issuer, auth.issuers),
        audience: own(flags.audience, auth.audiences),
    })
}

fn signing_key(keys: Vec<KeyConfig>) -> Option<(Option<String>, SigningKey)> {
    keys.into_iter().find_map(|KeyConfig { id, source }| match source {
        KeySource::Secret(secret) => Some((id, SigningKey::Secret(secret))),
        KeySource::SecretFile(path) => Some((id, SigningKey::File { algorithm: Algorithm::Hs256, path })),
        KeySource::PublicKey { .. } | KeySource::Jwks(_) => None,
    })
}

fn nothing_to_sign_with() -> ConfigError {
    let place = Place { key: "config", origin: Origin::Flag };
    ConfigError::Rejected { place, problem: Problem::NothingToSignWith }
}

/// An open broker is one that asks nobody who it is: it serves those who are on its machine, unless the operator says that
/// it is meant.
pub(super) fn refuse_if_exposed(
    listen: &Said<Vec<Listen>>,
    auth: &AuthConfig,
    tls: Option<&TlsConfig>,
    insecure_open: bool,
) -> Result<(), ConfigError> {
    match exposed_addresses(&listen.value, auth, tls).next() {
        Some(address) if !insecure_open => Err(listen.rejected(Problem::Exposed { address })),
        _ => Ok(()),
    }
}

/// The addresses that others than this machine may reach, and where nobody is asked who it is: neither for a token, nor for a
/// certificate.
pub(in crate::config) fn exposed_addresses(
    listen: &[Listen],
    auth: &AuthConfig,
    tls: Option<&TlsConfig>,
) -> impl Iterator<Item = SocketAddr> {
    let wants_certificate = tls.and_then(|tls| tls.clients.as_ref()).is_some_and(|clients| clients.required);
    let asks_clients = auth.asks_clients();
    let is_safe = move |listen: &&Listen| {
        asks_clients || listen.address.ip().to_canonical().is_loopback() || (listen.tls && wants_certificate)
    };
    listen.iter().filter(move |listen| !is_safe(listen)).map(|listen| listen.address)
}

fn names(written: Option<Written<Vec<Name>>>) -> Vec<String> {
    written.into_iter().flat_map(|written| written.value).map(|Name(name)| name).collect()
}

fn permissions(table: AnonymousTable) -> Permissions {
    let AnonymousTable { subscribe, publish } = table;
    Permissions { identity: None, subscribe: grants(subscribe), publish: grants(publish) }
}

fn grants(written: Option<Written<Vec<Match>>>) -> Grants {
    written.into_iter().flat_map(|written| written.value).map(|Match(granted)| granted).collect()
}
