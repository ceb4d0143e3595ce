//! The bytes of a file of kept batches, and its name.

use crate::journal::format::{read_u32, read_u64};
use std::path::{Path, PathBuf};
use std::time::Duration;
use uuid::Uuid;

const MAGIC: [u8; 8] = *b"AUDITKPT";
const VERSION: u16 = 1;
/// Bytes before the first entry.
pub(super) const HEADER: usize = 24;
/// Bytes of an entry before those that its checksum covers.
pub(super) const FRAME: usize = 8;
/// Bytes of an entry before the batch.
const ENTRY: usize = FRAME + 32;
/// The most bytes of an entry. A batch has 4 MiB by default, and one event more.
pub(super) const MOST: usize = 80 << 20;

const DIRECTORY: &str = "kept";
const EXTENSION: &str = "kept";

/// Returns the directory of the kept batches beside these journals.
pub(super) fn directory(journals: &Path) -> PathBuf {
    journals.join(DIRECTORY)
}

/// Returns the path of a new file. The names of later files are greater.
pub(super) fn new_file(directory: &Path) -> PathBuf {
    directory.join(format!("{}.{EXTENSION}", Uuid::now_v7()))
}

/// Returns the files of kept batches in a directory, the oldest first.
pub(super) fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| Uuid::try_parse(name.to_str()?).ok());
        if name.is_some() && path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

pub(super) fn header(keep_for: Duration) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    // A part of a second counts as a whole one.
    let seconds = keep_for.as_secs() + u64::from(keep_for.subsec_nanos() > 0);
    header[16..].copy_from_slice(&seconds.to_le_bytes());
    header
}

/// Returns for how long the batches of a file are kept, or `None` if it is no such file.
pub(super) fn keep_for(header: &[u8]) -> Option<Duration> {
    let is_ours = header.get(..8)? == MAGIC && header.get(8..10)? == VERSION.to_le_bytes();
    is_ours.then(|| read_u64(header, 16)).flatten().map(Duration::from_secs)
}

/// The place of a batch in its journal, and when it was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) time: i64,
    pub(super) journal: Uuid,
    pub(super) first: u64,
}

/// Returns an entry, or `None` if the batch is too long for one.
pub(super) fn encode(place: Place, batch: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(ENTRY - FRAME + batch.len()).ok().filter(|length| *length as usize <= MOST)?;
    let mut entry = vec![0; FRAME];
    entry.reserve_exact(length as usize);
    entry.extend_from_slice(&place.time.to_le_bytes());
    entry.extend_from_slice(place.journal.as_bytes());
    entry.extend_from_slice(&place.first.to_le_bytes());
    entry.extend_from_slice(batch);
    let crc = crc32c::crc32c(&entry[FRAME..]);
    entry[..4].copy_from_slice(&length.to_le_bytes());
    entry[4..FRAME].copy_from_slice(&crc.to_le_bytes());
    Some(entry)
}

/// Returns the length and the checksum of an entry's bytes.
pub(super) fn frame(bytes: &[u8]) -> Option<(usize, u32)> {
    Some((read_u32(bytes, 0)? as usize, read_u32(bytes, 4)?))
}

/// Reads an entry's bytes behind its frame: the place, and the batch.
pub(super) fn decode(bytes: &[u8], crc: u32) -> Option<(Place, &[u8])> {
    let batch = bytes.get(ENTRY - FRAME..)?;
    if crc32c::crc32c(bytes) != crc {
        return None;
    }
    let journal = Uuid::from_slice(bytes.get(8..24)?).ok()?;
    Some((Place { time: read_u64(bytes, 0)?.cast_signed(), journal, first: read_u64(bytes, 24)? }, batch))
}
