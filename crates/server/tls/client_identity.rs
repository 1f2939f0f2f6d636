//! Who a client is by its certificate: the subject, as RFC 4514 writes it.

use std::fmt::Write;

use rustls::pki_types::CertificateDer;
use x509_parser::asn1_rs::ToDer;
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, X509Certificate};

use crate::config::{ATTRIBUTE_NAMES, escaped};

/// The subject of a certificate, `CN=feeder,O=Example`; `None` if it cannot be read, or is empty and so nobody's.
pub(super) fn subject_of(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    // The last comes first (RFC 4514 §2.1).
    let names: Vec<_> = certificate.subject().iter_rdn().collect();
    let names = names.into_iter().rev().map(|name| {
        let attributes: Vec<_> = name.iter().map(attribute).collect();
        attributes.join("+")
    });
    let subject = names.collect::<Vec<_>>().join(",");
    (!subject.is_empty()).then_some(subject)
}

/// One attribute. A type without a name has its value in hexadecimal (RFC 4514 §2.4): what it means is not known here.
fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let name = ATTRIBUTE_NAMES.iter().find(|(known, _)| *known == number);
    match (name, attribute.as_str()) {
        (Some((_, name)), Ok(value)) => format!("{name}={}", escaped(value)),
        (name, _) => {
            let name = name.map_or(number.as_str(), |(_, name)| name);
            format!("{name}=#{}", hexadecimal(attribute))
        }
    }
}

/// The value with its tag and length.
fn hexadecimal(attribute: &AttributeTypeAndValue<'_>) -> String {
    let octets = attribute.attr_value().to_der_vec().unwrap_or_default();
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use rcgen::{CertificateParams, DistinguishedName, DnType, DnValue, KeyPair};

    use super::*;
    use crate::config::Subject;

    fn certificate(attributes: &[(DnType, &str)]) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in attributes {
            params.distinguished_name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    /// The same subject by a program that we did not write.
    fn by_openssl(certificate: &CertificateDer<'_>) -> String {
        let arguments = ["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", "RFC2253,utf8,-esc_msb"];
        let mut openssl = Command::new("openssl")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl is installed");
        openssl.stdin.take().unwrap().write_all(certificate).unwrap();
        let output = String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap();
        output.trim_end_matches('\n').strip_prefix("subject=").unwrap().to_owned()
    }

    #[test]
    fn a_subject_is_written_as_openssl_writes_it() {
        let own = DnType::CustomDnType(vec![1, 2, 3, 4]);
        for attributes in [
            &[(DnType::CommonName, "feeder")][..],
            &[
                (DnType::CountryName, "NZ"),
                (DnType::OrganizationName, "Example, Inc."),
                (DnType::CommonName, "a+b"),
            ],
            &[
                (DnType::CommonName, " feeder "),
                (DnType::LocalityName, "#1"),
                (DnType::OrganizationalUnitName, "\"<>;\\"),
            ],
            &[(DnType::CommonName, "Zürich"), (own, "something")],
            &[(DnType::CommonName, "two\nlines")],
        ] {
            let certificate = certificate(attributes);
            let openssl = by_openssl(&certificate);
            assert_eq!(
                subject_of(&certificate).unwrap().to_lowercase(),
                openssl.to_lowercase(),
                "{attributes:?}"
            );
        }
    }

    #[test]
    fn an_operator_may_write_a_subject_as_openssl_does() {
        let attributes = [
            (DnType::CustomDnType(vec![1, 2, 3, 4]), "#"),
            (DnType::OrganizationName, " Example, Inc.#"),
            (DnType::CommonName, "#a+b=\"\\ "),
        ];
        let certificate = certificate(&attributes);
        let configured: Subject = by_openssl(&certificate).parse().unwrap();
        assert_eq!(subject_of(&certificate).unwrap(), configured.as_str());
    }

    #[test]
    fn nobody_is_not_a_client() {
        assert_eq!(subject_of(&certificate(&[])), None);
        assert_eq!(subject_of(&CertificateDer::from(vec![0x30, 0x80])), None);
    }
}
