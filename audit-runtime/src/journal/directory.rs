//! The directories of journals: one per live process, held by a lock, adopted when its process is
//! dead.
//!
//! ```text
//! <configured directory>/
//!   lock                              held for a moment while a journal directory is made or adopted
//!   <journal id, a UUID>/
//!     lock                            flock (LockFileEx), held as long as the process lives
//!     00000000000000000000.journal    segments, named by the logical position of their first byte
//!     00000000000016777216.journal
//!     00000000000016777216.cuts       batches that were cut from it
//!   kept/                             copies of stored batches, if they are kept
//! ```

use super::error::JournalError;
use super::filesystem;
use super::parent_directory::{Parent, open_file};
use super::segment::Writing;
use crate::sys::fork::ForgottenInChild;
use crate::sys::platform::{self, open_directory};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// The ending of the files of the cut log.
pub(super) const CUTS: &str = "cuts";
pub(super) const LOCK: &str = "lock";
const EXTENSION: &str = "journal";

/// A journal's directory, locked by this process.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    id: Uuid,
    parent: Parent,
    /// Closing it releases the journal to its next adopter.
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
        Self { _forgotten: ForgottenInChild::new(&file), file }
    }
}

impl Directory {
    /// Makes a new journal directory under `parent`.
    pub(crate) fn create(parent: &Parent, writing: Writing) -> Result<Self, JournalError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Directory { path, source }
        };
        parent.make().map_err(failed(&parent.path))?;
        filesystem::check(&parent.path, writing)?;
        let _parent_lock = lock_parent(parent).map_err(failed(&parent.path))?;
        let id = Uuid::now_v7();
        let path = parent.path.join(id.to_string());
        parent.make_directory(&path).map_err(failed(&path))?;
        let lock = try_lock(parent, &path).map_err(failed(&path))?;
        let lock = lock.ok_or_else(|| failed(&path)(io::ErrorKind::WouldBlock.into()))?;
        // For people who look: the lock itself is the system's. (On Windows no other process can
        // read the file.)
        let _ = writeln!(&lock, "{}", std::process::id());
        platform::sync_directory(&parent.path).map_err(failed(&parent.path))?;
        Ok(Self { path, id, parent: parent.clone(), lock: Mutex::new(Some(Lock::held(lock))) })
    }

    /// Returns every journal directory under `parent`, the oldest first, whether its process is
    /// alive or dead.
    pub(crate) fn all(parent: &Path) -> io::Result<Vec<PathBuf>> {
        let mut journals = Vec::new();
        for entry in std::fs::read_dir(parent)? {
            let entry = entry?;
            journals.extend(id_of(&entry.path()).map(|id| (id, entry.path())));
        }
        journals.sort_unstable();
        Ok(journals.into_iter().map(|(_, path)| path).collect())
    }

    #[cfg(feature = "postgres")]
    /// Returns every journal directory that no process holds, except this one, the oldest first. An
    /// inaccessible entry is among them, and its adopter reports the reason.
    pub(crate) fn waiting(parent: &Parent, but: Uuid) -> io::Result<Vec<PathBuf>> {
        parent.check()?;
        let mut journals = Self::all(&parent.path)?;
        journals.retain(|path| id_of(path) != Some(but) && !is_held(path).unwrap_or(false));
        Ok(journals)
    }

    #[cfg(feature = "postgres")]
    /// Locks the journal directory of a dead process.
    ///
    /// It returns `None` if its process lives, or another process holds it or has shipped it.
    pub(crate) fn adopt(parent: &Parent, path: &Path) -> io::Result<Option<Self>> {
        let Some(id) = id_of(path) else {
            return Ok(None);
        };
        let _parent_lock = lock_parent(parent)?;
        let locked = open_directory(path)
            .and_then(|directory| parent.admit(path, &directory.metadata()?))
            .and_then(|()| try_lock(parent, path));
        let lock = match locked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            lock => lock?,
        };
        let lock = lock.map(|lock| Mutex::new(Some(Lock::held(lock))));
        Ok(lock.map(|lock| Self { path: path.to_owned(), id, parent: parent.clone(), lock }))
    }

    /// Locks every journal directory under `parent` whose process is dead.
    #[cfg(test)]
    pub(crate) fn adopt_orphans(parent: &Path) -> io::Result<Vec<Self>> {
        let parent = Parent::own(parent);
        Self::all(&parent.path)?.iter().filter_map(|path| Self::adopt(&parent, path).transpose()).collect()
    }

    pub(crate) fn id(&self) -> Uuid {
        self.id
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the segment that begins at this logical position.
    pub(crate) fn segment_path(&self, base: u64) -> PathBuf {
        self.path.join(format!("{base:020}.{EXTENSION}"))
    }

    /// The segment files, by logical position.
    pub(crate) fn segments(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        segments_in(&self.path)
    }

    /// Returns the directory in which it lies.
    pub(crate) fn parent(&self) -> &Parent {
        &self.parent
    }

    /// Makes the names of new segments durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        platform::sync_directory(&self.path)
    }

    /// Checks that the next process would find this journal: that the directory's path leads to it,
    /// and to these segments.
    ///
    /// # Errors
    /// The directory or a segment was removed or replaced, or the directory was made read-only.
    pub(crate) fn check<'a>(&self, segments: impl Iterator<Item = &'a Path>) -> io::Result<()> {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lock) = &*lock else { return Ok(()) };
        let gone = |path: &Path, error: &dyn fmt::Display| {
            let text =
                format!("{} was removed or replaced ({error}): put it back, or restart the process", path.display());
            io::Error::other(text)
        };
        let is_there = platform::is_at(&lock.file, &self.path.join(LOCK));
        if !is_there.map_err(|error| gone(&self.path, &error))? {
            return Err(gone(&self.path, &"another directory is there"));
        }
        platform::check_writable(&self.path).map_err(|error| {
            let path = self.path.display();
            io::Error::other(format!("{path} cannot be written to any more ({error}): make it writable again"))
        })?;
        for segment in segments {
            std::fs::symlink_metadata(segment).map_err(|error| gone(segment, &error))?;
        }
        Ok(())
    }

    /// Releases the lock, so that another process can adopt the rest.
    pub(crate) fn release(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Removes the segments and the directory, under the lock: until it is released no process
    /// adopts the rest. On Windows it is released before the empty directory goes. Another process
    /// may then adopt and remove that.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for (_, path) in self.segments()? {
            std::fs::remove_file(path)?;
        }
        for entry in std::fs::read_dir(&self.path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == CUTS) {
                std::fs::remove_file(path)?;
            }
        }
        std::fs::remove_file(self.path.join(LOCK))?;
        if !platform::FREES_NAMES_OF_OPEN_FILES {
            self.release();
        }
        std::fs::remove_dir(&self.path)
    }
}

