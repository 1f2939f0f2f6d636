//! Which cores the broker has, and which the generator.

use std::fmt;
use std::fs;
use std::io;
use std::str::FromStr;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::units::BadValue;

/// Cores, written as the kernel writes a list of them: `0`, `0-3,8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreList(pub Vec<usize>);

/// Who has which cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cores {
    /// The broker's, if it is ours to place.
    pub broker: CoreList,
    /// The generator's.
    pub generator: CoreList,
    /// What they have in common, if they have.
    pub shared: Option<Shared>,
}

/// What broker and generator have in common, so that each slows the other down. Displayed, it is a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// The only core.
    Core,
    /// The only physical core: each has hardware threads of it.
    PhysicalCore,
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => {
                "broker and generator share the only core that this process may use: latency and CPU time are of both"
            }
            Self::PhysicalCore => {
                "broker and generator are hardware threads of one physical core: each slows the other down"
            }
        })
    }
}

impl Cores {
    /// Divides the cores that this process may use: the first half is the broker's. Hardware threads of one physical
    /// core stay together where that is possible.
    pub fn split() -> io::Result<Self> {
        Ok(Self::divide(&physical(&allowed()?, siblings)))
    }

    /// All cores that this process may use, for the generator: the server has its own, or is not ours to place.
    pub fn all() -> io::Result<Self> {
        Ok(Self { broker: CoreList::default(), generator: allowed()?, shared: None })
    }

    fn divide(physical: &[Vec<usize>]) -> Self {
        let list = |cores: &[Vec<usize>]| CoreList(cores.concat());
        match physical {
            [threads] if threads.len() > 1 => {
                let (broker, generator) = threads.split_at(threads.len() / 2);
                let [broker, generator] = [broker, generator].map(|threads| CoreList(threads.to_owned()));
                Self { broker, generator, shared: Some(Shared::PhysicalCore) }
            }
            [only] => {
                let [broker, generator] = [only, only].map(|only| CoreList(only.clone()));
                Self { broker, generator, shared: Some(Shared::Core) }
            }
            several => {
                let (broker, generator) = several.split_at(several.len() / 2);
                Self { broker: list(broker), generator: list(generator), shared: None }
            }
        }
    }
}

/// The cores that this thread may use.
fn allowed() -> io::Result<CoreList> {
    let set = sched_getaffinity(Pid::from_raw(0))?;
    Ok(CoreList((0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()))
}

/// The cores, those of each physical core together.
fn physical(cores: &CoreList, siblings: impl Fn(usize) -> CoreList) -> Vec<Vec<usize>> {
    let mut physical: Vec<Vec<usize>> = Vec::new();
    for &core in &cores.0 {
        match physical.iter_mut().find(|threads| siblings(threads[0]).0.contains(&core)) {
            Some(threads) => threads.push(core),
            None => physical.push(vec![core]),
        }
    }
    physical
}

/// The hardware threads of a core's physical core; a kernel that does not say has one of each.
fn siblings(core: usize) -> CoreList {
    let path = format!("/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or_else(|_| CoreList(vec![core]))
}

/// Keeps this thread, and those that it starts from now on, on the cores.
pub fn pin_to(cores: &CoreList) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in &cores.0 {
        set.set(core)?;
    }
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}

/// More than the kernel's own bound on the cores of a machine.
const MAX_CORES: usize = 8192;

impl FromStr for CoreList {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse::<usize>().ok()?, last.parse::<usize>().ok()?);
            (first <= last && last < MAX_CORES).then_some(first..=last)
        };
        let ranges: Option<Vec<_>> = text.split(',').map(range).collect();
        let cores = ranges.map(|ranges| ranges.into_iter().flatten().collect());
        cores.map(Self).ok_or_else(|| BadValue::new(text, "a list of cores such as 0 or 0-3,8"))
    }
}

impl fmt::Display for CoreList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.chunk_by(|one, next| *next == one + 1);
        for (at, run) in runs.enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match run {
                [only] => write!(f, "{comma}{only}")?,
                [first, .., last] => write!(f, "{comma}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> CoreList {
        text.parse().unwrap()
    }

    #[test]
    fn the_first_half_is_the_brokers_and_threads_of_a_core_stay_together() {
        let divided = |physical: &[&[usize]]| {
            let physical: Vec<_> = physical.iter().map(|threads| threads.to_vec()).collect();
            let Cores { broker, generator, shared } = Cores::divide(&physical);
            (broker.to_string(), generator.to_string(), shared)
        };
        let parts = |broker: &str, generator: &str, shared| (broker.to_owned(), generator.to_owned(), shared);
        assert_eq!(divided(&[&[0], &[1]]), parts("0", "1", None));
        assert_eq!(divided(&[&[0], &[1], &[2]]), parts("0", "1-2", None));
        assert_eq!(divided(&[&[0, 2], &[1, 3]]), parts("0,2", "1,3", None));
        assert_eq!(divided(&[&[0, 1]]), parts("0", "1", Some(Shared::PhysicalCore)));
        assert_eq!(divided(&[&[5]]), parts("5", "5", Some(Shared::Core)));
    }

    #[test]
    fn hardware_threads_of_a_core_are_found_wherever_they_are_in_the_list() {
        let siblings = |core: usize| CoreList(vec![core % 4, core % 4 + 4]);
        assert_eq!(physical(&list("0-1,4-5"), siblings), [[0, 4], [1, 5]]);
        assert_eq!(physical(&list("3-5"), siblings), [[3], [4], [5]]);
        assert_eq!(physical(&list("1,5"), siblings), [[1, 5]]);
    }

    #[test]
    fn a_thread_stays_where_it_is_pinned() {
        let cores = Cores::split().unwrap();
        std::thread::spawn(move || {
            pin_to(&cores.broker).unwrap();
            assert_eq!(allowed().unwrap(), cores.broker);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_is_no_list_is_told_what_is() {
        for text in ["", "a", "3-1", "0,", "0-", "0-9999999"] {
            let error = text.parse::<CoreList>().unwrap_err().to_string();
            assert!(error.ends_with("is not a list of cores such as 0 or 0-3,8"), "{error}");
        }
        assert_eq!(list("0-3,8").0, [0, 1, 2, 3, 8]);
    }

    proptest! {
        #[test]
        fn a_list_is_read_as_it_is_written(cores in prop::collection::btree_set(0..40_usize, 1..20)) {
            let cores = CoreList(cores.into_iter().collect());
            prop_assert_eq!(list(&cores.to_string()), cores);
        }
    }
}
