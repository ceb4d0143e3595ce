//! A process that was forked must not write into the journal of its parent: the mapping is shared,
//! the positions are not.
//!
//! `fork` copies the calling thread alone. In the child, a handler counts the fork, and every ring
//! made before then refuses (`pthread_atfork`, because Windows has no forks). The handler also
//! releases the locks of the parent's journals. A child that kept them would prevent the adoption
//! of a dead parent's journal.

use super::platform;
use std::fs::File;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// Locks a child lets go of, at most so many journals of one process.
static LOCKS: [AtomicI32; 32] = [const { AtomicI32::new(NONE) }; 32];
const NONE: i32 = -1;

/// How many forks lie between this process and the first of its line that had a journal.
#[inline]
pub(crate) fn generation() -> u32 {
    FORKS.load(Ordering::Relaxed)
}

/// Has forks noticed from now on.
pub(crate) fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        if let Err(error) = platform::on_fork(in_child) {
            tracing::warn!(%error, "forks cannot be noticed: a forked child must not record");
        }
    });
}

/// Stores to atomics and makes system calls: all of it is async-signal-safe.
extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    platform::detach(LOCKS.iter().map(|lock| lock.swap(NONE, Ordering::Relaxed)).filter(|lock| *lock != NONE));
}

/// A lock that a forked child will not hold.
#[derive(Debug)]
pub(crate) struct ForgottenInChild(Option<&'static AtomicI32>);

impl ForgottenInChild {
    /// To be dropped before `lock` is closed.
    pub(crate) fn new(lock: &File) -> Self {
        let slot = platform::descriptor(lock).and_then(|lock| {
            LOCKS.iter().find(|slot| slot.compare_exchange(NONE, lock, Ordering::Relaxed, Ordering::Relaxed).is_ok())
        });
        Self(slot)
    }
}

impl Drop for ForgottenInChild {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(NONE, Ordering::Relaxed);
        }
    }
}
