//! Errors of a journal.

use crate::sys::platform;
use std::io;
use std::path::PathBuf;

/// The reason a journal could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The directory cannot be made, listed or locked.
    #[error("journal directory {}: {source}; name a directory this process may write to, on a local disk", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A full disk would end the process on this file system, for it promises nothing to a file
    /// that is mapped.
    #[error(
        "journal directory {}: its file system is {name}, where a full disk would end the process with a signal; name a directory on \
         {}, or call Builder::journal_by_write()", path.display(), platform::KEEPING
    )]
    FileSystem {
        /// The directory.
        path: PathBuf,
        /// The file system's name, or its number.
        name: String,
    },
    /// The first segment cannot be made.
    #[error("journal {}: a segment of {bytes} bytes cannot be made: {source}; free some space or name another directory", path.display())]
    Segment {
        /// The journal's directory.
        path: PathBuf,
        /// The size of the segment.
        bytes: u64,
        /// The system's error.
        source: io::Error,
    },
}

/// Why a record was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppendError {
    /// The limit is reached.
    Full,
    /// Room could not be made: most likely the disk is full.
    Disk,
    /// The payload is larger than a segment.
    TooLarge,
    Closed,
    /// This process is a fork of the journal's.
    Forked,
}
