//! The state of a trail in numbers.

use super::control::Progress;
use super::counters::Counters;
use crate::event::clock;
use crate::journal::{Journal, Next};
use crate::record::payload;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Counts since the start, sizes and the writer's health.
///
/// `recorded = stored + pending + refused` at all times.
///
/// With the feature `metrics`, the writer reports them to the [`metrics`](https://docs.rs/metrics)
/// facade once a second, with the label `service`. Install a recorder of that crate before the
/// trail starts.
///
/// | name | kind | what |
/// | --- | --- | --- |
/// | `audit_events_recorded_total`, `audit_events_stored_total`, `audit_events_refused_total`, `audit_events_quarantined_total`, `audit_events_adopted_total`, `audit_events_in_transactions_total` | counter | as below |
/// | `audit_batches_total`, `audit_batch_retries_total` | counter | batches that were stored, attempts that failed |
/// | `audit_batch_conflicts_total`, `audit_events_rekeyed_total`, `audit_redactions_total`, `audit_journals_adopted_total` | counter | as below |
/// | `audit_events_left_out_total` | counter | events that a rule of the policy left out, with the label `rule` |
/// | `audit_events_pending`, `audit_lag_seconds` | gauge | what waits in the journal, the age of the oldest |
/// | `audit_journal_bytes`, `audit_journal_used_bytes`, `audit_journal_limit_bytes` | gauge | as below |
/// | `audit_journals_waiting` | gauge | journals of dead processes that wait |
/// | `audit_health` | gauge | 0 healthy, 1 degraded, 2 refusing: see [`Health`](crate::Health) |
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
    /// Those of the last minute, or of up to five seconds less.
    pub refused_last_minute: u64,
    /// Times that personal values were recorded as `"[redacted]"` because no master key encrypts them.
    /// Each such event counts once at least.
    pub redacted: u64,
    /// Events of dead processes' journals that this one has stored. The counts above exclude them.
    pub adopted: u64,
    /// Journals of dead processes that this one has shipped and removed.
    pub adopted_journals: u64,
    /// Journals of dead processes that were found in the directory and wait to be shipped.
    pub inherited_journals: u64,
    /// Events that were inserted through callers' own connections (`tx`), whose transactions may
    /// commit or not. The counts above exclude them.
    pub in_transactions: u64,
    /// Events PostgreSQL refused: they are in `audit_quarantine`, with the error.
    pub quarantined: u64,
    /// Batches committed.
    pub batches: u64,
    /// Attempts to store a batch that failed and were repeated.
    pub retries: u64,
    /// Batches at whose place in `audit_batches` another one was found. Their events are kept in
    /// the journal and not acknowledged: see [`last_error`](Self::last_error).
    pub conflicts: u64,
    /// Events whose subject has a key that this process cannot unwrap. Their personal values are
    /// encrypted by another key of that subject.
    pub rekeyed: u64,
    /// Bytes of the journal's segments.
    pub journal_bytes: u64,
    /// Those of them that are in use. The others are room ahead of the callers.
    pub journal_used: u64,
    /// The most bytes that the journal may use: `journal_limit`, or what other journals leave of
    /// `directory_limit`.
    pub journal_limit: u64,
    /// The age of the oldest event that is not stored, or zero if all are stored.
    pub lag: Duration,
    /// Events that each rule of the policy left out, by the rule's name. The counts above exclude
    /// them.
    pub left_out: BTreeMap<String, u64>,
    /// The reason why the policy's file is not in force as it is, until it is.
    pub policy_error: Option<String>,
    /// The last failure of the writer, until a batch succeeds again.
    pub last_error: Option<String>,
}

impl Stats {
    /// Returns the part of its limit that the journal uses: from 0.0, and 1.0 where it is full.
    #[must_use]
    pub fn journal_fill(&self) -> f64 {
        if self.journal_limit == 0 { 1.0 } else { self.journal_used as f64 / self.journal_limit as f64 }
    }

    pub(crate) fn of(counters: &Counters, journal: &Journal, progress: &Progress) -> Self {
        let stored = progress.stored;
        let appended = counters.appended();
        let refused = counters.refused.load(Ordering::Relaxed);
        Self {
            recorded: appended + refused,
            stored,
            pending: appended - stored,
            refused,
            refused_last_minute: counters.refused_recently(),
            redacted: counters.redacted(),
            in_transactions: counters.in_transactions.load(Ordering::Relaxed),
            adopted: counters.adopted.load(Ordering::Relaxed),
            adopted_journals: counters.adopted_journals.load(Ordering::Relaxed),
            inherited_journals: counters.inherited.load(Ordering::Relaxed),
            quarantined: counters.quarantined.load(Ordering::Relaxed),
            batches: counters.batches.load(Ordering::Relaxed),
            retries: counters.retries.load(Ordering::Relaxed),
            conflicts: counters.conflicts.load(Ordering::Acquire),
            rekeyed: counters.rekeyed.load(Ordering::Relaxed),
            journal_bytes: journal.bytes(),
            journal_used: journal.used(),
            journal_limit: journal.limit(),
            lag: lag(journal, progress.stored_to),
            left_out: counters.left_out(),
            policy_error: counters.policy_error(),
            last_error: counters.last_error(),
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
