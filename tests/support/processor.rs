//! The time that processes have worked, as Linux counts it.

use std::time::Duration;

/// The numbers of a process behind its name.
fn stat(pid: u32) -> Option<Vec<i64>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may contain anything, a parenthesis included.
    let (_, rest) = stat.rsplit_once(") ")?;
    Some(rest.split_whitespace().skip(1).map(|number| number.parse().unwrap_or_default()).collect())
}

/// The time that a process has worked, and its children that have ended.
pub fn of(pid: u32) -> Duration {
    // utime, stime, cutime and cstime; 100 ticks a second on every Linux.
    let ticks: i64 = stat(pid).map_or(0, |stat| stat[10..14].iter().sum());
    Duration::from_millis(u64::try_from(ticks).unwrap_or_default() * 10)
}

/// The same, and its children that run.
pub fn with_children(pid: u32) -> Duration {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = numbers.filter(|number| stat(*number).is_some_and(|stat| stat[0] == i64::from(pid)));
    of(pid) + children.map(of).sum::<Duration>()
}
