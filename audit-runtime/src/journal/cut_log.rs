//! The cut log: the batches that a journal was cut into, so that an adopter cuts the same ones
//! again.
//!
//! A batch is known by its range, and sealed by a root over its rows and the batch before. An
//! adopter must send the batches that the dead process cut, byte for byte, wherever that process
//! had got to. So an entry for each batch is appended here before the batch leaves.
//!
//! If batches go to PostgreSQL directly, the entry need not be synced first. After a power failure,
//! the batches in the database show where the others began, and an adopter looks at both.
//!
//! If batches go to a relay, the file in which a batch is noted is synced, and its name, before the
//! batch leaves. Batches that were cut meanwhile may be noted in the file of another segment.
//!
//! ```text
//! <base of the segment in which the batches begin>.cuts
//!
//! file   = magic "AUDITCUT" [8] | version u16 | 0 [6] | journal id [16]
//! entry  = bytes u32 | crc32c u32 of these bytes | bytes
//! bytes  = first u64 | end u64 | batch id [16] | kind u8 | root [32] | previous first u64 | previous root [32]
//!        | opens u32 | open u64 * opens | origin (UTF-8, to the end)
//! kind   = 1 it is sealed | 2 it has a batch before | 4 it contains interruptions
//!        | 8 which the process itself noticed at its shutdown | 16 keys of the entry before
//! ```
//!
//! An entry of kind 16 has the wrapped keys of the entry before in place of an origin, in hexadecimal
//! (`privacy/key_bytes.rs`). A program of an older version takes it for a second entry of the same range,
//! which it leaves out.
//!
//! Integers are little endian. Bytes behind the first incomplete entry were being written when the
//! machine stopped.

use super::directory::{CUTS, Directory};
use super::format::{read_u32, read_u64};
use super::parent_directory::{Parent, open_file};
use crate::sys::platform;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"AUDITCUT";
const VERSION: u16 = 1;
const HEADER: usize = 32;
const SEALED: u8 = 1;
const HAS_PREVIOUS: u8 = 2;
const INTERRUPTIONS: u8 = 4;
const AT_SHUTDOWN: u8 = 8;
const KEYS: u8 = 16;
/// The most bytes read of one file. The keys of a batch may take nearly as much as its records.
const MOST: u64 = 1 << 30;

/// The process that noticed interrupted calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Noticed {
    /// The process itself, whose calls went on when it shut its trail down.
    AtShutdown,
    /// An adopter of its journal.
    ByAdopter,
}

/// A batch, as it was cut.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) first: u64,
    pub(crate) end: u64,
    pub(crate) id: Uuid,
    /// The process that recorded its events.
    pub(crate) origin: String,
    /// The batch's root, if it is sealed.
    pub(crate) root: Option<[u8; 32]>,
    /// The position at which the batch before begins, and its root.
    pub(crate) previous: Option<(u64, [u8; 32])>,
    /// The positions at which the batches before it begin that were not stored when it was cut.
    pub(crate) open: Vec<u64>,
    /// The batch contains interruptions, and its positions are behind the journal's records.
    pub(crate) interruptions: Option<Noticed>,
    /// The wrapped keys of its personal values (`privacy/key_bytes.rs`): a database that went back may
    /// lack them.
    pub(crate) keys: Vec<u8>,
}

impl Cut {
    /// Returns it as an entry of the log, without its keys.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let flags = [
            (SEALED, self.root.is_some()),
            (HAS_PREVIOUS, self.previous.is_some()),
            (INTERRUPTIONS, self.interruptions.is_some()),
            (AT_SHUTDOWN, self.interruptions == Some(Noticed::AtShutdown)),
        ];
        let kind = flags.iter().filter(|(_, is_set)| *is_set).fold(0, |kind, (flag, _)| kind | flag);
        self.entry(kind, &self.origin)
    }

    /// Returns its entries of the log.
    fn entries(&self) -> Vec<u8> {
        let mut entries = self.encode();
        if !self.keys.is_empty() {
            let keys = Self { first: self.first, end: self.end, id: self.id, ..Self::default() };
            entries.extend(keys.entry(KEYS, &hex::encode(&self.keys)));
        }
        entries
    }

    fn entry(&self, kind: u8, text: &str) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.end.to_le_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        bytes.push(kind);
        bytes.extend_from_slice(&self.root.unwrap_or_default());
        let (first, root) = self.previous.unwrap_or_default();
        bytes.extend_from_slice(&first.to_le_bytes());
        bytes.extend_from_slice(&root);
        bytes.extend_from_slice(&(self.open.len() as u32).to_le_bytes());
        self.open.iter().for_each(|open| bytes.extend_from_slice(&open.to_le_bytes()));
        bytes.extend_from_slice(text.as_bytes());
        let crc = crc32c::crc32c(&bytes[8..]);
        let length = (bytes.len() - 8) as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads what [`encode`](Self::encode) has written, and nothing else.
    pub(crate) fn decode_entry(entry: &[u8]) -> Option<Self> {
        let bytes = entry.get(8..)?;
        let is_whole = read_u32(entry, 0)? as usize == bytes.len() && read_u32(entry, 4)? == crc32c::crc32c(bytes);
        is_whole.then(|| Self::decode(bytes)).flatten()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let array = |at: usize| -> Option<[u8; 32]> { bytes.get(at..at + 32)?.try_into().ok() };
        let kind = *bytes.get(32)?;
        let opens = read_u32(bytes, 105)? as usize;
        let behind = 109 + opens.checked_mul(8)?;
        let origin = String::from_utf8(bytes.get(behind..)?.to_vec()).ok()?;
        let (origin, keys) = match kind & KEYS {
            0 => (origin, Vec::new()),
            _ => (String::new(), hex::decode(origin).ok()?),
        };
        Some(Self {
            first: read_u64(bytes, 0)?,
            end: read_u64(bytes, 8)?,
            id: Uuid::from_slice(bytes.get(16..32)?).ok()?,
            origin,
            keys,
            root: (kind & SEALED != 0).then(|| array(33)).flatten(),
            previous: (kind & HAS_PREVIOUS != 0).then(|| Some((read_u64(bytes, 65)?, array(73)?))).flatten(),
            open: bytes.get(109..behind)?.chunks_exact(8).map(|open| read_u64(open, 0)).collect::<Option<_>>()?,
            interruptions: match kind & (INTERRUPTIONS | AT_SHUTDOWN) {
                0 | AT_SHUTDOWN => None,
                INTERRUPTIONS => Some(Noticed::ByAdopter),
                _ => Some(Noticed::AtShutdown),
            },
        })
    }
}

