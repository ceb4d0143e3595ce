//! The intact records of a segment's bytes.
//!
//! The files are read, not mapped: a file that somebody truncates meanwhile must not be a SIGBUS.
//! Bytes may be damaged, or a hole left by a thread that died between claim and publish. The scan
//! then continues at the next multiple of 8 until a record's checksum, which covers its position,
//! holds again.

use super::checksum::{PayloadChecksum, RecordChecksum};
use super::format::{
    ALIGN, CLAIMED, FREE, HEADER, PAD, RECORD_HEADER, SegmentHeader, may_stand, read_u32, record_bytes,
};
use super::parent_directory::open_file;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

/// A segment that is read.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) bytes: Arc<[u8]>,
    pub(super) checksum: RecordChecksum,
    pub(super) base: u64,
    pub(super) path: PathBuf,
    pub(super) offset: usize,
}

/// A record of a dead process's journal.
#[derive(Debug, Clone)]
pub(crate) struct RecoveredRecord {
    segment: Arc<[u8]>,
    offset: usize,
    length: usize,
    /// Logical position of the record.
    pub(crate) start: u64,
    /// Logical position behind it.
    pub(crate) end: u64,
}

impl RecoveredRecord {
    pub(crate) fn payload(&self) -> &[u8] {
        &self.segment[self.offset + RECORD_HEADER..self.offset + RECORD_HEADER + self.length]
    }
}

#[cfg(any(fuzzing, test))]
impl RecoveredRecord {
    /// Whether its checksum holds, reckoned anew.
    pub(crate) fn is_intact(&self, checksum: RecordChecksum) -> bool {
        let expected = checksum.of(PayloadChecksum::of(self.payload()), self.start, self.length as u32);
        read_u32(&self.segment, self.offset + 4) == Some(expected)
    }
}

/// The intact records of a segment's bytes.
pub(crate) fn scan(bytes: &[u8], journal: Uuid, base: u64) -> impl Iterator<Item = RecoveredRecord> {
    let checksum = RecordChecksum::new(journal);
    let mut open = OpenSegment { bytes: bytes.into(), checksum, base, path: PathBuf::new(), offset: HEADER };
    let _ = SegmentHeader::decode(bytes);
    std::iter::from_fn(move || open.next())
}

/// A segment whose header lacks the length may have this many bytes.
const MAX_SEGMENT: u64 = 1 << 30;

/// Reads a segment, up to the length in its header, because a file may be longer than memory.
pub(super) fn segment_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = open_file(path)?;
    let mut bytes = vec![0; HEADER];
    let read = read_up_to(&mut file, &mut bytes)?;
    bytes.truncate(read);
    let most = match SegmentHeader::decode(&bytes) {
        Ok(header) => header.segment_bytes,
        Err(_) if file.metadata()?.len() > MAX_SEGMENT => {
            let why =
                format!("{} is longer than a segment, and its header does not say how long it is", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Err(_) => MAX_SEGMENT,
    };
    file.take(most.saturating_sub(read as u64)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn read_up_to(mut file: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

impl OpenSegment {
    pub(super) fn next(&mut self) -> Option<RecoveredRecord> {
        let mut damage: Option<usize> = None;
        while self.offset + RECORD_HEADER <= self.bytes.len() {
            let word = read_u32(&self.bytes, self.offset)?;
            // Behind a pad there are zeros, unless the pad itself is damage.
            let is_free = word == FREE || word == PAD;
            if !is_free
                && word & CLAIMED == 0
                && let Some(record) = self.record(word)
            {
                self.report(damage);
                self.offset += record_bytes(record.length);
                return Some(record);
            }
            if !is_free && damage.is_none() {
                damage = Some(self.offset);
            }
            self.offset += ALIGN;
        }
        self.report(damage);
        self.offset = self.bytes.len();
        None
    }

    /// The record at the present offset, if its checksum holds there.
    fn record(&self, word: u32) -> Option<RecoveredRecord> {
        let length = word as usize;
        let begin = self.offset + RECORD_HEADER;
        let payload = self.bytes.get(begin..begin.checked_add(length)?)?;
        if !may_stand(self.offset, length) {
            return None;
        }
        let start = self.base.checked_add(self.offset as u64)?;
        let end = start.checked_add(record_bytes(length) as u64)?;
        let expected = self.checksum.of(PayloadChecksum::of(payload), start, word);
        (read_u32(&self.bytes, self.offset + 4)? == expected).then(|| RecoveredRecord {
            segment: self.bytes.clone(),
            offset: self.offset,
            length,
            start,
            end,
        })
    }

    fn report(&self, damage: Option<usize>) {
        if let Some(offset) = damage {
            tracing::warn!(
                file = %self.path.display(), offset, until = self.offset,
                "bytes without a record: a call that had not returned when its process died, or damage"
            );
        }
    }
}
