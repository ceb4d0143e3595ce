//! The file systems under a journal: which of them keep the promise that an allocated page can be
//! written.
//!
//! On ext4, XFS, F2FS and tmpfs a page that `fallocate` has allocated is writable through a mapping
//! whatever the disk's state. Some file systems copy on write (btrfs, ZFS, bcachefs), or are served
//! by a network or another process. There, a store to a mapped page may find no room, and the
//! system answers with SIGBUS. There the journal is written by system calls, or not at all.

use super::error::JournalError;
use super::segment::Writing;
use crate::sys::platform;
use std::path::Path;

/// Checks that a journal may be mapped in this directory.
///
/// # Errors
/// Its file system is not known to keep what it allocates.
pub(super) fn check(directory: &Path, writing: Writing) -> Result<(), JournalError> {
    if writing == Writing::Call {
        return Ok(());
    }
    match platform::file_system(directory) {
        Some(system) if !system.keeps_allocated => Err(refused(directory)),
        // If the system does not name the file system, the directory is accepted.
        _ => Ok(()),
    }
}

/// The error that names a directory's file system.
pub(super) fn refused(directory: &Path) -> JournalError {
    let name = platform::file_system(directory).map_or_else(|| "unknown".into(), |system| system.name);
    JournalError::FileSystem { path: directory.to_owned(), name }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_promises_nothing_is_named_with_the_way_out() {
        // procfs, where no journal can be.
        let error = check(Path::new("/proc"), Writing::Map).unwrap_err().to_string();
        assert!(error.contains("0x9fa0") && error.contains("journal_by_write"), "{error}");
        check(Path::new("/proc"), Writing::Call).unwrap();
    }
}
