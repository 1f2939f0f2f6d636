//! Records in files.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;

use crate::record::{Record, SCHEMA_VERSION};

/// Why a file is no record that this program reads.
#[derive(Debug)]
pub enum ReadError {
    /// The file cannot be read: the operating system says why.
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is not JSON, or it ends too early.
    NotJson(serde_json::Error),
    /// It is JSON without a schema version, so something else has written it.
    NotARecord,
    /// It was written by a program whose records mean something else.
    OtherVersion {
        /// What the file says; this program reads [`SCHEMA_VERSION`].
        found: u64,
    },
    /// It says that it is a record, and has not the fields of one.
    Malformed(serde_json::Error),
    /// Two series have the same name, so that nothing can be said of either.
    SameName(String),
}

/// The part of a record that is read before all else.
#[derive(Deserialize)]
struct Head {
    schema_version: u64,
}

/// A record as JSON, for people too.
pub fn write(record: &Record) -> String {
    serde_json::to_string_pretty(record).expect("a record has only text for keys") + "\n"
}

/// Reads what [`write()`] has written.
pub fn read(text: &str) -> Result<Record, ReadError> {
    let head = serde_json::from_str::<Head>(text)
        .map_err(|error| if error.is_data() { ReadError::NotARecord } else { ReadError::NotJson(error) })?;
    if head.schema_version != u64::from(SCHEMA_VERSION) {
        return Err(ReadError::OtherVersion { found: head.schema_version });
    }
    let record: Record = serde_json::from_str(text).map_err(ReadError::Malformed)?;
    match repeated_name(&record) {
        Some(name) => Err(ReadError::SameName(name)),
        None => Ok(record),
    }
}

/// Reads a record from a file.
pub fn read_file(path: &Path) -> Result<Record, ReadError> {
    let text = fs::read_to_string(path);
    read(&text.map_err(|error| ReadError::Unreadable { path: path.to_owned(), error })?)
}

/// The first name that two series have.
fn repeated_name(record: &Record) -> Option<String> {
    let names: Vec<&String> = record.series.iter().map(|series| &series.name).collect();
    let repeated = names.iter().enumerate().find(|(index, name)| names[..*index].contains(name));
    repeated.map(|(_, name)| (*name).clone())
}

impl Display for ReadError {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::NotJson(error) => {
                write!(
                    f,
                    "this is not JSON: {error}; give a file that `loadtest --json FILE` has written whole"
                )
            }
            Self::NotARecord => f.write_str(
                "this JSON has no `schema_version`: give a file that `loadtest --json FILE` has written",
            ),
            Self::OtherVersion { found } => write!(
                f,
                "this record has schema version {found}, and this program reads {SCHEMA_VERSION}: \
                 run the measurement again, or read it with the `loadtest` that wrote it"
            ),
            Self::Malformed(error) => write!(
                f,
                "this record has schema version {SCHEMA_VERSION}, but not its fields: {error}; \
                 it was changed after it was written, so run the measurement again"
            ),
            Self::SameName(name) => write!(
                f,
                "this record has two series called `{name}`: it was changed after it was written, \
                 so give each a name of its own"
            ),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unreadable { error, .. } => Some(error),
            Self::NotJson(error) | Self::Malformed(error) => Some(error),
            Self::NotARecord | Self::OtherVersion { .. } | Self::SameName(_) => None,
        }
    }
}
