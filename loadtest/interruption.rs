//! What the process says and leaves behind when it is told to stop.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;

use crate::presenting::warn;

/// What a shell adds to the number of a signal that has ended a process.
const ENDED_BY: i32 = 128;

/// Files that this process has created for what is yet to be measured.
static CREATED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// From here on, SIGINT and SIGTERM end the process with a word, and without the empty files that it has created.
pub fn watch() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            remove_empty_files();
            let name = signal_name(signal).unwrap_or("a signal");
            warn(&format!("\nstopped by {name}: nothing was written, and what was measured so far is gone"));
            process::exit(ENDED_BY + signal);
        }
    });
    Ok(())
}

/// Makes sure that a file is there and can be written; one that was there before stays as it is.
pub fn create(path: &Path) -> io::Result<()> {
    // Held while it is created, so that whoever stops this process finds it here.
    let mut created = CREATED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut options = OpenOptions::new();
    match options.append(true).create_new(true).open(path) {
        Ok(_) => created.push(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create_new(false).open(path)?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Removes those of the created files that nothing was written to.
pub fn remove_empty_files() {
    for path in CREATED.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            // What cannot be removed stays.
            let _ = fs::remove_file(path);
        }
    }
}
