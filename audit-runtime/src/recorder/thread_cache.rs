//! Buffers and calls that each thread keeps for its next events.

use std::cell::RefCell;
use std::thread::LocalKey;

/// How many are kept, and the largest buffer that is worth keeping.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 128 * 1024;

pub(crate) type ThreadCache<T> = RefCell<Vec<T>>;

/// One of those kept, or a new one.
#[inline]
pub(crate) fn take<T>(kept: &'static LocalKey<ThreadCache<T>>, new: impl FnOnce() -> T) -> T {
    kept.try_with(|kept| kept.borrow_mut().pop()).ok().flatten().unwrap_or_else(new)
}

/// Keeps one whose buffer has so many bytes, if there is not enough already.
#[inline]
pub(crate) fn put<T>(kept: &'static LocalKey<ThreadCache<T>>, one: T, bytes: usize) {
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT && bytes <= KEPT_BYTES {
            kept.push(one);
        }
    });
}
