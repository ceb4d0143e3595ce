//! Warnings that do not flood a log.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// At most one warning in this many microseconds.
const EVERY_MICROS: i64 = 1_000_000;

/// One kind of warning, at most once a second; the next one says how many were suppressed.
#[derive(Debug, Default)]
pub(crate) struct RateLimited {
    last: AtomicI64,
    suppressed: AtomicU64,
}

impl RateLimited {
    pub(crate) fn warn(&self, warn: impl FnOnce(u64)) {
        let now = crate::clock::micros_now();
        let last = self.last.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= EVERY_MICROS || now < last;
        if due && self.last.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            warn(self.suppressed.swap(0, Ordering::Relaxed));
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
