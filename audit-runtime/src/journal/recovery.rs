//! Reading the journal of a dead process.

use super::checksum::RecordChecksum;
use super::cut_log::{self, Cut, CutLog};
use super::directory::Directory;
use super::format::{HEADER, HeaderError, SegmentHeader};
use super::parent_directory::open_file;
use super::scan::{OpenSegment, RecoveredRecord, read_up_to, segment_bytes};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// A journal whose process is dead, in the hands of this one.
#[derive(Debug)]
pub(crate) struct Orphan {
    directory: Directory,
    segments: VecDeque<(u64, PathBuf)>,
    end: u64,
    segment_bytes: u64,
    open: Option<OpenSegment>,
    /// A segment does not belong here. It stays, because its owner may want it back.
    has_foreign: bool,
}

impl Orphan {
    pub(crate) fn open(directory: Directory) -> io::Result<Self> {
        let mut orphan = Self {
            directory,
            segments: VecDeque::new(),
            end: 0,
            segment_bytes: 1 << 24,
            open: None,
            has_foreign: false,
        };
        let mut segments: Vec<(u64, PathBuf)> = Vec::new();
        for (named, path) in orphan.directory.segments()? {
            let base = orphan.base(named, &path)?;
            let length = std::fs::symlink_metadata(&path)?.len();
            // Behind the last position that a batch can have, no journal comes.
            if base.is_some_and(|base| base.checked_add(length).is_none_or(|end| end > i64::MAX as u64)) {
                orphan.report_foreign(&path, "its name or its header has a position that no journal comes to");
            } else if base.is_some_and(|base| segments.iter().any(|(other, _)| *other == base)) {
                orphan.report_foreign(&path, "its place is taken by another file");
            } else {
                segments.extend(base.map(|base| (base, path)));
            }
        }
        segments.sort_unstable();
        if let Some((base, path)) = segments.last() {
            orphan.end = base.saturating_add(std::fs::symlink_metadata(path)?.len());
        }
        orphan.segments = segments.into();
        Ok(orphan)
    }

    /// Where a segment belongs: its header knows better than its name. `None` if not here.
    fn base(&mut self, named: u64, path: &Path) -> io::Result<Option<u64>> {
        let mut header = [0; HEADER];
        let read = read_up_to(open_file(path)?, &mut header)?;
        match SegmentHeader::decode(&header[..read]) {
            Ok(header) if header.journal == self.directory.id() => {
                if header.base != named {
                    tracing::warn!(file = %path.display(), base = header.base, "this segment has the name of another");
                }
                if header.segment_bytes.is_power_of_two() {
                    self.segment_bytes = header.segment_bytes;
                }
                Ok(Some(header.base))
            }
            Ok(header) => {
                self.report_foreign(path, &format!("it belongs to journal {}", header.journal));
                Ok(None)
            }
            // Told when its turn comes.
            Err(_) => Ok(Some(named)),
        }
    }

    fn report_foreign(&mut self, path: &Path, why: &str) {
        tracing::error!(file = %path.display(), "{why}: this segment is left as it is, move it to where it belongs");
        self.has_foreign = true;
    }

    pub(crate) fn id(&self) -> Uuid {
        self.directory.id()
    }

    /// A logical position that no record lies before.
    pub(crate) fn start(&self) -> u64 {
        self.segments.front().map_or(self.end, |(base, _)| *base)
    }

