//! What can be wrong with a configuration. All of it is the operator's to put right, so each error says where it
//! is, what is wrong, and what to do.

mod auth;

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use super::units::Listen;
use crate::process::{MISCONFIGURED, complain};
pub use auth::AuthProblem;

/// Why a configuration does not hold.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line cannot be understood, or asks for help or the version.
    Usage(clap::Error),
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not TOML, has a key that does not exist, or a value that its key does not take.
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        excerpt: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A value that cannot hold, by itself or together with others.
    Rejected {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// Where a value was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key in the file.
    pub key: &'static str,
    /// Who said it.
    pub origin: Origin,
}

/// Who said a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// The command line.
    Flag,
    /// The file.
    File {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is too small or too large.
    OutOfRange {
        /// The value.
        given: String,
        /// The smallest that is taken.
        least: String,
        /// The largest that is taken.
        most: String,
    },
    /// An address is listened on twice, by its own name or as part of a wildcard.
    AddressTaken {
        /// The address.
        address: SocketAddr,
        /// The one that takes it.
        by: SocketAddr,
    },
    /// Others than this machine may reach an address, and nobody is asked who it is.
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// It cannot be told by it who clients are.
    Auth(AuthProblem),
    /// A part of the memory is to be larger than all of it.
    PartAboveMemory {
        /// The part's bound.
        part: String,
        /// The bound of all.
        memory: String,
    },
    /// Connections are to have contexts that compress, and nothing is compressed.
    ContextsWithoutCompression,
    /// The configuration has no secret, and other keys that it has cannot sign.
    NothingToSignWith,
    /// There are not as many cores to pin to.
    TooFewCores {
        /// The event loops.
        wanted: usize,
        /// The cores of the machine.
        present: usize,
    },
    /// A history is given without any bound.
    UnboundedHistory,
    /// A history cannot hold the largest message.
    HistoryBelowMessage {
        /// The history's bound.
        bytes: String,
        /// The bound on a message.
        max_message: String,
    },
    /// It is said that `max_age` holds for the newest values too, and there is none.
    NewestWithoutAge,
    /// Last values are kept by key, and the latest message, which is one of them, is not.
    KeysWithoutLastValue,
    /// Topics whose messages stay together conflate, which takes them apart.
    AtomicConflates,
    /// TLS is spoken at an address, and there is no certificate to show there.
    ListenerWithoutCertificate {
        /// The address.
        listen: Listen,
    },
    /// It is said how TLS is spoken, and there is no address that speaks it.
    CertificateWithoutListener,
    /// A certificate is given without its key, or a key without its certificate.
    HalfACertificate {
        /// The flag that is missing.
        missing: &'static str,
    },
    /// The list of certificates is empty.
    NoCertificates,
    /// A certificate is to be made, and there are certificates already.
    SelfSignedBesideFiles,
    /// It is said that clients show certificates, and not who vouches for them.
    ClientCertificatesWithoutCa,
    /// An earlier rule matches whatever this one does.
    RuleWithoutEffect {
        /// The rule.
        rule: String,
        /// The earlier one.
        earlier: String,
    },
}

impl Place {
    /// A value that the command line said.
    pub(super) fn flag(key: &'static str) -> Self {
        Self { key, origin: Origin::Flag }
    }
}

impl ConfigError {
    /// Tells the operator, and says how the process ends: help and the version go to standard output, with 0;
    /// everything else to standard error, with 2.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::Usage(error) => {
                // Nothing can be said about an output that cannot be written to.
                let _ = error.print();
                if error.use_stderr() { ExitCode::from(MISCONFIGURED) } else { ExitCode::SUCCESS }
            }
            error => {
                complain(error);
                ExitCode::from(MISCONFIGURED)
            }
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(error) => error.fmt(f),
            Self::Unreadable { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Malformed { path, line, excerpt, problem } => {
                write!(f, "{}:{line}: {problem}\n    {excerpt}", path.display())
            }
            Self::Rejected { place, problem } => write!(f, "{place}: {problem}"),
        }
    }
}

impl Error for ConfigError {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Default => write!(f, "the default of {}", self.key),
            Origin::Flag => write!(f, "--{}", self.key.replace(['_', '.'], "-")),
            Origin::File { path, line } => write!(f, "{}:{line}: {}", path.display(), self.key),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange { given, least, most } => write!(f, "{given} is not between {least} and {most}"),
            Self::AddressTaken { address, by } if address == by => {
                write!(f, "{address} is there twice; leave one out")
            }
            Self::AddressTaken { address, by } => {
                write!(f, "{address} is part of {by}, which is there too; leave one out")
            }
            Self::Exposed { address } => write!(
                f,
                "others than this machine may reach {address}, and without keys any of them could publish and subscribe to \
                 everything; put keys into [auth], or know clients by their certificates ([[auth.clients]], or \
                 client_certificates = \"required\" in [tls] where TLS is spoken), or listen on 127.0.0.1, or say \
                 --insecure-open if that is meant"
            ),
            Self::PartAboveMemory { part, memory } => write!(
                f,
                "{part} is a part of limits.memory ({memory}) and more than that; raise one or lower the other"
            ),
            Self::ContextsWithoutCompression => f.write_str(
                "connections need no contexts of their own where compression is off; turn it on, or leave this out",
            ),
            Self::Auth(problem) => problem.fmt(f),
            Self::NothingToSignWith => f.write_str(
                "it has no secret that a token could be signed with; name a file with a private key or a secret, by --key-file",
            ),
            Self::TooFewCores { wanted, present } => {
                write!(
                    f,
                    "{wanted} event loops cannot be pinned to {present} cores; lower cores, or do not pin"
                )
            }
            Self::UnboundedHistory => f.write_str(
                "a history needs a bound: messages, bytes or max_age; leave history out to keep no messages",
            ),
            Self::HistoryBelowMessage { bytes, max_message } => write!(
                f,
                "{bytes} cannot hold one message of max_message ({max_message}); raise one or lower the other"
            ),
            Self::NewestWithoutAge => {
                f.write_str("there is no max_age that it could be said of; give one, or leave it out")
            }
            Self::KeysWithoutLastValue => f.write_str(
                "keys keep the latest message among the last values, and last_value = false keeps it not; leave one out",
            ),
            Self::AtomicConflates => f.write_str(
                "conflation would take messages apart that atomic keeps together; choose gap or disconnect, or leave \
                 atomic out",
            ),
            Self::ListenerWithoutCertificate { listen } => write!(
                f,
                "{listen} has no certificate to show; give --tls-cert and --tls-key, or certificates in [tls], or \
                 --tls-self-signed to try it out"
            ),
            Self::CertificateWithoutListener => f.write_str(
                "no address speaks TLS; listen on one such as tls://127.0.0.1:8443, or leave this out",
            ),
            Self::HalfACertificate { missing } => {
                write!(f, "a certificate and its key go together; give {missing} too")
            }
            Self::NoCertificates => f.write_str("the list is empty; name a certificate, or leave it out"),
            Self::SelfSignedBesideFiles => f.write_str(
                "there are certificates already, and one that nobody trusts is for trying out; leave one out",
            ),
            Self::ClientCertificatesWithoutCa => f.write_str(
                "it is not said who vouches for clients; give client_ca, or leave this out",
            ),
            Self::RuleWithoutEffect { rule, earlier } => write!(
                f,
                "{rule:?} has no effect, because {earlier:?} stands before it and matches the same topics; \
                 move it up, or leave it out"
            ),
        }
    }
}
