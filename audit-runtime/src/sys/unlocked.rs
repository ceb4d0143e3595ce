//! Tests that take a lock which was just released.

use std::time::{Duration, Instant};

/// Tries until there is a value.
///
/// A test that starts a program forks, and until its exec the child holds the locks of this process, too.
#[track_caller]
pub(crate) fn unlocked<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "the lock is held");
        std::thread::yield_now();
    }
}
