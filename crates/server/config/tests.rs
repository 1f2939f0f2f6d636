//! What of flags and file holds, and what is said about the rest.

mod auth;
mod contradictions;
mod displayed;
mod file;
mod flags;
mod ranges;
mod tls;
mod topics;

use super::*;

/// What holds with these flags and a file of this text.
fn config(flags: &[&str], file: &str) -> Result<Config, ConfigError> {
    let line = CommandLine::try_parse_from([&["fanwire"], flags].concat()).map_err(ConfigError::Usage)?;
    let source = Source::new("test.toml".into(), file.to_owned());
    resolve::resolve(line.flags, source.parse()?, &source)
}

/// What is said about a file that does not hold.
fn complaint(file: &str) -> String {
    config(&[], file).expect_err(file).to_string()
}

/// An address where clients may show certificates.
const TLS_WITH_CLIENTS: &str = "listen = \"tls://127.0.0.1:1\"\ntls = { self_signed = true, client_ca = \"ca.pem\", client_certificates = \"optional\" }";

/// Keys, of which there is one.
const KEYS: &str =
    "\n[auth]\nkeys = [{ algorithm = \"HS256\", secret = \"thirty-two octets that are a secret\" }]";
