//! The queue of journals whose process is gone.

use super::backoff::Backoff;
use std::collections::{HashSet, VecDeque};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A journal that waits to be adopted. It is neither locked nor open: a thousand take no more
/// descriptors than one.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) path: PathBuf,
    /// The earliest time of the next attempt.
    pub(super) from: Instant,
    pub(super) backoff: Backoff,
    /// The last failure reported for this journal.
    pub(super) told: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Orphans(VecDeque<Waiting>);

impl Orphans {
    /// Adds journals that were found, and drops those that another process has shipped.
    pub(super) fn found(&mut self, paths: Vec<PathBuf>, now: Instant) {
        let mut new: HashSet<&PathBuf> = paths.iter().collect();
        self.0.retain(|known| new.remove(&known.path));
        let new: HashSet<PathBuf> = new.into_iter().cloned().collect();
        let waiting = |path| Waiting { path, from: now, backoff: Backoff::default(), told: None };
        self.0.extend(paths.into_iter().filter(|path| new.contains(path)).map(waiting));
    }

    /// The first whose time has come.
    pub(super) fn next(&mut self, now: Instant) -> Option<Waiting> {
        let at = self.0.iter().position(|waiting| waiting.from <= now)?;
        self.0.remove(at)
    }

    /// Puts one to the back, for so long at least.
    pub(super) fn put_back(&mut self, mut waiting: Waiting, wait: Duration, now: Instant) {
        waiting.from = now + wait;
        self.0.push_back(waiting);
    }

    /// Returns the time at which the next journal is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.0.iter().map(|waiting| waiting.from).min()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_put_back_is_passed_by_others_and_remembered_when_it_is_found_again() {
        let (mut orphans, now) = (Orphans::default(), Instant::now());
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        orphans.found(paths(&["a", "b", "c"]), now);
        let mut first = orphans.next(now).unwrap();
        assert_eq!(first.path, PathBuf::from("a"));
        first.told = Some("said".into());
        orphans.put_back(first, Duration::from_secs(9), now);
        orphans.found(paths(&["a", "c", "d"]), now);
        let order: Vec<_> = std::iter::from_fn(|| orphans.next(now)).map(|waiting| waiting.path).collect();
        assert_eq!(order, paths(&["c", "d"]));
        assert_eq!(orphans.due(), Some(now + Duration::from_secs(9)));
        assert_eq!(orphans.next(now + Duration::from_secs(9)).unwrap().told.as_deref(), Some("said"));
        assert_eq!(orphans.len(), 0);
    }
}
