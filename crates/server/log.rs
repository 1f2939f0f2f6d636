//! The log: on standard error, as text for people or JSON for programs.
//!
//! Nobody waits for whoever reads it. Lines go through a queue to a thread that writes them and does nothing else. Those
//! that the queue has no room for, or that cannot be written, are dropped and counted, and the log says so where it goes on.
//!
//! ```text
//!   any thread ──► queue, bounded in bytes ──► fanwire-log ──► standard error
//!        └──► full: dropped, counted             └──► "lines of the log were dropped"
//! ```
//!
//! `tracing-appender` has such a thread too. But it bounds lines and not bytes, neither counts what could not be written nor says
//! in the log what is missing, and at its end prints to standard output if nobody reads: that never returns where both streams
//! go to the same pipe.

mod queue;
mod unfiltered;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{dispatcher, field};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};
use queue::{Entry, Queue};
use unfiltered::Unfiltered;
use writer::Writer;

/// How long the end of the process waits for the last lines to be written. Whoever reads needs a fraction of it for a full
/// queue; where nobody reads, nothing would come of waiting longer.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// Lines that the log of this process has dropped.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// How many lines the log of this process has dropped, because nobody read it or it could not be written.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// The log of the process, for whoever ends it.
#[derive(Clone)]
pub struct Log {
    queue: Arc<Queue>,
    unfiltered: Unfiltered,
}

/// Sends the log events of the whole process to standard error. To be called once, by the program: a library leaves
/// this to whoever uses it. Fails if the kernel has no thread for it; panics at a second call.
pub fn init(config: &LogConfig) -> io::Result<Log> {
    let (queue, waiting) = Queue::new(&DROPPED);
    let unfiltered = Unfiltered::new(config.format);
    let writer = Writer::new(waiting, &queue, io::stderr(), unfiltered.clone());
    thread::Builder::new().name("fanwire-log".to_owned()).spawn(move || writer.run())?;
    let queue = Arc::new(queue);
    let lines = lines(config.format, Arc::clone(&queue)).with_filter(config.level.clone());
    tracing_subscriber::registry().with(lines).init();
    Ok(Log { queue, unfiltered })
}

/// Has what `work` warns of said on standard error at once, by a program that has no log.
pub(crate) fn with_warnings<R>(work: impl FnOnce() -> R) -> R {
    let lines = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    let lines = lines.with_target(false).without_time().log_internal_errors(false);
    let warnings = tracing_subscriber::registry().with(lines.with_filter(LevelFilter::WARN));
    dispatcher::with_default(&warnings.into(), work)
}

impl Log {
    /// Writes the event that `say` makes, whatever the levels of the configuration say: without it, the process would end
    /// and not have said why. It is to be a warning or an error, and has room where other lines have none.
    pub fn insist(&self, say: impl FnOnce()) {
        self.queue.push_anyway(&self.unfiltered.line(say));
    }

    /// Has the log say why a thread panics. The hook that every program has writes to standard error itself: there
    /// a core would wait for whoever reads it, instead of ending the process.
    pub fn tell_panics(&self) {
        let log = self.clone();
        panic::set_hook(Box::new(move |panic| log.tell_panic(panic)));
    }

    fn tell_panic(&self, panic: &PanicHookInfo<'_>) {
        let why = panic.payload_as_str().unwrap_or("for a reason that is no text");
        let at = panic.location().map(field::display);
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| field::display(&backtrace));
        let current = thread::current();
        self.insist(|| tracing::error!(thread = current.name(), at, backtrace, "panicked: {why}"));
        self.flush();
    }

    /// Waits until everything before this is written, and told that was dropped; for a second at most, where nobody reads.
    pub fn flush(&self) {
        let (done, is_done) = crossbeam_channel::bounded(1);
        self.queue.send(Entry::Flush(done));
        // Too late is too late: what is left is lost.
        let _ = is_done.recv_timeout(FLUSH_WITHIN);
    }
}

/// What gives events their form as lines, and each of these as a whole to a writer.
fn lines<W>(format: LogFormat, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

#[cfg(test)]
mod tests;
