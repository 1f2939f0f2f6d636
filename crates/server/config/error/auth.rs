//! What can be wrong with `[auth]`.

use std::fmt;

use crate::config::auth::{BadSecret, Secret};

/// What is wrong with a value by which it is told who clients are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthProblem {
    /// A key does not say, in one way, what it is.
    NotAKey,
    /// A secret is none.
    BadSecret(BadSecret),
    /// Two keys have one id.
    IdTaken {
        /// The id.
        id: String,
    },
    /// It is said which cookie may be a token, and there are no keys that tokens are signed with.
    CookieWithoutKeys,
    /// It is said what clients may do that are not known, and nobody could be.
    AnonymousWithoutKeys,
    /// A set of keys is named by a URL.
    JwksNotAFile {
        /// The URL.
        url: String,
    },
    /// It is said what clients with certificates may, and not who vouches for these.
    ClientsWithoutCa,
    /// It is said twice what the client with a certificate may.
    SubjectTaken {
        /// The certificate's subject.
        subject: String,
    },
}

impl fmt::Display for AuthProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAKey => f.write_str(
                "a key is { algorithm = \"HS256\", secret = \"...\" } or the same with secret_file, \
                 { algorithm = \"RS256\", public_key = \"file.pem\" } or the same with ES256 or EdDSA, each with an id if \
                 tokens name it, or { jwks = \"file.json\" }",
            ),
            Self::BadSecret(BadSecret::Short) => {
                write!(f, "the secret has less than {} octets; use random ones", Secret::LEAST_BYTES)
            }
            Self::BadSecret(BadSecret::Pem) => f.write_str(
                "that is a key in PEM and no secret; put it into a file, name that with public_key, and say which \
                 algorithm its key is for (RS256, ES256 or EdDSA)",
            ),
            Self::IdTaken { id } => {
                write!(f, "there is a key with the id {id:?} already; give each a name of its own")
            }
            Self::CookieWithoutKeys => f.write_str(
                "without keys there are no tokens, which a cookie could be; add keys to [auth], or leave this out",
            ),
            Self::AnonymousWithoutKeys => f.write_str(
                "it says what clients may do that are not known, and without keys and clients nobody is; add keys or \
                 clients to [auth], or leave this out",
            ),
            Self::JwksNotAFile { url } => write!(
                f,
                "a file is wanted, and nothing is fetched; have a timer fetch {url} into a file, and name that"
            ),
            Self::ClientsWithoutCa => f.write_str(
                "nobody vouches for the certificates of clients; give client_ca in [tls], or leave this out",
            ),
            Self::SubjectTaken { subject } => {
                write!(f, "{subject} is there already; say in one place what it may")
            }
        }
    }
}
