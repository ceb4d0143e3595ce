//! One segment: its bytes, and the operations of the record protocol on them.

use super::memory::{self, Memory};
use super::sync::Ordering;
use super::writing::Writing;
use crate::journal::format::{CLAIMED, HEADER, PAD, RECORD_HEADER, SegmentHeader, VOID};
use crate::sys::platform;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64};

/// The bytes that claimants write to, by their first one. A claimant never has a reference to the
/// segment. Once it has published its record, the segment may be unmapped, and a reference would
/// have to stay valid for longer.
pub(super) type Base = u8;

/// A segment in memory. Its bytes are only ever accessed through raw pointers and atomics, never
/// through a `&mut`, because other threads write to other parts at the same time.
#[derive(Debug)]
pub(crate) struct Segment {
    map: Memory,
    header: SegmentHeader,
    file: Option<SegmentFile>,
    /// Bytes of the file that exist: no claim goes beyond.
    allocated: AtomicU64,
}

#[derive(Debug)]
struct SegmentFile {
    path: PathBuf,
    file: File,
    writing: Writing,
}

impl Segment {
    /// Makes the file with its first bytes allocated, so that a full disk is an error here and
    /// never a signal later. It also faults them in, so that callers do not pay for page faults.
    ///
    /// A file at this path holds no record: an earlier attempt made it and failed, and could not
    /// remove it, because the directory was away for a moment.
    pub(crate) fn create(path: &Path, header: SegmentHeader, allocated: u64, writing: Writing) -> io::Result<Self> {
        let open = || platform::private(OpenOptions::new().read(true).write(true).create_new(true)).open(path);
        let file = open().or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => std::fs::remove_file(path).and_then(|()| open()),
            _ => Err(error),
        })?;
        let made = Self::begin(path, file, header, allocated, writing);
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    fn begin(path: &Path, file: File, header: SegmentHeader, allocated: u64, writing: Writing) -> io::Result<Self> {
        let bytes = to_usize(header.segment_bytes)?;
        let map = match writing {
            Writing::Map => memory::of_file(&file, bytes)?,
            Writing::Call => memory::anonymous(bytes)?,
        };
        let file = SegmentFile { path: path.to_owned(), file, writing };
        let segment = Self { map, header, file: Some(file), allocated: AtomicU64::new(0) };
        segment.grow(allocated)?;
        write_header(&segment.map, &header);
        if let Some(SegmentFile { file, writing: Writing::Call, .. }) = &segment.file {
            platform::write_all_at(file, &header.encode(), 0)?;
        }
        segment.sync(0, HEADER)?;
        Ok(segment)
    }

    /// A segment without a file, for `.memory()`.
    pub(crate) fn anonymous(header: SegmentHeader, allocated: u64) -> io::Result<Self> {
        let map = memory::anonymous(to_usize(header.segment_bytes)?)?;
        write_header(&map, &header);
        Ok(Self { map, header, file: None, allocated: AtomicU64::new(allocated) })
    }

    /// Allocates up to this many bytes of the segment, which the callers may claim then.
    ///
    /// # Errors
    /// The file system has no room for them, or promises none.
    pub(crate) fn grow(&self, to: u64) -> io::Result<()> {
        let from = self.allocated();
        if let Some(SegmentFile { file, writing, .. }) = &self.file {
            if !platform::reserve(file, from, to)? {
                match writing {
                    Writing::Map => return Err(io::ErrorKind::Unsupported.into()),
                    Writing::Call => file.set_len(to)?,
                }
            }
            if *writing == Writing::Map {
                memory::populate(&self.map, to_usize(from)?, to_usize(to - from)?);
            }
        }
        self.allocated.store(to, Ordering::Release);
        Ok(())
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.base
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.allocated.load(Ordering::Acquire)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }

    /// The address of the first byte, for claimants.
    pub(super) fn pointer(&self) -> *mut Base {
        self.map.as_mut_ptr()
    }

    /// Writes what was published in `[from, to)` of this segment to the disk. `from` and `to` are
    /// offsets.
    pub(crate) fn sync(&self, from: usize, to: usize) -> io::Result<()> {
        let to = to.min(to_usize(self.allocated())?);
        match &self.file {
            Some(_) if from >= to => Ok(()),
            Some(SegmentFile { writing: Writing::Map, file, .. }) => {
                self.map.flush_range(from, to - from)?;
                platform::settle(file)
            }
            Some(SegmentFile { writing: Writing::Call, file, .. }) => file.sync_data(),
            None => Ok(()),
        }
    }

    /// Writes a record to the file by a system call, as recovery is going to read it.
    ///
    /// # Errors
    /// The file system did not take it.
    pub(super) fn write_out(&self, offset: usize, crc: u32, payload: &[u8]) -> io::Result<()> {
        let Some(SegmentFile { file, .. }) = &self.file else { return Ok(()) };
        let mut record = Vec::with_capacity(RECORD_HEADER + payload.len());
        record.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        record.extend_from_slice(&crc.to_le_bytes());
        record.extend_from_slice(payload);
        platform::write_all_at(file, &record, offset as u64)
    }

    /// Reads bytes of the file, not of the memory that others may be writing to. Returns none if it
    /// has no file, or if the file is unreadable.
    pub(super) fn read_back(&self, offset: usize, to: usize) -> Vec<u8> {
        let mut bytes = vec![0; to.saturating_sub(offset)];
        match &self.file {
            Some(SegmentFile { file, .. }) if platform::read_exact_at(file, &mut bytes, offset as u64).is_ok() => bytes,
            _ => Vec::new(),
        }
    }

    /// Reads a commit word. Everything written before its publication is visible afterwards.
    pub(crate) fn load(&self, offset: usize) -> u32 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len(), "offset {offset} is no record");
        // SAFETY: in bounds and aligned (asserted, and a mapping begins at a page), valid as long
        // as `self`. Commit words are only ever accessed as atomics.
        let word = unsafe { AtomicU32::from_ptr(self.pointer().wrapping_add(offset).cast()) };
        word.load(Ordering::Acquire)
    }

    /// The checksum and the payload of a record whose word gives it this length.
    /// [`load`](Self::load) read that word. Returns `None` where no record of that length can be.
    pub(crate) fn record(&self, offset: usize, length: u32) -> Option<(u32, &[u8])> {
        let (at, length) = (self.pointer().wrapping_add(offset), length as usize);
        if length == 0 || offset + RECORD_HEADER + length > self.map.len() {
            return None;
        }
        // SAFETY: the word was published (Acquire in `load`, Release in `publish`), the bytes lie
        // in the mapping (checked).
        let crc = unsafe { at.wrapping_add(4).cast::<[u8; 4]>().read() };
        // SAFETY: the word was published and the bytes lie in the mapping, as above. No thread
        // writes to published bytes while the segment is mapped, by this module's protocol. It
        // assumes that no other process writes to the file.
        let payload = unsafe { std::slice::from_raw_parts(at.wrapping_add(RECORD_HEADER), length) };
        Some((u32::from_le_bytes(crc), payload))
    }
}

