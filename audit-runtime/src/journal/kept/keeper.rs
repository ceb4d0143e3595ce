//! Writes kept batches, and removes those whose time is over.

use super::format::{self, HEADER, Place};
use crate::journal::parent_directory::{Parent, open_file};
use crate::sys::RateLimited;
use crate::sys::platform;
use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use uuid::Uuid;

/// A file is ended when it has this part of the time, or of the bytes.
const PARTS: u32 = 8;
/// The most bytes of a file, and one batch more.
const FILE_BYTES: u64 = 16 << 20;

/// Keeps copies of batches for a while.
///
/// Its functions block their thread. A failure costs copies and is logged: nothing waits for it.
#[derive(Debug)]
pub(crate) struct Keeper {
    parent: Parent,
    directory: PathBuf,
    keep_for: Duration,
    /// The most bytes of all files in the directory.
    limit: u64,
    open: Mutex<Option<Open>>,
}

/// The file to which this process appends.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    begun: Instant,
    bytes: u64,
    /// The batches in it. One that is sent again is not kept again.
    has: HashSet<(Uuid, u64)>,
}

impl Keeper {
    /// Keeps batches beside the journals under `parent`.
    pub(crate) fn new(parent: Parent, keep_for: Duration, limit: u64) -> Self {
        let directory = format::directory(&parent.path);
        Self { parent, directory, keep_for, limit, open: Mutex::default() }
    }

    /// Returns how often [`tidy`](Self::tidy) is to be called.
    pub(crate) fn tidy_every(&self) -> Duration {
        (self.keep_for / PARTS).clamp(Duration::from_millis(100), Duration::from_secs(60))
    }

    /// Keeps a batch. When it returns, the copy is on the disk, or its loss was reported.
    pub(crate) fn keep(&self, time: i64, journal: Uuid, first: u64, batch: &[u8]) {
        static WARNED: RateLimited = RateLimited::every(Duration::from_secs(30));
        if let Err(error) = self.append(Place { time, journal, first }, batch) {
            WARNED.warn(|suppressed| {
                tracing::error!(
                    %journal, first, %error, suppressed, directory = %self.directory.display(),
                    "a batch cannot be kept for a replay: free some space, or check the directory's permissions. The batch itself is stored as ever"
                );
            });
        }
    }

    fn append(&self, place: Place, batch: &[u8]) -> io::Result<()> {
        let key = (place.journal, place.first);
        let entry = format::encode(place, batch).ok_or_else(|| io::Error::other("it is too long"))?;
        let mut current = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|open| !self.is_usable(open)) {
            *current = None;
        }
        let open = match &mut *current {
            Some(open) => open,
            none => none.insert(self.begin()?),
        };
        if open.has.contains(&key) {
            return Ok(());
        }
        let written = (&open.file).write_all(&entry).and_then(|()| open.file.sync_data());
        if let Err(error) = written {
            // A part of an entry hides those behind it.
            let _ = open.file.set_len(open.bytes);
            *current = None;
            return Err(error);
        }
        open.bytes += entry.len() as u64;
        open.has.insert(key);
        Ok(())
    }

    /// Returns whether further batches go to a file: it is young and small, and still there.
    fn is_usable(&self, open: &Open) -> bool {
        open.begun.elapsed() < self.keep_for / PARTS
            && open.bytes < FILE_BYTES.min(self.limit / u64::from(PARTS))
            && !platform::is_removed(&open.file, &open.path).unwrap_or(true)
    }

    /// Begins a file, after making room for it.
    fn begin(&self) -> io::Result<Open> {
        if !self.directory.exists() {
            match self.parent.make_directory(&self.directory) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => platform::sync_directory(&self.parent.path)?,
            }
        }
        self.remove_old(None)?;
        let path = format::new_file(&self.directory);
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        let file = platform::open_itself(platform::private(&mut options), &path)?;
        self.parent.share_file(&path)?;
        (&file).write_all(&format::header(self.keep_for))?;
        platform::sync_directory(&self.directory)?;
        Ok(Open { file, path, begun: Instant::now(), bytes: HEADER as u64, has: HashSet::new() })
    }

    /// Removes files whose time is over, and the oldest of those that take more than the limit.
    pub(crate) fn tidy(&self) {
        static WARNED: RateLimited = RateLimited::every(Duration::from_secs(600));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Where nothing comes, nothing else ends it.
        open.take_if(|open| !self.is_usable(open));
        let current = open.as_ref().map(|open| open.path.clone());
        drop(open);
        match self.remove_old(current.as_deref()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => WARNED.warn(|_| {
                tracing::warn!(%error, directory = %self.directory.display(), "kept batches whose time is over cannot be removed");
            }),
            _ => {}
        }
    }

    fn remove_old(&self, but: Option<&Path>) -> io::Result<()> {
        static WARNED: RateLimited = RateLimited::every(Duration::from_secs(600));
        let mut left = Vec::new();
        for path in format::files(&self.directory)? {
            match age_and_bytes(&path) {
                Ok((age, keep_for, _)) if age > keep_for && but != Some(&*path) => remove(&path)?,
                Ok((age, _, bytes)) => left.push((path, age, bytes)),
                // Another process has removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // It is named when the files are read.
                Err(_) => {}
            }
        }
        let mut bytes: u64 = left.iter().map(|(_, _, bytes)| bytes).sum();
        let mut is_over = None;
        for (path, age, of_file) in left.iter().filter(|(path, ..)| but != Some(path)) {
            if bytes <= self.limit {
                break;
            }
            remove(path)?;
            bytes -= of_file;
            is_over = Some(*age);
        }
        if let Some(age) = is_over {
            WARNED.warn(|suppressed| {
                tracing::warn!(
                    directory = %self.directory.display(), limit = self.limit, suppressed,
                    "batches are kept for {} s only, because they take more than Builder::keep_limit: raise it", age.as_secs()
                );
            });
        }
        Ok(())
    }
}

/// Returns how long ago a file was written to, how long its batches are kept, and its bytes.
fn age_and_bytes(path: &Path) -> io::Result<(Duration, Duration, u64)> {
    let mut file = open_file(path)?;
    let metadata = file.metadata()?;
    let mut header = [0; HEADER];
    // One that was begun and not written has no batch, and is kept for no time.
    let keep_for = match file.read_exact(&mut header) {
        Ok(()) => format::keep_for(&header)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is of another version"))?,
        Err(_) => Duration::from_secs(60),
    };
    let age = SystemTime::now().duration_since(metadata.modified()?).unwrap_or_default();
    Ok((age, keep_for, metadata.len()))
}

/// Removes a file, unless another process has.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
