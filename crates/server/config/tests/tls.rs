//! Certificates, of the broker and of its clients.

use super::*;

#[test]
fn a_certificate_and_its_key_go_together_on_the_command_line_and_win_over_the_file() {
    let file = "listen = \"tls://127.0.0.1:1\"\ntls.certificates = [{ cert = \"a\", key = \"b\" }]";
    let tls = |flags| config(flags, file).map(|config| config.tls.unwrap().to_string());
    assert!(tls(&[]).unwrap().contains("cert = \"a\", key = \"b\""));
    assert!(tls(&["--tls-cert", "c", "--tls-key", "d"]).unwrap().contains("[{ cert = \"c\", key = \"d\" }]"));
    let error = tls(&["--tls-cert", "c"]).unwrap_err().to_string();
    assert_eq!(error, "--tls-cert: a certificate and its key go together; give --tls-key too");
    let error = tls(&["--tls-key", "d"]).unwrap_err().to_string();
    assert_eq!(error, "--tls-key: a certificate and its key go together; give --tls-cert too");
}

#[test]
fn clients_have_to_show_a_certificate_where_somebody_vouches_for_them_unless_told_otherwise() {
    let required = |further| {
        let file = format!(
            "listen = \"tls://127.0.0.1:1\"\ntls.self_signed = true\ntls.client_ca = \"ca\"\n{further}"
        );
        config(&[], &file).unwrap().tls.unwrap().clients.unwrap().required
    };
    assert!(required(""));
    assert!(required("tls.client_certificates = \"required\""));
    assert!(!required("tls.client_certificates = \"optional\""));
}
