//! A certificate for this machine and a client that believes it, for whoever tests or measures TLS.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A certificate for 127.0.0.1, in files.
pub(crate) struct Certificate {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    client: Arc<ClientConfig>,
}

impl Certificate {
    /// Makes it, and writes it to files of this name in a directory.
    pub(crate) fn write(directory: &Path, name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let (cert, key) = (directory.join(format!("{name}.pem")), directory.join(format!("{name}.key")));
        fs::write(&cert, made.cert.pem()).expect("the certificate is written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("the key is written");
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).expect("it vouches for itself");
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider has them");
        let client = builder.with_root_certificates(roots).with_no_client_auth();
        Self { cert, key, client: Arc::new(client) }
    }

    /// A client of the broker at the other end of a socket. The handshake is left to the first octet.
    pub(crate) fn speak(&self, socket: TcpStream) -> StreamOwned<ClientConnection, TcpStream> {
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let session = ClientConnection::new(Arc::clone(&self.client), name).expect("a configuration");
        StreamOwned::new(session, socket)
    }
}
