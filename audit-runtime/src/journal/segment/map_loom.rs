//! A segment under the model checker: commit words and payloads as cells that it watches.

use crate::journal::format::{CLAIMED, PAD, SegmentHeader};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, Ordering};
use std::io;
use std::path::Path;

#[derive(Debug)]
pub(crate) struct Segment {
    words: Vec<AtomicU32>,
    records: Vec<UnsafeCell<(u32, Vec<u8>)>>,
    header: SegmentHeader,
}

// SAFETY: that the cells are not raced for is what the model checks.
unsafe impl Send for Segment {}
unsafe impl Sync for Segment {}

impl Segment {
    pub(crate) fn create(_: &Path, header: SegmentHeader) -> io::Result<Self> {
        Self::anonymous(header)
    }

    pub(crate) fn anonymous(header: SegmentHeader) -> io::Result<Self> {
        let places = header.segment_bytes / 8;
        Ok(Self {
            words: (0..places).map(|_| AtomicU32::new(0)).collect(),
            records: (0..places).map(|_| UnsafeCell::new((0, Vec::new()))).collect(),
            header,
        })
    }

    pub(crate) fn base(&self) -> u64 {
        self.header.base
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        None
    }

    pub(crate) fn sync(&self, _: usize, _: usize) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn load(&self, offset: usize) -> u32 {
        self.words[offset / 8].load(Ordering::Acquire)
    }

    /// # Safety
    /// As in the mapped segment.
    pub(super) unsafe fn pad(&self, offset: usize) {
        self.words[offset / 8].store(PAD, Ordering::Release);
    }

    /// # Safety
    /// As in the mapped segment.
    pub(super) unsafe fn write(&self, offset: usize, crc: u32, payload: &[u8]) {
        let length = payload.len() as u32;
        self.words[offset / 8].store(length | CLAIMED, Ordering::Relaxed);
        // SAFETY: the model complains if anybody else is there.
        self.records[offset / 8].with_mut(|record| unsafe { *record = (crc, payload.to_vec()) });
        self.words[offset / 8].store(length, Ordering::Release);
    }

    pub(crate) fn record(&self, offset: usize) -> Option<(u32, &[u8])> {
        let word = self.load(offset);
        if word == 0 || word >= PAD {
            return None;
        }
        // SAFETY: as above; a published record is not written again.
        self.records[offset / 8].with(|record| unsafe { Some(((*record).0, (*record).1.as_slice())) })
    }
}
