//! Room for records: made ahead of the callers, in steps that follow what they use, and given back
//! when nothing is in it.
//!
//! A segment is a place of fixed size in the logical sequence, but its file begins with 64 KiB and
//! grows. So a program that records one event costs 64 KiB of disk, and one that records a million
//! has whole segments ahead of it. A segment can be *ended* before it is full. Claims continue in
//! the next one, and its file is removed as soon as its last record is stored.

use super::error::AppendError;
use super::format::{PAYLOAD_VERSION, SegmentHeader};
use super::limits::{Limits, WAITING};
use super::live::Journal;
use super::segment::{NoPlace, Room, Segment};
use super::state::Ahead;
#[cfg(feature = "postgres")]
use super::state::Wanted;
use std::io;
use std::sync::PoisonError;

/// The room made for the next burst, in sizes of the last one. Pages are slow to make: 4 to 7 us
/// each on ext4, in which callers write 40 records.
const HEADROOM: u64 = 4;
/// The least room after a burst that needed more than the first 64 KiB: that of some 8,000 records.
const LEAST_ROOM: u64 = 2 << 20;
/// After a burst that was smaller, at least this part of the room is made again.
const SHRINK: u64 = 4;

/// Why room was not made.
#[derive(Debug)]
enum NotMade {
    Limit,
    Disk(io::Error),
}

impl From<io::Error> for NotMade {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<NoPlace> for NotMade {
    fn from(why: NoPlace) -> Self {
        match why {
            // After a close, no thread claims any more.
            NoPlace::TableFull | NoPlace::Closed => Self::Limit,
            NoPlace::OutOfOrder => Self::Disk(io::Error::other("a segment is out of its order")),
        }
    }
}

impl Journal {
    /// Makes the first room.
    pub(super) fn begin(&self) -> io::Result<()> {
        if self.allowance() < self.limits.grain() {
            // Events are refused, or wait, until other journals have been shipped.
            self.exhausted.set(Some(AppendError::Full));
            return Ok(());
        }
        let segment = self.make_segment(0, self.limits.grain())?;
        self.ring.install(segment).map_err(|_| io::Error::other("the first segment has no place"))?;
        self.ring.set_low_water(self.limits.grain() / 2);
        Ok(())
    }

    /// Keeps room ahead of the callers.
    pub(crate) fn grow(&self) -> Result<(), AppendError> {
        self.make_room(None)
    }

    /// Makes room for a record that found none.
    pub(super) fn grow_for(&self, payload: usize) -> Result<(), AppendError> {
        self.make_room(Some(super::format::record_bytes(payload) as u64))
    }

    fn make_room(&self, need: Option<u64>) -> Result<(), AppendError> {
        let mut ahead = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.ring.is_closed() {
            return Err(AppendError::Closed);
        }
        let made = match need {
            Some(need) => self.room_for(&mut ahead, need),
            None => self.keep_ahead(&ahead),
        };
        let made = made.map_err(|why| match why {
            NotMade::Limit => AppendError::Full,
            NotMade::Disk(error) => {
                if self.exhausted.get().is_none() {
                    tracing::warn!(journal = %self.id, %error, "the journal cannot grow; free some space");
                }
                AppendError::Disk
            }
        });
        // While a small record finds room, it is accepted, even if no more can be made.
        let has_room = self.ring.room(1) == Room::Enough;
        self.exhausted.set(made.err().filter(|_| !has_room));
        if has_room {
            self.room.notify_all();
        }
        made
    }

    /// Makes room for a record, and more: its caller would not have come if the housekeeper had
    /// kept up.
    fn room_for(&self, ahead: &mut Ahead, need: u64) -> Result<(), NotMade> {
        loop {
            match self.ring.room(need) {
                // Another thread was faster.
                Room::Enough => return Ok(()),
                Room::Short(missing) => {
                    ahead.bytes = (4 * ahead.bytes).min(self.limits.most_ahead());
                    // Whole segments are for the housekeeper.
                    let wanted = ahead.bytes.min(self.limits.segment_bytes).max(missing);
                    self.extend(wanted, missing)?;
                    self.set_low_water(ahead);
                }
                Room::NextSegment => self.leave_segment(ahead, need)?,
            }
        }
    }

    fn keep_ahead(&self, ahead: &Ahead) -> Result<(), NotMade> {
        let free = self.ring.frontier().saturating_sub(self.ring.cursor());
        if free > ahead.bytes / 2 {
            return Ok(());
        }
        let extended = self.extend(ahead.bytes - free, 1);
        self.set_low_water(ahead);
        extended
    }

    fn set_low_water(&self, ahead: &Ahead) {
        self.ring.set_low_water(self.ring.frontier().saturating_sub(ahead.bytes / 2));
    }

    /// Moves the frontier on by about so many bytes, and at least by some.
    fn extend(&self, wanted: u64, at_least: u64) -> Result<(), NotMade> {
        let (grain, segment_bytes) = (self.limits.grain(), self.limits.segment_bytes);
        let (mut made, mut largest) = (0, u64::MAX);
        while made < wanted {
            let growing = self.ring.growing_segment();
            let longest = growing.as_ref().map_or(segment_bytes, |segment| segment_bytes - segment.allocated());
            let allowed = self.allowance() / grain * grain;
            let more = (wanted - made).next_multiple_of(grain).min(longest).min(allowed).min(largest);
            let extended = match growing {
                _ if more == 0 => Err(NotMade::Limit),
                Some(segment) => segment.grow(segment.allocated() + more).map_err(Into::into),
                None => self.add_segment(self.ring.frontier(), more, |segment| self.ring.install(segment)),
            };
            match extended {
                Ok(()) => self.ring.extend(),
                Err(_) if made >= at_least => break,
                // A disk that has no room for as much may have it for less.
                Err(NotMade::Disk(_)) if more > (at_least - made).next_multiple_of(grain) => {
                    largest = (at_least - made).next_multiple_of(grain);
                    continue;
                }
                Err(why) => return Err(why),
            }
            made += more;
        }
        Ok(())
    }

