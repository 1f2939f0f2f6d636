//! How punctual this machine is, and how it tells the time.

use std::fs;
use std::io;
use std::thread;

use super::Check;
use crate::clock::{Sleeper, now_ns};

/// Sleeps that are measured, of a millisecond each.
const SLEEPS: usize = 2_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// A generator that is later than this for every hundredth message makes its runs invalid.
const MOST_P99_NS: u64 = 200_000;

pub(super) fn checks() -> [Check; 2] {
    [punctuality(measure()), clock_source()]
}

/// Quantiles of how late sleeps end, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lateness {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Lateness {
    fn of(mut late_ns: Vec<u64>) -> Self {
        late_ns.sort_unstable();
        let quantile = |percent: usize| {
            let rank = (late_ns.len() * percent).div_ceil(100);
            late_ns.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self { p50: quantile(50), p99: quantile(99), max: quantile(100) }
    }
}

/// On a thread of its own, whose timer slack stays with it.
fn measure() -> io::Result<Lateness> {
    let measured = thread::spawn(|| {
        let sleeper = Sleeper::exact()?;
        let begun_ns = now_ns();
        let due = (1..=SLEEPS as u64).map(|number| begun_ns + number * MILLISECOND_NS);
        let late_ns = due.map(|due_ns| {
            sleeper.sleep_until(due_ns);
            now_ns() - due_ns
        });
        Ok(Lateness::of(late_ns.collect()))
    });
    measured.join().unwrap_or_else(|_| Err(io::Error::other("the thread that measures it has panicked")))
}

fn punctuality(lateness: io::Result<Lateness>) -> Check {
    const NAME: &str = "timer error";
    let Lateness { p50, p99, max } = match lateness {
        Ok(lateness) => lateness,
        Err(error) => return Check::unknown(NAME, &error),
    };
    let us = |ns: u64| ns.div_ceil(1_000);
    let finding = format!("p50 {} µs, p99 {} µs, max {} µs of {SLEEPS} sleeps", us(p50), us(p99), us(max));
    let remedy = "stop what else runs here; on a virtual machine, take one whose cores are its own";
    if p99 > MOST_P99_NS {
        return Check::problem(NAME, format!("{finding}: runs of low latency will not be valid"), remedy);
    }
    if p99 > MOST_P99_NS / 2 {
        return Check::warning(NAME, finding, remedy);
    }
    Check::ok(NAME, finding)
}

/// Clocks that are read without a system call.
const FAST_CLOCKS: [&str; 4] = ["tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter"];

fn clock_source() -> Check {
    const PATH: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    match fs::read_to_string(PATH) {
        Ok(name) => judge_clock(name.trim()),
        Err(error) => Check::unknown("clock source", &error),
    }
}

fn judge_clock(name: &str) -> Check {
    const NAME: &str = "clock source";
    if FAST_CLOCKS.contains(&name) {
        return Check::ok(NAME, name);
    }
    Check::warning(
        NAME,
        format!("{name}: every look at the time is a system call"),
        "see whether available_clocksource beside it has tsc, and why the kernel does not trust it (dmesg)",
    )
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_values() {
        let lateness = Lateness::of((1..=200).rev().collect());
        assert_eq!(lateness, Lateness { p50: 100, p99: 198, max: 200 });
        assert_eq!(Lateness::of(vec![7]), Lateness { p50: 7, p99: 7, max: 7 });
    }

    #[test]
    fn what_makes_runs_invalid_is_a_problem() {
        let health = |p99| punctuality(Ok(Lateness { p50: 1, p99, max: p99 })).health;
        assert_eq!([100_000, 200_000, 200_001].map(health), [Health::Ok, Health::Warning, Health::Problem]);
    }

    #[test]
    fn a_clock_that_takes_a_system_call_is_warned_of() {
        assert_eq!(["tsc", "hpet"].map(|name| judge_clock(name).health), [Health::Ok, Health::Warning]);
    }
}
