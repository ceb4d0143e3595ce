//! The directories of journals: one per live process, held by a lock, adopted when its process is dead.
//!
//! ```text
//! <configured directory>/
//!   lock                              held for a moment while a journal directory is made or adopted
//!   <journal id, a UUID>/
//!     lock                            flock, held as long as the process lives
//!     00000000000000000000.journal    segments, named by the logical position of their first byte
//!     00000000000016777216.journal
//! ```

use super::JournalError;
use super::segment::fork::ForgottenInChild;
use rustix::fs::{FlockOperation, flock};
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

const LOCK: &str = "lock";
const EXTENSION: &str = "journal";

/// A journal's directory, locked by this process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    id: Uuid,
    /// Closing it gives the journal up to whoever comes next.
    lock: Mutex<Option<Lock>>,
}

/// Held as long as it lives, by this process alone: not by its forks.
#[derive(Debug)]
struct Lock {
    _forgotten: ForgottenInChild,
    file: File,
}

impl Lock {
    fn held(file: File) -> Self {
        Self { _forgotten: ForgottenInChild::new(file.as_fd()), file }
    }
}

impl Directory {
    /// Makes a new journal directory under `parent`.
    pub(crate) fn create(parent: &Path) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Directory { path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed(parent))?;
        let _parent_lock = lock_parent(parent).map_err(failed(parent))?;
        let id = Uuid::now_v7();
        let path = parent.join(id.to_string());
        DirBuilder::new().mode(0o700).create(&path).map_err(failed(&path))?;
        let lock = try_lock(&path).map_err(failed(&path))?;
        let lock = lock.ok_or_else(|| failed(&path)(io::ErrorKind::WouldBlock.into()))?;
        // For people who look: the lock itself is the flock.
        let _ = writeln!(&lock, "{}", std::process::id());
        sync_directory(parent).map_err(failed(parent))?;
        Ok(Self { path, id, lock: Mutex::new(Some(Lock::held(lock))) })
    }

    /// Returns every journal directory under `parent`, the oldest first, whether its process is alive or dead.
    pub(crate) fn all(parent: &Path) -> io::Result<Vec<PathBuf>> {
        let mut journals = Vec::new();
        for entry in std::fs::read_dir(parent)? {
            let entry = entry?;
            journals.extend(id_of(&entry.path()).map(|id| (id, entry.path())));
        }
        journals.sort_unstable();
        Ok(journals.into_iter().map(|(_, path)| path).collect())
    }

    /// Locks the journal directory of a dead process; `None` if its process lives, or somebody else has it, or has shipped it.
    pub(crate) fn adopt(path: &Path) -> io::Result<Option<Self>> {
        let (Some(id), Some(parent)) = (id_of(path), path.parent()) else {
            return Ok(None);
        };
        let _parent_lock = lock_parent(parent)?;
        let lock = match try_lock(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => lock?,
        };
        Ok(lock.map(|lock| Self { path: path.to_owned(), id, lock: Mutex::new(Some(Lock::held(lock))) }))
    }

    /// Locks every journal directory under `parent` whose process is dead.
    #[cfg(test)]
    pub(crate) fn adopt_orphans(parent: &Path) -> io::Result<Vec<Self>> {
        Self::all(parent)?.iter().filter_map(|path| Self::adopt(path).transpose()).collect()
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the segment that begins at this logical position lies.
    pub(crate) fn segment_path(&self, base: u64) -> PathBuf {
        self.path.join(format!("{base:020}.{EXTENSION}"))
    }

    /// The segment files, by logical position.
    pub(crate) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        segments_in(&self.path)
    }

    /// Makes the names of new segments durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        sync_directory(&self.path)
    }

    /// Checks that the next process would find this journal: that the directory's path leads to it, and to these segments.
    ///
    /// # Errors
    /// The directory or a segment was removed or replaced.
    pub(crate) fn check<'a>(&self, segments: impl Iterator<Item = &'a Path>) -> io::Result<()> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lock) = &*lock else { return Ok(()) };
        let gone = |path: &Path, error: &dyn fmt::Display| {
            let text =
                format!("{} was removed or replaced ({error}): put it back, or restart the process", path.display());
            io::Error::other(text)
        };
        let own = lock.file.metadata()?;
        let there = std::fs::metadata(self.path.join(LOCK)).map_err(|error| gone(&self.path, &error))?;
        if (own.dev(), own.ino()) != (there.dev(), there.ino()) {
            return Err(gone(&self.path, &"another directory is there"));
        }
        for segment in segments {
            std::fs::symlink_metadata(segment).map_err(|error| gone(segment, &error))?;
        }
        Ok(())
    }

    /// Gives the lock up: what is left is for whoever adopts it.
    pub(crate) fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Removes the segments and the directory, under the lock: until it is released nobody adopts what is left.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for (_, path) in self.segments()? {
            std::fs::remove_file(path)?;
        }
        std::fs::remove_file(self.path.join(LOCK))?;
        std::fs::remove_dir(&self.path)
    }
}

fn id_of(path: &Path) -> Option<Uuid> {
    path.file_name()?.to_str().and_then(|name| Uuid::parse_str(name).ok())
}

/// The segment files in a directory, by logical position.
pub(super) fn segments_in(directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == EXTENSION)
            && let Some(base) = path.file_stem().and_then(|s| s.to_str()).and_then(|s| s.parse().ok())
        {
            segments.push((base, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Whether some process holds the journal in this directory.
pub(super) fn is_held(directory: &Path) -> io::Result<bool> {
    // Nobody who adopts looks at the lock meanwhile, and takes this look for a holder.
    let _parent_lock = directory.parent().map(lock_parent).transpose()?;
    // Not made where it is not.
    let lock = OpenOptions::new().read(true).write(true).open(directory.join(LOCK))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn open_lock(directory: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(directory.join(LOCK))
}

/// Held only while a directory is made or adopted, so that nobody adopts one between its `mkdir` and its lock.
fn lock_parent(parent: &Path) -> io::Result<File> {
    let lock = open_lock(parent)?;
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// `None` if another process holds the directory.
fn try_lock(directory: &Path) -> io::Result<Option<File>> {
    let lock = open_lock(directory)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        // An adopter may have removed the directory between our open and our lock.
        Ok(()) if lock.metadata()?.nlink() == 0 => Err(io::ErrorKind::NotFound.into()),
        Ok(()) => Ok(Some(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_journal_is_not_adopted_and_a_dead_one_is_adopted_once() {
        let parent = tempfile::tempdir().unwrap();
        let live = Directory::create(parent.path()).unwrap();
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        let id = live.id();
        drop(live);
        let first = Directory::adopt_orphans(parent.path()).unwrap();
        assert_eq!(first.iter().map(Directory::id).collect::<Vec<_>>(), [id]);
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        for orphan in first {
            orphan.remove().unwrap();
        }
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_journal_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("notes.txt"), "mine").unwrap();
        std::fs::create_dir(parent.path().join("backup")).unwrap();
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        assert!(parent.path().join("notes.txt").exists() && parent.path().join("backup").exists());
    }
}
