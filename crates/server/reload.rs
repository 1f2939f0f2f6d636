//! Files that are read again when they change: certificates, keys.
//!
//! ```text
//!   every second: look at them ──► as they were read: nothing to do
//!                              ├─► changing: look again, what is half written or half renamed would not fit together
//!                              └─► changed, and at rest: read them; if they cannot be used, say so, and the old go on
//!   SIGHUP: read them
//! ```

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files that belong together, and what reads them.
pub struct Watched {
    /// What they are, for the log.
    what: &'static str,
    paths: Vec<PathBuf>,
    /// As they were when they were read last.
    read: Vec<Option<Stamp>>,
    /// As they were when they were looked at last.
    seen: Vec<Option<Stamp>>,
    reload: Box<dyn FnMut() -> Result<(), Box<dyn Error>> + Send>,
}

/// What tells a file from the one that was at its path before: when it was written, how long it is, which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    bytes: u64,
    inode: (u64, u64),
}

impl Watched {
    /// Files that were read a moment ago, and what reads them again: if that fails, it changes nothing.
    pub fn new(
        what: &'static str,
        paths: Vec<PathBuf>,
        reload: impl FnMut() -> Result<(), Box<dyn Error>> + Send + 'static,
    ) -> Self {
        let read = stamps(&paths);
        Self { what, paths, seen: read.clone(), read, reload: Box::new(reload) }
    }

    /// Reads the files if they have changed and are at rest.
    fn look(&mut self) {
        let now = stamps(&self.paths);
        let is_at_rest = now == self.seen;
        self.seen = now;
        if is_at_rest && self.seen != self.read {
            self.reload();
        }
    }

    /// Reads the files.
    fn reload(&mut self) {
        self.read = stamps(&self.paths);
        self.seen.clone_from(&self.read);
        match (self.reload)() {
            Ok(()) => tracing::info!("read the {} again", self.what),
            Err(error) => tracing::error!("the {} stay as they were: {error}", self.what),
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path| {
        let data: fs::Metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            modified: (data.mtime(), data.mtime_nsec()),
            bytes: data.len(),
            inode: (data.dev(), data.ino()),
        })
    };
    paths.iter().map(stamp).collect()
}

/// Watches until nobody can ask any more: what comes from `asked` has everything read again.
pub fn watch(mut watched: Vec<Watched>, asked: &Receiver<()>) {
    loop {
        match asked.recv_timeout(LOOK_EVERY) {
            Ok(()) => {
                tracing::info!(
                    "asked to read certificates and keys again; the configuration is read at the start only"
                );
                watched.iter_mut().for_each(Watched::reload);
            }
            Err(RecvTimeoutError::Timeout) => watched.iter_mut().for_each(Watched::look),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A file in a directory of its own, watched by a reader that counts.
    fn watched(name: &str) -> (PathBuf, Watched, Arc<AtomicUsize>) {
        let directory = std::env::temp_dir().join(format!("fanwire-reload-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join("file");
        fs::write(&path, "one").unwrap();
        let reads = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&reads);
        let watched = Watched::new("files", vec![path.clone()], move || {
            counted.fetch_add(1, Ordering::Relaxed);
            Err("it is no file that could be used".into())
        });
        (path, watched, reads)
    }

    fn reads_after_looking(watched: &mut Watched, reads: &AtomicUsize) -> usize {
        watched.look();
        reads.load(Ordering::Relaxed)
    }

    #[test]
    fn a_file_is_read_again_once_when_it_has_changed_and_is_at_rest() {
        let (path, mut watched, reads) = watched("rest");
        assert_eq!(reads_after_looking(&mut watched, &reads), 0, "nothing has changed");
        fs::write(&path, "longer").unwrap();
        assert_eq!(reads_after_looking(&mut watched, &reads), 0, "it may be half written");
        fs::write(&path, "longer still").unwrap();
        assert_eq!(reads_after_looking(&mut watched, &reads), 0, "it was");
        assert_eq!(reads_after_looking(&mut watched, &reads), 1);
        assert_eq!(
            reads_after_looking(&mut watched, &reads),
            1,
            "it failed, and will until the file changes"
        );
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn another_file_at_the_same_path_is_a_change() {
        let (path, mut watched, reads) = watched("renamed");
        let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
        let new = path.with_extension("new");
        fs::write(&new, "two").unwrap();
        fs::File::options().write(true).open(&new).unwrap().set_times(times).unwrap();
        fs::rename(&new, &path).unwrap();
        watched.look();
        assert_eq!(reads_after_looking(&mut watched, &reads), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_file_that_went_away_and_came_back_is_read_again() {
        let (path, mut watched, reads) = watched("gone");
        fs::remove_file(&path).unwrap();
        watched.look();
        assert_eq!(reads_after_looking(&mut watched, &reads), 1, "it fails, and is said to");
        fs::write(&path, "back").unwrap();
        watched.look();
        assert_eq!(reads_after_looking(&mut watched, &reads), 2);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn everything_is_read_again_when_somebody_asks() {
        let (path, watched, reads) = watched("asked");
        let (ask, asked) = crossbeam_channel::unbounded();
        ask.send(()).unwrap();
        drop(ask);
        watch(vec![watched], &asked);
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
