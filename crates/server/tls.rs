//! TLS: what the broker shows of itself, whom it believes, and how a socket speaks it.
//!
//! ```text
//!   files ──► Shown, authorities ──► ServerConfig ──► a session for each connection
//!     └── when they change, or at SIGHUP: the next connections get the new ones, or the old go on ──┘
//! ```

mod certificates;
mod client_identity;
mod outcome;
mod stream;
mod unfit;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use mio::net::TcpStream;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::{RootCertStore, ServerConfig};

use crate::config::{CertificateFiles, Certificates, ClientCa, Listen, TlsConfig};
use certificates::{Shown, read_certificates};
pub(crate) use outcome::{Handshake, TlsFailure};
pub(crate) use stream::{SEALED_BYTES, TlsStream};
use unfit::why_unfit;

/// The only protocol that is spoken over TLS (RFC 7301 §6).
const HTTP_1_1: &[u8] = b"http/1.1";

/// How TLS is spoken, by all cores.
pub(crate) struct Tls {
    config: TlsConfig,
    provider: Arc<CryptoProvider>,
    /// The certificate that was made at the start, if there are none in files. It stays.
    made: Option<Arc<dyn ResolvesServerCert>>,
    current: ArcSwap<ServerConfig>,
}

/// Why TLS cannot be spoken as the operator wants it.
#[derive(Debug)]
pub enum TlsError {
    /// A file cannot be read, or what is wanted is not in it.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wanted.
        what: &'static str,
        /// What is wrong.
        error: pem::Error,
    },
    /// A certificate and its key cannot be used, or not with one another.
    Unfit {
        /// Their files.
        files: CertificateFiles,
        /// What is wrong.
        error: rustls::Error,
    },
    /// What is to vouch for clients is no authority.
    NoAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Box<dyn Error + Send + Sync>,
    },
    /// No certificate could be made.
    Making(rcgen::Error),
    /// The cryptography has no keys for tickets, or does not offer what TLS needs.
    Unavailable(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, what, error: pem::Error::NoItemsFound } => {
                write!(f, "{} has no {} in it; it should be in PEM form", path.display(), &what[2..])
            }
            Self::Unreadable { path, what, error } => {
                write!(f, "cannot read {what} from {}: {error}", path.display())
            }
            Self::Unfit { files, error: rustls::Error::InconsistentKeys(_) } => write!(
                f,
                "the key in {} is not that of the certificate in {}; name the two that belong together, with the \
                 broker's own certificate first in its file",
                files.key.display(),
                files.cert.display()
            ),
            Self::Unfit { files, error } => match why_unfit(error) {
                Some(why) => write!(f, "the certificate in {} {why}", files.cert.display()),
                None => write!(
                    f,
                    "cannot use the certificate in {} with the key in {}: {error}",
                    files.cert.display(),
                    files.key.display()
                ),
            },
            Self::NoAuthority { path, error } => {
                write!(f, "cannot let the certificates in {} vouch for clients: {error}", path.display())
            }
            Self::Making(error) => write!(f, "cannot make a certificate: {error}"),
            Self::Unavailable(error) => write!(f, "the cryptography fails: {error}"),
        }
    }
}

impl Error for TlsError {}

impl Tls {
    /// Reads everything that is needed to speak TLS at the addresses that do.
    pub(crate) fn load(config: TlsConfig, listening: &[Listen]) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let made: Option<Arc<dyn ResolvesServerCert>> = match &config.certificates {
            Certificates::SelfSigned => Some(Arc::new(Shown::make(listening, &provider)?)),
            Certificates::Files(_) => None,
        };
        let current = ArcSwap::from(server_config(&config, made.as_ref(), &provider)?);
        Ok(Self { config, provider, made, current })
    }

    /// Reads the files again, for the connections that come from here on. If they cannot be used, nothing changes.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        self.current.store(server_config(&self.config, self.made.as_ref(), &self.provider)?);
        Ok(())
    }

    /// The files that it is made of.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.config.clients.iter().map(|clients| clients.path.clone()).collect();
        if let Certificates::Files(certificates) = &self.config.certificates {
            files.extend(certificates.iter().flat_map(|files| [files.cert.clone(), files.key.clone()]));
        }
        files
    }

    /// Speaks TLS over a socket that was accepted.
    pub(crate) fn accept(&self, socket: TcpStream) -> io::Result<TlsStream> {
        let session = UnbufferedServerConnection::new(self.current.load_full()).map_err(io::Error::other)?;
        Ok(TlsStream::new(socket, session))
    }
}

/// Everything that the files say, for sessions to go by.
fn server_config(
    config: &TlsConfig,
    made: Option<&Arc<dyn ResolvesServerCert>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let shown: Arc<dyn ResolvesServerCert> = match (&config.certificates, made) {
        (Certificates::Files(files), _) => Arc::new(Shown::read(files, provider)?),
        (Certificates::SelfSigned, Some(made)) => Arc::clone(made),
        (Certificates::SelfSigned, None) => unreachable!("it is made before anything is read"),
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unavailable)?;
    let builder = match &config.clients {
        Some(clients) => builder.with_client_cert_verifier(verifier(clients, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut server_config = builder.with_cert_resolver(shown);
    server_config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    // What a session can go on from is sealed in a ticket that the client keeps: nothing is kept here.
    server_config.session_storage = Arc::new(NoServerSessionStorage {});
    if config.clients.is_none() {
        server_config.ticketer = aws_lc_rs::Ticketer::new().map_err(TlsError::Unavailable)?;
    } else {
        // A ticket would be believed for hours though the client's certificate has expired, or its authority has gone.
        server_config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(server_config))
}

/// Who checks the certificates of clients.
fn verifier(
    clients: &ClientCa,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let ClientCa { path, required } = clients;
    let mut authorities = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        authorities
            .add(certificate)
            .map_err(|error| TlsError::NoAuthority { path: path.clone(), error: error.into() })?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(authorities.into(), Arc::clone(provider));
    let builder = if *required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error: VerifierBuilderError| TlsError::NoAuthority {
        path: path.clone(),
        error: error.into(),
    })
}
