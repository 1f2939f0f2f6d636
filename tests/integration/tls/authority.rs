//! An authority that certifies hosts and clients, and clients that believe it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fanwire::config::{CertificateFiles, Certificates, ClientCa, TlsConfig};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair};
use rustls::client::WantsClientCert;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, SupportedProtocolVersion};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What the broker reads.
    directory: PathBuf,
}

impl Authority {
    /// An authority with an empty directory of its own.
    pub(crate) fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tls").join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("the authority of {name}"));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(directory.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn text_path(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a certificate for hosts and its key, which is of ECDSA; returns where.
    pub(crate) fn certify(&self, name: &str, hosts: &[&str]) -> CertificateFiles {
        self.certify_with(&KeyPair::generate().unwrap(), name, hosts)
    }

    /// The same with this key.
    pub(crate) fn certify_with(&self, key: &KeyPair, name: &str, hosts: &[&str]) -> CertificateFiles {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        let certificate = CertificateParams::new(hosts).unwrap().signed_by(key, &self.issuer).unwrap();
        let files = CertificateFiles {
            cert: self.path(&format!("{name}.pem")),
            key: self.path(&format!("{name}.key")),
        };
        fs::write(&files.cert, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// What a broker is told that shows a certificate for the address that it listens on.
    pub(crate) fn tls(&self) -> TlsConfig {
        let files = vec![self.certify("broker", &["127.0.0.1", "localhost"])];
        TlsConfig { certificates: Certificates::Files(files), clients: None }
    }

    /// The same, and that this authority vouches for clients.
    pub(crate) fn tls_with_clients(&self, required: bool) -> TlsConfig {
        TlsConfig { clients: Some(ClientCa { path: self.path("ca.pem"), required }), ..self.tls() }
    }

    /// A client that believes this authority.
    pub(crate) fn client(&self) -> ClientConfig {
        self.client_with(&[&rustls::version::TLS13, &rustls::version::TLS12], None)
    }

    /// The same, of these versions, that shows this certificate.
    pub(crate) fn client_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        identity: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> ClientConfig {
        let builder = self.client_by(aws_lc_rs::default_provider(), versions);
        match identity {
            Some((certificate, key)) => builder.with_client_auth_cert(vec![certificate], key).unwrap(),
            None => builder.with_no_client_auth(),
        }
    }

    /// The same, whose cryptography is this, and of which it is not said what it shows.
    pub(crate) fn client_by(
        &self,
        provider: CryptoProvider,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider));
        builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots)
    }

    /// A certificate that is an authority's, of this one.
    pub(crate) fn sub_authority(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }

    /// A client that shows this certificate, whatever is wrong with it.
    pub(crate) fn client_showing(
        &self,
        (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    ) -> ClientConfig {
        let provider = aws_lc_rs::default_provider();
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        self.client_by(provider, &[&rustls::version::TLS13]).with_client_cert_resolver(Arc::new(shown))
    }

    /// A certificate of a client of this name.
    pub(crate) fn identity(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        self.identity_with(&[(DnType::OrganizationName, "Example, Inc."), (DnType::CommonName, name)])
    }

    /// A certificate of a client whose subject is this.
    pub(crate) fn identity_with(
        &self,
        subject: &[(DnType, &str)],
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).unwrap())
    }
}

/// The certificate as one of version 1 has it: without a word of its version (RFC 5280 §4.1.2.1). Nobody has signed that.
pub(crate) fn of_version_1(certificate: &CertificateDer<'_>) -> CertificateDer<'static> {
    const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
    let (whole, _) = split_sequence(certificate);
    let (to_be_signed, signature) = split_sequence(whole);
    let rest = to_be_signed.strip_prefix(&VERSION_3).expect("it is of version 3");
    sequence(&[&sequence(rest), signature].concat()).into()
}

/// What is in a sequence that `der` begins with, and what follows it (X.690 §8.1.3).
fn split_sequence(der: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = match *der {
        [0x30, 0x82, high, low, ref rest @ ..] => (u16::from_be_bytes([high, low]).into(), rest),
        [0x30, 0x81, length, ref rest @ ..] | [0x30, length, ref rest @ ..] => (usize::from(length), rest),
        _ => panic!("no sequence"),
    };
    rest.split_at(length)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let head = match u16::try_from(content.len()).expect("it is short").to_be_bytes() {
        [0, length @ ..0x80] => vec![0x30, length],
        [0, length] => vec![0x30, 0x81, length],
        [high, low] => vec![0x30, 0x82, high, low],
    };
    [&head, content].concat()
}