/// Marks a record claimed, copies it, publishes it.
///
/// # Safety
/// `base` is a live segment's, `offset` that of a claim of the caller's own which has room for the
/// record and is not yet published. The segment may be unmapped as soon as this has returned.
pub(super) unsafe fn publish(base: *mut Base, offset: usize, crc: u32, payload: &[u8]) {
    let length = payload.len() as u32;
    let at = base.wrapping_add(offset);
    // Computed before the record is published: a hint, which touches no memory.
    let behind = at.wrapping_add(RECORD_HEADER + payload.len());
    // SAFETY: aligned and in bounds by the caller's claim. Commit words are only ever accessed as
    // atomics.
    let word = unsafe { AtomicU32::from_ptr(at.cast()) };
    word.store(length | CLAIMED, Ordering::Relaxed);
    // SAFETY: in bounds and exclusive by the caller's claim: nobody reads it before the word is
    // published.
    unsafe { at.wrapping_add(4).cast::<[u8; 4]>().write(crc.to_le_bytes()) };
    // SAFETY: in bounds and exclusive, as above. Source and target do not overlap: outside of this
    // module, no reference into unpublished bytes exists.
    unsafe { at.wrapping_add(RECORD_HEADER).copy_from_nonoverlapping(payload.as_ptr(), payload.len()) };
    word.store(length, Ordering::Release);
    prefetch(behind);
}

/// Publishes that the rest of a block is unused.
///
/// # Safety
/// As of [`publish`].
pub(super) unsafe fn pad(base: *mut Base, offset: usize) {
    // SAFETY: aligned and in bounds by the caller's claim. Commit words are only ever accessed as
    // atomics.
    let word = unsafe { AtomicU32::from_ptr(base.wrapping_add(offset).cast()) };
    word.store(PAD, Ordering::Release);
}

/// Publishes that a claimed record is void, because its file did not accept it.
///
/// # Safety
/// As of [`publish`].
pub(super) unsafe fn void(base: *mut Base, offset: usize, length: u32) {
    // SAFETY: aligned and in bounds by the caller's claim. Commit words are only ever accessed as
    // atomics.
    let word = unsafe { AtomicU32::from_ptr(base.wrapping_add(offset).cast()) };
    word.store(length | VOID, Ordering::Release);
}

/// Makes the processor fetch the memory for the next record, as far as most records reach. Those
/// lines are not yet in its own caches, and any wait for its writes would include them.
#[inline]
fn prefetch(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(miri), not(audit_loom)))]
    for line in 0..8 {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a hint, which reads and writes nothing, for any address.
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
