//! Linux.

use super::types::{FileSystem, KeepAlive};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use rustix::net::{self, sockopt};
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

pub(super) use super::unix::{
    FREES_NAMES_OF_OPEN_FILES, HAS_GROUPS, at_exit, check_writable, descriptor, detach, disk_bytes, host_name, is_at,
    is_removed, on_fork, open_directory, open_itself, ownership, private, private_directory, read_exact_at, set_group,
    set_mode, sync_directory, write_all_at,
};

pub(super) const MAPS_JOURNALS: bool = true;

pub(super) const KEEPING: &str = "ext4, XFS, F2FS or tmpfs";

/// File systems that keep what they allocate. The numbers of both tables are `f_type` of statfs(2),
/// from the manual page and from `include/uapi/linux/magic.h` of Linux 6.12.
const KEEPING_SYSTEMS: [(u64, &str); 6] = [
    (0xef53, "ext2, ext3 or ext4"),
    (0x5846_5342, "XFS"),
    (0xf2f5_2010, "F2FS"),
    (0x0102_1994, "tmpfs"),
    (0x3153_464a, "JFS"),
    // Of a container: its lower file system is not visible. Docker and containerd put it on one of
    // the others.
    (0x794c_7630, "overlayfs"),
];

/// File systems that are known not to.
const OTHER_SYSTEMS: [(u64, &str); 16] = [
    (0x9123_683e, "btrfs"),
    (0x2fc1_2fc1, "ZFS"),
    (0xca45_1a4e, "bcachefs"),
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x4d44, "vfat"),
    (0x2011_bab0, "exFAT"),
    (0x5265_4973, "ReiserFS"),
    (0xf15f, "eCryptfs"),
    (0x8584_58f6, "ramfs"),
    (0x7366_746e, "NTFS"),
];

pub(super) fn file_system(directory: &Path) -> Option<FileSystem> {
    // (The field's type differs between architectures, but the numbers have 32 bits.)
    let number = rustix::fs::statfs(directory).ok()?.f_type as u64 & 0xffff_ffff;
    let named = |systems: &[(u64, &str)]| {
        systems.iter().find(|(other, _)| *other == number).map(|(_, name)| (*name).to_owned())
    };
    let keeping = named(&KEEPING_SYSTEMS);
    let keeps_allocated = keeping.is_some();
    let name = keeping.or_else(|| named(&OTHER_SYSTEMS)).unwrap_or_else(|| format!("of kind {number:#x}"));
    Some(FileSystem { name, keeps_allocated })
}

pub(super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<bool> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), from, to - from) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// `msync` has done it.
pub(super) fn settle(_: &File) -> io::Result<()> {
    Ok(())
}

pub(super) unsafe fn populate(at: *mut u8, bytes: usize) {
    // An old kernel (before 5.14) refuses, and the callers then fault them in. SAFETY: the range
    // lies in a mapping, by the caller. The advice only populates pages and changes no content.
    let _ = unsafe { rustix::mm::madvise(at.cast(), bytes, rustix::mm::Advice::LinuxPopulateWrite) };
}

/// A descriptor, and the target of its entry below `/proc`: `socket:[inode]`. The same number may
/// be another socket later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Socket(RawFd, PathBuf);

pub(super) fn sockets() -> HashSet<Socket> {
    list_sockets().unwrap_or_default()
}

fn list_sockets() -> io::Result<HashSet<Socket>> {
    let mut sockets = HashSet::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        let number = OsString::into_string(entry.file_name()).ok().and_then(|name| name.parse().ok());
        if let (Some(number), Ok(target)) = (number, std::fs::read_link(entry.path()))
            && target.as_os_str().as_encoded_bytes().starts_with(b"socket:")
        {
            sockets.insert(Socket(number, target));
        }
    }
    Ok(sockets)
}

pub(super) fn tune(socket: &Socket, port: u16, keep_alive: Option<KeepAlive>) {
    // SAFETY: the descriptor was open a moment ago. That of the driver stays open, for the
    // connection is in the caller's hands. Another one, which another thread made meanwhile, may be
    // closed or used anew. These calls then fail, or set harmless options on a socket. No memory is
    // touched.
    let socket = unsafe { BorrowedFd::borrow_raw(socket.0) };
    if is_to(socket, port) {
        let _ = sockopt::set_tcp_nodelay(socket, true);
        let _ = keep_alive.map(|keep_alive| set_keep_alive(socket, keep_alive));
    }
}

fn is_to(socket: BorrowedFd<'_>, port: u16) -> bool {
    let peer = net::getpeername(socket).ok().flatten();
    let peer = peer.and_then(|peer| std::net::SocketAddr::try_from(peer).ok());
    peer.is_some_and(|peer| peer.port() == port)
}

fn set_keep_alive(socket: BorrowedFd<'_>, keep_alive: KeepAlive) -> rustix::io::Result<()> {
    sockopt::set_tcp_keepidle(socket, keep_alive.idle)?;
    sockopt::set_tcp_keepintvl(socket, keep_alive.again)?;
    sockopt::set_tcp_keepcnt(socket, keep_alive.times)?;
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_user_timeout(socket, u32::try_from(keep_alive.silence.as_millis()).unwrap_or(u32::MAX))
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[inline]
pub(super) fn ticks() -> u64 {
    use std::sync::atomic::{AtomicU8, Ordering};
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static IS_TRUSTED: AtomicU8 = AtomicU8::new(UNKNOWN);
    #[cold]
    fn is_trusted() -> bool {
        let source = std::fs::read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
        let is_trusted = source.is_ok_and(|source| source.trim_ascii() == b"tsc");
        IS_TRUSTED.store(if is_trusted { YES } else { NO }, Ordering::Relaxed);
        is_trusted
    }
    match IS_TRUSTED.load(Ordering::Relaxed) {
        UNKNOWN if !is_trusted() => 0,
        NO => 0,
        // SAFETY: reads a register. Every x86-64 processor has the instruction.
        _ => unsafe { std::arch::x86_64::_rdtsc() },
    }
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(super) const fn ticks() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_stands_twice() {
        let mut numbers: Vec<u64> = KEEPING_SYSTEMS.iter().chain(&OTHER_SYSTEMS).map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), KEEPING_SYSTEMS.len() + OTHER_SYSTEMS.len());
    }
}
