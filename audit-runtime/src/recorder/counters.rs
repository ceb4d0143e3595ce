//! Counters of one trail.

use super::recent::Recent;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Counters of callers are spread over this many cache lines, so that threads do not share them.
const SHARDS: usize = 8;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(AtomicU64);

#[derive(Debug, Default)]
pub(crate) struct Counters {
    appended: [Shard; SHARDS],
    pub(super) refused: AtomicU64,
    refused_recently: Recent,
    /// Times that personal values were redacted for lack of a master key.
    redacted: AtomicU64,
    /// Intents in the journal without a completion.
    open_intents: AtomicU64,
    pub(super) in_transactions: AtomicU64,
    pub(crate) adopted: AtomicU64,
    pub(crate) adopted_journals: AtomicU64,
    /// Journals of dead processes that wait.
    pub(crate) inherited: AtomicU64,
    pub(crate) quarantined: AtomicU64,
    pub(crate) batches: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) rekeyed: AtomicU64,
    last_error: Mutex<Option<String>>,
    policy_error: Mutex<Option<String>>,
    /// Events that rules of a policy left out, by the rules' names.
    left_out: Mutex<BTreeMap<&'static str, Arc<AtomicU64>>>,
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

    /// Takes back [`appending`](Self::appending): the record was refused.
    pub(crate) fn not_appended(&self) {
        self.appended[shard()].0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.refused_recently.add();
    }

    /// Events that were refused within the last minute.
    pub(super) fn refused_recently(&self) -> u64 {
        self.refused_recently.count()
    }

    pub(super) fn redacting(&self) {
        self.redacted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn redacted(&self) -> u64 {
        self.redacted.load(Ordering::Relaxed)
    }

    pub(crate) fn intent_began(&self) {
        self.open_intents.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn intent_ended(&self) {
        self.open_intents.fetch_sub(1, Ordering::Relaxed);
    }

    #[cfg(feature = "postgres")]
    /// Whether calls whose intent is on record have not ended, or ended unrecorded, or in a
    /// transaction.
    pub(crate) fn has_open_intents(&self) -> bool {
        self.open_intents.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn in_transactions(&self, rows: u64) {
        self.in_transactions.fetch_add(rows, Ordering::Relaxed);
    }

    #[cfg(feature = "postgres")]
    pub(crate) fn set_last_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Counts a conflict whose cause a reader of the count finds in `last_error`.
    #[cfg(feature = "postgres")]
    pub(crate) fn conflict(&self, error: String) {
        self.set_last_error(Some(error));
        self.conflicts.fetch_add(1, Ordering::Release);
    }

    /// Records that were appended. (A record is counted before it is published, so those that are
    /// stored are among them.)
    pub(crate) fn appended(&self) -> u64 {
        self.appended.iter().map(|shard| shard.0.load(Ordering::Relaxed)).sum()
    }

    #[cfg(feature = "policy")]
    pub(super) fn set_policy_error(&self, error: Option<String>) {
        *self.policy_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Returns the counter of the events that rules of this name left out.
    pub(super) fn of_rule(&self, name: &'static str) -> Arc<AtomicU64> {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }

    pub(super) fn left_out(&self) -> BTreeMap<String, u64> {
        let left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        left_out.iter().map(|(name, count)| ((*name).to_owned(), count.load(Ordering::Relaxed))).collect()
    }

    pub(super) fn policy_error(&self) -> Option<String> {
        self.policy_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
