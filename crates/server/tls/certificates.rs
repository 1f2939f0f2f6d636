//! What the broker shows of itself: certificates with their keys, by the names that they are for.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::TlsError;
use crate::config::{CertificateFiles, Listen};

/// The certificates of a broker: at least one.
pub(super) struct Shown {
    first: Certificate,
    further: Vec<Certificate>,
}

/// One certificate.
struct Certificate {
    /// The names of hosts that it is for; one may begin with `*.` for any one label.
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

/// Keys are not shown.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().map(|certificate| &certificate.names)).finish()
    }
}

impl Shown {
    /// Reads certificates and keys from files, of which there is one at least.
    pub(super) fn read(files: &[CertificateFiles], provider: &CryptoProvider) -> Result<Self, TlsError> {
        let mut certificates =
            files.iter().map(|files| read(files, provider)).collect::<Result<Vec<_>, _>>()?;
        let first = certificates.remove(0);
        Ok(Self { first, further: certificates })
    }

    /// Makes a certificate for this machine and where the broker listens. Whoever tries it out can tell it by the
    /// fingerprint that is logged.
    pub(super) fn make(listening: &[Listen], provider: &CryptoProvider) -> Result<Self, TlsError> {
        let names = names_of_this_machine(listening);
        let key = KeyPair::generate().map_err(TlsError::Making)?;
        let mut wanted = CertificateParams::new(names).map_err(TlsError::Making)?;
        wanted.distinguished_name.push(DnType::CommonName, "Fanwire, self-signed");
        let certificate = wanted.self_signed(&key).map_err(TlsError::Making)?.der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("it was made as one");
        tracing::warn!(
            sha256 = fingerprint(&certificate),
            "the certificate for TLS was made at this start: it proves nothing to any client; use it to try TLS out, \
             and never where others connect"
        );
        let key = CertifiedKey::from_der(vec![certificate], key, provider).expect("it was made with its key");
        // The only one there is is shown whatever it is for.
        Ok(Self { first: Certificate { names: Vec::new(), key: Arc::new(key) }, further: Vec::new() })
    }

    fn all(&self) -> impl Iterator<Item = &Certificate> {
        [&self.first].into_iter().chain(&self.further)
    }

    /// The certificates for a host, the best first: those that name it, and those that name it by a wildcard. Where there are
    /// none, or the host is not known, it is all of them.
    fn for_host(&self, host: Option<&str>) -> Vec<&Certificate> {
        let that = |is_it: fn(&str, &str) -> bool| {
            let names_it = move |certificate: &&Certificate| {
                host.is_some_and(|host| certificate.names.iter().any(|name| is_it(name, host)))
            };
            self.all().filter(names_it)
        };
        let for_host: Vec<_> = that(|name, host| name == host).chain(that(covers)).collect();
        if for_host.is_empty() { self.all().collect() } else { for_host }
    }

    /// The best certificate for a host whose key makes signatures of one of these schemes; or the best, if none does.
    fn to_show(&self, host: Option<&str>, schemes: &[SignatureScheme]) -> &Certificate {
        let candidates = self.for_host(host);
        let fit = candidates.iter().find(|certificate| certificate.key.key.choose_scheme(schemes).is_some());
        fit.or(candidates.first()).copied().unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let host = hello.server_name().map(str::to_ascii_lowercase);
        // Of TLS 1.2 these are the schemes that the client's cipher suites go with.
        let certificate = self.to_show(host.as_deref(), hello.signature_schemes());
        Some(Arc::clone(&certificate.key))
    }
}

/// Whether a name with a wildcard, which stands for one label, covers a host (RFC 9525 §6.3).
fn covers(name: &str, host: &str) -> bool {
    let domain = name.strip_prefix("*.");
    let parent = host.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| parent);
    domain.is_some() && domain == parent
}

/// The names of hosts that a certificate is for. A common name is none of them (RFC 9525 §2).
fn hosts_of(certificate: &CertificateDer<'_>) -> Option<Vec<String>> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let alternatives = certificate.subject_alternative_name().ok()??;
    let hosts = alternatives.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(host) => Some(host.to_ascii_lowercase()),
        _ => None,
    });
    Some(hosts.collect())
}

fn read(files: &CertificateFiles, provider: &CryptoProvider) -> Result<Certificate, TlsError> {
    let chain = read_certificates(&files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::Unreadable {
        path: files.key.clone(),
        what: "a key",
        error,
    })?;
    let names = hosts_of(&chain[0]).unwrap_or_default();
    warn_of_dates(&chain[0], &files.cert);
    let key = CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| TlsError::Unfit { files: files.clone(), error })?;
    Ok(Certificate { names, key: Arc::new(key) })
}

/// The certificates in a PEM file, of which there must be one.
pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let blame = |error| TlsError::Unreadable { path: path.to_owned(), what: "a certificate", error };
    let certificates = CertificateDer::pem_file_iter(path).map_err(blame)?;
    let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(blame)?;
    if certificates.is_empty() {
        return Err(blame(pem::Error::NoItemsFound));
    }
    Ok(certificates)
}

/// Says when a certificate is shown that no client will take today. That is no reason to refuse it: the clock may be wrong.
fn warn_of_dates(certificate: &CertificateDer<'_>, path: &Path) {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
    let validity = certificate.validity();
    if !validity.is_valid() {
        tracing::warn!(
            file = %path.display(),
            not_before = %validity.not_before,
            not_after = %validity.not_after,
            "the certificate is not valid today: clients will refuse it; renew it"
        );
    }
}

/// What a client on this machine may call the broker.
fn names_of_this_machine(listening: &[Listen]) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let addresses = listening.iter().map(|listen| listen.address.ip());
    for address in addresses.filter(|address: &IpAddr| !address.is_unspecified()) {
        if !names.contains(&address.to_string()) {
            names.push(address.to_string());
        }
    }
    names
}

/// The SHA-256 of a certificate, as browsers and `openssl x509 -fingerprint -sha256` show it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let octets = digest::digest(&digest::SHA256, certificate);
    let octets: Vec<_> = octets.as_ref().iter().map(|octet| format!("{octet:02X}")).collect();
    octets.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_one_whole_label() {
        assert!(covers("*.example.com", "feed.example.com"));
        for host in
            ["example.com", ".example.com", "a.feed.example.com", "feed.example.org", "feedexample.com"]
        {
            assert!(!covers("*.example.com", host), "{host}");
        }
        assert!(!covers("feed.example.com", "feed.example.com"), "that is a name");
        assert!(!covers("f*.example.com", "feed.example.com"), "part of a label is no wildcard");
    }
}
