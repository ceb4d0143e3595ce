//! Reading the journal of a dead process.
//!
//! The files are read, not mapped: a file that somebody truncates meanwhile must not be a SIGBUS. Where the
//! bytes are no record (a hole left by a thread that died between claim and publish, or damage), the scan goes
//! on at the next multiple of 8 until a record's checksum, which covers its position, holds again.

use super::directory::Directory;
use super::format::{
    ALIGN, CLAIMED, FREE, HEADER, HeaderError, PAD, RECORD_HEADER, SegmentHeader, payload_checksum, place_checksum,
    read_u32, record_bytes,
};
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use uuid::Uuid;

/// A journal whose process is dead, in the hands of this one.
#[derive(Debug)]
pub(crate) struct Orphan {
    directory: Directory,
    segments: VecDeque<(u64, PathBuf)>,
    open: Option<OpenSegment>,
}

#[derive(Debug)]
struct OpenSegment {
    bytes: Arc<[u8]>,
    base: u64,
    path: PathBuf,
    offset: usize,
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

impl Orphan {
    pub(crate) fn open(directory: Directory) -> io::Result<Self> {
        let segments = directory.segments()?.into();
        Ok(Self { directory, segments, open: None })
    }

    pub(crate) fn id(&self) -> Uuid {
        self.directory.id()
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The next intact record, in order of position; `None` at the end.
    ///
    /// # Errors
    /// A segment cannot be read, or is of a newer major version: then nothing of this journal may be removed.
    pub(crate) fn next(&mut self) -> io::Result<Option<RecoveredRecord>> {
        loop {
            if let Some(open) = &mut self.open {
                if let Some(record) = open.next() {
                    return Ok(Some(record));
                }
                self.open = None;
            }
            let Some((base, path)) = self.segments.front() else {
                return Ok(None);
            };
            let bytes = std::fs::read(path)?;
            match SegmentHeader::decode(&bytes) {
                Ok(header) if header.journal == self.directory.id() && header.base == *base => {}
                Ok(header) => {
                    tracing::error!(
                        file = %path.display(), journal = %header.journal, base = header.base,
                        "this segment belongs to another journal or position; its records are not shipped from here"
                    );
                }
                Err(HeaderError::Empty) => {}
                Err(error @ HeaderError::Damaged) => {
                    tracing::error!(file = %path.display(), offset = 0, "{error}; its intact records are shipped");
                }
                Err(error @ HeaderError::NewerMajor(_)) => {
                    return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{}: {error}", path.display())));
                }
            }
            self.open = Some(OpenSegment { bytes: bytes.into(), base: *base, path: path.clone(), offset: HEADER });
            self.segments.pop_front();
        }
    }

    /// Removes the journal after all of it was shipped.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.directory.remove()
    }
}

impl OpenSegment {
    fn next(&mut self) -> Option<RecoveredRecord> {
        let mut damage: Option<usize> = None;
        while self.offset + RECORD_HEADER <= self.bytes.len() {
            let word = read_u32(&self.bytes, self.offset)?;
            if word == PAD {
                break;
            }
            if word != FREE
                && word & CLAIMED == 0
                && let Some(record) = self.record(word)
            {
                self.report(damage);
                self.offset += record_bytes(record.length);
                return Some(record);
            }
            if word != FREE && damage.is_none() {
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
        let start = self.base + self.offset as u64;
        let expected = place_checksum(payload_checksum(payload), start, word);
        (read_u32(&self.bytes, self.offset + 4)? == expected).then(|| RecoveredRecord {
            segment: self.bytes.clone(),
            offset: self.offset,
            length,
            start,
            end: start + record_bytes(length) as u64,
        })
    }

    fn report(&self, damage: Option<usize>) {
        if let Some(offset) = damage {
            tracing::warn!(
                file = %self.path.display(), offset, until = self.offset,
                "bytes that are no record: a call that had not returned when its process died, or damage"
            );
        }
    }
}
