//! The real binary: names, certificates that are renewed, what the log says.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fanwire::config::CertificateFiles;
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::authority::{Authority, of_version_1};
use super::client::{get, receive_text, shake_hands, tls_to, web_socket};
use crate::support::Process;

/// The broker's certificate, as it is shown to a client that asks for a host.
fn shown(address: SocketAddr, host: &str, config: &ClientConfig) -> CertificateDer<'static> {
    let mut client = tls_to(address, host, config.clone());
    shake_hands(&mut client).expect("the certificate is for the host");
    client.conn.peer_certificates().unwrap()[0].clone()
}

fn in_file(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).unwrap()
}

fn write_config(authority: &Authority, text: &str) -> String {
    let path = authority.path("fanwire.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_host_gets_the_certificate_that_names_it() {
    let authority = Authority::new("names");
    let other = authority.certify("first", &["first.example", "127.0.0.1"]);
    let wild = authority.certify("wild", &["*.second.example"]);
    let exact = authority.certify("exact", &["feed.second.example", "third.example"]);
    let tables = [&other, &wild, &exact].map(CertificateFiles::to_string).join(", ");
    let config = write_config(&authority, &format!("[tls]\ncertificates = [{tables}]\n"));
    let process = Process::start_tls(&["--config", &config]);
    let client = authority.client();
    for (host, files) in [
        ("first.example", &other),
        ("127.0.0.1", &other),
        ("chat.second.example", &wild),
        ("feed.second.example", &exact),
        ("THIRD.example", &exact),
    ] {
        assert_eq!(shown(process.address, host, &client), in_file(&files.cert), "{host}");
    }
    for host in ["nobody.example", "a.b.second.example", "second.example"] {
        let error = shake_hands(&mut tls_to(process.address, host, client.clone())).unwrap_err();
        assert!(error.to_string().contains("first.example"), "{host} gets the first: {error}");
    }
}

#[test]
fn certificates_are_renewed_by_a_signal_and_by_a_change_and_nobody_notices() {
    let authority = Authority::new("renewal");
    let mut files = authority.certify("broker", &["localhost", "127.0.0.1"]);
    let (cert, key) = (authority.text_path("broker.pem"), authority.text_path("broker.key"));
    let mut process = Process::start_tls(&["--tls-cert", &cert, "--tls-key", &key]);
    let config = authority.client();
    let mut subscriber = web_socket(process.address, "/topics/a.b", config.clone());
    assert_eq!(shown(process.address, "localhost", &config), in_file(&files.cert));

    files = authority.certify("broker", &["localhost", "127.0.0.1"]);
    process.signal("-HUP");
    process.next_line_with("read the certificates again");
    assert_eq!(shown(process.address, "localhost", &config), in_file(&files.cert));

    let before = in_file(&files.cert);
    let good_key = fs::read(&files.key).unwrap();
    fs::write(&files.key, b"nonsense").unwrap();
    let complaint = process.next_line_with("the certificates stay as they were");
    assert!(complaint.contains("broker.key has no key in it"), "{complaint}");
    assert_eq!(shown(process.address, "localhost", &config), before);

    authority.certify("broker", &["localhost", "127.0.0.1"]);
    fs::write(&files.key, good_key).unwrap();
    let complaint = process.next_line_with("the certificates stay as they were");
    assert!(complaint.contains("is not that of the certificate"), "{complaint}");

    files = authority.certify("broker", &["localhost", "127.0.0.1"]);
    process.next_line_with("read the certificates again");
    assert_eq!(shown(process.address, "localhost", &config), in_file(&files.cert));

    let mut publisher = web_socket(process.address, "/topics/a.b", config);
    publisher.send("through it all".into()).unwrap();
    assert_eq!(receive_text(&mut subscriber), "through it all");
}

#[test]
fn a_certificate_of_its_own_making_is_warned_of_and_can_be_told_by_its_fingerprint() {
    let mut process = Process::spawn(&["--listen", "tls://127.0.0.1:0", "--tls-self-signed"]);
    let warning = process.next_line_with("WARN");
    process.wait_until_it_listens();
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "openssl s_client -connect {} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 -ext subjectAltName",
            process.address
        ))
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let (_, fingerprint) = output.lines().next().unwrap().split_once('=').expect("openssl gives it");
    assert!(warning.contains(fingerprint), "{warning} has {fingerprint}");
    assert!(output.contains("DNS:localhost, IP Address:127.0.0.1"), "{output}");
}

