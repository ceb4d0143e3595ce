//! The operating system, as far as systems differ. No other module names `std::os`, rustix, libc or
//! windows-sys.
//!
//! Each function states what every system does. The file of a system has it under the same name:
//! `linux`, `macos` (also for other kinds of Unix), `windows`. `unix` has what Linux and macOS
//! share. `docs/portability.md` lists the differences for users.

#![cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "only connections to PostgreSQL tune their sockets"))]

#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
mod types;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(all(unix, not(target_os = "linux")))]
use macos as system;
#[cfg(windows)]
use windows as system;

use std::collections::HashSet;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

pub(crate) use system::Socket;
pub(crate) use types::{FileSystem, KeepAlive, Ownership};

/// Whether a journal is mapped by default: the system reserves bytes for a file, and a mapped file
/// can be removed.
pub(crate) const MAPS_JOURNALS: bool = system::MAPS_JOURNALS;

/// Whether files belong to users and groups that have numbers.
pub(crate) const HAS_GROUPS: bool = system::HAS_GROUPS;

/// Whether the name of a removed file is free while the file is open. On Windows, it may stay until
/// the last handle is closed: the file cannot be opened any more, and its directory cannot be
/// removed yet.
pub(crate) const FREES_NAMES_OF_OPEN_FILES: bool = system::FREES_NAMES_OF_OPEN_FILES;

/// The file systems on which a journal can be mapped, for messages.
pub(crate) const KEEPING: &str = system::KEEPING;

// Files of this process's user.

/// Has a file that these options make be readable and writable for this process's user alone (mode
/// 0600). On Windows, the file inherits the access list of its directory.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::private(options)
}

/// Returns a maker of directories for this process's user alone (mode 0700). On Windows, a
/// directory inherits the access list of the one above it.
pub(crate) fn private_directory() -> DirBuilder {
    system::private_directory()
}

/// Returns the owner of a file, or `None` on a system without numeric users and groups.
pub(crate) fn ownership(metadata: &Metadata) -> Option<Ownership> {
    system::ownership(metadata)
}

/// Hands a file or a directory to a group.
///
/// # Errors
/// The system refuses, or has no groups.
pub(crate) fn set_group(path: &Path, group: u32) -> io::Result<()> {
    system::set_group(path, group)
}

/// Sets the permissions of a file or a directory.
///
/// # Errors
/// The system refuses, or has no such permissions.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    system::set_mode(path, mode)
}

// Opening.

/// Opens a file itself: neither the target of a symbolic link in its place, nor a pipe that would
/// be waited for.
///
/// # Errors
/// A link is in its place, or the file cannot be opened.
pub(crate) fn open_itself(options: &OpenOptions, path: &Path) -> io::Result<File> {
    system::open_itself(options, path)
}

/// Opens a directory itself, and not the target of a symbolic link in its place.
///
/// # Errors
/// A link or a file is in its place, or the directory cannot be opened.
pub(crate) fn open_directory(path: &Path) -> io::Result<File> {
    system::open_directory(path)
}

/// Checks that this process may make files in a directory. Windows finds out when a file is made.
///
/// # Errors
/// The process may not.
pub(crate) fn check_writable(directory: &Path) -> io::Result<()> {
    system::check_writable(directory)
}

/// Returns whether a path leads to an open file.
///
/// # Errors
/// The path leads nowhere, or the file cannot be looked at.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    system::is_at(file, path)
}

/// Returns whether an open file, which had this path, has been removed.
///
/// # Errors
/// The file cannot be looked at.
pub(crate) fn is_removed(file: &File, path: &Path) -> io::Result<bool> {
    system::is_removed(file, path)
}

// Contents.

/// Writes all bytes at an offset. On Windows, the file's own position moves.
///
/// # Errors
/// The file does not accept them.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    system::write_all_at(file, bytes, offset)
}

/// Fills a buffer from an offset on. On Windows, the file's own position moves.
///
/// # Errors
/// The file is shorter, or cannot be read.
pub(crate) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    system::read_exact_at(file, buffer, offset)
}

/// Lengthens a file, and reserves the bytes on the disk. Returns `false` and leaves the file where
/// the system or its file system reserves none.
///
/// # Errors
/// The disk is full.
pub(crate) fn reserve(file: &File, from: u64, to: u64) -> io::Result<bool> {
    system::reserve(file, from, to)
}

/// Returns the bytes that a file takes on the disk.
pub(crate) fn disk_bytes(metadata: &Metadata) -> u64 {
    system::disk_bytes(metadata)
}

/// Returns the file system of a directory, or `None` where the system does not name it.
pub(crate) fn file_system(directory: &Path) -> Option<FileSystem> {
    system::file_system(directory)
}

/// Has a drive keep the bytes of a mapped file that were written back to it. On Linux, writing back
/// includes that.
///
/// # Errors
/// The drive fails.
pub(crate) fn settle(file: &File) -> io::Result<()> {
    system::settle(file)
}

/// Makes the names in a directory durable. Windows keeps names by the journal of the file system.
///
/// # Errors
/// The disk fails.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    system::sync_directory(directory)
}

/// Faults in pages of a mapping ahead of their use, on Linux. Elsewhere their first user does.
///
/// # Safety
/// The bytes lie in a mapping of the caller's.
pub(crate) unsafe fn populate(at: *mut u8, bytes: usize) {
    // SAFETY: by the caller.
    unsafe { system::populate(at, bytes) }
}

