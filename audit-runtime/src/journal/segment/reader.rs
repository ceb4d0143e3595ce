//! The reading end of a ring.

use super::map::Segment;
use super::ring::{Damage, Ring, State};
use crate::journal::checksum::PayloadChecksum;
use crate::journal::format::{ALIGN, CLAIMED, FREE, HEADER, PAD, may_stand, record_bytes};
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
}

impl Record {
    /// The payload; empty only if the record was damaged after it had been checked.
    pub(crate) fn payload(&self) -> &[u8] {
        self.segment.record(self.offset).map_or(&[], |(_, payload)| payload)
    }
}

/// What the reader found at its position.
#[derive(Debug)]
pub(crate) enum Next {
    Record {
        record: Record,
        end: u64,
    },
    /// The bytes are not what was published: memory or file were written by somebody else.
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
        // What is left of blocks that the reader passes is claimed no more: nobody would read it.
        if self.close_blocks_between(at, end) {
            damage.since = Instant::now();
        }
        // What lies between may be claimed by threads that are copying: by then they have long ended.
        if damage.since.elapsed() < DAMAGE_IS_CERTAIN {
            state.damage = Some(damage);
            return Next::Nothing;
        }
        state.read = end;
        state.damaged.extend(self.segment_of(&state.segments, at).cloned());
        Next::Damaged { path, offset, end }
    }

    /// What is published at or behind `position`, without moving the reader: for looking, not for shipping. What is not published yet
    /// hides no more than the rest of its block.
    pub(crate) fn peek(&self, position: u64) -> Next {
        let state = self.state();
        let end = self.cursor();
        self.look(&state.segments, position, |at, _| self.next_block(at) < end).0
    }

    /// What is published at or behind a position, and where that is. At a place where nothing is, `passes` says whether to go on with the
    /// next block.
    fn look(
        &self,
        segments: &VecDeque<Arc<Segment>>,
        mut position: u64,
        passes: impl Fn(u64, u32) -> bool,
    ) -> (Next, u64) {
        loop {
            let Some(segment) = self.segment_of(segments, position) else {
                return (Next::Nothing, position);
            };
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
            let end = start + record_bytes(word as usize) as u64;
            let found = match segment.record(offset) {
                Some((crc, payload)) if crc == self.checksum.of(PayloadChecksum::of(payload), start, word) => {
                    Next::Record { record: Record { segment: segment.clone(), offset }, end }
                }
                _ => Next::Damaged {
                    path: segment.path().map(Into::into),
                    offset,
                    end: self.intact_behind(segment, offset),
                },
            };
            return (found, position);
        }
    }

    fn segment_of<'a>(&self, segments: &'a VecDeque<Arc<Segment>>, position: u64) -> Option<&'a Arc<Segment>> {
        segments.iter().find(|segment| segment.base() == position - self.offset(position))
    }

    /// Where the block behind that of a position begins.
    fn next_block(&self, position: u64) -> u64 {
        (position | (self.block_bytes() - 1)) + 1
    }

    /// Where the next intact record behind damage begins: its length may be what is damaged. Without one, where claims end.
    fn intact_behind(&self, segment: &Segment, mut offset: usize) -> u64 {
        let claimed = self.cursor().min(segment.base() + self.segment_bytes) - segment.base();
        loop {
            offset += ALIGN;
            if offset as u64 >= claimed {
                return segment.base() + claimed;
            }
            let position = segment.base() + offset as u64;
            if segment.record(offset).is_some_and(|(crc, payload)| {
                may_stand(offset, payload.len())
                    && crc == self.checksum.of(PayloadChecksum::of(payload), position, payload.len() as u32)
            }) {
                return position;
            }
        }
    }

    /// The position from `position` on before which everything is published, or was and is retired.
    pub(crate) fn published_to(&self, position: u64) -> u64 {
        let mut position = position.max(self.oldest());
        for segment in self.segments() {
            let end = segment.base() + self.segment_bytes;
            while position < end {
                let offset = (self.offset(position) as usize).max(HEADER);
                let word = segment.load(offset);
                if word == PAD {
                    position = self.next_block(position);
                } else if word == FREE || word & CLAIMED != 0 {
                    return position;
                } else {
                    position = segment.base() + (offset + record_bytes(word as usize)) as u64;
                }
            }
        }
        position
    }
}
