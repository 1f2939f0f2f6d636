//! Records in files.
//!
//! Beside the record, with its histograms, stand the percentiles of these, for programs that read no histograms:
//!
//! ```text
//!   .quantiles["poll:100ms"].end_to_end.p99_ns       jq
//!              │             │          └─ p50_ns  p90_ns  p99_ns  p99_9_ns  max_ns
//!              │             └─ end_to_end  service  schedule_lag  receive_lag  slow_age
//!              └─ the name of a series
//! ```
//! Each is a number of nanoseconds; `"Infinity"` where it falls into the losses; `null` where there is no value at all. Only
//! end to end knows losses: the others are of what came. `slow_age` is there if there are slow subscribers. Whoever reads
//! the record again computes them anew.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::percentile::{Distribution, Latency, Percentile};
use crate::record::{Measured, Record, SCHEMA_VERSION};

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
    /// One of these, of a file.
    In {
        /// Which file.
        path: PathBuf,
        /// What is wrong with what it holds.
        error: Box<ReadError>,
    },
}

/// The part of a record that is read before all else.
#[derive(Deserialize)]
struct Head {
    schema_version: u64,
}

/// What is in a file.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    record: &'a Record,
    /// By the name of the series.
    quantiles: BTreeMap<&'a str, Quantiles>,
}

/// The percentiles of a series.
#[derive(Serialize)]
struct Quantiles {
    end_to_end: Named,
    service: Named,
    schedule_lag: Named,
    receive_lag: Named,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_age: Option<Named>,
}

/// The percentiles that have names.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "it is the unit")]
struct Named {
    p50_ns: Option<Latency>,
    p90_ns: Option<Latency>,
    p99_ns: Option<Latency>,
    p99_9_ns: Option<Latency>,
    max_ns: Option<Latency>,
}

/// A record as JSON, for people too.
pub fn write(record: &Record) -> String {
    let series = record.series.iter();
    let quantiles = series.map(|series| (series.name.as_str(), Quantiles::of(&series.merged))).collect();
    let written = Written { record, quantiles };
    serde_json::to_string_pretty(&written).expect("a record has only text for keys") + "\n"
}

impl Quantiles {
    fn of(measured: &Measured) -> Self {
        let recorded = |histogram| Named::of(&Distribution::recorded(histogram));
        Self {
            end_to_end: Named::of(&Distribution::of(measured)),
            service: recorded(&measured.latencies.service),
            schedule_lag: recorded(&measured.latencies.schedule_lag),
            receive_lag: recorded(&measured.latencies.receive_lag),
            slow_age: measured.slow.as_ref().map(|slow| recorded(&slow.ages)),
        }
    }
}

impl Named {
    fn of(distribution: &Distribution) -> Self {
        let at = |percentile| distribution.percentile(percentile);
        Self {
            p50_ns: at(Percentile::P50),
            p90_ns: at(Percentile::P90),
            p99_ns: at(Percentile::P99),
            p99_9_ns: at(Percentile::P99_9),
            max_ns: at(Percentile::MAX),
        }
    }
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
    let path = path.to_owned();
    match fs::read_to_string(&path) {
        Ok(text) => read(&text).map_err(|error| ReadError::In { path, error: Box::new(error) }),
        Err(error) => Err(ReadError::Unreadable { path, error }),
    }
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
            Self::In { path, error } => write!(f, "{}: {error}", path.display()),
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
            Self::In { error, .. } => Some(error),
            Self::NotJson(error) | Self::Malformed(error) => Some(error),
            Self::NotARecord | Self::OtherVersion { .. } | Self::SameName(_) => None,
        }
    }
}