// The process.

/// Returns the name of this machine.
pub(crate) fn host_name() -> String {
    system::host_name()
}

/// Has a function run at the end of the process. On Windows, `std::process::exit` does not run it.
///
/// # Errors
/// The system registers no further function.
pub(crate) fn at_exit(function: extern "C" fn()) -> io::Result<()> {
    system::at_exit(function)
}

/// Has a function run in a forked child. Windows has no forks.
///
/// # Errors
/// The system registers no further function.
pub(crate) fn on_fork(function: extern "C" fn()) -> io::Result<()> {
    system::on_fork(function)
}

/// Returns the number by which a forked child knows an open file, or `None` where nothing forks.
pub(crate) fn descriptor(file: &File) -> Option<i32> {
    system::descriptor(file)
}

/// Has descriptors of this process lead to the null device, so that their locks are not held here.
/// They stay open, for their owners will close them. A signal handler may call this.
pub(crate) fn detach(descriptors: impl Iterator<Item = i32>) {
    system::detach(descriptors);
}

/// Returns the sockets of this process, the driver's included, or none where the system does not
/// list them, as outside of Linux.
pub(crate) fn sockets() -> HashSet<Socket> {
    system::sockets()
}

/// Has a socket send small messages at once, and on request be given up when the other side is
/// silent. A socket that is not connected to this port stays as it is.
pub(crate) fn tune(socket: &Socket, port: u16, keep_alive: Option<KeepAlive>) {
    system::tune(socket, port, keep_alive);
}

/// Returns the processor's time-stamp counter where the system keeps its own time by it: Linux on
/// x86-64. Elsewhere returns 0.
#[inline]
pub(crate) fn ticks() -> u64 {
    system::ticks()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::TryLockError;

    fn options() -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        options
    }

    #[test]
    fn a_path_leads_to_an_open_file_until_another_is_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let (path, aside) = (directory.path().join("file"), directory.path().join("aside"));
        let file = open_itself(&options(), &path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        std::fs::rename(&path, &aside).unwrap();
        is_at(&file, &path).unwrap_err();
        std::fs::write(&path, "another").unwrap();
        assert!(!is_at(&file, &path).unwrap() && is_at(&file, &aside).unwrap());
        assert!(!is_removed(&file, &aside).unwrap());
        std::fs::remove_file(&aside).unwrap();
        assert!(is_removed(&file, &aside).unwrap());
    }

    #[test]
    fn a_lock_is_kept_whatever_other_handles_of_the_file_are_closed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = open_itself(private(&mut options()), &path).unwrap();
        held.try_lock().unwrap();
        for _ in 0..2 {
            let other = open_itself(&options(), &path).unwrap();
            assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
        }
        drop(held.try_clone().unwrap());
        assert!(matches!(open_itself(&options(), &path).unwrap().try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        let file = open_itself(&options(), &path).unwrap();
        crate::sys::unlocked(|| file.try_lock().ok());
    }

    #[test]
    fn bytes_are_written_and_read_at_their_offset() {
        let directory = tempfile::tempdir().unwrap();
        let file = open_itself(&options(), &directory.path().join("file")).unwrap();
        if !reserve(&file, 0, 8192).unwrap() {
            file.set_len(8192).unwrap();
        }
        write_all_at(&file, b"behind", 5000).unwrap();
        write_all_at(&file, b"before", 8).unwrap();
        let mut read = [1; 6];
        for (offset, expected) in [(8, b"before"), (5000, b"behind"), (8186, &[0; 6])] {
            read_exact_at(&file, &mut read, offset).unwrap();
            assert_eq!(&read, expected);
        }
        assert_eq!(read_exact_at(&file, &mut read, 8187).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(disk_bytes(&file.metadata().unwrap()) >= 8192);
    }

    #[test]
    fn an_opened_entry_has_the_requested_kind() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "").unwrap();
        open_directory(&file).unwrap_err();
        open_directory(directory.path()).unwrap();
        check_writable(directory.path()).unwrap();
        sync_directory(directory.path()).unwrap();
        assert!(!host_name().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        std::fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        open_itself(&options(), &link).unwrap_err();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("above")).unwrap();
        open_directory(&directory.path().join("above")).unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn a_detached_descriptor_holds_no_lock_and_is_closed_by_exec() {
        use std::os::fd::FromRawFd;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = open_itself(&options(), &path).unwrap();
        held.try_lock().unwrap();
        // SAFETY: a plain system call. The copy is owned below.
        let copy = unsafe { libc::dup(descriptor(&held).unwrap()) };
        // SAFETY: made above, and owned by nobody else.
        let copy = unsafe { File::from_raw_fd(copy) };
        detach([&held, &copy].into_iter().filter_map(descriptor));
        open_itself(&options(), &path).unwrap().try_lock().unwrap();
        for file in [&held, &copy] {
            assert!(!is_at(file, &path).unwrap());
            // SAFETY: a plain system call on an open descriptor.
            assert_eq!(unsafe { libc::fcntl(descriptor(file).unwrap(), libc::F_GETFD) }, libc::FD_CLOEXEC);
        }
    }
}