/// The entries of a file, and where the last whole one ends.
fn decode(bytes: &[u8], journal: Uuid) -> (Vec<Cut>, usize) {
    let mut cuts = Vec::<Cut>::new();
    if bytes.get(..HEADER) != Some(&header(journal)) {
        return (cuts, 0);
    }
    let mut at = HEADER;
    while let (Some(length), Some(crc)) = (read_u32(bytes, at), read_u32(bytes, at + 4)) {
        let entry = bytes.get(at + 8..(at + 8).saturating_add(length as usize));
        let Some(cut) = entry.filter(|entry| crc32c::crc32c(entry) == crc).and_then(Cut::decode) else {
            break;
        };
        match cuts.last_mut() {
            _ if cut.keys.is_empty() => cuts.push(cut),
            Some(last) if last.first == cut.first => last.keys = cut.keys,
            _ => {}
        }
        at += 8 + length as usize;
    }
    (cuts, at)
}

fn header(journal: Uuid) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[16..].copy_from_slice(journal.as_bytes());
    header
}

/// Returns the path of a segment's cuts.
pub(super) fn path(directory: &Path, base: u64) -> PathBuf {
    directory.join(format!("{base:020}.{CUTS}"))
}

/// All cuts in a journal's directory, in order of position. Of two with one range, only the first
/// is returned.
///
/// # Errors
/// A file cannot be read.
pub(super) fn read(directory: &Path, journal: Uuid) -> io::Result<Vec<Cut>> {
    let mut cuts = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == CUTS) {
            cuts.extend(decode(&read_file(&open_file(&path)?)?, journal).0);
        }
    }
    cuts.sort_by_key(|cut| cut.first);
    cuts.dedup_by_key(|cut| cut.first);
    Ok(cuts)
}

fn read_file(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Appends the cuts of one journal.
#[derive(Debug)]
pub(crate) struct CutLog {
    directory: PathBuf,
    parent: Parent,
    journal: Uuid,
    segment_bytes: u64,
    /// The file of the last cut's segment.
    open: Option<Open>,
}

/// The file of a segment's cuts.
#[derive(Debug)]
struct Open {
    base: u64,
    file: File,
    /// Its name is on the disk.
    is_named: Arc<AtomicBool>,
}

/// The file in which a batch is noted, to be synced.
#[derive(Debug)]
pub(crate) struct Noted {
    path: PathBuf,
    directory: PathBuf,
    is_named: Arc<AtomicBool>,
}

impl Noted {
    /// Has the disk hold the file's entries, and its name.
    ///
    /// # Errors
    /// The file or the directory cannot be synced.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // Windows syncs what may be written to.
        platform::open_itself(OpenOptions::new().append(true), &self.path)?.sync_data()?;
        if !self.is_named.load(Ordering::Acquire) {
            platform::sync_directory(&self.directory)?;
            self.is_named.store(true, Ordering::Release);
        }
        Ok(())
    }
}

impl CutLog {
    /// `segment_bytes` is a power of two.
    pub(super) fn new(directory: &Directory, segment_bytes: u64) -> Self {
        let (parent, path) = (directory.parent().clone(), directory.path().to_owned());
        Self { directory: path, parent, journal: directory.id(), segment_bytes, open: None }
    }

