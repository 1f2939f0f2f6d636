//! The log, its output in memory.

use std::io::{BufRead, Write};

use super::queue::MAX_WAITING_BYTES;
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
    assert_eq!((&line["level"], who, why), (&"ERROR".into(), &NAME.into(), &"panicked: all is lost".into()));
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
