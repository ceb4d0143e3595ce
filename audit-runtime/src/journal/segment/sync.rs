//! The primitives of the protocol: the standard library's, or the model checker's
//! (`--cfg audit_loom`).

#[cfg(audit_loom)]
pub(super) use loom::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
#[cfg(audit_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};

#[cfg(not(audit_loom))]
pub(super) use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
#[cfg(not(audit_loom))]
pub(super) use std::sync::{Mutex, MutexGuard};