    /// A logical position that no record lies behind.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// The batches that were cut from it, in order of position.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn cuts(&self) -> io::Result<Vec<Cut>> {
        cut_log::read(self.directory.path(), self.id())
    }

    /// Has the disk hold its records and cuts as they are read here.
    ///
    /// # Errors
    /// A file cannot be synced.
    pub(crate) fn sync(&self) -> io::Result<()> {
        for entry in std::fs::read_dir(self.directory.path())? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                open_file(&entry.path())?.sync_data()?;
            }
        }
        self.directory.sync()
    }

    /// Where the batches are noted that are cut from it now.
    pub(crate) fn cut_log(&self) -> CutLog {
        CutLog::new(&self.directory, self.segment_bytes)
    }

    /// The next intact record, in order of position, or `None` at the end.
    ///
    /// # Errors
    /// A segment cannot be read, or is of a newer major version: then nothing of this journal may
    /// be removed.
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
            let bytes = segment_bytes(path)?;
            match SegmentHeader::decode(&bytes) {
                Ok(_) | Err(HeaderError::Empty) => {}
                Err(error @ HeaderError::Damaged) => {
                    tracing::error!(file = %path.display(), offset = 0, "{error}; its intact records are shipped");
                }
                Err(error @ (HeaderError::NewerMajor(_) | HeaderError::NewerPayload(_))) => {
                    return Err(io::Error::new(io::ErrorKind::Unsupported, format!("{}: {error}", path.display())));
                }
            }
            self.open = Some(OpenSegment {
                bytes: bytes.into(),
                checksum: RecordChecksum::new(self.directory.id()),
                base: *base,
                path: path.clone(),
                offset: HEADER,
            });
            self.segments.pop_front();
        }
    }

    /// Removes the journal after all of it was shipped, unless something else lies in its
    /// directory.
    pub(crate) fn remove(&self) -> io::Result<()> {
        if self.has_foreign {
            return Err(io::Error::other("a segment in it belongs elsewhere"));
        }
        self.directory.remove()
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::{CLAIMED, FREE, RECORD_HEADER, record_bytes};
    use super::super::{Journal, Limits};
    use super::*;

    const SEGMENT: u64 = 4096;

    fn payload(number: u32) -> Vec<u8> {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(4 + number as usize % 300, number as u8);
        payload
    }

    /// A journal of a process that is gone: `records` records over several segments.
    fn left(parent: &Path, records: u32) {
        let limits = Limits::new(SEGMENT, 64 * SEGMENT);
        let journal = Journal::create(Some(parent), limits).unwrap();
        for number in 0..records {
            journal.append(&payload(number)).unwrap();
        }
    }

    fn adopted(parent: &Path) -> Orphan {
        let directory = crate::sys::unlocked(|| Directory::adopt_orphans(parent).unwrap().pop());
        Orphan::open(directory).unwrap()
    }

    fn recovered(orphan: &mut Orphan) -> Vec<u32> {
        let mut numbers = Vec::new();
        while let Some(record) = orphan.next().unwrap() {
            let number = u32::from_le_bytes(record.payload()[..4].try_into().unwrap());
            assert_eq!(record.payload(), payload(number), "a record is whole or not there");
            assert!(record.end > record.start);
            numbers.push(number);
        }
        numbers
    }

    fn first_segment(parent: &Path) -> PathBuf {
        adopted(parent).segments.pop_front().unwrap().1
    }

    #[test]
    fn every_record_of_every_segment_comes_back_in_order() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 500);
        let mut orphan = adopted(parent.path());
        assert_eq!(recovered(&mut orphan), (0..500).collect::<Vec<_>>());
        orphan.remove().unwrap();
        drop(orphan);
        assert!(Directory::adopt_orphans(parent.path()).unwrap().is_empty());
    }

    #[test]
    fn a_claim_that_was_never_published_hides_no_later_record() {
        // As left by a thread that died before it marked its claim, after it did, and half-way
        // through its copy.
        for (word, copied) in [(FREE, 0), (5 | CLAIMED, 0), (5 | CLAIMED, 3)] {
            let parent = tempfile::tempdir().unwrap();
            left(parent.path(), 50);
            let file = first_segment(parent.path());
            let mut bytes = std::fs::read(&file).unwrap();
            // The first record has 4 bytes of payload, the second 5.
            let second = HEADER + record_bytes(4);
            bytes[second..second + 4].copy_from_slice(&word.to_le_bytes());
            bytes[second + RECORD_HEADER + copied..second + record_bytes(5)].fill(0);
            std::fs::write(&file, bytes).unwrap();
            let expected: Vec<u32> = (0..50).filter(|number| *number != 1).collect();
            assert_eq!(recovered(&mut adopted(parent.path())), expected);
        }
    }

    #[test]
    fn no_flipped_byte_makes_a_wrong_record_or_hides_more_than_one() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 12);
        let file = first_segment(parent.path());
        let bytes = std::fs::read(&file).unwrap();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x40;
            std::fs::write(&file, damaged).unwrap();
            let found = recovered(&mut adopted(parent.path()));
            assert!(found.len() >= 11, "byte {at}: {found:?}");
        }
    }

    #[test]
    fn no_truncation_makes_a_wrong_record() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 12);
        let file = first_segment(parent.path());
        let bytes = std::fs::read(&file).unwrap();
        let mut before = 0;
        for length in 0..=bytes.len() {
            std::fs::write(&file, &bytes[..length]).unwrap();
            let found = recovered(&mut adopted(parent.path()));
            assert_eq!(found, (0..found.len() as u32).collect::<Vec<_>>());
            assert!(found.len() >= before);
            before = found.len();
        }
        assert_eq!(before, 12);
    }

    #[test]
    fn a_segment_of_another_journal_is_neither_shipped_nor_removed() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        left(one.path(), 3);
        left(two.path(), 3);
        let file = first_segment(one.path());
        std::fs::copy(first_segment(two.path()), &file).unwrap();
        let mut orphan = adopted(one.path());
        assert!(recovered(&mut orphan).is_empty());
        orphan.remove().unwrap_err();
        assert!(file.exists());
    }

    #[test]
    fn segments_that_have_each_others_names_are_shipped_in_their_order() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 300);
        let files: Vec<PathBuf> = adopted(parent.path()).segments.into_iter().map(|(_, path)| path).collect();
        let aside = files[0].with_extension("aside");
        for (from, to) in [(&files[0], &aside), (&files[2], &files[0]), (&aside, &files[2])] {
            std::fs::rename(from, to).unwrap();
        }
        // A copy of one under a further name is shipped once, and left.
        let copy = files[1].with_file_name("00000000000009999999.journal");
        std::fs::copy(&files[1], &copy).unwrap();
        let mut orphan = adopted(parent.path());
        assert_eq!(recovered(&mut orphan), (0..300).collect::<Vec<_>>());
        orphan.remove().unwrap_err();
        assert!(copy.exists());
    }

    #[test]
    fn a_segment_of_a_newer_version_is_refused_with_words_and_nothing_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 50);
        let file = first_segment(parent.path());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[8] = 3;
        let crc = crc32c::crc32c(&bytes[..HEADER - 4]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&crc.to_le_bytes());
        std::fs::write(&file, bytes).unwrap();
        let error = adopted(parent.path()).next().unwrap_err().to_string();
        assert!(error.contains("journal format 3") && error.contains("newer") && error.contains(".journal"), "{error}");
        assert!(file.exists());
    }

    #[test]
    fn a_segment_of_another_journal_whose_header_is_damaged_gives_nothing() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        left(one.path(), 3);
        left(two.path(), 3);
        let file = first_segment(one.path());
        let mut bytes = std::fs::read(first_segment(two.path())).unwrap();
        bytes[0] = 0;
        std::fs::write(&file, bytes).unwrap();
        assert!(recovered(&mut adopted(one.path())).is_empty());
    }

    #[test]
    fn an_image_of_a_record_in_another_place_is_none() {
        let parent = tempfile::tempdir().unwrap();
        left(parent.path(), 3);
        let file = first_segment(parent.path());
        let mut bytes = std::fs::read(&file).unwrap();
        bytes.copy_within(HEADER..HEADER + record_bytes(4), 2048);
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(recovered(&mut adopted(parent.path())), [0, 1, 2]);
    }
}
