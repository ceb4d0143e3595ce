//! The way of records to the file of their segment.

use crate::sys::platform;

/// How the records of a segment come to its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writing {
    /// The file is mapped.
    Map,
    /// Each record is written by a system call. The memory that threads share is the process's own.
    Call,
}

impl Writing {
    /// The default method on this system.
    pub(crate) const DEFAULT: Self = if platform::MAPS_JOURNALS { Self::Map } else { Self::Call };
}

impl Default for Writing {
    fn default() -> Self {
        Self::DEFAULT
    }
}
