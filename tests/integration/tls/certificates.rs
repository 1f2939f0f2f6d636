//! Certificates of several keys, of which each client is shown one that it can verify.

use std::net::SocketAddr;

use fanwire::config::{CertificateFiles, Certificates, TlsConfig};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion};

use super::TlsBroker;
use super::authority::Authority;
use super::client::{shake_hands, tls_to};

const RSA: SignatureAlgorithm = SignatureAlgorithm::RSA;
const ECDSA: SignatureAlgorithm = SignatureAlgorithm::ECDSA;

fn certify_rsa(authority: &Authority, name: &str, hosts: &[&str]) -> CertificateFiles {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    authority.certify_with(&key, name, hosts)
}

fn broker_with(certificates: &[&CertificateFiles]) -> TlsBroker {
    let files = certificates.iter().copied().cloned().collect();
    TlsBroker::start(TlsConfig { certificates: Certificates::Files(files), clients: None })
}

/// Schemes are named after their keys.
fn is_of(scheme: SignatureScheme, algorithm: SignatureAlgorithm) -> bool {
    format!("{scheme:?}").starts_with(&format!("{algorithm:?}"))
}

/// Cryptography that verifies handshakes with these keys alone. Certificates are signed with any, as ever.
fn verifying(algorithm: SignatureAlgorithm) -> CryptoProvider {
    let provider = aws_lc_rs::default_provider();
    let WebPkiSupportedAlgorithms { all, mapping } = provider.signature_verification_algorithms;
    let mapping: Vec<_> = mapping.iter().filter(|(scheme, _)| is_of(*scheme, algorithm)).copied().collect();
    let signature_verification_algorithms = WebPkiSupportedAlgorithms { all, mapping: mapping.leak() };
    CryptoProvider { signature_verification_algorithms, ..provider }
}

/// Cryptography that verifies everything, and has the cipher suites of TLS 1.2 for these keys alone.
fn with_suites_for(algorithm: SignatureAlgorithm) -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    provider
        .cipher_suites
        .retain(|suite| suite.tls13().is_none() && suite.usable_for_signature_algorithm(algorithm));
    provider
}

/// Which of the certificates a client is shown that asks for a host; `None` if there is no handshake.
fn shown(address: SocketAddr, host: &str, client: ClientConfig) -> Option<CertificateDer<'static>> {
    let mut client = tls_to(address, host, client);
    shake_hands(&mut client).ok()?;
    Some(client.conn.peer_certificates()?[0].clone())
}

fn in_file(files: &CertificateFiles) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_file(&files.cert).ok()
}

#[test]
fn of_two_certificates_for_a_host_a_client_is_shown_the_first_that_it_can_verify() {
    const HOST: &str = "both.example";
    let authority = Authority::new("two-keys");
    let rsa = certify_rsa(&authority, "rsa", &[HOST]);
    let ecdsa = authority.certify("ecdsa", &[HOST]);
    for order in [[&ecdsa, &rsa], [&rsa, &ecdsa]] {
        let broker = broker_with(&order);
        let shown_to = |provider: CryptoProvider, version: &'static SupportedProtocolVersion| {
            let client = authority.client_by(provider, &[version]).with_no_client_auth();
            shown(broker.address, HOST, client)
        };
        for version in [&TLS13, &TLS12] {
            assert_eq!(shown_to(verifying(RSA), version), in_file(&rsa), "{version:?}");
            assert_eq!(shown_to(verifying(ECDSA), version), in_file(&ecdsa), "{version:?}");
            let of_any_key = shown_to(aws_lc_rs::default_provider(), version);
            assert_eq!(of_any_key, in_file(order[0]), "{version:?}: the operator's order");
        }
        assert_eq!(shown_to(with_suites_for(RSA), &TLS12), in_file(&rsa));
        assert_eq!(shown_to(with_suites_for(ECDSA), &TLS12), in_file(&ecdsa));
    }
}

#[test]
fn a_name_goes_before_a_wildcard_and_that_before_the_others_as_far_as_the_client_can_verify_them() {
    let authority = Authority::new("ranked-keys");
    let first = authority.certify("first", &["127.0.0.1", "first.example"]);
    let wild = certify_rsa(&authority, "wild", &["*.ranked.example", "127.0.0.1"]);
    let exact = authority.certify("exact", &["a.ranked.example"]);
    let broker = broker_with(&[&first, &wild, &exact]);
    let shown_to = |provider, host| {
        let client = authority.client_by(provider, &[&TLS13]).with_no_client_auth();
        shown(broker.address, host, client)
    };
    assert_eq!(shown_to(aws_lc_rs::default_provider(), "a.ranked.example"), in_file(&exact));
    assert_eq!(shown_to(verifying(RSA), "a.ranked.example"), in_file(&wild), "the wildcard covers it too");
    assert_eq!(
        shown_to(aws_lc_rs::default_provider(), "127.0.0.1"),
        in_file(&first),
        "it is asked for no name"
    );
    assert_eq!(shown_to(verifying(RSA), "127.0.0.1"), in_file(&wild));
    assert_eq!(shown_to(verifying(RSA), "first.example"), None, "another name's would be of no use");
    assert_eq!(shown_to(verifying(ECDSA), "b.ranked.example"), None);
}