    /// Notes a batch. It outlives this process, and not yet the machine.
    ///
    /// # Errors
    /// The file cannot be made or written to.
    pub(crate) fn append(&mut self, cut: &Cut) -> io::Result<()> {
        let base = self.base(cut.first);
        let mut open = match self.open.take() {
            Some(open) if open.base == base => open,
            _ => Open { base, file: self.file(base)?, is_named: Arc::default() },
        };
        // Where the disk is full, a torn entry is behind the last whole one. The next note opens the file
        // anew, and takes its place.
        open.file.write_all(&cut.entries())?;
        self.open = Some(open);
        Ok(())
    }

    /// Returns the file in which a batch is noted that begins at this position.
    ///
    /// Another thread syncs it before the batch leaves by a way that may deliver it after this
    /// process has died. Batches that were cut meanwhile may be noted in other files.
    pub(crate) fn noted(&self, first: u64) -> Noted {
        let base = self.base(first);
        let open = self.open.as_ref().filter(|open| open.base == base);
        let is_named = open.map(|open| open.is_named.clone()).unwrap_or_default();
        Noted { path: path(&self.directory, base), directory: self.directory.clone(), is_named }
    }

    /// The base of the segment of a position.
    fn base(&self, position: u64) -> u64 {
        position & !(self.segment_bytes - 1)
    }

    /// The file of a segment, behind its last whole entry.
    fn file(&self, base: u64) -> io::Result<File> {
        let path = path(&self.directory, base);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        let mut file = platform::open_itself(platform::private(&mut options), &path)?;
        let (_, whole) = decode(&read_file(&file)?, self.journal);
        file.set_len(whole as u64)?;
        if whole == 0 {
            self.parent.share_file(&path)?;
            file.write_all(&header(self.journal))?;
        }
        Ok(file)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn cut(first: u64) -> Cut {
        Cut {
            first,
            end: first + 10,
            id: Uuid::from_u128(u128::from(first)),
            origin: "brokör@host:1".into(),
            root: (first != 20).then_some([3; 32]),
            previous: (first > 0).then(|| (first - 10, [4; 32])),
            open: (0..first / 10).collect(),
            interruptions: match first {
                20 => Some(Noticed::ByAdopter),
                30 => Some(Noticed::AtShutdown),
                _ => None,
            },
            keys: vec![7; first as usize],
        }
    }

    fn log(directory: &Path) -> CutLog {
        let (directory, parent) = (directory.to_owned(), Parent::own(directory));
        CutLog { directory, parent, journal: Uuid::nil(), segment_bytes: 32, open: None }
    }

    #[test]
    fn cuts_read_back_as_they_were_noted_over_several_segments_and_processes() {
        let directory = tempfile::tempdir().unwrap();
        for first in [0, 10, 20, 30] {
            let mut log = log(directory.path());
            log.append(&cut(first)).unwrap();
            log.noted(first).sync().unwrap();
        }
        assert_eq!(read(directory.path(), Uuid::nil()).unwrap(), [0, 10, 20, 30].map(cut));
        assert_eq!(read(directory.path(), Uuid::max()).unwrap(), [], "another journal's");
        assert!(path(directory.path(), 0).exists() && !path(directory.path(), 32).exists());
    }

    #[test]
    fn a_batch_is_synced_in_the_file_in_which_it_is_noted_whichever_was_cut_last() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = log(directory.path());
        [0, 10, 40].into_iter().for_each(|first| log.append(&cut(first)).unwrap());
        for first in [10, 40] {
            log.noted(first).sync().unwrap();
        }
        std::fs::remove_file(path(directory.path(), 0)).unwrap();
        log.noted(10).sync().unwrap_err();
        log.noted(40).sync().unwrap();
    }

    #[test]
    fn a_note_that_failed_leaves_no_torn_entry_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let (mut log, file) = (log(directory.path()), path(directory.path(), 0));
        log.append(&cut(0)).unwrap();
        // As a full disk leaves it.
        OpenOptions::new().append(true).open(&file).unwrap().write_all(b"torn").unwrap();
        log.open.as_mut().unwrap().file = File::open(&file).unwrap();
        log.append(&cut(10)).unwrap_err();
        log.append(&cut(10)).unwrap();
        assert_eq!(read(directory.path(), Uuid::nil()).unwrap(), [0, 10].map(cut));
    }

    #[test]
    fn an_entry_that_was_torn_is_none_and_the_next_is_written_in_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let mut before = log(directory.path());
        before.append(&cut(0)).unwrap();
        before.append(&cut(10)).unwrap();
        let file = path(directory.path(), 0);
        let whole = std::fs::read(&file).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&file, &whole[..length]).unwrap();
            let left = read(directory.path(), Uuid::nil()).unwrap();
            assert_ne!(left, [0, 10].map(cut));
            log(directory.path()).append(&cut(20)).unwrap();
            let after = read(directory.path(), Uuid::nil()).unwrap();
            assert_eq!((after.len(), after.last()), (left.len() + 1, Some(&cut(20))), "{length}");
        }
        for at in HEADER..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&file, flipped).unwrap();
            assert_ne!(read(directory.path(), Uuid::nil()).unwrap(), [0, 10].map(cut), "byte {at}");
        }
    }
}
