//! Sizes of a journal, and what happens where they are reached.

use super::segment::Writing;
use std::time::Duration;

/// The least by which a file grows, in bytes.
const GRAIN: u64 = 64 << 10;
/// So many segments at most are ahead of the callers.
const MOST_SEGMENTS_AHEAD: u64 = 4;
/// As long as so many segments wait to be shipped, none is ended early: that would not get rid of
/// what is in it.
pub(super) const WAITING: usize = 4;

/// The behaviour of a call whose event the full journal refuses.
///
/// The journal is full if its limit is reached, or the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// The call proceeds, the event is refused and counted in [`Stats::refused`](crate::Stats).
    #[default]
    Refuse,
    /// The calling thread waits for room at most this long, then the event is refused. It blocks
    /// the thread: meant for programs that would rather stand still than act unaudited.
    Wait(Duration),
}

/// Sizes and policy of a journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of one segment: a power of two.
    pub(crate) segment_bytes: u64,
    /// Bytes of all segments together.
    pub(crate) limit_bytes: u64,
    /// The most bytes of one record. A segment may hold less.
    pub(crate) record_bytes: usize,
    pub(crate) overflow: Overflow,
    pub(crate) writing: Writing,
}

impl Limits {
    /// Limits with everything else as it is by default.
    pub(crate) const fn new(segment_bytes: u64, limit_bytes: u64) -> Self {
        Self {
            segment_bytes,
            limit_bytes,
            record_bytes: usize::MAX,
            overflow: Overflow::Refuse,
            writing: Writing::DEFAULT,
        }
    }
}

impl Limits {
    /// The least by which a file grows, in bytes.
    pub(super) fn grain(&self) -> u64 {
        GRAIN.min(self.segment_bytes)
    }

    /// How many segments may be live: some of them are ended before they are full.
    pub(super) fn most_segments(&self) -> usize {
        (2 * (self.limit_bytes / self.segment_bytes)) as usize + WAITING
    }

    /// The most that is made ahead of the callers, in bytes.
    pub(super) fn most_ahead(&self) -> u64 {
        (MOST_SEGMENTS_AHEAD * self.segment_bytes).min(self.limit_bytes / 4).max(self.grain())
    }
}
