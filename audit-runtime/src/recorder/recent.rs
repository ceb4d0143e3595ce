//! A count of the last minute, which costs nothing until there is something to count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seconds that are counted together.
const STEP: u64 = 5;
/// Steps of a minute, and the one under way.
const STEPS: usize = 60 / STEP as usize + 1;

/// Counts by steps of five seconds, of which the last thirteen are kept.
///
/// A step's number is in the upper half of its word, and its count in the lower half. So a step that
/// is over needs no removal: a later one with the same place replaces it.
#[derive(Debug)]
pub(super) struct Recent {
    begin: Instant,
    steps: [AtomicU64; STEPS],
}

impl Default for Recent {
    fn default() -> Self {
        Self { begin: Instant::now(), steps: Default::default() }
    }
}

impl Recent {
    /// Counts one.
    pub(super) fn add(&self) {
        self.add_at(self.now());
    }

    /// Returns the count of the last minute, or of up to five seconds less.
    pub(super) fn count(&self) -> u64 {
        self.count_at(self.now())
    }

    /// The number of the step under way. (0 is the number of words that were never used.)
    fn now(&self) -> u64 {
        self.begin.elapsed().as_secs() / STEP + 1
    }

    fn add_at(&self, now: u64) {
        let now = now & u64::from(u32::MAX);
        let step = &self.steps[now as usize % STEPS];
        let _ = step.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let count = if word >> 32 == now { word & u64::from(u32::MAX) } else { 0 };
            Some((now << 32) | (count + 1).min(u64::from(u32::MAX)))
        });
    }

    fn count_at(&self, now: u64) -> u64 {
        let is_recent = |word: &u64| word >> 32 != 0 && now.saturating_sub(word >> 32) < STEPS as u64;
        let words = self.steps.iter().map(|step| step.load(Ordering::Relaxed));
        words.filter(is_recent).map(|word| word & u64::from(u32::MAX)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_and_what_is_older_is_not() {
        let recent = Recent::default();
        assert_eq!(recent.count_at(1), 0);
        for now in 1..=40 {
            recent.add_at(now);
            recent.add_at(now);
        }
        assert_eq!(recent.count_at(40), 2 * STEPS as u64);
        assert_eq!(recent.count_at(45), 2 * (STEPS as u64 - 5));
        assert_eq!(recent.count_at(40 + STEPS as u64), 0);
        // A long silence later, the places of the old steps are used again.
        recent.add_at(40 + 1_000 * STEPS as u64);
        assert_eq!(recent.count_at(40 + 1_000 * STEPS as u64), 1);
    }
}