pub(super) fn id_of(path: &Path) -> Option<Uuid> {
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
pub(crate) fn is_held(directory: &Path) -> io::Result<bool> {
    // An adopter cannot try the lock meanwhile, and mistake this look for a holder. No lock file is
    // created here.
    let parent_lock = directory.parent().map(|parent| open_file(&parent.join(LOCK))).transpose();
    let _parent_lock = match parent_lock {
        Ok(Some(lock)) => lock.lock().map(|()| Some(lock))?,
        Ok(None) => None,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    open_directory(directory)?;
    let lock = open_file(&directory.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Held only while a directory is made or adopted, so that none is adopted between its `mkdir` and
/// its lock.
fn lock_parent(parent: &Parent) -> io::Result<File> {
    let lock = parent.open_lock(&parent.path.join(LOCK))?;
    lock.lock()?;
    Ok(lock)
}

/// `None` if another process holds the directory.
fn try_lock(parent: &Parent, directory: &Path) -> io::Result<Option<File>> {
    let path = directory.join(LOCK);
    let lock = parent.open_lock(&path)?;
    parent.admit(&path, &lock.metadata()?)?;
    match lock.try_lock() {
        // An adopter may have removed the directory between our open and our lock.
        Ok(()) if platform::is_removed(&lock, &path)? => Err(io::ErrorKind::NotFound.into()),
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_journal_is_not_adopted_and_a_dead_one_is_adopted_once() {
        let parent = tempfile::tempdir().unwrap();
        let live = Directory::create(&Parent::own(parent.path()), Writing::default()).unwrap();
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        let id = live.id();
        drop(live);
        let first = crate::sys::unlocked(|| {
            let adopted = Directory::adopt_orphans(parent.path()).unwrap();
            (!adopted.is_empty()).then_some(adopted)
        });
        assert_eq!(first.iter().map(Directory::id).collect::<Vec<_>>(), [id]);
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        for orphan in first {
            orphan.remove().unwrap();
        }
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
    }

    #[test]
    fn entries_other_than_journals_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("notes.txt"), "mine").unwrap();
        std::fs::create_dir(parent.path().join("backup")).unwrap();
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
        assert!(parent.path().join("notes.txt").exists() && parent.path().join("backup").exists());
    }
}
