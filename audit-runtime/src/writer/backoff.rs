//! How long to wait before the next attempt.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// The first wait for a turn, where the server has no connection left: others give theirs back soon.
const TURN: Duration = Duration::from_secs(1);
/// So many attempts later, a wait for a turn is half, a third, and at last this part of the first.
const ATTEMPTS: u32 = 6;
const SMALLEST_PART: u32 = 5;

/// Exponential, with jitter, so that a fleet does not come back all at once.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// Returns whether an attempt has failed.
    pub(super) fn has_failed(self) -> bool {
        self.attempts > 0
    }

    pub(super) fn next(&mut self, longest: Duration) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.attempts.min(16)).min(longest);
        self.attempts = self.attempts.saturating_add(1);
        jittered(wait)
    }

    /// Returns the wait before the next attempt to get a connection of a server that has none left.
    ///
    /// It becomes shorter, so that of many that wait the one that has waited longest asks most often.
    pub(super) fn next_turn(&mut self) -> Duration {
        let part = (1 + self.attempts / ATTEMPTS).min(SMALLEST_PART);
        self.attempts = self.attempts.saturating_add(1);
        jittered(TURN / part)
    }
}

/// Between half and the whole of it.
pub(super) fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(()) % 1024;
    wait / 2 + (wait / 2).mul_f64(random as f64 / 1024.0)
}
