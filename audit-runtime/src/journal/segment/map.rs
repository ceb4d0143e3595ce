//! One segment: its bytes, mapped, and the four operations of the record protocol on them.

use super::memory::{self, Memory};
use crate::journal::format::{CLAIMED, HEADER, PAD, RECORD_HEADER, SegmentHeader};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A mapped segment. Its bytes are only ever touched through raw pointers and atomics, never through a
/// `&mut`, because other threads write to other parts of it at the same time.
#[derive(Debug)]
pub(crate) struct Segment {
    map: Memory,
    header: SegmentHeader,
    path: Option<PathBuf>,
}

impl Segment {
    /// Makes the file: allocated in full first, so that a full disk is an error here and never a SIGBUS later,
    /// and faulted in, so that callers do not pay for page faults.
    pub(crate) fn create(path: &Path, header: SegmentHeader) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        let made = Self::allocate(&file, header).map(|map| Self { map, header, path: Some(path.to_owned()) });
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    fn allocate(file: &File, header: SegmentHeader) -> io::Result<Memory> {
        rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, header.segment_bytes)?;
        let map = memory::of_file(file, to_usize(header.segment_bytes)?)?;
        write_header(&map, &header);
        map.flush_range(0, HEADER)?;
        Ok(map)
    }

    /// A segment without a file, for `.memory()`.
    pub(crate) fn anonymous(header: SegmentHeader) -> io::Result<Self> {
        let map = memory::anonymous(to_usize(header.segment_bytes)?)?;
        write_header(&map, &header);
        Ok(Self { map, header, path: None })
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.base
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes what was published in `[from, to)` of this segment to the disk. `from` and `to` are offsets.
    pub(crate) fn sync(&self, from: usize, to: usize) -> io::Result<()> {
        if self.path.is_none() || from >= to {
            return Ok(());
        }
        self.map.flush_range(from, to - from)
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len(), "offset {offset} is no record");
        // SAFETY: in bounds and aligned (asserted; a mapping begins at a page), valid as long as `self`, and
        // commit words are only ever accessed as atomics.
        unsafe { AtomicU32::from_ptr(self.map.as_mut_ptr().add(offset).cast()) }
    }

    /// Reads a commit word; what was written before its publication is visible afterwards.
    pub(crate) fn load(&self, offset: usize) -> u32 {
        self.word(offset).load(Ordering::Acquire)
    }

    /// Publishes that the rest of the block is unused.
    ///
    /// # Safety
    /// The caller owns the claim on it.
    pub(super) unsafe fn pad(&self, offset: usize) {
        self.word(offset).store(PAD, Ordering::Release);
    }

    /// Marks claimed, copies, publishes.
    ///
    /// # Safety
    /// The caller owns the claim on this record's bytes: no other thread writes there, and none reads before
    /// the commit word is published here.
    pub(super) unsafe fn write(&self, offset: usize, crc: u32, payload: &[u8]) {
        let word = self.word(offset);
        let length = payload.len() as u32;
        assert!(offset + RECORD_HEADER + payload.len() <= self.map.len(), "a claim lies inside its segment");
        word.store(length | CLAIMED, Ordering::Relaxed);
        // SAFETY: in bounds (asserted); exclusive by the caller's claim; source and target do not overlap, for
        // nobody outside this module holds a reference into unpublished bytes.
        unsafe {
            let at = self.map.as_mut_ptr().add(offset);
            at.add(4).cast::<[u8; 4]>().write(crc.to_le_bytes());
            at.add(RECORD_HEADER).copy_from_nonoverlapping(payload.as_ptr(), payload.len());
        }
        word.store(length, Ordering::Release);
        prefetch(self.map.as_mut_ptr().wrapping_add(offset + RECORD_HEADER + payload.len()));
    }

    /// The checksum and the payload of a published record, or `None` where there is none.
    pub(crate) fn record(&self, offset: usize) -> Option<(u32, &[u8])> {
        let word = self.load(offset);
        let length = word as usize;
        if word == 0 || word >= PAD || offset + RECORD_HEADER + length > self.map.len() {
            return None;
        }
        // SAFETY: the word was published (Acquire above, Release in `write`), the bytes lie in the mapping
        // (checked), and published bytes are never written again while the segment is mapped.
        unsafe {
            let at = self.map.as_mut_ptr().add(offset);
            let crc = u32::from_le_bytes(at.add(4).cast::<[u8; 4]>().read());
            Some((crc, std::slice::from_raw_parts(at.add(RECORD_HEADER), length)))
        }
    }
}

/// Has the processor fetch what the next record will be written to, as far as most records reach: those lines are in no cache of its
/// own yet, and whatever waits for its writes to be done would wait for them.
#[inline]
fn prefetch(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri), not(audit_loom)))]
    for line in 0..8 {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint; it reads and writes nothing, wherever it points.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.wrapping_add(64 * line).cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri), not(audit_loom))))]
    let _ = at;
}

fn write_header(map: &Memory, header: &SegmentHeader) {
    assert!(map.len() >= HEADER);
    // SAFETY: in bounds (asserted), and the mapping was just made: nobody else has it.
    unsafe { map.as_mut_ptr().copy_from_nonoverlapping(header.encode().as_ptr(), HEADER) }
}

fn to_usize(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
}
