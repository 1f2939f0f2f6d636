//! `report`: what was measured before.

use super::CommandError;
use crate::cli::{Exit, Output, Report};
use crate::presenting::{present, say, terminal, write};
use crate::report::{Comparison, json};

/// Shows a record again, or compares it with another.
pub(super) fn report(request: &Report) -> Result<Exit, CommandError> {
    let record = json::read_file(&request.record)?;
    let Some(other) = &request.other else {
        let output = Output {
            thresholds: request.thresholds.clone(),
            hgrm: request.hgrm.clone(),
            html: request.html.clone(),
            ..Output::default()
        };
        return Ok(present(&record, &output)?);
    };
    let other = json::read_file(other)?;
    let comparison = Comparison::of(&record, &other)?;
    say(&comparison.text(terminal()));
    if let Some(path) = &request.html {
        write(path, &comparison.html())?;
    }
    let are_valid = record.verdict.is_valid() && other.verdict.is_valid();
    Ok(if are_valid { Exit::Success } else { Exit::Invalid })
}
