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

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvError, Sender};
use tracing::dispatcher::{self, Dispatch};
use tracing::field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};

/// Lines that wait to be written have so many bytes at most. It is several thousand lines: what a thousand connections that
/// come and go at once have to say at the level `debug`, while whoever reads is held up for a moment. It is little beside
/// what a core holds anyway.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

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

/// Gives warnings and errors the form of the log, by whatever levels that is filtered.
#[derive(Clone)]
struct Unfiltered(Dispatch);

impl Unfiltered {
    fn new(format: LogFormat) -> Self {
        // A level that is enabled here is looked at by every event of that level, everywhere.
        let lines = lines(format, || Line).with_filter(LevelFilter::WARN);
        Self(tracing_subscriber::registry().with(lines).into())
    }

    /// The line of the event that `say` makes.
    fn line(&self, say: impl FnOnce()) -> Vec<u8> {
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

/// What goes to the thread that writes.
enum Entry {
    Line {
        text: Box<[u8]>,
        /// How many had been dropped when it came.
        dropped: u64,
    },
    /// Everything before it is to be written, and this to be told.
    Flush(Sender<()>),
}

/// What is known of the queue at both of its ends.
struct Fill {
    waiting_bytes: AtomicUsize,
    dropped: &'static AtomicU64,
}

/// Where lines come in.
struct Queue {
    entries: Sender<Entry>,
    fill: Arc<Fill>,
}

impl Queue {
    /// An empty queue, and its other end. Lines without room count as `dropped`.
    fn new(dropped: &'static AtomicU64) -> (Self, Receiver<Entry>) {
        let (entries, waiting) = crossbeam_channel::unbounded();
        let fill = Arc::new(Fill { waiting_bytes: AtomicUsize::new(0), dropped });
        (Self { entries, fill }, waiting)
    }

    /// Has a line written, or drops it if there is no room. Never waits.
    fn push(&self, line: &[u8]) {
        let Fill { waiting_bytes, dropped } = &*self.fill;
        if waiting_bytes.fetch_add(line.len(), Ordering::Relaxed) + line.len() > MAX_WAITING_BYTES {
            waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
            dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.send_line(line);
    }

    /// Has a line written, whether there is room or not. Never waits.
    fn push_anyway(&self, line: &[u8]) {
        self.fill.waiting_bytes.fetch_add(line.len(), Ordering::Relaxed);
        self.send_line(line);
    }

    fn send_line(&self, line: &[u8]) {
        self.send(Entry::Line { text: line.into(), dropped: self.fill.dropped.load(Ordering::Relaxed) });
    }

    fn send(&self, entry: Entry) {
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

/// Writes what comes out of the queue.
struct Writer<W> {
    waiting: Receiver<Entry>,
    fill: Arc<Fill>,
    output: W,
    /// How many of the dropped lines were told of.
    told: u64,
    unfiltered: Unfiltered,
}

impl<W: Write> Writer<W> {
    fn new(waiting: Receiver<Entry>, queue: &Queue, output: W, unfiltered: Unfiltered) -> Self {
        Self { waiting, fill: Arc::clone(&queue.fill), output, told: 0, unfiltered }
    }

    /// Writes until nobody is left who could have anything to say.
    fn run(mut self) {
        while self.handle_next().is_ok() {}
    }

    fn handle_next(&mut self) -> Result<(), RecvError> {
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

#[cfg(test)]
mod tests {
    use std::io::BufRead;

    use super::*;

    const LINE_BYTES: usize = 1024;

    /// What was written, of which some could not be.
    #[derive(Default)]
    struct Output {
        text: Vec<u8>,
        failures_to_come: usize,
    }

    impl Write for &mut Output {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            if self.failures_to_come > 0 {
                self.failures_to_come -= 1;
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A queue, and what writes to `output` what comes out of it.
    fn log(output: &mut Output) -> (Queue, Writer<&mut Output>) {
        let (queue, waiting) = Queue::new(Box::leak(Box::default()));
        let writer = Writer::new(waiting, &queue, output, Unfiltered::new(LogFormat::Text));
        (queue, writer)
    }

    fn line(text: &str) -> Vec<u8> {
        format!("{text:.<width$}\n", width = LINE_BYTES - 1).into()
    }

    /// The numbers of the lines that were written, and of those that each notice says were dropped.
    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Line(usize),
        Dropped(usize),
    }

    fn seen(output: &Output) -> Vec<Seen> {
        let text = str::from_utf8(&output.text).unwrap();
        let see = |line: &str| match line.split_once("were dropped") {
            Some((_, notice)) => Seen::Dropped(notice.rsplit_once("lines=").unwrap().1.parse().unwrap()),
            None => Seen::Line(line.split('.').next().unwrap().parse().unwrap()),
        };
        text.lines().map(see).collect()
    }

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_told_where_they_would_stand() {
        const ROOM: usize = MAX_WAITING_BYTES / LINE_BYTES;
        let mut output = Output::default();
        let (queue, mut writer) = log(&mut output);
        for number in 0..ROOM + 3 {
            queue.push(&line(&number.to_string()));
        }
        writer.handle_next().unwrap();
        for number in ROOM + 3..ROOM + 5 {
            queue.push(&line(&number.to_string()));
        }
        assert_eq!(queue.fill.dropped.load(Ordering::Relaxed), 4);
        drop(queue);
        writer.run();
        let mut expected: Vec<_> = (0..ROOM).map(Seen::Line).collect();
        expected.extend([Seen::Dropped(3), Seen::Line(ROOM + 3), Seen::Dropped(1)]);
        assert_eq!(seen(&output), expected);
    }

    #[test]
    fn what_is_flushed_is_told_too_if_it_was_dropped_and_what_is_insisted_on_is_not() {
        let mut output = Output::default();
        let (queue, mut writer) = log(&mut output);
        let log = Log { queue: Arc::new(queue), unfiltered: Unfiltered::new(LogFormat::Text) };
        // One more than there is room for.
        for number in 0..=MAX_WAITING_BYTES / LINE_BYTES {
            log.queue.push(&line(&number.to_string()));
        }
        log.insist(|| tracing::error!("it cannot go on"));
        log.queue.push(&line("too late"));
        let (done, is_done) = crossbeam_channel::bounded(1);
        log.queue.send(Entry::Flush(done));
        while is_done.try_recv().is_err() {
            writer.handle_next().unwrap();
        }
        assert_eq!(log.queue.fill.waiting_bytes.load(Ordering::Relaxed), 0);
        let text = str::from_utf8(&output.text).unwrap();
        let ends: Vec<_> = text.lines().rev().take(3).collect();
        let [notice, last_words, other] = *ends else { panic!("{text}") };
        assert!(notice.ends_with("lines=1") && other.ends_with("lines=1"), "{notice}\n{other}");
        assert!(last_words.ends_with("it cannot go on"), "{last_words}");
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_when_one_can() {
        let mut output = Output { failures_to_come: 3, ..Output::default() };
        let (queue, mut writer) = log(&mut output);
        for number in 0..3 {
            queue.push(&line(&number.to_string()));
            // Two of them fail, and the notice between these.
            writer.handle_next().unwrap();
        }
        queue.push(&line("3"));
        assert_eq!(queue.fill.waiting_bytes.load(Ordering::Relaxed), LINE_BYTES, "the others hold no room");
        drop(queue);
        writer.run();
        assert_eq!(seen(&output), [Seen::Dropped(2), Seen::Line(2), Seen::Line(3)]);
    }

    #[test]
    fn lines_that_are_made_at_the_same_time_are_told_apart() {
        let unfiltered = Unfiltered::new(LogFormat::Text);
        let mut of_another = Vec::new();
        let own = unfiltered.line(|| {
            tracing::warn!("own");
            thread::scope(|scope| {
                let another = scope.spawn(|| unfiltered.line(|| tracing::warn!("of another")));
                of_another = another.join().unwrap();
            });
        });
        let is = |line: &[u8], event: &str| line.ends_with(event.as_bytes()) && line.lines().count() == 1;
        assert!(is(&own, "own\n") && is(&of_another, "of another\n"), "{own:?}, {of_another:?}");
    }

    #[test]
    fn a_panic_is_an_event_of_the_log_that_says_who_where_and_why() {
        const NAME: &str = "a thread that panics";
        let mut output = Output::default();
        let (queue, mut writer) = log(&mut output);
        let log = Log { queue: Arc::new(queue), unfiltered: Unfiltered::new(LogFormat::Json) };
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| match thread::current().name() {
            Some(NAME) => log.tell_panic(panic),
            _ => usual(panic),
        }));
        thread::scope(|scope| {
            let panics = thread::Builder::new().name(NAME.to_owned());
            let panics = panics.spawn_scoped(scope, || panic!("{} is lost", "all")).unwrap();
            // The line, and the flush behind it.
            (0..2).for_each(|_| writer.handle_next().unwrap());
            panics.join().unwrap_err();
        });
        drop(panic::take_hook());
        let line: serde_json::Value = serde_json::from_slice(&output.text).unwrap();
        let (who, why) = (&line["thread"], &line["message"]);
        assert_eq!(
            (&line["level"], who, why),
            (&"ERROR".into(), &NAME.into(), &"panicked: all is lost".into())
        );
        assert!(line["at"].as_str().unwrap().starts_with(file!()), "{line}");
    }

    #[test]
    fn what_is_flushed_has_been_written() {
        let mut output = Output::default();
        let (queue, writer) = log(&mut output);
        let log = Log { queue: Arc::new(queue), unfiltered: Unfiltered::new(LogFormat::Json) };
        thread::scope(|scope| {
            let writing = scope.spawn(|| writer.run());
            log.insist(|| tracing::error!("it cannot go on"));
            log.flush();
            drop(log);
            writing.join().unwrap();
        });
        let line: serde_json::Value = serde_json::from_slice(&output.text).unwrap();
        assert_eq!((&line["level"], &line["message"]), (&"ERROR".into(), &"it cannot go on".into()));
    }
}
