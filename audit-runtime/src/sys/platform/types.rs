//! The types that every system returns.

use std::time::Duration;

/// The owner and the permissions of a file, on a system that has users and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// The user as whom this process runs.
    pub(crate) process: u32,
    /// The user to whom the file belongs.
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// The permissions, and the bits for user, group and stickiness.
    pub(crate) mode: u32,
}

/// A file system, as far as a mapping of its files depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    pub(crate) name: String,
    /// A byte that was allocated can be written through a mapping, however full the disk is.
    pub(crate) keeps_allocated: bool,
}

/// The time after which the system gives a silent connection up.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "elsewhere the system hides the driver's sockets"))]
pub(crate) struct KeepAlive {
    /// The idle time after which the system probes the other side.
    pub(crate) idle: Duration,
    /// The interval between two probes.
    pub(crate) again: Duration,
    /// The number of probes without an answer after which the connection is lost.
    pub(crate) times: u32,
    /// The longest time that sent bytes may stay unacknowledged before the connection is lost.
    pub(crate) silence: Duration,
}
