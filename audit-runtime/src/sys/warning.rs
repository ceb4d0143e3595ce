//! Warnings that do not flood a log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One kind of warning, by default at most once a second. The next one reports how many were
/// suppressed.
#[derive(Debug)]
pub(crate) struct RateLimited {
    every_micros: i64,
    last: AtomicI64,
    suppressed: AtomicU64,
}

impl Default for RateLimited {
    fn default() -> Self {
        Self::every(Duration::from_secs(1))
    }
}

impl RateLimited {
    /// Warns at most once in this time.
    pub(crate) const fn every(time: Duration) -> Self {
        Self { every_micros: time.as_micros() as i64, last: AtomicI64::new(0), suppressed: AtomicU64::new(0) }
    }

    pub(crate) fn warn(&self, warn: impl FnOnce(u64)) {
        let now = micros_now();
        let last = self.last.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= self.every_micros || now < last;
        if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            warn(self.suppressed.swap(0, Ordering::Relaxed));
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Microseconds since 1970. (Warnings are rare: they need no faster clock.)
fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
