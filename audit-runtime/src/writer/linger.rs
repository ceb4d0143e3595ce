//! When the first lane ships the events that wait in the journal.
//!
//! A service that records fifty events a second would commit fifty transactions if each event were
//! shipped as it came. So events wait for others: until they are enough, or for a quarter of a
//! second. Nobody waits longer for it: a caller that awaits an event is served at once.

use std::time::{Duration, Instant};

/// The longest time that an event waits for others.
const LONGEST: Duration = Duration::from_millis(250);
/// So many bytes in the journal are worth a transaction. The blocks that threads have claimed, and
/// not filled yet, are a part of it.
const ENOUGH: u64 = 256 << 10;

/// Decides when the events in the journal are due.
#[derive(Debug)]
pub(super) struct Linger {
    /// The last time at which no event waited.
    empty: Instant,
    /// A caller awaits one of the events that wait.
    is_awaited: bool,
}

impl Linger {
    pub(super) fn new(now: Instant) -> Self {
        Self { empty: now, is_awaited: false }
    }

    /// Makes the events that wait due.
    pub(super) fn await_events(&mut self) {
        self.is_awaited = true;
    }

    /// Returns whether the journal is to be read between two positions: the events that wait are due,
    /// or none waits, and what is left of blocks is passed over.
    pub(super) fn is_due(&mut self, now: Instant, waiting: u64, read: u64, end: u64) -> bool {
        if waiting == 0 {
            self.empty = now;
            self.is_awaited = false;
            return read < end;
        }
        self.is_awaited || end - read >= ENOUGH || now.duration_since(self.empty) >= LONGEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_due_once_they_are_enough_or_awaited_or_have_waited() {
        let begin = Instant::now();
        let after = |millis| begin + Duration::from_millis(millis);
        let mut linger = Linger::new(begin);
        let mut is_due = |millis, waiting, read, end| linger.is_due(after(millis), waiting, read, end);
        assert!(!is_due(1_000, 0, 64, 64));
        // A block was claimed, and contains an event or none.
        assert!(is_due(1_000, 0, 64, 16_384));
        assert!(!is_due(1_010, 1, 64, 16_384));
        assert!(!is_due(1_249, 2, 64, 16_384));
        assert!(is_due(1_250, 2, 64, 16_384));
        // Until the journal is empty, so are those that a full batch has left.
        assert!(is_due(1_251, 1, 128, 16_384));
        assert!(!is_due(1_252, 0, 256, 256));
        assert!(!is_due(1_253, 1, 256, 255 + ENOUGH));
        assert!(is_due(1_253, 1, 256, 256 + ENOUGH));
        linger.await_events();
        assert!(linger.is_due(after(1_254), 1, 256, 400));
        assert!(!linger.is_due(after(1_255), 0, 400, 400));
        assert!(!linger.is_due(after(1_256), 1, 400, 500));
    }
}
