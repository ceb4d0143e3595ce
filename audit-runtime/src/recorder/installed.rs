//! The handle that is installed for the life of the process, and whether any could be in force.

use super::handle::Handle;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

static INSTALLED: OnceLock<Arc<Handle>> = OnceLock::new();

/// Installs a handle, unless one is installed already.
pub(crate) fn install(handle: Arc<Handle>) -> Result<(), Arc<Handle>> {
    may_record();
    INSTALLED.set(handle)
}

#[inline]
pub(crate) fn installed() -> Option<&'static Arc<Handle>> {
    INSTALLED.get()
}

/// Whether any call could be recorded. A call that cannot be pays for a look at this and no more.
static RECORDING: AtomicU8 = AtomicU8::new(UNKNOWN);

/// No handle was ever in force, and no warning was given.
const UNKNOWN: u8 = 0;
/// No handle was ever in force, and a warning was given.
const NEVER: u8 = 1;
const POSSIBLY: u8 = 2;

/// Returns whether no handle was ever in force and a warning was already logged.
#[inline]
pub(crate) fn never_records() -> bool {
    RECORDING.load(Ordering::Relaxed) == NEVER
}

/// Notes that a handle is about to be in force somewhere.
pub(crate) fn may_record() {
    RECORDING.store(POSSIBLY, Ordering::Relaxed);
}

/// Warns once per process that calls go unrecorded.
#[cold]
pub(crate) fn warn_not_installed(function: &str) {
    static WARNED: AtomicBool = AtomicBool::new(false);
    let _ = RECORDING.compare_exchange(UNKNOWN, NEVER, Ordering::Relaxed, Ordering::Relaxed);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            function,
            "an audited function was called while no audit trail is installed; it is not recorded, and neither are further ones. Call Audit::install, or run it in Audit::scope"
        );
    }
}
