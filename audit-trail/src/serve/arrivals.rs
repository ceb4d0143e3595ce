//! The arrivals of the whole trail over time, of which the server remembers what does not change.
//!
//! Batches only come, with the time at which their transactions began. So a part of the time that has
//! long ended keeps its count, and a view counts the last parts alone.

use super::read::{Histogram, LOOK};
use super::refusal::Refusal;
use super::state::Site;
use audit_runtime::Timestamp;
use audit_runtime::trail::{Parts, TimeCount, Trail};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// No transaction that stores a batch takes so long.
const LONGEST_TRANSACTION: Duration = Duration::from_secs(600);

/// The counts of the last time, and when that was.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    known: Mutex<Option<Known>>,
    /// One count of everything at a time is enough.
    counting: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known {
    counts: Vec<TimeCount>,
    at: Timestamp,
}

/// The result of a count.
pub(super) enum Arrived {
    Counted(Histogram),
    Nothing,
    NotInTime,
}

impl Arrived {
    pub(super) fn histogram(self) -> Option<Histogram> {
        match self {
            Self::Counted(histogram) => Some(histogram),
            Self::Nothing | Self::NotInTime => None,
        }
    }
}

impl Arrivals {
    /// Counts arrivals, within a limit of time. Where that does not suffice for the first time, the
    /// server goes on by itself, so that the next view has them.
    pub(super) async fn counts(&self, site: &Arc<Site>, parts: Parts, within: Duration) -> Result<Arrived, Refusal> {
        let counts = self.count(&site.trail, parts, within).await?;
        if counts.is_none() && within < LOOK {
            let site = site.clone();
            tokio::spawn(async move {
                let Ok(_counting) = site.arrivals.counting.try_lock() else { return };
                // A failure is one of the database, and the next view tells it.
                let _ = site.arrivals.count(&site.trail, parts, LOOK).await;
            });
        }
        Ok(match counts {
            None => Arrived::NotInTime,
            Some(counts) if counts.iter().all(|count| count.events == 0) => Arrived::Nothing,
            Some(counts) => Arrived::Counted(Histogram { counts, end: parts.end(), is_of_arrivals: true }),
        })
    }

    async fn count(&self, trail: &Trail, parts: Parts, within: Duration) -> Result<Option<Vec<TimeCount>>, Refusal> {
        let at = Timestamp::now();
        let mut counts = self.settled(parts);
        let mut begins = parts.begins();
        let left = begins.len() - counts.len();
        let rest = begins.nth(counts.len()).and_then(|begin| Parts::new(begin, parts.end(), left as u32));
        if let Some(rest) = rest {
            let Some(new) = trail.arrivals(rest, within).await? else { return Ok(None) };
            counts.extend(new);
        }
        let known = Known { counts: counts.clone(), at };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(Some(counts))
    }

    /// The counts of the first of these parts that can no longer change.
    fn settled(&self, parts: Parts) -> Vec<TimeCount> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Known { counts, at }) = &*known else { return Vec::new() };
        // The first two begins tell where parts lie, for all of them have the same length.
        if counts.iter().take(2).map(|count| count.begin).ne(parts.begins().take(2)) {
            return Vec::new();
        }
        let until = at.saturating_sub(LONGEST_TRANSACTION);
        // Each part ends where the next begins; the last one may still be filled.
        let settled = counts.windows(2).take_while(|pair| pair[1].begin <= until).map(|pair| pair[0]);
        settled.take(parts.begins().len()).collect()
    }
}