#[test]
fn the_log_says_who_has_come_and_why_who_did_not() {
    let authority = Authority::new("log");
    let files = authority.certify("broker", &["localhost"]);
    let text = format!(
        "[tls]\ncertificates = [{}]\nclient_ca = {:?}\nclient_certificates = \"optional\"\n",
        files,
        authority.path("ca.pem")
    );
    let config = write_config(&authority, &text);
    let mut process = Process::start_tls(&["--config", &config, "--log-level", "fanwire=debug"]);
    let identity = authority.identity("feeder");
    let known = authority.client_with(&[&rustls::version::TLS13], Some(identity));
    get(&mut tls_to(process.address, "localhost", known), "/healthz").unwrap();
    let line = process.next_line_with("TLS handshake");
    assert!(line.contains(r#"identity="CN=feeder,O=Example\\, Inc.""#), "{line}");
    assert!(line.contains("version=\"1.3\"") && line.contains("peer=127.0.0.1:"), "{line}");
    let line = process.next_line_with("disconnected");
    assert!(line.contains(r#"identity="CN=feeder,O=Example\\, Inc.""#), "{line}");

    let elsewhere = Authority::new("log-elsewhere");
    shake_hands(&mut tls_to(process.address, "localhost", elsewhere.client())).unwrap_err();
    let line = process.next_line_with("TLS has failed");
    assert!(line.contains("UnknownCA"), "{line}");
}

#[test]
fn the_log_says_what_is_wrong_with_the_certificate_of_a_client() {
    let authority = Authority::new("unfit-clients");
    let text = format!(
        "[tls]\ncertificates = [{}]\nclient_ca = {:?}\n",
        authority.certify("broker", &["localhost"]),
        authority.path("ca.pem")
    );
    let config = write_config(&authority, &text);
    let mut process = Process::start_tls(&["--config", &config, "--log-level", "fanwire=debug"]);
    let (certificate, key) = authority.identity("feeder");
    for (identity, expected) in [
        ((of_version_1(&certificate), key), "the client's certificate is X.509 of version 1, and version 3"),
        (authority.sub_authority(), "the client's certificate is that of an authority (CA:TRUE)"),
    ] {
        let client = authority.client_showing(identity);
        get(&mut tls_to(process.address, "localhost", client), "/healthz").unwrap_err();
        let line = process.next_line_with("TLS has failed");
        assert!(line.contains(expected), "{line}");
    }
}

#[test]
fn what_cannot_be_used_is_said_at_the_start_and_by_a_check() {
    let authority = Authority::new("refused");
    let (one, other) =
        (authority.certify("one", &["one.example"]), authority.certify("other", &["other.example"]));
    let write = |name: &str, der: &[u8]| {
        let octets = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{octets}\n-----END CERTIFICATE-----\n");
        fs::write(authority.path(name), pem).unwrap();
        authority.text_path(name)
    };
    let old = write("old.pem", &of_version_1(&in_file(&one.cert)));
    let nonsense = write("nonsense.pem", b"nonsense");
    let (cert, key) = (one.cert.to_str().unwrap(), other.key.to_str().unwrap());
    for (cert, key, complaint) in [
        (cert, key, "is not that of the certificate"),
        ("/nowhere.pem", key, "cannot read a certificate from /nowhere.pem"),
        (key, key, "has no certificate in it"),
        (cert, cert, "has no key in it"),
        (&old, key, "/old.pem is X.509 of version 1, and version 3 is wanted"),
        (&nonsense, key, "/nonsense.pem is not encoded as X.509 wants it"),
    ] {
        let arguments = ["--listen", "tls://127.0.0.1:0", "--tls-cert", cert, "--tls-key", key];
        let mut process = Process::spawn(&arguments);
        assert!(process.rest_of_log().contains(complaint), "{complaint}");
        assert_eq!(process.exit_code(), Some(2));
        let check =
            Command::new(env!("CARGO_BIN_EXE_fanwire")).arg("check").args(arguments).output().unwrap();
        assert!(String::from_utf8(check.stderr).unwrap().contains(complaint), "{complaint}");
        assert_eq!(check.status.code(), Some(2));
    }
}
