//! Lines that wait to be written: as many bytes of them as there is room for, and nobody waits to put one in.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender};

/// Lines that wait to be written have so many bytes at most. It is several thousand lines: what a thousand connections that
/// come and go at once have to say at the level `debug`, while whoever reads is held up for a moment. It is little beside
/// what a core holds anyway.
pub(super) const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// What goes to the thread that writes.
pub(super) enum Entry {
    Line {
        text: Box<[u8]>,
        /// How many had been dropped when it came.
        dropped: u64,
    },
    /// Everything before it is to be written, and this to be told.
    Flush(Sender<()>),
}

/// What is known of the queue at both of its ends.
pub(super) struct Fill {
    pub(super) waiting_bytes: AtomicUsize,
    pub(super) dropped: &'static AtomicU64,
}

/// Where lines come in.
pub(super) struct Queue {
    entries: Sender<Entry>,
    pub(super) fill: Arc<Fill>,
}

impl Queue {
    /// An empty queue, and its other end. Lines without room count as `dropped`.
    pub(super) fn new(dropped: &'static AtomicU64) -> (Self, Receiver<Entry>) {
        let (entries, waiting) = crossbeam_channel::unbounded();
        let fill = Arc::new(Fill { waiting_bytes: AtomicUsize::new(0), dropped });
        (Self { entries, fill }, waiting)
    }

    /// Has a line written, or drops it if there is no room. Never waits.
    pub(super) fn push(&self, line: &[u8]) {
        let Fill { waiting_bytes, dropped } = &*self.fill;
        if waiting_bytes.fetch_add(line.len(), Ordering::Relaxed) + line.len() > MAX_WAITING_BYTES {
            waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.send_line(line);
    }

    /// Has a line written, whether there is room or not. Never waits.
    pub(super) fn push_anyway(&self, line: &[u8]) {
        self.fill.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        self.send_line(line);
    }

    fn send_line(&self, line: &[u8]) {
        self.send(Entry::Line { text: line.into(), dropped: self.fill.dropped.load(Ordering::Relaxed) });
    }

    pub(super) fn send(&self, entry: Entry) {
        // It fails only when there is no thread that writes any more, and with it no log.
        let _ = self.entries.send(entry);
    }
}

/// Takes one line at a time, whole.
impl Write for &Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
