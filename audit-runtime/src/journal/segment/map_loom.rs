//! A segment under the model checker: commit words and payloads as cells that it watches.

use super::writing::Writing;
use crate::journal::format::{CLAIMED, PAD, SegmentHeader, VOID};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering as Plain};

/// The memory that claimants write to.
#[derive(Debug)]
pub(super) struct Base {
    words: Vec<AtomicU32>,
    records: Vec<UnsafeCell<(u32, Vec<u8>)>>,
    /// No claim goes beyond.
    allocated: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Segment {
    base: Box<Base>,
    header: SegmentHeader,
}

// SAFETY: that the cells are not raced for is what the model checks.
unsafe impl Send for Segment {}
// SAFETY: as above.
unsafe impl Sync for Segment {}

impl Base {
    fn word(&self, offset: usize) -> &AtomicU32 {
        assert!((offset as u64) < self.allocated.load(Plain::SeqCst), "a claim lies in what exists of its segment");
        &self.words[offset / 8]
    }
}

impl Segment {
    pub(crate) fn create(_: &Path, header: SegmentHeader, allocated: u64, _: Writing) -> io::Result<Self> {
        Self::anonymous(header, allocated)
    }

    pub(crate) fn anonymous(header: SegmentHeader, allocated: u64) -> io::Result<Self> {
        let places = header.segment_bytes / 8;
        let base = Base {
            words: (0..places).map(|_| AtomicU32::new(0)).collect(),
            records: (0..places).map(|_| UnsafeCell::new((0, Vec::new()))).collect(),
            allocated: AtomicU64::new(allocated),
        };
        Ok(Self { base: Box::new(base), header })
    }

    pub(crate) fn grow(&self, to: u64) -> io::Result<()> {
        self.base.allocated.store(to, Plain::SeqCst);
        Ok(())
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.base
    }

    pub(crate) fn allocated(&self) -> u64 {
        self.base.allocated.load(Plain::SeqCst)
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        None
    }

    pub(super) fn pointer(&self) -> *mut Base {
        (&raw const *self.base).cast_mut()
    }

    pub(crate) fn sync(&self, _: usize, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn write_out(&self, _: usize, _: u32, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn read_back(&self, _: usize, _: usize) -> Vec<u8> {
        Vec::new()
    }

    pub(crate) fn load(&self, offset: usize) -> u32 {
        self.base.word(offset).load(Ordering::Acquire)
    }

    pub(crate) fn record(&self, offset: usize, length: u32) -> Option<(u32, &[u8])> {
        // SAFETY: the model complains if anybody writes to it. A published record is not written
        // again.
        let (crc, payload) = self.base.records[offset / 8].with(|record| unsafe { &*record });
        (payload.len() == length as usize).then_some((*crc, payload.as_slice()))
    }
}

/// # Safety
/// As in the mapped segment.
pub(super) unsafe fn publish(base: *mut Base, offset: usize, crc: u32, payload: &[u8]) {
    let length = payload.len() as u32;
    // SAFETY: the caller's claim pins the segment until its word is published, which is the last
    // access here.
    let base = unsafe { &*base };
    base.word(offset).store(length | CLAIMED, Ordering::Relaxed);
    // SAFETY: the model complains if anybody else is there.
    base.records[offset / 8].with_mut(|record| unsafe { *record = (crc, payload.to_vec()) });
    base.word(offset).store(length, Ordering::Release);
}

/// # Safety
/// As in the mapped segment.
pub(super) unsafe fn pad(base: *mut Base, offset: usize) {
    // SAFETY: as above.
    let base = unsafe { &*base };
    base.word(offset).store(PAD, Ordering::Release);
}

/// # Safety
/// As in the mapped segment.
pub(super) unsafe fn void(base: *mut Base, offset: usize, length: u32) {
    // SAFETY: as above.
    let base = unsafe { &*base };
    base.word(offset).store(length | VOID, Ordering::Release);
}
