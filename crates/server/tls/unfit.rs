//! Why a certificate is not taken, where the library has no more than a name for it.

use rustls::{CertificateError, Error, OtherError};

/// What is wrong with the certificate that an error is about, and what can be done: a sentence without its subject.
pub(super) fn why_unfit(error: &Error) -> Option<&'static str> {
    let Error::InvalidCertificate(error) = error else { return None };
    match error {
        CertificateError::BadEncoding => Some("is not encoded as X.509 wants it"),
        CertificateError::Other(OtherError(error)) => by_name(error.downcast_ref()?),
        _ => None,
    }
}

fn by_name(error: &webpki::Error) -> Option<&'static str> {
    Some(match error {
        webpki::Error::UnsupportedCertVersion => {
            "is X.509 of version 1, and version 3 is wanted, which openssl x509 -req makes only where it is given \
             extensions: -extfile FILE, with a line subjectAltName=DNS:HOST for a broker or extendedKeyUsage=clientAuth \
             for a client"
        }
        webpki::Error::CaUsedAsEndEntity => {
            "is that of an authority (CA:TRUE), which is nobody's own: have the authority sign another one"
        }
        webpki::Error::EndEntityUsedAsCa => {
            "is signed by one that is not an authority's: that one wants basicConstraints=CA:TRUE"
        }
        webpki::Error::NameConstraintViolation => {
            "has a name that the authority may not vouch for (nameConstraints)"
        }
        webpki::Error::PathLenConstraintViolated => {
            "is signed by an authority below one that allows none there (pathlen)"
        }
        webpki::Error::UnsupportedCriticalExtension => "has an extension that is critical and not known here",
        _ => return None,
    })
}
