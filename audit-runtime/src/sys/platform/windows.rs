//! Windows.
//!
//! A file cannot be shortened while it is mapped, and a mapped page may find no room on a
//! compressed disk. So journals are written by calls, and `set_len` reserves their bytes.

use super::types::{FileSystem, KeepAlive, Ownership};
use std::collections::HashSet;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use windows_sys::Win32::Storage::FileSystem::{
    BY_HANDLE_FILE_INFORMATION, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, GetFileInformationByHandle,
};

pub(super) const MAPS_JOURNALS: bool = false;
pub(super) const HAS_GROUPS: bool = false;
pub(super) const FREES_NAMES_OF_OPEN_FILES: bool = false;
pub(super) const KEEPING: &str = "NTFS";

pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

pub(super) fn private_directory() -> DirBuilder {
    DirBuilder::new()
}

pub(super) fn ownership(_: &Metadata) -> Option<Ownership> {
    None
}

pub(super) fn set_group(_: &Path, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(super) fn open_itself(options: &OpenOptions, path: &Path) -> io::Result<File> {
    let file = options.clone().custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path)?;
    if file.metadata()?.is_symlink() {
        return Err(io::Error::other(format!("{} is a symbolic link", path.display())));
    }
    Ok(file)
}

pub(super) fn open_directory(path: &Path) -> io::Result<File> {
    let flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;
    let directory = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if directory.metadata()?.is_dir() { Ok(directory) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

pub(super) fn check_writable(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    // Neither to read nor to write, so that no lock and no access list of the file matters.
    let there = OpenOptions::new().access_mode(0).open(path)?;
    Ok(identity(file)? == identity(&there)?)
}

/// The number of the volume, and that of the file on it.
fn identity(file: &File) -> io::Result<(u32, u32, u32)> {
    let mut answer = MaybeUninit::<BY_HANDLE_FILE_INFORMATION>::zeroed();
    // SAFETY: the handle is open, and the answer has the length of what the system writes.
    let is_answered = unsafe { GetFileInformationByHandle(file.as_raw_handle(), answer.as_mut_ptr()) };
    if is_answered == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: numbers, of which any bytes are some.
    let answer = unsafe { answer.assume_init() };
    Ok((answer.dwVolumeSerialNumber, answer.nFileIndexHigh, answer.nFileIndexLow))
}

pub(super) fn is_removed(file: &File, path: &Path) -> io::Result<bool> {
    match is_at(file, path) {
        // A removed file that is open may have its name yet, and cannot be opened by it.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(true),
        is_there => is_there.map(|is_there| !is_there),
    }
}

pub(super) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

pub(super) fn read_exact_at(file: &File, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buffer.is_empty() {
        match file.seek_read(buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

pub(super) fn reserve(_: &File, _: u64, _: u64) -> io::Result<bool> {
    Ok(false)
}

pub(super) fn disk_bytes(metadata: &Metadata) -> u64 {
    metadata.len()
}

pub(super) fn file_system(_: &Path) -> Option<FileSystem> {
    None
}

pub(super) fn settle(file: &File) -> io::Result<()> {
    file.sync_data()
}

pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

pub(super) unsafe fn populate(_: *mut u8, _: usize) {}

pub(super) fn host_name() -> String {
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unnamed".into())
}

pub(super) fn at_exit(function: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the function has C's calling convention and lives as long as the program. A panic in
    // it aborts.
    let refused = unsafe { libc::atexit(function) };
    if refused == 0 { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) }
}

pub(super) fn on_fork(_: extern "C" fn()) -> io::Result<()> {
    Ok(())
}

pub(super) fn descriptor(_: &File) -> Option<i32> {
    None
}

pub(super) fn detach(_: impl Iterator<Item = i32>) {}

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
