//! The report: what it says of records as runs could have left them.

mod samples;

mod files;
mod page;
mod terminal;
mod verdicts;
