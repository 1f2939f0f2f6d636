//! What there is to run on.

use std::fs;
use std::thread;

use super::Check;
use crate::target::{CoreList, Cores};

pub(super) fn checks() -> [Check; 2] {
    let allowed = Cores::all().map(|cores| cores.generator);
    let cores = match (&allowed, Cores::split()) {
        (Ok(allowed), Ok(split)) => {
            let granted = thread::available_parallelism().map_or(allowed.0.len(), usize::from);
            cores(&split, allowed.0.len(), granted)
        }
        (Err(error), _) => Check::unknown("cores", error),
        (_, Err(error)) => Check::unknown("cores", &error),
    };
    [cores, governor(&governors(&allowed.unwrap_or_default()))]
}

/// `granted` is what a cgroup's quota leaves of the `allowed` cores.
fn cores(split: &Cores, allowed: usize, granted: usize) -> Check {
    const NAME: &str = "cores";
    let Cores { broker, generator, shared } = split;
    let finding = format!("{allowed}: {broker} for the broker, {generator} for the generator");
    if granted < allowed {
        return Check::warning(
            NAME,
            format!(
                "{finding}; but a cgroup grants the time of {granted} only, and stops what runs when it is used up"
            ),
            "lift the quota (cpu.max of the cgroup; --cpus of a container), and give whole cores instead",
        );
    }
    match shared {
        Some(shared) => {
            Check::warning(NAME, shared.to_string(), "take a machine with two physical cores or more")
        }
        None => Check::ok(NAME, finding),
    }
}

/// The governors of the cores' frequency, each once. None, where there is none to be seen.
fn governors(cores: &CoreList) -> Vec<String> {
    let of = |core| {
        let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor");
        fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
    };
    let mut governors: Vec<_> = cores.0.iter().filter_map(of).collect();
    governors.sort_unstable();
    governors.dedup();
    governors
}

fn governor(governors: &[String]) -> Check {
    const NAME: &str = "frequency";
    match governors {
        [] => Check::ok(NAME, "not governed here, as in most virtual machines"),
        [one] if one == "performance" => Check::ok(NAME, "performance"),
        some => Check::warning(
            NAME,
            format!("{}: a core that was idle is slow at first", some.join(", ")),
            "cpupower frequency-set -g performance",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Health;
    use super::*;
    use crate::target::Shared;

    fn split(shared: Option<Shared>) -> Cores {
        Cores { broker: CoreList(vec![0]), generator: CoreList(vec![1]), shared }
    }

    #[test]
    fn cores_that_are_shared_or_rationed_are_warned_of() {
        assert_eq!(cores(&split(None), 2, 2).health, Health::Ok);
        assert_eq!(cores(&split(Some(Shared::PhysicalCore)), 2, 2).health, Health::Warning);
        let rationed = cores(&split(None), 4, 2);
        assert_eq!(rationed.health, Health::Warning);
        assert!(rationed.finding.contains("the time of 2 only"), "{rationed:?}");
    }

    #[test]
    fn a_governor_that_saves_power_is_warned_of() {
        let health =
            |names: &[&str]| governor(&names.iter().map(ToString::to_string).collect::<Vec<_>>()).health;
        assert_eq!(health(&[]), Health::Ok);
        assert_eq!(health(&["performance"]), Health::Ok);
        assert_eq!(health(&["powersave"]), Health::Warning);
        assert_eq!(health(&["performance", "powersave"]), Health::Warning);
    }
}
