//! When a wait ends.

use std::time::{Duration, Instant};

/// Returns when a wait ends that begins now: one of [`Duration::MAX`] in thirty years, for no clock
/// goes so far.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 86_400);
    Instant::now() + timeout.min(FAR)
}
