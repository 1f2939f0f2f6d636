//! What flags and file say about TLS, if it can hold.

use super::{Said, Sayings};
use crate::config::error::{ConfigError, Place, Problem};
use crate::config::file::{CertificateTable, TlsTable};
use crate::config::flags::Flags;
use crate::config::units::{ClientCertificates, FilePath, Listen, Switch};
use crate::config::{CertificateFiles, Certificates, ClientCa, TlsConfig};

/// What the command line says about TLS.
pub(super) struct TlsFlags {
    cert: Option<FilePath>,
    key: Option<FilePath>,
    self_signed: Option<Switch>,
}

impl TlsFlags {
    /// Takes them from the others.
    pub(super) fn take(flags: &mut Flags) -> Self {
        Self {
            cert: flags.tls_cert.take(),
            key: flags.tls_key.take(),
            self_signed: flags.tls_self_signed.take(),
        }
    }
}

impl Sayings<'_> {
    /// How TLS is spoken, if it is. There is an address that speaks it exactly if there is something to show there.
    pub(super) fn tls(
        &self,
        flags: TlsFlags,
        mut table: TlsTable,
        listen: &Said<Vec<Listen>>,
    ) -> Result<Option<TlsConfig>, ConfigError> {
        let clients = self.clients(&mut table)?;
        let certificates = self.certificates(flags, table)?;
        let speaking = listen.value.iter().find(|listen| listen.tls);
        match (certificates, clients, speaking) {
            (Some(certificates), clients, Some(_)) => Ok(Some(TlsConfig {
                certificates: certificates.value,
                clients: clients.map(|clients| clients.value),
            })),
            (None, _, Some(listen_on)) => {
                Err(listen.rejected(Problem::ListenerWithoutCertificate { listen: *listen_on }))
            }
            (Some(Said { place, .. }), ..) | (None, Some(Said { place, .. }), None) => {
                Err(ConfigError::Rejected { place, problem: Problem::CertificateWithoutListener })
            }
            (None, None, None) => Ok(None),
        }
    }

    fn certificates(
        &self,
        flags: TlsFlags,
        table: TlsTable,
    ) -> Result<Option<Said<Certificates>>, ConfigError> {
        let self_signed = self.said("tls.self_signed", flags.self_signed, table.self_signed, Switch(false));
        let files = match (flags.cert, flags.key) {
            (None, None) => table.certificates.map(|written| {
                let tables = self.written("tls.certificates", written);
                let of_table = |table: CertificateTable| files(table.cert.value, table.key.value);
                tables.map(|tables| tables.into_iter().map(of_table).collect())
            }),
            (Some(cert), Some(key)) => {
                Some(Said { value: vec![files(cert, key)], place: Place::flag("tls.cert") })
            }
            (Some(_), None) => return Err(half_a_certificate("tls.cert", "--tls-key")),
            (None, Some(_)) => return Err(half_a_certificate("tls.key", "--tls-cert")),
        };
        match (self_signed.value.0, files) {
            (true, Some(_)) => Err(self_signed.rejected(Problem::SelfSignedBesideFiles)),
            (true, None) => Ok(Some(self_signed.map(|_| Certificates::SelfSigned))),
            (false, Some(files)) if files.value.is_empty() => Err(files.rejected(Problem::NoCertificates)),
            (false, files) => Ok(files.map(|files| files.map(Certificates::Files))),
        }
    }

    /// Who vouches for clients. With somebody who does, a client without a certificate is refused unless told otherwise.
    fn clients(&self, table: &mut TlsTable) -> Result<Option<Said<ClientCa>>, ConfigError> {
        let wanted = table.client_certificates.take();
        let wanted = wanted.map(|wanted| self.written("tls.client_certificates", wanted));
        let Some(written) = table.client_ca.take() else {
            return match wanted {
                Some(wanted) => Err(wanted.rejected(Problem::ClientCertificatesWithoutCa)),
                None => Ok(None),
            };
        };
        let required = wanted.is_none_or(|wanted| wanted.value == ClientCertificates::Required);
        let path = self.written("tls.client_ca", written);
        Ok(Some(path.map(|FilePath(path)| ClientCa { path, required })))
    }
}

fn files(FilePath(cert): FilePath, FilePath(key): FilePath) -> CertificateFiles {
    CertificateFiles { cert, key }
}

fn half_a_certificate(key: &'static str, missing: &'static str) -> ConfigError {
    ConfigError::Rejected { place: Place::flag(key), problem: Problem::HalfACertificate { missing } }
}
