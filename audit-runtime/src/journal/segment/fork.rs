//! A process that was forked must not write into the journal of its parent: the mapping is shared, the positions are not.
//!
//! `fork` copies the calling thread alone. In the child, a handler (`pthread_atfork`) counts the fork, by which every ring
//! made before refuses, and lets go of the locks of the parent's journals: held on in the child, they would keep a
//! dead parent's journal from being adopted.

use std::os::fd::{AsRawFd, BorrowedFd};
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
        // SAFETY: the handler only stores to atomics and makes system calls: all it does is async-signal-safe.
        let failed = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        if failed != 0 {
            tracing::warn!("forks cannot be noticed: a forked child must not record");
        }
    });
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: plain system calls on descriptors that were inherited. The locks' are replaced and not closed: their owners
    // in this process will close them. If /dev/null cannot be opened, the locks are held on to.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if null < 0 {
            return;
        }
        for lock in &LOCKS {
            let lock = lock.swap(NONE, Ordering::Relaxed);
            if lock != NONE {
                libc::dup3(null, lock, libc::O_CLOEXEC);
            }
        }
        libc::close(null);
    }
}

/// A lock that a forked child will not hold.
#[derive(Debug)]
pub(crate) struct ForgottenInChild(Option<&'static AtomicI32>);

impl ForgottenInChild {
    /// To be dropped before `lock` is closed.
    pub(crate) fn new(lock: BorrowedFd<'_>) -> Self {
        let free = |slot: &&AtomicI32| {
            slot.compare_exchange(NONE, lock.as_raw_fd(), Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        Self(LOCKS.iter().find(free))
    }
}

impl Drop for ForgottenInChild {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(NONE, Ordering::Relaxed);
        }
    }
}
