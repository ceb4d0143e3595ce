//! Events that were refused while the journal was full: one event accounts for them once it is not.

use crate::event::Timestamp;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// More event types than this are counted together, as `..`.
const MOST_TYPES: usize = 100;

/// Refusals that are not on record yet.
#[derive(Debug, Default)]
pub(crate) struct LostEvents {
    open: AtomicBool,
    lost: Mutex<Option<Loss>>,
}

/// The data of an `audit.gap` event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Loss {
    count: u64,
    event_types: BTreeMap<String, u64>,
    #[serde(serialize_with = "iso_8601")]
    first_at: i64,
    #[serde(serialize_with = "iso_8601")]
    last_at: i64,
}

fn iso_8601<S: Serializer>(micros: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    Timestamp::from_unix_micros(*micros).serialize(serializer)
}

impl Loss {
    fn merge(&mut self, other: Self) {
        self.count += other.count;
        for (event_type, count) in other.event_types {
            *self.event_types.entry(event_type).or_default() += count;
        }
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
    }
}

impl LostEvents {
    /// Returns whether any event was refused since the last report.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn lost(&self) -> MutexGuard<'_, Option<Loss>> {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a refused event.
    pub(crate) fn note(&self, event_type: &str, now: i64) {
        let mut lost = self.lost();
        let lost =
            lost.get_or_insert_with(|| Loss { count: 0, event_types: BTreeMap::new(), first_at: now, last_at: now });
        lost.count += 1;
        lost.last_at = lost.last_at.max(now);
        let known = lost.event_types.contains_key(event_type) || lost.event_types.len() < MOST_TYPES;
        let counted = if known { event_type } else { ".." };
        *lost.event_types.entry(counted.to_owned()).or_default() += 1;
        self.open.store(true, Ordering::Relaxed);
    }

    /// Returns the refused events, if the last refusal is at least that long ago.
    pub(crate) fn take(&self, now: i64, quiet: Duration) -> Option<Loss> {
        let mut lost = self.lost();
        let since = now.saturating_sub(lost.as_ref()?.last_at);
        if u128::try_from(since).is_ok_and(|since| since < quiet.as_micros()) {
            return None;
        }
        self.open.store(false, Ordering::Relaxed);
        lost.take()
    }

    /// Puts back a loss that could not be reported yet.
    pub(crate) fn put_back(&self, untold: Loss) {
        let mut lost = self.lost();
        match &mut *lost {
            Some(lost) => lost.merge(untold),
            none => *none = Some(untold),
        }
        self.open.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_gap_is_told_once_and_only_when_it_is_over() {
        let lost_events = LostEvents::default();
        assert!(!lost_events.is_open() && lost_events.take(0, Duration::ZERO).is_none());
        let quiet = Duration::from_micros(10);
        lost_events.note("order.submitted", 1_000_000);
        lost_events.note("order.filled", 1_000_005);
        lost_events.note("order.submitted", 1_000_007);
        assert!(lost_events.is_open() && lost_events.take(1_000_016, quiet).is_none());
        let lost = lost_events.take(1_000_017, quiet).unwrap();
        assert_eq!(
            serde_json::to_value(&lost).unwrap(),
            json!({"count": 3, "event_types": {"order.filled": 1, "order.submitted": 2},
                   "first_at": "1970-01-01T00:00:01.000000+00:00", "last_at": "1970-01-01T00:00:01.000007+00:00"})
        );
        assert!(!lost_events.is_open() && lost_events.take(2_000_000, quiet).is_none());
        lost_events.note("order.filled", 1_000_100);
        lost_events.put_back(lost);
        let lost = lost_events.take(2_000_000, quiet).unwrap();
        assert_eq!((lost.count, lost.first_at, lost.last_at), (4, 1_000_000, 1_000_100));
        assert_eq!(lost.event_types["order.filled"], 2);
    }

    #[test]
    fn too_many_types_are_counted_together() {
        let lost_events = LostEvents::default();
        (0..150).for_each(|n| lost_events.note(&format!("a.b{n}"), 0));
        let lost = lost_events.take(0, Duration::ZERO).unwrap();
        assert_eq!((lost.count, lost.event_types.len(), lost.event_types[".."]), (150, 101, 50));
    }
}
