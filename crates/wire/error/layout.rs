//! Octets that are not laid out as the binary interface lays out its messages.

use std::error::Error;
use std::fmt;

/// Why octets are not a command, or not a notification, of the binary interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// They end within a field.
    Truncated {
        /// The field.
        field: &'static str,
    },
    /// They go on behind the last field.
    Trailing {
        /// How many there are too many.
        octets: usize,
    },
    /// A type that is not known.
    UnknownType(u8),
    /// Flags that are not known, of a type that is. What they stand for may have moved everything behind them.
    UnknownFlags(u8),
    /// The fourth kind of payload, of which there are three.
    UnknownKind,
    /// Text that is not UTF-8.
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// Something in a batch that is no publish.
    NotPublish,
    /// A value that the field cannot have.
    BadField {
        /// The field.
        field: &'static str,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { field } => write!(f, "the message ends within the field \"{field}\""),
            Self::Trailing { octets } => {
                write!(f, "the message goes on for {octets} octets behind its last field")
            }
            Self::UnknownType(octet) => write!(f, "there is no type {octet:#04x}"),
            Self::UnknownFlags(flags) => write!(f, "this type has no flags {flags:#04x}; leave them 0"),
            Self::UnknownKind => {
                f.write_str("a payload is text (0), json (1) or binary (2), and not of kind 3")
            }
            Self::NotUtf8 { field } => write!(f, "the field \"{field}\" is not UTF-8"),
            Self::NotPublish => {
                f.write_str("a batch consists of publishes, each of which begins with 80 or more")
            }
            Self::BadField { field } => write!(f, "the field \"{field}\" has a value that it cannot have"),
        }
    }
}

impl Error for LayoutError {}
