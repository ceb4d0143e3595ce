//! The reading end of a ring.

use super::map::Segment;
use super::ring::{Damage, Live, Ring, State};
use super::writing::Writing;
use crate::journal::checksum::PayloadChecksum;
use crate::journal::format::{
    ALIGN, CLAIMED, FREE, HEADER, PAD, RECORD_HEADER, VOID, may_stand, read_u32, record_bytes,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Damage is passed over when it has lasted so long.
const DAMAGE_IS_CERTAIN: Duration = Duration::from_millis(500);

/// A published record, kept alive by its segment.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    segment: Arc<Segment>,
    offset: usize,
    length: u32,
}

impl Record {
    /// The payload, of the length that was checked.
    pub(crate) fn payload(&self) -> &[u8] {
        self.segment.record(self.offset, self.length).map_or(&[], |(_, payload)| payload)
    }
}

/// The record or damage that the reader found at its position.
#[derive(Debug)]
pub(crate) enum Next {
    Record {
        record: Record,
        end: u64,
    },
    /// The bytes differ from those that were published: another process wrote to the memory or the
    /// file.
    Damaged {
        path: Option<PathBuf>,
        offset: usize,
        end: u64,
    },
    Nothing,
}

impl Ring {
    /// Moves the reader over the next record, if one is published.
    pub(crate) fn read(&self) -> Next {
        let mut state = self.state();
        let (found, at) = self.look(&state.segments, state.read, |at, word| word == FREE && self.close_block(at));
        // Over what is unused, at least.
        state.read = at;
        match found {
            Next::Record { end, .. } => state.read = end,
            Next::Damaged { path, offset, end } => return self.pass_damage(&mut state, path, offset, end),
            Next::Nothing => {}
        }
        found
    }

    /// Moves the reader over damage, once that is certain.
    fn pass_damage(&self, state: &mut State, path: Option<PathBuf>, offset: usize, intact: u64) -> Next {
        let at = state.read;
        let seen = state.damage.filter(|damage| damage.at == at);
        let mut damage = seen.unwrap_or_else(|| Damage { at, limit: self.cursor(), since: Instant::now() });
        let end = intact.min(damage.limit);
        // Nobody would read a record claimed in the blocks that the reader passes, so it closes
        // them.
        if self.close_blocks_between(at, end) {
            damage.since = Instant::now();
        }
        // Threads that are copying may have claimed bytes in between. Once damage is certain, these
        // have long ended.
        if damage.since.elapsed() < DAMAGE_IS_CERTAIN {
            state.damage = Some(damage);
            return Next::Nothing;
        }
        state.read = end;
        state.damaged.extend(self.live_at(&state.segments, at).map(|live| live.segment.clone()));
        Next::Damaged { path, offset, end }
    }

    /// Returns the record published at or behind `position`, without moving the reader.
    ///
    /// It is for looking, not for shipping. An unpublished record hides at most the rest of its
    /// block.
    pub(crate) fn peek(&self, position: u64) -> Next {
        let state = self.state();
        let end = self.cursor();
        self.look(&state.segments, position, |at, _| self.next_block(at) < end).0
    }

    /// Returns the record published at or behind a position, and where it is.
    ///
    /// Where no record is published, `passes` returns whether to go on with the next block.
    fn look(&self, segments: &VecDeque<Live>, mut position: u64, passes: impl Fn(u64, u32) -> bool) -> (Next, u64) {
        loop {
            let Some(live) = self.live_at(segments, position) else {
                return (Next::Nothing, position);
            };
            let segment = &live.segment;
            if position >= live.end {
                let next = segment.base() + self.segment_bytes;
                // The last one may grow yet.
                if segments.back().is_some_and(|last| last.segment.base() < next) {
                    return (Next::Nothing, position);
                }
                position = next;
                continue;
            }
            let offset = (self.offset(position) as usize).max(HEADER);
            let start = segment.base() + offset as u64;
            let word = segment.load(offset);
            let is_unpublished = word == FREE || word & CLAIMED != 0;
            if word == PAD || (is_unpublished && passes(start, word)) {
                let claimed = if word & CLAIMED == 0 { 0 } else { record_bytes((word & !CLAIMED) as usize) as u64 - 1 };
                position = self.next_block(start + claimed);
                continue;
            }
            if is_unpublished {
                return (Next::Nothing, position);
            }
            if word & VOID != 0 && self.writing == Writing::Call {
                position = start + record_bytes((word & !VOID) as usize) as u64;
                continue;
            }
            let end = start + record_bytes(word as usize) as u64;
            let found = match segment.record(offset, word) {
                Some((crc, payload)) if crc == self.checksum.of(PayloadChecksum::of(payload), start, word) => {
                    Next::Record { record: Record { segment: segment.clone(), offset, length: word }, end }
                }
                _ => Next::Damaged {
                    path: segment.path().map(Into::into),
                    offset,
                    end: self.intact_behind(live, offset),
                },
            };
            return (found, position);
        }
    }

    fn live_at<'a>(&self, segments: &'a VecDeque<Live>, position: u64) -> Option<&'a Live> {
        segments.iter().find(|live| live.segment.base() == position - self.offset(position))
    }

    /// Where the block behind that of a position begins.
    fn next_block(&self, position: u64) -> u64 {
        (position | (self.block_bytes() - 1)) + 1
    }

    /// Where the next intact record behind damage begins: its length may be what is damaged.
    /// Without one, where claims end. The file is read and not the memory: threads may be writing
    /// there, to what they have claimed.
    fn intact_behind(&self, live: &Live, damaged: usize) -> u64 {
        let segment = &live.segment;
        let claimed = self.cursor().min(live.end);
        let begin = damaged + ALIGN;
        let bytes = segment.read_back(begin, (claimed - segment.base()) as usize);
        for at in (0..bytes.len()).step_by(ALIGN) {
            let (offset, position) = (begin + at, segment.base() + (begin + at) as u64);
            let Some(length) = read_u32(&bytes, at).filter(|word| *word != FREE && *word < VOID) else { continue };
            let payload = at + RECORD_HEADER..at + RECORD_HEADER + length as usize;
            if let Some(payload) = bytes.get(payload)
                && may_stand(offset, payload.len())
                && read_u32(&bytes, at + 4) == Some(self.checksum.of(PayloadChecksum::of(payload), position, length))
            {
                return position;
            }
        }
        claimed
    }

    /// The position from `position` on before which everything is published, or was and is retired.
    pub(crate) fn published_to(&self, position: u64) -> u64 {
        let segments: Vec<Live> = self.state().segments.iter().cloned().collect();
        let mut position = position.max(segments.first().map_or_else(|| self.frontier(), |live| live.segment.base()));
        for Live { segment, end } in &segments {
            while (segment.base()..*end).contains(&position) {
                let offset = (self.offset(position) as usize).max(HEADER);
                let word = segment.load(offset);
                if word == PAD {
                    position = self.next_block(position);
                } else if word == FREE || word & CLAIMED != 0 {
                    return position;
                } else {
                    position = segment.base() + (offset + record_bytes((word & !VOID) as usize)) as u64;
                }
            }
            if position >= *end && *end < self.frontier() {
                position = position.max(segment.base() + self.segment_bytes);
            }
        }
        position
    }
}
