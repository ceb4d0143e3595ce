//! The parts that Linux, macOS and other kinds of Unix share.

use super::types::Ownership;
use rustix::fs::Access;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::Path;

pub(super) const HAS_GROUPS: bool = true;
pub(super) const FREES_NAMES_OF_OPEN_FILES: bool = true;

/// The part of `st_mode` that is not the kind of file.
const MODE: u32 = 0o7777;
/// `st_blocks` counts these, whatever the blocks of the file system are.
const BLOCK: u64 = 512;

pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

pub(super) fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

pub(super) fn ownership(metadata: &Metadata) -> Option<Ownership> {
    Some(Ownership {
        process: rustix::process::geteuid().as_raw(),
        user: metadata.uid(),
        group: metadata.gid(),
        mode: metadata.mode() & MODE,
    })
}

pub(super) fn set_group(path: &Path, group: u32) -> io::Result<()> {
    chown(path, None, Some(group))
}

pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
}

pub(super) fn open_itself(options: &OpenOptions, path: &Path) -> io::Result<File> {
    options.clone().custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)
}

pub(super) fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

pub(super) fn check_writable(directory: &Path) -> io::Result<()> {
    Ok(rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK)?)
}

pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (own, there) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((own.dev(), own.ino()) == (there.dev(), there.ino()))
}

pub(super) fn is_removed(file: &File, _: &Path) -> io::Result<bool> {
    Ok(file.metadata()?.nlink() == 0)
}

pub(super) fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

pub(super) fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset)
}

pub(super) fn disk_bytes(metadata: &Metadata) -> u64 {
    metadata.blocks() * BLOCK
}

pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

pub(super) fn at_exit(function: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the function has C's calling convention and lives as long as the program. A panic in
    // it aborts.
    let refused = unsafe { libc::atexit(function) };
    if refused == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

pub(super) fn on_fork(function: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the function lives as long as the program. Its caller keeps it to what a signal
    // handler may do.
    let failed = unsafe { libc::pthread_atfork(None, None, Some(function)) };
    if failed == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(failed)) }
}

pub(super) fn descriptor(file: &File) -> Option<i32> {
    Some(file.as_raw_fd())
}

pub(super) fn detach(descriptors: impl Iterator<Item = i32>) {
    // SAFETY: a plain system call, on a text that ends with a zero.
    let null = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    // If it cannot be opened, the locks are held on to.
    if null < 0 {
        return;
    }
    for descriptor in descriptors {
        // SAFETY: a plain system call on descriptors of this process.
        unsafe { libc::dup2(null, descriptor) };
        // In one call with the one before (`dup3`) on Linux alone. A forked child has one thread,
        // so that no other runs between them.
        // SAFETY: a plain system call on a descriptor of this process.
        unsafe { libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: a plain system call on the descriptor that was opened above.
    unsafe { libc::close(null) };
}
