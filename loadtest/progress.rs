//! What is seen while it runs: which run it is, the rate and the p99 of this moment.

use std::io::{IsTerminal, stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::live::Live;

const REFRESH: Duration = Duration::from_millis(200);

/// A bar on a terminal; nothing where standard error is none.
pub struct Progress(Option<ProgressBar>);

impl Progress {
    /// A bar for that many runs, unless nobody would see it.
    pub fn new(runs: usize, is_quiet: bool) -> Self {
        if is_quiet || !stderr().is_terminal() {
            return Self(None);
        }
        let bar = ProgressBar::new(runs as u64);
        let style = ProgressStyle::with_template("{bar:20} {pos}/{len}  {msg}")
            .expect("this template is well formed");
        bar.set_style(style);
        Self(Some(bar))
    }

    /// Shows what `live` says for as long as `work` takes.
    pub fn during<T>(&self, name: &str, live: &Live, work: impl FnOnce() -> T) -> T {
        let Some(bar) = &self.0 else { return work() };
        let has_ended = AtomicBool::new(false);
        let outcome = thread::scope(|scope| {
            scope.spawn(|| watch(bar, name, live, &has_ended));
            let _end = EndOnDrop(&has_ended);
            work()
        });
        bar.inc(1);
        outcome
    }

    /// So many runs come on top.
    pub fn extend(&self, runs: usize) {
        if let Some(bar) = &self.0 {
            bar.inc_length(runs as u64);
        }
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

/// Ends the watching also when the work panics: it would be waited for otherwise.
struct EndOnDrop<'a>(&'a AtomicBool);

impl Drop for EndOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn watch(bar: &ProgressBar, name: &str, live: &Live, has_ended: &AtomicBool) {
    let mut delivered = 0;
    while !has_ended.load(Ordering::Relaxed) {
        let now = live.delivered();
        let per_second = (now - delivered) as f64 / REFRESH.as_secs_f64();
        delivered = now;
        let seen =
            if live.has_begun() { pace(per_second, live.take_p99_ns()) } else { "connecting".to_owned() };
        bar.set_message(format!("{name}: {seen}"));
        thread::sleep(REFRESH);
    }
}

/// The rate, and the p99 where there is one: what warms up is in none.
fn pace(per_second: f64, p99_ns: u64) -> String {
    let rate = format!("{per_second:.0} deliveries/s");
    if p99_ns == 0 {
        return rate;
    }
    format!("{rate}, p99 {:.3} ms", p99_ns as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_warms_up_has_a_rate_and_no_p99() {
        assert_eq!(pace(12_345.6, 0), "12346 deliveries/s");
        assert_eq!(pace(12_345.6, 1_234_567), "12346 deliveries/s, p99 1.235 ms");
    }
}