    /// Has claims go on in the next segment, which is made if it is not there yet, with room for a
    /// record.
    fn leave_segment(&self, ahead: &Ahead, need: u64) -> Result<(), NotMade> {
        let cursor = self.ring.cursor();
        let next = (cursor | (self.limits.segment_bytes - 1)) + 1;
        if self.ring.frontier() > next {
            return Ok(self.ring.leave_segment()?);
        }
        let (grain, header) = (self.limits.grain(), super::format::HEADER as u64);
        let wanted = ahead.bytes.max(need + header).next_multiple_of(grain).min(self.limits.segment_bytes);
        let least = (need + header).next_multiple_of(grain).min(self.limits.segment_bytes);
        let allowed = self.allowance() / grain * grain;
        if allowed < least {
            return Err(NotMade::Limit);
        }
        self.add_segment(next, wanted.min(allowed), |segment| self.ring.end_segment(segment))?;
        self.set_low_water(ahead);
        Ok(())
    }

    /// Makes a segment and adds it to the ring, or removes its file if the ring has no place for
    /// it.
    fn add_segment(
        &self,
        base: u64,
        allocated: u64,
        add: impl FnOnce(Segment) -> Result<(), NoPlace>,
    ) -> Result<(), NotMade> {
        let segment = self.make_segment(base, allocated)?;
        let path = segment.path().map(ToOwned::to_owned);
        Ok(add(segment).inspect_err(|_| drop(path.map(std::fs::remove_file)))?)
    }

    #[cfg(feature = "postgres")]
    /// Asks the housekeeper to end the segment of the position, if claims are still made there.
    /// Everything before the position is stored, and should leave the disk soon.
    pub(crate) fn want_end(&self, before: u64, is_idle: bool) {
        *self.end_wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Wanted { before, is_idle });
        self.wake_housekeeper();
    }

    /// Ends the segment that the writer wants ended.
    pub(super) fn end_if_wanted(&self) {
        let wanted = self.end_wanted.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(wanted) = wanted else { return };
        let mut ahead = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = self.ring.cursor();
        let base = cursor & !(self.limits.segment_bytes - 1);
        if cursor == base || wanted.before <= base || self.ring.segment_count() > WAITING || self.ring.is_closed() {
            return;
        }
        if wanted.is_idle {
            let used = cursor - ahead.idle_at;
            let least = if used > self.limits.grain() { LEAST_ROOM } else { 0 };
            let wanted = used.saturating_mul(HEADROOM).max(least).max(ahead.bytes / SHRINK).next_power_of_two();
            ahead.bytes = wanted.clamp(self.limits.grain(), self.limits.most_ahead());
        }
        // Where that fails, the segment is left when it is full, as ever.
        if let Err(NotMade::Disk(error)) = self.leave_segment(&ahead, 1) {
            tracing::debug!(journal = %self.id, %error, "a journal segment cannot be ended early");
        }
        if wanted.is_idle {
            ahead.idle_at = self.ring.cursor();
        }
    }

    #[cfg(feature = "postgres")]
    /// Logical position of the oldest segment.
    pub(crate) fn oldest(&self) -> u64 {
        self.ring.oldest()
    }

    #[cfg(feature = "postgres")]
    /// Whether anything was claimed of the last segment that was begun.
    pub(crate) fn is_segment_begun(&self) -> bool {
        self.ring.cursor() & (self.limits.segment_bytes - 1) != 0
    }

    fn make_segment(&self, base: u64, allocated: u64) -> io::Result<Segment> {
        let Limits { segment_bytes, writing, .. } = self.limits;
        let header = SegmentHeader { journal: self.id, base, segment_bytes, payload_version: PAYLOAD_VERSION };
        match &self.directory {
            Some(directory) => {
                let path = directory.segment_path(base);
                let segment = Segment::create(&path, header, allocated, writing)?;
                let shared = directory.parent().share_file(&path).and_then(|()| directory.sync());
                shared.map(|()| segment).inspect_err(|_| drop(std::fs::remove_file(&path)))
            }
            None => Segment::anonymous(header, allocated),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::super::{Journal, Limits};

    #[test]
    fn what_an_attempt_left_that_failed_does_not_stop_the_journal() {
        let parent = tempfile::tempdir().unwrap();
        let segment = 32 << 10;
        let journal = Journal::create(Some(parent.path()), Limits::new(segment, 4 * segment)).unwrap();
        // The directory was away when the attempt was to remove its file.
        let left = journal.directory.as_ref().unwrap().segment_path(segment);
        std::fs::write(&left, "").unwrap();
        for number in 0..90 {
            journal.append(&[number; 1_000]).unwrap();
        }
        assert!(journal.cursor() > 2 * segment && std::fs::metadata(&left).unwrap().len() > 0);
    }
}
