//! What `Audit::stats` tells.

use crate::clock;
use crate::journal::{Journal, Next};
use crate::payload;
use crate::writer::Progress;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Counts since the start, sizes and the writer's health. `recorded = stored + pending + refused` at all times.
///
/// With the feature `metrics` the writer tells them to the [`metrics`](https://docs.rs/metrics) facade once a second, with the label
/// `service`. A recorder has to be installed before the trail starts.
///
/// | name | kind | what |
/// | --- | --- | --- |
/// | `audit_events_recorded_total`, `audit_events_stored_total`, `audit_events_refused_total`, `audit_events_quarantined_total`, `audit_events_adopted_total`, `audit_events_in_transactions_total` | counter | as below |
/// | `audit_batch_retries_total` | counter | attempts to store a batch that failed |
/// | `audit_events_pending`, `audit_journal_bytes`, `audit_lag_seconds` | gauge | what waits in the journal, its bytes, the age of the oldest |
/// | `audit_batch_rows`, `audit_commit_seconds` | histogram | of each batch that was stored: its rows, and how long its transaction took |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Events that were to be recorded.
    pub recorded: u64,
    /// Events in PostgreSQL, those in `audit_quarantine` among them.
    pub stored: u64,
    /// Events in the journal that PostgreSQL does not have yet.
    pub pending: u64,
    /// Events the journal did not take.
    pub refused: u64,
    /// Events of dead processes' journals that this one has stored; in none of the counts above.
    pub adopted: u64,
    /// Events that were inserted through callers' own connections (`tx`), for their transactions to commit or not; in none
    /// of the counts above.
    pub in_transactions: u64,
    /// Events PostgreSQL refused: they are in `audit_quarantine`, with the error.
    pub quarantined: u64,
    /// Batches committed.
    pub batches: u64,
    /// Attempts to store a batch that failed and were repeated.
    pub retries: u64,
    /// Bytes of the journal's segments.
    pub journal_bytes: u64,
    /// The age of the oldest event that is not stored; zero if there is none.
    pub lag: Duration,
    /// The last failure of the writer, until a batch succeeds again.
    pub last_error: Option<String>,
}

/// Counters of callers are spread over this many cache lines, so that threads do not share them.
const SHARDS: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(AtomicU64);

#[derive(Debug, Default)]
pub(crate) struct Counters {
    appended: [Shard; SHARDS],
    refused: AtomicU64,
    /// Intents in the journal without a completion.
    open_intents: AtomicU64,
    in_transactions: AtomicU64,
    pub(crate) adopted: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) retries: AtomicU64,
    last_error: Mutex<Option<String>>,
}

/// The number of this thread's shard.
#[inline]
fn shard() -> usize {
    const NONE: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<usize> = const { Cell::new(NONE) };
    }
    match SHARD.get() {
        NONE => {
            let shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            SHARD.set(shard);
            shard
        }
        shard => shard,
    }
}

impl Counters {
    /// A record is about to be appended.
    #[inline]
    pub(crate) fn appending(&self) {
        self.appended[shard()].0.fetch_add(1, Ordering::Relaxed);
    }

    /// It was not, after all.
    pub(crate) fn not_appended(&self) {
        self.appended[shard()].0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn intent_began(&self) {
        self.open_intents.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn intent_ended(&self) {
        self.open_intents.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether calls whose intent is on record have not ended, or ended unrecorded, or in a transaction.
    pub(crate) fn has_open_intents(&self) -> bool {
        self.open_intents.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn in_transaction(&self) {
        self.in_transactions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_last_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// A record is counted before it is published, so those that are stored are among those counted.
    pub(crate) fn stats(&self, journal: &Journal, progress: &Progress) -> Stats {
        let stored = progress.stored;
        let appended = self.appended.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum::<u64>();
        let refused = self.refused.load(Ordering::Relaxed);
        Stats {
            recorded: appended + refused,
            stored,
            pending: appended - stored,
            refused,
            in_transactions: self.in_transactions.load(Ordering::Relaxed),
            adopted: self.adopted.load(Ordering::Relaxed),
            quarantined: self.quarantined.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            journal_bytes: journal.bytes(),
            lag: lag(journal, progress.stored_to),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

fn lag(journal: &Journal, stored_to: u64) -> Duration {
    let Next::Record { record, .. } = journal.peek(stored_to) else {
        return Duration::ZERO;
    };
    payload::created_at(record.payload()).map_or(Duration::ZERO, |created_at| {
        Duration::from_micros(u64::try_from(clock::micros_now().saturating_sub(created_at)).unwrap_or(0))
    })
}
