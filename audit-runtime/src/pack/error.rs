//! Errors of packed journals.

use std::io;
use std::path::{Path, PathBuf};

/// The reason journals could not be packed or unpacked. The journals stay as they are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file or a directory cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The command did not take the file.
    #[error("the command {command:?} did not take the packed journals: {why}")]
    Command {
        /// The command.
        command: String,
        /// Why.
        why: String,
    },
    /// A process holds the journal.
    #[error("journal {} is in use by a process; stop the process, or let it ship its own events", .0.display())]
    InUse(PathBuf),
    /// No journal of a dead process is there.
    #[error("no journal of an ended process is in {}", .0.display())]
    Nothing(PathBuf),
    /// Personal values would be in clear.
    #[error("journal {} contains personal data, which are packed encrypted only; name the master key", .0.display())]
    Personal(PathBuf),
    /// The journal is of a version that this program does not read, so its personal data are unknown.
    #[error("journal {} is of a newer version; name the master key, or pack it by the version that wrote it", .0.display())]
    NewerJournal(PathBuf),
    /// A journal was packed and is still there.
    #[error(
        "the file is complete, and journal {} cannot be removed: {source}; remove the journal, or ship both: each event is stored once",
        path.display()
    )]
    NotRemoved {
        /// The journal.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file does not begin like packed journals.
    #[error("{}: these are no packed journals; name a file that `audit-trail journal pack` or a last resort has made", .0.display())]
    Foreign(PathBuf),
    /// A newer version has made the file.
    #[error("{}: the file has format {version}, and this program reads 1; ship it by the version that made it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u16,
    },
    /// The file is shorter or longer than it was.
    #[error("{}: the file has {found} bytes, and {expected} once it is whole; nothing of it was shipped; copy it again, or ship the journal, which stays until its file is whole", path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its length.
        found: u64,
        /// The length it was made with.
        expected: u64,
    },
    /// The file's bytes have changed.
    #[error("{}: the file is damaged; nothing of it was shipped; copy it again", .0.display())]
    Damaged(PathBuf),
    /// The file is encrypted.
    #[error("{}: the file is encrypted; name the master key", .0.display())]
    Encrypted(PathBuf),
    /// Another master key has encrypted the file.
    #[error("{}: another master key has encrypted the file; name that one", .0.display())]
    OtherKey(PathBuf),
}

/// Returns a maker of errors of a file or directory.
pub(super) fn of(path: &Path) -> impl Fn(io::Error) -> PackError + use<> {
    let path = path.to_owned();
    move |source| PackError::Io { path: path.clone(), source }
}
