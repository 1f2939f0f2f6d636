//! Lines that are to be written whatever the levels of the configuration say.

use std::cell::RefCell;
use std::io::{self, Write};

use tracing::dispatcher::{self, Dispatch};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};

use super::lines;
use crate::config::LogFormat;

/// Gives warnings and errors the form of the log, by whatever levels that is filtered.
#[derive(Clone)]
pub(super) struct Unfiltered(Dispatch);

impl Unfiltered {
    pub(super) fn new(format: LogFormat) -> Self {
        // A level that is enabled here is looked at by every event of that level, everywhere.
        let lines = lines(format, || Line).with_filter(LevelFilter::WARN);
        Self(tracing_subscriber::registry().with(lines).into())
    }

    /// The line of the event that `say` makes.
    pub(super) fn line(&self, say: impl FnOnce()) -> Vec<u8> {
        dispatcher::with_default(&self.0, say);
        LINE.take()
    }
}

thread_local! {
    /// The line of the event that this thread makes. Whoever has another made at the same time has it alone.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Takes the line of this thread's event.
struct Line;

impl Write for Line {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        LINE.with_borrow_mut(|line| line.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
