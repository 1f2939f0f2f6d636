//! The thread that writes the log: lines as they come out of the queue, and where some are missing, how many.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, RecvError};

use super::queue::{Entry, Fill, Queue};
use super::unfiltered::Unfiltered;

/// Writes what comes out of the queue.
pub(super) struct Writer<W> {
    waiting: Receiver<Entry>,
    fill: Arc<Fill>,
    output: W,
    /// How many of the dropped lines were told of.
    told: u64,
    unfiltered: Unfiltered,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(waiting: Receiver<Entry>, queue: &Queue, output: W, unfiltered: Unfiltered) -> Self {
        Self { waiting, fill: Arc::clone(&queue.fill), output, told: 0, unfiltered }
    }

    /// Writes until nobody is left who could have anything to say.
    pub(super) fn run(mut self) {
        while self.handle_next().is_ok() {}
    }

    pub(super) fn handle_next(&mut self) -> Result<(), RecvError> {
        match self.next()? {
            Entry::Line { text, dropped } => self.write(&text, dropped),
            Entry::Flush(done) => {
                self.tell_all_dropped();
                // Whoever asked may have stopped waiting.
                let _ = done.send(());
            }
        }
        Ok(())
    }

    /// The next entry, which is waited for. Before that, everything is told that is to be told.
    fn next(&mut self) -> Result<Entry, RecvError> {
        self.waiting.try_recv().or_else(|_| {
            self.tell_all_dropped();
            self.waiting.recv()
        })
    }

    fn write(&mut self, line: &[u8], dropped: u64) {
        self.tell_dropped(dropped);
        if self.output.write_all(line).is_err() {
            self.fill.dropped.fetch_add(1, Ordering::Relaxed);
        }
        self.fill.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
    }

    fn tell_all_dropped(&mut self) {
        self.tell_dropped(self.fill.dropped.load(Ordering::Relaxed));
    }

    /// Tells how many lines are missing here, if so many were dropped and it was not told before.
    fn tell_dropped(&mut self, dropped: u64) {
        let lines = dropped.saturating_sub(self.told);
        if lines == 0 {
            return;
        }
        let notice = self.unfiltered.line(|| {
            tracing::warn!(lines, "lines of the log were dropped: it was not read, or could not be written");
        });
        // Otherwise it is told together with the next.
        if self.output.write_all(&notice).is_ok() {
            self.told = dropped;
        }
    }
}
