//! macOS, and as far as it compiles there other kinds of Unix, which reserve no bytes.

use super::types::{FileSystem, KeepAlive};
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::path::Path;

pub(super) use super::unix::{
    FREES_NAMES_OF_OPEN_FILES, HAS_GROUPS, at_exit, check_writable, descriptor, detach, disk_bytes, host_name, is_at,
    is_removed, on_fork, open_directory, open_itself, ownership, private, private_directory, read_exact_at, set_group,
    set_mode, sync_directory, write_all_at,
};

pub(super) const MAPS_JOURNALS: bool = cfg!(target_vendor = "apple");

pub(super) const KEEPING: &str = "APFS or HFS+";

#[cfg(target_vendor = "apple")]
pub(super) fn file_system(directory: &Path) -> Option<FileSystem> {
    let answer = rustix::fs::statfs(directory).ok()?;
    let name = answer.f_fstypename.iter().take_while(|letter| **letter != 0);
    let name: String = name.map(|letter| char::from(letter.cast_unsigned())).collect();
    let keeps_allocated = ["apfs", "hfs"].contains(&&*name);
    Some(FileSystem { name, keeps_allocated })
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn file_system(_: &Path) -> Option<FileSystem> {
    None
}

/// Reserves the bytes behind the end of the file (`F_PREALLOCATE`), and then moves the end.
#[cfg(target_vendor = "apple")]
pub(super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<bool> {
    use std::os::fd::AsRawFd;
    // (`rustix::fs::fallocate` would reserve `to` bytes from the end on.)
    let length = i64::try_from(to - from).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut wanted = libc::fstore_t {
        // All or none of them.
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: length,
        fst_bytesalloc: 0,
    };
    // SAFETY: the descriptor is open, and the system writes to `wanted` alone, which outlives the
    // call.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut wanted) };
    if answer == -1 {
        let error = io::Error::last_os_error();
        let is_unsupported = matches!(error.raw_os_error(), Some(libc::ENOTSUP | libc::EOPNOTSUPP | libc::ENOTTY));
        return if is_unsupported { Ok(false) } else { Err(error) };
    }
    file.set_len(to)?;
    Ok(true)
}

#[cfg(not(target_vendor = "apple"))]
pub(super) fn reserve(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

/// `msync` hands the bytes to the drive, which may keep them in its cache. On macOS, the standard
/// library syncs by `F_FULLFSYNC`.
pub(super) fn settle(file: &File) -> io::Result<()> {
    file.sync_data()
}

pub(super) unsafe fn populate(_: *mut u8, _: usize) {}

/// No socket is listed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Socket {}

pub(super) fn sockets() -> HashSet<Socket> {
    HashSet::new()
}

pub(super) fn tune(socket: &Socket, _: u16, _: Option<KeepAlive>) {
    match *socket {}
}

pub(super) const fn ticks() -> u64 {
    0
}
