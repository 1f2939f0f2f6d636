//! What this machine allows, and what to do about it.

mod kernel;
mod limits;
mod processors;
mod timing;

use std::fmt;
use std::fs;
use std::io;

use comfy_table::{ContentArrangement, Table, presets};

use crate::cli::Doctor;
use crate::report::figures;

/// How a check has come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// A run works, and may be worse or slower than it could be.
    Warning,
    /// A run as large as asked for fails, or cannot be trusted.
    Problem,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it has come out.
    pub health: Health,
    /// What was found.
    pub finding: String,
    /// What to do. Empty, if there is nothing.
    pub remedy: String,
}

/// All that was looked at. Displayed, it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What the generator itself takes of a core for one delivery, if that was measured.
    pub cost: Option<Cost>,
}

/// What the generator itself takes of a core for one delivery, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// One that comes by itself: a wake, a read and an acknowledgement each.
    pub single_ns: f64,
    /// One of a burst that is read at once.
    pub in_burst_ns: f64,
    /// Messages of such a burst.
    pub burst: usize,
}

impl Diagnosis {
    /// Looks at everything, which takes two seconds: punctuality is measured. Raises the limit on open files as far as it
    /// may.
    pub fn of(wanted: &Doctor) -> Self {
        let mut checks = limits::checks(wanted);
        checks.extend(processors::checks());
        checks.extend(timing::checks());
        checks.extend(kernel::checks());
        Self { checks, cost: None }
    }

    /// The worst that was found.
    pub fn worst(&self) -> Health {
        self.checks.iter().map(|check| check.health).max().unwrap_or(Health::Ok)
    }
}

impl Check {
    fn ok(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, health: Health::Ok, finding: finding.into(), remedy: String::new() }
    }

    fn warning(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Warning, finding: finding.into(), remedy: remedy.into() }
    }

    fn problem(name: &'static str, finding: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Problem, finding: finding.into(), remedy: remedy.into() }
    }

    /// What cannot be looked at cannot be vouched for either.
    fn unknown(name: &'static str, error: &io::Error) -> Self {
        Self::warning(name, format!("cannot be told: {error}"), "look at it by hand")
    }
}

/// The numbers in a file of the kernel's.
fn numbers<const N: usize>(path: &str) -> io::Result<[u64; N]> {
    let text = fs::read_to_string(path)?;
    let numbers: Option<Vec<u64>> = text.split_whitespace().map(|number| number.parse().ok()).collect();
    let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
    numbers.ok_or_else(|| io::Error::other(format!("{path} has {:?}", text.trim())))
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { single_ns, in_burst_ns, burst } = self;
        let [single_most, burst_most] = [single_ns, in_burst_ns].map(|ns| figures::count((1e9 / ns) as u64));
        let [single, in_burst] = [single_ns, in_burst_ns].map(|ns| figures::duration(*ns));
        write!(
            f,
            "The generator itself takes {single} of a core for a delivery that comes by itself ({single_most} a second at \
             most), and {in_burst} for one of a burst of {burst} ({burst_most})."
        )
    }
}

/// Of a terminal that is wider, or of none.
const MAX_WIDTH: u16 = 100;

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(table.width().unwrap_or(MAX_WIDTH).min(MAX_WIDTH));
        for Check { name, health, finding, remedy } in &self.checks {
            let separator = if remedy.is_empty() { "" } else { "\n→ " };
            table.add_row([health.to_string(), (*name).to_owned(), format!("{finding}{separator}{remedy}")]);
        }
        f.write_str(&table.trim_fmt())?;
        if let Some(cost) = self.cost {
            write!(f, "\n\n{cost}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_runs_tests_is_looked_at_whole() {
        let diagnosis = Diagnosis::of(&Doctor { connections: 10, sources: None });
        let names: Vec<_> = diagnosis.checks.iter().map(|check| check.name).collect();
        assert_eq!(names.len(), 12, "{names:?}");
        for check in &diagnosis.checks {
            assert!(!check.finding.is_empty(), "{check:?}");
            assert_eq!(check.health == Health::Ok, check.remedy.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn the_table_has_every_check_with_its_remedy_and_the_cost() {
        let checks = vec![
            Check::ok("clock source", "tsc"),
            Check::warning("governor", "powersave", "set it"),
            Check::problem("open files", "1024", "raise it"),
        ];
        let mut diagnosis = Diagnosis { checks, cost: None };
        assert_eq!(diagnosis.worst(), Health::Problem);
        let without = diagnosis.to_string();
        for word in ["ok", "warning", "problem", "tsc", "powersave", "set it", "1024", "raise it"] {
            assert!(without.contains(word), "{word} in\n{without}");
        }
        assert!(!without.contains("takes"));
        diagnosis.cost = Some(Cost { single_ns: 5_000.0, in_burst_ns: 800.0, burst: 16 });
        let with = diagnosis.to_string();
        assert!(
            with.contains("5.00 µs of a core for a delivery that comes by itself (200,000 a second"),
            "{with}"
        );
        assert!(with.ends_with("800 ns for one of a burst of 16 (1,250,000)."), "{with}");
    }
}
