//! A process and its descendants, by `/proc`.

use std::fs;

use super::{UsageError, read};

/// A process. Its number alone may be another's later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// In ticks since the machine was started.
    started: u64,
}

/// The process of that number, first, and all its descendants.
pub(super) fn members(root: u32) -> Result<Vec<Process>, UsageError> {
    let stat = read(root, "stat")?;
    let (_, root_process) = parse_stat(root, &stat)
        .ok_or_else(|| UsageError::Unreadable { pid: root, problem: format!("stat: {stat}") })?;
    let others = others();
    let mut members = vec![root_process];
    let mut seen = 0;
    while let Some(&Process { pid, .. }) = members.get(seen) {
        members.extend(others.iter().filter(|(parent, _)| *parent == pid).map(|(_, process)| *process));
        seen += 1;
    }
    Ok(members)
}

/// All processes that can be seen, each with its parent's number. Those that end meanwhile are left out.
fn others() -> Vec<(u32, Process)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| parse_stat(pid, &read(pid, "stat").ok()?)).collect()
}

/// The parent's number, and the process (`man 5 proc_pid_stat`, fields 4 and 22). The name before them is in
/// parentheses, and may have more of them.
pub(super) fn parse_stat(pid: u32, stat: &str) -> Option<(u32, Process)> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(1);
    let parent = fields.next()?.parse().ok()?;
    let started = fields.nth(17)?.parse().ok()?;
    Some((parent, Process { pid, started }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_fields() {
        let stat = "77 (a) S 1 (b) S 42 77 77 0 -1 4194304 88 0 0 0 3 4 0 0 20 0 1 0 12345 2805760 230";
        assert_eq!(parse_stat(77, stat), Some((42, Process { pid: 77, started: 12_345 })));
        assert_eq!(parse_stat(77, "77 (a"), None);
        assert_eq!(parse_stat(77, "77 (a) S 42 77"), None);
    }
}
