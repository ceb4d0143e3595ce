//! When a segment of the live journal is ended before it is full: so that events which are stored
//! leave the disk soon.

use super::parts::WriterParts;
use std::time::{Duration, Instant};

/// A journal in which nothing happens for so long is idle.
const IDLE: Duration = Duration::from_millis(400);
/// Personal data that are stored stay in the journal for so long, and as long as it takes to end a
/// segment.
const PERSONAL: Duration = Duration::from_millis(300);

/// Where what is personal is in the live journal, though it is stored.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    /// The position behind it, and since when it is stored.
    personal: Option<(u64, Instant)>,
    asked: Option<Instant>,
}

impl Tidy {
    /// Notes that what is personal before this position is stored.
    pub(super) fn stored_personal(&mut self, end: u64) {
        let since = self.personal.map_or_else(Instant::now, |(_, since)| since);
        self.personal = Some((end, since));
    }

    /// Asks for the end of a segment that holds what should leave the disk.
    pub(super) fn look(&mut self, parts: &WriterParts, idle: Duration) {
        if self.personal.is_some_and(|(end, _)| parts.journal.oldest() >= end) {
            self.personal = None;
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < PERSONAL) {
            return;
        }
        let stored_to = parts.control.progress().stored_to;
        let is_all_stored = stored_to == parts.journal.read_position();
        if idle > IDLE && is_all_stored && parts.journal.is_segment_begun() {
            self.asked = Some(Instant::now());
            parts.journal.want_end(stored_to, true);
        } else if let Some((end, since)) = self.personal
            && since.elapsed() > PERSONAL
        {
            self.asked = Some(Instant::now());
            parts.journal.want_end(end, false);
            // Records from now on are in another segment.
            self.personal = Some((end, Instant::now()));
        }
    }
}
