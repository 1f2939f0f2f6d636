//! Which colour a series has: that of its transport, the same in every plot and in every report.

use crate::record::Record;

use super::quantities::poll_period;

/// Colours in the style sheet, `c0` to `c7`.
const COLOURS: usize = 8;

/// The first colour that is not reserved for a transport that pushes.
const FIRST_POLL: usize = 4;

/// The classes of a record's transports.
#[derive(Clone, Debug)]
pub(super) struct Colours {
    /// Those without a colour of their own, polls by how often they ask, in the order in which they take the
    /// colours that are left.
    others: Vec<String>,
    /// The series of the record, with their transports.
    series: Vec<(String, String)>,
}

impl Colours {
    /// Gives each transport of a record a colour.
    pub(super) fn of(record: &Record) -> Self {
        let series = record.series.iter().map(|series| (series.name.clone(), series.transport.clone()));
        let mut others: Vec<String> = record.series.iter().map(|series| series.transport.clone()).collect();
        others.retain(|transport| reserved(transport).is_none());
        others.sort_by_cached_key(|transport| (poll_period(transport), transport.clone()));
        others.dedup();
        Self { others, series: series.collect() }
    }

    /// The class of a transport.
    pub(super) fn transport(&self, transport: &str) -> String {
        let place = || self.others.iter().position(|other| other == transport).unwrap_or(0);
        let colour = reserved(transport).unwrap_or_else(|| FIRST_POLL + place() % (COLOURS - FIRST_POLL));
        format!("c{colour}")
    }

    /// The class of a series, if the record has it.
    pub(super) fn series(&self, name: &str) -> Option<String> {
        let (_, transport) = self.series.iter().find(|(series, _)| series == name)?;
        Some(self.transport(transport))
    }
}

/// The colour of a transport that every report gives it.
fn reserved(transport: &str) -> Option<usize> {
    ["ws", "ws-deflate", "sse", "longpoll"].iter().position(|name| *name == transport)
}
