//! How TLS is spoken, as the operator decides it.

use std::fmt;
use std::path::PathBuf;

use super::units::ClientCertificates;
use super::written::text;

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// What the broker shows of itself.
    pub certificates: Certificates,
    /// Who vouches for clients, if they are asked for a certificate.
    pub clients: Option<ClientCa>,
}

/// What the broker shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// A certificate of its own making that no client trusts: for trying TLS out.
    SelfSigned,
    /// Certificates from files, one at least. A client gets the one that is for the name it asks for, or else the first.
    Files(Vec<CertificateFiles>),
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The PEM file of the certificate, followed by those that vouch for it.
    pub cert: PathBuf,
    /// The PEM file of its key.
    pub key: PathBuf,
}

/// Who vouches for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// The PEM file of the authorities' certificates.
    pub path: PathBuf,
    /// Whether a client without a certificate is refused.
    pub required: bool,
}

impl fmt::Display for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n[tls]")?;
        match &self.certificates {
            Certificates::SelfSigned => writeln!(f, "self_signed = true")?,
            Certificates::Files(files) => {
                let files: Vec<_> = files.iter().map(ToString::to_string).collect();
                writeln!(f, "certificates = [{}]", files.join(", "))?;
            }
        }
        let Some(ClientCa { path, required }) = &self.clients else { return Ok(()) };
        let certificates =
            if *required { ClientCertificates::Required } else { ClientCertificates::Optional };
        writeln!(f, "client_ca = {}\nclient_certificates = \"{certificates}\"", text(path.display()))
    }
}

impl fmt::Display for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ cert = {}, key = {} }}", text(self.cert.display()), text(self.key.display()))
    }
}
