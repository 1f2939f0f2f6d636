//! A door for the fuzz target of tokens, which is in no other build: `cargo fuzz` sets the `cfg`.

use std::path::Path;
use std::sync::Arc;

use fanwire_broker::permissions::Permissions;

use super::keys::KeyRing;
use super::{Auth, Client, KeyError};
use crate::config::AuthConfig;

/// Who has which token, as a broker finds it out.
pub struct Tokens(Auth);

/// Who has a token.
#[derive(Debug)]
pub struct Bearer {
    /// Who it is, and what it may do.
    pub permissions: Arc<Permissions>,
    /// Until when that holds, in milliseconds since 1970.
    pub until_ms: u64,
    /// Whether it may read the figures.
    pub reads_metrics: bool,
}

impl Tokens {
    /// Those that the configuration takes. `read` is what the files that it names hold.
    pub fn new(config: AuthConfig, read: impl Fn(&Path) -> Vec<u8>) -> Result<Self, KeyError> {
        let keys = KeyRing::load(&config.keys, |path| Ok(read(path)))?;
        Ok(Self(Auth::new(config, keys)))
    }

    /// Who has this one at this time, in milliseconds since 1970; or which check it fails.
    pub fn bearer_of(&self, token: &str, now_ms: u64) -> Result<Bearer, String> {
        let Client { permissions, expiry, reads_metrics } =
            self.0.bearer_of(token, now_ms).map_err(|error| error.to_string())?;
        let until_ms = expiry.expect("every token expires").at_ms;
        Ok(Bearer { permissions, until_ms, reads_metrics })
    }
}
